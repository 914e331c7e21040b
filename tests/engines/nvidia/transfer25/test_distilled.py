"""The distilled edge model of Transfer2.5's script: what it takes, what is written, what it costs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cosmos_batch.engines.nvidia.config import ScriptConfig
from cosmos_batch.engines.nvidia.config_file import read_config
from cosmos_batch.engines.nvidia.scripts import SCRIPTS
from cosmos_batch.engines.nvidia.transfer25.distilled import TRAITS
from cosmos_batch.errors import InputError
from cosmos_batch.formats import read_files
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.planning.equivalence import work_of
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Sampling
from tests.support.nvidia_files import as_written, fingerprints, planned, read_back, records
from tests.support.runs import MakeRun

NAME = "transfer25-distilled"


def test_a_spec_of_nvidias_is_written_as_it_was_read(tmp_path: Path, street: str) -> None:
    spec = {"name": "a", "prompt": "snow", "video_path": street, "num_steps": 4, "edge": {"control_weight": 0.5}}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    read = read_files([tmp_path / "spec.json"]).runs
    (launch,) = planned(read, NAME).launches

    written = SCRIPTS[NAME].write(launch, tmp_path / "out", ControlCache(tmp_path / "cache"), str)

    (record,) = records(written)
    assert (record["num_steps"], record["guidance"]) == (4, 0)
    assert fingerprints(read_back(written, NAME)) == fingerprints([as_written(written.samples[0])])
    argv = SCRIPTS[NAME].argv(ScriptConfig(folder="/opt/script"), written)
    assert argv[-1] == "--model=edge/distilled"
    assert SCRIPTS[NAME].environment == {"COSMOS_EXPERIMENTAL_CHECKPOINTS": "1"}


def test_plans_count_unguided_steps(make_run: MakeRun) -> None:
    work = work_of(make_run("edge", guidance=3.0, num_steps=3), Shape(1280, 704, 93), TRAITS)
    assert (work.steps, work.rows) == (3, 1)
    work = work_of(make_run("edge"), Shape(1280, 704, 93), TRAITS)
    assert (work.steps, work.rows) == (4, 1)


def test_settings_without_effect_are_noticed(make_run: MakeRun) -> None:
    run = make_run("edge", guidance=3.0)
    (guidance,) = TRAITS.notices(run, VideoInfo(64, 48, 93, 24.0))
    assert "the distilled model has no guidance" in guidance.message
    (frames,) = TRAITS.notices(make_run("edge"), VideoInfo(64, 48, 94, 24.0))
    assert "was not trained to go on from earlier frames" in frames.message
    assert TRAITS.notices(make_run("edge"), None) == ()


def test_its_configuration_is_that_of_the_script(tmp_path: Path) -> None:
    file = tmp_path / "scripts.toml"
    file.write_text('[transfer25]\nfolder = "/opt/cosmos-transfer2.5"\n')
    assert read_config(file, NAME).script.folder == "/opt/cosmos-transfer2.5"
    file.write_text('[transfer25-distilled]\nfolder = "/opt/cosmos-transfer2.5"\n')
    with pytest.raises(InputError) as caught:
        read_config(file, NAME)
    assert {problem.field for problem in caught.value.problems} == {"transfer25", NAME}


def test_settings_that_the_user_gives_stay() -> None:
    assert Sampling(num_steps=2).over(TRAITS.defaults).num_steps == 2
