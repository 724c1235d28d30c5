"""What ``mien adapt`` is worth: faces that nobody labelled, and answers to other faces after it.

People of a set the model has never seen are dealt into halves, again and again. To one half, or to
few faces of it, the model is adapted, without their labels; the other half is asked, as shipped and
adapted, over the seven expressions at default base rates. JAFFE's women, each of whom shows every
expression about equally often, are also asked one by one: adapted to half of a woman's pictures, or
to a single one of her at rest, and asked of the rest of hers. What a folder of smiles does to it is
told, too. The gain's interval is that of the draws.

How a step is taken was chosen by these very sets, so that what it gives elsewhere may be less.

    python benchmarks/adapt.py lfw.parquet jaffe.parquet
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from mien import provenance
from mien.data import table
from mien.data.cut import cut_faces
from mien.evaluation.panel import SEVEN
from mien.expression import typical
from mien.expression.baserates import BaseRates, reweight
from mien.expression.recognize import OnnxRecognizer, load_model
from mien.face import FloatArray
from mien.faces import detect
from mien.faces.finder import Finder
from mien.labels import subset

MODELS = ("mien", "mien-tiny")
FEW = (5, 10, 30, 100)
DRAWS, DRAWN = 40, 1
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Faces:
    """A set's faces as a model answers them, at its training's base rates."""

    model: OnnxRecognizer
    probs: FloatArray
    targets: npt.NDArray[np.int64]
    people: npt.NDArray[np.str_]

    @property
    def labels(self) -> tuple[str, ...]:
        return self.model.info.label_set.labels

    def mix(self, target: str) -> FloatArray:
        info = self.model.info
        if target == "resting":
            return typical.at_rest(info.label_set)
        return BaseRates(target, 1).shares(info.label_set, info.base_rates)

    def step(self, given: Indices, target: str = "training") -> FloatArray:
        known = self.model.info.typical
        assert known is not None
        return typical.step(self.probs[given], known, self.mix(target))

    def answers(self, asked: Indices, step: FloatArray | float = 0.0) -> Indices:
        """The likeliest of the seven, as places in ``SEVEN``."""
        info = self.model.info
        assert info.base_rates is not None
        weights = BaseRates().weights(info.label_set, np.array(info.base_rates, np.float32))
        probs = reweight(self.probs[asked] * np.exp(step), weights)
        seven = probs[:, [self.labels.index(name) for name in SEVEN]]
        return np.asarray(seven.argmax(axis=1))

    def score(self, asked: Indices, answers: Indices) -> npt.NDArray[np.float64]:
        """Accuracy and balanced accuracy."""
        targets = self.targets[asked]
        recalls = [(answers[targets == k] == k).mean() for k in np.unique(targets)]
        return np.array([(answers == targets).mean(), np.mean(recalls)])


def main(
    lfw: Path,
    jaffe: Path,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/adapt.json"),
) -> None:
    """Measure it, and write it as JSON."""
    told: dict[str, Any] = {}
    for model in map(load_model, MODELS):
        sets = {"lfw": _faces(model, lfw), "jaffe": _faces(model, jaffe, detect.build("mien"))}
        told[model.info.name] = {
            "sha256": model.info.sha256,
            **{name: {"others": _others(faces)} for name, faces in sets.items()},
        }
        told[model.info.name]["jaffe"] |= {"herself": _herself(sets["jaffe"])}
        told[model.info.name]["lfw"] |= {"smiles": _smiles(sets["lfw"])}
    result = {**provenance.environment(), "draws": DRAWS, "seed": DRAWN, "models": told}
    out.write_text(json.dumps(result, indent=1) + "\n")
    typer.echo(json.dumps(told, indent=1))


def _faces(model: OnnxRecognizer, path: Path, detector: detect.FaceDetector | None = None) -> Faces:
    """A table's faces: found in photographs, or in places where they are cut already."""
    rows = table.read(path)
    rows = rows.keep(row.label in SEVEN for row in rows.rows)
    size = model.info.preprocess.size
    faces, crops = cut_faces(rows, Finder(detector), model.info.align, size)
    probs = model.read(crops, BaseRates("training")).probs
    people = np.array([row.subject or row.id for row in faces.rows])
    return Faces(model, probs, faces.targets(subset(SEVEN)), people)


