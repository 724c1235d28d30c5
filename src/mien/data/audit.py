"""What is wrong with a table before anyone trains on it: repeats, leaks between splits, doubts.

A picture that occurs in two splits makes a test score a memory test. Five kinds are looked for:
the very same pixels, the same photograph in another guise (re-compressed, brighter, scaled,
mirrored), changed copies of one picture (as far as the table says so), and the same recording or
the same person on both sides.

The second kind is found on thumbnails: 16 x 16 gray levels, area-averaged, zero mean, unit norm.
Two of them multiplied give Pearson's correlation, which brightness and contrast leave alone. How
high it must be was settled by eye, on pairs of FER2013 drawn at random from each band:

    ===========  =====  ======================================
    correlation  pairs  the same photo, of those seen
    ===========  =====  ======================================
    0.92 - 0.94  1,237  21 of 40
    0.94 - 0.95    429  39 of 40; of mirrored pairs 2 of 12
    0.95 - 0.96    373  39 of 40
    0.96 - 0.97    431  40 of 40
    0.97 - 0.99  1,067  80 of 80
    ===========  =====  ======================================

Of the 32 mirrored pairs above 0.95, all seen, 29 are the same photo. Hence ``NEAR = 0.95``: what
it finds is nearly always right, and what it does not find may still be there. Of 1,500 of these
pictures, changed on purpose, it knows all again at JPEG quality 30 or dimmed to 60 %, 99 % at
gamma 2, 82 % shifted by one of their 48 pixels, and hardly any shifted by two.

The number holds for loose web crops and no further:

* Aligned crops resemble one another more. Among LFW's 2,969 it flags 15 pairs, of which 7 are the
  same photo or neighbouring frames of one film.
* Where a studio holds light and pose alike it says nothing. In JAFFE it flags 820 pairs, which
  204 of the 213 photographs are part of: the same woman twice in all of them, with another
  expression in 628, and even the most alike (0.999) are two photographs by their grain. Split
  such sets by subject.

So look at the pairs before dropping anything; ``as_dict`` lists the most alike first.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import ConfigError, DataError
from ..face import FloatArray, ImageArray
from .table import Row, Table, pixel_hash

NEAR = 0.95
THUMB = 16
FLAT = 4.0
"""Gray levels: a thumbnail that deviates less (black, a lost signal) is like any other such."""
MAX_PAIRS = 5_000_000
_BLOCK = 2048

BoolArray = npt.NDArray[np.bool_]
IndexArray = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class NearPairs:
    """Distinct pictures that look alike, the most alike first.

    pictures : (M, 2) numbers of distinct pictures, the lower one first; see ``Audit.picture_of``.
    correlation : (M,) float32 in [-1, 1], of the thumbnails, one of them mirrored if need be.
    mirrored : (M,) bool, one is more like the other's mirror image.
    """

    pictures: IndexArray
    correlation: FloatArray
    mirrored: BoolArray

    def __len__(self) -> int:
        return len(self.pictures)


@dataclass(frozen=True, slots=True)
class Overlap:
    """What of one split lies in another; from b to a the numbers differ, so both are reported.

    exact : places in ``table.rows`` of the rows of ``split`` whose very pixels are in ``other``.
    near : the same for a near duplicate, which is a different picture; a row may be in both. None
        where they were too many to be counted.
    copies : the same for an augmented copy, its original or another copy of that.
    sequences : recordings with frames in both splits, as "subject/sequence".
    subjects : people who are in both splits.
    """

    split: str
    other: str
    exact: tuple[int, ...]
    near: tuple[int, ...] | None
    copies: tuple[int, ...]
    sequences: tuple[str, ...]
    subjects: tuple[str, ...]

    @property
    def either(self) -> tuple[int, ...] | None:
        """Rows of ``split`` with an exact or a near duplicate in ``other``; None without near."""
        return None if self.near is None else tuple(sorted({*self.exact, *self.near}))


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """What was found in a table.

    near : the correlation from which two pictures count as near duplicates.
    picture_of : (N,) which distinct picture each row shows, numbered in order of appearance.
    cluster_of : (N,) equal for rows joined by a chain of exact and near duplicates; fold by it
        to keep them together.
    groups : the rows of each picture that occurs more than once; conflicting : those of them
        whose rows disagree on the label (``unknown`` is a label here).
    pairs : near duplicates; conflicting_pairs : (M,) bool, their rows disagree on the label.
    counted : False where they were more than MAX_PAIRS (frames of one film, say): ``pairs`` is
        empty then, and ``cluster_of`` joins exact duplicates only.
    flat : distinct pictures with too little contrast to be compared.
    overlaps : one for every ordered pair of splits.
    """

    table: Table
    near: float
    picture_of: IndexArray
    cluster_of: IndexArray
    groups: tuple[tuple[int, ...], ...]
    conflicting: tuple[tuple[int, ...], ...]
    pairs: NearPairs
    conflicting_pairs: BoolArray
    counted: bool
    flat: int
    overlaps: tuple[Overlap, ...]

    def overlap(self, split: str, other: str) -> Overlap:
        """What of ``split`` lies in ``other``; raises DataError where a split is not there."""
        for overlap in self.overlaps:
            if (overlap.split, overlap.other) == (split, other):
                return overlap
        raise DataError(f"{self.table.name} has the splits {self.table.splits}, not these two")

    def as_dict(self, examples: int = 20) -> dict[str, Any]:
        """Every count in full and at most ``examples`` of each finding, ready for JSON."""
        return {
            "name": self.table.name,
            "rows": len(self.table),
            "pictures": int(self.picture_of.max()) + 1,
            "exact": {
                "pictures": len(self.groups),
                "rows": sum(map(len, self.groups)),
                "conflicting": len(self.conflicting),
                "examples": [self._group(rows, examples) for rows in self.groups[:examples]],
                "conflicting_examples": [
                    self._group(rows, examples) for rows in self.conflicting[:examples]
                ],
            },
            "near": {
                "threshold": self.near,
                "flat": self.flat,
                "counted": self.counted,
                **(self._near(examples) if self.counted else {}),
            },
            "across": [self._overlap(overlap, examples) for overlap in self.overlaps],
        }

    def _group(self, places: Sequence[int], examples: int) -> dict[str, Any]:
        rows = [self.table.rows[place] for place in places[:examples]]
        return {"rows": len(places), "examples": [_named(row) for row in rows]}

    def _near(self, examples: int) -> dict[str, Any]:
        sizes = np.bincount(self.cluster_of[_first_rows(self.picture_of)])
        disputed = np.flatnonzero(self.conflicting_pairs)
        return {
            "pairs": len(self.pairs),
            "mirrored": int(self.pairs.mirrored.sum()),
            "conflicting": len(disputed),
            "clusters": int((sizes > 1).sum()),
            "pictures_in_clusters": int(sizes[sizes > 1].sum()),
            "largest_cluster": int(sizes.max()) if sizes.max() > 1 else 0,
            "examples": self._pairs(np.arange(len(self.pairs))[:examples]),
            "conflicting_examples": self._pairs(disputed[:examples]),
        }

    def _pairs(self, which: IndexArray) -> list[dict[str, Any]]:
        """Pairs by their place, each picture named by its first row."""
        first = _first_rows(self.picture_of)
        return [
            {
                "correlation": round(float(self.pairs.correlation[i]), 4),
                "mirrored": bool(self.pairs.mirrored[i]),
                "examples": [_named(self.table.rows[first[p]]) for p in self.pairs.pictures[i]],
            }
            for i in which
        ]

    def _overlap(self, overlap: Overlap, examples: int) -> dict[str, Any]:
        def ids(places: Sequence[int]) -> list[str]:
            return [self.table.rows[place].id for place in places[:examples]]

        return {
            "split": overlap.split,
            "other": overlap.other,
            "exact": len(overlap.exact),
            "near": None if overlap.near is None else len(overlap.near),
            "either": None if overlap.either is None else len(overlap.either),
            "copies": len(overlap.copies),
            "sequences": len(overlap.sequences),
            "subjects": len(overlap.subjects),
            "exact_examples": ids(overlap.exact),
            "near_examples": ids(overlap.near or ()),
            "copy_examples": ids(overlap.copies),
            "sequence_examples": list(overlap.sequences[:examples]),
            "subject_examples": list(overlap.subjects[:examples]),
        }


def audit(table: Table, near: float = NEAR) -> Audit:
    """Every repeat, near repeat and leak in a table.

    ``near`` is the correlation from which two pictures count as near duplicates; the module's
    docstring says why 0.95 and where that number fails. FER2013's 35,887 rows take about ten
    seconds on one core: 6e8 pairs of thumbnails, compared block by block. Where more than
    MAX_PAIRS of them are alike, near duplicates are not counted, and everything else is.
    """
    if not 0.5 <= near <= 1.0:
        raise ConfigError(f"near is a correlation between 0.5 and 1, got {near}")
    if not len(table):
        raise DataError(f"{table.name} holds no pictures")
    picture_of, thumbs = _distinct(table)
    comparable = np.flatnonzero(thumbs.std(axis=1) >= FLAT)
    pairs, counted = _near_pairs(thumbs[comparable], comparable, near)
    groups = _groups(picture_of)
    label_of = [row.label for row in table.rows]
    labels = _occurrence(picture_of, label_of)
    first, second = pairs.pictures.T
    return Audit(
        table=table,
        near=near,
        picture_of=picture_of,
        cluster_of=_clusters(pairs.pictures, len(thumbs))[picture_of],
        groups=groups,
        conflicting=tuple(g for g in groups if len({label_of[place] for place in g}) > 1),
        pairs=pairs,
        conflicting_pairs=(labels[first] | labels[second]).sum(axis=1) > 1,
        counted=counted,
        flat=len(thumbs) - len(comparable),
        overlaps=tuple(_overlaps(table, picture_of, pairs.pictures if counted else None)),
    )


def _named(row: Row) -> dict[str, str]:
    return {"id": row.id, "split": row.split, "label": row.label}


def _first_rows(picture_of: IndexArray) -> IndexArray:
    """The place of each distinct picture's first row, (P,)."""
    return np.unique(picture_of, return_index=True)[1]


