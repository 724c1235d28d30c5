"""How a model bears up: accuracy against what is done to its pictures, more and more of it.

Each condition changes the pictures of a table of face crops at their own size, before anything
else looks at them; several models get the very same pictures. Chance (noise, which way a picture
turns) hangs on the row, the condition and the level alone, so a run can be repeated.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from . import align, evaluate, metrics, occlude, preprocess, provenance
from .baserates import default_for
from .errors import ConfigError, DataError, UnknownName
from .face import FloatArray, Frame, ImageArray
from .finder import Finder, pixels
from .image import read_bytes
from .labels import LabelSet, subset
from .landmarker import Landmarker
from .landmarks import CROP
from .recognize import Recognizer
from .table import Row, Table

SEED = 1
_NOWHERE = np.zeros((0, 2), np.float32)
Level = float | str | None


@dataclass(frozen=True, slots=True)
class Condition:
    """Something done to pictures.

    unit : what its levels count. levels : in the order they are drawn in; None is the picture as
        it is. apply : the changed copy of a picture (H, W, 3) uint8, given a level and the face's
        landmarks (68, 2) in its pixels.
    """

    unit: str
    levels: tuple[Level, ...]
    apply: Callable[[ImageArray, Any, np.random.Generator, FloatArray], ImageArray]


def _occlusion(
    picture: ImageArray, what: str, rng: np.random.Generator, points: FloatArray
) -> ImageArray:
    return occlude.region(picture, points, what, rng)


def _blur(
    picture: ImageArray, percent: float, rng: np.random.Generator, points: FloatArray
) -> ImageArray:
    sigma = percent / 100 * max(picture.shape[:2])
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)


def _brightness(
    picture: ImageArray, more: float, rng: np.random.Generator, points: FloatArray
) -> ImageArray:
    return np.asarray(np.clip(picture.astype(np.int16) + round(more), 0, 255), np.uint8)


def _noise(
    picture: ImageArray, deviation: float, rng: np.random.Generator, points: FloatArray
) -> ImageArray:
    """Alike in all channels, so that a gray picture stays gray."""
    added = rng.normal(0, deviation, (*picture.shape[:2], 1))
    return np.asarray(np.clip(np.rint(picture + added), 0, 255), np.uint8)


def _jpeg(
    picture: ImageArray, quality: float, rng: np.random.Generator, points: FloatArray
) -> ImageArray:
    settings = [cv2.IMWRITE_JPEG_QUALITY, int(quality)]
    file = cv2.imencode(".jpg", picture[:, :, ::-1], settings)[1]
    return read_bytes(file.tobytes(), "jpeg")


def _resolution(
    picture: ImageArray, side: float, rng: np.random.Generator, points: FloatArray
) -> ImageArray:
    return preprocess.shrink(picture, int(side))[0]


def _rotation(
    picture: ImageArray, degrees: float, rng: np.random.Generator, points: FloatArray
) -> ImageArray:
    height, width = picture.shape[:2]
    angle = degrees if rng.random() < 0.5 else -degrees
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1)
    return np.asarray(
        cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


CONDITIONS = {
    "occlusion": Condition("what is hidden", (None, *occlude.REGIONS), _occlusion),
    "blur": Condition("Gaussian, sigma in % of the side", (None, 1, 2, 3, 4, 6, 8), _blur),
    "brightness": Condition("gray levels added", (-120, -80, -40, None, 40, 80, 120), _brightness),
    "noise": Condition("Gaussian, deviation in gray levels", (None, 10, 20, 30, 40, 60), _noise),
    "jpeg": Condition("JPEG quality", (None, 50, 30, 20, 10, 5), _jpeg),
    "resolution": Condition("pixels of the side", (None, 32, 24, 16, 12, 8), _resolution),
    "rotation": Condition("degrees, either way", (None, 10, 20, 30, 45, 60, 90), _rotation),
}


def named(text: str) -> tuple[str, ...]:
    """The conditions of "all", or of a list with commas, each once; raises UnknownName."""
    if text.strip() == "all":
        return tuple(CONDITIONS)
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        if name not in CONDITIONS:
            raise UnknownName("condition", name, (*CONDITIONS, "all"))
    return names


def stress(
    recognizers: Sequence[Recognizer],
    table: Table,
    split: str | None = None,
    conditions: Sequence[str] = tuple(CONDITIONS),
    alignment: str | None = None,
) -> dict[str, Any]:
    """Accuracy and balanced accuracy of models under each level of each condition, JSON-ready.

    table : of face crops. Only rows whose label every model can answer count, and each model
        answers among those labels alone, at the base rates a user gets. Faces are cut by
        ``alignment``, or else as each model was trained, from the changed picture.
    """
    part = table.of_split(split) if split else table
    labels = _labels(recognizers, part)
    asked = part.keep(row.label in labels.labels for row in part.rows)
    pictures = list(asked.pictures())
    names = [recognizer.info.name for recognizer in recognizers]
    if len(set(names)) < len(names):
        raise ConfigError(f"each model is asked once, got {', '.join(names)}")
    looks = [_Look(recognizer, asked, labels, alignment) for recognizer in recognizers]
    clean = {look.name: look.score(pictures) for look in looks}
    results: dict[str, Any] = {name: {"clean": found} for name, found in clean.items()}
    points = _points(asked.rows, pictures) if "occlusion" in conditions else None
    for condition in conditions:
        for name in names:
            results[name][condition] = []
        for level in CONDITIONS[condition].levels:
            changed = _changed(condition, level, asked.rows, pictures, points)
            for look in looks:
                found = clean[look.name] if level is None else look.score(changed)
                results[look.name][condition].append({"level": level, **found})
    return {
        **provenance.environment(),
        "models": {r.info.name: {"sha256": r.info.sha256} for r in recognizers},
        "data": {"name": table.name, "split": split or "all", "rows": len(part), "n": len(asked)},
        "labels": list(labels.labels),
        "majority_baseline": float(np.bincount(asked.targets(labels)).max() / len(asked)),
        "seed": SEED,
        "conditions": {name: {"unit": CONDITIONS[name].unit} for name in conditions},
        "results": results,
    }


def _labels(recognizers: Sequence[Recognizer], table: Table) -> LabelSet:
    """What occurs in the table and every model can answer."""
    sets = [evaluate.shared_labels(r.info.label_set, table) for r in recognizers]
    names = [name for name in sets[0].labels if all(name in other.labels for other in sets)]
    if len(names) < 2:
        raise DataError(f"{table.name} has less than two labels that all of these models answer")
    return subset(names, "stressed")


def _changed(
    condition: str,
    level: Level,
    rows: Sequence[Row],
    pictures: Sequence[ImageArray],
    points: Sequence[FloatArray] | None,
) -> list[ImageArray]:
    """Every picture under one level; the same ones whenever it is asked again."""
    if level is None:
        return list(pictures)
    apply, known = CONDITIONS[condition].apply, points or [_NOWHERE] * len(rows)
    changed = []
    for row, picture, where in zip(rows, pictures, known, strict=True):
        seed = zlib.crc32(f"{condition}/{level}/{row.id}".encode())
        changed.append(apply(picture, level, np.random.default_rng([SEED, seed]), where))
    return changed


def _points(rows: Sequence[Row], pictures: Sequence[ImageArray]) -> list[FloatArray]:
    """Each face's landmarks, the table's own or else the network's.

    The network's count even where it doubts that it sees a face: pictures left whole for want of
    landmarks would make hiding something look harmless.
    """
    network, found = Landmarker(), []
    for row, picture in zip(rows, pictures, strict=True):
        if row.landmarks is not None:
            found.append(np.reshape(row.landmarks, (-1, 2)).astype(np.float32))
            continue
        whole = np.array([0, 0, picture.shape[1], picture.shape[0]], np.float32)
        found.append(network.place(Frame(picture), CROP.of(whole)[None]).points[0])
    return found


class _Look:
    """A model's figures on one set of pictures after the other."""

    def __init__(
        self, recognizer: Recognizer, table: Table, labels: LabelSet, alignment: str | None
    ) -> None:
        self.name = recognizer.info.name
        self._recognizer, self._labels = recognizer, labels
        self._align = align.known(alignment) or recognizer.info.align
        self._rates = default_for(recognizer.info.base_rates)
        self._targets = table.targets(labels)
        people = [row.subject or row.id for row in table.rows]
        self._people = people if any(row.subject for row in table.rows) else None
        self._finder = Finder(None)

    def score(self, pictures: Sequence[ImageArray]) -> dict[str, Any]:
        crops = [self._cut(Frame(picture)) for picture in pictures]
        info = self._recognizer.info
        probs = self._recognizer.probabilities(crops, self._rates)
        probs = evaluate.restrict(probs, info.label_set, self._labels)
        found = metrics.score(probs, self._targets, self._labels, self._people)
        kept = ("accuracy", "accuracy_ci95", "balanced_accuracy", "balanced_accuracy_ci95")
        return {name: _rounded(found[name]) for name in kept}

    def _cut(self, frame: Frame) -> ImageArray:
        (face,) = self._finder.find(frame, self._align)
        size = self._recognizer.info.preprocess.size
        return pixels(frame, self._finder.framed(face, self._align, size))


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
