"""What rules would have done with a recording; nobody is called."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from ..errors import DataError, InputError
from .program import content
from .rules import Rules
from .sight import of_record
from .watch import Call, Event, HeldBack, Moment, Watch, unanswerable

_STEP_S = 0.1  # how often time alone is looked at, as the runner does


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


def read(path: Path) -> Iterator[Any]:
    """Records from JSON lines, one after another; raises InputError, DataError."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield _parsed(line, f"{path}, line {number}")
    except OSError as err:
        raise InputError(f"cannot read {path}: {err.strerror}") from err


def _parsed(line: bytes, where: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        raise DataError(
            f"{where} is no JSON; records are what `mien analyze --format jsonl` writes"
        ) from None


def rehearse(
    rules: Rules, records: Iterable[Any], begin: datetime.datetime | None, tally: Tally
) -> Iterator[Happening]:
    """Everything that would have happened, in order; raises DataError.

    Each source is a recording by itself. Nobody acknowledges anything.

    begin : when the recording began, for quiet hours; None leaves them out.
    tally : is counted into.
    """
    keys = map(str, count(1))
    source, watch, last_s = None, None, 0.0
    for record in records:
        seen = of_record(record)
        if watch is None or record["source"] != source:
            source, last_s = record["source"], record["time_s"]
            watch = Watch(rules, _moment(last_s, begin), lambda: next(keys))
        time_s = record["time_s"]
        if time_s < last_s:
            raise DataError(f"{source}: time goes back from {last_s:g} s to {time_s:g} s")
        if seen.looks and not tally.problems:
            tally.problems = tuple(unanswerable(rules, seen.looks[0]))
        tally.records += 1
        tally.usable += seen.usable
        for step in range(1, int((time_s - last_s) / _STEP_S) + 1):
            between_s = last_s + step * _STEP_S
            for event in watch.tick(_moment(between_s, begin)):
                tally.count(event)
                yield Happening(source, between_s, event)
        for event in watch.see(seen, _moment(time_s, begin)):
            tally.count(event)
            yield Happening(source, time_s, event)
        last_s = time_s


def _moment(time_s: float, begin: datetime.datetime | None) -> Moment:
    wall = None if begin is None else begin + datetime.timedelta(seconds=time_s)
    return Moment(time_s, wall)
