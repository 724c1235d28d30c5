"""A person's recogniser: trained, and tested on stimuli held out.

``head`` is a last layer on the default model's features and needs nothing beyond ``pip install
mien``; ``mouth`` is EmEx2 on the mouth and needs the ``train`` extra; ``both`` averages the two.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import foreign, jsontext, provenance
from ..errors import DataError, MissingExtra, UnknownName
from ..expression.recognize import METADATA_SCHEMA, load_model
from ..face import FloatArray, Frame, ImageArray
from ..faces import align
from ..faces.finder import Finder
from ..labels import LabelSet, own
from ..media.preprocess import Preprocess
from ..weights.catalogue import DEFAULT_MODEL
from . import head
from .people import TEST, Person, Sample, labels_of
from .recognizer import BOTH, FILES, HEAD, MOUTH

KINDS = (HEAD, MOUTH, BOTH)
LIPS = Preprocess(28, "gray", "equal")
"""What a network on the mouth gets; see docs/adr/0015-light.md."""
FEW = 5
"""Samples of a label: with fewer, a user is told."""

_FOLDS = 50  # with at most so many stimuli each is held out by itself
_MOUTH_FOLDS = 5  # a network takes seconds to train
_DRAWS = 2000
_SEED = 1

Ints = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """A person's samples as a recogniser gets them.

    features : (N, C) of the default model. mouths : crops; empty where nobody needs them.
    groups : which stimulus each is of.
    """

    labels: tuple[str, ...]
    groups: tuple[str, ...]
    features: FloatArray
    mouths: list[ImageArray]

    def __len__(self) -> int:
        return len(self.labels)

    def keep(self, rows: Ints) -> Faces:
        return Faces(
            tuple(self.labels[i] for i in rows),
            tuple(self.groups[i] for i in rows),
            self.features[rows],
            [self.mouths[i] for i in rows] if self.mouths else [],
        )


def known(kind: str) -> str:
    """The same name; raises UnknownName."""
    if kind not in KINDS:
        raise UnknownName("kind of recogniser", kind, KINDS)
    return kind


def read(person: Person, trunk: head.Trunk, kind: str) -> Faces:
    """A person's samples; raises DataError where nothing can be learned from them."""
    samples = person.samples()
    check(person, samples)
    faces, mouths = list[ImageArray](), list[ImageArray]()
    for sample in samples:
        frame = person.picture(sample)
        faces.append(_crop(frame, sample, trunk.info.align, trunk.info.preprocess.size))
        if kind != HEAD:
            mouths.append(_crop(frame, sample, "mouth", LIPS.size))
    return Faces(
        tuple(sample.label for sample in samples),
        tuple(sample.stimulus for sample in samples),
        trunk.features(faces),
        mouths,
    )


def _crop(frame: Frame, sample: Sample, alignment: str, size: int) -> ImageArray:
    face = sample.face
    if face.landmarks is None and alignment != align.DEFAULT:
        (face,) = Finder(None).find(frame, alignment)
    return align.cut(frame, align.place(face, alignment, size, sample.framing))


def check(person: Person, samples: Sequence[Sample]) -> None:
    """Raise DataError for samples that do not tell two labels apart."""
    counts = Counter(sample.label for sample in samples)
    if len(counts) < 2:
        had = f"samples of '{next(iter(counts))}' only" if counts else "no samples"
        raise DataError(
            f"{person.name} has {had}, and a recogniser tells at least two expressions apart; "
            f"record another: mien person record '{person.name}' STIMULI, or --from DIR"
        )


def kinds(person: Person) -> list[str]:
    """What a person's recogniser was trained on: "head", "mouth", both, or nothing yet."""
    return [kind for kind, file in FILES.items() if (person.folder / file).is_file()]


