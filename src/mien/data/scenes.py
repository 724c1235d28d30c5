"""Made-up pictures with faces in known places, for the proposal network to train on.

Data sets of faces are crops; a detector needs pictures with a face somewhere in them. So faces with
landmarks are pasted, turned and scaled, into pictures without people, through masks of several
shapes with soft borders. What is no face is pasted through the same masks, so that the border of a
paste says nothing. A mask cuts off hair, neck and clothes, though, and small faces of photographs
have all three; so some scenes are whole pictures side by side (Bochkovskiy et al. 2020,
arXiv:2004.10934, for mosaics), some of a face, some of something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from .. import geometry
from ..errors import DataError
from ..face import FloatArray, ImageArray
from ..faces.landmarks import POINTS, leveled_box
from .table import Row, Table

SIDE = 320  # pixels of a scene
MOST = 16  # faces in one
TARGETS = 4  # numbers of a face: middle x and y, side of its landmarks in pixels, roll in radians

_BACKGROUND = 720  # longer side at which a picture without people is kept
_EMPTY = 0.15  # share of scenes without a face
_FILLED = 0.2  # share of scenes that are one picture of a face, spread over all of it
_TILED = 0.3  # share of scenes that are many pictures side by side
_TILES = (2, 3, 4, 5, 6)  # of them along each side
_TILE_OF_A_FACE = 0.5  # share of tiles with a face
_AROUND = 0.6  # of a picture's shorter side: with a smaller face it shows what is around one
_CROWD = (1, 1, 2, 3, 5, 8)  # faces pasted into one scene
_SMALLEST, _LARGEST = 12.0, 240.0  # pixels of a face's side
_STRETCH = 2.0  # a face is shown at up to so many times its size in the table
_TURN, _FAR_TURN, _FAR = 0.25, 1.75, 0.2  # rolls: deviation of most, limit and share of the rest
_DECOYS = 4  # other things pasted, at the most
_APART = 1.3  # between middles, in sides of the larger face

Random = np.random.Generator
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Face:
    """A gray picture with a face level in it: its middle, side and roll."""

    gray: ImageArray
    middle: FloatArray
    side: float
    roll: float


@dataclass(frozen=True, slots=True)
class Sources:
    """What scenes are made of; ``wide`` are those of the faces with something around them."""

    faces: Sequence[_Face]
    wide: Sequence[_Face]
    backgrounds: Sequence[ImageArray]
    decoys: Sequence[ImageArray]


def sources(faces: Table, backgrounds: Table, decoys: Table) -> Sources:
    """The pictures of three tables; raises DataError where a face has no landmarks."""
    every = [_face(row, gray) for row, gray in zip(faces.rows, _grays(faces), strict=True)]
    return Sources(
        every,
        [face for face in every if face.side < _AROUND * min(face.gray.shape)] or every,
        [_shrunk(gray) for gray in _grays(backgrounds)],
        list(_grays(decoys)),
    )


def _grays(table: Table) -> list[ImageArray]:
    return [np.asarray(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), np.uint8) for p in table.pictures()]


def _face(row: Row, gray: ImageArray) -> _Face:
    if row.landmarks is None:
        raise DataError(f"{row.id} has no landmarks")
    box, roll = leveled_box(np.array(row.landmarks, np.float32).reshape(POINTS, 2))
    middle = np.asarray((box[:2] + box[2:]) / 2 - 0.5, np.float32)
    return _Face(gray, middle, float((box[2:] - box[:2]).max()), roll)


def _shrunk(gray: ImageArray) -> ImageArray:
    factor = _BACKGROUND / max(gray.shape)
    if factor >= 1:
        return gray
    return np.asarray(cv2.resize(gray, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))


def make(material: Sources, count: int, seed: int) -> tuple[ImageArray, npt.NDArray[np.float32]]:
    """Scenes (N, 1, 320, 320) uint8 and their faces (N, 16, 4) float32, NaN where there are fewer.

    A face is its middle x y and the side of the square around its level landmarks in pixels, and
    its roll in radians.
    """
    scenes = np.empty((count, 1, SIDE, SIDE), np.uint8)
    targets = np.full((count, MOST, TARGETS), np.nan, np.float32)
    for i in range(count):
        random = np.random.default_rng([seed, i])
        scenes[i, 0], placed = _scene(material, random)
        targets[i, : len(placed)] = np.array(placed).reshape(-1, TARGETS)
    return scenes, targets


def _scene(material: Sources, random: Random) -> tuple[ImageArray, list[tuple[float, ...]]]:
    chance = random.random()
    if chance < _FILLED:
        return _filled(_any(material.faces, random), random)
    if chance < _FILLED + _TILED:
        return _tiled(material, random)
    scene = _background(_any(material.backgrounds, random), random)
    for _ in range(random.integers(0, _DECOYS + 1)):
        _paste_decoy(scene, material, random)
    placed: list[tuple[float, ...]] = []
    wanted = 0 if chance < _FILLED + _TILED + _EMPTY else int(random.choice(_CROWD))
    largest = _LARGEST / np.sqrt(max(wanted, 1))
    for _ in range(wanted):
        face = _any(material.faces, random)
        target = _place(face, largest, random)
        if all(_apart(target, other) for other in placed):
            _paste(scene, face.gray, _matrix(face, target), random)
            placed.append(target)
    return np.asarray(scene.clip(0, 255), np.uint8), placed


def _any(things: Sequence[T], random: Random) -> T:
    return things[int(random.integers(len(things)))]


def _filled(face: _Face, random: Random) -> tuple[ImageArray, list[tuple[float, ...]]]:
    """One picture of a face over the whole scene, its border repeated outwards."""
    whole = max(face.gray.shape)
    side = face.side / whole * SIDE * random.uniform(0.4, 1.1)
    middle = random.normal(SIDE / 2, SIDE / 10, 2)
    target = (*middle, float(np.clip(side, _SMALLEST, _LARGEST)), _roll(random))
    matrix = _matrix(face, target)
    border = random.choice([cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT, cv2.BORDER_CONSTANT])
    flat = cv2.warpAffine(
        _unaliased(face.gray, matrix), matrix, (SIDE, SIDE), borderMode=int(border)
    )
    return np.asarray(flat, np.uint8), [target]


def _tiled(material: Sources, random: Random) -> tuple[ImageArray, list[tuple[float, ...]]]:
    """Whole pictures side by side, as many along each side."""
    scene = np.empty((SIDE, SIDE), np.uint8)
    placed: list[tuple[float, ...]] = []
    edges = np.linspace(0, SIDE, int(random.choice(_TILES)) + 1).round().astype(int)
    for top, bottom in pairwise(edges.tolist()):
        for left, right in pairwise(edges.tolist()):
            tile = scene[top:bottom, left:right]
            if random.random() >= _TILE_OF_A_FACE or len(placed) == MOST:
                tile[:] = _elsewhere(material, tile.shape, random)
                continue
            face = _any(material.wide, random)
            matrix = _over(face.gray.shape, tile.shape, random)
            tile[:] = cv2.warpAffine(
                _unaliased(face.gray, matrix),
                matrix,
                tile.shape[::-1],
                borderMode=cv2.BORDER_REPLICATE,
            )
            x, y = geometry.transform(matrix, face.middle)
            placed.append((left + float(x), top + float(y), face.side * matrix[0, 0], face.roll))
    return np.asarray(scene), placed


def _over(inner: tuple[int, ...], outer: tuple[int, ...], random: Random) -> geometry.Matrix:
    """From a picture's middle to a tile's, so large that it fills the tile or nearly does."""
    scale = max(outer) / min(inner) * random.uniform(0.85, 1.25)
    here, there = (np.array(shape[::-1]) / 2 - 0.5 for shape in (inner, outer))
    return np.column_stack([np.eye(2) * scale, there - scale * here])


def _elsewhere(material: Sources, shape: tuple[int, ...], random: Random) -> ImageArray:
    """A tile without a face: a decoy, or a part of a picture without people."""
    if random.random() < 0.5:
        part: npt.NDArray[Any] = _any(material.decoys, random)
    else:
        part = _background(_any(material.backgrounds, random), random)
    return np.asarray(cv2.resize(part, shape[::-1], interpolation=cv2.INTER_AREA), np.uint8)


def _background(picture: ImageArray, random: Random) -> FloatArray:
    """A part of a picture, mirrored or not, of any size from a third to the whole."""
    side = round(min(picture.shape) * random.uniform(0.33, 1.0))
    top, left = (random.integers(0, length - side + 1) for length in picture.shape)
    part = picture[top : top + side, left : left + side]
    how = cv2.INTER_AREA if side > SIDE else cv2.INTER_LINEAR
    scene = cv2.resize(part, (SIDE, SIDE), interpolation=how).astype(np.float32)
    return np.ascontiguousarray(scene[:, ::-1] if random.random() < 0.5 else scene)


def _place(face: _Face, largest: float, random: Random) -> tuple[float, float, float, float]:
    most = min(largest, _STRETCH * face.side)
    side = float(np.exp(random.uniform(np.log(_SMALLEST), np.log(most))))
    x, y = random.uniform(0.3 * side, SIDE - 0.3 * side, 2)
    return float(x), float(y), side, _roll(random)


def _roll(random: Random) -> float:
    if random.random() < _FAR:
        return float(random.uniform(-_FAR_TURN, _FAR_TURN))
    return float(random.normal(0, _TURN))


def _apart(one: Sequence[float], other: Sequence[float]) -> bool:
    between = np.hypot(one[0] - other[0], one[1] - other[1])
    return bool(between > _APART * max(one[2], other[2]))


def _matrix(face: _Face, target: Sequence[float]) -> geometry.Matrix:
    """From the face's own picture into the scene."""
    x, y, side, roll = target
    source = np.array([face.middle, face.middle + _step(face.side, face.roll)])
    return geometry.similarity(source, np.array([[x, y], np.add([x, y], _step(side, roll))]))


