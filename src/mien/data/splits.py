"""Who trains, who selects, who tests: a table's rows dealt out.

A split decides what a test score means. Dealt row by row, pictures of one person, frames of one
film and changed copies of one picture lie on both sides, and the score is partly memory; dealt by
subject or by sequence it says how a model does on somebody new, dealt by clusters of duplicates at
least on another photo. Papers do both, so both are here, and ``mien.data.audit`` shows what each
leaves on both sides.
"""

from __future__ import annotations

import functools
import hashlib
import warnings
from collections import Counter
from collections.abc import Hashable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError, DataError, MissingExtra, UnknownName
from ..labels import LabelSet, subset
from .audit import audit
from .table import Table

SIDES = ("train", "select", "test")
_TRIES = 16  # dealings of whole groups, of which the most even one is taken

IntArray = npt.NDArray[np.intp]
SPLITS = ("random", "stratified", "subject", "sequence", "duplicates")


@dataclass(frozen=True, slots=True)
class Split:
    """How a table's rows are dealt to ``train``, ``select`` and ``test``; without, as published.

    by : "random" over rows, "stratified" over rows of each label, or whole "subject"s, whole
        "sequence"s of them, or whole clusters of "duplicates" (``mien.data.audit``).
    train, select, test : shares, summing to 1; without meaning where there are folds.
    each : instead of shares, how many rows of every label train and select, all the rest tests;
        exactly so where rows are "stratified", as near as whole people allow where by "subject".
    hold_out : people with at least so many rows of every label are the test, and the others are
        dealt to train and select by their shares, whole people; 0 for none.
    folds, fold : of k folds, this one is the test, the next one selects; 0 where there are none.
    """

    by: str
    train: float = 0.8
    select: float = 0.1
    test: float = 0.1
    folds: int = 0
    fold: int = 0
    seed: int = 1
    each: tuple[int, ...] = ()
    hold_out: int = 0

    def __post_init__(self) -> None:
        if self.by not in SPLITS:
            raise UnknownName("split", self.by, SPLITS)
        if self.each and not (
            len(self.each) == 2 and min(self.each) > 0 and self.by in ("stratified", "subject")
        ):
            raise ConfigError(
                "split.each is two numbers of rows of a label, to train and to select, and goes "
                'with split.by = "stratified" or "subject"'
            )
        if self.hold_out and (self.by != "subject" or self.each or self.folds):
            raise ConfigError('split.hold_out goes with shares and split.by = "subject" alone')
        total = self.train + self.select + self.test
        if not (abs(total - 1) <= 1e-6 and self.train > 0):  # nan is no share either
            raise ConfigError("split.train, split.select and split.test are shares summing to 1")
        if min(self.select, self.test) < 0:
            raise ConfigError("split.select and split.test are at least 0")
        if self.seed < 0:
            raise ConfigError(f"split.seed is a whole number from 0, got {self.seed}")
        if self.folds and not (self.folds >= 3 and 0 <= self.fold < self.folds):
            raise ConfigError(
                f"split.folds is at least 3 and split.fold below it, got {self.folds}, {self.fold}"
            )


def uncut(cut: Table, whole: Table) -> Table:
    """The rows of a table whose faces were cut, in its splits, with their pictures before that."""
    pictures = {row.id: row for row in whole.rows}
    rows = [replace(pictures[row.id], split=row.split) for row in cut.rows if row.id in pictures]
    return replace(whole, rows=rows)


def of_subject(table: Table, subject: str) -> Table:
    """One person's rows; raises DataError where there are none."""
    found = table.keep(row.subject == subject for row in table.rows)
    if not len(found):
        raise DataError(f"nobody in {table.name} is called '{subject}'")
    return found


def well_known(table: Table, labels: LabelSet, least: int) -> list[str]:
    """The people with at least so many pictures of each label, copies not counted, by name.

    Raises DataError where there is nobody.
    """
    counts = Counter((row.subject, row.label) for row in table.rows if row.copy_of is None)
    people = sorted({row.subject for row in table.rows if row.subject})
    known = [p for p in people if all(counts[p, label] >= least for label in labels.labels)]
    if not known:
        raise DataError(
            f"nobody in {table.name} has {least} pictures of each of {', '.join(labels.labels)}"
        )
    return known


