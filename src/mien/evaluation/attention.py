"""Where a model looks on average: mean Grad-CAM maps per expression, whole and with parts hidden.

As Dobes & Sabolova's grid: for every expression the mean over so many random faces labelled with
it, with nothing, eyes, nose or mouth under a band of noise. Each map is taken for the label the
face has, and scaled to 1 where it is hottest, so that every face counts alike. All columns are one
model's, shown faces that it never saw hidden, or each is of a model that was trained so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .. import provenance
from ..data import cut, occlude
from ..data.table import Table
from ..errors import DataError
from ..expression.baserates import BaseRates
from ..expression.explain import PARTS, Explainer, by_part, heat_over, parts, scaled
from ..expression.recognize import Recognizer
from ..face import FloatArray, ImageArray
from ..faces import align
from ..faces.finder import Finder
from ..labels import LabelSet
from ..media.preprocess import pad_to_square, resize
from . import evaluate, plots

SEED = 1
CONDITIONS = ("none", *occlude.BANDS)
_SHOWN = 192  # pixels of a picture in the grid
_CHUNK = 64


@dataclass(frozen=True, slots=True, eq=False)
class Average:
    """Mean maps of L expressions under M conditions.

    conditions : what is hidden; "none" for nothing.
    heat : (L, M, S, S), each mean at most 1. faces : (L, M, S, S, 3) uint8, the mean picture.
    shares : (L, M, P) of the heat, and areas : (L, P), by ``mien.expression.explain.PARTS``: means
        over the faces whose landmarks were found. counts : faces per expression.
    """

    labels: LabelSet
    conditions: tuple[str, ...]
    heat: FloatArray
    faces: ImageArray
    shares: FloatArray
    areas: FloatArray
    counts: tuple[int, ...]
    about: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        def named(values: FloatArray) -> dict[str, float]:
            return {part: round(float(v), 4) for part, v in zip(PARTS, values, strict=True)}

        return {
            **self.about,
            "conditions": list(self.conditions),
            "expressions": {
                label: {
                    "faces": self.counts[i],
                    "areas": named(self.areas[i]),
                    "shares": {
                        condition: named(self.shares[i, m])
                        for m, condition in enumerate(self.conditions)
                    },
                }
                for i, label in enumerate(self.labels.labels)
            },
        }


def average(
    recognizer: Recognizer,
    table: Table,
    split: str | None,
    count: int,
    alignment: str | None = None,
) -> Average:
    """Mean maps over up to ``count`` random faces of each expression in a table of face crops.

    The same faces in every condition, and in every run. Raises ModelError for a model that cannot
    be explained, DataError for a table without a label it answers.
    """
    explainer = Explainer(recognizer)
    part = table.of_split(split) if split else table
    labels = evaluate.shared_labels(recognizer.info.label_set, part)
    how = align.known(alignment) or recognizer.info.align
    side = recognizer.info.preprocess.size
    rows = []
    for label in labels.labels:
        some = _drawn(part, label, count)
        crops = cut.cut_faces(some, Finder(None), how, side)[1]
        columns = [
            Column(name, explainer, [_hidden(crop, name, i) for i, crop in enumerate(crops)])
            for name in CONDITIONS
        ]
        rows.append(_row(label, crops, columns))
    about = {
        "model": {"name": recognizer.info.name, "sha256": recognizer.info.sha256},
        "data": {"name": table.name, "split": split or "all"},
        "align": how,
    }
    return _joined(labels, rows, about)


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A column of ``of_each``: a model, and how its table shows the faces it was trained for."""

    name: str
    recognizer: Recognizer
    shown: Table


def of_each(columns: Sequence[Trained], plain: Table, count: int) -> Average:
    """The grid of models each trained under a condition of its own.

    plain : the same rows as every column's ``shown``, with nothing hidden: landmarks are found
        there. Up to ``count`` faces of each expression, the same in every column.
    """
    labels = evaluate.shared_labels(columns[0].recognizer.info.label_set, plain)
    explainers = [Explainer(column.recognizer) for column in columns]
    rows = []
    for label in labels.labels:
        some = _drawn(plain, label, count)
        chosen = {row.id for row in some.rows}
        seen = [
            Column(column.name, explainer, _pictures_of(column.shown, chosen))
            for column, explainer in zip(columns, explainers, strict=True)
        ]
        rows.append(_row(label, list(some.pictures()), seen))
    about = {
        "models": {column.name: column.recognizer.info.sha256 for column in columns},
        "model": {"name": "each network under the occlusion it was trained on"},
        "data": {"name": plain.name, "split": list(plain.splits)},
    }
    return _joined(labels, rows, about)


def _pictures_of(table: Table, ids: set[str]) -> list[ImageArray]:
    return list(table.keep(row.id in ids for row in table.rows).pictures())


