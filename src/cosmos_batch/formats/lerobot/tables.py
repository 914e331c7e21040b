"""Parquet files of a dataset, read and written through pyarrow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cosmos_batch.errors import InputError, Problem

Values = Mapping[str, Sequence[object]]
"""Values of columns, by name."""


def read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, object]]:
    """The rows of these columns, those of them that the file has. Raises InputError."""
    table = _read(path, columns)
    rows: list[dict[str, object]] = table.to_pylist()
    return rows


def column_names(path: Path) -> list[str]:
    """Names of the columns of a file. Raises InputError."""
    names: list[str] = _guarded(path, pq.read_schema).names
    return names


def rewrite(
    source: Path,
    target: Path,
    kept: Sequence[int],
    replaced: Values,
    added: Mapping[str, Sequence[str | int | None]],
    removed: Sequence[str] = (),
) -> None:
    """Copy a file with some rows alone, values of columns replaced in their types, and columns added at the end.

    `kept`: numbers of the rows. Columns hold a value for each row that is kept. The metadata of the file stays.
    Raises InputError for a file that cannot be read, OSError for one that cannot be written.
    """
    table = _read(source, None).take(pa.array(kept, pa.int64()))
    for name in removed:
        table = table.drop_columns([name])
    for name, values in replaced.items():
        position = table.schema.get_field_index(name)
        field = table.schema.field(position)
        table = table.set_column(position, field, pa.array(values, field.type))
    for name, values in added.items():
        kind = pa.int64() if any(isinstance(value, int) for value in values) else pa.string()
        if name in table.column_names:
            table = table.drop_columns([name])
        table = table.append_column(name, pa.array(values, kind))
    pq.write_table(table, target)


def _read(path: Path, columns: Sequence[str] | None) -> pa.Table:
    def read(file: Path) -> pa.Table:
        with pq.ParquetFile(file) as parquet:
            known = parquet.schema_arrow.names
            return parquet.read(None if columns is None else [name for name in columns if name in known])

    return _guarded(path, read)


def _guarded(path: Path, read: Callable[[Path], pa.Table]) -> pa.Table:
    try:
        return read(path)
    except (pa.ArrowException, OSError) as error:
        message = f"cannot be read as Parquet ({str(error).splitlines()[0]})"
        raise InputError([Problem(str(path), None, "", "", message, "download it again")]) from error
