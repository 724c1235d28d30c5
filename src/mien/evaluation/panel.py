"""Models on a panel of data sets: the yardstick by which one is preferred to another.

A model is chosen by sets it has learnt from, and used on faces it has never seen. So a panel tells
for every set what it was to the model, asks the seven expressions that all sets share, and shows
the whole frontier that turning to equal base rates offers: a model is better where its frontier
lies higher, not where another point on the same one was taken.

A panel is a file::

    [[set]]
    name = "ferplus"
    table = "ferplus.parquet"   # beside the panel's file
    split = "PublicTest"        # without: every row

    [[set]]
    name = "jaffe"
    table = "jaffe.parquet"
    find = true                 # photographs: the default chain finds the face
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import config, provenance
from ..data import table
from ..data.cut import cut_faces
from ..data.table import Table
from ..errors import ConfigError, DataError
from ..expression.baserates import DEFAULT_STRENGTH, BaseRates, reweight
from ..expression.recognize import ModelInfo, Recognizer
from ..face import FloatArray, ImageArray
from ..faces import detect
from ..faces.finder import Finder
from ..labels import CANONICAL, LabelSet, subset
from . import metrics
from .evaluate import people, restrict, set_scores

SEVEN = tuple(label for label in CANONICAL if label != "contempt")
"""The expressions that every set of a panel is asked; FER+ alone has contempt, in 27 faces."""
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
ROLES = ("trained on", "chosen by", "held out", "unknown", "never seen")
"""What a set can have been to a model, the least innocent first."""
MEAN = "mean"
"""What the models' common answer is called."""
_DETECTOR = "mien"  # not whichever the machine has: the same faces everywhere
_KEPT = (
    "n",
    "accuracy",
    "accuracy_ci95",
    "majority_baseline",
    "balanced_accuracy",
    "balanced_accuracy_ci95",
    "macro_f1",
    "ece",
)


@dataclass(frozen=True, slots=True)
class Set:
    """One data set of a panel.

    table : a mien table, relative to the panel's file.
    split : of the table; None for every row.
    find : whether its pictures are photographs whose face is found first, and not face crops.
    """

    name: str
    table: str
    split: str | None = None
    find: bool = False


