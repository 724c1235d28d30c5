"""One person's recogniser against the general model, on pictures held out.

    python benchmarks/personal.py jaffe.parquet lfw.parquet

Each tenth of a person's pictures is left out in turn and read by what was learned from the others
(``held_out``). JAFFE's ten persons have two to four pictures per emotion, so that curves go up to
two samples. They were taken in one sitting each, so a person's pictures of one emotion are much
alike: this is what a session before one's own camera gives, not what a month later will. LFW's
persons with at least twenty pictures were photographed on many days; with N samples per emotion
only emotions with more than N pictures count, and a person needs two of them. The general model
answers among the same labels, at its default base rates. Intervals of means over persons are 95 %
by drawing persons.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from mien import person_head, person_train, provenance, table
from mien.face import Frame, ImageArray
from mien.finder import Finder, pixels
from mien.labels import own
from mien.person_samples import FPS
from mien.person_train import Faces
from mien.pipeline import Analyzer
from mien.recognize import load_model

LEAST = 20  # pictures of a person of LFW
CURVE = {"jaffe": (1, 2), "lfw": (5, 10, 20)}
DRAWS = 5
FOLDS = 10
SEED = 1
_REPEAT = 60


def main(
    jaffe: Path,
    lfw: Path,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/personal.json"),
) -> None:
    """Measure both sets and write the result as JSON."""
    trunk = person_head.Trunk(load_model())
    result: dict[str, Any] = {**provenance.environment(), "sets": {}}
    for name, path in (("jaffe", jaffe), ("lfw", lfw)):
        people = persons(trunk, table.read(path), whole=name == "lfw")
        result["sets"][name] = of_set(trunk, people, CURVE[name])
        typer.echo(json.dumps(result["sets"][name]["held_out"]["mean"]))
    result["cost"] = cost(trunk, people)
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result["cost"], indent=2))


def persons(trunk: person_head.Trunk, pictures: table.Table, whole: bool) -> dict[str, Faces]:
    """Each person's faces with the emotions that have two pictures or more."""
    analyzer = None if whole else Analyzer()
    counts = Counter(row.subject for row in pictures.rows)
    found = {}
    for who in sorted(s for s, n in counts.items() if s and n >= LEAST):
        mine = pictures.keep(row.subject == who for row in pictures.rows)
        each = Counter(row.label for row in mine.rows)
        mine = mine.keep(each[row.label] > 1 for row in mine.rows)
        crops = [face_of(analyzer, picture) for picture in mine.pictures()]
        labels = tuple(row.label for row in mine.rows)
        names = tuple(row.id for row in mine.rows)
        found[who] = Faces(labels, names, trunk.features(crops), [])
    return found


def face_of(analyzer: Analyzer | None, picture: ImageArray) -> ImageArray:
    """The crop that is read: of the best face; the picture where it is a crop already."""
    if analyzer is None:
        return picture
    frame = Frame(picture)
    (best, *_) = analyzer.find(frame)
    return pixels(frame, Finder(analyzer.detector).framed(best, analyzer.alignment, 48))


def of_set(
    trunk: person_head.Trunk, people: dict[str, Faces], curve: Sequence[int]
) -> dict[str, Any]:
    each = {}
    for who, faces in people.items():
        folds = person_head.folds(faces.labels, faces.groups, FOLDS)
        words = own([*dict.fromkeys(faces.labels)])
        each[who] = person_train.compare(trunk, faces, words, "head", folds)
    kinds = ("general", "baseline", "personal")
    accuracies = {
        kind: [found["results"][kind]["accuracy"] for found in each.values()] for kind in kinds
    }
    balanced = {
        f"{kind}_balanced": [f["results"][kind]["balanced_accuracy"] for f in each.values()]
        for kind in kinds
    }
    gains = [found["gain"]["accuracy"] for found in each.values()]
    majority = [found["majority_baseline"] for found in each.values()]
    means = {**accuracies, **balanced, "majority_baseline": majority, "gain": gains}
    return {
        "persons": len(people),
        "held_out": {
            "mean": {name: mean(values) for name, values in means.items()},
            "persons": each,
        },
        "curve": [point for n in curve if (point := of_few(trunk, people, n))],
    }


