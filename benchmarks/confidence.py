"""What tells best whether an answer is right: what a record's one number for that could be.

Faces whole and with a part hidden (``mien.data.occlude``), read as mien reads them by default. Of
each candidate the area under the curve (AUC) of errors: how often a wrong answer gets less of it
than a right one; 0.5 is chance. Combinations are logistic regressions fitted on another data set.
Worth a number of its own in records is what beats the top probability by 0.02 on every set, its
interval above 0, for no more than the time that a face takes anyway (ADR 21).

    python benchmarks/confidence.py ferplus.parquet lfw.parquet jaffe.parquet
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer
from doubt import HIDDEN, SEED
from scipy.special import logit
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mien import provenance
from mien.analysis.pipeline import Analyzer, Settings
from mien.data import occlude, table
from mien.data.table import Row, Table, generator
from mien.evaluation import metrics
from mien.expression.logits import calibrated, softmax
from mien.expression.recognize import OnnxRecognizer, load_model
from mien.face import FloatArray, Frame, ImageArray, RecognizedFace
from mien.faces import finder, landmarks
from mien.faces.landmarker import Landmarker, squares
from mien.media.image import read_bytes
from mien.person.head import Trunk

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

PARTS = {
    "brows": landmarks.BROWS,
    "nose": landmarks.NOSE,
    "eyes": slice(landmarks.RIGHT_EYE.start, landmarks.LEFT_EYE.stop),
    "mouth": landmarks.MOUTH,
}
FITTED_ON = {
    "ferplus PublicTest": "lfw",
    "lfw": "ferplus PublicTest",
    "jaffe": "ferplus PublicTest",
}
"""Of each set that is asked, the one that combinations were fitted on."""
QUALITY, BASE = "picture quality", "top probability"
PICTURES = 400  # of a set, at random
SAMPLES = 1000
PENALTY = 0.01  # the inverse of scikit-learn's regularisation: features are many


def main(
    ferplus: Path,
    lfw: Path,
    jaffe: Path,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/confidence.json"),
) -> None:
    whole, crops = Analyzer(Settings(detector="mien")), Analyzer(Settings(crops=True))
    asked = {
        "ferplus PublicTest": (crops, table.read(ferplus).of_split("PublicTest")),
        "lfw": (whole, table.read(lfw)),
        "jaffe": (whole, table.read(jaffe)),
    }
    sets = {name: looked_at(analyzer, rows) for name, (analyzer, rows) in asked.items()}
    info = load_model().info
    result = {
        **provenance.environment(),
        "model": {"name": info.name, "sha256": info.sha256},
        "hidden": list(HIDDEN),
        "sets": judged(sets),
    }
    out.write_text(json.dumps(result, indent=2) + "\n")


# -- what is known of each face --------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """What was read of N faces, and what else is known of them. All arrays are of N rows.

    people : whose each is, or which picture. hidden : what of it, "" for a whole one.
    right : whether the answer is the raters'. numbers : by name. answer : (N, K), one of them 1.
    logits : (N, K). features : (N, C) before the network's last layer.
    pictures : how many were asked. missed : of each condition, in how many no face was found.
    unmarked : in how many nothing could be hidden, as their faces had no landmarks.
    """

    people: npt.NDArray[np.str_]
    hidden: npt.NDArray[np.str_]
    right: Flags
    numbers: Mapping[str, Floats]
    answer: Floats
    logits: FloatArray
    features: FloatArray
    pictures: int
    missed: Mapping[str, int]
    unmarked: int


class _Reader:
    """Everything that can be known of a face, at whatever cost."""

    def __init__(self, analyzer: Analyzer) -> None:
        self._analyzer = analyzer
        assert isinstance(analyzer.recognizer, OnnxRecognizer)
        self._trunk = Trunk(analyzer.recognizer)
        self._landmarker = Landmarker()

    def points(self, picture: ImageArray) -> FloatArray | None:
        """Where to hide something."""
        faces = self._analyzer.find(Frame(picture))
        return faces[0].landmarks if faces else None

    def read(
        self, picture: ImageArray
    ) -> tuple[RecognizedFace, dict[str, float], FloatArray, FloatArray] | None:
        """The face that was found best, its numbers, logits and features."""
        frame = Frame(picture)
        faces = self._analyzer.analyze_frame(frame)
        if not faces:
            return None
        face = faces[0]
        crop = finder.pixels(frame, face)
        features = self._trunk.features([crop, np.ascontiguousarray(crop[:, ::-1])])
        logits = features @ self._trunk.head.weights.T + self._trunk.head.bias
        numbers = self._numbers(face, logits) | self._looks(frame, face)
        return face, numbers, logits[0], features[0]

    def _numbers(self, face: RecognizedFace, logits: FloatArray) -> dict[str, float]:
        """logits : (2, K), of the face and of its mirror image."""
        info, probs = self._trunk.info, np.sort(face.emotions.probs.astype(np.float64))
        looks = np.stack([logits[0], logits.mean(axis=0), logits[1]])
        first, both, mirrored = softmax(calibrated(looks, info.temperature, info.offsets))
        read = first if first.max() >= info.look_again_below else both
        answer, quality = int(face.emotions.probs.argmax()), face.quality
        assert face.intensity is not None
        return {
            BASE: probs[-1],
            "its probability at training rates": float(read[answer]),
            "its intensity": float(face.intensity.values[answer]),
            "margin over the second": probs[-1] - probs[-2],
            "entropy, negative": float((probs * np.log(np.maximum(probs, 1e-12))).sum()),
            "size of the logits": float(np.log(np.exp(logits[0].astype(np.float64)).sum())),
            "agreement with the mirrored look": 1 - float(np.abs(first - mirrored).sum()) / 2,
            QUALITY: face.picture_quality,
            "size_px": np.log(quality.size_px),
            "sharpness": quality.sharpness,
            "brightness": quality.brightness,
            "contrast": quality.contrast,
            "inside": quality.inside,
            "turned": abs(quality.yaw_rad or 0.0),
            "nodded": abs(quality.pitch_rad or 0.0),
        }

    def _looks(self, frame: Frame, face: RecognizedFace) -> dict[str, float]:
        """What the landmark network's two looks say, one at the box and one at what that saw."""
        inset = self._analyzer.detector.inset if self._analyzer.detector else landmarks.CROP
        box = inset.of(face.box)[None]
        first = self._landmarker.look(frame, squares(box), [0.0])
        level, turn = landmarks.leveled_box(first.points[0])
        second = self._landmarker.look(frame, squares(level[None]), [turn])
        apart = np.hypot(*(first.points[0] - second.points[0]).T)
        apart /= max(landmarks.interocular(second.points[0]), 1.0)
        scores = logit(np.clip([first.scores[0], second.scores[0]], 1e-7, 1 - 1e-7))
        return {
            "landmark network's score": float(scores.min()),
            "its two looks' agreement": -float(apart.mean()),
            **{f"the same, {part}": -float(apart[where].mean()) for part, where in PARTS.items()},
        }


