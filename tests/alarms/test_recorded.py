"""Time as records tell it: films faster and slower than life, a camera that fails, many sources."""

from __future__ import annotations

from itertools import pairwise

import pytest

from mien.alarms.recorded import STALLED_S, RecordClock
from mien.alarms.watch import Moment


class Machine:
    s = 1000.0

    def __call__(self) -> Moment:
        return Moment(self.s)


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def clock(machine: Machine) -> RecordClock:
    return RecordClock(machine)


def test_without_records_it_is_the_machines(machine: Machine, clock: RecordClock) -> None:
    machine.s += 5
    assert clock().s == 1005


def test_a_film_faster_than_life(machine: Machine, clock: RecordClock) -> None:
    moments = []
    for i in range(100):
        machine.s += 0.001
        moments.append(clock.of("a.mp4", i / 10).s)
    steps = [after - before for before, after in pairwise(moments)]
    assert steps == pytest.approx([0.1] * 99)
    assert clock().s == moments[-1]


@pytest.mark.parametrize("seconds", [0.5, STALLED_S - 0.01])
def test_a_film_slower_than_life(machine: Machine, clock: RecordClock, seconds: float) -> None:
    """A frame takes its time to read; the film's own time alone goes on, and "now" waits for it."""
    moments = []
    for i in range(20):
        moments.append(clock.of("a.mp4", i / 25).s)
        machine.s += seconds
        assert clock().s == moments[-1]
    assert moments[-1] - moments[0] == pytest.approx(19 / 25)


def test_a_camera_that_fails_is_missed(machine: Machine, clock: RecordClock) -> None:
    last = clock.of("camera", 7.0).s
    machine.s += STALLED_S + 30
    assert clock().s == pytest.approx(last + 30)
    back = clock.of("camera", 7.0 + STALLED_S + 30).s  # and time does not go back when it is back
    assert back == pytest.approx(last + STALLED_S + 30)
    assert clock.of("camera", 7.1 + STALLED_S + 30).s - back == pytest.approx(0.1)


def test_when_they_have_ended_none_is_waited_for(machine: Machine, clock: RecordClock) -> None:
    last = clock.of("a.mp4", 60.0).s
    clock.ended()
    machine.s += 1
    assert clock().s == pytest.approx(last + 1)


def test_sources_side_by_side_and_one_that_begins_anew(
    machine: Machine, clock: RecordClock
) -> None:
    begun = clock.of("a", 0.0).s
    assert clock.of("b", 500.0).s == begun
    assert clock.of("a", 1.0).s == begun + 1
    assert clock.of("b", 501.0).s == begun + 1
    assert clock.of("a", 0.0).s == begun + 1  # it was read again, from its beginning
    assert clock.of("a", 0.5).s == begun + 1.5
