"""Sides hold what they should, together what belongs together, and the same for the same seed."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mien.app.verbs import main
from mien.data import splits, table
from mien.data.audit import audit
from mien.data.copies import Copies, copies
from mien.data.occlude import Occlude, occluded
from mien.data.splits import SPLITS, Split, split
from mien.data.table import Row, Table, png
from mien.errors import ConfigError, DataError, UnknownName
from mien.labels import label_set
from mien.media.image import read_bytes
from mien.training import export, recipes, train
from mien.training.arrange import arrange, read

ROOT = Path(__file__).parents[2]
GRAY = cv2.imencode(".png", np.arange(64, dtype=np.uint8).reshape(8, 8) * 3)[1].tobytes()
COLOR = cv2.imencode(
    ".png", np.random.default_rng(0).integers(60, 200, (32, 24, 3)).astype(np.uint8)
)[1].tobytes()


def made(labels: list[str], people: int = 0, clips: int = 0, image: bytes = GRAY) -> Table:
    """A row per label; person i mod ``people``, recording i mod ``clips`` of that person."""
    rows = [
        Row(
            f"made/{i}",
            "all",
            label,
            image,
            8,
            8,
            subject=f"p{i % people}" if people else None,
            sequence=f"c{i // max(1, people) % clips}" if clips else None,
        )
        for i, label in enumerate(labels)
    ]
    return Table("made", rows)


def distinct(labels: list[str], people: int = 0, clips: int = 0) -> Table:
    """The same rows, each with a picture of its own."""
    plain = made(labels, people, clips)
    random = np.random.default_rng(3)
    pictures = [random.integers(0, 256, (12, 12), np.uint8) for _ in plain.rows]
    rows = [replace(r, image=png(p)) for r, p in zip(plain.rows, pictures, strict=True)]
    return replace(plain, rows=rows)


def counts(of: Table) -> dict[str, int]:
    return dict(Counter(row.split for row in of.rows))


def sides_of(of: Table, key: str) -> dict[str, set[str]]:
    """On which sides each person (or recording) is."""
    found: dict[str, set[str]] = {}
    for row in of.rows:
        found.setdefault(f"{row.subject} {getattr(row, key)}", set()).add(row.split)
    return found


# -- shares -------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", SPLITS)
def test_shares_are_met_and_the_seed_decides(by: str) -> None:
    whole = distinct(["fear", "anger", "fear", "sadness"] * 100, people=40, clips=5)
    once = split(whole, Split(by, 0.7, 0.1, 0.2))
    again, other = split(whole, Split(by, 0.7, 0.1, 0.2)), split(whole, Split(by, seed=2))
    n = counts(once)
    assert [n[side] for side in ("train", "select", "test")] == pytest.approx([280, 40, 80], abs=8)
    assert once.rows == again.rows != other.rows
    assert [row.id for row in once.rows] == [row.id for row in whole.rows]
    assert once.notes["split"]["rows"] == n


def test_a_side_without_a_share_gets_nothing() -> None:
    for by in SPLITS:
        done = split(distinct(["fear", "anger"] * 20, 10, 2), Split(by, 0.75, 0.0, 0.25))
        assert set(counts(done)) == {"train", "test"}


def test_so_many_of_each_label_and_the_rest_tests() -> None:
    whole = made(["fear"] * 50 + ["anger"] * 40)
    done = split(whole, Split("stratified", each=(20, 5)))
    per_label = Counter((row.label, row.split) for row in done.rows)
    for label, rest in (("fear", 25), ("anger", 15)):
        assert [per_label[label, s] for s in ("train", "select", "test")] == [20, 5, rest]
    assert done.rows != split(whole, Split("stratified", each=(20, 5), seed=2)).rows
    with pytest.raises(DataError, match="has 40 rows of anger"):
        split(whole, Split("stratified", each=(30, 10)))


def test_so_many_of_each_label_as_whole_people_allow() -> None:
    whole = made(["fear", "anger"] * 100, people=50)
    done = split(whole, Split("subject", each=(40, 10)))
    n = counts(done)
    assert [n[side] for side in ("train", "select", "test")] == pytest.approx([80, 20, 100], abs=4)
    where: dict[str | None, set[str]] = {}
    for row in done.rows:
        where.setdefault(row.subject, set()).add(row.split)
    assert all(len(sides) == 1 for sides in where.values())
    with pytest.raises(DataError, match="leaves none of them to test"):
        split(whole, Split("subject", each=(90, 10)))


def test_well_known_people_are_held_out() -> None:
    few = made(["fear", "anger"] * 30, people=30)  # two pictures each, of one label
    many = [
        Row(f"many/{i}", "all", ("fear", "anger")[i % 2], GRAY, 8, 8, subject=f"known{i // 8}")
        for i in range(24)
    ]
    whole = replace(few, rows=[*few.rows, *many])
    done = split(whole, Split("subject", 0.8, 0.2, 0.0, hold_out=4))
    assert {row.subject for row in done.rows if row.split == "test"} == {
        "known0",
        "known1",
        "known2",
    }
    assert counts(done)["train"] == pytest.approx(48, abs=2)
    with pytest.raises(DataError, match="nobody in made has 5 pictures of each of anger, fear"):
        split(whole, Split("subject", 0.8, 0.2, 0.0, hold_out=5))


def test_copies_are_no_more_pictures_of_a_person() -> None:
    labels = label_set("mien8")
    fear, anger = (replace(labels, labels=(x,), native=(x,)) for x in ("fear", "anger"))
    copied = copies(made(["fear"], people=1), Copies(3))
    assert splits.well_known(copied, fear, 1) == ["p0"]
    for names, least in ((fear, 2), (anger, 1)):
        with pytest.raises(DataError, match="nobody in made"):
            splits.well_known(copied, names, least)


def test_pictures_with_their_copies_are_sequences() -> None:
    """A still has no recording, and its copies stand for one."""
    copied = copies(distinct(["fear", "anger"] * 6, people=1), Copies(4, noise=5))
    done = split(copied, Split("sequence", folds=3))
    where: dict[str, set[str]] = {}
    for row in done.rows:
        where.setdefault(row.copy_of or row.id, set()).add(row.split)
    assert all(len(sides) == 1 for sides in where.values())


def test_stratified_keeps_the_shares_of_every_label() -> None:
    done = split(made(["fear"] * 200 + ["anger"] * 50 + ["disgust"] * 10), Split("stratified"))
    per_label = Counter((row.label, row.split) for row in done.rows)
    assert [per_label["fear", s] for s in ("train", "select", "test")] == [160, 20, 20]
    assert [per_label["anger", s] for s in ("train", "select", "test")] == [40, 5, 5]
    assert [per_label["disgust", s] for s in ("train", "select", "test")] == [8, 1, 1]


def test_ten_thousand_to_one() -> None:
    """A lone picture trains, two train and test, three are on every side; the notes say so."""
    labels = ["happiness"] * 10_000 + ["contempt"] + ["disgust"] * 2 + ["fear"] * 3
    done = split(made(labels), Split("stratified"))
    where = {label: {r.split for r in done.rows if r.label == label} for label in set(labels)}
    assert where["contempt"] == {"train"}
    assert where["disgust"] == {"train", "test"}
    assert where["fear"] == {"train", "select", "test"}
    assert done.notes["split"]["labels_missing"] == {
        "select": ["contempt", "disgust"],
        "test": ["contempt"],
    }


# -- what a split may say --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"by": "people"}, "no split called 'people'"),
        ({"by": "stratified", "each": (5,)}, "split.each is two numbers"),
        ({"by": "stratified", "each": (5, 5, 5)}, "split.each is two numbers"),
        ({"by": "stratified", "each": (5, 0)}, "split.each is two numbers"),
        ({"by": "random", "each": (5, 5)}, "split.each is two numbers"),
        ({"by": "stratified", "hold_out": 2}, "split.hold_out goes with"),
        ({"by": "subject", "hold_out": 2, "each": (5, 5)}, "split.hold_out goes with"),
        ({"by": "subject", "hold_out": 2, "folds": 5}, "split.hold_out goes with"),
        ({"by": "random", "train": 0.8, "select": 0.1, "test": 0.2}, "shares summing to 1"),
        ({"by": "random", "train": 0.8, "select": 0.1, "test": 0.10001}, "shares summing to 1"),
        ({"by": "random", "train": 0.0, "select": 0.5, "test": 0.5}, "shares summing to 1"),
        ({"by": "random", "train": 1.1, "select": -0.1, "test": 0.0}, "at least 0"),
        ({"by": "random", "train": 1.1, "select": 0.0, "test": -0.1}, "at least 0"),
        ({"by": "random", "folds": 2}, "at least 3 .* got 2, 0"),
        ({"by": "random", "folds": 3, "fold": 3}, "below it, got 3, 3"),
        ({"by": "random", "folds": 3, "fold": -1}, "got 3, -1"),
    ],
)
def test_what_no_split_can_be(words: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Split(**words)


def test_what_a_split_may_just_be() -> None:
    Split("stratified", each=(1, 1))
    Split("subject", each=(1, 1))
    Split("subject", hold_out=1)
    Split("random", folds=3, fold=2)
    Split("random", 0.8, 0.1, 0.1 + 5e-7)
    Split("random", 1.0, 0.0, 0.0)
    plain = Split("random")
    assert (plain.train, plain.select, plain.test, plain.seed) == (0.8, 0.1, 0.1, 1)
    assert (plain.folds, plain.fold, plain.each, plain.hold_out) == (0, 0, (), 0)


@pytest.mark.parametrize(
    ("n", "shares", "sizes"),
    [
        (10, (0.8, 0.1, 0.1), (8, 1, 1)),
        (11, (0.8, 0.1, 0.1), (9, 1, 1)),  # 8.8, 1.1 and 1.1
        (15, (0.8, 0.1, 0.1), (12, 2, 1)),  # 1.5 twice: the first of them
        (7, (0.5, 0.5, 0.0), (4, 3, 0)),
        (5, (0.9, 0.05, 0.05), (3, 1, 1)),
        (3, (0.8, 0.1, 0.1), (1, 1, 1)),
        (2, (0.8, 0.1, 0.1), (1, 0, 1)),  # a test matters more than a choice of epochs
        (1, (0.8, 0.1, 0.1), (1, 0, 0)),
        (0, (0.8, 0.1, 0.1), (0, 0, 0)),
        (30, (0.1, 0.2, 0.7), (3, 6, 21)),  # .1 * 30 is a little more than 3
        (100, (0.29, 0.57, 0.14), (29, 57, 14)),  # and .29 * 100 a little less than 29
    ],
)
def test_shares_of_whole_rows(n: int, shares: tuple[float, ...], sizes: tuple[int, ...]) -> None:
    assert tuple(splits._sizes(n, np.array(shares)).tolist()) == sizes


def test_what_is_noted_of_a_split() -> None:
    whole = made(["fear", "anger"] * 30 + ["disgust"] * 2, people=10)
    note = split(whole, Split("subject", 0.6, 0.2, 0.2, seed=5)).notes["split"]
    sides, missing = note.pop("rows"), note.pop("labels_missing")
    assert sum(sides.values()) == 62
    assert [*sides] == ["train", "select", "test"]
    assert len(missing) >= 1
    assert all(labels == ["disgust"] for labels in missing.values())
    assert note == {
        "by": "subject",
        "train": 0.6,
        "select": 0.2,
        "test": 0.2,
        "folds": 0,
        "fold": 0,
        "seed": 5,
        "each": (),
        "hold_out": 0,
        "groups": 10,
    }
    kept = split(replace(whole, notes={"licence": "none"}), Split("random")).notes
    assert kept["licence"] == "none"


@pytest.mark.parametrize(("fold", "selects"), [(0, 1), (2, 3), (3, 0)])
def test_the_fold_after_the_one_that_tests_selects(fold: int, selects: int) -> None:
    whole = made(["fear", "anger"] * 40)
    tested = {
        k: {
            r.id
            for r in split(whole, Split("stratified", folds=4, fold=k)).rows
            if r.split == "test"
        }
        for k in range(4)
    }
    done = split(whole, Split("stratified", folds=4, fold=fold))
    assert {r.id for r in done.rows if r.split == "select"} == tested[selects]
    assert {r.id for r in done.rows if r.split == "train"} == set.union(
        *(ids for k, ids in tested.items() if k not in (fold, selects))
    )
    assert tested != {
        k: {
            r.id
            for r in split(whole, Split("stratified", folds=4, fold=k, seed=2)).rows
            if r.split == "test"
        }
        for k in range(4)
    }


# -- people and pictures ---------------------------------------------------------------------------


def test_one_persons_rows() -> None:
    whole = made(["fear"] * 9, people=3)
    assert [row.id for row in splits.of_subject(whole, "p1").rows] == ["made/1", "made/4", "made/7"]
    with pytest.raises(DataError, match="nobody in made is called 'p3'"):
        splits.of_subject(whole, "p3")


def test_who_is_well_known() -> None:
    """So many pictures of each label, not of some; by name, copies and nobodies not counted."""
    labels = label_set("mien8")
    both = replace(labels, labels=("fear", "anger"), native=("fear", "anger"))
    rows = [
        Row(f"{who}/{label}/{i}", "all", label, GRAY, 8, 8, subject=who)
        for who, n in (("z", (2, 2)), ("a", (3, 2)), ("m", (2, 1)), (None, (5, 5)))
        for label, count in zip(("fear", "anger"), n, strict=True)
        for i in range(count)
    ]
    whole = Table("made", rows)
    assert splits.well_known(whole, both, 2) == ["a", "z"]
    assert splits.well_known(whole, both, 1) == ["a", "m", "z"]
    with pytest.raises(DataError, match="nobody in made has 3 pictures of each of fear, anger"):
        splits.well_known(whole, both, 3)


def test_the_uncut_pictures_of_a_cut_table() -> None:
    whole = distinct(["fear", "anger", "fear", "sadness"])
    cut = replace(
        whole, name="cut", rows=[replace(r, split="x", image=GRAY) for r in whole.rows[2::-2]]
    )
    other = replace(whole.rows[0], id="elsewhere")
    back = splits.uncut(replace(cut, rows=[*cut.rows, other]), whole)
    assert back.name == "made"
    assert [(r.id, r.split, r.image) for r in back.rows] == [
        (r.id, "x", r.image) for r in whole.rows[2::-2]
    ]


def test_duplicates_stay_together() -> None:
    """Equal pictures, pictures that are nearly equal, and copies of any of them."""
    whole = distinct(["fear", "anger"] * 60)
    rows = list(whole.rows)
    for i in range(0, 60, 3):
        rows[i + 1] = replace(rows[i + 1], image=rows[i].image)
        rows[i + 2] = replace(rows[i + 2], copy_of=rows[i].id)
    done = split(replace(whole, rows=rows), Split("duplicates", 0.5, 0.25, 0.25))
    for i in range(0, 60, 3):
        assert len({row.split for row in done.rows[i : i + 3]}) == 1
    assert done.notes["split"]["groups"] == 20 + 60
    assert counts(done) == pytest.approx({"train": 60, "select": 30, "test": 30}, abs=3)
    again = split(replace(whole, rows=rows), Split("duplicates", 0.5, 0.25, 0.25, seed=2))
    assert again.rows != done.rows


def test_of_many_ways_to_deal_people_out_an_even_one_is_taken() -> None:
    """People of one to eight pictures, a third of a label each: sides within two rows of theirs."""
    rows = [
        Row(
            f"made/{p}/{i}",
            "all",
            ("fear", "anger", "joy")[(p + i) % 3],
            GRAY,
            8,
            8,
            subject=f"{p}",
        )
        for p in range(24)
        for i in range(1 + p % 8)
    ]
    for seed in range(6):
        done = split(Table("made", rows), Split("subject", 0.5, 0.25, 0.25, seed=seed))
        assert counts(done) == pytest.approx({"train": 54, "select": 27, "test": 27}, abs=2)
        for label in ("fear", "anger", "joy"):
            per = Counter(row.split for row in done.rows if row.label == label)
            assert per == pytest.approx({"train": 18, "select": 9, "test": 9}, abs=3)


def test_how_uneven_sides_are() -> None:
    """Labels missing on a side first, then Pearson's chi-square of the shares."""
    counts_of = np.array([[4.0, 0.0], [0.0, 4.0], [4.0, 4.0]])
    shares = np.array([0.5, 0.5])
    even = splits._unevenness(counts_of, shares, np.array([0, 0, 1]))
    assert even == (0, 0.0)
    missing, off = splits._unevenness(counts_of, shares, np.array([0, 1, 1]))
    assert missing == 1
    assert off == pytest.approx(2 * 0.5**2 / 0.5)


