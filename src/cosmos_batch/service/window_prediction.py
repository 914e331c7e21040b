"""The batching window of a service with scripts, which no run can join: chosen by replays of its arrivals."""

from __future__ import annotations

from cosmos_batch.ledger.prediction import Saving
from cosmos_batch.planning.batch_size import Load, sizing
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.equivalence import RunClass
from cosmos_batch.planning.plan import Kind
from cosmos_batch.planning.policies.flush import FlushRules
from cosmos_batch.planning.traits import Traits
from cosmos_batch.simulation.shadow.window_choice import (
    EVERY,
    WINDOWS,
    ShadowReplays,
    WindowChooser,
    fixed_window,
)
from cosmos_batch.simulation.shadow.window_replay import ReplayCost, ReplayedKind, ReplayedRun, WindowReplay


class WindowPrediction:
    """Replays every arrival under the rules that are set and under fixed windows, and follows the best."""

    def __init__(self, traits: Traits, rules: FlushRules, devices: int, before: Saving) -> None:
        """`rules`: as set; `before`: what was saved before."""
        self.devices = devices
        self._traits = traits
        candidates = (rules, *map(fixed_window, WINDOWS))
        self._shadows = ShadowReplays(candidates, devices)
        self._chooser = WindowChooser(len(candidates))
        self._followed = WindowReplay(rules, devices)  # with the rules as they were chosen
        self._before = before
        self._start = ReplayCost(), ReplayCost()  # as set, and as chosen, when saving began
        self._runs = 0
        self._runs_at_start = 0

    @property
    def rules(self) -> FlushRules | None:
        """The chosen rules; None: as set."""
        return self._shadows.candidates[self._chooser.chosen] if self._chooser.chosen else None

    @property
    def reason(self) -> str:
        """Why these rules are in force, in a sentence."""
        if self._runs < EVERY:
            return f"as set: a window is chosen after {EVERY} runs, and {self._runs} have come"
        if not self._chooser.chosen:
            return "as set: replays of the runs that came show no better window"
        seconds = self._shadows.candidates[self._chooser.chosen].seconds
        gain = 100 * self._chooser.advantage(0)
        return f"a window of {seconds:g} s: replays of the runs that came take {gain:.1f} % less than as set"

    @property
    def saving(self) -> Saving:
        """What the choices have saved so far."""
        as_set, chosen = self._costs()
        start_as_set, start_chosen = self._start
        seconds = as_set.seconds - start_as_set.seconds - (chosen.seconds - start_chosen.seconds)
        gpu = as_set.gpu_seconds - start_as_set.gpu_seconds - (chosen.gpu_seconds - start_chosen.gpu_seconds)
        before = self._before
        runs = self._runs - self._runs_at_start
        return Saving(before.runs + runs, before.seconds + seconds, before.gpu_seconds + gpu)

    def begin_saving(self) -> None:
        """Count what is saved from now on: earlier runs were not made with these choices."""
        self._start = self._costs()
        self._runs_at_start = self._runs

    def _costs(self) -> tuple[ReplayCost, ReplayCost]:
        return self._shadows.costs()[0], self._followed.cost()

    def arrive(self, at: float, run_class: RunClass, cost: CostModel) -> None:
        """Replay the arrival of a run, at a time in seconds, with costs as they are known now."""
        kind = Kind(run_class.launch_key, run_class.signature)
        runs = sizing(self._traits, cost, run_class.signature).capacity_left(run_class, Load())
        overhead = cost.overhead_seconds(run_class.work.steps)
        replayed = ReplayedKind(kind.label, cost.load_seconds(len(run_class.signature)), max(1, runs), overhead)
        run = ReplayedRun(at, replayed, cost.run_seconds(run_class.work))
        self._shadows.arrive(run)
        self._followed.arrive(run)
        self._runs += 1
        if self._runs % EVERY == 0:
            self._chooser.choose(self._shadows.costs())
            self._followed.rules = self._shadows.candidates[self._chooser.chosen]
