"""The audit finds what was planted, and nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import pytest

from mien.app import console
from mien.data import audit as audit_module
from mien.data.audit import NEAR, Audit, _clusters, _near_pairs, audit
from mien.data.table import Row, Table
from mien.errors import ConfigError, DataError
from mien.face import ImageArray


def blobs(seed: int, size: int = 48) -> ImageArray:
    """A smooth random picture: like a photo, hardly changed by a shift of one pixel."""
    coarse = np.random.default_rng(seed).integers(30, 226, (6, 6)).astype(np.float32)
    gray = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR)
    return gray.astype(np.uint8)[:, :, None].repeat(3, axis=2)


def brighter(picture: ImageArray) -> ImageArray:
    return (picture * 0.6 + 90).astype(np.uint8)


@dataclass
class Shelf:
    """Rows put down one by one; each call gives back the new row's place."""

    rows: list[Row] = field(default_factory=list)

    def put(
        self, picture: ImageArray, split: str, label: str = "fear", subject: str | None = None
    ) -> int:
        place = len(self.rows)
        png = cv2.imencode(".png", picture)[1].tobytes()
        height, width = picture.shape[:2]
        self.rows.append(Row(f"made/{place}", split, label, png, width, height, None, subject))
        return place

    def audit(self, near: float = NEAR) -> Audit:
        return audit(Table("made", self.rows), near)


@pytest.fixture
def shelf() -> Shelf:
    """Forty different pictures: train 0..29, test 30..39."""
    shelf = Shelf()
    for seed in range(40):
        shelf.put(blobs(seed), "train" if seed < 30 else "test")
    return shelf


def test_nothing_is_found_where_nothing_is(shelf: Shelf) -> None:
    found = shelf.audit()
    assert (found.groups, found.conflicting, len(found.pairs), found.flat) == ((), (), 0, 0)
    assert [(o.split, o.other, o.either) for o in found.overlaps] == [
        ("train", "test", ()),
        ("test", "train", ()),
    ]
    assert len(set(found.cluster_of.tolist())) == 40
    assert found.as_dict()["near"]["largest_cluster"] == 0


def test_exact_repeats(shelf: Shelf) -> None:
    agreed = shelf.put(blobs(0), "test")
    disputed = shelf.put(blobs(1), "test", "anger")
    thrice = [shelf.put(blobs(2), "train"), shelf.put(blobs(2), "train"), shelf.put(blobs(2), "a")]
    found = shelf.audit()

    assert found.groups == ((0, agreed), (1, disputed), (2, *thrice))
    assert found.conflicting == ((1, disputed),)
    assert len(found.pairs) == 0
    assert found.overlap("test", "train").exact == (agreed, disputed)
    assert found.overlap("train", "test").exact == (0, 1)
    assert found.overlap("train", "a").exact == (2, *thrice[:2])
    assert found.overlap("a", "train").exact == (thrice[2],)
    assert found.overlap("a", "test").exact == ()
    counts = found.as_dict()["exact"]
    assert (counts["pictures"], counts["rows"], counts["conflicting"]) == (3, 8, 1)


def test_the_same_pixels_in_another_file_are_the_same_picture(shelf: Shelf) -> None:
    picture = blobs(0)
    bmp = cv2.imencode(".bmp", picture)[1].tobytes()
    shelf.rows.append(Row("made/bmp", "test", "fear", bmp, 48, 48))
    assert shelf.audit().groups == ((0, 40),)


def test_near_repeats(shelf: Shelf) -> None:
    mirrored = shelf.put(blobs(3)[:, ::-1], "test")
    dimmed = shelf.put(brighter(blobs(4)), "test", "anger")
    shifted = shelf.put(np.roll(blobs(5), 1, axis=1), "test")
    larger = shelf.put(blobs(6, size=200), "train")
    wider = shelf.put(cv2.resize(blobs(7), (90, 48)).astype(np.uint8), "train")
    found = shelf.audit()

    planted = {(3, mirrored), (4, dimmed), (5, shifted), (6, larger), (7, wider)}
    assert {(int(a), int(b)) for a, b in found.pairs.pictures} == planted
    assert [int(b) for _, b in found.pairs.pictures[found.pairs.mirrored]] == [mirrored]
    assert [int(b) for _, b in found.pairs.pictures[found.conflicting_pairs]] == [dimmed]
    assert (np.diff(found.pairs.correlation) <= 0).all()
    assert found.groups == ()
    assert found.overlap("test", "train").near == (mirrored, dimmed, shifted)
    assert found.overlap("train", "test").near == (3, 4, 5)
    counts = found.as_dict()["near"]
    assert (counts["pairs"], counts["mirrored"], counts["conflicting"]) == (5, 1, 1)
    assert (counts["clusters"], counts["pictures_in_clusters"]) == (5, 10)
    assert counts["largest_cluster"] == 2