def looked_at(analyzer: Analyzer, rows: Table) -> Seen:
    """Every face of a table that the model has a word for, whole and with each part hidden."""
    reader, labels = _Reader(analyzer), analyzer.recognizer.info.label_set
    rows = rows.keep(target >= 0 for target in rows.targets(labels))
    chosen = set(np.random.default_rng(SEED).permutation(len(rows))[:PICTURES].tolist())
    rows = rows.keep(i in chosen for i in range(len(rows)))
    found: list[Any] = []
    missed, unmarked = dict.fromkeys(("", *HIDDEN), 0), 0
    for row in rows.rows:
        pictures = dict(_hidden(reader, row))
        unmarked += len(pictures) == 1
        for hidden, picture in pictures.items():
            if (read := reader.read(picture)) is None:
                missed[hidden] += 1
            else:
                found.append((row, hidden, *read))
    top = np.array([labels.labels.index(face.emotions.top[0]) for _, _, face, *_ in found])
    return Seen(
        people=np.array([row.subject or row.id for row, *_ in found]),
        hidden=np.array([hidden for _, hidden, *_ in found]),
        right=np.array([face.emotions.top[0] == row.label for row, _, face, *_ in found]),
        numbers={name: np.array([of[3][name] for of in found]) for name in found[0][3]},
        answer=np.eye(len(labels))[top],
        logits=np.stack([of[4] for of in found]),
        features=np.stack([of[5] for of in found]),
        pictures=len(rows),
        missed=missed,
        unmarked=unmarked,
    )


def _hidden(reader: _Reader, row: Row) -> Iterator[tuple[str, ImageArray]]:
    """A picture as it is, and with each part of its face hidden, where its landmarks are known."""
    picture = read_bytes(row.image, row.id)
    yield "", picture
    if (points := reader.points(picture)) is None:
        return
    for what in HIDDEN:
        yield what, occlude.region(picture, points, what, generator(SEED, row.id))


# -- how well each number tells --------------------------------------------------------------------

_ANSWER = ("its probability at training rates", "its intensity")
_LANDMARKS = ("landmark network's score", "its two looks' agreement")
_BY_PART = tuple(f"the same, {part}" for part in PARTS)
_MEASURES = ("size_px", "sharpness", "brightness", "contrast", "inside", "turned", "nodded")
_MIRROR = "agreement with the mirrored look"
SINGLE = (
    *(QUALITY, BASE, *_ANSWER, "margin over the second", "entropy, negative", "size of the logits"),
    *(*_LANDMARKS, *_BY_PART, _MIRROR),
)
"""Candidates that are a number by themselves."""


