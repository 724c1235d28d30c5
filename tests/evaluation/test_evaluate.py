from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mien.data.copies import Copies, copies
from mien.data.cut import aligned, cut_faces
from mien.data.splits import Split, split
from mien.data.table import Row, Table
from mien.errors import DataError, UnknownName
from mien.evaluation.cards import card
from mien.evaluation.evaluate import evaluate, restrict, shared_labels
from mien.expression.baserates import BaseRates
from mien.expression.recognize import load_model
from mien.faces import detect
from mien.faces.finder import Finder
from mien.labels import LabelSet, label_set, subset

TRAINING = BaseRates("training")


def table_of(labels: list[str], split: str = "all") -> Table:
    rows = [Row(f"r{i}", split, label, b"", 48, 48) for i, label in enumerate(labels)]
    return Table("made", rows)


def test_shared_labels_are_those_of_both_in_canonical_order() -> None:
    model = label_set("fer2013")
    shared = shared_labels(model, table_of(["contempt", "sadness", "neutral", "unknown"]))
    assert shared.labels == ("neutral", "sadness")
    with pytest.raises(DataError, match="no label"):
        shared_labels(model, table_of(["contempt", "unknown"]))


def test_restriction_keeps_the_ratios_and_the_order() -> None:
    model = LabelSet("m", ("anger", "fear", "neutral"), ("a", "f", "n"))
    probs = np.array([[0.1, 0.5, 0.4], [0.2, 0.0, 0.6]], np.float32)
    out = restrict(probs, model, subset(["neutral", "anger"]))
    np.testing.assert_allclose(out, [[0.8, 0.2], [0.75, 0.25]], rtol=1e-6)


def test_the_default_model_on_jaffe(jaffe_table: Table) -> None:
    """Pictures from a studio it never saw, hair and all: far better than chance, by subject."""
    result = evaluate(load_model(), jaffe_table, None, [TRAINING, BaseRates()])
    assert result["labels"] == [
        "neutral",
        "happiness",
        "surprise",
        "sadness",
        "anger",
        "disgust",
        "fear",
    ]
    for entry in result["results"]:
        assert entry["n"] == 213
        assert entry["accuracy"] > 2 * entry["majority_baseline"]
        low, high = entry["accuracy_ci95"]
        assert low < entry["accuracy"] < high


def test_rows_of_test_that_were_trained_on_are_set_apart(ferplus_table: Table) -> None:
    few = ferplus_table.keep(
        row.split == "Training" or i % 12 == 0 for i, row in enumerate(ferplus_table.rows)
    )
    result = evaluate(load_model(), few, "PrivateTest", [TRAINING])
    entry = result["results"][0]
    exact = entry["without_pixels_in_training"]["n"]
    near = entry["without_near_duplicates_in_training"]["n"]
    assert near < exact < entry["n"]
    assert sum(result["left_out"].values()) + entry["n"] == result["data"]["rows"]


def test_pictures_most_taggers_agree_on_are_told_apart(ferplus_table: Table) -> None:
    """Papers on FER+ test on these alone, and are right more often for it."""
    part = ferplus_table.of_split("PublicTest")
    part = part.keep(i % 8 == 0 for i in range(len(part)))
    (entry,) = evaluate(load_model(), part, None, [TRAINING])["results"]
    agreed = entry["where_most_votes_agree"]
    assert agreed["n"] == (part.is_agreed & (part.targets(label_set("ferplus")) >= 0)).sum()
    assert 0.8 * entry["n"] < agreed["n"] < entry["n"]
    assert agreed["accuracy"] > entry["accuracy"] + 0.02


def test_no_votes_no_agreement(jaffe_table: Table) -> None:
    few = jaffe_table.keep(i < 20 for i in range(len(jaffe_table)))
    (entry,) = evaluate(load_model(), few, None, [TRAINING])["results"]
    assert "where_most_votes_agree" not in entry


def test_peers_are_scored_by_the_same_command(peer_models: object, lfw_table: Table) -> None:
    few = lfw_table.keep(i % 20 == 0 for i in range(len(lfw_table)))
    for name in ("face-api", "mini-xception"):
        result = evaluate(load_model(name), few, None, [TRAINING])
        assert result["results"][0]["accuracy"] > result["results"][0]["majority_baseline"]


def test_the_card_shows_what_the_file_says(peer_models: object) -> None:
    text = card(load_model().info)
    assert "## Training" in text
    assert "An expression is not a determination of what a person feels." in text
    assert load_model().info.sha256 in text
    assert "MIT" in card(load_model("face-api").info)


def test_the_card_tells_of_each_group(jaffe_table: Table) -> None:
    few = jaffe_table.keep(row.subject in ("KA", "KL") for row in jaffe_table.rows)
    result = evaluate(load_model(), few, None, [TRAINING], detect.build("haar"), by="subject")
    told = result["results"][0]["by"]["groups"]
    info = load_model().info
    text = card(replace(info, card={**info.card, "figures": [result]}))
    assert "By subject, at training base rates:" in text
    for name, group in told.items():
        assert f"| {name} | {group['n']} | 1 | {group['accuracy']:.3f} (" in text
    assert f" {abs(told['KA']['accuracy'] - told['KL']['accuracy']):.3f} (" in text