def of_few(trunk: person_head.Trunk, people: dict[str, Faces], count: int) -> dict[str, Any]:
    """Learned from ``count`` pictures per emotion, drawn anew ``DRAWS`` times; the rest is read."""
    before, after, seconds = list[float](), list[float](), list[float]()
    rng = np.random.default_rng(SEED)
    for faces in people.values():
        each = Counter(faces.labels)
        kept = faces.keep(np.flatnonzero([each[label] > count for label in faces.labels]))
        labels = [*dict.fromkeys(kept.labels)]
        if len(labels) < 2:
            continue
        words = own(labels)
        rates = [drawn(trunk, kept, labels, count, rng) for _ in range(DRAWS)]
        before.append(float(np.mean([rate[0] for rate in rates])))
        after.append(float(np.mean([rate[1] for rate in rates])))
        seconds.append(len(words) * count / FPS)
    if not before:
        return {}
    return {
        "samples_per_emotion": count,
        "persons": len(before),
        "seconds_of_recording": round(float(np.mean(seconds)), 1),
        "general": mean(before),
        "personal": mean(after),
        "gain": mean([a - b for a, b in zip(after, before, strict=True)]),
    }


def drawn(
    trunk: person_head.Trunk,
    faces: Faces,
    labels: Sequence[str],
    count: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Balanced accuracy before and after, over the pictures that were not drawn."""
    words, told = own(labels), np.array(faces.labels)
    chosen = np.concatenate(
        [rng.permutation(np.flatnonzero(told == label))[:count] for label in labels]
    )
    learn, ask = faces.keep(chosen), faces.keep(np.setdiff1d(np.arange(len(faces)), chosen))
    general = person_head.restricted(person_head.general(trunk), words)
    learned = person_head.fit(trunk, learn.features, learn.labels, learn.groups, words)
    targets = np.array([words.labels.index(label) for label in ask.labels])
    rates = []
    for layer in (general, learned):
        right = layer.probs(ask.features).argmax(axis=1) == targets
        rates.append(float(np.mean([right[targets == k].mean() for k in np.unique(targets)])))
    return rates[0], rates[1]


def mean(values: Sequence[float]) -> dict[str, Any]:
    rng = np.random.default_rng(SEED)
    array = np.array(values)
    draws = array[rng.integers(0, len(array), (2000, len(array)))].mean(axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return {
        "mean": round(float(array.mean()), 4),
        "ci95": [round(float(low), 4), round(float(high), 4)],
    }


def cost(trunk: person_head.Trunk, people: dict[str, Faces]) -> dict[str, Any]:
    """Of the person with most pictures: CPU seconds of learning, bytes, time per face."""
    faces = max(people.values(), key=len)
    words = own([*dict.fromkeys(faces.labels)])
    begun = time.process_time()
    layer = person_head.fit(trunk, faces.features, faces.labels, faces.groups, words)
    learned_s = time.process_time() - begun
    rng = np.random.default_rng(SEED)
    crop = [rng.integers(0, 256, (48, 48, 3), np.uint8)]
    begun = time.process_time()
    for _ in range(_REPEAT):
        trunk.features(crop)
    feature_s = (time.process_time() - begun) / _REPEAT
    before = trunk.features(crop) @ trunk.head.weights.T + trunk.head.bias
    content = person_head.model_file(trunk, layer, {})
    return {
        "samples": len(faces),
        "cpu_s_to_learn_the_layer": round(learned_s, 4),
        "cpu_s_of_features_per_sample": round(feature_s, 5),
        "bytes": len(content),
        "bytes_of_the_general_model": len(trunk.content),
        "multiplications_ratio": "the same graph: only the last layer has other numbers",
        "answers": [int(before.shape[1]), len(words)],
    }


if __name__ == "__main__":
    typer.run(main)