def few(faces: Sequence[str]) -> dict[str, int]:
    """The labels with fewer than ``FEW`` samples, and how many they have."""
    return {label: n for label, n in Counter(faces).items() if n < FEW}


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What was learned from some faces; ``probs`` tells of others.

    layer, net : of the face and of the mouth (EmEx2); one of them, or both.
    """

    layer: head.Layer | None
    net: Any

    def probs(self, faces: Faces) -> FloatArray:
        """(N, K) of faces, uncalibrated; the mean of the two where there are both."""
        found = []
        if self.layer is not None:
            found.append(self.layer.probs(faces.features))
        if self.net is not None:
            from ..expression.logits import softmax

            found.append(softmax(_torch_mouth().logits(self.net, faces.mouths, LIPS)))
        return np.asarray(np.mean(found, axis=0), np.float32)


def learn(trunk: head.Trunk, faces: Faces, words: LabelSet, kind: str) -> Learned:
    """A recogniser of ``kind`` over ``words``, each of which has a face."""
    layer = net = None
    if kind != MOUTH:
        layer = head.fit(trunk, faces.features, faces.labels, faces.groups, words)
    if kind != HEAD:
        net = _torch_mouth().train(faces.mouths, faces.labels, words, LIPS)
    return Learned(layer, net)


def _torch_mouth() -> Any:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise MissingExtra("torch", "train", "a recogniser of the mouth")
    from . import mouth

    return mouth


def train(person: Person, kind: str = HEAD) -> dict[str, Any]:
    """Train a person's recogniser and keep it in their folder; what it was made of and how long.

    ``general`` : whether the last layer was left as the general model's, as samples held out say
    nothing plain against it.

    Raises DataError for samples nothing can be learned from, OutputError where the person was
    deleted meanwhile.
    """
    begun = time.perf_counter()
    trunk = head.Trunk(load_model(DEFAULT_MODEL, 1))
    faces = read(person, trunk, known(kind))
    words = own(labels_of(person.samples()), "own")
    learned = learn(trunk, faces, words, kind)
    written = files(trunk, faces, words, learned)
    with person.alone():  # of two at once the last one stays, whole
        (person.folder / TEST).unlink(missing_ok=True)  # it was of the one before
        for name, content in written.items():
            person.write(FILES[name], content)
        for name, file in FILES.items():
            if name not in written:
                (person.folder / file).unlink(missing_ok=True)
    return {
        "name": person.name,
        "kind": kind,
        "labels": {label: faces.labels.count(label) for label in words.labels},
        "stimuli": len(set(faces.groups)),
        "general": learned.layer is not None and head.is_general(trunk, learned.layer),
        "seconds": round(time.perf_counter() - begun, 2),
        "bytes": sum(map(len, written.values())),
    }


def files(trunk: head.Trunk, faces: Faces, words: LabelSet, learned: Learned) -> dict[str, bytes]:
    """The model files of what was learned from faces, by ``HEAD`` and ``MOUTH``."""
    made = {}
    if learned.layer is not None:
        info = trunk.info
        says = {"preprocess": asdict(info.preprocess), "align": info.align}
        layer = _calibrated(trunk, faces, words, learned.layer)
        made[HEAD] = head.model_file(trunk, layer, _meta(trunk, faces, words, HEAD) | says)
    if learned.net is not None:
        says = {"preprocess": asdict(LIPS), "align": "mouth"}
        meta = _meta(trunk, faces, words, MOUTH) | says
        made[MOUTH] = _torch_mouth().model_file(learned.net, LIPS, meta)
    return made


def _meta(trunk: head.Trunk, faces: Faces, words: LabelSet, kind: str) -> dict[str, Any]:
    """What a person's model file says of itself; never whose it is."""
    return {
        "schema": METADATA_SCHEMA,
        "name": f"person-{kind}",
        "label_set": words.name,
        "labels": list(words.labels),
        "own_words": True,
        "temperature": 1.0,
        "look_again_below": 0.0,  # half a face may be paralysed: its mirror image is another face
        "base_rates": [1 / len(words)] * len(words),
        "uncertain_below": trunk.info.uncertain_below,
        "card": {
            "about": f"a recogniser of one person ({kind}), not for anybody else",
            "licence": "the person's own",
            "base": {"name": trunk.info.name, "sha256": trunk.info.sha256},
            "samples": dict(Counter(faces.labels)),
            "trained": provenance.now(),
        },
    }


def _calibrated(trunk: head.Trunk, faces: Faces, words: LabelSet, layer: head.Layer) -> head.Layer:
    """The layer at the temperature that fits answers to stimuli held out."""
    folds = _folds(faces, _FOLDS)
    if len(folds) < 2:
        return layer
    probs = _held_out(trunk, faces, words, HEAD, folds)
    targets = np.array([words.labels.index(label) for label in faces.labels])
    t = head.temperature(np.log(probs.clip(head.RAREST)), targets)
    return replace(layer, weights=layer.weights / t, bias=layer.bias / t)


def _folds(faces: Faces, most: int) -> list[Ints]:
    return head.folds(faces.labels, faces.groups, most)


def _held_out(
    trunk: head.Trunk, faces: Faces, words: LabelSet, kind: str, folds: Sequence[Ints]
) -> FloatArray:
    """(N, K): each fold read by what was learned from the others.

    A label that only the fold holds cannot be learned from the rest, and is then never answered.
    """
    probs = np.zeros((len(faces), len(words)), np.float32)
    for fold in folds:
        rest = np.setdiff1d(np.arange(len(faces)), fold)
        taught, ask = faces.keep(rest), faces.keep(fold)
        present = [label for label in words.labels if label in taught.labels]
        places = np.array([words.labels.index(label) for label in present], np.intp)
        if len(present) < 2:
            probs[np.ix_(fold, places)] = 1.0
            continue
        learned = learn(trunk, taught, own(present), kind)
        probs[np.ix_(fold, places)] = learned.probs(ask)
    return probs