def test_a_row_can_have_both_kinds_of_double(shelf: Shelf) -> None:
    exact = shelf.put(blobs(0), "test")
    near = shelf.put(brighter(blobs(0)), "test")
    overlap = shelf.audit().overlap("test", "train")
    assert (overlap.exact, overlap.near, overlap.either) == ((exact,), (near,), (exact, near))
    back = shelf.audit().overlap("train", "test")
    assert (back.exact, back.near, back.either) == ((0,), (0,), (0,))


def test_a_label_disputed_within_one_picture_makes_its_pairs_disputed(shelf: Shelf) -> None:
    shelf.put(blobs(0), "train", "anger")
    shelf.put(brighter(blobs(0)), "train")
    assert shelf.audit().conflicting_pairs.tolist() == [True]


def test_clusters_hold_exact_and_near_doubles_together(shelf: Shelf) -> None:
    family = [0, shelf.put(blobs(0), "test"), shelf.put(brighter(blobs(0)), "test")]
    cluster_of = shelf.audit().cluster_of
    assert np.flatnonzero(cluster_of == cluster_of[0]).tolist() == family
    assert len(set(cluster_of.tolist())) == 40


def test_clusters_follow_chains() -> None:
    pairs = np.array([[1, 3], [0, 1], [4, 6]], np.intp)
    assert _clusters(pairs, 7).tolist() == [0, 0, 1, 0, 2, 3, 2]
    path = np.random.default_rng(0).permutation(1000)
    chain = np.stack([path[:-1], path[1:]], axis=1)
    assert set(_clusters(chain, 1001)[:1000].tolist()) == {0}


def test_flat_pictures_are_counted_not_compared(shelf: Shelf) -> None:
    for level in (0, 1, 255):
        shelf.put(np.full((48, 48, 3), level, np.uint8), "train")
    found = shelf.audit()
    assert (found.flat, len(found.pairs)) == (3, 0)


def test_flat_pictures_alone() -> None:
    shelf = Shelf()
    shelf.put(np.zeros((9, 9, 3), np.uint8), "train")
    shelf.put(np.ones((9, 9, 3), np.uint8), "train")
    found = shelf.audit()
    assert (found.flat, len(found.pairs), found.overlaps) == (2, 0, ())
    json.dumps(found.as_dict())


def test_people_in_two_splits() -> None:
    shelf = Shelf()
    people = [("train", "ann"), ("train", "bob"), ("train", None), ("val", "cid"), ("test", "bob")]
    for seed, (split, subject) in enumerate([*people, ("test", "ann"), ("test", None)]):
        shelf.put(blobs(seed), split, subject=subject)
    found = shelf.audit()
    assert {(o.split, o.other): o.subjects for o in found.overlaps if o.subjects} == {
        ("train", "test"): ("ann", "bob"),
        ("test", "train"): ("ann", "bob"),
    }


@pytest.mark.parametrize("block", [7, 60, 2048])
def test_near_pairs_are_those_numpy_finds(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(audit_module, "_BLOCK", block)
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (60, 4, 4)).astype(np.float32)
    coarse[30:] += 0.5 * coarse[:30, :, ::-1]
    grids = coarse.repeat(4, axis=1).repeat(4, axis=2)
    thumbs, mirrored = grids.reshape(60, 256), grids[:, :, ::-1].reshape(60, 256)
    pairs, counted = _near_pairs(thumbs, np.arange(100, 160), 0.6)

    direct = np.corrcoef(thumbs)
    across = np.corrcoef(thumbs, mirrored)[:60, 60:]
    first, second = np.nonzero(np.triu(np.maximum(direct, across) >= 0.6, k=1))
    assert counted
    assert len(first) > 30
    found = {(int(a) - 100, int(b) - 100): i for i, (a, b) in enumerate(pairs.pictures)}
    assert set(found) == set(zip(first.tolist(), second.tolist(), strict=True))
    order = [found[pair] for pair in zip(first.tolist(), second.tolist(), strict=True)]
    expected = np.maximum(direct, across)[first, second]
    np.testing.assert_allclose(pairs.correlation[order], expected, atol=1e-5)
    assert pairs.mirrored[order].tolist() == (across > direct)[first, second].tolist()


