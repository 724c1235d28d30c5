"""The same number for the same face in every frame of a recording.

Who a face is, nobody asks: a face is the same as one before because it lies where that one was to
be expected. Between searches of the whole frame the landmark network follows each face from where
it was last: it takes a tenth of the time, and says when it no longer sees one.

========================================= =======================================================
a new face is found                       within ``SEARCH_S`` beside others; at once, where no face
                                          is followed
a face out of sight                       is the same again within ``MEMORY_S``
a face behind another                     is the same again within ``BEHIND_S``
a cut (``mien.media.cuts``)                     ends every track
========================================= =======================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np

from .. import geometry
from ..face import Face, FloatArray, Frame
from ..faces.landmarker import Placed
from ..faces.landmarks import face_box, leveled_box
from ..media.cuts import Cuts
from . import assign

SEARCH_S = 0.25
"""The whole frame is searched in the first frame of each such part of the time, in seconds."""
MEMORY_S = 1.0
"""How long a face that is not seen keeps its number, in seconds."""
BEHIND_S = 2.0
"""How long one does that went out of sight where another face is."""

_MISSED_S = 0.1  # the same while a face is missed
_GRID = 256  # steps to a side, at least, of the places that the network is shown, and to a radian
_LATE = 1e-4  # of such a part of the time: a time this near to the next one is of the next
_VELOCITY_DECIMALS = 6
_FACE = 0.5  # the landmark network's score under which it has lost the face
_JUMP, _GROWTH = 0.7, 1.5  # of a side, and times, that a followed face may change in a frame
_APART = 0.3  # intersection over union from which two boxes are of one face
_TOUCH = 0.02  # ... and from which two faces disturb each other's motion
_REACH, _REACH_PER_S, _FARTHEST = 0.8, 1.5, 2.5  # sides from where a face is expected
_MOTION_S = 0.12  # time constant of a face's velocity
_TURNS_BACK = 0.45  # how far a face may as well be anywhere between where it was and is expected
_AHEAD_S = 0.6  # how long a face that is not seen goes on as it went
_DOUBTS = 4  # searches in a row that do not see a followed face end its following
_PLACES = 9  # between the two that are tried
_FIT_SHARE = 0.2  # of a new sight of how the detector draws its boxes
_FEWEST = 3  # frames without a face before it is forgotten, however far apart they are

Box = tuple[float, float, float, float]
"""x0 y0 x1 y1. Plain numbers: for a single face NumPy takes ten times as long."""


class Finds(Protocol):
    """What finds and places faces: ``pipeline.Analyzer``."""

    def find(self, frame: Frame, known: Sequence[Face] = ()) -> list[Face]: ...

    def find_again(self, frame: Frame, boxes: FloatArray, rolls: list[float]) -> Placed: ...


@dataclass(slots=True)
class _Track:
    """A face over time.

    points : (68, 2) float32 where it was last seen; None where the network places none on it.
    box : its box then, before it was clipped.
    fit : how the detector's box lies on ``face_box``: the shift of its middle in sides, and width
        and height over width and height. None while nobody knows: as that.
    seen_s, missed : when it was last seen, and how many frames ago.
    velocity : pixels a second.
    doubts : searches in a row that have not seen it.
    """

    number: int
    points: FloatArray | None
    box: Box
    seen_s: float
    velocity: tuple[float, float] = (0.0, 0.0)
    fit: Box | None = None
    missed: int = 0
    doubts: int = 0

    @property
    def side(self) -> float:
        return _side(self.box)

    def confirm(self, face: Face, frame: Frame) -> None:
        """The detector sees it too, and says how it draws its boxes."""
        self.doubts = 0
        x0, y0, x1, y1 = box = _plain(face.box)
        inside = x0 > 0 and y0 > 0 and x1 < frame.width and y1 < frame.height
        if face.landmarks is not None and inside:
            now = _fit(box, _plain(face_box(face.landmarks)))
            self.fit = now if self.fit is None else _between(self.fit, now, _FIT_SHARE)

    def shift(self, time_s: float) -> tuple[float, float]:
        """How far it has moved since it was seen, if it went on as it did, in pixels."""
        ahead = min(max(time_s - self.seen_s, 0.0), _AHEAD_S)
        x, y = self.velocity
        return x * ahead, y * ahead

    def expected(self, time_s: float) -> Box:
        """Its box then."""
        return _shifted(self.box, self.shift(time_s))


class Tracker:
    """Follows the faces of one recording.

    finder : an ``Analyzer``, or what else finds faces and places landmarks.

    The frames are to come in order; their times may be any distance apart. The same frames give the
    same faces, and so does a tracker that goes on from another's ``state``.

    Examples
    --------
    >>> from mien import Analyzer
    >>> tracker = Tracker(Analyzer())
    >>> tracker.follow(Frame(np.zeros((90, 160, 3), np.uint8)))
    []
    """

    def __init__(self, finder: Finds) -> None:
        self._finder, self._cuts = finder, Cuts()
        self._tracks: list[_Track] = []
        self._given = 0  # numbers given so far
        self._searched_s: float | None = None
        self._size: tuple[int, int] | None = None  # of the last frame, width and height

    def follow(self, frame: Frame) -> list[Face]:
        """The faces of the next frame with landmarks and track, in the order of their tracks.

        For ``Analyzer.recognize``. The score of a face that was followed is the landmark network's.
        """
        if self._cuts.at(frame):
            self._tracks, self._searched_s = [], None
        self._scale_to(frame)
        seen = self._carry(frame)
        if self._search_is_due(frame.time_s, seen):
            seen |= self._search(frame, seen)
        self._forget(frame.time_s, seen)
        return [seen[number] for number in sorted(seen)]

    def _scale_to(self, frame: Frame) -> None:
        """What is known of the faces in pixels of this frame, where its size is another's."""
        size = (frame.width, frame.height)
        if self._size and self._size != size:
            across, down = size[0] / self._size[0], size[1] / self._size[1]
            for track in self._tracks:
                (x0, y0, x1, y1), (x, y) = track.box, track.velocity
                track.box = x0 * across, y0 * down, x1 * across, y1 * down
                track.velocity = x * across, y * down
                if track.points is not None:
                    scale = np.array([across, down], np.float32)
                    track.points = np.asarray((track.points + 0.5) * scale - 0.5, np.float32)
        self._size = size

    # -- from frame to frame --------------------------------------------------------------------

    def _carry(self, frame: Frame) -> dict[int, Face]:
        """The faces that the landmark network still sees, by track."""
        going = [t for t in self._tracks if t.points is not None and t.doubts < _DOUBTS]
        if not going:
            return {}
        now = frame.time_s
        level = [_on_grid(*_expected_place(track, now)) for track in going]
        boxes = np.array([box for box, _ in level], np.float32)
        placed = self._finder.find_again(frame, boxes, [turn for _, turn in level])
        found = [
            _Followed(track, _fitted(_plain(face_box(points)), track.fit), points, score, now)
            for track, points, score in zip(
                going, placed.points, placed.scores.tolist(), strict=True
            )
        ]
        found = [f for f in found if f.score >= _FACE and f.follows() and _visible(f.box, frame)]
        # Where two see one face, it is that of the one that was seen last, or was nearer.
        found.sort(key=lambda f: (f.track.missed, f.off, f.track.number))
        kept: list[_Followed] = []
        for candidate in found:
            if not any(_same(candidate.box, other.box) for other in kept):
                kept.append(candidate)
        for one in kept:
            self._see(one.track, one.box, one.points, now)
        return {one.track.number: one.face(frame) for one in kept}

    def _see(self, track: _Track, box: Box, points: FloatArray | None, now: float) -> None:
        """A track has been seen in a box."""
        passed = now - track.seen_s
        if passed > 0 and not self._touched(track, box, now):
            kept = math.exp(-passed / _MOTION_S)
            moved = zip(track.velocity, _middle(box), _middle(track.box), strict=True)
            # Rounded, so that what it once was is forgotten and not only small.
            x, y = (
                round(kept * before + (1 - kept) * (here - there) / passed, _VELOCITY_DECIMALS)
                for before, here, there in moved
            )
            track.velocity = x, y
        track.points, track.box, track.seen_s, track.missed = points, box, now, 0

    def _touched(self, track: _Track, box: Box, now: float) -> bool:
        """Whether another face is so near that half of what is seen may be of that one."""
        others = (t.expected(now) for t in self._tracks if t is not track)
        return any(geometry.overlap(box, other) > _TOUCH for other in others)

    def _forget(self, now: float, seen: dict[int, Face]) -> None:
        kept = []
        for track in self._tracks:
            track.missed += track.number not in seen
            passed = now - track.seen_s
            if (
                track.missed < _FEWEST
                or passed <= MEMORY_S
                or (passed <= BEHIND_S and self._is_behind(track, now, seen))
            ):
                kept.append(track)
        self._tracks = kept

    def _is_behind(self, track: _Track, now: float, seen: dict[int, Face]) -> bool:
        """Whether a face is seen where a track's was last, or would be by now."""
        here = [_plain(face.box) for face in seen.values()]
        places = (track.box, track.expected(now))
        return any(geometry.overlap(place, box) > _TOUCH for place in places for box in here)

    # -- over the whole frame -------------------------------------------------------------------

    def _search_is_due(self, now: float, seen: dict[int, Face]) -> bool:
        if self._searched_s is None or not seen:
            return True
        missing = [t for t in self._tracks if t.number not in seen]
        if any(t.missed == 0 for t in missing):
            return True
        part_s = _MISSED_S if missing else SEARCH_S
        return now < self._searched_s or _part(now, part_s) != _part(self._searched_s, part_s)

    def _search(self, frame: Frame, seen: dict[int, Face]) -> dict[int, Face]:
        """The faces that nobody follows: those found again, and new ones."""
        now = self._searched_s = frame.time_s
        followed = [t for t in self._tracks if t.number in seen]
        fresh = []
        for track in followed:
            track.doubts += 1
        for face in self._finder.find(frame, list(seen.values())):
            box = _plain(face.box)
            here = [t for t in followed if _same(box, t.box)]
            for track in here:
                track.confirm(face, frame)
            if not here:
                fresh.append(face)
        missing = [t for t in self._tracks if t.number not in seen]
        costs = np.array([[_cost(t, face, now) for face in fresh] for t in missing])
        again = assign.pairs(costs.reshape(len(missing), len(fresh)), most=1.0)
        numbers = {column: missing[row] for row, column in again}
        return dict(
            self._found(frame, face, numbers.get(column)) for column, face in enumerate(fresh)
        )

    def _found(self, frame: Frame, face: Face, track: _Track | None) -> tuple[int, Face]:
        """A face of the detector's, in its old track or in a new one."""
        if track is None:
            self._given += 1
            track = _Track(self._given, face.landmarks, _plain(face.box), frame.time_s)
            self._tracks.append(track)
        track.confirm(face, frame)
        box = _plain(face.box)
        if face.landmarks is not None:
            box = _fitted(_plain(face_box(face.landmarks)), track.fit)
        self._see(track, box, face.landmarks, frame.time_s)
        return track.number, replace(face, track=track.number)

    # -- to go on later -------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All there is to go on with after the last frame, as JSON holds it; 3 KB for a face."""
        return {
            "tracks": [_as_plain(track) for track in self._tracks],
            "given": self._given,
            "searched_s": self._searched_s,
            "size": self._size,
            "cuts": self._cuts.state(),
        }

    @classmethod
    def from_state(cls, finder: Finds, state: dict[str, Any]) -> Tracker:
        """A tracker that goes on where the one whose ``state`` this is stood."""
        tracker = cls(finder)
        tracker._tracks = [_from_plain(track) for track in state["tracks"]]
        tracker._given, tracker._searched_s = state["given"], state["searched_s"]
        tracker._size = tuple(state["size"]) if state["size"] else None
        tracker._cuts = Cuts.from_state(state["cuts"])
        return tracker