# -- whole people, whole recordings -------------------------------------------------------------


def test_by_subject_nobody_is_on_two_sides() -> None:
    done = split(made(["fear", "anger", "sadness"] * 50, people=11), Split("subject"))
    people = sides_of(done, "subject")
    assert len(people) == 11
    assert all(len(sides) == 1 for sides in people.values())
    assert set(done.splits) == {"train", "select", "test"}


def test_by_subject_large_and_small_people_fill_every_side() -> None:
    """Shares alone would give all four to training."""
    for people in (3, 4, 5):
        done = split(made(["fear"] * 60, people), Split("subject", 0.9, 0.05, 0.05))
        assert set(done.splits) == {"train", "select", "test"}


def test_by_subject_labels_go_to_every_side_where_they_can() -> None:
    """Only four of twenty people show disgust: they must not all be on one side."""
    rows = [
        Row(f"made/{person}/{k}", "all", label, GRAY, 8, 8, subject=f"p{person}")
        for person in range(20)
        for k, label in enumerate(["fear", "anger"] + ["disgust"] * (person < 4))
    ]
    for seed in range(5):
        done = split(Table("made", rows), Split("subject", 0.6, 0.2, 0.2, seed=seed))
        assert done.notes["split"]["labels_missing"] == {}


def test_rows_without_a_subject_stand_alone_but_copies_stay_with_theirs() -> None:
    partly = made(["fear"] * 40, people=4)
    partly = replace(
        partly, rows=[r if i % 2 else replace(r, subject=None) for i, r in enumerate(partly.rows)]
    )
    done = split(copies(partly, Copies(3, rotate_deg=5)), Split("subject"))
    side = {row.id: row.split for row in done.rows}
    assert all(row.split == side[row.copy_of] for row in done.rows if row.copy_of)
    assert done.notes["split"]["groups"] == 20 + 2


