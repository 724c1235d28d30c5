"""A recording's frames analysed one after the other: every frame asked for is accounted for.

What the analysis remembers from frame to
frame is a ``State``: whoever keeps it goes on later as if nothing had happened.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ..errors import ConfigError, MienError
from ..face import Face, Frame, RecognizedFace
from ..later import ahead
from ..media import image
from ..media.video import Hole, Place, Span, Video
from ..results import records
from ..results.records import Record
from ..tracking.smooth import smoothers
from ..tracking.tracks import Tracker
from .pipeline import Analyzer, Settings

log = logging.getLogger(__name__)

T = TypeVar("T")
AnyFace = TypeVar("AnyFace", bound=Face)


_TOGETHER, _TOGETHER_BYTES = 4, 16_000_000
"""Frames that go from one stage to the next at once, at most, and what they may take."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a recording is analysed.

    span : which of its frames.
    tracks : follow faces from frame to frame (``mien.tracking.tracks``), which numbers them and is
        quicker; else each frame is searched on its own.
    smooth : a name of ``mien.tracking.smooth``.
    """

    span: Span = field(default_factory=Span)
    tracks: bool = True
    smooth: str = "none"

    def __post_init__(self) -> None:
        if self.smooth not in smoothers:
            smoothers.build(self.smooth)  # raises UnknownName
        if self.smooth != "none" and not self.tracks:
            raise ConfigError("faces that are not followed cannot be smoothed; leave one of them")

    def plain(self) -> dict[str, Any]:
        """As JSON holds it; no end is None."""
        span = asdict(self.span)
        if math.isinf(self.span.end_s):
            span["end_s"] = None
        return span | {"tracks": self.tracks, "smooth": self.smooth}


@dataclass(slots=True)
class State:
    """What goes from one frame to the next, as of some frame that was given out.

    place : how far the file was read. tracker, smoother : their own states there. given : how many
    frames were given out since. drawn : bytes of the annotated copy.
    """

    place: Place = field(default_factory=Place)
    tracker: dict[str, Any] | None = None
    smoother: dict[str, Any] | None = None
    given: int = 0
    drawn: int = 0

    def plain(self) -> dict[str, Any]:
        """All of it as JSON holds it, to the last digit."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> State:
        return cls(**plain | {"place": Place(**plain["place"])})


@dataclass(frozen=True, slots=True)
class _Seen:
    """A frame in which the faces are found, or a hole, and what to go on from behind it."""

    item: Frame | Hole
    faces: list[Face]
    place: Place
    tracker: dict[str, Any] | None


def analyze(
    analyzer: Analyzer, source: Video, options: Options, state: State
) -> Generator[tuple[Frame, list[RecognizedFace]] | Hole, None, None]:
    """The frames asked for with their faces, and the holes among them, in the order of time.

    ``state`` is brought up to date before each is given out. Frames that cannot be analysed are
    holes, too. Decoding, finding and recognising go on side by side, each in a thread.
    """
    if options.smooth != "none":
        analyzer.check_unsmoothed()
    smoother = smoothers.build(options.smooth, analyzer.recognizer.info.uncertain_below)
    if state.smoother:
        smoother.restore(state.smoother)
    again, state.given = state.given, 0

    def given_out(
        ready: list[tuple[_Seen, list[RecognizedFace]]],
    ) -> Iterator[tuple[Frame, list[RecognizedFace]] | Hole]:
        nonlocal again
        for number, (seen, faces) in enumerate(ready, 1):
            if number < len(ready):
                state.given += 1
            else:
                state.place, state.tracker, state.given = seen.place, seen.tracker, 0
                state.smoother = smoother.state()
            if again:
                again -= 1
                continue
            yield seen.item if isinstance(seen.item, Hole) else (seen.item, faces)

    together = _together(source)
    found = _found(analyzer, source, options, replace(state.place), state.tracker, together)
    with closing(_ahead(found, together)) as frames:
        for found_in in frames:
            read = partial(_read, analyzer, options, found_in.faces)
            seen, faces = _guarded(found_in, read)
            yield from given_out(smoother.push(seen.item.time_s, faces, seen))
    yield from given_out(smoother.flush())