@dataclass(frozen=True, slots=True)
class _Followed:
    """Where the landmark network sees the face of a track, at a time ``now``."""

    track: _Track
    box: Box
    points: FloatArray
    score: float
    now: float

    @property
    def off(self) -> float:
        """How far it lies from where it was expected, in sides."""
        return _off(self.box, self.track.expected(self.now))

    def follows(self) -> bool:
        """Whether it may be there a frame later."""
        ratio = _side(self.box) / self.track.side
        return self.off <= _JUMP and 1 / _GROWTH <= ratio <= _GROWTH

    def face(self, frame: Frame) -> Face:
        inside = geometry.clip(self.box, frame.width, frame.height)
        return Face(inside, min(self.score, 1.0), self.points, track=self.track.number)


def _as_plain(track: _Track) -> dict[str, Any]:
    values = {name: getattr(track, name) for name in _FIELDS}
    boxes = {k: list(v) for k, v in values.items() if isinstance(v, tuple)}
    return values | boxes | {"points": None if track.points is None else track.points.tolist()}


_FIELDS = tuple(field.name for field in fields(_Track))


def _from_plain(values: dict[str, Any]) -> _Track:
    """What ``_as_plain`` made, from JSON or not."""
    points, fit = values["points"], values["fit"]
    kept = {
        "points": None if points is None else np.array(points, np.float32),
        "box": tuple(values["box"]),
        "fit": None if fit is None else tuple(fit),
        "velocity": tuple(values["velocity"]),
    }
    return _Track(**values | kept)