def split(table: Table, settings: Split, names: LabelSet | None = None) -> Table:
    """The same rows with ``split`` set anew to train, select or test; see ``Split``.

    "subject" and "sequence" keep whole people and whole recordings together, and copies with what
    they are of; a row that names none is one of its own. "duplicates" keeps equal and nearly equal
    pictures together, and copies with what they are of. Sides are as near their shares as whole
    groups allow, and hold every label where they can. "random" and "stratified" look at single
    rows, so copies of one picture do lie on several sides. ``notes["split"]`` says what was done.

    names : the labels that ``settings.hold_out`` counts; without, all that occur.

    Raises DataError where a side would be empty or nobody says who is in the pictures.
    """
    rng = np.random.default_rng(settings.seed)
    labels = np.unique([row.label for row in table.rows], return_inverse=True)[1].astype(np.intp)
    groups = _groups(table, settings.by)
    _check_enough(table, settings, len(np.unique(groups)))
    if settings.hold_out:
        side = _held_out(
            table,
            settings,
            names or subset(sorted({r.label for r in table.rows})),
            labels,
            groups,
            rng,
        )
    elif settings.folds:
        side = _from_folds(_folds(labels, groups, settings), settings)
    elif settings.by == "random":
        side = _deal(len(table), _shares(settings), rng)
    elif settings.each and settings.by == "stratified":
        side = _deal_counts(table, labels, settings.each, rng)
    elif settings.by == "stratified":
        side = _deal_each(labels, _shares(settings), rng)
    elif settings.by == "duplicates":
        side = _deal_clusters(groups, _shares(settings), rng)
    else:
        shares = _shares(settings)
        if settings.each:
            counts = np.array(settings.each) * (labels.max() + 1)
            if counts.sum() >= len(table):
                raise DataError(
                    f"{table.name} has {len(table)} rows, and split.each = {list(settings.each)} "
                    "leaves none of them to test"
                )
            shares = np.array([*counts, len(table) - counts.sum()]) / len(table)
        side = _deal_groups(labels, groups, shares, rng)
    rows = [replace(row, split=SIDES[s]) for row, s in zip(table.rows, side, strict=True)]
    done = replace(table, rows=rows)
    _check_sides(done, settings)
    return replace(done, notes={**table.notes, "split": _note(done, settings, groups)})


def _shares(settings: Split) -> npt.NDArray[np.float64]:
    return np.array([settings.train, settings.select, settings.test])


def _groups(table: Table, by: str) -> IntArray:
    """The number of what each row must stay together with, (N,)."""
    if by == "duplicates":
        return _cluster_of(table)
    keys: list[Hashable] = []
    for row in table.rows:
        itself = ("row", row.copy_of or row.id)
        if by == "subject":
            keys.append(("subject", row.subject) if row.subject else itself)
        elif by == "sequence":
            keys.append(("sequence", row.subject, row.sequence) if row.sequence else itself)
        else:
            keys.append(len(keys))
    copied = by == "sequence" and any(row.copy_of for row in table.rows)
    if (
        by in ("subject", "sequence")
        and not copied
        and not any(getattr(row, by) for row in table.rows)
    ):
        raise DataError(
            f"no row of {table.name} names its {by}, so it cannot be split by {by}; "
            "import it with that known, or split it by 'stratified'"
        )
    number: dict[Hashable, int] = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    return np.array([number[key] for key in keys], np.intp)


def _cluster_of(table: Table) -> IntArray:
    """Clusters of duplicates among pictures as they came, copies in those of their originals."""
    plain = table.keep(row.copy_of is None for row in table.rows)
    digest = hashlib.blake2b(b"".join(hashlib.sha256(row.image).digest() for row in plain.rows))
    clusters = _clusters(_Pictures(digest.hexdigest(), plain))
    number = {row.id: int(cluster) for row, cluster in zip(plain.rows, clusters, strict=True)}
    return np.array([number[row.copy_of or row.id] for row in table.rows], np.intp)


@dataclass(frozen=True)
class _Pictures:
    """A table known by its pictures."""

    digest: str
    table: Table = field(compare=False)


