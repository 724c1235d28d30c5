"""Who trains, who selects, who tests: a table's rows changed, copied and dealt out.

A split decides what a test score means. Dealt row by row, pictures of one person, frames of one
film and changed copies of one picture lie on both sides, and the score is partly memory; dealt by
subject or by sequence it says how a model does on somebody new, dealt by clusters of duplicates at
least on another photo. Papers do both, so both are here, and ``mien.audit`` shows what each leaves
on both sides.
"""

from __future__ import annotations

import functools
import hashlib
import warnings
from collections import Counter
from collections.abc import Hashable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from . import occlude, recipes, variants
from .audit import audit
from .cut import cut
from .errors import ConfigError, DataError, MissingExtra
from .face import ImageArray
from .image import read_bytes
from .labels import LabelSet, subset
from .preprocess import resize
from .table import Row, Table, png
from .table import read as read_table

SIDES = ("train", "select", "test")
_TRIES = 16  # dealings of whole groups, of which the most even one is taken

IntArray = npt.NDArray[np.intp]


def arrange(recipe: recipes.Recipe, table: Table) -> Table:
    """The table as a recipe wants it: its copies made, its rows dealt out, faces occluded.

    Training, export and evaluation all come through here, so the same recipe and table give the
    same sides everywhere. A recipe that says none of these takes the table as it is. Faces are
    occluded last: duplicates are found in plain pictures only, and sides may differ. Before that,
    where faces are cut, or rows counted, label by label, only the recipe's labels are left.
    """
    if not isinstance(recipe, recipes.ExpressionRecipe):
        return table
    return _dealt(recipe, _made(recipe, table))


def _made(recipe: recipes.ExpressionRecipe, table: Table) -> Table:
    """The rows that are dealt, and their pictures."""
    split = recipe.split
    if recipe.cut or (split and (split.each or split.hold_out)):
        table = table.keep(table.targets(recipe.data.names) >= 0)
    if recipe.cut:
        table = cut(table, recipe.cut, recipe.model)
    return copies(table, recipe.copies) if recipe.copies else table


def _dealt(recipe: recipes.ExpressionRecipe, table: Table) -> Table:
    if recipe.data.subject:
        table = of_subject(table, recipe.data.subject)
    if recipe.split:
        table = split(table, recipe.split, recipe.data.names)
    return occluded(table, recipe.occlude) if recipe.occlude else table


def read(recipe: recipes.Recipe, path: Path) -> Table:
    """The table of a file as a recipe wants it.

    The last table is kept with its crops and copies, and so are clusters of duplicates and
    occluded rows: training, export and evaluation ask for the same one after another, and fourteen
    thousand copies take longer to make than some networks to train.
    """
    if not isinstance(recipe, recipes.ExpressionRecipe):
        return read_table(path)
    if not path.is_file() or not (recipe.cut or recipe.copies or recipe.split or recipe.occlude):
        return arrange(recipe, read_table(path))
    return _dealt(recipe, _table_of(_Made(path, path.stat().st_mtime_ns, *_making(recipe), recipe)))


def _making(recipe: recipes.ExpressionRecipe) -> tuple[tuple[Hashable, ...], recipes.Copies | None]:
    """All of a recipe that ``_made`` looks at: what decides its crops, and the copies of them."""
    split, model = recipe.split, recipe.model
    labelled = bool(recipe.cut or (split and (split.each or split.hold_out)))
    shape = (model.align, model.size) if recipe.cut else ()
    return (recipe.cut, shape, recipe.data.names if labelled else None), recipe.copies


@dataclass(frozen=True)
class _Made:
    """A table as a recipe makes it, known by its file and by what the recipe makes."""

    path: Path
    changed_ns: int
    crops: tuple[Hashable, ...]
    copies: recipes.Copies | None
    recipe: recipes.ExpressionRecipe = field(compare=False)


@functools.lru_cache(maxsize=1)
def _table_of(wanted: _Made) -> Table:
    table = _crops_of(replace(wanted, copies=None))
    return copies(table, wanted.copies) if wanted.copies else table


@functools.lru_cache(maxsize=4)
def _crops_of(wanted: _Made) -> Table:
    return _made(replace(wanted.recipe, copies=None), read_table(wanted.path))


def of_recipe(name: str, table: Table, uncut_faces: bool = False) -> tuple[Table, str, str]:
    """The table as a shipped recipe, or one in a file, wants it; what it tests and what it trains.

    uncut_faces : pictures as they were before faces were cut, for what light and distance do to
        the whole picture.

    Raises ConfigError for a recipe that trains anything but expressions.
    """
    recipe = recipes.read(recipes.find(name))
    if not isinstance(recipe, recipes.ExpressionRecipe):
        raise ConfigError(f"{name} trains {recipe.task}; a recipe of expressions is needed")
    arranged = arrange(recipe, table)
    if uncut_faces and recipe.cut:
        arranged = uncut(arranged, table)
    return arranged, recipe.data.test, recipe.data.train


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


