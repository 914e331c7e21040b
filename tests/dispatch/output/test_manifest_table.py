"""The table of runs: a row for each, with the same typed columns in CSV and Parquet."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cosmos_batch.dispatch.output.manifest_table import COLUMNS, ManifestEntry, check_table, write_table
from cosmos_batch.errors import InputError
from cosmos_batch.run import Annotations
from tests.support.dispatch_world import dispatch, make_input, make_run


@pytest.fixture
def entries(tmp_path: Path) -> list[ManifestEntry]:
    """A finished run, and one that failed."""
    video = make_input(tmp_path / "in.mp4")
    notes = Annotations(sweep="weather", tags={"sky": "rain"}, metadata={"take": 3})
    made = replace(make_run("a", video, prompt='rain, "heavy"', steps=2), annotations=notes)
    dispatch([made], tmp_path / "out")
    return [
        ManifestEntry(made, "succeeded", folder=tmp_path / "out" / "a"),
        ManifestEntry(make_run("b", video), "failed", "out of memory"),
    ]


def test_a_row_holds_settings_inputs_output_and_scores(entries: list[ManifestEntry], tmp_path: Path) -> None:
    write_table(tmp_path / "runs.parquet", entries)

    made, failed = pq.read_table(tmp_path / "runs.parquet").to_pylist()
    record = json.loads((tmp_path / "out" / "a" / "run.json").read_text())
    digest = hashlib.sha256((tmp_path / "in.mp4").read_bytes()).hexdigest()
    video = tmp_path / "out" / "a" / "output.mp4"
    assert (made["id"], made["state"], made["cause"], made["sweep"]) == ("a", "succeeded", None, "weather")
    assert (made["prompt"], made["seed"], made["num_steps"], made["edge_weight"]) == ('rain, "heavy"', 42, 2, 1.0)
    assert (made["video"], made["video_sha256"]) == (str(tmp_path / "in.mp4"), digest)
    assert (made["output"], made["output_bytes"]) == ("a/output.mp4", video.stat().st_size)
    assert made["output_sha256"] == hashlib.sha256(video.read_bytes()).hexdigest()
    size = [made[f"output_{name}"] for name in ("width", "height", "frames", "fps")]
    assert size == [32, 32, 2, 8.0]
    assert (made["seconds"], made["key"]) == (record["seconds"], record["key"])
    assert json.loads(made["scores"]) == record["scores"]
    assert {name: made[name] for name in record["scores"]} == record["scores"]
    assert (json.loads(made["tags"]), json.loads(made["metadata"])) == ({"sky": "rain"}, {"take": 3})
    assert (failed["id"], failed["state"], failed["cause"]) == ("b", "failed", "out of memory")
    assert (failed["seed"], failed["output"], failed["depth_weight"]) == (42, None, None)


def test_columns_and_their_types_do_not_depend_on_the_runs(entries: list[ManifestEntry], tmp_path: Path) -> None:
    for name, some in (("all", entries), ("last", entries[1:])):
        write_table(tmp_path / f"{name}.parquet", some)
        write_table(tmp_path / f"{name}.csv", some)

    schemas = [pq.read_schema(tmp_path / f"{name}.parquet") for name in ("all", "last")]
    assert schemas[0].equals(schemas[1])
    assert schemas[0].names == list(COLUMNS)
    assert schemas[0].field("guidance").type == pa.float64()
    with (tmp_path / "all.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    whole = pq.read_table(tmp_path / "all.parquet").to_pylist()
    assert [row["prompt"] for row in rows] == [row["prompt"] for row in whole]
    assert (rows[0]["keep_input_resolution"], rows[0]["seed"], rows[1]["output"]) == ("false", "42", "")


@pytest.mark.parametrize("name", ["runs.xlsx", "none/runs.csv", "folder.csv"])
def test_a_name_that_holds_no_table_is_refused_first(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="--manifest"):
        check_table(tmp_path / name)
