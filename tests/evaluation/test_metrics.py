from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from mien.errors import ShapeError
from mien.evaluation import metrics
from mien.evaluation.metrics import IntArray
from mien.expression.logits import calibrated, softmax
from mien.face import FloatArray
from mien.labels import label_set, subset
from mien.training.calibrate import fit, uncertain_below

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


def test_everything_that_is_told_by_hand() -> None:
    """The same six faces, answered with .9: every figure but the intervals."""
    targets = np.array([0, 0, 0, 0, 1, 1])
    result = metrics.score(one_hot([0, 0, 0, 1, 1, 0], 7, 0.9), targets, FER)
    for name in ("accuracy_ci95", "balanced_accuracy_ci95"):
        low, high = result.pop(name)
        assert 0 <= low < 0.5
        assert 0.9 < high <= 1
    nll = -(4 * np.log(0.9) + 2 * np.log(0.1 / 6)) / 6
    assert result.pop("nll") == pytest.approx(nll, rel=1e-5)
    assert result.pop("ece") == pytest.approx(0.9 - 4 / 6)
    table = result.pop("reliability")
    assert table["count"] == [0] * 13 + [6, 0]
    assert table["confidence"][13] == pytest.approx(0.9)
    assert table["accuracy"][13] == pytest.approx(4 / 6)
    rows = np.zeros((7, 7), int)
    rows[:2, :2] = [[3, 1], [1, 1]]
    anger = {"precision": 0.75, "recall": 0.75, "f1": 0.75, "support": 4}
    disgust = {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}
    assert result == {
        "n": 6,
        "accuracy": 4 / 6,
        "majority_baseline": 4 / 6,
        "balanced_accuracy": 0.625,
        "macro_f1": 0.625,
        "per_class": {
            "anger": anger | {"specificity": 0.5, "npv": 0.5},
            "disgust": disgust | {"specificity": 0.75, "npv": 0.75},
        },
        "confusion": {"labels": list(FER.labels), "rows_actual": rows.tolist()},
    }


def test_a_sure_mistake_costs_much_and_not_everything() -> None:
    result = metrics.score(one_hot([0, 1], 7), np.array([0, 0]), FER)
    assert result["nll"] == pytest.approx(-np.log(1e-12) / 2)


def test_a_label_that_was_never_asked_for_costs_the_balance_nothing() -> None:
    """It is answered wrongly, and has no recall of its own; without contempt the same."""
    targets = np.array([0, 0, 1, 7])
    result = metrics.score(one_hot([0, 2, 1, 7], 8), targets, MIEN8)
    assert result["balanced_accuracy"] == pytest.approx((0.5 + 1 + 1) / 3)
    assert result["balanced_accuracy_without_contempt"] == pytest.approx(0.75)
    assert result["macro_f1"] == pytest.approx((2 / 3 + 1 + 1) / 3)
    seven = metrics.score(one_hot([0, 2, 1], 7), targets[:3], FER)
    assert "balanced_accuracy_without_contempt" not in seven


def resampled(
    targets: IntArray, predicted: IntArray, people: FloatArray | IntArray
) -> dict[str, list[float]]:
    """The intervals by drawing people again and again, one after another."""
    random, names = np.random.default_rng(99), np.unique(people)
    rows_of = {name: np.flatnonzero(people == name) for name in names}
    drawn: dict[str, list[float]] = {"accuracy": [], "balanced_accuracy": []}
    for _ in range(1500):
        rows = np.concatenate([rows_of[n] for n in random.choice(names, len(names))])
        right = predicted[rows] == targets[rows]
        recalls = [right[targets[rows] == k].mean() for k in np.unique(targets[rows])]
        drawn["accuracy"].append(float(right.mean()))
        drawn["balanced_accuracy"].append(float(np.mean(recalls)))
    return {name: np.percentile(v, [2.5, 97.5]).tolist() for name, v in drawn.items()}


@pytest.mark.parametrize("clustered", [False, True])
def test_intervals_are_those_of_drawing_again(clustered: bool) -> None:
    """Of rows, or of people with one to nine pictures each."""
    probs, targets = random_case(200)
    predicted = probs.argmax(1)
    people = np.repeat(np.arange(60), np.arange(60) % 9 + 1)[:200] if clustered else np.arange(200)
    names = [f"p{i}" for i in people] if clustered else None
    ours = metrics.bootstrap(targets, predicted, 7, names)
    theirs = resampled(targets, predicted, people)
    for name, interval in theirs.items():
        assert ours[name] == pytest.approx(interval, abs=0.015), name
        assert ours[name] == [round(v, 4) for v in ours[name]]
    scored = metrics.score(probs, targets, FER, names)
    assert scored["accuracy_ci95"] == ours["accuracy"]
    assert scored["balanced_accuracy_ci95"] == ours["balanced_accuracy"]


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


