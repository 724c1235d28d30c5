"""A recording's frames analysed one after the other: every frame asked for is accounted for.

Decoding runs in a thread of its own, a little ahead. What the analysis remembers from frame to
frame is a ``State``: whoever keeps it goes on later as if nothing had happened.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from . import video
from .errors import MienError
from .face import Face, Frame
from .pipeline import Analyzer, Settings
from .video import Hole, Place, Span, Video

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """How a recording is analysed.

    span : which of its frames.
    """

    span: Span = field(default_factory=Span)


@dataclass(slots=True)
class State:
    """What goes from one frame to the next.

    place : how far the file was read. drawn : bytes of its annotated copy.
    """

    place: Place = field(default_factory=Place)
    drawn: int = 0

    def plain(self) -> dict[str, Any]:
        """All of it as JSON holds it, to the last digit."""
        return {"place": asdict(self.place), "drawn": self.drawn}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> State:
        return cls(Place(**plain["place"]), plain["drawn"])


def analyze(
    analyzer: Analyzer, source: Video, options: Options, state: State
) -> Generator[tuple[Frame, list[Face]] | Hole, None, None]:
    """The frames asked for with their faces, and the holes among them, in the order of time.

    ``state`` is brought up to date before each is given out. Frames that cannot be analysed are
    holes, too.
    """
    for item, place in video.ahead(_placed(source, options.span, replace(state.place))):
        state.place = place
        if isinstance(item, Hole):
            yield item
        else:
            yield _looked(analyzer, item)


def _placed(source: Video, span: Span, place: Place) -> Iterator[tuple[Frame | Hole, Place]]:
    """Each with the place behind it: the decoding is ahead of whoever looks at them."""
    for item in source.frames(span, place):
        yield item, replace(place)


def _looked(analyzer: Analyzer, frame: Frame) -> tuple[Frame, list[Face]] | Hole:
    try:
        return frame, analyzer.analyze_frame(frame)
    except MienError as err:
        reason = str(err)
    except Exception as err:  # a bug here must not cost the other frames
        log.debug("unexpected error on %s, frame %d", frame.source, frame.index, exc_info=True)
        reason = f"unexpected {type(err).__name__}: {err}; please report it"
    return Hole(frame.index, frame.time_s, frame.source, reason)


def analyze_video(
    path: str | Path,
    analyzer: Analyzer | None = None,
    *,
    start_s: float = 0.0,
    end_s: float = float("inf"),
    every: int = 1,
    fps: float | None = None,
) -> Iterator[tuple[Frame, list[Face]]]:
    """Each frame of a recording with its faces, as it is analysed; memory stays the same.

    start_s, end_s, every, fps : which frames, see ``mien.video.Span``. Frames that are damaged in
    the file are left out, and logged as warnings; ``mien analyze`` records them.
    Raises VideoError where the file cannot be read or holds no video.

    Examples
    --------
    >>> for frame, faces in analyze_video("interview.mp4", fps=5):  # doctest: +SKIP
    ...     print(frame.time_s, [face.emotions.top for face in faces])
    """
    options = Options(Span(start_s, end_s, every, fps))
    with Video(path) as source:
        for looked in analyze(analyzer or Analyzer(Settings()), source, options, State()):
            if isinstance(looked, Hole):
                log.warning("%s, %.3f s: %s", looked.source, looked.time_s, looked.reason)
            else:
                yield looked