@functools.lru_cache(maxsize=1)
def _clusters(pictures: _Pictures) -> IntArray:
    return audit(pictures.table).cluster_of


def _unit(by: str) -> str:
    units = {"subject": "people", "sequence": "sequences", "duplicates": "distinct pictures"}
    return units.get(by, "rows")


def _check_enough(table: Table, settings: Split, groups: int) -> None:
    sides = [side for side, share in zip(SIDES, _shares(settings), strict=True) if share > 0]
    needed = settings.folds or len(sides)
    if groups >= needed:
        return
    what = f"{needed} folds" if settings.folds else f"{needed} sides ({', '.join(sides)})"
    raise DataError(
        f"{table.name} has {groups} {_unit(settings.by)} and cannot fill {what}; "
        f"{'fewer split.folds' if settings.folds else 'fewer sides'}, or split it by another unit"
    )


def _check_sides(table: Table, settings: Split) -> None:
    wanted = [s for s, share in zip(SIDES, _shares(settings), strict=True) if share > 0]
    for side in SIDES if settings.folds else wanted:
        if side not in table.splits:
            which = f"fold {settings.fold} of {settings.folds}" if settings.folds else "the split"
            raise DataError(
                f"{which} of {table.name} by {settings.by} leaves '{side}' empty; "
                "take fewer folds or larger shares"
            )


def _note(table: Table, settings: Split, groups: IntArray) -> dict[str, Any]:
    labels = {row.label for row in table.rows}
    held: dict[str, set[str]] = {side: set() for side in SIDES}
    for row in table.rows:
        held[row.split].add(row.label)
    lacking = {side: sorted(labels - held[side]) for side in SIDES if labels - held[side]}
    return {
        **asdict(settings),
        "rows": {side: sum(row.split == side for row in table.rows) for side in SIDES},
        "groups": len(np.unique(groups)),
        "labels_missing": lacking,
    }


def _sizes(n: int, shares: npt.NDArray[np.float64]) -> IntArray:
    """``n`` in whole parts as near the shares as can be, none of them 0 where ``n`` allows."""
    ideal = n * shares
    sizes = np.floor(ideal + 1e-9).astype(np.intp)
    for side in np.argsort(-(ideal - sizes), kind="stable")[: n - sizes.sum()]:
        sizes[side] += 1
    for side in reversed(range(len(shares))):  # a test matters more than a choice of epochs
        if shares[side] > 0 and sizes[side] == 0 and sizes.max() > 1:
            sizes[sizes.argmax()] -= 1
            sizes[side] += 1
    return sizes


def _deal(n: int, shares: npt.NDArray[np.float64], rng: np.random.Generator) -> IntArray:
    """A side for each of ``n`` rows, (N,)."""
    return rng.permutation(np.repeat(np.arange(len(shares)), _sizes(n, shares)))


def _deal_each(
    labels: IntArray, shares: npt.NDArray[np.float64], rng: np.random.Generator
) -> IntArray:
    """A side for each row, label by label; scikit-learn's refuses labels with a single row."""
    side = np.zeros(len(labels), np.intp)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        side[rows] = _deal(len(rows), shares, rng)
    return side


def _deal_counts(
    table: Table, labels: IntArray, each: tuple[int, ...], rng: np.random.Generator
) -> IntArray:
    """A side for each row: so many of every label train, so many select, all the rest tests."""
    side = np.full(len(labels), 2, np.intp)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        if len(rows) <= sum(each):
            raise DataError(
                f"{table.name} has {len(rows)} rows of {table.rows[rows[0]].label}, and "
                f"split.each = {list(each)} leaves none of them to test"
            )
        side[rows[: each[0]]] = 0
        side[rows[each[0] : sum(each)]] = 1
    return side


def _held_out(
    table: Table,
    settings: Split,
    names: LabelSet,
    labels: IntArray,
    groups: IntArray,
    rng: np.random.Generator,
) -> IntArray:
    """A side for each row: those of well-known people test, the others are dealt as groups."""
    known = set(well_known(table, names, settings.hold_out))
    others = np.array([row.subject not in known for row in table.rows])
    shares = _shares(settings) * [1, 1, 0]
    among = np.unique(groups[others], return_inverse=True)[1].astype(np.intp)
    side = np.full(len(table), 2, np.intp)
    side[others] = _deal_groups(labels[others], among, shares / shares.sum(), rng)
    return side