def test_by_sequence_recordings_stay_whole_and_people_need_not() -> None:
    done = split(made(["fear", "anger"] * 100, people=5, clips=8), Split("sequence"))
    recordings = sides_of(done, "sequence")
    assert len(recordings) == 40
    assert all(len(sides) == 1 for sides in recordings.values())
    assert any(len({s for r in done.rows if r.subject == p for s in [r.split]}) > 1 for p in ["p0"])


@pytest.mark.parametrize("by", ["subject", "sequence"])
def test_nobody_named(by: str) -> None:
    with pytest.raises(DataError, match=f"no row of made names its {by}.*'stratified'"):
        split(made(["fear"] * 30), Split(by))


# -- folds --------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", SPLITS)
def test_every_row_is_tested_in_one_fold_and_selects_in_another(by: str) -> None:
    whole = distinct(["fear", "anger", "sadness", "anger"] * 30, people=12, clips=3)
    tested: Counter[str] = Counter()
    selected: Counter[str] = Counter()
    for fold in range(5):
        done = split(whole, Split(by, folds=5, fold=fold))
        tested.update(row.id for row in done.rows if row.split == "test")
        selected.update(row.id for row in done.rows if row.split == "select")
        if by in ("subject", "sequence"):
            assert all(len(sides) == 1 for sides in sides_of(done, by).values())
        assert counts(done)["train"] == pytest.approx(72, abs=14)
    assert set(tested.values()) == set(selected.values()) == {1}
    assert len(tested) == len(selected) == len(whole)


