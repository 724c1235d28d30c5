from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from mien import metrics
from mien.calibrate import fit, uncertain_below
from mien.errors import ShapeError
from mien.face import FloatArray
from mien.labels import label_set
from mien.metrics import IntArray
from mien.recognize import calibrated, softmax

MIEN8, FER = label_set("mien8"), label_set("fer2013")


def one_hot(predicted: list[int], k: int, sure: float = 1.0) -> FloatArray:
    probs = np.full((len(predicted), k), (1 - sure) / (k - 1), np.float32)
    probs[np.arange(len(predicted)), predicted] = sure
    return probs


def random_case(n: int = 400, k: int = 7) -> tuple[FloatArray, IntArray]:
    rng = np.random.default_rng(3)
    targets = rng.choice(k, n, p=[0.4, 0.2, 0.15, 0.1, 0.08, 0.05, 0.02])
    logits = rng.normal(size=(n, k)) + 2 * np.eye(k)[targets]
    return softmax(logits.astype(np.float32)), targets


def test_by_hand() -> None:
    """Six faces, two wrong: 0 0 0 0 1 1 answered 0 0 0 1 1 0."""
    targets = np.array([0, 0, 0, 0, 1, 1])
    result = metrics.score(one_hot([0, 0, 0, 1, 1, 0], 7), targets, FER)
    assert result["accuracy"] == pytest.approx(4 / 6)
    assert result["majority_baseline"] == pytest.approx(4 / 6)
    assert result["balanced_accuracy"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert result["macro_f1"] == pytest.approx((6 / 8 + 2 / 4) / 2)
    assert set(result["per_class"]) == {"anger", "disgust"}
    assert np.array(result["confusion"]["rows_actual"])[:2, :2].tolist() == [[3, 1], [1, 1]]
    # always sure, right in four of six: off by a third
    assert result["ece"] == pytest.approx(1 / 3)


def test_agrees_with_scikit_learn() -> None:
    probs, targets = random_case()
    result, predicted = metrics.score(probs, targets, FER), probs.argmax(1)
    assert result["balanced_accuracy"] == pytest.approx(
        sk.balanced_accuracy_score(targets, predicted)
    )
    assert result["macro_f1"] == pytest.approx(sk.f1_score(targets, predicted, average="macro"))
    assert result["nll"] == pytest.approx(sk.log_loss(targets, probs, labels=range(7)), rel=1e-4)


def test_contempt_stands_apart() -> None:
    targets = np.array([0, 1, 7, 7])
    result = metrics.score(one_hot([0, 1, 0, 0], 8), targets, MIEN8)
    assert result["balanced_accuracy"] == pytest.approx(2 / 3)
    assert result["balanced_accuracy_without_contempt"] == pytest.approx(1.0)


def test_intervals_cover_and_shrink() -> None:
    probs, targets = random_case(400)
    predicted = probs.argmax(1)
    low, high = metrics.bootstrap(targets, predicted, 7)["accuracy"]
    accuracy = float((predicted == targets).mean())
    assert low < accuracy < high
    # the normal approximation of a binomial's interval
    assert high - low == pytest.approx(3.92 * (accuracy * (1 - accuracy) / 400) ** 0.5, rel=0.1)
    many = np.tile(targets, 16), np.tile(predicted, 16)
    low16, high16 = metrics.bootstrap(*many, 7)["accuracy"]
    assert high16 - low16 == pytest.approx((high - low) / 4, rel=0.15)


def test_pictures_of_one_person_are_not_independent() -> None:
    """Every person sixteen times: the interval must be that of the people, not of the pictures."""
    probs, targets = random_case(100)
    predicted = probs.argmax(1)
    people = [f"p{i}" for i in range(100)]
    alone = metrics.bootstrap(targets, predicted, 7)["accuracy"]
    repeated = metrics.bootstrap(np.tile(targets, 16), np.tile(predicted, 16), 7, people * 16)
    width = alone[1] - alone[0]
    assert repeated["accuracy"][1] - repeated["accuracy"][0] == pytest.approx(width, rel=0.12)


def test_the_same_answers_give_the_same_intervals() -> None:
    probs, targets = random_case()
    assert metrics.score(probs, targets, FER) == metrics.score(probs, targets, FER)


@pytest.mark.parametrize("shape", [(0, 7), (5, 6), (4, 7)])
def test_wrong_shapes(shape: tuple[int, int]) -> None:
    targets = np.zeros(0 if shape[0] == 0 else 5, np.intp)
    with pytest.raises(ShapeError, match="probabilities"):
        metrics.score(np.full(shape, 1 / 7, np.float32), targets, FER)


def drawn(logits: FloatArray, seed: int) -> IntArray:
    """Labels drawn from the probabilities of the logits themselves."""
    chance = np.random.default_rng(seed).uniform(size=(len(logits), 1))
    return np.asarray((softmax(logits).cumsum(1) < chance).sum(1).clip(max=logits.shape[1] - 1))


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_calibration_undoes_a_scaling(factor: float) -> None:
    logits = np.random.default_rng(11).normal(size=(20_000, 7)).astype(np.float32) * 2
    temperature, offsets = fit(logits * np.float32(factor), drawn(logits, 1))
    assert temperature == pytest.approx(factor, rel=0.05)
    assert np.abs(offsets).max() < 0.1


def test_calibration_undoes_a_shift() -> None:
    """A net that says the first label too often and the second too rarely."""
    logits = np.random.default_rng(12).normal(size=(20_000, 5)).astype(np.float32) * 2
    shift = np.array([0.8, -0.8, 0, 0, 0], np.float32)
    temperature, offsets = fit(logits + shift, drawn(logits, 2))
    assert temperature == pytest.approx(1, rel=0.05)
    np.testing.assert_allclose(offsets, -shift, atol=0.12)


def test_calibration_lowers_the_error() -> None:
    logits = np.random.default_rng(13).normal(size=(5000, 7)).astype(np.float32)
    targets, boastful = drawn(logits, 3), logits * 4
    before = metrics.expected_calibration_error(softmax(boastful), targets)
    after = softmax(calibrated(boastful, *fit(boastful, targets)))
    assert before > 0.2
    assert metrics.expected_calibration_error(after, targets) < 0.03


def test_uncertain_below_by_hand() -> None:
    """Ten right answers at .9, then ten at .6 of which five are right."""
    probs = np.concatenate([one_hot([0] * 10, 7, 0.9), one_hot([0] * 10, 7, 0.6)])
    targets = np.array([0] * 10 + [0, 1] * 5)
    assert uncertain_below(probs, targets) == pytest.approx(0.6, abs=1e-6)
    # of the .6 answers only the first (right) can stay: 11 of 11; then 11 of 12 = .917 stays too
    order = np.array([1] * 10 + [1] * 10)
    assert uncertain_below(probs, order) == 1.0
