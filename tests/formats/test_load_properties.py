"""Properties of the reader that hold for any file content."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosmos_batch.formats import read_files
from tests.support.format_files import minimal

FEW = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

GOOD_LINES = st.builds(
    lambda prompt, seed, weights, priority: json.dumps(
        minimal(
            prompt=f"p{prompt}",
            priority=priority,
            execution_config={"weights": weights | {"edge": 0.5}, "seed": seed},
        )
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30),
    st.integers(0, 2**63 - 1),
    st.dictionaries(st.sampled_from(["edge", "vis", "depth", "seg"]), st.floats(0, 1)),
    st.none() | st.integers(-1000, 1000) | st.sampled_from(["low", "normal", "high", "urgent"]),
)
BAD_LINES = st.sampled_from(
    [
        "{",
        "[]",
        "null",
        '{"id": "a"}',
        '{"id": "a", "id": "a"}',
        json.dumps(minimal(id="../up")),
        json.dumps(minimal(prompt="\ud800")),
        json.dumps(minimal(prompt="\0")),
        json.dumps(minimal(extra=1)),
        json.dumps(minimal(execution_config={"weights": {"edge": 2, "vis": float("nan")}})),
        json.dumps(minimal(inputs={"video": "absent.mp4"})),
        json.dumps(minimal())[:-1],
    ]
)


@FEW
@given(
    lines=st.lists(
        st.tuples(st.just(True), GOOD_LINES) | st.tuples(st.just(False), BAD_LINES), min_size=1, max_size=8
    )
)
def test_good_lines_give_runs_and_bad_lines_problems(tmp_path: Path, lines: list[tuple[bool, str]]) -> None:
    path = tmp_path / "mix.jsonl"
    path.write_text("\n".join(line for _, line in lines), encoding="utf-8")

    reading = read_files([path])

    good = [number for number, (fine, _) in enumerate(lines, 1) if fine]
    bad = {number for number, (fine, _) in enumerate(lines, 1) if not fine}
    assert [run.id for run in reading.runs] == [f"mix-{number}" for number in good]
    assert {problem.line for problem in reading.problems} == bad


KEYS = st.sampled_from(
    [
        *("id", "prompt", "inputs", "execution_config", "weights", "edge", "seg", "video", "runs", "seed"),
        *("name", "video_path", "control_path", "prompt_path", "input_video_path", "control_weight"),
        *("visual_input", "control_overrides", "input_control", "priority"),
    ]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([0.5, "a.mp4"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=5),
    max_leaves=15,
)


@FEW
@given(values=st.lists(JSON, min_size=1, max_size=4), base=JSON, cut=st.integers(0, 30))
def test_malformed_json_never_raises(tmp_path: Path, values: list[Any], base: Any, cut: int) -> None:
    text = "\n".join(json.dumps(value) for value in values)
    path, spec = tmp_path / "any_1.jsonl", tmp_path / "any_1_spec.json"
    path.write_text(text[: len(text) - cut], encoding="utf-8")
    spec.write_text(json.dumps(base), encoding="utf-8")

    for files in ([path], [spec], [path, spec]):
        reading = read_files(files)
        assert all(str(problem).isprintable() for problem in reading.problems)
        assert reading.runs or reading.problems


@FEW
@given(content=st.binary(max_size=200) | st.text(alphabet='{}[]",:\\ \n\r\tae0-.Nd\ud800', max_size=60))
def test_arbitrary_bytes_never_raise(tmp_path: Path, content: bytes | str) -> None:
    path = tmp_path / "any.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))

    reading = read_files([path])

    assert reading.problems
    assert reading.runs == ()