def test_one_person_s_pictures_count_by_themselves() -> None:
    """No sample of one person differs from another; an interval of nothing is none."""
    targets, predicted = np.array([0, 1] * 6), np.array([0, 1] * 4 + [0, 0] * 2)
    alone = metrics.bootstrap(targets, predicted, 7, ["ann"] * 12)
    assert alone == metrics.bootstrap(targets, predicted, 7)
    assert alone["accuracy"][0] < 10 / 12 < alone["accuracy"][1]
    sets = metrics.set_score(
        np.eye(3, dtype=bool)[[0, 0, 0, 1]],
        np.array([0, 0, 0, 2]),
        subset(FER.labels[:3]),
        ["a"] * 4,
    )
    assert metrics.holds(sets, 0.9)  # four faces of one person deny nothing
    given = np.array([[0.1], [0.4], [0.9]], np.float32)
    told = metrics.intensity_score(given, given[::-1], ["happiness"], ["ann"] * 3)
    assert told["people"] == 1
    low, high = told["overall"]["rmse_ci95"]
    assert low < high


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_interval_of_answers_that_are_all_alike_is_wilson_s(share: float) -> None:
    """Ten cases, whether of ten pictures or of ten people; labels of unequal number have less."""
    targets = np.array([0, 1] * 5)
    predicted = targets if share else 1 - targets
    ten = [0.7225, 1.0] if share else [0.0, 0.2775]
    assert metrics.bootstrap(targets, predicted, 2) == {"accuracy": ten, "balanced_accuracy": ten}
    people = [str(i) for i in range(10)] * 3
    many = metrics.bootstrap(np.tile(targets, 3), np.tile(predicted, 3), 2, people)
    assert many["accuracy"] == ten
    targets = np.array([0] * 19 + [1])
    one = metrics.bootstrap(targets, targets if share else 1 - targets, 2)
    width = {name: high - low for name, (low, high) in one.items()}
    # 4 / (1 / 19 + 1) = 3.8 cases
    assert width["accuracy"] == pytest.approx(3.8415 / 23.8415, abs=1e-4)
    assert width["balanced_accuracy"] == pytest.approx(3.8415 / 7.6415, abs=1e-4)


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


def test_prediction_sets_by_hand() -> None:
    """Four faces: held alone, held among two, missed alone, missed among two."""
    members = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1]], bool)
    labels = subset(["neutral", "happiness", "sadness"])
    told = metrics.set_score(members, np.array([0, 1, 2, 0]), labels)
    assert (told["n"], told["coverage"], told["size"], told["single"]) == (4, 0.5, 1.5, 0.5)
    assert told["per_class"] == {"neutral": 0.5, "happiness": 1.0, "sadness": 0.0}
    low, high = told["coverage_ci95"]
    assert low == 0.0
    assert high == 1.0
    assert metrics.holds(told, 0.9)
    every = metrics.set_score(members, np.array([0, 1, 2, 0]), labels, ["a", "a", "b", "b"])
    assert every["coverage_ci95"] == [0.0, 1.0]  # one person always held, the other never
    missed = metrics.set_score(members[2:], np.array([2, 0]), labels)
    assert missed["coverage_ci95"] == [0.0, 0.6576]  # Wilson, of two
    assert not metrics.holds(missed, 0.9)


def test_uncertain_below_by_hand() -> None:
    """Ten right answers at .9, then ten at .6 of which five are right."""
    probs = np.concatenate([one_hot([0] * 10, 7, 0.9), one_hot([0] * 10, 7, 0.6)])
    targets = np.array([0] * 10 + [0, 1] * 5)
    assert uncertain_below(probs, targets) == pytest.approx(0.6, abs=1e-6)
    # of the .6 answers only the first (right) can stay: 11 of 11; then 11 of 12 = .917 stays too
    order = np.array([1] * 10 + [1] * 10)
    assert uncertain_below(probs, order) == 1.0


# -- one against the rest -----------------------------------------------------------------------


def test_fold_one_of_neutral_by_hand() -> None:
    """autoencoder2018's own matrix: TP 130, FN 10, FP 5, TN 135 (papers exchange its measures)."""
    figures = metrics.one_against_rest(np.array([[130, 10], [5, 135]]))
    assert figures["accuracy"] == pytest.approx(265 / 280)
    assert figures["sensitivity"] == pytest.approx(0.9286, abs=5e-5)
    assert figures["precision"] == pytest.approx(0.9630, abs=5e-5)
    assert figures["specificity"] == pytest.approx(135 / 140)
    assert figures["npv"] == pytest.approx(135 / 145)
    assert figures["f1"] == pytest.approx(260 / 275)


