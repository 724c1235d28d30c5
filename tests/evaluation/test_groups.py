"""Figures by group: counted by hand, and what chance does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from mien.errors import DataError
from mien.evaluation.groups import NOT_SAID, by_group
from mien.labels import subset

LABELS = subset(["neutral", "happiness", "sadness"])


def told(
    targets: list[int],
    predicted: list[int],
    groups: Sequence[str | None],
    people: list[str] | None = None,
) -> dict[str, Any]:
    return by_group(np.array(targets), np.array(predicted), LABELS, groups, people, "sex")


def test_each_group_by_hand() -> None:
    targets = [0, 0, 1, 1, 2, 0, 0, 1, 1]
    answers = [0, 0, 1, 0, 2, 0, 1, 1, 0]
    groups = ["f"] * 5 + ["m"] * 4
    found = told(targets, answers, groups)
    assert found["column"] == "sex"
    assert found["balanced_over"] == ["neutral", "happiness"]  # nobody of m looks sad
    women, men = found["groups"]["f"], found["groups"]["m"]
    assert (women["n"], women["people"], women["accuracy"]) == (5, None, 0.8)
    assert women["balanced_accuracy"] == 0.75
    assert women["majority_baseline"] == 0.4
    assert (men["n"], men["accuracy"], men["balanced_accuracy"]) == (4, 0.5, 0.5)
    low, high = women["accuracy_ci95"]
    assert 0 <= low < 0.8 < high <= 1
    gap = found["gap"]["accuracy"]
    assert (gap["best"], gap["worst"]) == ("f", "m")
    assert gap["gap"] == pytest.approx(0.3)
    assert gap["gap_ci95"][0] < 0 < 0.3 < gap["gap_ci95"][1]
    assert gap["by_chance"] > 0.3  # nine pictures tell nothing
    assert found["gap"]["balanced_accuracy"]["gap"] == pytest.approx(0.25)


def test_a_true_gap_is_none_of_chance() -> None:
    rng = np.random.default_rng(1)
    targets = rng.integers(0, 3, 600)
    groups = ["light" if i % 2 else "dark" for i in range(600)]
    right = np.array([rng.random() < (0.9 if group == "light" else 0.6) for group in groups])
    found = by_group(
        targets, np.where(right, targets, (targets + 1) % 3), LABELS, groups, None, "skin"
    )
    gap = found["gap"]["accuracy"]
    assert (gap["best"], gap["worst"]) == ("light", "dark")
    assert gap["gap_ci95"][0] > 0.2
    assert gap["by_chance"] < 0.001


def test_people_are_dealt_whole() -> None:
    """Of two men with 50 pictures each, one badly read: 100 pictures, but only two people."""
    people = [name for name in ("ann", "eva", "bob", "joe") for _ in range(50)]
    groups = ["f"] * 100 + ["m"] * 100
    answers = [0] * 150 + [1] * 50
    by_people = told([0] * 200, answers, groups, people)["gap"]["accuracy"]
    by_pictures = told([0] * 200, answers, groups)["gap"]["accuracy"]
    assert by_people["gap"] == by_pictures["gap"] == 0.5
    assert by_pictures["by_chance"] < 0.001
    assert by_people["by_chance"] > 0.9  # whoever joe is dealt to is worse
    assert by_people["gap_ci95"] == [0.0, 1.0]


def test_cameras_that_saw_the_same_people() -> None:
    people = [str(i // 2) for i in range(80)]
    groups = ["new", "old"] * 40
    answers = [0, 1] * 20 + [0, 0] * 20  # the old one fails on half of them
    gap = told([0] * 80, answers, groups, people)["gap"]["accuracy"]
    assert (gap["best"], gap["worst"], gap["gap"]) == ("new", "old", 0.5)
    assert gap["by_chance"] < 0.001


def test_the_interval_of_a_group_that_is_all_right_is_not_nothing() -> None:
    found = told([0, 1] * 10, [0, 1] * 10, ["a"] * 10 + ["b"] * 10)
    assert found["groups"]["a"]["accuracy_ci95"] == [0.7225, 1.0]  # Wilson, of ten
    people = ["ann"] * 5 + ["eva"] * 5 + [str(i) for i in range(10)]
    found = told([0, 1] * 10, [0, 1] * 10, ["a"] * 10 + ["b"] * 10, people)
    assert found["groups"]["a"]["accuracy_ci95"][0] == pytest.approx(0.3424, abs=1e-4)  # of two


def test_one_person_speaks_for_itself() -> None:
    found = told(
        [0, 1, 0, 1] * 2, [0, 1, 1, 1] * 2, ["ann"] * 4 + ["eva"] * 4, ["ann"] * 4 + ["eva"] * 4
    )
    assert found["groups"]["ann"]["people"] == 1
    low, high = found["groups"]["ann"]["accuracy_ci95"]
    assert low < 0.75 < high


def test_people_against_each_other() -> None:
    """Of ann's forty pictures nine tenths are read, of eva's three tenths: that is no chance."""
    people = ["ann"] * 40 + ["eva"] * 40
    answers = [0] * 36 + [1] * 4 + [0] * 12 + [1] * 28
    gap = told([0] * 80, answers, people, people)["gap"]["accuracy"]
    assert (gap["best"], gap["gap"]) == ("ann", pytest.approx(0.6))
    assert gap["by_chance"] < 0.001
    alike = told([0] * 80, ([0] * 20 + [1] * 20) * 2, people, people)["gap"]["accuracy"]
    assert alike["by_chance"] == 1.0


def test_rows_that_say_nothing_are_a_group_but_no_gap() -> None:
    found = told([0, 1] * 6, [0, 1] * 4 + [1, 0] * 2, ["b"] * 4 + ["a"] * 4 + [None] * 4)
    assert list(found["groups"]) == ["a", "b", NOT_SAID]
    assert found["groups"][NOT_SAID]["accuracy"] == 0
    assert found["gap"]["accuracy"]["gap"] == 0
    only = told([0, 1] * 4, [0, 1] * 4, ["a"] * 4 + [None] * 4)
    assert only["gap"] == {}


def test_what_makes_no_groups() -> None:
    with pytest.raises(DataError, match="'sex' makes one group only, 'f'"):
        told([0, 1], [0, 1], ["f", "f"])
    ages = [str(i) for i in range(60)]
    with pytest.raises(DataError, match="'sex' makes 60 groups of 60 pictures; write bands"):
        told([0] * 60, [0] * 60, ages)


@pytest.mark.filterwarnings("error")
def test_small_groups_may_be_dealt_none_of_the_common_labels() -> None:
    """Half the deals give the group of one a label that the other lacks: no figure, no warning."""
    found = told([0, 0, 1, 1], [0, 1, 1, 1], ["a", "b", "b", "b"])
    assert found["balanced_over"] == ["neutral"]
    assert found["gap"]["balanced_accuracy"]["gap"] == 1.0
    assert 0 < found["gap"]["balanced_accuracy"]["by_chance"] < 1


def test_people_whom_nobody_knows_are_not_counted() -> None:
    found = told([0, 1] * 4, [0, 1] * 4, ["a"] * 4 + ["b"] * 4)
    assert [group["people"] for group in found["groups"].values()] == [None, None]


def test_groups_without_a_common_label() -> None:
    found = told([0, 0, 1, 1], [0, 1, 1, 1], ["a", "a", "b", "b"])
    assert found["balanced_over"] == []
    assert found["groups"]["a"]["balanced_accuracy"] is None
    assert list(found["gap"]) == ["accuracy"]
