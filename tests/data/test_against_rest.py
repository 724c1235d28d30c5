from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
import torch

from mien.data import against_rest
from mien.data.against_rest import Folds, draw, evenly
from mien.data.table import Row, Table
from mien.errors import ConfigError, DataError
from mien.training import recipes
from mien.training.against_rest_task import POSITIVE, samples

SETTINGS = Folds("ferplus", by="stratified", count=5, run=5, positives=14)


def made(counts: dict[str, int], people: int = 10) -> Table:
    """Rows without pictures: who tests is decided without a look at them."""
    labels = [label for label, n in counts.items() for _ in range(n)]
    rows = [
        Row(f"{i:04}", "all", label, b"", 48, 48, subject=f"p{i % people}")
        for i, label in enumerate(labels)
    ]
    return Table("made", rows)


EIGHT = dict.fromkeys(
    ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"), 150
)


def test_a_fold_is_the_papers() -> None:
    """140 of the expression and 20 of each of seven others."""
    data = made(EIGHT)
    everything = np.arange(len(data))
    drawn = draw(data, everything, "fear", 140, np.random.default_rng(0))
    labels = Counter(data.rows[row].label for row in drawn.rows)
    assert labels.pop("fear") == 140 == drawn.positives
    assert list(labels.values()) == [20] * 7
    assert len(set(drawn.rows.tolist())) == 280
    targets = samples(drawn, torch.zeros(280)).y
    assert targets.sum(0).tolist() == [140, 140]
    assert [data.rows[row].label for row in drawn.rows[:140]] == ["fear"] * 140
    assert targets[:140, POSITIVE].all()


def test_a_rare_expression_shrinks_both_halves() -> None:
    data = made({**EIGHT, "contempt": 9})
    drawn = draw(data, np.arange(len(data)), "contempt", 140, np.random.default_rng(0))
    labels = Counter(data.rows[row].label for row in drawn.rows)
    assert labels.pop("contempt") == 9
    assert sum(labels.values()) == 9
    assert set(labels.values()) == {1, 2}


def test_a_kind_with_too_few_gives_all_it_has() -> None:
    rng = np.random.default_rng(0)
    assert evenly([2, 10, 10], 12, rng) == [2, 5, 5]
    assert sorted(evenly([10, 10, 10], 4, rng)) == [1, 1, 2]
    assert evenly([1, 2], 99, rng) == [1, 2]
    assert evenly([3, 3], 0, rng) == [0, 0]


def test_no_picture_of_an_expression_is_an_error_that_names_it() -> None:
    data = made({"happiness": 5, "anger": 5})
    with pytest.raises(DataError, match=r"0 pictures of fear and 10 of others; .* leave fear out"):
        draw(data, np.arange(10), "fear", 3, np.random.default_rng(0))


def test_every_row_is_tested_once_and_never_trained_on_then() -> None:
    data = made({"happiness": 40, "anger": 30, "fear": 20})
    tested: list[int] = []
    for fold in against_rest.folds(data, SETTINGS):
        sides = [fold.train.tolist(), fold.select.tolist(), fold.test.tolist()]
        assert sorted(itertools.chain(*sides)) == list(range(90))
        assert Counter(data.rows[row].label for row in fold.test) == {
            "happiness": 8,
            "anger": 6,
            "fear": 4,
        }
        tested += fold.test.tolist()
    assert sorted(tested) == list(range(90))


def test_folds_by_person_keep_everybody_on_one_side() -> None:
    data = made({"happiness": 40, "anger": 40}, people=10)
    settings = Folds("ferplus", by="subject", count=5, run=2)
    found = list(against_rest.folds(data, settings))
    assert len(found) == 2
    for fold in found:
        people = [
            {data.rows[r].subject for r in rows} for rows in (fold.train, fold.select, fold.test)
        ]
        assert not people[2] & (people[0] | people[1])
        assert not people[0] & people[1]


def test_draws_do_not_depend_on_which_others_were_made() -> None:
    a, b = (against_rest.generator(SETTINGS, 3, "fear", "test").integers(1 << 30) for _ in range(2))
    c = against_rest.generator(SETTINGS, 3, "anger", "test").integers(1 << 30)
    assert a == b != c


def test_what_is_no_expression_is_left_out() -> None:
    data = made({"unknown": 3, "anger": 4, "happiness": 2})
    kept = against_rest.named(data, SETTINGS)
    assert len(kept) == 6
    assert against_rest.expressions(kept, SETTINGS) == ["happiness", "anger"]
    with pytest.raises(DataError, match="fewer than two of the expressions of ferplus"):
        against_rest.named(made({"anger": 4, "unknown": 9}), SETTINGS)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("folds.run=11", r"folds.run lies in 1\.\.10, got 11"),
        ("folds.count=2", "split.folds is at least 3"),
        ("folds.positives=0", "at least 1"),
        ("folds.by=person", "no split called 'person'"),
        ("autoencoder.hidden=-1", "at least 0"),
        ("cnn.width=0", "at least 1"),
        ("cnn.withd=3", "did you mean cnn.width"),
    ],
)
def test_a_wrong_setting_says_what_is_right(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        recipes.read(recipes.find("autoencoder2018"), [override])
