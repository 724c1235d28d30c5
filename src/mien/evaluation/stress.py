"""How a model bears up: accuracy against what is done to its pictures, more and more of it.

Each condition changes the pictures of a table of face crops at their own size, before anything
else looks at them: a model of mouths gets the mouth that is found in the changed face. Several
models get the very same pictures. Chance (noise, which way a picture turns) hangs on the row, the
condition and the level alone, so a run can be repeated.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .. import provenance
from ..data import occlude
from ..data.table import Row, Table
from ..errors import ConfigError, DataError, UnknownName
from ..expression.baserates import default_for
from ..expression.recognize import Recognizer
from ..face import FloatArray, Frame, ImageArray
from ..faces import align
from ..faces.finder import Finder, pixels
from ..faces.landmarker import Landmarker
from ..faces.landmarks import CROP
from ..labels import LabelSet, subset
from ..media import preprocess
from ..media.image import read_bytes
from . import evaluate, metrics

SEED = 1
_SRGB = 2.2  # gray levels are about this root of the light
_SENSOR = 3.0  # gray levels of a small camera's noise where its light is short
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


def _contrast(
    picture: ImageArray, share: float, rng: np.random.Generator, points: FloatArray
) -> ImageArray:
    mean = float(picture.mean())
    return np.asarray(np.rint(mean + share / 100 * (picture - mean)), np.uint8)


def _gamma(
    picture: ImageArray, exponent: float, rng: np.random.Generator, points: FloatArray
) -> ImageArray:
    return np.asarray(np.rint(255 * (picture / 255) ** exponent), np.uint8)


def _dim(
    picture: ImageArray, percent: float, rng: np.random.Generator, points: FloatArray
) -> ImageArray:
    return _noise(_lit(picture, percent / 100), _SENSOR, rng, points)


def _sidelight(
    picture: ImageArray, percent: float, rng: np.random.Generator, points: FloatArray
) -> ImageArray:
    light = np.linspace(1, 1 - percent / 100, picture.shape[1])
    return _lit(picture, (light if rng.random() < 0.5 else light[::-1])[:, None])


def _lit(picture: ImageArray, light: float | npt.NDArray[np.float64]) -> ImageArray:
    """The picture under a share of its light, for all pixels or each by itself."""
    return np.asarray(np.rint(picture * np.power(light, 1 / _SRGB)), np.uint8)


def _motion(
    picture: ImageArray, percent: float, rng: np.random.Generator, points: FloatArray
) -> ImageArray:
    """Averaged along a line, in any direction."""
    reach = percent / 100 * max(picture.shape[:2]) / 2
    angle = rng.uniform(0, np.pi)
    middle = int(np.ceil(reach)) + 1
    line = np.zeros((2 * middle + 1, 2 * middle + 1), np.float32)
    for t in np.linspace(-reach, reach, 8 * middle + 1):  # each spread over its four neighbours
        x, y = middle + t * np.cos(angle), middle + t * np.sin(angle)
        column, row = int(x), int(y)
        right, below = x - column, y - row
        near = np.outer([1 - below, below], [1 - right, right])
        line[row : row + 2, column : column + 2] += near
    line /= line.sum()
    return np.asarray(cv2.filter2D(picture, -1, line, borderType=cv2.BORDER_REPLICATE), np.uint8)


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
    "contrast": Condition("% of it left", (None, 70, 50, 35, 20, 10), _contrast),
    "gamma": Condition("exponent", (0.25, 0.4, 0.6, None, 1.7, 2.5, 4), _gamma),
    "dim": Condition("% of the light, and noise", (None, 30, 10, 5, 2, 1), _dim),
    "sidelight": Condition("% of the light gone on one side", (None, 50, 75, 90, 97), _sidelight),
    "noise": Condition("Gaussian, deviation in gray levels", (None, 10, 20, 30, 40, 60), _noise),
    "motion": Condition("% of the side moved", (None, 4, 8, 12, 16, 24), _motion),
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
    results: dict[str, Any] = {name: {} for name in names}
    for condition, level, changed in changes(asked.rows, pictures, conditions):
        cropped = _Cropped(changed)
        for look in looks:
            curves = results[look.name]
            found = look.score(cropped) if level is not None or not curves else curves["clean"]
            if not condition:
                curves["clean"] = found
            else:
                curves.setdefault(condition, []).append({"level": level, **found})
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


def changes(
    rows: Sequence[Row], pictures: Sequence[ImageArray], conditions: Sequence[str]
) -> Iterator[tuple[str, Level, list[ImageArray]]]:
    """(condition, level, changed pictures) of every level of every condition.

    First ("", None) and the pictures as they are. The same ones whenever it is asked again.
    """
    yield "", None, list(pictures)
    points = _points(rows, pictures) if "occlusion" in conditions else None
    for condition in conditions:
        for level in CONDITIONS[condition].levels:
            yield condition, level, _changed(condition, level, rows, pictures, points)


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


class _Cropped:
    """Pictures, and what is cut from them: once for all models that want the same."""

    def __init__(self, pictures: Sequence[ImageArray]) -> None:
        self._pictures = pictures
        self._kept: dict[tuple[str, int], list[ImageArray]] = {}

    def by(self, alignment: str, size: int) -> list[ImageArray]:
        key = alignment, 0 if alignment == "box" else size
        if key not in self._kept:
            self._kept[key] = crops(self._pictures, alignment, size)
        return self._kept[key]


def crops(pictures: Sequence[ImageArray], alignment: str, size: int) -> list[ImageArray]:
    """What is read of face crops: the part that an alignment wants, by landmarks found anew."""
    finder, cut = Finder(None), []
    for picture in pictures:
        frame = Frame(picture)
        (face,) = finder.find(frame, alignment)
        cut.append(pixels(frame, finder.framed(face, alignment, size)))
    return cut


class _Look:
    """A model's figures on one set of pictures after the other."""

    def __init__(
        self, recognizer: Recognizer, table: Table, labels: LabelSet, alignment: str | None
    ) -> None:
        self.name = recognizer.info.name
        self._recognizer, self._labels = recognizer, labels
        how = align.known(alignment) or recognizer.info.align
        self._align = "box" if table.notes.get("align") == how else how  # cut before
        self._rates = default_for(recognizer.info.base_rates)
        self._targets = table.targets(labels)
        people = [row.subject or row.id for row in table.rows]
        self._people = people if any(row.subject for row in table.rows) else None

    def score(self, pictures: _Cropped) -> dict[str, Any]:
        info = self._recognizer.info
        cut = pictures.by(self._align, info.preprocess.size)
        probs = self._recognizer.probabilities(cut, self._rates)
        probs = evaluate.restrict(probs, info.label_set, self._labels)
        found = metrics.score(probs, self._targets, self._labels, self._people)
        kept = ("accuracy", "accuracy_ci95", "balanced_accuracy", "balanced_accuracy_ci95")
        return {name: _rounded(found[name]) for name in kept}


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