def _thumbnail(picture: ImageArray) -> FloatArray:
    """(256,) float32 gray levels; squashed to a square, so that a stretched copy is found too."""
    gray = cv2.cvtColor(picture.astype(np.float32), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (THUMB, THUMB), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32).ravel()


def _distinct(table: Table) -> tuple[IndexArray, FloatArray]:
    """Which distinct picture each row shows (N,), and those pictures' thumbnails (P, 256)."""
    number: dict[str, int] = {}
    picture_of, thumbs = [], []
    for picture in table.pictures():
        pixels = pixel_hash(picture)
        if pixels not in number:
            number[pixels] = len(number)
            thumbs.append(_thumbnail(picture))
        picture_of.append(number[pixels])
    return np.array(picture_of, np.intp), np.stack(thumbs)


def _groups(picture_of: IndexArray) -> tuple[tuple[int, ...], ...]:
    """The rows of each picture that occurs more than once."""
    order = np.argsort(picture_of, kind="stable")
    rows = np.split(order, np.cumsum(np.bincount(picture_of))[:-1])
    return tuple(tuple(int(place) for place in same) for same in rows if len(same) > 1)


def _occurrence(picture_of: IndexArray, values: Sequence[Hashable]) -> BoolArray:
    """Which values each picture's rows have, (P, K), in order of the values' first appearance."""
    column = {value: k for k, value in enumerate(dict.fromkeys(values))}
    occurs = np.zeros((int(picture_of.max()) + 1, len(column)), bool)
    occurs[picture_of, [column[value] for value in values]] = True
    return occurs


