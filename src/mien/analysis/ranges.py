"""A long recording in ranges of its time: analysed apart, joined as if it had never been cut.

A range begins some seconds earlier, with a tracker that knows nothing, and keeps no records of that
time. What its analysis remembers where the range begins is compared with what that of the range
before remembers there. They are equal, but for the numbers of the tracks, where the later one has
forgotten how it began (``mien.tracking.tracks``): then all that follows is equal, too, and the
numbers are translated. Where they are not, the range is analysed once more, from what is
remembered before it. So the records are those of an uncut run in any case, to the last digit, on
one kind of processor; only the time it takes depends on the recording.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from ..media.video import Hole, Place, Video
from ..results.records import Record
from . import recording
from .pipeline import Analyzer
from .recording import Options, State

LENGTH_S = 300.0
"""Of a range, in seconds of the recording; of the last one up to twice that."""
WARM_S, WARM_FRAMES = 12.0, 150
"""How much earlier a range begins, at least, in seconds and in frames that are asked for.

Half again what trackers take to forget a head that never leaves (benchmarks/bulk_seams.py).
"""


@dataclass(frozen=True, slots=True)
class Range:
    """A part of a recording.

    number : its place among them. start_s, end_s : from this time on, and before that one.
    place : where reading begins, earlier; None for the recording's own beginning.
    """

    number: int = 0
    start_s: float = -math.inf
    end_s: float = math.inf
    place: Place | None = None

    def plain(self) -> dict[str, Any]:
        """As JSON holds it; no start or end is None."""
        told = asdict(self)
        return told | {k: None for k in ("start_s", "end_s") if math.isinf(told[k])}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Range:
        start, end = plain["start_s"], plain["end_s"]
        return cls(
            plain["number"],
            -math.inf if start is None else start,
            math.inf if end is None else end,
            Place(**plain["place"]) if plain["place"] else None,
        )


@dataclass(slots=True)
class Ends:
    """What the analysis of a range remembers: behind the last frame before it, and its own last.

    entry : None where the range begins with the recording.
    """

    entry: State | None = None
    exit: State = field(default_factory=State)


class Analysed(Protocol):
    """A range that is analysed, as somebody kept it."""

    def ends(self) -> Ends: ...

    def records(self) -> Iterator[Record]: ...


def cut(source: Video, options: Options, length_s: float = LENGTH_S) -> list[Range]:
    """The ranges of a recording; a single one where it is short, or cannot be cut."""
    span = options.span
    end = min(span.end_s, source.info.duration_s or 0.0)
    count = int((end - span.start_s) / length_s)
    seams = [span.start_s + number * length_s for number in range(1, count)]
    rate = min(span.fps or math.inf, source.info.fps) / span.every
    warm_s = max(WARM_S, WARM_FRAMES / rate)
    early = [seam - warm_s for seam in seams]
    places = source.places(span, early) if seams and early[0] > span.start_s else []
    if not places:
        return [Range()]
    bounds = [-math.inf, *seams, math.inf]
    return [
        Range(number, bounds[number], bounds[number + 1], place)
        for number, place in enumerate([None, *places])
    ]


def analyze(
    analyzer: Analyzer,
    source: Video,
    options: Options,
    part: Range,
    ends: Ends,
    before: State | None = None,
) -> Generator[Record, None, None]:
    """A range's records; ``ends`` is filled in meanwhile.

    before : the exit of the range before, where that is known: nothing is warmed up then.
    """
    state = before or State(replace(part.place) if part.place else Place())
    ends.entry = replace(state) if before else None
    with closing(recording.analyze(analyzer, source, options, state)) as found:
        for item in found:
            time_s = item.time_s if isinstance(item, Hole) else item[0].time_s
            if time_s >= part.end_s:
                return
            if time_s < part.start_s:
                ends.entry = replace(state)
                continue
            yield recording.record(item)
            ends.exit = replace(state)


def join(
    parts: Sequence[Analysed], again: Callable[[int, State], Analysed]
) -> Generator[Record, None, int]:
    """The records of the whole recording; comes back with how many ranges were analysed again.

    again : analyses a range from what is remembered before it.
    """
    before: State | None = None
    repeated = 0
    for number, part in enumerate(parts):
        names = Names() if before is None else same(before, part.ends().entry)
        if names is None:
            assert before
            part, names = again(number, before), Names()
            repeated += 1
        for record in part.records():
            yield names.in_record(record)
        before = names.in_state(part.ends().exit)
    return repeated


@dataclass(frozen=True, slots=True)
class Names:
    """What a range's tracks are called in the whole recording.

    known : of the tracks that were there where it begins. more : added to later ones' numbers.
    """

    known: dict[int, int] = field(default_factory=dict)
    more: int = 0

    def of(self, track: int) -> int:
        return self.known.get(track, track + self.more)

    def in_record(self, record: Record) -> Record:
        faces = [
            face if face["track"] is None else face | {"track": self.of(face["track"])}
            for face in record["faces"]
        ]
        return record | {"faces": faces}

    def in_state(self, state: State) -> State:
        tracker, smoother = state.tracker, state.smoother
        if tracker:
            tracks = [t | {"number": self.of(t["number"])} for t in tracker["tracks"]]
            tracker = tracker | {"tracks": tracks, "given": tracker["given"] + self.more}
        if smoother:
            smoother = {str(self.of(int(track))): kept for track, kept in smoother.items()}
        return replace(state, tracker=tracker, smoother=smoother)


def same(before: State, entry: State | None) -> Names | None:
    """How to translate tracks where two states are equal but for their numbers; None if not."""
    if entry is None or (before.place, before.given) != (entry.place, entry.given):
        return None
    if before.tracker is None or entry.tracker is None:
        return Names() if before == entry else None
    tracks, theirs = before.tracker["tracks"], entry.tracker["tracks"]
    if len(tracks) != len(theirs):
        return None
    known = {t["number"]: b["number"] for t, b in zip(theirs, tracks, strict=True)}
    names = Names(known, before.tracker["given"] - entry.tracker["given"])
    named = names.in_state(entry)
    alike = named.tracker == before.tracker and _living(named) == _living(before)
    return names if alike else None


def _living(state: State) -> dict[str, Any]:
    """What a smoother remembers of tracks that go on; the others never come back."""
    living = {str(track["number"]) for track in (state.tracker or {"tracks": []})["tracks"]}
    return {track: kept for track, kept in (state.smoother or {}).items() if track in living}
