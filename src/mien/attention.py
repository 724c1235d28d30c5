"""Where a model looks on average: mean Grad-CAM maps per expression, whole and with parts hidden.

As Dobes & Sabolova's grid: for every expression the mean over so many random faces labelled with
it, with nothing, eyes, nose or mouth under a band of noise. Each map is taken for the label the
face has, and scaled to 1 where it is hottest, so that every face counts alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from . import align, evaluate, occlude, plots, provenance
from .baserates import BaseRates
from .errors import DataError
from .explain import PARTS, Explainer, by_part, heat_over, parts, scaled
from .face import FloatArray, ImageArray
from .finder import Finder
from .labels import LabelSet
from .preprocess import pad_to_square, resize
from .recognize import Recognizer
from .table import Table

SEED = 1
CONDITIONS = ("none", *occlude.BANDS)
_SHOWN = 192  # pixels of a picture in the grid


@dataclass(frozen=True, slots=True, eq=False)
class Average:
    """Mean maps of L expressions under M ``CONDITIONS``.

    heat : (L, M, S, S), each mean at most 1. faces : (L, M, S, S, 3) uint8, the mean picture.
    shares : (L, M, P) of the heat, and areas : (L, P), by ``mien.explain.PARTS``: means over the
        faces whose landmarks were found. counts : faces per expression.
    """

    labels: LabelSet
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
            "conditions": list(CONDITIONS),
            "expressions": {
                label: {
                    "faces": self.counts[i],
                    "areas": named(self.areas[i]),
                    "shares": {
                        condition: named(self.shares[i, m])
                        for m, condition in enumerate(CONDITIONS)
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
    found = []
    for label in labels.labels:
        rows = np.flatnonzero([row.label == label for row in part.rows])
        drawn = np.random.default_rng(SEED).permutation(rows)[:count]
        some = part.keep(np.isin(np.arange(len(part)), drawn))
        crops = evaluate.cut_faces(some, Finder(None), how, side)[1]
        found.append(_of_label(explainer, crops, recognizer.info.label_set.index(label)))
    heat, faces, shares, areas = (np.stack(values) for values in zip(*found, strict=True))
    counts = tuple(
        min(count, sum(row.label == name for row in part.rows)) for name in labels.labels
    )
    about = {
        **provenance.environment(),
        "model": {"name": recognizer.info.name, "sha256": recognizer.info.sha256},
        "data": {"name": table.name, "split": split or "all"},
        "align": how,
        "seed": SEED,
    }
    return Average(labels, heat, faces, shares, areas, counts, about)


def _of_label(
    explainer: Explainer, crops: list[ImageArray], index: int
) -> tuple[FloatArray, ImageArray, FloatArray, FloatArray]:
    """Heat (M, S, S), faces (M, S, S, 3), shares (M, P) and areas (P,) of one label's faces."""
    side = explainer.info.preprocess.size
    where = [parts(explainer.points(crop), side) for crop in crops]
    if not any(w is not None for w in where):
        raise DataError("no face is seen in any of these pictures; they have to be face crops")
    heats, faces, shares = [], [], []
    for condition in CONDITIONS:
        hidden = [_hidden(crop, condition, i) for i, crop in enumerate(crops)]
        maps = [scaled(m[index], side) for m in explainer.maps(hidden)]
        heats.append(np.mean(maps, axis=0))
        faces.append(np.mean([_square(crop, side) for crop in hidden], axis=0))
        pairs = zip(maps, where, strict=True)
        told = [by_part(m, w) for m, w in pairs if w is not None and m.any()]
        shares.append(_mean(told))
    areas = [by_part(np.ones((side, side), np.float32), w) for w in where if w is not None]
    return (
        np.array(heats, np.float32),
        np.rint(faces).astype(np.uint8),
        np.stack(shares),
        _mean(areas),
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
    heads = ["nothing hidden", *(f"{part} hidden" for part in occlude.BANDS)]
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
