"""Which rows of a table train a network of expressions, and what it should answer to each."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..data.audit import audit
from ..data.table import Table, pixel_hash
from ..errors import ConfigError, DataError
from ..evaluation.metrics import IntArray
from ..face import FloatArray
from ..labels import LabelSet, label_set

OWN_HEAD = "own"
"""What the head of a recipe's own labels is called."""


@dataclass(frozen=True, slots=True)
class ExpressionData:
    """Which rows of a table train, select and test.

    target : "votes" (the taggers' shares), "label" (one label a picture), or "strengths" (the
        raters' intensities, or else the taggers' shares).
    min_votes : a label with fewer votes counts as none.
    drop_overlap : leave out training rows whose exact pixels occur in select or test.
    drop_near : and those that are near duplicates of a row there (``mien.data.audit``).
    teacher_weight : how much of the target is what trained networks answer instead
        (``mien.training.distill``); ten votes are few, and their view of the face steadies them.
    labels : only these of the label set, whose order stays; empty for all of them.
    subject : only this person's rows; None for everybody's.
    balance : a picture is drawn with a chance in proportion to (pictures of its label)^-balance: 0
        as often as any other, 1 every label as often as any other, 0.5 between the two (Mahajan et
        al. 2018, arXiv:1805.00932).
    """

    label_set: str
    train: str
    select: str
    test: str
    target: str = "label"
    min_votes: int = 1
    drop_overlap: bool = True
    drop_near: bool = False
    teacher_weight: float = 0.0
    labels: tuple[str, ...] = ()
    balance: float = 0.0
    subject: str | None = None

    def __post_init__(self) -> None:
        for name in ("teacher_weight", "balance"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"data.{name} lies in [0, 1], got {getattr(self, name)}")
        if len(self.names) < 2:
            raise ConfigError(f"data.labels are two or more, got {list(self.labels)}")
        _check_target("data.target", self.target)

    @property
    def names(self) -> LabelSet:
        """What the network answers; raises UnknownName."""
        return _of(self.label_set, self.labels)


@dataclass(frozen=True, slots=True)
class Also:
    """Further labels, answered by a head of their own: of the same pictures, or of others.

    The last layer answers them behind the recipe's own labels.

    table : by the name that ``mien train --also NAME=FILE`` gives it; the head is called so too.
    label_set : what the head answers.
    weight : of its loss, where that of the recipe's own labels weighs 1.
    pictures : "same" as the recipe's, by their id and split, where one that the further table lacks
        asks nothing of this head; or "own", learnt from beside the recipe's, which then ask nothing
        of it, nor they of the recipe's own head.
    target : "label", or with pictures of its own "votes" or "strengths", whose shares are learnt.
    train, select : the splits of a table with pictures of its own; every row trains without, and
        none selects.
    labels : only these of the label set, as ``ExpressionData.labels``.
    """

    table: str
    label_set: str
    weight: float = 1.0
    pictures: str = "same"
    target: str = "label"
    train: str | None = None
    select: str | None = None
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.names) < 2:
            raise ConfigError(f"also.labels are two or more, got {list(self.labels)}")
        if not 0 < self.weight <= 10:
            raise ConfigError(f"also.weight lies in (0, 10], got {self.weight}")
        if self.pictures not in ("same", "own"):
            raise ConfigError(f"also.pictures are same or own, got '{self.pictures}'")
        _check_target("also.target", self.target)
        if self.pictures == "same" and (self.target != "label" or self.train or self.select):
            raise ConfigError(
                "also.target, train and select go with pictures of its own: also.pictures = 'own'"
            )
        if self.select and not self.train:
            raise ConfigError(f"also.select = '{self.select}' needs also.train, a split as well")
        if self.select and self.select == self.train:
            raise ConfigError(
                f"also.train and also.select are both '{self.select}': a head is judged by "
                "pictures that it has not learnt from"
            )

    @property
    def names(self) -> LabelSet:
        return _of(self.label_set, self.labels)


def _of(name: str, labels: tuple[str, ...]) -> LabelSet:
    """A label set, or only these of it, whose order stays; raises UnknownName."""
    whole = label_set(name)
    if not labels:
        return whole
    places = sorted({whole.index(label) for label in labels})
    return LabelSet(
        whole.name,
        tuple(whole.labels[i] for i in places),
        tuple(whole.native[i] for i in places),
    )


def _check_target(name: str, target: str) -> None:
    if target not in ("votes", "label", "strengths"):
        raise ConfigError(f"{name} is votes, label or strengths, got '{target}'")


def sides(data: ExpressionData, table: Table) -> tuple[Table, Table, dict[str, int]]:
    """The rows that train and those that select, and what was left out, counted.

    Raises DataError where nothing is left.
    """
    labels = data.names
    train = table.of_split(data.train)
    select = table.of_split(data.select)
    counts = {"train_rows": len(train), "select_rows": len(select)}

    train = train.keep(train.targets(labels) >= 0)
    select = select.keep(select.targets(labels) >= 0)
    counts["train_without_emotion"] = counts["train_rows"] - len(train)
    counts["select_without_emotion"] = counts["select_rows"] - len(select)
    if data.target == "strengths" and table.intensity_labels:
        counts["train_unrated"] = int((~train.is_rated).sum())
        counts["select_unrated"] = int((~select.is_rated).sum())
        train, select = train.keep(train.is_rated), select.keep(select.is_rated)
    if data.drop_overlap:
        before = len(train)
        train = without_pixels_of(train, table.of_split(data.select, data.test))
        counts["train_pixels_in_other_splits"] = before - len(train)
    if data.drop_near:
        before = len(train)
        train = without_near_duplicates_of(data, train, table)
        counts["train_near_duplicates_in_other_splits"] = before - len(train)
    if not len(train) or not len(select):
        told = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in counts.items() if n)
        raise DataError(f"nothing left to train or select on in {table.name}: {told}")
    counts |= {"train_used": len(train), "select_used": len(select)}
    return train, select, counts