def _drawn(table: Table, label: str, count: int) -> Table:
    """Up to ``count`` random rows of a label, the same in every run."""
    rows = np.flatnonzero([row.label == label for row in table.rows])
    drawn = np.random.default_rng(SEED).permutation(rows)[:count]
    return table.keep(np.isin(np.arange(len(table)), drawn))


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One condition of some faces: who looks at them, and what is shown."""

    name: str
    explainer: Explainer
    pictures: Sequence[ImageArray]


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """Of one label: heat (M, S, S), faces (M, S, S, 3), shares (M, P), areas (P,), and how many."""

    conditions: tuple[str, ...]
    heat: FloatArray
    faces: ImageArray
    shares: FloatArray
    areas: FloatArray
    count: int


def _row(label: str, plain: Sequence[ImageArray], columns: Sequence[Column]) -> _Row:
    first = columns[0].explainer
    side = first.info.preprocess.size
    where = [parts(first.points(crop), side) for crop in plain]
    if not any(w is not None for w in where):
        raise DataError("no face is seen in any of these pictures; they have to be face crops")
    found = [_mean_map(label, column, where) for column in columns]
    heats, faces, shares = zip(*found, strict=True)
    areas = [by_part(np.ones((side, side), np.float32), w) for w in where if w is not None]
    names = tuple(column.name for column in columns)
    means = np.rint(faces).astype(np.uint8)
    return _Row(names, np.stack(heats), means, np.stack(shares), _mean(areas), len(plain))


def _mean_map(
    label: str, column: Column, where: Sequence[npt.NDArray[np.intp] | None]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean heat (S, S), mean face (S, S, 3) and mean shares (P,), some faces in memory at a time.

    where : of each face, which part each pixel belongs to.
    """
    info = column.explainer.info
    side, index = info.preprocess.size, info.label_set.index(label)
    heat = np.zeros((side, side), np.float64)
    face = np.zeros((side, side, 3), np.float64)
    told = []
    for start in range(0, len(column.pictures), _CHUNK):
        some = column.pictures[start : start + _CHUNK]
        for i, maps in enumerate(column.explainer.maps(some)):
            one, place = scaled(maps[index], side), where[start + i]
            heat += one
            face += _square(some[i], side)
            if place is not None and one.any():
                told.append(by_part(one, place))
    n = len(column.pictures)
    return np.asarray(heat / n, np.float32), np.asarray(face / n, np.float32), _mean(told)


def _joined(labels: LabelSet, rows: Sequence[_Row], about: dict[str, Any]) -> Average:
    return Average(
        labels,
        rows[0].conditions,
        np.stack([row.heat for row in rows]),
        np.stack([row.faces for row in rows]),
        np.stack([row.shares for row in rows]),
        np.stack([row.areas for row in rows]),
        tuple(row.count for row in rows),
        {**provenance.environment(), **about, "seed": SEED},
    )


def _mean(told: list[dict[str, float]]) -> FloatArray:
    if not told:  # nothing ever speaks for this label
        return np.zeros(len(PARTS), np.float32)
    return np.asarray(np.mean([list(one.values()) for one in told], axis=0), np.float32)


def _hidden(crop: ImageArray, condition: str, number: int) -> ImageArray:
    if condition not in occlude.BANDS:
        return crop
    return occlude.band(crop, condition, np.random.default_rng([SEED, number]))


def _square(crop: ImageArray, side: int) -> ImageArray:
    """What the model is shown, still in colour."""
    return pad_to_square(resize(crop, side))


def figure(found: Average, form: str = "png") -> bytes:
    """The grid: expressions in rows, what is hidden in columns, heat over the mean face.

    Every picture is scaled to its own hottest place: they say where, and ``as_dict`` how much.
    """
    large = [
        [_shown(f, h) for f, h in zip(*row, strict=True)]
        for row in zip(found.faces, found.heat, strict=True)
    ]
    heads = [f"{'nothing' if name == 'none' else name} hidden" for name in found.conditions]
    names = [
        f"{label}\nn {n:,}" for label, n in zip(found.labels.labels, found.counts, strict=True)
    ]
    return plots.grid(large, names, heads, form, f"{found.about['model']['name']}: mean Grad-CAM")


def _shown(face: ImageArray, heat: FloatArray) -> ImageArray:
    large = cv2.resize(face, (_SHOWN, _SHOWN), interpolation=cv2.INTER_CUBIC)
    return heat_over(np.asarray(large, np.uint8), scaled(heat, len(heat)))


def deletion(
    explainer: Explainer, recognizer: Recognizer, crops: Sequence[ImageArray], share: float = 0.1
) -> dict[str, FloatArray]:
    """How much the likeliest label loses when a part of the picture is blanked, (N,) each.

    "hottest" : the share of it where the map of that label is hottest. "random" : as much of it,
        where a random map as coarse is. Blank is the picture's own mean.
    """
    side, rng = explainer.info.preprocess.size, np.random.default_rng(SEED)
    squares = [_square(crop, side) for crop in crops]
    rates = BaseRates("training")
    probs = recognizer.probabilities(squares, rates)
    tops = probs.argmax(axis=1)
    maps = explainer.maps(squares)[np.arange(len(tops)), tops]
    places = {"hottest": maps, "random": rng.uniform(size=maps.shape).astype(np.float32)}
    lost = {}
    for name, heats in places.items():
        blanked = [_blanked(s, scaled(h, side), share) for s, h in zip(squares, heats, strict=True)]
        after = recognizer.probabilities(blanked, rates)
        lost[name] = (probs - after)[np.arange(len(tops)), tops]
    return lost


def _blanked(square: ImageArray, heat: FloatArray, share: float) -> ImageArray:
    """A copy whose hottest ``share`` of pixels is its mean."""
    hottest = np.argsort(heat, axis=None)[::-1][: round(share * heat.size)]
    out = square.copy()
    out.reshape(-1, 3)[hottest] = np.rint(square.mean(axis=(0, 1))).astype(np.uint8)
    return out
