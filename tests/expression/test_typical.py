"""The step between what a model learnt from and other people's faces."""

from __future__ import annotations

import numpy as np
import pytest

from mien.data.cut import faces_of
from mien.data.table import Table
from mien.errors import DataError
from mien.expression import typical
from mien.expression.baserates import BaseRates, reweight
from mien.expression.logits import softmax
from mien.expression.recognize import load_model
from mien.face import FloatArray
from mien.labels import subset

CENTRES = np.array([[3, 0, 0], [0, 3, 0], [0, 0, 3]], np.float32)
MOVE = np.array([1.5, -1.0, -0.5], np.float32)
MIX = np.array([0.5, 0.3, 0.2], np.float32)


def made(targets: np.ndarray, move: FloatArray | float = 0.0) -> FloatArray:
    """Answers about one centre for each label."""
    noise = np.random.default_rng(0).normal(0, 0.5, (len(targets), 3))
    return softmax((CENTRES[targets] + noise + move).astype(np.float32))


def mixed(count: int, mix: FloatArray = MIX) -> np.ndarray:
    return np.random.default_rng(1).choice(3, count, p=mix / mix.sum())


def test_a_step_is_found_without_labels() -> None:
    known = typical.fit(made(mixed(3000)), mixed(3000))
    step = typical.step(made(mixed(2000), MOVE), known, MIX)
    assert step == pytest.approx(-MOVE, abs=0.1)
    nothing = typical.step(made(mixed(2000)), known, MIX)
    assert nothing == pytest.approx(np.zeros(3), abs=0.1)


def test_another_mix_is_no_step_where_it_is_told() -> None:
    known = typical.fit(made(mixed(3000)), mixed(3000))
    other = np.array([0.05, 0.05, 0.9], np.float32)
    faces = made(mixed(2000, other))
    assert typical.step(faces, known, other) == pytest.approx(np.zeros(3), abs=0.1)
    assert abs(typical.step(faces, known, MIX)).max() > 1


def test_faces_at_rest_tell_it_too() -> None:
    known = typical.fit(made(mixed(3000)), mixed(3000))
    rest = typical.at_rest(subset(["neutral", "happiness", "anger"]))
    assert rest.tolist() == [1, 0, 0]
    step = typical.step(made(np.zeros(500, int), MOVE), known, rest)
    assert step == pytest.approx(-MOVE, abs=0.1)


def test_few_faces_are_trusted_little() -> None:
    known = typical.fit(made(mixed(3000)), mixed(3000))
    faces = made(np.zeros(40, int), MOVE)
    whole = typical.step(np.repeat(faces[:1], 4000, axis=0), known, MIX)
    one = typical.step(faces[:1], known, MIX)
    mixed_up = 1 - (MIX**2).sum()
    assert one == pytest.approx(whole / (1 + mixed_up * typical.PRIOR_FACES), rel=0.01)
    rest = np.array([1, 0, 0], np.float32)
    assert typical.step(faces[:1], known, rest) == pytest.approx(
        typical.step(np.repeat(faces[:1], 9, axis=0), known, rest), abs=1e-5
    )


def test_a_label_nobody_knew_a_face_of_is_left_out_of_the_mix() -> None:
    known = typical.fit(made(np.zeros(50, int)), np.zeros(50, int))
    assert [row is None for row in known] == [False, True, True]
    step = typical.step(made(np.zeros(2000, int), MOVE), known, MIX)
    assert step == pytest.approx(-MOVE, abs=0.2)
    with pytest.raises(DataError, match="typical of these expressions is not known"):
        typical.step(made(mixed(9)), known, np.array([0, 0.5, 0.5], np.float32))


def test_resting_needs_a_word_for_it() -> None:
    with pytest.raises(DataError, match="no 'neutral' among its labels: happiness, anger"):
        typical.at_rest(subset(["happiness", "anger"]))


def test_jaffe_s_women_are_read_better_after_others_of_them(jaffe_table: Table) -> None:
    """Five women's faces, unlabelled, make the other five's answers right more often."""
    model = load_model()
    info = model.info
    assert info.typical is not None
    assert info.base_rates is not None
    faces = faces_of(jaffe_table, info.align, info.preprocess.size)
    targets = faces.targets(info.label_set)
    women = np.array([row.subject for row in faces.rows])
    given = np.isin(women, np.unique(women)[:5])
    probs = model.read(list(faces.pictures()), BaseRates("training")).probs
    training = np.array(info.base_rates, np.float32)
    step = typical.step(probs[given], info.typical, training)
    weights = BaseRates().weights(info.label_set, training)
    before, after = (
        (reweight(probs[~given] * np.exp(moved), weights).argmax(axis=1) == targets[~given]).mean()
        for moved in (np.zeros_like(step), step)
    )
    assert after > before + 0.03