def _part(time_s: float, part_s: float) -> int:
    """Which of the parts of the time a time lies in; of one that was rounded, the later."""
    return math.floor(time_s / part_s + _LATE)


def _expected_place(track: _Track, now: float) -> tuple[Box, float]:
    """The level box around a track's landmarks where they are expected, and how it is turned."""
    assert track.points is not None
    box, turn = leveled_box(track.points)
    return _shifted(_plain(box), track.shift(now)), turn


def _on_grid(box: Box, turn: float) -> tuple[Box, float]:
    """The place where a face is looked for, by less than a hundredth of its side elsewhere.

    The network is shown the same picture then, and answers the same, whatever was known of the
    face a while ago: without it, two trackers come as near as a tenth of a pixel and no nearer.
    """
    (x, y), wide, high = _middle(box), box[2] - box[0], box[3] - box[1]
    step = 2.0 ** math.floor(math.log2(max(wide, high, 1.0) / _GRID))
    x, y = round(x / step) * step, round(y / step) * step
    across, down = round(wide / step) * step / 2, round(high / step) * step / 2
    return (x - across, y - down, x + across, y + down), round(turn * _GRID) / _GRID


def _plain(box: FloatArray) -> Box:
    x0, y0, x1, y1 = box.tolist()
    return x0, y0, x1, y1


