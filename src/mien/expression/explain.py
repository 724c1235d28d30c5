"""Where a recogniser looked: Grad-CAM, without torch.

Selvaraju et al. 2017 (arXiv:1610.02391) weigh the maps of the last convolution by the mean gradient
of an answer over each map. That mean is the derivative in one direction, all of a map raised alike,
so a model file needs no gradients in it: the part behind the maps is asked with every map a little
higher and a little lower. For a network that pools the maps and weighs them (the default one) the
result is exact, the same for every face, and known as CAM (Zhou et al. 2016, arXiv:1512.04150).

A map says which parts of the picture speak for an answer, not whether the answer is right. It is
of the model's first look at a face; where that is unsure and a second, mirrored one follows, the
probability is of both.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .. import geometry
from ..errors import ModelError, OutputError, UnknownName
from ..face import Face, FloatArray, Frame, ImageArray
from ..faces import landmarks
from ..faces.finder import Finder, pixels
from ..files import replacing
from ..labels import LabelSet, canonical
from ..media.preprocess import batch, pad_to_square, resize
from ..names import spelt
from ..weights import graph, session
from .recognize import ModelInfo, OnnxRecognizer, Recognizer

SCHEMA = "mien-explain/1"
TOP, ALL = "top", "all"
PARTS = ("brows", "eyes", "nose", "mouth", "jaw", "outside")
"""What a map's heat is shared among: brows with the forehead, jaw with the cheeks."""
_OF_POINT = np.array([4] * 17 + [0] * 10 + [2] * 9 + [1] * 12 + [3] * 20)  # place in PARTS
_OUTSIDE = PARTS.index("outside")

_STEP = 0.05  # in root mean squares of the maps: well above rounding, well below a change of mind
_CHUNK = 64  # faces, or maps of a face, at once
_SIDE, _GAP, _STRIP = 256, 6, 40  # pixels of an overlay
_MOST_HIDDEN = 0.72  # how far the hottest place covers the face
_GROUND, _INK, _DIM = (20, 22, 26), (255, 255, 255), (160, 164, 172)


class Explainer:
    """Grad-CAM of a recogniser's file, for every label at once; raises ModelError.

    recognizer : one that was read from a file; any other raises ModelError, and so does a network
        without a convolution.
    """

    def __init__(self, recognizer: Recognizer, threads: int = 1) -> None:
        if not isinstance(recognizer, OnnxRecognizer):
            raise ModelError(f"{recognizer.info.name} was not read from a file, and only those are")
        self.info = recognizer.info
        content, name = recognizer.content, self.info.name
        maps = graph.tail(content).maps
        self._trunk = session.Session(graph.with_output(content, maps), name, threads)
        self._tail = graph.tail(content, self._trunk.kind(maps))
        self._input = self._trunk.inputs[0].name
        self._behind = session.Session(self._tail.content, name, threads)
        self._same: FloatArray | None = None
        self._crops = Finder(None)  # loads a network, only where a crop comes without landmarks

    def maps(self, crops: Sequence[ImageArray]) -> FloatArray:
        """What speaks for each label where, (N, K, h, w) float32, at least 0, as coarse as the
        network's last maps, for N crops (H, W, 3) uint8 RGB."""
        found = []
        for start in range(0, len(crops), _CHUNK):
            x = batch(crops[start : start + _CHUNK], self.info.preprocess)
            (features,) = self._trunk.run([self._tail.maps], {self._input: x})
            found += [np.einsum("kc,chw->khw", self._weights(f), f) for f in features]
        none = np.empty((0, len(self.info.label_set), 1, 1), np.float32)
        return np.maximum(np.stack(found) if found else none, 0)

    def _weights(self, features: FloatArray) -> FloatArray:
        """The mean gradient of each answer over each map (C, h, w): (K, C)."""
        if self._same is not None:
            return self._same
        step = np.float32(_STEP * max(float(np.sqrt((features**2).mean())), 1e-3))
        parts = [self._slopes(features, step, at) for at in range(0, len(features), _CHUNK)]
        weights = np.concatenate(parts, axis=1) / np.float32(np.prod(features.shape[1:]))
        if self._tail.affine:
            self._same = weights
        return weights

    def _slopes(self, features: FloatArray, step: np.float32, start: int) -> FloatArray:
        """Of up to ``_CHUNK`` maps: how each answer grows as all of one is raised, (K, c)."""
        count = min(_CHUNK, len(features) - start)
        raised = np.repeat(features[None], 2 * count, axis=0)
        for i in range(count):
            raised[i, start + i] += step
            raised[count + i, start + i] -= step
        answers: FloatArray = self._behind.run(None, {self._tail.maps: raised})[0]
        return (answers[:count] - answers[count:]).T / (2 * step)

    def points(self, crop: ImageArray) -> FloatArray | None:
        """The landmarks of a face crop, (68, 2) in pixels of the square the model is shown.

        None where the landmark network sees no face.
        """
        found = self._crops.find(Frame(crop), "similarity")[0].landmarks
        side = self.info.preprocess.size
        return None if found is None else square_points(found, crop.shape, side)


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Where one label of one face comes from.

    heat : (S, S) float32 over the square the model is shown, 1 where it is hottest; all 0 where
        nothing speaks for the label.
    shares : of the heat, by ``PARTS``, summing to 1; None without landmarks, or without heat.
    areas : of the square, by ``PARTS``; None without landmarks.
    """

    label: str
    probability: float
    heat: FloatArray
    shares: dict[str, float] | None
    areas: dict[str, float] | None

    @property
    def hottest(self) -> str | None:
        """The part with most heat for its size; one of less than a hundredth does not count."""
        if self.shares is None or self.areas is None:
            return None
        areas = {part: area for part, area in self.areas.items() if area >= 0.01}
        return max(areas, key=lambda part: self.shares[part] / areas[part])  # type: ignore[index]

    def as_dict(self) -> dict[str, Any]:
        y, x = np.unravel_index(int(self.heat.argmax()), self.heat.shape)
        side = len(self.heat)
        return {
            "label": self.label,
            "probability": round(self.probability, 5),
            "hottest": self.hottest,
            "peak": [round((int(v) + 0.5) / side, 3) for v in (x, y)] if self.heat.any() else None,
            "shares": self.shares and {k: round(v, 4) for k, v in self.shares.items()},
            "areas": self.areas and {k: round(v, 4) for k, v in self.areas.items()},
        }


def chosen(emotion: str, labels: LabelSet) -> str:
    """``emotion`` by mien's own name, or "top" or "all"; raises UnknownName."""
    if emotion in (TOP, ALL):
        return emotion
    try:
        name = canonical(emotion)
    except UnknownName:
        name = emotion
    if name not in labels.labels:
        raise UnknownName("expression", emotion, (*labels.labels, TOP, ALL))
    return name


