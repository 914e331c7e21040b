"""Exit cause and steps of a script by its log."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_batch.engines.nvidia.logs import ExitCause, StepCounter, diagnose

TRACEBACK = 'Traceback (most recent call last):\n  File "transfer.py", line 387, in demo\n'
ENTIRE = "[11-23 10:00:00|CRITICAL|transfer.py:377:demo] Guardrail blocked generation for entire batch.\n"
BLOCKED = ENTIRE + TRACEBACK + "TypeError: cannot unpack non-iterable NoneType object\n"
MEMORY = TRACEBACK + "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has ...\n"
TORCHRUN = "[rank0]: " + MEMORY.splitlines()[-1] + "\ntorch.distributed.elastic.errors.ChildFailedError: \n====\n"
PROMPT = "prompt: 'CUDA out of memory'\n" + TRACEBACK + "ValueError: no frames\nsome last words\n"


@pytest.mark.parametrize(
    ("log", "status", "death"),
    [
        (BLOCKED, 1, ExitCause.BLOCKED),
        (BLOCKED.removeprefix(ENTIRE), 1, ExitCause.ERROR),  # an error of the same words, elsewhere
        (MEMORY, 1, ExitCause.MEMORY),
        (TORCHRUN, 1, ExitCause.MEMORY),
        (PROMPT, 1, ExitCause.ERROR),  # a prompt that speaks of memory is no error
        ("", 1, ExitCause.ERROR),
        (MEMORY, 137, ExitCause.KILLED),
    ],
)
def test_last_error_of_the_log_is_the_cause(tmp_path: Path, log: str, status: int, death: ExitCause) -> None:
    (tmp_path / "log").write_text(log)

    assert diagnose(tmp_path / "log", status).cause is death


def test_bars_over_steps_add_up_over_chunks(tmp_path: Path) -> None:
    log = tmp_path / "log"
    counter = StepCounter(log)
    assert (counter.read(), counter.steps_done(35, 2)) == (False, 0)

    log.write_text(
        "\r 10%|#   | 4/35 [00:01<00:09]\r100%|####| 35/35 [00:09<00:00]\r100%|####| 35/35 [00:09<00:00]"
    )
    assert (counter.read(), counter.steps_done(35, 2)) == (True, 35)

    with log.open("a") as stream:
        stream.write("\r  3%|#   | 1/35 [00:01<00:09]")
    assert (counter.read(), counter.steps_done(35, 2)) == (True, 36)


def test_bars_over_chunks_count_whole_chunks(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("\r 50%|## | 1/2 [00:30<00:30]")
    counter = StepCounter(tmp_path / "log")
    counter.read()

    assert counter.steps_done(35, 2) == 35