def _middle(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _side(box: Box) -> float:
    return max(box[2] - box[0], box[3] - box[1])


def _shifted(box: Box, shift: tuple[float, float], share: float = 1.0) -> Box:
    x, y = share * shift[0], share * shift[1]
    return box[0] + x, box[1] + y, box[2] + x, box[3] + y


def _between(one: Box, other: Box, share: float) -> Box:
    """What lies so far on the way from one to the other."""
    a, b, c, d = (v + share * (w - v) for v, w in zip(one, other, strict=True))
    return a, b, c, d


def _off(box: Box, expected: Box) -> float:
    """How far a box lies from where it was expected, in sides."""
    (x, y), (from_x, from_y) = _middle(box), _middle(expected)
    return math.hypot(x - from_x, y - from_y) / _side(expected)


def _same(box: Box, other: Box) -> bool:
    """Whether two boxes are of one face: each holds the other's middle, or they overlap."""
    nested = geometry.is_in(_middle(box), other) and geometry.is_in(_middle(other), box)
    return nested or geometry.overlap(box, other) > _APART


def _visible(box: Box, frame: Frame) -> bool:
    x0, y0, x1, y1 = geometry.clip(box, frame.width, frame.height).tolist()
    return bool(x1 - x0 >= 1 and y1 - y0 >= 1)


def _cost(track: _Track, face: Face, now: float) -> float:
    """How unlikely a face is a track's, from 0; over 1 it is not."""
    box, shift = _plain(face.box), track.shift(now)
    reach = min(_REACH + _REACH_PER_S * max(now - track.seen_s, 0.0), _FARTHEST)
    growth = abs(math.log2(_side(box) / track.side))
    on_its_way = (_shifted(track.box, shift, i / (_PLACES - 1)) for i in range(_PLACES))
    nearest = min(_off(box, place) for place in on_its_way)
    off = _TURNS_BACK * nearest + (1 - _TURNS_BACK) * _off(box, track.expected(now))
    return off / reach + growth / 2


def _fit(box: Box, base: Box) -> Box:
    """How a detector's box lies on the box of the face's landmarks."""
    (x, y), (from_x, from_y), side = _middle(box), _middle(base), _side(base)
    wide = (box[2] - box[0]) / (base[2] - base[0])
    high = (box[3] - box[1]) / (base[3] - base[1])
    return (x - from_x) / side, (y - from_y) / side, wide, high


def _fitted(base: Box, fit: Box | None) -> Box:
    """The detector's box for the box of a face's landmarks."""
    if fit is None:
        return base
    (x, y), side = _middle(base), _side(base)
    x, y = x + fit[0] * side, y + fit[1] * side
    across, down = (base[2] - base[0]) * fit[2] / 2, (base[3] - base[1]) * fit[3] / 2
    return x - across, y - down, x + across, y + down
