"""One person's recogniser against the general model, on pictures held out.

    python benchmarks/personal.py jaffe.parquet lfw.parquet MEDIA

Each tenth of a person's pictures is left out in turn and read by what was learned from the others
(``held_out``). JAFFE's ten persons have two to four pictures per emotion, so that curves go up to
two samples. They were taken in one sitting each, so a person's pictures of one emotion are much
alike: this is what a session before one's own camera gives, not what a month later will. LFW's
persons with at least twenty pictures were photographed on many days; with N samples per emotion
only emotions with more than N pictures count, and a person needs two of them. The general model
answers among the same labels, at its default base rates. Intervals of means over persons are 95 %
by drawing persons. How far a person's pictures are believed was compared on LFW's persons with 10
to 19 pictures, who are in no figure here; the manners themselves came about on these sets.

``kinds`` sets the last layer beside EmEx2 on the mouth and the mean of the two, each fifth of a
person's pictures left out in turn. ``live`` is what `mien live` does with each frame of a clip of
one face, by each recogniser in turn on the same frame: processor time, and its ratio to the general
model's.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from mien import provenance
from mien.analysis.pipeline import Analyzer, Settings
from mien.data import table
from mien.expression.recognize import OnnxRecognizer, Recognizer, load_model
from mien.face import Frame, ImageArray
from mien.faces.finder import Finder, pixels
from mien.labels import own
from mien.media.video import Video
from mien.person import head, train
from mien.person.recognizer import Averaged
from mien.person.samples import FPS
from mien.person.train import Faces
from mien.tracking.tracks import Tracker

LEAST = 20  # pictures of a person of LFW
CURVE = {"jaffe": (1, 2), "lfw": (5, 10, 20)}
DRAWS = 5
FOLDS = 10
KIND_FOLDS = 5
WARM = 10  # frames that count for nothing
SEED = 1
_REPEAT = 60


def main(
    jaffe: Path,
    lfw: Path,
    media: Path,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/personal.json"),
) -> None:
    """Measure both sets and write the result as JSON."""
    trunk = head.Trunk(load_model())
    result: dict[str, Any] = {**provenance.environment(), "sets": {}}
    for name, path in (("jaffe", jaffe), ("lfw", lfw)):
        people = persons(trunk, table.read(path), whole=name == "lfw")
        found = of_set(trunk, people, CURVE[name]) | {"kinds": of_kinds(trunk, people)}
        result["sets"][name] = found
        typer.echo(json.dumps([found["held_out"]["mean"], found["curve"], found["kinds"]]))
    result["cost"] = cost(trunk, people)
    result["live"] = live(trunk, people, media / "single_face.mp4")
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps([result["cost"], result["live"]], indent=2))


def persons(trunk: head.Trunk, pictures: table.Table, whole: bool) -> dict[str, Faces]:
    """Each person's faces with the emotions that have two pictures or more."""
    analyzer = None if whole else Analyzer(Settings(detector="mien"))
    counts = Counter(row.subject for row in pictures.rows)
    found = {}
    for who in sorted(s for s, n in counts.items() if s and n >= LEAST):
        mine = pictures.keep(row.subject == who for row in pictures.rows)
        each = Counter(row.label for row in mine.rows)
        mine = mine.keep(each[row.label] > 1 for row in mine.rows)
        crops, lips = zip(*(face_of(analyzer, picture) for picture in mine.pictures()), strict=True)
        labels = tuple(row.label for row in mine.rows)
        names = tuple(row.id for row in mine.rows)
        found[who] = Faces(labels, names, trunk.features(crops), list(lips))
    return found


def face_of(analyzer: Analyzer | None, picture: ImageArray) -> tuple[ImageArray, ImageArray]:
    """The crop that is read, of the best face or of a picture that is a crop, and its mouth."""
    frame, finder = Frame(picture), Finder(analyzer.detector if analyzer else None)
    (best, *_) = finder.find(frame, "mouth")
    whole = picture
    if analyzer is not None:
        whole = pixels(frame, finder.framed(best, analyzer.alignment, 48))
    return whole, pixels(frame, finder.framed(best, "mouth", train.LIPS.size))


def of_set(trunk: head.Trunk, people: dict[str, Faces], curve: Sequence[int]) -> dict[str, Any]:
    each = {}
    for who, faces in people.items():
        folds = head.folds(faces.labels, faces.groups, FOLDS)
        words = own([*dict.fromkeys(faces.labels)])
        each[who] = train.compare(trunk, faces, words, "head", folds)
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


def of_few(trunk: head.Trunk, people: dict[str, Faces], count: int) -> dict[str, Any]:
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
    trunk: head.Trunk,
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
    general = head.restricted(head.general(trunk), words)
    learned = head.fit(trunk, learn.features, learn.labels, learn.groups, words)
    targets = np.array([words.labels.index(label) for label in ask.labels])
    rates = []
    for layer in (general, learned):
        right = layer.probs(ask.features).argmax(axis=1) == targets
        rates.append(float(np.mean([right[targets == k].mean() for k in np.unique(targets)])))
    return rates[0], rates[1]