def test_stratified_folds_with_a_label_of_one_picture() -> None:
    done = split(made(["fear"] * 50 + ["contempt"]), Split("stratified", folds=5, fold=2))
    assert len(done.notes["split"]["labels_missing"]) >= 1


def test_stratified_folds_where_every_label_is_rare() -> None:
    labels = [label for label in label_set("mien8").labels for _ in range(2)]
    assert set(split(made(labels), Split("stratified", folds=5)).splits) == {
        "train",
        "select",
        "test",
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Split("subject", folds=5), "made has 3 people and cannot fill 5 folds; fewer split.folds"),
        (Split("random", folds=50), "made has 30 rows and cannot fill 50 folds"),
    ],
)
def test_too_few_for_the_folds(settings: Split, message: str) -> None:
    with pytest.raises(DataError, match=message):
        split(made(["fear"] * 30, people=3), settings)


def test_too_few_for_the_sides() -> None:
    with pytest.raises(DataError, match=r"2 people and cannot fill 3 sides \(train, select, test"):
        split(made(["fear"] * 30, people=2), Split("subject"))
    with pytest.raises(DataError, match="made has 2 rows"):
        split(made(["fear"] * 2), Split("random"))
    with pytest.raises(DataError, match="by stratified leaves 'select' empty"):
        split(made(["fear", "anger", "sadness"]), Split("stratified"))


