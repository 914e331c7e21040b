"""The host launches short steps ahead of the device, and long ones after the step before."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch

from cosmos_batch.engines.inprocess.gpu.launch_ahead import LaunchAhead


@dataclass
class Device:
    """A device whose steps take their time once the host waits for them."""

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


# steps that have ended when the fourth and the fifth are launched
@pytest.mark.parametrize(
    ("milliseconds", "fourth", "fifth"),
    [
        (30.0, [0, 1], [0, 1, 2]),  # the third is still executed while the fourth is launched
        (1600.0, [0, 1, 2], [0, 1, 2, 3]),
    ],
)
def test_short_step_is_launched_while_the_one_before_is_executed(
    milliseconds: float, fourth: list[int], fifth: list[int]
) -> None:
    device = Device(milliseconds)
    launch_ahead = LaunchAhead(device.mark)
    seen = []
    for _ in range(5):
        launch_ahead.wait()
        seen.append(list(device.over))
        launch_ahead.launched()

    assert seen[0] == []
    assert seen[3:] == [fourth, fifth]


def test_step_that_became_long_is_waited_for_again() -> None:
    device = Device(30.0)
    launch_ahead = LaunchAhead(device.mark)
    for _ in range(5):
        launch_ahead.wait()
        launch_ahead.launched()

    device.milliseconds = 1600.0
    assert launch_ahead.wait() == 2

    assert device.over == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("launch_ahead", [LaunchAhead(None), LaunchAhead.of(torch.device("cpu"))])
def test_device_without_a_queue_is_never_waited_for(launch_ahead: LaunchAhead) -> None:
    waits = []
    for _ in range(3):
        waits.append(launch_ahead.wait())
        launch_ahead.launched()

    assert waits == [0, 0, 0]
