"""Signals while a command runs: the first requests a stop, the second ends the command."""

from __future__ import annotations

import os
import signal
from threading import Event, Lock, current_thread, main_thread

import pytest

from cosmos_batch.cli.signals import STOPPING, stop_on_signals
from cosmos_batch.dispatch.settings import StopToken


def test_first_signal_requests_a_stop_and_the_second_ends_the_command() -> None:
    stop, reported, messages = StopToken(), Event(), []

    def report(message: str) -> None:
        messages.append(message)
        reported.set()

    with stop_on_signals(stop, report):
        os.kill(os.getpid(), signal.SIGINT)
        assert reported.wait(10)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    assert messages == [STOPPING]


def test_signal_in_the_middle_of_a_print_does_not_enter_it_again() -> None:
    stop, printing, reported = StopToken(), Lock(), Event()

    def report(_message: str) -> None:
        assert current_thread() is not main_thread()
        with printing:
            reported.set()

    with stop_on_signals(stop, report):
        with printing:
            os.kill(os.getpid(), signal.SIGINT)
        assert reported.wait(10)


def test_handlers_are_restored() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with stop_on_signals(StopToken(), lambda _message: None):
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
