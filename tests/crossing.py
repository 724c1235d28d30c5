"""Films of real heads that cross before a still background, with where each head truly is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mien.analysis.pipeline import Analyzer
from mien.face import Face, FloatArray, Frame, ImageArray
from mien.faces.landmarks import face_box

Path2 = Sequence[tuple[float, float]]
"""The middle of a head in each frame, x y in pixels."""


def clip(path: Path) -> list[Frame]:
    """The frames of a video file with their times."""
    import av

    with av.open(str(path)) as container:
        return [
            Frame(
                np.asarray(f.to_ndarray(format="rgb24"), np.uint8), i, float(f.time or 0), path.name
            )
            for i, f in enumerate(container.decode(video=0))
        ]


class Head:
    """A head cut out of pictures of one person who keeps still enough, ``side`` pixels wide."""

    def __init__(self, analyzer: Analyzer, pictures: Sequence[ImageArray], side: int) -> None:
        points = analyzer.find(Frame(pictures[0]))[0].landmarks
        assert points is not None
        box = face_box(points)
        scale, middle = side / float((box[2:] - box[:2]).max()), (box[:2] + box[2:]) / 2
        self.side, self._whole = side, 2 * side
        matrix = np.column_stack([scale * np.eye(2), side - scale * middle])
        size = (self._whole, self._whole)
        self._cut = [
            cv2.warpAffine(
                p, matrix, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
            ).astype(np.float32)
            for p in pictures
        ]
        mask = np.zeros(size, np.float32)
        axes = (int(0.62 * side), int(0.85 * side))
        cv2.ellipse(mask, (side, side), axes, 0, 0, 360, (1.0,), -1)
        self._mask = cv2.GaussianBlur(mask, (0, 0), 3)

    def put(self, picture: FloatArray, number: int, x: float, y: float) -> None:
        """Draw the head at x, y of a picture (H, W, 3); its own film runs to and fro."""
        turn, at = divmod(number, len(self._cut))
        cut = self._cut[-1 - at if turn % 2 else at]
        left, top = int(x) - self.side, int(y) - self.side
        shift = np.array([[1, 0, x % 1], [0, 1, y % 1]])
        moved, cover = (cv2.warpAffine(p, shift, cut.shape[:2]) for p in (cut, self._mask))
        height, width = picture.shape[:2]
        rows = slice(max(0, -top), self._whole - max(0, top + self._whole - height))
        columns = slice(max(0, -left), self._whole - max(0, left + self._whole - width))
        under = picture[
            top + rows.start : top + rows.stop, left + columns.start : left + columns.stop
        ]
        share = cover[rows, columns, None]
        under += share * (moved[rows, columns] - under)


def film(
    background: ImageArray, heads: Sequence[Head], paths: Sequence[Path2], fps: float
) -> Iterator[Frame]:
    """Heads on their paths, the first in front of the others; a little noise."""
    rng = np.random.default_rng(0)
    for number, places in enumerate(zip(*paths, strict=True)):
        picture = background.astype(np.float32)
        for head, (x, y) in reversed(list(zip(heads, places, strict=True))):
            head.put(picture, number, x, y)
        picture += rng.normal(0, 2, picture.shape[:2])[:, :, None]
        yield Frame(picture.clip(0, 255).astype(np.uint8), number, number / fps)


@dataclass(frozen=True, slots=True)
class Score:
    """switches : how often a head's number became another; missed : of ``seen`` heads in sight."""

    switches: int
    missed: int
    seen: int
    numbers: int


def score(
    follow: Callable[[Frame], list[Face]],
    frames: Iterator[Frame],
    heads: Sequence[Head],
    paths: Sequence[Path2],
) -> Score:
    """What a tracker makes of a film; a head behind another is not asked for."""
    known: dict[int, int | None] = {}
    numbers: set[int | None] = set()
    switches = missed = seen = 0
    for frame, places in zip(frames, zip(*paths, strict=True), strict=True):
        faces = follow(frame)
        numbers |= {face.track for face in faces}
        for i, (head, place) in enumerate(zip(heads, places, strict=True)):
            if any(np.hypot(*np.subtract(place, p)) < 0.9 * head.side for p in places[:i]):
                continue
            seen += 1
            near = [f for f in faces if _off(f, place) < 0.5 * head.side]
            if not near:
                missed += 1
                continue
            track = min(near, key=lambda f, at=place: _off(f, at)).track  # type: ignore[misc]
            switches += known.get(i, track) != track
            known[i] = track
    return Score(switches, missed, seen, len(numbers))


def _off(face: Face, place: tuple[float, float]) -> float:
    x, y = (face.box[:2] + face.box[2:]) / 2 - np.array(place)
    return float(np.hypot(x, y))


def line(start: tuple[float, float], end: tuple[float, float], count: int) -> Path2:
    """From one place to another at one speed."""
    return [tuple(p) for p in np.linspace(start, end, count).tolist()]