def _step(length: float, turn: float) -> FloatArray:
    return np.array([np.cos(turn), np.sin(turn)], np.float32) * length


def _paste_decoy(scene: FloatArray, material: Sources, random: Random) -> None:
    """Something that is no face, or a piece of another picture."""
    gray = _any(material.decoys if random.random() < 0.7 else material.backgrounds, random)
    side = float(np.exp(random.uniform(np.log(20), np.log(200))))
    middle = np.array(gray.shape[::-1]) / 2
    here = np.array([middle, middle + _step(max(gray.shape), 0.0)])
    there = random.uniform(0, SIDE, 2)
    matrix = geometry.similarity(here, np.array([there, there + _step(side, _roll(random))]))
    _paste(scene, gray, matrix, random)


def _paste(scene: FloatArray, gray: ImageArray, matrix: geometry.Matrix, random: Random) -> None:
    """Lay a picture into the scene through a soft mask, its light brought nearer to the scene's."""
    mask = cv2.warpAffine(_mask(gray.shape, random), matrix, (SIDE, SIDE))
    content = cv2.warpAffine(
        _unaliased(gray, matrix), matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE
    ).astype(np.float32)
    weight = mask.sum()
    if weight < 1:
        return
    ours, theirs = ((mask * values).sum() / weight for values in (content, scene))
    content += random.uniform(0, 0.8) * (theirs - ours)
    scene += mask * (content - scene)