def test_json_holds_full_counts_and_few_examples(shelf: Shelf) -> None:
    for seed in range(9):
        shelf.put(blobs(seed), "test", "anger")
        shelf.put(brighter(blobs(seed)), "test", subject="ann")
    for _ in range(5):
        shelf.put(blobs(0), "train")
    found = json.loads(json.dumps(shelf.audit().as_dict(examples=2)))
    assert (found["name"], found["rows"], found["pictures"]) == ("made", 63, 49)
    assert (found["exact"]["pictures"], len(found["exact"]["examples"])) == (9, 2)
    assert found["exact"]["conflicting_examples"][0] == {
        "rows": 7,
        "examples": [
            {"id": "made/0", "split": "train", "label": "fear"},
            {"id": "made/40", "split": "test", "label": "anger"},
        ],
    }
    assert (found["near"]["pairs"], len(found["near"]["examples"])) == (9, 2)
    across = {(o["split"], o["other"]): o for o in found["across"]}["test", "train"]
    assert (across["exact"], across["near"], across["either"]) == (9, 9, 18)
    assert across["exact_examples"] == ["made/40", "made/42"]
    assert across["near_examples"] == ["made/41", "made/43"]


def test_unknown_splits_are_refused(shelf: Shelf) -> None:
    with pytest.raises(DataError, match="made has the splits"):
        shelf.audit().overlap("train", "val")


@pytest.mark.parametrize("near", [0.1, 95.0, float("nan")])
def test_a_threshold_that_is_no_correlation_is_refused(shelf: Shelf, near: float) -> None:
    with pytest.raises(ConfigError, match="a correlation between"):
        shelf.audit(near)


def test_a_film_has_too_many_pairs_to_count_and_the_rest_is_found(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit_module, "MAX_PAIRS", 5)
    for k in range(4):
        shelf.put(brighter(blobs(0)) - np.uint8(k), "train")
    double = shelf.put(blobs(1), "test", "anger")
    found = shelf.audit()
    overlap = found.overlap("test", "train")
    assert (found.counted, len(found.pairs)) == (False, 0)
    assert (overlap.exact, overlap.near, overlap.either) == ((double,), None, None)
    assert found.conflicting == ((1, double),)
    result = json.loads(json.dumps(found.as_dict()))
    assert result["near"] == {"threshold": NEAR, "flat": 0, "counted": False}
    console.audit(result)
    shown = capsys.readouterr().out
    assert "not counted" in shown
    assert ["test", "train", "1", "-", "-", "0", "0", "0"] in map(str.split, shown.splitlines())


def test_copies_on_both_sides(shelf: Shelf) -> None:
    """The original, or another copy of it, on the other side; copies on one side only are none."""
    for place, of in ((0, 1), (2, 3), (30, 1), (31, 32), (33, 3)):
        shelf.rows[place] = replace(shelf.rows[place], copy_of=f"made/{of}")
    found = shelf.audit()
    assert found.overlap("train", "test").copies == (0, 1, 2, 3)
    assert found.overlap("test", "train").copies == (30, 33)
    across = found.as_dict(examples=1)["across"][0]
    assert (across["copies"], across["copy_examples"]) == (4, ["made/0"])


def test_sequences_on_both_sides(shelf: Shelf) -> None:
    """Everybody's first recording is called 1: only the same person's is the same."""
    for place, subject in ((0, "ann"), (1, "bob"), (30, "ann"), (31, "cid"), (32, None)):
        shelf.rows[place] = replace(shelf.rows[place], subject=subject, sequence="1")
    found = shelf.audit()
    assert found.overlap("train", "test").sequences == ("ann/1",)
    assert found.overlap("test", "train").subjects == ("ann",)
    assert found.as_dict()["across"][0]["sequences"] == 1


