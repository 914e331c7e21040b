"""What a prediction says, in sentences for people: expected runs, the window in force, what was saved."""

from __future__ import annotations

from cosmos_batch.ledger.prediction import ExpectedKind, Saving
from cosmos_batch.planning.policies.flush import FlushRules


def expected_text(kind: ExpectedKind, age: float) -> str:
    """Say which runs are expected, as "edge + depth: next in about 40 s, 3 an hour".

    `age`: of the prediction, in seconds.
    """
    controls = " + ".join(kind.controls) or "no controls"
    hourly = f"{_rate(kind.per_hour)} an hour"
    if kind.next_in is None:
        return f"{controls}: {hourly}"
    left = kind.next_in - age
    return f"{controls}: next {f'in about {_span(left)}' if left >= 1 else 'at any moment'}, {hourly}"


def window_text(rules: FlushRules, chosen: FlushRules | None, reason: str, joinable: bool) -> str:
    """Say for how long runs wait for others to batch with, and why.

    `rules`: of the settings; `chosen`: in force; `joinable`: runs can join a running batch.
    """
    if chosen is None and joinable:
        return "runs start at once where a device is idle, since others can join later"
    if chosen is None or chosen.seconds == rules.seconds:
        return f"runs wait up to {_span(rules.seconds)} for others, as set" + (f": {reason}" if reason else "")
    return f"runs wait up to {_span(chosen.seconds)} for others, where {_span(rules.seconds)} are set: {reason}"


def saving_text(saving: Saving) -> str:
    """Say what the rules in force saved or cost against those of the settings; "" where nothing was compared."""
    if not saving.runs:
        return ""
    each = saving.seconds / saving.runs
    times = f"{'saved' if each >= 0 else 'cost'} {_span(abs(each))} a run"
    device = f"{'saved' if saving.gpu_seconds >= 0 else 'cost'} {_span(abs(saving.gpu_seconds))} of the devices"
    return f"prediction has {times} and {device} over {saving.runs:,} runs, replayed against the fixed rules"


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 9.5 else f"{rate:.1f}".removesuffix(".0")


def _span(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} days"