def _combined(seen: Seen) -> dict[str, Floats]:
    """What the combinations are made of, (N, D) each."""
    n = seen.numbers
    answered = [logit(np.clip(n[BASE], 1e-4, 1 - 1e-4)), n["entropy, negative"]]
    answered += [n[name] for name in _ANSWER]
    placed = [n[name] for name in (*_LANDMARKS, *_BY_PART)]
    picture = [n[name] for name in _MEASURES]
    few = np.stack([answered[0], *placed], axis=1)
    known = np.column_stack([*answered, *placed, *picture, seen.answer, seen.logits])
    return {
        "top probability and landmarks": few,
        "the same and the mirrored look": np.column_stack([few, n[_MIRROR]]),
        "all that is known": known,
        "all that is known, and the network's features": np.column_stack([known, seen.features]),
    }


def judged(sets: Mapping[str, Seen]) -> dict[str, Any]:
    """Of each set, what every candidate is worth; combinations are fitted on another set."""
    told = {}
    for name, seen in sets.items():
        taught = sets[FITTED_ON[name]]
        candidates = {single: seen.numbers[single] for single in SINGLE}
        parts, theirs = _combined(seen), _combined(taught)
        for combination, values in parts.items():
            model = make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY, max_iter=2000))
            model.fit(theirs[combination], taught.right)
            candidates[combination] = model.predict_proba(values)[:, 1]
        told[name] = _of_set(seen, candidates) | {"combinations_fitted_on": FITTED_ON[name]}
        typer.echo(json.dumps({name: told[name]}, indent=1))
    return told


def _of_set(seen: Seen, candidates: Mapping[str, Floats]) -> dict[str, Any]:
    weights = _weights(seen.people)
    conditions = ("", *HIDDEN)
    base = np.array([_auc(candidates[BASE], seen.right, w) for w in weights])
    told = {}
    for name, values in candidates.items():
        drawn = np.array([_auc(values, seen.right, w) for w in weights])
        told[name] = {
            "auc": _rounded(_auc(values, seen.right)),
            "auc_ci95": _interval(drawn),
            "over_top_probability_ci95": _interval(drawn - base),
            "by_condition": {
                hidden or "whole": _rounded(_auc(values[which], seen.right[which]))
                for hidden in conditions
                if (which := seen.hidden == hidden).any()
            },
        }
        if (values >= 0).all() and (values <= 1).all():
            told[name]["calibration_error"] = _rounded(_calibration_error(values, seen.right))
    return {
        "pictures": seen.pictures,
        "faces": len(seen.right),
        "people": len(np.unique(seen.people)),
        "no_face": {hidden or "whole": n for hidden, n in seen.missed.items()},
        "without_landmarks_to_hide_by": seen.unmarked,
        "right": {
            hidden or "whole": _rounded(float(seen.right[seen.hidden == hidden].mean()))
            for hidden in conditions
        },
        "picture_quality_above_.99": _rounded(float((candidates[QUALITY] > 0.99).mean())),
        "candidates": told,
    }


def _auc(values: Floats, right: Flags, weights: Floats | None = None) -> float:
    """How often a right answer has the larger value of a pair; ties count half."""
    w = np.ones(len(values)) if weights is None else weights
    _, place = np.unique(values, return_inverse=True)
    good = np.bincount(place, w * right)
    bad = np.bincount(place, w * ~right)
    below = np.cumsum(bad) - bad / 2
    return float((good * below).sum() / (good.sum() * bad.sum()))


def _weights(people: npt.NDArray[np.str_]) -> list[Floats]:
    """How often each face is in each bootstrap sample, which draws whole people."""
    _, whose = np.unique(people, return_inverse=True)
    persons = int(whose.max()) + 1
    rng = np.random.default_rng(metrics.BOOTSTRAP_SEED)
    return [
        np.bincount(rng.integers(0, persons, persons), minlength=persons)[whose].astype(float)
        for _ in range(SAMPLES)
    ]


def _calibration_error(values: Floats, right: Flags) -> float:
    """ECE over ``metrics.ECE_BINS`` bins: how far the number lies from how often it is right."""
    bins = np.minimum((values * metrics.ECE_BINS).astype(int), metrics.ECE_BINS - 1)
    said, true = np.bincount(bins, values), np.bincount(bins, right)
    return float(np.abs(said - true).sum() / len(values))


def _interval(drawn: Floats) -> list[float]:
    return [_rounded(v) for v in np.quantile(drawn, (0.025, 0.975))]


def _rounded(value: float) -> float:
    return round(float(value), 4)


if __name__ == "__main__":
    typer.run(main)