def test_everything_that_is_told_of_a_table() -> None:
    """Seven rows with one of each kind, and every word of the answer."""
    shelf = Shelf()
    for picture, split, label in (
        (blobs(0), "train", "fear"),
        (blobs(1), "train", "fear"),
        (blobs(2), "train", "fear"),
        (blobs(0), "test", "anger"),  # the very pixels of the first
        (blobs(1)[:, ::-1], "test", "anger"),  # the mirror image of the second
        (blobs(3), "test", "fear"),  # said to be a copy of the third
        (np.zeros((48, 48, 3), np.uint8), "test", "fear"),
    ):
        shelf.put(picture, split, label)
    for place, of in ((5, "made/2"),):
        shelf.rows[place] = replace(shelf.rows[place], copy_of=of)
    for place, who, which in ((0, "ann", "a"), (1, "ann", "b"), (3, "ann", "b"), (4, None, "b")):
        shelf.rows[place] = replace(shelf.rows[place], subject=who, sequence=which)

    def row(place: int) -> dict[str, str]:
        told = shelf.rows[place]
        return {"id": f"made/{place}", "split": told.split, "label": told.label}

    told = json.loads(json.dumps(shelf.audit().as_dict()))
    correlation = told["near"]["examples"][0]["correlation"]
    assert 0.999 < correlation <= 1
    pair = {"correlation": correlation, "mirrored": True, "examples": [row(1), row(4)]}
    group = {"rows": 2, "examples": [row(0), row(3)]}

    def across(split: str, other: str, exact: int, near: int, copy: int) -> dict[str, object]:
        return {
            "split": split,
            "other": other,
            "exact": 1,
            "near": 1,
            "either": 2,
            "copies": 1,
            "sequences": 1,
            "subjects": 1,
            "exact_examples": [f"made/{exact}"],
            "near_examples": [f"made/{near}"],
            "copy_examples": [f"made/{copy}"],
            "sequence_examples": ["ann/b"],
            "subject_examples": ["ann"],
        }

    assert told == {
        "name": "made",
        "rows": 7,
        "pictures": 6,
        "exact": {
            "pictures": 1,
            "rows": 2,
            "conflicting": 1,
            "examples": [group],
            "conflicting_examples": [group],
        },
        "near": {
            "threshold": 0.95,
            "flat": 1,
            "counted": True,
            "pairs": 1,
            "mirrored": 1,
            "conflicting": 1,
            "clusters": 1,
            "pictures_in_clusters": 2,
            "largest_cluster": 2,
            "examples": [pair],
            "conflicting_examples": [pair],
        },
        "across": [across("train", "test", 0, 1, 2), across("test", "train", 3, 4, 5)],
    }


def test_of_each_finding_so_many_examples() -> None:
    """Twenty where nobody says how many; of pictures, rows, pairs, recordings and people."""
    shelf = Shelf()
    for seed in range(25):
        shelf.put(blobs(seed), "train", "fear", f"p{seed:02}")
        shelf.put(blobs(seed), "test", "anger", f"p{seed:02}")
        shelf.put(brighter(blobs(seed)), "test", "anger", f"p{seed:02}")
    shelf.rows[:] = [replace(row, sequence="1") for row in shelf.rows]
    for place in range(0, 75, 3):
        shelf.rows[place + 1] = replace(shelf.rows[place + 1], copy_of=f"made/{place}")
    for _ in range(25):
        shelf.put(blobs(0), "train", "fear")
    found = shelf.audit()
    for words, most in (({}, 20), ({"examples": 3}, 3)):
        told = found.as_dict(**words)
        exact, near, across = told["exact"], told["near"], told["across"][0]
        for lists in (exact, near):
            assert len(lists["examples"]) == len(lists["conflicting_examples"]) == most
        assert exact["examples"][0]["rows"] == 27
        assert len(exact["examples"][0]["examples"]) == most
        for kind in ("exact", "near", "copy", "sequence", "subject"):
            assert len(across[f"{kind}_examples"]) == most, kind


