"""How long a store or a web server is tried that does not answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

_T = TypeVar("_T")
TRIES = 24  # with the waits between them about three minutes
FIRST_TRIES = 5  # before a store has answered once, four seconds: a wrong address is reported soon
FIRST_WAIT = 0.25  # seconds; doubled after every try
LONGEST_WAIT = 10.0  # seconds


class Patience:
    """Repeats calls that fail for a reason that may pass. Any thread may use it."""

    def __init__(
        self, passing: Callable[[BaseException], bool], sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """`passing`: whether an error may pass by itself."""
        self._passing = passing
        self._sleep = sleep
        self._answered = False

    def __call__(self, call: Callable[[], _T]) -> _T:
        """Return what a call returns. Raises its last error."""
        policy = Retrying(
            retry=retry_if_exception(self._passing),
            wait=wait_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT),
            stop=stop_after_attempt(TRIES if self._answered else FIRST_TRIES),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            made = policy(call)
        except BaseException as error:
            self._answered = self._answered or not self._passing(error)
            raise
        self._answered = True
        return made
