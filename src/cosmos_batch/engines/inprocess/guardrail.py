"""The check of prompts and videos that NVIDIA's licence asks for with its weights.

NVIDIA's checker is the package `cosmos-guardrail` (Apache-2.0; its own weights come from the hub under NVIDIA's
licence). It was read at version 0.3.2, where

- prompts go through a word list and a language model. An error within the latter is logged, and the prompt passes;
- in videos, only faces are detected, frame by frame, and blurred in place;
- why something was blocked is logged, not returned.

So `NvidiaGuardrail` reads the package's log: a block takes its reason from there, and a warning or error there
fails the check. Any failure of a check is an EngineError of that run, and never a pass.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Protocol, TypeVar

import numpy as np
import torch

from cosmos_batch.errors import EngineError, MissingExtraError, ModelError
from cosmos_batch.media.video import Frames

_LOG = "cosmos_guardrail"
_FRAMES = 64
"""Frames checked at a time; the package turns them into float32 all at once."""

_ONE_AT_A_TIME = Lock()
"""Prompts are checked in one thread and videos in another, and the package has one log for all."""

T = TypeVar("T")


class Guardrail(Protocol):
    """Checks prompts and videos. Raises EngineError where a check could not be done."""

    def check_prompt(self, text: str) -> str | None:
        """Why the prompt is blocked; None: it is not."""

    def check_video(self, frames: Frames) -> Frames | None:
        """The frames [T, H, W, 3], perhaps with faces blurred; None: the video is blocked."""


class Checker(Protocol):
    """The part of the package's CosmosSafetyChecker that is used."""

    def check_text_safety(self, prompt: str) -> bool:
        """Whether a prompt is safe."""

    def check_video_safety(self, frames: Frames) -> Frames | None:
        """The frames with faces blurred, perhaps in place; None: unsafe."""


def check_prompts(guardrail: Guardrail, prompt: str, negative_prompt: str | None) -> str | None:
    """Why a run's prompts are blocked; None: they are not.

    The negative prompt is checked too, as NVIDIA's own Transfer2.5 does; diffusers' pipeline does not. An empty
    one is not checked: NVIDIA's word list refuses any empty text, which would block runs that have none.
    """
    reason = guardrail.check_prompt(prompt)
    if reason is not None:
        return f"prompt: {reason}"
    if negative_prompt and not negative_prompt.isspace():
        reason = guardrail.check_prompt(negative_prompt)
    return None if reason is None else f"negative prompt: {reason}"


def checks_of(guardrail: Guardrail, negative_prompt: str | None) -> tuple[str, ...]:
    """The parts of a run that are checked; none by `NoGuardrail`."""
    if isinstance(guardrail, NoGuardrail):
        return ()
    negative = ("negative prompt",) if negative_prompt and not negative_prompt.isspace() else ()
    return ("prompt", *negative, "video")


class NoGuardrail:
    """Checks nothing, for models whose licence requires no check."""

    def check_prompt(self, text: str) -> str | None:  # noqa: ARG002 - the protocol's name
        """Block nothing."""
        return None

    def check_video(self, frames: Frames) -> Frames | None:
        """The same frames."""
        return frames


class NvidiaGuardrail:
    """NVIDIA's checker; loaded at once, so that a missing part is reported before the first run."""

    def __init__(self, checker: Checker | None = None) -> None:
        """
        Args:
            checker: default: the package's own, on the first CUDA device or else the CPU.
                Raises MissingExtraError without the package, ModelError where its weights cannot be had.
        """
        self._checker = checker or load_checker()

    def check_prompt(self, text: str) -> str | None:
        """Why the prompt is blocked; None: it is not."""
        safe, log = _checked(lambda: self._checker.check_text_safety(text), "prompt")
        if not isinstance(safe, bool):
            raise EngineError(f"the guardrail's answer on a prompt is {safe!r}; needed is True or False")
        return None if safe else log.reason or "unsafe text"

    def check_video(self, frames: Frames) -> Frames | None:
        """The frames [T, H, W, 3] with faces blurred; None: the video is blocked."""
        checked = []
        for start in range(0, len(frames), _FRAMES):
            group = frames[start : start + _FRAMES].copy()  # the checker modifies its argument
            safe, _ = _checked(lambda group=group: self._checker.check_video_safety(group), "video")  # type: ignore[misc]
            if safe is None:
                return None
            if safe.shape != group.shape or safe.dtype != np.uint8:
                raise EngineError(
                    f"the guardrail gave frames of shape {safe.shape} and type {safe.dtype}; "
                    f"needed are {group.shape} and uint8"
                )
            checked.append(safe)
        return np.concatenate(checked) if checked else frames


def load_checker() -> Checker:
    """The package's checker with its weights. Raises MissingExtraError and ModelError."""
    try:
        from cosmos_guardrail import CosmosSafetyChecker
    except ImportError as exc:
        raise MissingExtraError(
            "NVIDIA's guardrail, which its licence asks for with its weights,", "nvidia"
        ) from exc
    try:
        checker = CosmosSafetyChecker()
        checker.to("cuda" if torch.cuda.is_available() else "cpu")
    except Exception as exc:  # downloads, several model libraries: any error means that it cannot be had
        raise ModelError(f"NVIDIA's guardrail does not load ({type(exc).__name__}: {exc})") from exc
    return checker


class _Log(logging.Handler):
    """Messages that the package logged during one check."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.reason = ""
        self.trouble = ""

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.levelno >= logging.CRITICAL:
            self.reason = message.removeprefix("GUARDRAIL BLOCKED: ")
        else:
            self.trouble = self.trouble or message


@contextmanager
def _listening() -> Iterator[_Log]:
    logger, log = logging.getLogger(_LOG), _Log()
    logger.addHandler(log)
    try:
        yield log
    finally:
        logger.removeHandler(log)


def _checked(check: Callable[[], T], what: str) -> tuple[T, _Log]:
    with _ONE_AT_A_TIME, _listening() as log:
        try:
            answer = check()
        except Exception as exc:
            raise EngineError(f"the guardrail failed at the {what} ({type(exc).__name__}: {exc})") from exc
    if log.trouble and not log.reason:
        raise EngineError(f"the guardrail did not complete its check of the {what}: {log.trouble}")
    return answer, log
