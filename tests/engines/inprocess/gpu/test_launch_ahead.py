"""The host goes ahead of short steps, and not of long ones."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from cosmos_batch.engines.inprocess.gpu.launch_ahead import LaunchAhead


@dataclass
class Device:
    """A device whose steps take their time once it is waited for."""

    milliseconds: float
    marks: list[Place] = field(default_factory=list)
    over: list[int] = field(default_factory=list)

    def mark(self) -> Place:
        self.marks.append(Place(self, len(self.marks)))
        return self.marks[-1]


@dataclass
class Place:
    """A mark behind one of its steps."""

    device: Device
    number: int

    def synchronize(self) -> None:
        self.device.over.append(self.number)

    def elapsed_time(self, later: Place) -> float:
        return (later.number - self.number) * self.device.milliseconds


# steps that are over when the fourth and the fifth are asked for
@pytest.mark.parametrize(
    ("milliseconds", "fourth", "fifth"),
    [
        (30.0, [0, 1], [0, 1, 2]),  # the third is still being done while the fourth is launched
        (1600.0, [0, 1, 2], [0, 1, 2, 3]),
    ],
)
def test_short_steps_are_asked_for_while_the_one_before_is_done(
    milliseconds: float, fourth: list[int], fifth: list[int]
) -> None:
    device = Device(milliseconds)
    lead = LaunchAhead(device.mark)
    seen = []
    for _ in range(5):
        lead.wait()
        seen.append(list(device.over))
        lead.asked()

    assert seen[0] == []
    assert seen[3:] == [fourth, fifth]


def test_a_step_that_got_long_is_waited_for_again() -> None:
    device = Device(30.0)
    lead = LaunchAhead(device.mark)
    for _ in range(5):
        lead.wait()
        lead.asked()

    device.milliseconds = 1600.0
    lead.wait()

    assert device.over == [0, 1, 2, 3, 4]


def test_a_device_without_a_queue_is_never_waited_for() -> None:
    lead = LaunchAhead(None)
    for _ in range(3):
        lead.wait()
        lead.asked()