def _deal_clusters(
    groups: IntArray, shares: npt.NDArray[np.float64], rng: np.random.Generator
) -> IntArray:
    """A side for each row: whole groups, none of them large, at random up to the shares."""
    size = np.bincount(groups)
    order = rng.permutation(len(size))
    before = np.cumsum(size[order]) - size[order]
    ends = np.cumsum(_sizes(len(groups), shares))
    side = np.empty(len(size), np.intp)
    side[order] = np.searchsorted(ends, before, side="right")
    return side[groups]


def _deal_groups(
    labels: IntArray,
    groups: IntArray,
    shares: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> IntArray:
    """A side for each row, whole groups together: of several dealings the most even one."""
    counts = np.zeros((groups.max() + 1, labels.max() + 1))
    np.add.at(counts, (groups, labels), 1)
    used = np.flatnonzero(shares > 0)
    dealt = [_deal_once(counts, shares[used], rng) for _ in range(_TRIES)]
    best = min(dealt, key=lambda sides: _unevenness(counts, shares[used], sides))
    return used[best][groups]


def _deal_once(
    counts: npt.NDArray[np.float64], shares: npt.NDArray[np.float64], rng: np.random.Generator
) -> IntArray:
    """A side for each group, (G,): the largest first, each to where it makes sides most even.

    counts : (G, K) rows per group and label.
    """
    order = rng.permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    total = counts.sum(axis=0)
    lack = shares[:, None] * np.ones_like(total)  # (S, K), in shares of each label
    sides, empty = np.zeros(len(counts), np.intp), set(range(len(shares)))
    for left, group in zip(range(len(order), 0, -1), order, strict=True):
        part = counts[group] / total
        # Over the share, as in Pearson's chi-square: else the largest side takes all at first.
        gain = (lack**2 - (lack - part) ** 2).sum(axis=1) / shares
        open_to = sorted(empty) if left <= len(empty) else list(range(len(shares)))
        side = open_to[int(gain[open_to].argmax())]
        lack[side] -= part
        sides[group] = side
        empty.discard(side)
    return sides


def _unevenness(
    counts: npt.NDArray[np.float64], shares: npt.NDArray[np.float64], sides: IntArray
) -> tuple[int, float]:
    """How many labels are missing on a side, then how far sides are from their shares."""
    held = np.stack([counts[sides == side].sum(axis=0) for side in range(len(shares))])
    off = (held / counts.sum(axis=0) - shares[:, None]) ** 2 / shares[:, None]
    return int((held == 0).sum()), float(off.sum())


def _folds(labels: IntArray, groups: IntArray, settings: Split) -> IntArray:
    """The number of the fold each row is in, (N,)."""
    try:
        from sklearn import model_selection
    except ImportError:
        raise MissingExtra("scikit-learn", "train", "splitting into folds") from None
    dealers = {
        "random": model_selection.KFold,
        "stratified": model_selection.StratifiedKFold,
        "subject": model_selection.StratifiedGroupKFold,
        "sequence": model_selection.StratifiedGroupKFold,
        "duplicates": model_selection.StratifiedGroupKFold,
    }
    # Where every label has fewer rows than there are folds, there is nothing to keep even.
    y = labels if np.bincount(labels).max() >= settings.folds else np.zeros_like(labels)
    dealer = dealers[settings.by](settings.folds, shuffle=True, random_state=settings.seed)
    fold_of = np.full(len(labels), -1, np.intp)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # rare labels; the notes say what is missing
        for fold, (_, rows) in enumerate(dealer.split(y, y, groups)):
            fold_of[rows] = fold
    return fold_of


def _from_folds(fold_of: IntArray, settings: Split) -> IntArray:
    """Sides from folds: one tests, the next one selects, the others train."""
    selects = (settings.fold + 1) % settings.folds
    return np.where(fold_of == settings.fold, 2, np.where(fold_of == selects, 1, 0))
