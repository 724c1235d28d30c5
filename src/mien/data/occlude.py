"""A part of the face hidden: to train on, and to ask what a model can do without it.

Two ways. ``band`` lays white noise over whole rows of a face crop, as Dobes & Sabolova do: 10 of 48
rows, from row 10 (eyes), 20 (nose) or 30 (mouth), whatever lies there. ``region`` goes by the
landmarks of a face, wherever it is in the picture and however it is turned.

Noise is uniform over the gray levels, alike in all channels, so that a gray picture stays gray.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import ConfigError, DataError, ShapeError, UnknownName
from ..face import FloatArray, ImageArray
from ..faces import landmarks
from ..media.image import read_bytes
from .table import Row, Table, generator, png

BANDS = {"eyes": 10, "nose": 20, "mouth": 30}
"""The first row of each band in a picture of 48; each is 10 high."""
_BAND, _OF = 10, 48

_MASK_RGB, _GLASSES_RGB = (166, 202, 224), (24, 24, 28)
_MARGIN = 0.06  # around a part, in distances between the outer corners of the eyes
_LENS = (0.27, 0.19)  # half axes of a lens, in the same
_BRIDGE = 28  # where a surgical mask ends on the nose

Shape = npt.NDArray[np.uint8]  # (H, W), 1 where something is hidden


def band(picture: ImageArray, part: str, rng: np.random.Generator) -> ImageArray:
    """A copy of a face crop (H, W, 3) uint8 with a band of noise over its eyes, nose or mouth.

    The band is as wide as the picture; its rows are those of 48, scaled. Raises UnknownName.

    Examples
    --------
    >>> hidden = band(np.full((48, 48, 3), 7, np.uint8), "eyes", np.random.default_rng(1))
    >>> np.flatnonzero((hidden != 7).any(axis=(1, 2)))
    array([10, 11, 12, 13, 14, 15, 16, 17, 18, 19])
    """
    if part not in BANDS:
        raise UnknownName("band", part, BANDS)
    _check(picture)
    height = picture.shape[0]
    top, bottom = (round(row * height / _OF) for row in (BANDS[part], BANDS[part] + _BAND))
    out = picture.copy()
    out[top:bottom] = _noise(out[top:bottom], rng)
    return out


def region(
    picture: ImageArray, points: FloatArray, what: str, rng: np.random.Generator
) -> ImageArray:
    """A copy of a picture (H, W, 3) uint8 with something of a face hidden; see ``REGIONS``.

    points : (68, 2) x y in pixels of the picture. A mask and sunglasses have a colour of their own
        (gray in a gray picture), everything else is noise. Raises UnknownName, ShapeError.
    """
    if what not in _SHAPES:
        raise UnknownName("region", what, _SHAPES)
    _check(picture)
    landmarks.check(points)
    shape = np.zeros(picture.shape[:2], np.uint8)
    _SHAPES[what](shape, np.asarray(points, np.float32))
    paint = {"mask": _MASK_RGB, "sunglasses": _GLASSES_RGB}.get(what)
    filled = _noise(picture, rng) if paint is None else _coloured(picture, paint)
    return np.where(shape[:, :, None] > 0, filled, picture)


def _check(picture: ImageArray) -> None:
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise ShapeError(f"a picture is (H, W, 3) uint8, got {picture.shape} {picture.dtype}")


def _noise(like: ImageArray, rng: np.random.Generator) -> ImageArray:
    noise = rng.integers(0, 256, (*like.shape[:2], 1), np.uint8)
    return np.asarray(np.broadcast_to(noise, like.shape))


def _coloured(like: ImageArray, rgb: tuple[int, int, int]) -> ImageArray:
    colour = np.array(rgb, np.uint8)
    if (like == like[:, :, :1]).all():
        colour[:] = round(float(colour @ np.array([0.299, 0.587, 0.114])))  # ITU-R 601
    return np.asarray(np.broadcast_to(colour, like.shape))


def _hull(shape: Shape, points: FloatArray, margin: float = 0.0) -> None:
    """Fill the convex hull of points, ``margin`` pixels wider on every side."""
    corners = cv2.convexHull(np.rint(points).astype(np.int32))
    cv2.fillConvexPoly(shape, corners, 1)
    if round(2 * margin) > 0:
        cv2.polylines(shape, [corners], True, 1, thickness=round(2 * margin))


def _part(*where: slice) -> Callable[[Shape, FloatArray], None]:
    def draw(shape: Shape, points: FloatArray) -> None:
        margin = _MARGIN * landmarks.interocular(points)
        _hull(shape, np.concatenate([points[w] for w in where]), margin)

    return draw


def _mask(shape: Shape, points: FloatArray) -> None:
    """From the bridge of the nose over the cheeks to the chin."""
    _hull(shape, points[[*range(2, 15), _BRIDGE]])


def _sunglasses(shape: Shape, points: FloatArray) -> None:
    between = landmarks.interocular(points)
    right, left = landmarks.eye_centres(points)
    angle = float(np.degrees(landmarks.roll(points)))
    axes = [max(1, round(half * between)) for half in _LENS]
    for x, y in (right, left):
        cv2.ellipse(shape, (round(float(x)), round(float(y))), axes, angle, 0, 360, 1, -1)
    ends = np.rint(np.stack([right, left])).astype(np.int32)
    cv2.polylines(shape, [ends], False, 1, thickness=max(1, round(_MARGIN * between)))


def _half(sign: int) -> Callable[[Shape, FloatArray], None]:
    """A half of the face with its forehead; ``sign`` 1 for the subject's left."""

    def draw(shape: Shape, points: FloatArray) -> None:
        chin = points[landmarks.CHIN]
        up = points[landmarks.NOSE_BRIDGE] - chin
        brows = points[landmarks.BROWS] + up * landmarks.FOREHEAD
        _hull(shape, np.concatenate([points, brows]))
        y, x = np.mgrid[: shape.shape[0], : shape.shape[1]]
        beside = (x - chin[0]) * -up[1] + (y - chin[1]) * up[0]  # of the line from chin to bridge
        shape[beside * sign < 0] = 0

    return draw