def test_one_against_rest_agrees_with_scikit_learn() -> None:
    probs, targets = random_case()
    predicted = probs.argmax(1)
    confusion = sk.confusion_matrix(targets, predicted, labels=range(7))
    per_class = metrics.score(probs, targets, FER)["per_class"]
    for k, label in enumerate(FER.labels):
        figures = metrics.one_against_rest(metrics.against_rest(confusion, k))
        actual, answered = targets == k, predicted == k
        assert figures["accuracy"] == pytest.approx(sk.accuracy_score(actual, answered))
        assert figures["sensitivity"] == pytest.approx(sk.recall_score(actual, answered))
        assert figures["specificity"] == pytest.approx(sk.recall_score(~actual, ~answered))
        assert figures["precision"] == pytest.approx(sk.precision_score(actual, answered))
        assert figures["npv"] == pytest.approx(sk.precision_score(~actual, ~answered))
        assert figures["f1"] == pytest.approx(sk.f1_score(actual, answered))
        for name in ("specificity", "npv", "precision", "f1"):
            assert per_class[label][name] == pytest.approx(figures[name])


def test_a_label_never_seen_or_never_answered_scores_nothing() -> None:
    assert metrics.one_against_rest(np.array([[0, 0], [0, 9]])) == {
        "accuracy": 1.0,
        "sensitivity": 0.0,
        "specificity": 1.0,
        "precision": 0.0,
        "npv": 1.0,
        "f1": 0.0,
    }
    with pytest.raises(ShapeError, match=r"\(2, 2\) matrix"):
        metrics.one_against_rest(np.eye(3))


def test_ten_thousand_to_one() -> None:
    """Always answering the most frequent: nearly all right, and the balanced figure says not."""
    targets = np.array([0] * 10_000 + [1])
    result = metrics.score(one_hot([0] * 10_001, 7), targets, FER)
    assert result["accuracy"] == result["majority_baseline"] > 0.999
    assert result["balanced_accuracy"] == pytest.approx(0.5)
    low, high = result["balanced_accuracy_ci95"]
    assert np.isfinite([low, high]).all()
    assert set(result["per_class"]) == {"anger", "disgust"}
    assert result["per_class"]["anger"]["specificity"] == 0
    assert result["per_class"]["disgust"]["npv"] == pytest.approx(10_000 / 10_001)


def test_one_picture_alone() -> None:
    result = metrics.score(one_hot([2], 7), np.array([2]), FER)
    assert (result["accuracy"], result["balanced_accuracy"]) == (1.0, 1.0)


# -- reliability --------------------------------------------------------------------------------


def test_reliability_by_hand() -> None:
    probs = np.array([[0.95, 0.05], [0.99, 0.01], [0.4, 0.6], [0.38, 0.62]], np.float32)
    table = metrics.reliability(probs, np.array([0, 1, 1, 1]))
    assert table["count"] == [0] * 9 + [2] + [0] * 4 + [2]
    assert table["confidence"][9] == pytest.approx(0.61)
    assert table["confidence"][14] == pytest.approx(0.97)
    assert (table["accuracy"][9], table["accuracy"][14], table["accuracy"][0]) == (1.0, 0.5, None)
    error = metrics.expected_calibration_error(probs, np.array([0, 1, 1, 1]))
    assert error == pytest.approx((2 * 0.39 + 2 * 0.47) / 4)


def test_the_bins_of_reliability() -> None:
    """Fifteen, each from its lower bound on; what is quite sure is in the last."""
    top = np.array([1.0, 14 / 15 + 1e-6, 14 / 15 - 1e-6, 0.5], np.float32)
    table = metrics.reliability(np.stack([top, 1 - top], axis=1), np.array([0, 0, 1, 0]))
    assert table["count"] == [0] * 7 + [1] + [0] * 5 + [1, 2]
    assert table["accuracy"][7] == 1.0
    assert table["accuracy"][13:] == [0.0, 1.0]
    assert table["confidence"][14] == pytest.approx((1 + 14 / 15) / 2, abs=1e-5)
    assert [*table] == ["count", "confidence", "accuracy"]


# -- intensities --------------------------------------------------------------------------------


def ratings(n: int = 300) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(5)
    rated = rng.uniform(0, 1, (n, 3)).astype(np.float32)
    predicted = 0.6 * rated + 0.1 + rng.normal(0, 0.1, (n, 3)).astype(np.float32)
    return np.asarray(predicted, np.float32), rated