def _others(faces: Faces) -> dict[str, Any]:
    """Adapted to other people of the same set."""
    rng, found = np.random.default_rng(DRAWN), {}
    everyone = np.unique(faces.people)
    halves = []
    for _ in range(DRAWS):
        ours = np.isin(faces.people, rng.permutation(everyone)[: len(everyone) // 2])
        halves.append((rng.permutation(np.flatnonzero(ours)), np.flatnonzero(~ours)))
    for few in (*FEW, None):
        if few and any(len(given) < few for given, _ in halves):
            continue
        turns = [_turn(faces, asked, faces.step(given[:few])) for given, asked in halves]
        found[str(few or "half")] = _told(turns)
    return found


def _herself(faces: Faces) -> dict[str, Any]:
    """Adapted to each person by her own pictures, and asked of the others of hers."""
    neutral = SEVEN.index("neutral")

    def half(rng: np.random.Generator, own: Indices) -> tuple[Indices, Indices]:
        dealt = rng.permutation(own)
        return dealt[: len(own) // 2], dealt[len(own) // 2 :]

    def at_rest(rng: np.random.Generator, own: Indices) -> tuple[Indices, Indices]:
        still = faces.targets[own] == neutral
        return rng.choice(own[still], 1), own[~still]

    return {
        "half, base rates training": _by_person(faces, half, "training"),
        "half, base rates equal": _by_person(faces, half, "equal"),
        "one at rest, asked of the other six": _by_person(faces, at_rest, "resting"),
    }


def _by_person(
    faces: Faces,
    deal: Callable[[np.random.Generator, Indices], tuple[Indices, Indices]],
    target: str,
) -> dict[str, Any]:
    rng = np.random.default_rng(DRAWN)

    def turn() -> npt.NDArray[np.float64]:
        dealt = [deal(rng, np.flatnonzero(faces.people == p)) for p in np.unique(faces.people)]
        asked = np.concatenate([rest for _, rest in dealt])
        after = [faces.answers(rest, faces.step(given, target)) for given, rest in dealt]
        before = faces.score(asked, faces.answers(asked))
        return np.array([before, faces.score(asked, np.concatenate(after))])

    return _told([turn() for _ in range(DRAWS)])


def _smiles(faces: Faces) -> dict[str, Any]:
    """What it costs to adapt to a folder of smiles as if it were a mix: what the warning is for."""
    rng = np.random.default_rng(DRAWN)
    smiling = faces.targets == SEVEN.index("happiness")
    turns = []
    for _ in range(DRAWS):
        given = rng.permutation(np.flatnonzero(smiling))[:100]
        asked = np.flatnonzero(~np.isin(faces.people, faces.people[given]))
        turns.append(_turn(faces, asked, faces.step(given)))
    return _told(turns)


def _turn(faces: Faces, asked: Indices, step: FloatArray) -> npt.NDArray[np.float64]:
    scores = (faces.score(asked, faces.answers(asked, s)) for s in (0.0, step))
    return np.array(list(scores))


def _told(turns: list[npt.NDArray[np.float64]]) -> dict[str, Any]:
    """Means over the draws, as shipped and adapted, and the gain with the middle 95 % of draws."""
    both = np.array(turns)  # (draws, 2, 2): as shipped and adapted; accuracy and balanced
    gain = both[:, 1] - both[:, 0]
    return dict(_measures(both, gain))


def _measures(
    both: npt.NDArray[np.float64], gain: npt.NDArray[np.float64]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for i, name in enumerate(("accuracy", "balanced_accuracy")):
        yield (
            name,
            {
                "as_shipped": round(float(both[:, 0, i].mean()), 4),
                "adapted": round(float(both[:, 1, i].mean()), 4),
                "gain": round(float(gain[:, i].mean()), 4),
                "gain_of_draws": [
                    round(float(v), 4) for v in np.quantile(gain[:, i], (0.025, 0.975))
                ],
            },
        )


if __name__ == "__main__":
    typer.run(main)