# -- copies -------------------------------------------------------------------------------------


def test_copies_follow_their_row_and_carry_all_but_the_pixels() -> None:
    (row,) = made(["fear"], people=1, clips=1, image=COLOR).rows
    row = replace(row, votes=(1.0, 2.0), landmarks=(0.0,) * 136, intensity=(0.5,))
    done = copies(Table("made", [row], ("fear", "anger")), Copies(2, 15, 10))
    assert [r.id for r in done.rows] == ["made/0", "made/0#1", "made/0#2"]
    assert done.rows[0] is row
    for copy in done.rows[1:]:
        assert copy == replace(row, id=copy.id, image=copy.image, copy_of="made/0", landmarks=None)
        assert read_bytes(copy.image, copy.id).shape == read_bytes(row.image, row.id).shape
    assert len({r.image for r in done.rows}) == 3
    assert done.notes["copies"]["of"] == 1


def test_what_a_copy_is_does_not_depend_on_the_others() -> None:
    whole = made(["fear"] * 6, image=COLOR)
    reverse = replace(whole, rows=whole.rows[::-1])
    by_id = {row.id: row.image for row in copies(whole, Copies(2, 15, 10, 0.5)).rows}
    assert by_id == {row.id: row.image for row in copies(reverse, Copies(2, 15, 10, 0.5)).rows}
    assert by_id != {row.id: row.image for row in copies(whole, Copies(2, 15, 10, 0.5, 9)).rows}