def test_intensities_by_hand() -> None:
    """One to four, answered one too high: no error of order, but one of place."""
    rated = np.array([[1.0], [2.0], [3.0], [4.0]], np.float32)
    figures = metrics.intensity_score(rated + 1, rated, ["fear"])["overall"]
    assert figures["rmse"] == pytest.approx(1.0)
    assert figures["rmse_of_mean"] == pytest.approx(1.25**0.5)
    assert (figures["pcc"], figures["icc31"]) == (pytest.approx(1.0), pytest.approx(1.0))
    assert figures["ccc"] == pytest.approx(2 * 1.25 / (1.25 + 1.25 + 1))


def test_shrout_and_fleiss_own_example() -> None:
    """The first two judges of their table 2, ICC(3,1) from its analysis of variance."""
    judges = np.array([[9, 2], [6, 1], [8, 4], [7, 1], [10, 5], [6, 2]], np.float32)
    n, k = judges.shape
    grand, rows, columns = judges.mean(), judges.mean(1), judges.mean(0)
    between = k * ((rows - grand) ** 2).sum() / (n - 1)
    error = ((judges - rows[:, None] - columns + grand) ** 2).sum() / ((n - 1) * (k - 1))
    expected = (between - error) / (between + (k - 1) * error)
    figures = metrics.intensity_score(judges[:, :1], judges[:, 1:], ["fear"])["overall"]
    assert figures["icc31"] == pytest.approx(expected)
    assert 0.6 < expected < 0.9


def test_intensities_agree_with_libraries() -> None:
    predicted, rated = ratings()
    result = metrics.intensity_score(predicted, rated, ["fear", "anger", "disgust"])
    for k, label in enumerate(["fear", "anger", "disgust"]):
        x, y = predicted[:, k].astype(float), rated[:, k].astype(float)
        figures = result["per_label"][label]
        assert figures["rmse"] == pytest.approx(sk.root_mean_squared_error(y, x))
        assert figures["pcc"] == pytest.approx(stats.pearsonr(x, y).statistic)
        slope = figures["pcc"] * 2 * x.std() * y.std()
        assert figures["ccc"] == pytest.approx(
            slope / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
        )
        low, high = figures["pcc_ci95"]
        assert low < figures["pcc"] < high
        fisher = np.tanh(np.arctanh(figures["pcc"]) + np.array([-1.96, 1.96]) / 297**0.5)
        assert [low, high] == pytest.approx(fisher, abs=0.01)
    pooled = predicted.ravel().astype(float), rated.ravel().astype(float)
    assert result["overall"]["pcc"] == pytest.approx(stats.pearsonr(*pooled).statistic)
    assert result["people"] is None


def test_intensity_intervals_are_those_of_the_people() -> None:
    predicted, rated = ratings(60)
    names = ["fear", "anger", "disgust"]
    alone = metrics.intensity_score(predicted, rated, names)["overall"]
    many = np.tile(predicted, (16, 1)), np.tile(rated, (16, 1))
    people = [f"p{i}" for i in range(60)]
    repeated = metrics.intensity_score(*many, names, people * 16)
    assert repeated["people"] == 60
    width = np.diff(alone["rmse_ci95"])[0]
    assert np.diff(repeated["overall"]["rmse_ci95"])[0] == pytest.approx(width, rel=0.15)


def test_a_constant_answer_has_no_correlation() -> None:
    rated = np.linspace(0, 1, 11, dtype=np.float32)[:, None]
    figures = metrics.intensity_score(np.full_like(rated, 0.5), rated, ["fear"])["overall"]
    assert (figures["pcc"], figures["pcc_ci95"]) == (None, None)
    assert figures["rmse"] == pytest.approx(figures["rmse_of_mean"])
    assert figures["ccc"] == pytest.approx(0, abs=1e-6)


def test_intensities_of_another_shape() -> None:
    predicted, rated = ratings()
    with pytest.raises(ShapeError, match="intensities twice"):
        metrics.intensity_score(predicted[:-1], rated, ["fear", "anger", "disgust"])
    with pytest.raises(ShapeError, match="do not go with these labels"):
        metrics.intensity_score(predicted, rated, ["fear"])