def labelled(head: Also, known: Table, table: Table) -> FloatArray:
    """What the table of a further head says of another's pictures, (N, K) one-hot; 0 of others."""
    targets = known.targets(head.names)
    said = dict(zip(((row.split, row.id) for row in known.rows), targets, strict=True))
    places = np.array([said.get((row.split, row.id), -1) for row in table.rows], np.intp)
    return _one_hot(places, head.names)


def brought(
    head: Also, known: Table, data: ExpressionData, table: Table
) -> tuple[Table, FloatArray, dict[str, int]]:
    """The pictures of its own that a further head learns from, and what was left out, counted.

    What it learns of each, (M, K), comes with them. Those that show a picture of ``table``'s select
    or test, or one that the head itself is judged by, are left out as the recipe's own rows are.
    Raises DataError where nothing is left.
    """
    rows = known.of_split(head.train) if head.train else known
    counts = {"rows": len(rows)}
    rows = rows.keep(_said_of(head, rows).sum(axis=1) > 0)
    counts["without_label"] = counts["rows"] - len(rows)
    tested = _tested(head, known, data, table)
    if data.drop_overlap:
        before = len(rows)
        rows = without_pixels_of(rows, tested)
        counts["pixels_in_tested_splits"] = before - len(rows)
    if data.drop_near:
        before = len(rows)
        moved = [replace(row, split=data.train) for row in rows.rows]
        beside = Table(known.name, [*moved, *tested.rows])
        rows = without_near_duplicates_of(data, rows, beside) if moved else rows
        counts["near_duplicates_in_tested_splits"] = before - len(rows)
    if not len(rows):
        raise DataError(f"nothing left for '{head.table}' to learn in {known.name}: {counts}")
    return rows, _said_of(head, rows), {f"{head.table}_{k}": n for k, n in counts.items()}


def _tested(head: Also, known: Table, data: ExpressionData, table: Table) -> Table:
    """The pictures that a further head must not have learnt from: ``table``'s, and its own."""
    own = [replace(row, split=data.select) for row in judged(head, known)[0].rows]
    return replace(table, rows=[*table.of_split(data.select, data.test).rows, *own])


def judged(head: Also, known: Table) -> tuple[Table, FloatArray]:
    """The pictures of its own that a further head is judged by, and their labels, (M, K)."""
    rows = known.of_split(head.select) if head.select else replace(known, rows=[])
    rows = rows.keep(rows.targets(head.names) >= 0)
    return rows, _one_hot(rows.targets(head.names), head.names)


def _said_of(head: Also, rows: Table) -> FloatArray:
    """What people said of a further table's own pictures, (M, K) shares; 0 where nothing."""
    if head.target == "label":
        return _one_hot(rows.targets(head.names), head.names)
    graded = rows.intensity_labels if head.target == "strengths" else ()
    missing = [name for name in head.names.labels if name not in (graded or rows.vote_labels)]
    if missing:
        raise DataError(
            f"{rows.name} has no {'ratings' if graded else 'votes'} of {', '.join(missing)}: leave "
            f"them out of also.labels, or learn '{head.table}' from its labels, also.target = "
            "'label'"
        )
    if head.target == "votes":
        return rows.vote_shares(head.names)
    rated = rows.is_rated if rows.intensity_labels else np.ones(len(rows), bool)
    strong = np.zeros((len(rows), len(head.names)), np.float32)
    strong[rated] = rows.keep(rated).strengths(head.names)
    return np.asarray(strong / np.maximum(strong.sum(1, keepdims=True), 1e-9), np.float32)


def _one_hot(places: IntArray, names: LabelSet) -> FloatArray:
    """Labels by their place, (M,), as (M, K); 0 for -1."""
    eye = np.eye(len(names), dtype=np.float32)
    return np.asarray(np.where(places[:, None] >= 0, eye[places], 0.0), np.float32)


def without_near_duplicates_of(data: ExpressionData, train: Table, table: Table) -> Table:
    """The training rows that look like no row of select or test; see ``mien.data.audit``."""
    whole = table.of_split(data.train, data.select, data.test)
    found = audit(whole)
    near: set[str] = set()
    for other in (data.select, data.test):
        places = found.overlap(data.train, other).near
        if places is None:
            raise DataError(
                f"{table.name} has too many near duplicates to be counted: data.drop_near = false, "
                'and split.by = "sequence" or "subject"'
            )
        near |= {whole.rows[place].id for place in places}
    return train.keep(row.id not in near for row in train.rows)


def wanted(data: ExpressionData, table: Table) -> FloatArray:
    """What people said of each picture, (N, K): shares of their votes, or their ratings."""
    graded = table.strengths if data.target == "strengths" else table.vote_shares
    return graded(data.names, data.min_votes)


def drawn(targets: IntArray, balance: float) -> FloatArray | None:
    """How likely each picture is drawn, (N,) summing to 1; None for every picture once an epoch."""
    if balance == 0:
        return None
    counts = np.bincount(targets)[targets].astype(np.float64)
    chances = counts**-balance
    return np.asarray(chances / chances.sum(), np.float32)


def without_pixels_of(table: Table, other: Table) -> Table:
    """The rows whose exact pixels do not occur in ``other``."""
    there = {pixel_hash(p) for p in other.pictures()}
    return table.keep(pixel_hash(p) not in there for p in table.pictures())