def test_a_copy_is_turned_as_far_as_said_with_its_border_repeated() -> None:
    """A dark disc on gray, off the centre: where it went says by how much the picture turned."""
    disc = np.full((101, 101, 3), 200, np.uint8)
    cv2.circle(disc, (85, 50), 6, (20, 20, 20), -1)
    whole = made(["fear"] * 200, image=cv2.imencode(".png", disc)[1].tobytes())
    angles = []
    for row in copies(whole, Copies(1, rotate_deg=20)).rows[1::2]:
        gray = 200.0 - read_bytes(row.image, row.id)[:, :, 0]
        assert gray[[0, -1]].max() == 0  # no black wedges where the turn left nothing
        y, x = (np.average(axis, weights=gray) for axis in np.mgrid[:101, :101])
        angles.append(np.degrees(np.arctan2(50 - y, x - 50)))
    assert -20.5 < min(angles) < -17
    assert 17 < max(angles) < 20.5
    assert abs(np.mean(angles)) < 3


def test_a_copy_is_turned_by_just_as_much_to_either_side_or_not_at_all() -> None:
    disc = np.full((101, 101, 3), 200, np.uint8)
    cv2.circle(disc, (85, 50), 6, (20, 20, 20), -1)
    whole = made(["fear"] * 90, image=cv2.imencode(".png", disc)[1].tobytes())
    angles = []
    for picture in list(copies(whole, Copies(1, turn_deg=15)).pictures())[1::2]:
        gray = 200.0 - picture[:, :, 0]
        y, x = (np.average(axis, weights=gray) for axis in np.mgrid[:101, :101])
        angles.append(round(float(np.degrees(np.arctan2(50 - y, x - 50))), 0))
    assert {*angles} == {-15, 0, 15}
    assert min(angles.count(angle) for angle in {*angles}) > 15
    with pytest.raises(ConfigError, match="leave one of them out"):
        Copies(1, rotate_deg=15, turn_deg=15)


def test_noise_and_colour() -> None:
    flat = np.full((64, 64, 3), (100, 130, 160), np.uint8)
    whole = made(["fear"] * 100, image=cv2.imencode(".png", flat)[1].tobytes())
    noisy = list(copies(whole, Copies(1, noise=20)).pictures())[1::2]
    deviations = [float((p - p.mean((0, 1))).std()) for p in noisy]
    assert max(deviations) == pytest.approx(20, abs=1)
    assert np.mean(deviations) == pytest.approx(10, abs=2)
    gray = [(p == p[:, :, :1]).all() for p in copies(whole, Copies(1, monochrome=0.3)).pictures()]
    assert 20 <= sum(gray) <= 40
    every = list(copies(whole, Copies(1, monochrome=1, noise=20)).pictures())
    assert all((p == p[:, :, :1]).all() for p in every)  # those copied, too


def test_a_gray_picture_stays_gray_in_noise() -> None:
    (_, copy) = copies(made(["fear"]), Copies(1, noise=20)).pictures()
    assert (copy == copy[:, :, :1]).all()


def test_copies_of_copies_are_refused() -> None:
    with pytest.raises(DataError, match="augmented copies already"):
        copies(copies(made(["fear"]), Copies(1)), Copies(1))


# -- recipes ------------------------------------------------------------------------------------


def recipe(**sections: dict[str, object]) -> recipes.AnyRecipe:
    data = {"label_set": "jaffe", "train": "train", "select": "select", "test": "test"}
    values = {"data": data, "model": {"name": "resnet10"}, "augment": {}, "train": {"epochs": 1}}
    return recipes.from_values({**values, **sections})