@dataclass(frozen=True, slots=True)
class _Panel:
    set: tuple[Set, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A set of a panel with its rows; raises DataError where it shows none of the seven."""

    set: Set
    rows: Table

    def __post_init__(self) -> None:
        if not len(self.rows):
            raise DataError(f"{self.set.name} shows none of {', '.join(SEVEN)}")


def read(path: Path) -> list[Member]:
    """The sets of a panel's file, with the rows that are asked; raises ConfigError, DataError."""
    sets = config.from_dict(_Panel, config.read_toml(path)).set
    twice = [name for name, n in Counter(s.name for s in sets).items() if n > 1]
    if twice or not sets:
        raise ConfigError(
            f"{path} has two sets called '{twice[0]}'" if twice else f"{path} has no [[set]]"
        )
    return [_member(path.parent / one.table, one) for one in sets]


def _member(path: Path, one: Set) -> Member:
    rows = table.read(path)
    rows = rows.of_split(one.split) if one.split else rows
    return Member(one, rows.keep(row.label in SEVEN for row in rows.rows))


@dataclass(frozen=True, slots=True, eq=False)
class _Answers:
    """What was answered on a set: probabilities over ``SEVEN``, (N, 7), by strength.

    sets : what prediction sets over all of the model's labels are worth; None where it has none.
    """

    rows: Table
    role: str
    missed: int
    probs: dict[float, FloatArray]
    sets: dict[str, Any] | None = None

    def told(self) -> dict[str, Any]:
        scores = {f"{strength:g}": _score(p, self.rows) for strength, p in self.probs.items()}
        told = {"role": self.role, "missed": self.missed, "by_strength": scores}
        return told | {"prediction_sets": self.sets}


def panel(
    recognizers: Sequence[Recognizer], members: Sequence[Member], together: bool = False
) -> dict[str, Any]:
    """Figures of every model on every set of a panel, JSON-ready.

    A model that knows its base rates is read at each of ``STRENGTHS``, any other as it answers
    (strength 0). ``role`` says what a set was to the model, see ``role``. ``unseen_sets`` are
    those that, as far as is known, none of the models was made with, and a model's ``unseen`` its
    mean balanced accuracy over them, by strength; None where there is no such set.
    ``prediction_sets`` are measured at the model's own coverages, over all its labels; on a set it
    was ``chosen by`` they were calibrated, too, and owe their coverage to that.
    together : the mean of all models' probabilities is told as a further one.
    """
    cut: dict[tuple[str, str, int], tuple[Table, list[ImageArray]]] = {}
    answers = [_answers(recognizer, members, cut) for recognizer in recognizers]
    models: list[dict[str, Any]] = [
        {
            "name": one.info.name,
            "sha256": one.info.sha256,
            "weights_sha256": one.info.card.get("weights_sha256"),
            "sets": {name: answer.told() for name, answer in told.items()},
        }
        for one, told in zip(recognizers, answers, strict=True)
    ]
    if together:
        mean = {m.set.name: _mean([told[m.set.name] for told in answers]).told() for m in members}
        models.append({"name": MEAN, "of": [model["name"] for model in models], "sets": mean})
    unseen = [m.set.name for m in members if all(_is_unseen(one, m.set.name) for one in models)]
    return {
        **provenance.environment(),
        "labels": list(SEVEN),
        "sets": {m.set.name: asdict(m.set) | {"rows": len(m.rows)} for m in members},
        "unseen_sets": unseen,
        "models": [one | {"unseen": _unseen(one["sets"], unseen)} for one in models],
    }


def _answers(
    recognizer: Recognizer,
    members: Sequence[Member],
    cut: dict[tuple[str, str, int], tuple[Table, list[ImageArray]]],
) -> dict[str, _Answers]:
    """What a model answers on every set; every face is looked at once, whatever the strengths."""
    info = recognizer.info
    sources = _sources(info, members)
    found: dict[str, _Answers] = {}
    for member in members:
        how = (member.set.name, info.align, info.preprocess.size)
        if how not in cut:
            cut[how] = _cut(member, info)
        rows, crops = cut[how]
        probs = recognizer.read(crops, BaseRates("training")).probs
        told, missed = role(info, sources, member), len(member.rows) - len(rows)
        sets = _sets(info, probs, rows)
        found[member.set.name] = _Answers(rows, told, missed, _by_strength(probs, info), sets)
    return found


def _cut(member: Member, info: ModelInfo) -> tuple[Table, list[ImageArray]]:
    detector = detect.build(_DETECTOR) if member.set.find else None
    done = member.rows.notes.get("align") == info.align
    alignment = "box" if done else info.align
    return cut_faces(member.rows, Finder(detector), alignment, info.preprocess.size)


def _sets(info: ModelInfo, probs: FloatArray, rows: Table) -> dict[str, Any] | None:
    """What its prediction sets are worth; None where it has none, or a set asks for others."""
    known = info.prediction_sets
    if known is None or any(row.label not in info.label_set.labels for row in rows.rows):
        return None
    training = None if info.base_rates is None else np.array(info.base_rates, np.float32)
    return set_scores(info, reweight(probs, known.rates.weights(info.label_set, training)), rows)


def _by_strength(probs: FloatArray, info: ModelInfo) -> dict[float, FloatArray]:
    training = None if info.base_rates is None else np.array(info.base_rates, np.float32)
    strengths = (0.0,) if training is None else STRENGTHS
    factors = {s: BaseRates("equal", s).weights(info.label_set, training) for s in strengths}
    return {s: _of_seven(reweight(probs, by), info.label_set) for s, by in factors.items()}


def _of_seven(probs: FloatArray, model: LabelSet) -> FloatArray:
    """Probabilities of the seven alone, (N, 7); a label that the model lacks has none."""
    known = [label for label in SEVEN if label in model.labels]
    seven = np.zeros((len(probs), len(SEVEN)), np.float32)
    seven[:, [SEVEN.index(label) for label in known]] = restrict(probs, model, subset(known))
    return seven


def _mean(answers: Sequence[_Answers]) -> _Answers:
    """The mean of several models' answers to the same faces; its role is the least innocent one.

    Raises DataError where they were asked different ones.
    """
    first = answers[0]
    ids = [[row.id for row in one.rows.rows] for one in answers]
    if any(other != ids[0] for other in ids):
        raise DataError(f"the models' mean on {first.rows.name}: not all saw the same faces")
    strengths = [s for s in STRENGTHS if all(s in one.probs for one in answers)]
    probs = {s: np.mean([one.probs[s] for one in answers], axis=0) for s in strengths}
    return _Answers(
        first.rows, min((a.role for a in answers), key=ROLES.index), first.missed, probs
    )


def _score(probs: FloatArray, rows: Table) -> dict[str, Any]:
    asked = subset(SEVEN)
    score = metrics.score(probs, rows.targets(asked), asked, people(rows))
    recalls = {label: one["recall"] for label, one in score["per_class"].items()}
    return {name: score[name] for name in _KEPT} | {"recall": recalls}


def seen(training: Mapping[str, Any], sources: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Whose pictures a card's training was with, part by part, JSON-ready.

    Each part names its "sources" (``Table.sources``) and those of their splits that it was "trained
    on" and "chosen by". sources : of a card that does not tell parts, where it tells none at all.
    """
    if "seen" in training:
        return list(training["seen"])
    splits, told = training["splits"], sorted(training.get("sources", sources))
    part = {"trained on": [splits["train"]], "chosen by": [splits["select"]]}
    return [{"sources": told, **part}] if told else []


def _sources(info: ModelInfo, members: Sequence[Member]) -> set[str] | None:
    """Whose pictures a model was made with (``Table.sources``); None where it does not say."""
    said = info.card.get("training")
    if said is None or "sources" in said:
        return None if said is None else set(said["sources"])
    # Cards did not always tell: then by the name of the table.
    name = Path(said["data"]["file"]).stem
    return {source for m in members if m.rows.name == name for source in m.rows.sources}


def role(info: ModelInfo, sources: set[str] | None, member: Member) -> str:
    """What a set was to a model made with pictures of ``sources``.

    "trained on", "chosen by", "held out" of both, or "never seen"; "unknown" where the model does
    not say. Sets of the same pictures count as one, whatever their labels (FER2013 and FER+).
    """
    if sources is None:
        return "unknown"
    there, splits = set(member.rows.sources), set(member.rows.splits)
    roles = [
        next((how for how in ROLES[:2] if splits & set(part[how])), "held out")
        for part in seen(info.card["training"], sources)
        if there & set(part["sources"])
    ]
    return min(roles, key=ROLES.index, default="never seen")


def _is_unseen(model: dict[str, Any], name: str) -> bool:
    return model["sets"][name]["role"] in ("never seen", "unknown")


def _unseen(results: dict[str, Any], sets: Sequence[str]) -> dict[str, float] | None:
    if not sets:
        return None
    told = [results[name]["by_strength"] for name in sets]
    return {
        strength: float(np.mean([one[strength]["balanced_accuracy"] for one in told]))
        for strength in told[0]
    }


def by_default(by_strength: Mapping[str, Any]) -> Any:
    """Of figures by strength those with which a model is used unless asked otherwise."""
    return by_strength.get(f"{DEFAULT_STRENGTH:g}", by_strength["0"])