@pytest.mark.parametrize(("levels", "flat"), [((100, 109), 0), ((100, 107), 1)])
def test_how_much_contrast_a_picture_needs(levels: tuple[int, int], flat: int) -> None:
    """Two halves whose gray levels deviate by 4.5 and by 3.5 from their mean."""
    shelf = Shelf()
    picture = np.full((48, 48, 3), levels[0], np.uint8)
    picture[:24] = levels[1]
    shelf.put(picture, "train")
    assert shelf.audit().flat == flat


def test_what_is_seen_of_a_picture() -> None:
    """Sixteen by sixteen averages: stripes finer than that are gray."""
    shelf = Shelf()
    fine, coarse = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)
    fine[:, ::2], coarse[:, np.arange(64) // 4 % 2 == 0] = 255, 255
    shelf.put(fine, "train")
    assert shelf.audit().flat == 1
    shelf.put(coarse, "train")
    shelf.put(coarse[:, ::-1], "train")
    found = shelf.audit()
    assert found.flat == 1
    assert [pair.tolist() for pair in found.pairs.pictures] == [[1, 2]]
    assert found.pairs.mirrored.tolist() == [True]
    assert found.pairs.correlation.dtype == np.float32
    assert found.pairs.correlation[0] == pytest.approx(1, abs=1e-5)


def test_a_thumbnail_is_of_means() -> None:
    picture = np.random.default_rng(4).integers(0, 256, (64, 64, 1), np.uint8).repeat(3, axis=2)
    small = audit_module._thumbnail(picture)
    means = picture[:, :, 0].reshape(16, 4, 16, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(small, means.ravel(), atol=0.01)


@pytest.mark.parametrize(("most", "counted"), [(3, True), (2, False)])
def test_how_many_pairs_are_counted(
    monkeypatch: pytest.MonkeyPatch, most: int, counted: bool
) -> None:
    """Three that are alike are three pairs; above the most none is told, whatever the block."""
    for block in (2, 2048):
        monkeypatch.setattr(audit_module, "_BLOCK", block)
        monkeypatch.setattr(audit_module, "MAX_PAIRS", most)
        shelf = Shelf()
        for change in range(3):
            shelf.put(brighter(blobs(0)) - np.uint8(change), "train")
        found = shelf.audit()
        assert (found.counted, len(found.pairs)) == (counted, 3 if counted else 0)
        assert len(set(found.cluster_of.tolist())) == (1 if counted else 3)


def test_the_most_alike_come_first() -> None:
    shelf = Shelf()
    for seed, change in ((0, 3), (1, 0), (2, 1)):
        shelf.put(blobs(seed), "train")
        shelf.put(np.roll(brighter(blobs(seed)), change % 2, axis=1), "train")
    found = shelf.audit(0.9)
    told = found.as_dict(examples=2)["near"]["examples"]
    assert [pair["correlation"] for pair in told] == sorted(
        (round(float(c), 4) for c in found.pairs.correlation), reverse=True
    )[:2]
    assert told[0]["examples"][0]["id"] == "made/2"


@pytest.mark.parametrize("near", [0.5, 1.0])
def test_thresholds_at_the_ends(shelf: Shelf, near: float) -> None:
    assert shelf.audit(near).near == near
    for beyond in (0.49, 1.01):
        with pytest.raises(ConfigError, match=f"got {beyond}"):
            shelf.audit(beyond)


def test_a_recording_without_a_person_is_in_both_splits_too(shelf: Shelf) -> None:
    for place in (0, 30):
        shelf.rows[place] = replace(shelf.rows[place], sequence="film")
    assert shelf.audit().overlap("train", "test").sequences == ("/film",)


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(DataError, match="made holds no pictures"):
        audit(Table("made", []))


def test_fer2013(fer2013_table: Table) -> None:
    """The figures of shared/data/README.md, counted there by other code."""
    found = audit(fer2013_table)
    assert len(found.groups) == 1516
    assert sum(map(len, found.groups)) == 3369
    assert len(found.conflicting) == 57
    assert len(found.overlap("PrivateTest", "Training").exact) == 288
    assert len(found.overlap("PublicTest", "Training").exact) == 280
    assert found.flat == 3
    # A handful of pairs lie within rounding of the threshold, so another BLAS may differ there.
    assert len(found.pairs) == pytest.approx(2246, abs=5)
    assert len(found.overlap("PrivateTest", "Training").either or ()) == pytest.approx(535, abs=3)
