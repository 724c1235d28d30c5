"""Time as records tell it.

Records of a file come faster than its life, or slower; what holds for two seconds in it has held
for two seconds. So while records come, time is theirs. A camera's go as fast as the machine's
clock, and stop where the camera fails: then time goes on by the machine's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .watch import Moment

STALLED_S = 2.0
"""From when on records that do not come are missing: a slow machine may take so long for one."""


class RecordClock:
    """The moments of records, and between them "now" for whatever time alone brings about.

    machine : the machine's own clock, which is also this one's until there is a record.

    Both never go back.

    Examples
    --------
    >>> clock = RecordClock(lambda: Moment(100.0))
    >>> [clock.of("film.mp4", time_s).s for time_s in (7.0, 7.5, 60.0)]
    [100.0, 100.5, 153.0]
    >>> clock.of("another.mp4", 0.0).s, clock().s
    (153.0, 153.0)
    """

    def __init__(self, machine: Callable[[], Moment]) -> None:
        self._machine = machine
        self._ahead_s: float | None = None  # of the machine's clock, at the last record
        self._came_s = 0.0  # when that was, by the machine's
        self._begun: dict[str, float] = {}  # of each source, when its second 0 was
        self._patience_s = STALLED_S

    def __call__(self) -> Moment:
        now = self._machine()
        if self._ahead_s is None:
            return now
        passed_s = max(0.0, now.s - self._came_s - self._patience_s)
        return replace(now, s=self._came_s + self._ahead_s + passed_s)

    def of(self, source: str, time_s: float) -> Moment:
        """The moment of a record that has come; a source begins when its first one does."""
        now = self()
        begun = self._begun.get(source, now.s - time_s)
        s = max(begun + time_s, now.s)  # it begins anew, or came after others were missed
        self._begun[source] = s - time_s
        self._came_s = self._machine().s
        self._ahead_s = s - self._came_s
        return replace(now, s=s)

    def ended(self) -> None:
        """No more records come: none is waited for."""
        self._patience_s = 0.0