_SHAPES: dict[str, Callable[[Shape, FloatArray], None]] = {
    "eyes": _part(landmarks.RIGHT_EYE, landmarks.LEFT_EYE),
    "nose": _part(landmarks.NOSE),
    "mouth": _part(landmarks.MOUTH),
    "mask": _mask,
    "sunglasses": _sunglasses,
    "left_half": _half(1),
    "right_half": _half(-1),
}
REGIONS = tuple(_SHAPES)
"""What can be hidden by landmarks. Left and right are the subject's."""


@dataclass(frozen=True, slots=True)
class Occlude:
    """A part of each face hidden, after the split.

    what : eyes, nose or mouth; with by = "landmarks", any of ``REGIONS``.
    by : "bands" of a face crop, or "landmarks", which every row must then have.
    share : of the rows of a side, at random: 1 as a condition, less as an augmentation.
    sides : of the split ("train", "select", "test") whose rows are meant.
    """

    what: str
    by: str = "bands"
    share: float = 1.0
    sides: tuple[str, ...] = ("train", "select", "test")
    seed: int = 1

    def __post_init__(self) -> None:
        if self.by not in ("bands", "landmarks"):
            raise ConfigError(f"occlude.by is bands or landmarks, got '{self.by}'")
        known = BANDS if self.by == "bands" else REGIONS
        if self.what not in known:
            raise UnknownName("occlusion", self.what, known)
        if not 0 < self.share <= 1:
            raise ConfigError(f"occlude.share lies in (0, 1], got {self.share}")


def occluded(table: Table, settings: Occlude) -> Table:
    """The same rows, a part of the face hidden in those of the sides that ``settings`` names.

    What is hidden, and whether, depends on the seed and the row's id alone. Raises DataError where
    it goes by landmarks and a row has none.
    """
    rows = [_occluded(row, settings) if row.split in settings.sides else row for row in table.rows]
    notes = {**table.notes, "occlude": {**asdict(settings), "sides": list(settings.sides)}}
    return replace(table, rows=rows, notes=notes)


def _occluded(row: Row, settings: Occlude) -> Row:
    image = _hidden(row.image, row.landmarks, row.id, replace(settings, sides=()))
    return row if image is None else replace(row, image=image)


@functools.lru_cache(maxsize=80_000)
def _hidden(
    image: bytes, points: tuple[float, ...] | None, name: str, settings: Occlude
) -> bytes | None:
    """The picture with something hidden; None where it stays as it is."""
    rng = generator(settings.seed, name)
    if rng.uniform() >= settings.share:
        return None
    picture = read_bytes(image, name)
    if settings.by == "bands":
        return png(band(picture, settings.what, rng))
    if points is None:
        raise DataError(f"{name} has no landmarks to occlude its {settings.what} by; use bands")
    at = np.reshape(np.array(points, np.float32), (-1, 2))
    return png(region(picture, at, settings.what, rng))
