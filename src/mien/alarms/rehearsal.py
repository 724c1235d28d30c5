"""What rules would have done with a recording; nobody is called."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..results import reading
from ..results.reading import ReadRecord
from .program import content
from .rules import Rules
from .sight import of_read
from .watch import Call, Event, HeldBack, Moment, Seen, Watch, unanswerable

_STEP_S = 0.1  # how often time alone is looked at, as the runner does
_ROUNDING = 1e-6  # of a step
_LONGEST_S = 30 * 86_400.0  # between two records: what lies further apart is in other units


@dataclass(frozen=True, slots=True)
class Happening:
    """An event, ``time_s`` seconds into ``source``."""

    source: str
    time_s: float
    event: Event

    def as_dict(self) -> dict[str, Any]:
        """For JSON; ``event`` is "call", "held_back" or "ended"."""
        event = self.event
        head = {"source": self.source, "time_s": round(self.time_s, 3)}
        if isinstance(event, Call):
            return head | {"event": "call", "to": list(event.to)} | content(event)
        kind = "held_back" if isinstance(event, HeldBack) else "ended"
        why = {"why": event.why} if isinstance(event, HeldBack) else {}
        return head | {"event": kind, "rule": event.rule, "track": event.track} | why


@dataclass(slots=True)
class Tally:
    """How much of a recording said something, and what came of it.

    alarms : each counts once, however often it calls.
    problems : rules that its model cannot answer.
    """

    records: int = 0
    usable: int = 0
    alarms: int = 0
    held_back: int = 0
    problems: tuple[str, ...] = ()

    def count(self, event: Event) -> None:
        self.alarms += isinstance(event, Call) and event.number == 0
        self.held_back += isinstance(event, HeldBack)


def read(path: Path, damage: reading.Damage | None = None) -> Iterator[ReadRecord]:
    """Records from JSON lines, CSV or Parquet, one after another; see ``reading.read``."""
    return reading.read(path, damage)


def rehearse(
    rules: Rules, records: Iterable[ReadRecord], begin: datetime.datetime | None, tally: Tally
) -> Iterator[Happening]:
    """Everything that would have happened, in order; raises DataError.

    Each source is a recording by itself. Nobody acknowledges anything.

    begin : when the recording began, for quiet hours; None leaves them out. Without a zone it is
        this machine's time.
    tally : is counted into.
    """
    keys = map(str, count(1))
    source, watch, last_s = "", None, 0.0
    for record in records:
        seen, time_s = of_read(record), record.time_s
        if watch is None or record.source != source:
            source, last_s = record.source, time_s
            watch = Watch(rules, _moment(last_s, begin), lambda: next(keys))
        _check(source, last_s, time_s)
        if seen.looks and not tally.problems:
            tally.problems = tuple(unanswerable(rules, seen.looks[0]))
        tally.records += 1
        tally.usable += seen.usable
        happened = chain(
            _between(watch, last_s, time_s, begin), _at(watch, seen, _moment(time_s, begin))
        )
        for at_s, event in happened:
            tally.count(event)
            yield Happening(source, at_s, event)
        last_s = time_s


def _between(
    watch: Watch, last_s: float, time_s: float, begin: datetime.datetime | None
) -> Iterator[tuple[float, Event]]:
    """What time alone brings about between two frames, as seen by looks ``_STEP_S`` apart.

    Looks that would see nothing are left out: a gap may be of hours.
    """
    step, at_s = 0, last_s
    while (due_s := watch.due_s(_moment(at_s, begin))) < time_s:
        step = max(step + 1, math.ceil((due_s - last_s) / _STEP_S - _ROUNDING))
        at_s = last_s + step * _STEP_S
        if at_s >= time_s:
            return
        yield from ((at_s, event) for event in watch.tick(_moment(at_s, begin)))


def _at(watch: Watch, seen: Seen, moment: Moment) -> Iterator[tuple[float, Event]]:
    """What a frame brings about."""
    yield from ((moment.s, event) for event in watch.see(seen, moment))


def _check(source: str, last_s: float, time_s: float) -> None:
    """Raises DataError where two times cannot be of one recording."""
    if time_s < last_s:
        raise DataError(f"{source}: time goes back from {last_s:g} s to {time_s:g} s")
    if time_s - last_s > _LONGEST_S:
        raise DataError(
            f"{source}: there are {time_s - last_s:g} s between two records, at {last_s:g} s and "
            f"{time_s:g} s; time_s is in seconds"
        )


def _moment(time_s: float, begin: datetime.datetime | None) -> Moment:
    if begin is None:
        return Moment(time_s)
    try:  # by the seconds since 1970: clocks are set twice a year
        wall = datetime.datetime.fromtimestamp(begin.timestamp() + time_s).astimezone()
    except (OverflowError, OSError, ValueError):
        raise DataError(f"{time_s:g} s after {begin:%Y-%m-%d} there is no calendar") from None
    return Moment(time_s, wall)