def tested(person: Person, kind: str) -> dict[str, Any]:
    """How good a person's recogniser is on stimuli it has not seen, beside the general model.

    Every figure is of whole stimuli held out. ``general`` may answer the person's labels alone, as
    far as it knows them; ``baseline`` is the same with the person's neutral taken off. Intervals
    are of 95 %, by drawing whole stimuli. What has one stimulus only cannot be answered while that
    is held out, and is told in ``one_stimulus``. Kept in the folder as test.json.

    Raises DataError where every label has one stimulus.
    """
    trunk = head.Trunk(load_model(DEFAULT_MODEL, 1))
    faces = read(person, trunk, known(kind))
    words = own(labels_of(person.samples()), "own")
    folds = _folds(faces, _FOLDS if kind == HEAD else _MOUTH_FOLDS)
    single = [
        label
        for label in words.labels
        if len({g for g, told in zip(faces.groups, faces.labels, strict=True) if told == label}) < 2
    ]
    if len(single) == len(words):
        raise DataError(
            f"{person.name} has one stimulus of each expression; a test holds whole stimuli out, "
            "so record a second one"
        )
    result = compare(trunk, faces, words, kind, folds)
    result = {**provenance.environment(), **result, "one_stimulus": single}
    person.write(TEST, (json.dumps(result, indent=2, ensure_ascii=False) + "\n").encode())
    return result


def last_test(person: Person) -> dict[str, Any] | None:
    """What ``tested`` told of the recogniser as it is; None where it was not tested since.

    Raises DataError where its file is damaged.
    """
    path = person.folder / TEST
    try:
        return foreign.table(jsontext.parse(foreign.content(path)), "it")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as err:
        raise DataError(f"{path} is damaged ({err}); test the recogniser again") from err


def compare(
    trunk: head.Trunk,
    faces: Faces,
    words: LabelSet,
    kind: str,
    folds: Sequence[Ints],
) -> dict[str, Any]:
    """The figures of ``tested`` for any folds."""
    targets = np.array([words.labels.index(label) for label in faces.labels])
    general = head.restricted(head.general(trunk), words)
    answers = {
        "general": _answers(general, faces, words),
        "baseline": np.empty(len(faces), np.intp),
        "personal": _held_out(trunk, faces, words, kind, folds).argmax(axis=1),
    }
    for fold in folds:
        rest = faces.keep(np.setdiff1d(np.arange(len(faces)), fold))
        moved = head.baseline(trunk, head.general(trunk), rest.features, rest.labels)
        layer = head.restricted(moved, words)
        answers["baseline"][fold] = _answers(layer, faces.keep(fold), words)
    right = {name: found == targets for name, found in answers.items()}
    counts = np.bincount(targets, minlength=len(words))
    return {
        "kind": kind,
        "labels": dict(zip(words.labels, map(int, counts), strict=True)),
        "samples": len(faces),
        "stimuli": len(set(faces.groups)),
        "folds": len(folds),
        "majority_baseline": round(float(counts.max() / counts.sum()), 4),
        "results": {
            name: _figures(found, targets, words, faces.groups) for name, found in answers.items()
        },
        "gain": _gain(right["personal"], right["general"], faces.groups),
    }


def _answers(layer: head.Layer, faces: Faces, words: LabelSet) -> Ints:
    """Of a layer that may know some of ``words`` only: places in ``words``, -1 for none."""
    if not len(layer.labels):
        return np.full(len(faces), -1, np.intp)
    places = np.array([words.labels.index(name) for name in layer.labels.labels])
    return np.asarray(places[layer.probs(faces.features).argmax(axis=1)], np.intp)


def _figures(
    answers: Ints, targets: Ints, words: LabelSet, groups: Sequence[str]
) -> dict[str, Any]:
    right = answers == targets
    recalls = {
        label: round(float(right[targets == k].mean()), 4)
        for k, label in enumerate(words.labels)
        if (targets == k).any()
    }
    balanced = [_balanced(right[rows], targets[rows]) for rows in _draws(groups)]
    accuracies = [right[rows].mean() for rows in _draws(groups)]
    return {
        "accuracy": round(float(right.mean()), 4),
        "accuracy_ci95": _interval(accuracies),
        "balanced_accuracy": round(float(np.mean(list(recalls.values()))), 4),
        "balanced_accuracy_ci95": _interval(balanced),
        "recall": recalls,
    }


def _balanced(right: npt.NDArray[np.bool_], targets: Ints) -> float:
    return float(np.mean([right[targets == k].mean() for k in np.unique(targets)]))


def _gain(
    after: npt.NDArray[np.bool_], before: npt.NDArray[np.bool_], groups: Sequence[str]
) -> dict[str, Any]:
    """In accuracy, on the same samples."""
    differences = after.astype(float) - before.astype(float)
    return {
        "accuracy": round(float(differences.mean()), 4),
        "accuracy_ci95": _interval([differences[rows].mean() for rows in _draws(groups)]),
    }


def _draws(groups: Sequence[str]) -> list[Ints]:
    """Rows of as many stimuli as there are, drawn with replacement, many times."""
    names, place = np.unique(np.array(groups), return_inverse=True)
    rows = [np.flatnonzero(place == i) for i in range(len(names))]
    rng = np.random.default_rng(_SEED)
    return [
        np.concatenate([rows[i] for i in rng.integers(0, len(rows), len(rows))])
        for _ in range(_DRAWS)
    ]


def _interval(values: Sequence[Any]) -> list[float]:
    return [round(float(v), 4) for v in np.percentile(np.array(values), [2.5, 97.5])]
