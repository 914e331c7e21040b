"""Rows of CSV, TSV, JSONL and Parquet files, and lines of text files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cosmos_batch.formats.json_text import MalformedJsonError, parse_json

if TYPE_CHECKING:
    from pyarrow import Table

Row = dict[str, object]
SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
_MAX_CELL = 1_000_000  # characters


class TableError(Exception):
    """A file that gives no rows."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


def read_lines(path: Path) -> list[str]:
    """The lines of a text file without empty ones and comments (`#`). Raises TableError."""
    lines = [line.strip() for line in _text(path).splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def read_rows(path: Path) -> list[Row]:
    """The rows of a table, by the names of its columns; an empty cell is left out. Raises TableError."""
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        rows = _parquet(path)
    elif suffix in (".jsonl", ".ndjson"):
        rows = _json_lines(_text(path))
    elif suffix in SUFFIXES:
        rows = _separated(_text(path), "\t" if suffix == ".tsv" else ",")
    else:
        raise TableError("is no table", f"name a file that ends in {', '.join(SUFFIXES)}")
    if not rows:
        raise TableError("has no rows", "give it at least one")
    return [{name: value for name, value in row.items() if value not in (None, "")} for row in rows]


def _text(path: Path) -> str:
    try:
        return path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        raise TableError("is not UTF-8 text", "save it as UTF-8") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TableError(f"cannot be read ({reason})", "correct the path or supply the file") from error


def _separated(text: str, separator: str) -> list[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        return list(_rows(reader))
    except csv.Error as error:
        raise TableError(f"is broken at line {reader.line_num}: {error}", "mend the line") from error


def _rows(reader: Iterator[Sequence[str]]) -> Iterator[Row]:
    names = [name.strip() for name in next(reader, [])]
    if len(set(names)) != len(names):
        raise TableError("names a column twice", "give each column a name of its own")
    for number, cells in enumerate(reader, 1):
        if len(cells) > len(names) or any(len(cell) > _MAX_CELL for cell in cells):
            raise TableError(
                f"has too many cells in row {number}", f"give {len(names)}, and put texts with commas in quotes"
            )
        if any(cells):
            yield dict(zip(names, cells, strict=False))


def _json_lines(text: str) -> list[Row]:
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = parse_json(line.encode("utf-8", "surrogatepass"))
        except MalformedJsonError as error:
            raise TableError(f"{error.message} at line {number}", error.remedy) from error
        if not isinstance(value, dict):
            raise TableError(f"has no object at line {number}", "write one row in braces per line")
        rows.append(value)
    return rows


def _parquet(path: Path) -> list[Row]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import read_table
    except ImportError as error:
        raise TableError("needs an extra that is not installed", "pip install 'cosmos-batch[datasets]'") from error
    try:
        table: Table = read_table(path)
        rows: list[Row] = table.to_pylist()
    except (ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TableError(f"cannot be read ({reason})", "correct the path, or write the file again") from error
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: object) -> object:
    """A value of a Parquet file as one of JSON."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return json.loads(json.dumps(value, default=str))