def test_every_figure_of_intensities_by_hand() -> None:
    """Two labels, three pictures: per label, and all six cases together."""
    predicted = np.array([[0.0, 0.5], [0.5, 0.5], [1.0, 0.5]], np.float32)
    rated = np.array([[0.0, 0.2], [0.2, 0.4], [1.0, 0.9]], np.float32)
    result = metrics.intensity_score(predicted, rated, ["fear", "anger"], ["a", "b", "b"])
    assert (result["n"], result["people"], [*result["per_label"]]) == (3, 2, ["fear", "anger"])
    fear, anger = (result["per_label"][label] for label in ("fear", "anger"))
    both = result["overall"]
    x, y = np.array([0, 0.5, 1]), np.array([0, 0.2, 1])
    cov, gap = float(np.mean(x * y) - x.mean() * y.mean()), float((x.mean() - y.mean()) ** 2)
    assert fear["rmse"] == pytest.approx(0.3 / 3**0.5, abs=1e-6)
    assert fear["cross_entropy"] == pytest.approx(np.log(2) / 3, abs=1e-6)  # sure twice, and right
    assert anger["cross_entropy"] == pytest.approx(np.log(2), abs=1e-6)
    assert result["overall"]["cross_entropy"] == pytest.approx(np.log(2) * 2 / 3, abs=1e-6)
    assert fear["rmse_of_mean"] == pytest.approx(y.std(), abs=1e-6)
    assert fear["pcc"] == pytest.approx(cov / (x.std() * y.std()), abs=1e-6)
    assert fear["ccc"] == pytest.approx(2 * cov / (x.var() + y.var() + gap), abs=1e-6)
    assert fear["icc31"] == pytest.approx(2 * cov / (x.var() + y.var()), abs=1e-6)
    assert (anger["pcc"], anger["pcc_ci95"]) == (None, None)
    assert (anger["ccc"], anger["icc31"]) == (pytest.approx(0), pytest.approx(0))
    off = (predicted - rated).astype(float)
    assert both["rmse"] == pytest.approx((off**2).mean() ** 0.5, abs=1e-6)
    spread = (rated - rated.mean(axis=0)).astype(float)
    assert both["rmse_of_mean"] == pytest.approx((spread**2).mean() ** 0.5, abs=1e-6)
    for figures in (fear, both):
        names = [name for name in figures if not name.endswith("_ci95")]
        assert names == ["cross_entropy", "rmse_of_mean", "rmse", "pcc", "ccc", "icc31"]
        for name in names[2:]:
            low, high = figures[f"{name}_ci95"]
            assert low - 5e-5 <= figures[name] <= high + 5e-5
            assert (low, high) == (round(low, 4), round(high, 4))


def test_intensity_intervals_are_those_of_drawing_again() -> None:
    predicted, rated = ratings(80)
    figures = metrics.intensity_score(predicted, rated, ["a", "b", "c"])["overall"]
    random, drawn = np.random.default_rng(7), []
    for _ in range(1500):
        rows = random.integers(0, 80, 80)
        x, y = predicted[rows].ravel().astype(float), rated[rows].ravel().astype(float)
        cov = ((x - x.mean()) * (y - y.mean())).mean()
        drawn.append(
            [
                ((x - y) ** 2).mean() ** 0.5,
                cov / (x.std() * y.std()),
                2 * cov / (x.var() + y.var() + (x.mean() - y.mean()) ** 2),
                2 * cov / (x.var() + y.var()),
            ]
        )
    expected = np.percentile(drawn, [2.5, 97.5], axis=0).T
    for name, interval in zip(("rmse", "pcc", "ccc", "icc31"), expected, strict=True):
        assert figures[f"{name}_ci95"] == pytest.approx(interval, abs=0.006), name


def test_where_nothing_varies_there_is_no_agreement_to_speak_of() -> None:
    same = np.full((5, 1), 0.3, np.float32)
    figures = metrics.intensity_score(same, same, ["fear"])["overall"]
    assert (figures["rmse"], figures["rmse_of_mean"]) == (0, 0)
    assert (figures["pcc"], figures["ccc"], figures["icc31"]) == (None, None, None)
    assert figures["rmse_ci95"] == [0, 0]


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (3,)])
def test_intensities_of_nothing(shape: tuple[int, ...]) -> None:
    nothing = np.zeros(shape, np.float32)
    with pytest.raises(ShapeError, match="intensities twice"):
        metrics.intensity_score(nothing, nothing, ["a", "b", "c"][: shape[-1]])


def test_people_of_another_number() -> None:
    predicted, rated = ratings(4)
    with pytest.raises(ShapeError, match="do not go with these labels and people"):
        metrics.intensity_score(predicted, rated, ["a", "b", "c"], ["p"] * 3)


def test_probabilities_of_one_picture_without_its_row() -> None:
    with pytest.raises(ShapeError, match=r"need \(N, 7\) probabilities"):
        metrics.score(np.full(7, 1 / 7, np.float32), np.zeros(7, np.intp), FER)
