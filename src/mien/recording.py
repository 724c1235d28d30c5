"""A recording's frames analysed one after the other: every frame asked for is accounted for.

Decoding runs in a thread of its own, a little ahead. What the analysis remembers from frame to
frame is a ``State``: whoever keeps it goes on later as if nothing had happened.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from . import video
from .errors import ConfigError, MienError
from .face import Face, Frame
from .pipeline import Analyzer, Settings
from .smooth import smoothers
from .tracks import Tracker
from .video import Hole, Place, Span, Video

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """How a recording is analysed.

    span : which of its frames. tracks : follow faces from frame to frame (``mien.tracks``), which
    numbers them and is quicker; else each frame is searched on its own. smooth : a name of
    ``mien.smooth``.
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


class _Faces:
    """Finds and reads the faces of one frame after the other."""

    def __init__(self, analyzer: Analyzer, options: Options, state: State) -> None:
        self._analyzer = analyzer
        self._tracker: Tracker | None = None
        # A recording of face crops is of one face.
        self._one = options.tracks and analyzer.detector is None
        if options.tracks and analyzer.detector is not None:
            kept = state.tracker
            self._tracker = Tracker.from_state(analyzer, kept) if kept else Tracker(analyzer)

    def of(self, frame: Frame) -> list[Face]:
        if self._tracker:
            return self._analyzer.recognize(frame, self._tracker.follow(frame))
        faces = self._analyzer.analyze_frame(frame)
        return [replace(face, track=1) for face in faces] if self._one else faces

    def state(self) -> dict[str, Any] | None:
        return self._tracker.state() if self._tracker else None


def analyze(
    analyzer: Analyzer, source: Video, options: Options, state: State
) -> Generator[tuple[Frame, list[Face]] | Hole, None, None]:
    """The frames asked for with their faces, and the holes among them, in the order of time.

    ``state`` is brought up to date before each is given out. Frames that cannot be analysed are
    holes, too.
    """
    finder = _Faces(analyzer, options, state)
    smoother = smoothers.build(options.smooth, analyzer.recognizer.info.uncertain_below)
    if state.smoother:
        smoother.restore(state.smoother)
    again = state.given
    state.given = 0

    def given_out(ready: list[_Ready]) -> Iterator[tuple[Frame, list[Face]] | Hole]:
        nonlocal again
        for number, ((item, place, tracker), faces) in enumerate(ready, 1):
            if number < len(ready):
                state.given += 1
            else:
                state.place, state.tracker, state.given = place, tracker, 0
                state.smoother = smoother.state()
            if again:
                again -= 1
                continue
            yield item if isinstance(item, Hole) else (item, faces)

    with closing(video.ahead(_placed(source, options.span, replace(state.place)))) as frames:
        for item, place in frames:
            seen, faces = _looked(finder, item)
            yield from given_out(smoother.push(seen.time_s, faces, (seen, place, finder.state())))
    yield from given_out(smoother.flush())


_Ready = tuple[tuple[Frame | Hole, Place, dict[str, Any] | None], list[Face]]


def _placed(source: Video, span: Span, place: Place) -> Iterator[tuple[Frame | Hole, Place]]:
    """Each with the place behind it: the decoding is ahead of whoever looks at them."""
    for item in source.frames(span, place):
        yield item, replace(place)


def _looked(finder: _Faces, item: Frame | Hole) -> tuple[Frame | Hole, list[Face]]:
    if isinstance(item, Hole):
        return item, []
    try:
        return item, finder.of(item)
    except MienError as err:
        reason = str(err)
    except Exception as err:  # a bug here must not cost the other frames
        log.debug("unexpected error on %s, frame %d", item.source, item.index, exc_info=True)
        reason = f"unexpected {type(err).__name__}: {err}; please report it"
    return Hole(item.index, item.time_s, item.source, reason), []


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
) -> Iterator[tuple[Frame, list[Face]]]:
    """Each frame of a recording with its faces, as it is analysed; memory stays the same.

    start_s, end_s, every, fps : which frames, see ``mien.video.Span``. tracks, smooth : see
    ``mien.recording.Options``. Frames that are damaged in the file are left out, and logged as
    warnings; ``mien analyze`` records them.
    Raises VideoError where the file cannot be read or holds no video.

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
