"""The work of a simulated device: the runs of its batch, and the seconds of the next steps."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

from cosmos_batch.dispatch.contract import SlotView
from cosmos_batch.planning.batch_size import Load, sizing
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.equivalence import RunClass
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import ResolvedRun, Signature


class StepCosts:
    """Seconds of denoising steps and of coding videos, by the class of a run."""

    def __init__(self, cost: CostModel) -> None:
        self.cost = cost
        self._known: dict[RunClass, tuple[float, float]] = {}

    def of(self, run_class: RunClass) -> tuple[float, float]:
        """Return the seconds that a run adds to a step, and those of its videos when it ends."""
        known = self._known.get(run_class)
        if known is None:
            work = run_class.work
            coding = self.cost.coding_seconds(work)
            known = self._known[run_class] = (self.cost.run_seconds(work) - coding) / work.steps, coding
        return known


@dataclass(slots=True)
class RunningSlot:
    """A run in a batch."""

    run: ResolvedRun
    run_class: RunClass
    attempt: int
    step_seconds: float  # that it adds to a step
    coding_seconds: float
    done: int  # denoising steps
    breaks_at: int | None  # steps after which it crashes its worker

    @property
    def steps(self) -> int:
        """Denoising steps in all."""
        return self.run_class.work.steps


class SimulatedBatch:
    """Runs that are denoised together, in segments: steps after which no run ends and none joins."""

    __slots__ = (
        "_before_steps",
        "_closed",
        "_controls",
        "_costs",
        "_deviation",
        "_each",
        "_overhead",
        "_started",
        "_traits",
        "ends",
        "slots",
        "steps",
    )

    def __init__(
        self, costs: StepCosts, traits: Traits, controls: Signature, deviation: float, closed: bool
    ) -> None:
        """`deviation`: of its times from the predicted ones, as a factor; `closed`: no run may join."""
        self._costs = costs
        self._traits = traits
        self._controls = controls
        self._deviation = deviation
        self._closed = closed
        self._overhead = costs.cost.batch  # to be spent in the next segment
        self._started = 0.0
        self._before_steps = 0.0
        self._each = 0.0  # seconds of a step
        self.steps = 0  # of the segment
        self.ends = 0.0
        self.slots: dict[str, RunningSlot] = {}

    def add(self, slot: RunningSlot) -> None:
        """Add a run between two segments."""
        self.slots[slot.run.id] = slot

    def views(self) -> tuple[SlotView, ...]:
        """Return the slots as a scheduler sees them."""
        return tuple(
            [SlotView(slot.run, slot.attempt, slot.done, slot.steps, False) for slot in self.slots.values()]
        )

    def begin_segment(self, now: float) -> float:
        """Begin the steps up to the next end or crash of a run; return when that is."""
        slots, together = self.slots.values(), 0.0
        steps, ending = min([_left(slot) for slot in slots]), 0.0
        for slot in slots:
            together += slot.step_seconds
            if slot.run_class.work.steps - slot.done == steps:
                ending += slot.coding_seconds
        self.steps = steps
        self._each = (self._costs.cost.step + together) * self._deviation
        self._started, self._before_steps = now, self._overhead * self._deviation
        self._overhead = 0.0
        self.ends = now + self._before_steps + self.steps * self._each + ending * self._deviation
        return self.ends

    def steps_done(self, at: float) -> int:
        """Return how many steps of the segment are done at a time before its end."""
        if self._each <= 0:
            return 0
        return max(0, min(self.steps, floor((at - self._started - self._before_steps) / self._each + 1e-9)))

    def cut(self, at: float) -> float | None:
        """End the segment with the step that is being done at a time; return when. None: it ends there anyway."""
        if self._each <= 0:
            return None
        steps = max(1, ceil((at - self._started - self._before_steps) / self._each - 1e-9))
        if steps >= self.steps:
            return None
        self.steps = steps
        self.ends = self._started + self._before_steps + steps * self._each
        return self.ends

    def end_segment(self) -> tuple[list[RunningSlot], RunningSlot | None]:
        """Count the steps of the segment; return the runs that have ended, and the one that crashes the worker."""
        ended = []
        for slot in list(self.slots.values()):
            slot.done += self.steps
            if slot.breaks_at == slot.done:
                return [], slot
            if slot.done >= slot.steps:
                ended.append(self.slots.pop(slot.run.id))
        return ended, None

    def saved(self, slot: RunningSlot, at: float, every: float) -> int:
        """Return the steps of a run in its latest checkpoint, at a time within a segment."""
        done = slot.done + self.steps_done(at)
        return done - done % max(1, ceil(every / self._each)) if self._each > 0 else done

    def saved_at_end(self, slot: RunningSlot, every: float) -> int:
        """Return the steps of a run in its latest checkpoint, at the end of a segment."""
        return slot.done - slot.done % max(1, ceil(every / self._each)) if self._each > 0 else slot.done

    def takes(self, run_class: RunClass, max_runs: int | None) -> bool:
        """Whether a run of a class may join."""
        if self._closed or not self._traits.steppable or not self.slots:
            return False
        if run_class.batch_key != next(iter(self.slots.values())).run_class.batch_key:
            return False
        if max_runs is not None and len(self.slots) >= max_runs:
            return False
        load = Load()
        for slot in self.slots.values():
            load.add(slot.run_class, 1)
        bounds = sizing(self._traits, self._costs.cost, self._controls)
        return set(run_class.signature) <= set(self._controls) and bounds.capacity_left(run_class, load) > 0


def _left(slot: RunningSlot) -> int:
    left = slot.run_class.work.steps - slot.done
    if slot.breaks_at is not None and slot.done < slot.breaks_at:
        left = min(left, slot.breaks_at - slot.done)
    return left