def _halves(thumbs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The mirror-symmetric and the antisymmetric part of each thumbnail, (P, 128) both.

    With thumbnails at zero mean and unit norm, x = (s, a) and its mirror image is (s, -a). So
    s.s' + a.a' is the correlation, s.s' - a.a' the one with the mirror image, and both cost what
    one would.
    """
    centred = thumbs - thumbs.mean(axis=1, keepdims=True)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    grid = unit.reshape(-1, THUMB, THUMB)
    left, right = grid[:, :, : THUMB // 2], grid[:, :, : THUMB // 2 - 1 : -1]
    root_half = np.float32(0.5**0.5)
    symmetric, antisymmetric = (left + right) * root_half, (left - right) * root_half
    half = THUMB * THUMB // 2
    return symmetric.reshape(-1, half), antisymmetric.reshape(-1, half)


def _near_pairs(thumbs: FloatArray, numbers: IndexArray, near: float) -> tuple[NearPairs, bool]:
    """Pairs of thumbnails that correlate at ``near`` or more; ``numbers`` names the pictures.

    No pairs and False where there are more than MAX_PAIRS.
    """
    nothing = np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.float32), np.empty(0, bool)
    found, total = [nothing], 0
    for block in _alike(*_halves(thumbs), near):
        found.append(block)
        total += len(block[0])
        if total > MAX_PAIRS:
            found = [nothing]
            break
    first, second, correlation, mirrored = (
        np.concatenate(parts) for parts in zip(*found, strict=True)
    )
    order = np.argsort(-correlation, kind="stable")
    pictures = np.stack([numbers[first], numbers[second]], axis=1)
    pairs = NearPairs(pictures[order], correlation[order], mirrored[order])
    return pairs, total <= MAX_PAIRS


def _alike(
    symmetric: FloatArray, antisymmetric: FloatArray, near: float
) -> Iterator[tuple[IndexArray, IndexArray, FloatArray, BoolArray]]:
    """Pairs i < j, their correlation and whether it is the mirror image's, block by block.

    A block is 2048 x 2048 correlations, 16 MB, whatever the size of the table.
    """
    for i in range(0, len(symmetric), _BLOCK):
        rows = slice(i, i + _BLOCK)
        for j in range(i, len(symmetric), _BLOCK):
            columns = slice(j, j + _BLOCK)
            direct = antisymmetric[rows] @ antisymmetric[columns].T
            best = symmetric[rows] @ symmetric[columns].T + np.abs(direct)
            a, b = np.nonzero(best >= near)
            a, b = a[a + i < b + j], b[a + i < b + j]
            yield a + i, b + j, best[a, b], direct[a, b] < 0


def _clusters(pairs: IndexArray, pictures: int) -> IndexArray:
    """The number of the cluster each picture is in, (P,): chains of pairs end in one cluster."""
    root = np.arange(pictures)
    while True:
        lowest = root.copy()
        for here, there in (pairs.T, pairs.T[::-1]):
            np.minimum.at(lowest, here, root[there])
        lowest = lowest[lowest]
        if np.array_equal(lowest, root):
            return np.asarray(np.unique(root, return_inverse=True)[1], np.intp)
        root = lowest


def _overlaps(table: Table, picture_of: IndexArray, pairs: IndexArray | None) -> Iterator[Overlap]:
    split_of = np.array([row.split for row in table.rows])
    exact_in = _occurrence(picture_of, split_of.tolist())  # (P, S)
    near_in = np.zeros_like(exact_in)
    for here, there in (pairs.T, pairs.T[::-1]) if pairs is not None else ():
        for column in range(near_in.shape[1]):
            near_in[here[exact_in[there, column]], column] = True
    # Ids are unique, so rows that share an original are copies of one another.
    original = [row.copy_of or row.id for row in table.rows]
    originals = _held(table, original)
    recordings = _held(table, [_recording(row) for row in table.rows])
    people = _held(table, [row.subject for row in table.rows])
    for split, other in permutations(table.splits, 2):
        rows, column = np.flatnonzero(split_of == split), table.splits.index(other)
        near = rows[near_in[picture_of[rows], column]]
        yield Overlap(
            split,
            other,
            exact=tuple(rows[exact_in[picture_of[rows], column]].tolist()),
            near=None if pairs is None else tuple(near.tolist()),
            copies=tuple(place for place in rows.tolist() if original[place] in originals[other]),
            sequences=tuple(sorted(recordings[split] & recordings[other])),
            subjects=tuple(sorted(people[split] & people[other])),
        )


def _held(table: Table, values: Sequence[str | None]) -> dict[str, set[str]]:
    """The values that occur in each split."""
    held: dict[str, set[str]] = {split: set() for split in table.splits}
    for row, value in zip(table.rows, values, strict=True):
        if value is not None:
            held[row.split].add(value)
    return held


def _recording(row: Row) -> str | None:
    """A recording's own name: two people's first recordings are two."""
    return None if row.sequence is None else f"{row.subject or ''}/{row.sequence}"