def of_kinds(trunk: head.Trunk, people: dict[str, Faces]) -> dict[str, Any]:
    """Mean accuracy over persons of a last layer, a network on the mouth, and both."""
    rates: dict[str, list[float]] = {kind: [] for kind in train.KINDS}
    for faces in people.values():
        words = own([*dict.fromkeys(faces.labels)])
        right = {kind: np.zeros(len(faces)) for kind in rates}
        for fold in head.folds(faces.labels, faces.groups, KIND_FOLDS):
            taught, ask = faces.keep(np.setdiff1d(np.arange(len(faces)), fold)), faces.keep(fold)
            targets = np.array([words.labels.index(label) for label in ask.labels])
            both = train.learn(trunk, taught, words, "both")
            made = {"head": replace(both, net=None), "mouth": replace(both, layer=None)}
            for kind, learned in (made | {"both": both}).items():
                right[kind][fold] = learned.probs(ask).argmax(axis=1) == targets
        for kind, values in right.items():
            rates[kind].append(float(values.mean()))
    return {"folds": KIND_FOLDS, **{kind: mean(values) for kind, values in rates.items()}}


def mean(values: Sequence[float]) -> dict[str, Any]:
    rng = np.random.default_rng(SEED)
    array = np.array(values)
    draws = array[rng.integers(0, len(array), (2000, len(array)))].mean(axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return {
        "mean": round(float(array.mean()), 4),
        "ci95": [round(float(low), 4), round(float(high), 4)],
    }


def cost(trunk: head.Trunk, people: dict[str, Faces]) -> dict[str, Any]:
    """Of the person with most pictures: CPU seconds of learning, bytes, time per face."""
    faces = max(people.values(), key=len)
    words = own([*dict.fromkeys(faces.labels)])
    begun = time.process_time()
    layer = head.fit(trunk, faces.features, faces.labels, faces.groups, words)
    learned_s = time.process_time() - begun
    rng = np.random.default_rng(SEED)
    crop = [rng.integers(0, 256, (48, 48, 3), np.uint8)]
    begun = time.process_time()
    for _ in range(_REPEAT):
        trunk.features(crop)
    feature_s = (time.process_time() - begun) / _REPEAT
    before = trunk.features(crop) @ trunk.head.weights.T + trunk.head.bias
    content = head.model_file(trunk, layer, {})
    return {
        "samples": len(faces),
        "cpu_s_to_learn_the_layer": round(learned_s, 4),
        "cpu_s_of_features_per_sample": round(feature_s, 5),
        "bytes": len(content),
        "bytes_of_the_general_model": len(trunk.content),
        "multiplications_ratio": "the same graph: only the last layer has other numbers",
        "answers": [int(before.shape[1]), len(words)],
    }


def live(trunk: head.Trunk, people: dict[str, Faces], clip: Path) -> dict[str, Any]:
    """What a frame takes, found and followed and read, with each recogniser of one person."""
    faces = max(people.values(), key=len)
    words = own([*dict.fromkeys(faces.labels)])
    learned = train.learn(trunk, faces, words, "both")
    files = train.files(trunk, faces, words, learned)
    made = {name: OnnxRecognizer(file, name, "", threads=1) for name, file in files.items()}
    recognizers: dict[str, Recognizer | None] = {
        "general": None,
        **made,
        "both": Averaged(made["head"], made["mouth"]),
    }
    settings = Settings(detector="mien")
    analyzers = {name: Analyzer(settings, recognizer=r) for name, r in recognizers.items()}
    trackers = {name: Tracker(analyzer) for name, analyzer in analyzers.items()}
    took: dict[str, list[float]] = {name: [] for name in analyzers}
    with Video(clip) as video:
        frames = [frame for frame in video.frames() if isinstance(frame, Frame)]
    for turn, frame in enumerate(frames):
        order = [*analyzers][turn % 4 :] + [*analyzers][: turn % 4]
        for name in order:
            begun = time.process_time()
            analyzers[name].recognize(frame, trackers[name].follow(frame))
            took[name].append(1000 * (time.process_time() - begun))
    medians = {name: float(np.median(values[WARM:])) for name, values in took.items()}
    return {
        "frames": len(frames) - WARM,
        "size": [frames[0].width, frames[0].height],
        "bytes": {name: len(file) for name, file in files.items()},
        "p50_ms": {name: round(value, 3) for name, value in medians.items()},
        "ratio": {name: round(value / medians["general"], 3) for name, value in medians.items()},
    }


if __name__ == "__main__":
    typer.run(main)