def test_faces_are_cut_as_asked(jaffe_table: Table) -> None:
    """The crop of every face found, at the size asked for."""
    few = jaffe_table.keep(i < 20 for i in range(len(jaffe_table)))
    detector = detect.build("mien")
    found, plain = cut_faces(few, Finder(detector), "box", 64)
    again, aligned = cut_faces(few, Finder(detector), "xu2019", 64)
    assert [row.id for row in again.rows] == [row.id for row in found.rows]
    assert {crop.shape for crop in aligned} == {(64, 64, 3)}
    assert all(crop.shape[0] == crop.shape[1] > 90 for crop in plain)
    result = evaluate(load_model(), few, None, [TRAINING], detector, 0.0, "xu2019")
    assert result["detector"] == {"name": "mien", "pad": 0.0}
    assert result["align"] == "xu2019"
    with pytest.raises(UnknownName, match="xu2019"):
        evaluate(load_model(), few, None, [TRAINING], detector, 0.0, "xu2018")


def test_crops_are_aligned_where_that_is_asked(jaffe_table: Table) -> None:
    """Without a detector a picture is a face; asked for, its landmarks turn it level."""
    few = jaffe_table.keep(i < 5 for i in range(len(jaffe_table)))
    whole, plain = cut_faces(few, Finder(None), "box", 48)
    _, aligned = cut_faces(few, Finder(None), "similarity", 48)
    assert len(whole) == len(few)
    assert {crop.shape for crop in plain} == {(256, 256, 3)}
    assert {crop.shape for crop in aligned} == {(48, 48, 3)}


# -- a table cut anew ---------------------------------------------------------------------------


@pytest.fixture
def two_faces(jaffe_table: Table) -> Table:
    """Two women of JAFFE's, and between them a picture of nothing."""
    few = jaffe_table.keep(i < 2 for i in range(len(jaffe_table)))
    blank = cv2.imencode(".png", np.full((70, 90, 3), 120, np.uint8))[1].tobytes()
    nothing = Row("blank", "all", "neutral", blank, 90, 70, subject="nobody")
    first = replace(few.rows[0], landmarks=(1.0,) * 136, votes=(1.0, 2.0))
    return Table("made", [first, nothing, few.rows[1]], ("neutral", "anger"), {"terms": "none"})


@pytest.mark.parametrize(("alignment", "size"), [("similarity", 48), ("xu2019", 64), ("mouth", 32)])
def test_an_aligned_table_has_every_face_cut(two_faces: Table, alignment: str, size: int) -> None:
    cut = aligned(two_faces, alignment, size)
    assert [(row.width, row.height) for row in cut.rows] == [(size, size), (90, 70), (size, size)]
    assert [picture.shape[:2] for picture in cut.pictures()] == [
        (size, size),
        (70, 90),
        (size, size),
    ]
    assert cut.notes == {"terms": "none", "align": alignment, "whole": 1}
    assert (cut.name, cut.vote_labels) == ("made", ("neutral", "anger"))
    for before, after in zip(two_faces.rows, cut.rows, strict=True):
        same = ("id", "split", "label", "votes", "subject", "source")
        assert [getattr(after, k) for k in same] == [getattr(before, k) for k in same]
        assert after.landmarks is None  # they lay in the picture as it was
    assert two_faces.notes == {"terms": "none"}


def test_an_aligned_table_holds_what_the_recogniser_would_get(two_faces: Table) -> None:
    cut = aligned(two_faces, "similarity", 48)
    _, crops = cut_faces(two_faces, Finder(None), "similarity", 48)
    for picture, crop in zip(cut.pictures(), crops, strict=True):
        np.testing.assert_array_equal(picture, crop)


def test_a_table_cut_by_its_box_stays_as_it_is(two_faces: Table) -> None:
    cut = aligned(two_faces, "box", 48)
    for ours, theirs in zip(cut.pictures(), two_faces.pictures(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert cut.notes["align"] == "box"


def test_nothing_is_cut_twice(two_faces: Table) -> None:
    cut = aligned(two_faces, "similarity", 48)
    with pytest.raises(DataError, match="made was cut by 'similarity' already"):
        aligned(cut, "mouth", 32)
    with pytest.raises(DataError, match="already"):
        aligned(cut, "similarity", 48)


def test_no_alignment_of_that_name(two_faces: Table) -> None:
    with pytest.raises(UnknownName, match="did you mean similarity"):
        aligned(two_faces, "similarty", 48)


def test_a_model_takes_an_aligned_table_as_it_is(jaffe_table: Table) -> None:
    """Else every face would be turned level and framed once more."""
    few = jaffe_table.keep(i % 10 == 0 for i in range(len(jaffe_table)))
    asked = evaluate(load_model(), few, None, [TRAINING], alignment="similarity")
    cut = evaluate(
        load_model(), aligned(few, "similarity", 64), None, [TRAINING], alignment="similarity"
    )
    assert cut["results"] == asked["results"]
    assert cut["align"] == "similarity"


def test_what_a_recipe_trained_on_is_set_apart(jaffe_table: Table) -> None:
    """Dealt by row, hardly a tested picture is without a copy in training."""
    some = jaffe_table.keep(i % 3 == 0 for i in range(len(jaffe_table)))
    copied = split(copies(some, Copies(1, rotate_deg=10)), Split("random", 0.5, 0.0, 0.5))
    entry = evaluate(load_model(), copied, "test", [TRAINING], trained="train")["results"][0]
    assert entry["n"] == 71
    assert entry["without_copies_in_training"]["n"] < 50
    whole = evaluate(load_model(), copied, "test", [TRAINING])["results"][0]
    assert "without_copies_in_training" not in whole
    copied = replace(copied, rows=[*copied.rows, *_all_of_test(copied)])
    assert evaluate(load_model(), copied, "test", [TRAINING], trained="train")["results"][0] == {
        k: v for k, v in whole.items() if not k.startswith("without_")
    }


def _all_of_test(table: Table) -> list[Row]:
    """The tested rows once more, as training rows: nothing is apart from training any more."""
    tested = table.of_split("test").rows
    return [replace(row, id=f"again/{row.id}", split="train") for row in tested]