def explain(
    explainer: Explainer, frame: Frame, face: Face, emotion: str = TOP
) -> list[Explanation]:
    """The likeliest label of a recognised face, another, or all of them, explained."""
    assert face.emotions is not None, "explain() takes recognised faces"
    crop, side = pixels(frame, face), explainer.info.preprocess.size
    wanted = {TOP: [face.emotions.top[0]], ALL: list(face.emotions.label_set.labels)}
    maps = explainer.maps([crop])[0]
    points = _points(face, crop, side)
    where = parts(explainer.points(crop) if points is None else points, side)
    found = []
    for label in wanted.get(emotion, [emotion]):
        index = face.emotions.label_set.index(label)
        heat = scaled(maps[index], side)
        shares = None if where is None or not heat.any() else by_part(heat, where)
        areas = None if where is None else by_part(np.ones_like(heat), where)
        found.append(Explanation(label, float(face.emotions.probs[index]), heat, shares, areas))
    return found


def scaled(heat: FloatArray, side: int) -> FloatArray:
    """A map (h, w) as (side, side), 1 where it is hottest."""
    large = cv2.resize(heat, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large / max(float(large.max()), 1e-12), np.float32)


def _points(face: Face, crop: ImageArray, side: int) -> FloatArray | None:
    """The face's landmarks in pixels of the square of ``side`` that the model is shown."""
    if face.landmarks is None or face.crop is None:
        return None
    in_crop = geometry.transform(face.crop.matrix, face.landmarks)
    return square_points(in_crop, crop.shape, side)