def _mask(shape: tuple[int, ...], random: Random) -> FloatArray:
    """An ellipse or a rectangle within a picture, its border more or less soft, (H, W) in 0..1."""
    height, width = shape
    mask = np.zeros((height, width), np.float32)
    inset = random.uniform(0.0, 0.12)
    left, top = round(width * inset) + 1, round(height * inset) + 1
    if random.random() < 0.5:
        middle = (width // 2, height // 2)
        cv2.ellipse(mask, middle, (width // 2 - left, height // 2 - top), 0, 0, 360, 1.0, -1)
    else:
        cv2.rectangle(mask, (left, top), (width - 1 - left, height - 1 - top), 1.0, -1)
    soft = 1 + 2 * round(min(height, width) * random.uniform(0.0, 0.08))
    return np.asarray(cv2.GaussianBlur(mask, (soft, soft), 0), np.float32)


def _unaliased(gray: ImageArray, matrix: geometry.Matrix) -> ImageArray:
    """The picture averaged where the matrix shrinks it: sampling alone would skip pixels."""
    shrinks = 1 / np.hypot(matrix[0, 0], matrix[1, 0])
    if shrinks < 1.5:
        return gray
    return np.asarray(cv2.GaussianBlur(gray, (0, 0), shrinks / 2.5), np.uint8)
