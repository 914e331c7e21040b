"""The guardrail: what blocks, what fails, and what passes, with a checker that does as it is told."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

import numpy as np
import pytest

from cosmos_batch.engines.inprocess.guardrail import NoGuardrail, NvidiaGuardrail, check_prompts
from cosmos_batch.errors import EngineError, MissingExtraError
from cosmos_batch.media.video import Frames

PACKAGE_LOG = logging.getLogger("cosmos_guardrail.cosmos_guardrail")


def frames(count: int) -> Frames:
    return np.arange(count * 4 * 6 * 3, dtype=np.uint8).reshape(count, 4, 6, 3)


class FakeChecker:
    """Blocks prompts with "weapon" in them, and does `to_video` to groups of frames."""

    def __init__(self, to_video: Callable[[Frames], Frames | None] = lambda group: group) -> None:
        self.to_video = to_video
        self.prompts: list[str] = []
        self.groups: list[int] = []

    def check_text_safety(self, prompt: str) -> bool:
        self.prompts.append(prompt)
        if "weapon" in prompt:
            PACKAGE_LOG.critical("GUARDRAIL BLOCKED: BLOCKLIST: Prompt blocked by censorship")
            return False
        if "crash" in prompt:
            raise RuntimeError("CUDA error")
        if "odd" in prompt:  # what the package does where its language model fails
            PACKAGE_LOG.error("Unexpected error occurred when running Qwen3Guard guardrail: no label")
        return True

    def check_video_safety(self, group: Frames) -> Frames | None:
        self.groups.append(len(group))
        return self.to_video(group)


def test_a_safe_prompt_passes() -> None:
    assert NvidiaGuardrail(FakeChecker()).check_prompt("a robot arm in the snow") is None


def test_a_blocked_prompt_says_why() -> None:
    reason = NvidiaGuardrail(FakeChecker()).check_prompt("a weapon")
    assert reason == "BLOCKLIST: Prompt blocked by censorship"


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("a crash", r"the guardrail failed at the prompt \(RuntimeError: CUDA error\)"),
        ("an odd thing", "did not complete its check of the prompt: Unexpected error .* no label"),
    ],
)
def test_a_check_that_failed_is_never_a_pass(prompt: str, message: str) -> None:
    guardrail = NvidiaGuardrail(FakeChecker())
    with pytest.raises(EngineError, match=message):
        guardrail.check_prompt(prompt)
    assert guardrail.check_prompt("a robot arm") is None  # the next run is checked afresh


def test_an_answer_that_is_neither_yes_nor_no_is_an_error() -> None:
    class Undecided(FakeChecker):
        def check_text_safety(self, prompt: str) -> bool:  # noqa: ARG002
            return None  # type: ignore[return-value]

    with pytest.raises(EngineError, match="answer on a prompt is None"):
        NvidiaGuardrail(Undecided()).check_prompt("a robot arm")


def test_the_negative_prompt_is_checked_too_unless_it_is_empty() -> None:
    checker = FakeChecker()
    guardrail = NvidiaGuardrail(checker)
    assert check_prompts(guardrail, "snow", "blurry") is None
    assert check_prompts(guardrail, "snow", " ") is None
    assert check_prompts(guardrail, "snow", None) is None
    assert checker.prompts == ["snow", "blurry", "snow", "snow"]


@pytest.mark.parametrize(
    ("prompt", "negative", "wanted"),
    [
        ("a weapon", "blurry", "prompt: BLOCKLIST"),
        ("snow", "a weapon", "negative prompt: BLOCKLIST"),
        ("a weapon", "a weapon", "prompt: BLOCKLIST"),
    ],
)
def test_a_block_names_the_prompt_that_caused_it(prompt: str, negative: str, wanted: str) -> None:
    reason = check_prompts(NvidiaGuardrail(FakeChecker()), prompt, negative)
    assert reason is not None
    assert reason.startswith(wanted)


def test_faces_are_blurred_group_by_group_and_the_given_frames_stay_as_they_were() -> None:
    # Given a checker that writes into what it gets, as the package does
    def blur(group: Frames) -> Frames:
        group[:, 0] = 0
        return group

    checker = FakeChecker(blur)
    given = frames(150)
    # When a video longer than a group is checked
    checked = NvidiaGuardrail(checker).check_video(given)
    # Then all of it went through, in order, and the input was left alone
    assert checked is not None
    assert checker.groups == [64, 64, 22]
    assert not checked[:, 0].any()
    np.testing.assert_array_equal(checked[:, 1:], given[:, 1:])
    np.testing.assert_array_equal(given, frames(150))


def test_one_unsafe_group_blocks_the_video() -> None:
    checker = FakeChecker(lambda group: None if len(group) < 64 else group)
    assert NvidiaGuardrail(checker).check_video(frames(70)) is None


def unfinished(group: Frames) -> Frames:
    PACKAGE_LOG.warning("Warning: Failed to run safety classifier on frame_number 3")
    return group


def broken(group: Frames) -> Frames:
    raise ValueError(f"{len(group)} frames")


@pytest.mark.parametrize(
    ("to_video", "message"),
    [
        (unfinished, "did not complete its check of the video: Warning: Failed to run"),
        (broken, r"failed at the video \(ValueError: 5 frames\)"),
        (lambda group: group[:2], r"gave frames of shape \(2, 4, 6, 3\)"),
        (lambda group: group.astype(np.float32), "type float32; needed are .* and uint8"),
    ],
)
def test_a_video_check_that_went_wrong_is_an_error(to_video: Callable[[Frames], Frames], message: str) -> None:
    with pytest.raises(EngineError, match=message):
        NvidiaGuardrail(FakeChecker(to_video)).check_video(frames(5))


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cosmos_guardrail", None)
    with pytest.raises(MissingExtraError, match=r"guardrail.* pip install 'cosmos-batch\[nvidia\]'"):
        NvidiaGuardrail()


def test_no_guardrail_lets_everything_through() -> None:
    given = frames(2)
    assert NoGuardrail().check_prompt("a weapon") is None
    assert NoGuardrail().check_video(given) is given