def copies(table: Table, settings: recipes.Copies) -> Table:
    """Every row, followed by its changed copies ``<id>#1``, ``<id>#2``, ...

    A copy is its row's in all but the pixels, and says so in ``copy_of``; its landmarks are left
    behind, as the turn moves them. What happens to a picture depends on the seed and its row's
    id alone. Raises DataError for a table that has copies already.
    """
    if any(row.copy_of for row in table.rows):
        raise DataError(f"{table.name} holds augmented copies already; start from the pictures")
    rows: list[Row] = []
    for row in table.rows:
        picture = read_bytes(row.image, row.id)
        if settings.size:
            picture = resize(picture, settings.size)
            height, width = picture.shape[:2]
            row = replace(row, image=png(picture), width=width, height=height, landmarks=None)
        rows.append(row)
        rows += [_copy(row, picture, number, settings) for number in range(1, settings.count + 1)]
    notes = {**table.notes, "copies": {**asdict(settings), "of": len(table)}}
    return replace(table, rows=rows, notes=notes)


def _copy(row: Row, picture: ImageArray, number: int, settings: recipes.Copies) -> Row:
    name = f"{row.id}#{number}"
    changed = (
        variants.variant(picture, number)
        if settings.variants
        else _changed(picture, settings, _generator(settings.seed, name))
    )
    return replace(row, id=name, image=png(changed), copy_of=row.id, landmarks=None)


def _generator(seed: int, name: str) -> np.random.Generator:
    """Numbers that depend on the seed and a row's id alone, wherever the row is."""
    key = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return np.random.default_rng([seed, int.from_bytes(key)])


def _changed(picture: ImageArray, settings: recipes.Copies, rng: np.random.Generator) -> ImageArray:
    """Turned, noisy, perhaps gray: (H, W, 3) uint8 RGB, or (H, W) where it has no colour."""
    angle = rng.uniform(-settings.rotate_deg, settings.rotate_deg)
    deviation = rng.uniform(0, settings.noise)
    without_colour = rng.uniform() < settings.monochrome
    if without_colour or _is_gray(picture):
        picture = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    turned = cv2.warpAffine(
        picture, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    noise = rng.standard_normal(turned.shape, np.float32) * np.float32(deviation)
    return np.asarray(np.rint(turned + noise).clip(0, 255), np.uint8)


def _is_gray(picture: ImageArray) -> bool:
    """Coloured noise on a gray picture would make it a colour picture."""
    return bool((picture == picture[:, :, :1]).all())


def occluded(table: Table, settings: recipes.Occlude) -> Table:
    """The same rows, a part of the face hidden in those of the sides that ``settings`` names.

    What is hidden, and whether, depends on the seed and the row's id alone. Raises DataError where
    it goes by landmarks and a row has none.
    """
    rows = [_occluded(row, settings) if row.split in settings.sides else row for row in table.rows]
    notes = {**table.notes, "occlude": {**asdict(settings), "sides": list(settings.sides)}}
    return replace(table, rows=rows, notes=notes)


def _occluded(row: Row, settings: recipes.Occlude) -> Row:
    image = _hidden(row.image, row.landmarks, row.id, replace(settings, sides=()))
    return row if image is None else replace(row, image=image)


@functools.lru_cache(maxsize=80_000)
def _hidden(
    image: bytes, points: tuple[float, ...] | None, name: str, settings: recipes.Occlude
) -> bytes | None:
    """The picture with something hidden; None where it stays as it is."""
    rng = _generator(settings.seed, name)
    if rng.uniform() >= settings.share:
        return None
    picture = read_bytes(image, name)
    if settings.by == "bands":
        return png(occlude.band(picture, settings.what, rng))
    if points is None:
        raise DataError(f"{name} has no landmarks to occlude its {settings.what} by; use bands")
    at = np.reshape(np.array(points, np.float32), (-1, 2))
    return png(occlude.region(picture, at, settings.what, rng))


def split(table: Table, settings: recipes.Split, names: LabelSet | None = None) -> Table:
    """The same rows with ``split`` set anew to train, select or test; see ``recipes.Split``.

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


def _shares(settings: recipes.Split) -> npt.NDArray[np.float64]:
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


def _check_enough(table: Table, settings: recipes.Split, groups: int) -> None:
    sides = [side for side, share in zip(SIDES, _shares(settings), strict=True) if share > 0]
    needed = settings.folds or len(sides)
    if groups >= needed:
        return
    what = f"{needed} folds" if settings.folds else f"{needed} sides ({', '.join(sides)})"
    raise DataError(
        f"{table.name} has {groups} {_unit(settings.by)} and cannot fill {what}; "
        f"{'fewer split.folds' if settings.folds else 'fewer sides'}, or split it by another unit"
    )


def _check_sides(table: Table, settings: recipes.Split) -> None:
    wanted = [s for s, share in zip(SIDES, _shares(settings), strict=True) if share > 0]
    for side in SIDES if settings.folds else wanted:
        if side not in table.splits:
            which = f"fold {settings.fold} of {settings.folds}" if settings.folds else "the split"
            raise DataError(
                f"{which} of {table.name} by {settings.by} leaves '{side}' empty; "
                "take fewer folds or larger shares"
            )


def _note(table: Table, settings: recipes.Split, groups: IntArray) -> dict[str, Any]:
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
    settings: recipes.Split,
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


def _folds(labels: IntArray, groups: IntArray, settings: recipes.Split) -> IntArray:
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


def _from_folds(fold_of: IntArray, settings: recipes.Split) -> IntArray:
    """Sides from folds: one tests, the next one selects, the others train."""
    selects = (settings.fold + 1) % settings.folds
    return np.where(fold_of == settings.fold, 2, np.where(fold_of == selects, 1, 0))