def record(item: tuple[Frame, list[RecognizedFace]] | Hole) -> Record:
    """The record of a frame, or of a hole, as ``analyze`` gives them out."""
    if isinstance(item, Hole):
        return records.of_error(item.source, item.reason, item.index, item.time_s)
    return records.record_of(*item)


def _found(
    analyzer: Analyzer,
    source: Video,
    options: Options,
    place: Place,
    kept: dict[str, Any] | None,
    together: int,
) -> Generator[_Seen, None, None]:
    """The frames with the faces in them, nothing recognised yet."""
    tracker = None
    if options.tracks and analyzer.detector:
        tracker = Tracker.from_state(analyzer, kept) if kept else Tracker(analyzer)
    find = tracker.follow if tracker else analyzer.find
    with closing(_ahead(_placed(source, options.span, place), together)) as frames:
        for item, after in frames:
            seen, faces = _guarded(_Seen(item, [], after, None), find)
            yield _Seen(seen.item, faces, after, tracker.state() if tracker else None)


def _together(source: Video) -> int:
    """How many frames go from stage to stage at once: few where they are large, one of a stream.

    Who watches a stream waits for its frames.
    """
    if image.is_address(str(source.path)):
        return 1
    size = 3 * source.info.width * source.info.height
    return max(1, min(_TOGETHER, _TOGETHER_BYTES // max(size, 1)))  # a damaged file may say 0


def _ahead(items: Iterable[T], together: int) -> Generator[T, None, None]:
    return ahead(items, 1 if together > 1 else 2, together=together)


def _placed(source: Video, span: Span, place: Place) -> Iterator[tuple[Frame | Hole, Place]]:
    """Each with the place behind it: the decoding is ahead of whoever looks at them."""
    for item in source.frames(span, place):
        yield item, replace(place)


def _read(
    analyzer: Analyzer, options: Options, found: list[Face], frame: Frame
) -> list[RecognizedFace]:
    """The faces of a frame with all that can be said of them."""
    faces = analyzer.recognize(frame, found)
    if options.tracks and analyzer.detector is None:  # a recording of face crops is of one face
        return [replace(face, track=1) for face in faces]
    return faces


def _guarded(seen: _Seen, look: Callable[[Frame], list[AnyFace]]) -> tuple[_Seen, list[AnyFace]]:
    """What ``look`` makes of a frame; a hole where it fails."""
    item = seen.item
    if isinstance(item, Hole):
        return seen, []
    try:
        return seen, look(item)
    except MienError as err:
        reason = str(err)
    except Exception as err:  # a bug here must not cost the other frames
        log.debug("unexpected error on %s, frame %d", item.source, item.index, exc_info=True)
        reason = f"unexpected {type(err).__name__}: {err}; please report it"
    hole = Hole(item.index, item.time_s, item.source, reason)
    return replace(seen, item=hole), []


def analyze_video(
    path: str | Path,
    analyzer: Analyzer | None = None,
    *,
    start_s: float = 0.0,
    end_s: float = float("inf"),
    every: int = 1,
    fps: float | None = None,
    tracks: bool = True,
    smooth: str = "none",
) -> Iterator[tuple[Frame, list[RecognizedFace]]]:
    """Each frame of a recording with its faces, as it is analysed; memory stays the same.

    Frames that are damaged in the file are left out, and logged as warnings; ``mien analyze``
    records them. Raises VideoError where the file cannot be read or holds no video.

    Parameters
    ----------
    path
        A file, or the address of a stream.
    analyzer
        What reads the frames; None: one with the default settings.
    start_s, end_s
        From this time on, and before that one, in seconds.
    every
        Of those frames, each so many-th, the first included.
    fps
        Instead, the first frame in each 1 / ``fps`` seconds.
    tracks
        Follow faces from frame to frame, which numbers them and is quicker; else each frame is
        searched on its own.
    smooth
        "none", "causal" or "two-sided".

    Examples
    --------
    >>> for frame, faces in analyze_video("interview.mp4", fps=5):  # doctest: +SKIP
    ...     print(frame.time_s, [face.emotions.top for face in faces])
    """
    options = Options(Span(start_s, end_s, every, fps), tracks, smooth)
    with Video(path) as source:
        for looked in analyze(analyzer or Analyzer(Settings()), source, options, State()):
            if isinstance(looked, Hole):
                log.warning("%s, %.3f s: %s", looked.source, looked.time_s, looked.reason)
            else:
                yield looked
