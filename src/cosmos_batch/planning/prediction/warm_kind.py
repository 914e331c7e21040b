"""Choose the kind that an idle device loads before a run of it arrives."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp

from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.plan import Kind
from cosmos_batch.planning.policies.placement import switch_seconds

LEAST_SAVING = 0.5
"""Seconds of loading that the next run is to be spared at least; less is not worth the reads."""


def kind_to_load(
    loaded: Kind | None, rates: Mapping[Kind, float], held_elsewhere: Mapping[str, int], cost: CostModel
) -> Kind | None:
    """Return the kind for which an idle device is to load, so that the next run waits least; None: none.

    The next run is of a kind with a probability in proportion to the kind's rate (of competing Poisson processes,
    Kingman 1993, "Poisson Processes", section 2.4). A kind spares it the difference between its load from what is
    loaded and from that kind. Against that stands the chance that a run arrives while the device loads, in
    which case it waits for the rest of the load, half of it in the mean.

    Args:
        loaded: what the device holds; None: nothing.
        rates: arrivals per second of each kind, above 0.
        held_elsewhere: labels of the kinds that other idle devices hold, which will begin those runs.
    """
    open_rates = {kind: rate for kind, rate in rates.items() if kind.label not in held_elsewhere and rate > 0}
    total = sum(open_rates.values())
    if not total:
        return None

    def wait(held: Kind | None) -> float:
        return sum(rate * switch_seconds(held, kind, cost) for kind, rate in open_rates.items()) / total

    now = wait(loaded)
    best, best_saving = None, LEAST_SAVING
    for kind in open_rates:
        seconds = switch_seconds(loaded, kind, cost)
        meanwhile = (1.0 - exp(-total * seconds)) * seconds / 2
        saving = now - wait(kind) - meanwhile
        if saving > best_saving:
            best, best_saving = kind, saving
    return best