def test_a_recipe_without_either_leaves_the_table_alone() -> None:
    whole = made(["fear"] * 9)
    assert arrange(recipe(), whole) is whole
    assert arrange(recipes.read(ROOT / "recipes" / "landmarks68.toml"), whole) is whole


def test_copies_come_before_the_split() -> None:
    done = arrange(recipe(copies={"count": 2}, split={"by": "random"}), made(["fear"] * 100))
    assert counts(done) == {"train": 240, "select": 30, "test": 30}


def test_copies_are_made_of_pictures_scaled_first() -> None:
    """Else a small network's copies cost what the camera's full pictures cost."""
    rows = copies(made(["anger", "fear"]), Copies(count=1, size=20)).rows
    assert len(rows) == 4
    assert [(row.width, row.height) for row in rows] == [(20, 20)] * 4
    assert all(read_bytes(row.image, row.id).shape == (20, 20, 3) for row in rows)


def test_a_file_gives_what_its_table_does_and_copies_are_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.parquet"
    table.write(made(["anger", "fear"] * 6, people=4), path)
    wanted = recipe(copies={"count": 2}, split={"by": "subject", "folds": 3})
    arranged = arrange(wanted, table.read(path))
    assert list(read(wanted, path).rows) == list(arranged.rows)

    def never(*args: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr("mien.training.arrange.copies", never)
    other = recipe(copies={"count": 2}, split={"by": "subject", "folds": 3, "fold": 1})
    assert [row.split for row in read(other, path).rows] != [r.split for r in arranged.rows]


def test_jaffe_as_papers_do_and_by_subject(jaffe_table: Table) -> None:
    """Dealt by row, most of the test's pictures have a copy in training; by subject none has."""
    some = jaffe_table.keep(i % 2 == 0 for i in range(len(jaffe_table)))
    made_copies = copies(some, Copies(2, rotate_deg=15, noise=10))
    paper = audit(split(made_copies, Split("random"))).overlap("test", "train")
    assert len(paper.subjects) == 10
    assert len(paper.copies) / 32 > 0.9
    clean = audit(split(made_copies, Split("subject"))).overlap("test", "train")
    assert (clean.subjects, clean.copies, clean.exact) == ((), (), ())


class Silent:
    def step(self, epoch: int, step: int, steps: int, loss: float) -> None: ...
    def epoch(self, record: dict[str, object]) -> None: ...


def test_training_and_export_see_the_same_sides(jaffe_table: Table, tmp_path: Path) -> None:
    """The recipe travels with the run, so the raw table is all that either needs."""
    some = jaffe_table.keep(i % 3 == 0 for i in range(len(jaffe_table)))
    raw, run = tmp_path / "raw.parquet", tmp_path / "run"
    table.write(some, raw)
    what = recipe(
        copies={"count": 1, "noise": 4.0},
        split={"by": "subject"},
        train={"epochs": 1, "batch": 16, "precision": "32-true"},
    )
    train.train(what, raw, run, Silent(), "cpu")
    counted = json.loads((run / "environment.json").read_text())["counts"]
    rows = arrange(what, some).notes["split"]["rows"]
    assert (counted["train_rows"], counted["select_rows"]) == (rows["train"], rows["select"])
    meta = export.export(run, raw, tmp_path / "mine.onnx")
    assert meta["card"]["parity"]["faces"] == rows["select"]


# -- the command line ---------------------------------------------------------------------------


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["mien", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_data_split(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, out = tmp_path / "whole.parquet", tmp_path / "split.parquet"
    table.write(made(["fear", "anger"] * 50, people=10), whole)
    words = ["data", "split", str(whole), "--out", str(out)]
    assert run(monkeypatch, *words, "--by", "subject", "--folds", "5", "--fold", "1") == 0
    assert "100 pictures: train 60, select 20, test 20" in capsys.readouterr().err
    done = table.read(out)
    assert done.rows == split(table.read(whole), Split("subject", folds=5, fold=1)).rows
    assert done.notes["split"]["by"] == "subject"

    shares = ["--train", "0.5", "--select", "0.25", "--test", "0.25", "--seed", "3"]
    assert run(monkeypatch, *words, "--by", "random", *shares) == 0
    assert counts(table.read(out)) == {"train": 50, "select": 25, "test": 25}
    assert run(monkeypatch, *words, "--by", "person") == 2
    assert "no split called 'person'" in capsys.readouterr().err
    assert run(monkeypatch, *words, "--by", "sequence") == 2
    assert "names its sequence" in capsys.readouterr().err


def test_an_unknown_way_to_split_is_named() -> None:
    with pytest.raises(UnknownName, match="did you mean subject"):
        Split("subjects")


# -- duplicates ---------------------------------------------------------------------------------


def test_by_duplicates_the_same_photo_is_on_one_side() -> None:
    """Sixty photos, each once more, brighter, as another person's; and copies of both."""
    once = distinct(["fear", "anger", "sadness"] * 20)
    rows = list(once.rows)
    for row, picture in zip(once.rows, once.pictures(), strict=True):
        brighter = np.asarray(picture // 2 + 100, np.uint8)
        rows.append(replace(row, id=f"again/{row.id}", image=png(brighter)))
    whole = copies(replace(once, rows=rows), Copies(1, noise=60.0))
    done = split(whole, Split("duplicates", 0.7, 0.1, 0.2))
    where: dict[str, set[str]] = {}
    for row in done.rows:
        where.setdefault((row.copy_of or row.id).removeprefix("again/"), set()).add(row.split)
    assert len(where) == 60
    assert all(len(sides) == 1 for sides in where.values())
    assert counts(done) == {"train": 168, "select": 24, "test": 48}
    assert done.notes["split"]["groups"] == 60
    shuffled = audit(split(replace(once, rows=rows), Split("random"))).overlap("test", "train")
    assert shuffled.near


def test_folds_by_duplicates_keep_them_together() -> None:
    once = distinct(["fear", "anger"] * 10)
    twice = replace(once, rows=[*once.rows, *(replace(r, id=f"b{r.id}") for r in once.rows)])
    for fold in range(3):
        done = split(twice, Split("duplicates", folds=3, fold=fold))
        assert [r.split for r in done.rows[:20]] == [r.split for r in done.rows[20:]]


# -- occlusion ----------------------------------------------------------------------------------


def _changed(before: Table, after: Table) -> list[bool]:
    return [a.image != b.image for a, b in zip(before.rows, after.rows, strict=True)]


def test_occlusion_depends_on_the_seed_and_the_row_alone() -> None:
    whole = split(distinct(["fear", "anger"] * 20), Split("random"))
    hidden = occluded(whole, Occlude("mouth"))
    assert all(_changed(whole, hidden))
    back = replace(whole, rows=whole.rows[::-1])
    assert occluded(back, Occlude("mouth")).rows == hidden.rows[::-1]
    assert all(_changed(hidden, occluded(whole, Occlude("mouth", seed=2))))
    before, after = next(whole.pictures()), next(hidden.pictures())
    rows = np.flatnonzero((before != after).any(axis=(1, 2)))
    assert set(rows) <= {8, 9}  # of twelve: 30 to 39 of 48, rounded
    assert hidden.notes["occlude"]["what"] == "mouth"


def test_a_side_alone_or_a_share_of_it_is_occluded() -> None:
    whole = split(distinct(["fear", "anger"] * 150), Split("random"))
    only = _changed(whole, occluded(whole, Occlude("eyes", sides=("test",))))
    assert only == [row.split == "test" for row in whole.rows]
    some = _changed(whole, occluded(whole, Occlude("eyes", share=0.3, sides=("train",))))
    assert 0.2 < np.mean(some) / 0.8 < 0.4


def test_landmarks_are_asked_for_where_they_are_needed() -> None:
    whole = made(["fear", "anger"])
    with pytest.raises(DataError, match="no landmarks to occlude its mask by"):
        occluded(whole, Occlude("mask", by="landmarks", sides=("all",)))


def test_occlusion_comes_after_the_split() -> None:
    """So equal pictures are found, and the sides are those without occlusion."""
    settings = {
        "data": {"label_set": "mien8", "train": "train", "select": "select", "test": "test"},
        "model": {"name": "resnet10"},
        "train": {"epochs": 1},
        "augment": {},
        "split": {"by": "duplicates"},
    }
    settings["data"]["drop_overlap"] = False  # type: ignore[index]
    twice = distinct(["fear", "anger"] * 20)
    twice = replace(twice, rows=[*twice.rows, *(replace(r, id=f"b{r.id}") for r in twice.rows)])
    plain = arrange(recipes.from_values(settings), twice)
    hidden = arrange(recipes.from_values({**settings, "occlude": {"what": "nose"}}), twice)
    assert [r.split for r in plain.rows] == [r.split for r in hidden.rows]
    assert all(_changed(plain, hidden))