def square_points(points: FloatArray, shape: tuple[int, ...], side: int) -> FloatArray:
    """Points of a picture as those of the square that ``preprocess`` makes of it."""
    longer = max(shape[:2])
    margin = np.array([(longer - shape[1]) // 2, (longer - shape[0]) // 2])
    return np.asarray((points + margin + 0.5) * (side / longer) - 0.5, np.float32)


def parts(points: FloatArray | None, side: int) -> npt.NDArray[np.intp] | None:
    """Which of ``PARTS`` each pixel of a square belongs to, (side, side): the nearest landmark's.

    None without points.
    """
    if points is None:
        return None
    y, x = np.mgrid[:side, :side]
    away = (x[..., None] - points[:, 0]) ** 2 + (y[..., None] - points[:, 1]) ** 2
    face = np.zeros((side, side), np.uint8)
    up = points[landmarks.NOSE_BRIDGE] - points[landmarks.CHIN]
    outline = np.concatenate([points, points[landmarks.BROWS] + landmarks.FOREHEAD * up])
    cv2.fillConvexPoly(face, cv2.convexHull(np.rint(outline).astype(np.int32)), 1)
    return np.where(face > 0, _OF_POINT[away.argmin(axis=2)], _OUTSIDE)


def by_part(heat: FloatArray, where: npt.NDArray[np.intp]) -> dict[str, float]:
    """Which share of the heat lies in each of ``PARTS``."""
    sums = np.bincount(where.ravel(), weights=heat.ravel(), minlength=len(PARTS))
    return dict(zip(PARTS, (float(v) for v in sums / sums.sum()), strict=True))


def overlay(crop: ImageArray, found: Explanation) -> ImageArray:
    """The face, beside it the same with its heat over it, and under both what it is heat of."""
    from PIL import Image, ImageDraw, ImageFont

    face = _enlarged(crop)
    heated = heat_over(face, found.heat)
    page = Image.new("RGB", (2 * _SIDE + 3 * _GAP, _SIDE + _GAP + _STRIP), _GROUND)
    page.paste(Image.fromarray(face), (_GAP, _GAP))
    page.paste(Image.fromarray(heated), (_SIDE + 2 * _GAP, _GAP))
    pen, middle = ImageDraw.Draw(page), _SIDE + _GAP + _STRIP // 2
    percent = _percent(found.probability)
    pen.text((2 * _GAP, middle), f"{found.label} {percent}", _INK, ImageFont.load_default(18), "lm")
    small = ImageFont.load_default(12)
    if not found.heat.any():
        pen.text((page.width - 2 * _GAP, middle), "nothing speaks for it", _DIM, small, "rm")
        return np.asarray(page)
    scale = _colors(np.linspace(0, 1, 96, dtype=np.float32)[None].repeat(8, 0))
    right = page.width - 2 * _GAP
    pen.text((right, middle), "much", _DIM, small, "rm")
    right -= round(small.getlength("much")) + _GAP + scale.shape[1]
    page.paste(Image.fromarray(scale), (right, middle - 4))
    pen.text((right - _GAP, middle), "little", _DIM, small, "rm")
    return np.asarray(page)


def heat_over(picture: ImageArray, heat: FloatArray) -> ImageArray:
    """A square picture in gray with heat (S, S) in [0, 1] over it; where there is none it is bare.

    The colours are inferno's, each as much lighter as it is hotter.
    """
    side = len(picture)
    heat = np.clip(cv2.resize(heat, (side, side), interpolation=cv2.INTER_CUBIC), 0, 1)
    gray = np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    hidden = (_MOST_HIDDEN * heat)[..., None]
    mixed = gray * (1 - hidden) + _colors(np.asarray(heat, np.float32)) * hidden
    return np.asarray(np.rint(mixed), np.uint8)


def _colors(heat: FloatArray) -> ImageArray:
    levels = np.rint(heat * 255).astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)  # type: ignore[return-value]


def _enlarged(crop: ImageArray) -> ImageArray:
    square = pad_to_square(crop if max(crop.shape[:2]) < _SIDE else resize(crop, _SIDE))
    return cv2.resize(square, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)  # type: ignore[return-value]


def _percent(probability: float) -> str:
    """For people: nothing is ever quite sure, or quite impossible."""
    if probability < 0.005:
        return "<1%"
    return ">99%" if probability >= 0.995 else f"{probability:.0%}"


def write(path: Path, source: str, info: ModelInfo, faces: list[dict[str, Any]]) -> None:
    """What explains a picture's faces, as JSON; raises OutputError, also for another's file."""
    told = {
        "schema": SCHEMA,
        "source": spelt(source),
        "model": {"name": info.name, "sha256": info.sha256},
        "faces": faces,
        "units": {
            "peak": "x y of the hottest place, in 0..1 of the square the model is shown",
            "shares": "of the heat, by the part of the face whose landmarks are nearest; sum 1",
            "areas": "of the square, by the same parts; sum 1",
            "hottest": "the part with most heat for its area",
        },
    }
    try:
        if path.exists() and SCHEMA not in path.read_text(encoding="utf-8", errors="replace"):
            raise OutputError(f"{path} is there already, and not of mien's")
        with replacing(path) as stream:
            stream.write((json.dumps(told, indent=2) + "\n").encode())
    except OSError as err:
        raise OutputError(f"cannot write {path}: {err.strerror or err}") from err
