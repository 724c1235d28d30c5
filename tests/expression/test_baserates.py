"""Base rates: Bayes' rule by hand, and files of rates that are right, odd and wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mien.errors import ConfigError, UnknownName
from mien.expression.baserates import BaseRates, default_for, read_rates, reweight
from mien.face import FloatArray
from mien.labels import label_set, subset

THREE = subset(["neutral", "happy", "sad"])
TRAINING = np.array([0.5, 0.4, 0.1], np.float32)
PROBS = np.array([[0.5, 0.4, 0.1], [0.2, 0.2, 0.6], [1.0, 0.0, 0.0]], np.float32)


def turned(rates: BaseRates, probs: FloatArray = PROBS) -> FloatArray:
    return reweight(probs, rates.weights(THREE, TRAINING))


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# -- Bayes --------------------------------------------------------------------------------------


def test_an_answer_that_says_only_the_rates_becomes_even() -> None:
    np.testing.assert_allclose(turned(BaseRates("equal", 1))[0], [1 / 3] * 3, rtol=1e-6)


def test_bayes_by_hand() -> None:
    # .2/.5 = .4, .2/.4 = .5, .6/.1 = 6: together 6.9
    expected = [0.4 / 6.9, 0.5 / 6.9, 6 / 6.9]
    np.testing.assert_allclose(turned(BaseRates("equal", 1))[1], expected, rtol=1e-6)


def test_half_the_strength_takes_the_root_of_the_ratio() -> None:
    parts = np.array([0.2, 0.2, 0.6]) / np.sqrt([0.5, 0.4, 0.1])
    expected = parts / parts.sum()
    np.testing.assert_allclose(turned(BaseRates("equal", 0.5))[1], expected, rtol=1e-6)


def test_other_rates_by_hand(tmp_path: Path) -> None:
    path = written(tmp_path / "rates.json", '{"neutral": 1, "happy": 1, "sad": 2}')
    # .2 * .25/.5 = .1, .2 * .25/.4 = .125, .6 * .5/.1 = 3: together 3.225
    expected = [0.1 / 3.225, 0.125 / 3.225, 3 / 3.225]
    np.testing.assert_allclose(turned(BaseRates(str(path), 1))[1], expected, rtol=1e-6)


@pytest.mark.parametrize("rates", [BaseRates("training", 1), BaseRates("equal", 0)])
def test_no_strength_is_the_training_s_own(rates: BaseRates) -> None:
    np.testing.assert_allclose(turned(rates), PROBS, rtol=1e-6, atol=1e-9)
    assert rates.weights(THREE, None).tolist() == [1, 1, 1]


def test_training_rates_as_the_wanted_ones_change_nothing(tmp_path: Path) -> None:
    same = dict(zip(THREE.labels, TRAINING.tolist(), strict=True))
    path = written(tmp_path / "rates.json", json.dumps(same))
    for strength in (0.3, 1):
        np.testing.assert_allclose(turned(BaseRates(str(path), strength)), PROBS, atol=1e-6)


def test_certainty_stays_certain() -> None:
    np.testing.assert_allclose(turned(BaseRates("equal", 1))[2], [1, 0, 0], atol=1e-6)


def test_probabilities_stay_probabilities_even_where_the_rates_exclude_the_answer(
    tmp_path: Path,
) -> None:
    path = written(tmp_path / "rates.json", '{"sad": 1, "happy": 0, "neutral": 0}')
    changed = turned(BaseRates(str(path), 1))
    np.testing.assert_allclose(changed, [[0, 0, 1]] * 3, atol=1e-6)
    assert changed.dtype == np.float32


def test_more_strength_goes_further() -> None:
    sad = [float(turned(BaseRates("equal", s))[1, 2]) for s in np.linspace(0, 1, 11)]
    assert sad == sorted(sad)
    assert sad[0] == pytest.approx(0.6)


def test_the_given_probabilities_stay_as_they_were() -> None:
    before = PROBS.copy()
    turned(BaseRates("equal", 1))
    np.testing.assert_array_equal(PROBS, before)


def test_no_faces() -> None:
    assert turned(BaseRates("equal", 1), np.empty((0, 3), np.float32)).shape == (0, 3)


def test_a_model_that_does_not_say_its_rates() -> None:
    with pytest.raises(ConfigError, match="--base-rates training"):
        BaseRates("equal", 0.5).weights(THREE, None)


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_strength_out_of_range(strength: float) -> None:
    with pytest.raises(ConfigError, match=r"in \[0, 1\]"):
        BaseRates("equal", strength)


# -- files --------------------------------------------------------------------------------------


def test_json_with_aliases_in_any_order_and_scale(tmp_path: Path) -> None:
    path = written(tmp_path / "rates.json", '{"Sad": 10, "happy": 30, "CALM": 60}')
    np.testing.assert_allclose(read_rates(path, THREE), [0.6, 0.3, 0.1], rtol=1e-6)


def test_toml(tmp_path: Path) -> None:
    path = written(tmp_path / "rates.toml", "# my ward\njoy = 0.25\nneutral = 0.75\nsad = 0\n")
    np.testing.assert_allclose(read_rates(path, THREE), [0.75, 0.25, 0], rtol=1e-6)


def test_a_label_left_out_is_asked_for(tmp_path: Path) -> None:
    """Taken as 0 it would never be answered again, and nobody would know."""
    path = written(tmp_path / "rates.json", '{"happy": 1, "neutral": 3}')
    with pytest.raises(ConfigError, match=r"no rate for surprise, sadness, .*give 0"):
        read_rates(path, label_set("mien8"))


@pytest.mark.parametrize(
    "rate",
    [
        "-1",
        "-0.001",
        '"0.5"',
        "true",
        "null",
        "[1]",
        "NaN",
        "Infinity",
        "-Infinity",
        "1" + "0" * 400,
    ],
)
def test_a_rate_that_is_none(tmp_path: Path, rate: str) -> None:
    path = written(tmp_path / "rates.json", f'{{"neutral": 1, "happy": {rate}}}')
    with pytest.raises(ConfigError, match="the rate of happy is a number from 0") as caught:
        read_rates(path, THREE)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("rate", ["nan", "inf", "-1.0", "1979-05-27"])
def test_a_rate_that_is_none_in_toml(tmp_path: Path, rate: str) -> None:
    path = written(tmp_path / "rates.toml", f"happy = {rate}\n")
    with pytest.raises(ConfigError, match="the rate of happy is a number from 0"):
        read_rates(path, THREE)


def test_a_wrong_label_suggests_the_nearest(tmp_path: Path) -> None:
    path = written(tmp_path / "rates.json", '{"hapiness": 1}')
    with pytest.raises(UnknownName, match=r"did you mean happiness\?"):
        read_rates(path, THREE)


def test_a_label_the_model_does_not_know(tmp_path: Path) -> None:
    path = written(tmp_path / "rates.json", '{"neutral": 1, "contempt": 1}')
    with pytest.raises(UnknownName, match="contempt"):
        read_rates(path, THREE)


def test_one_label_under_two_names(tmp_path: Path) -> None:
    path = written(tmp_path / "rates.json", '{"happy": 0.2, "neutral": 0.5, "joy": 0.3}')
    with pytest.raises(ConfigError, match="as happy and as joy"):
        read_rates(path, THREE)


@pytest.mark.parametrize("content", ['{"happy": 0, "sad": 0.0, "neutral": 0}'])
def test_rates_that_add_up_to_nothing(tmp_path: Path, content: str) -> None:
    with pytest.raises(ConfigError, match="add up to nothing"):
        read_rates(written(tmp_path / "rates.json", content), THREE)


@pytest.mark.parametrize("content", ["[0.5, 0.5]", "1", "null", '"happy"'])
def test_json_that_holds_no_rates(tmp_path: Path, content: str) -> None:
    with pytest.raises(ConfigError, match="one rate per label"):
        read_rates(written(tmp_path / "rates.json", content), THREE)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rates.json", ""),
        ("rates.json", '{"happy": 1'),
        ("rates.json", "happy = 1"),
        ("rates.json", b"\xff\xd8\xff\xe0"),
        ("rates.toml", '{"happy": 1}'),
        ("rates.toml", "happy = 1\nhappy = 2\n"),
        ("rates.toml", b"\x00\xff"),
        ("rates.json", "[" * 100_000),
        ("rates.json", '{"happy": ' + "1" * 5000 + "}"),
        ("rates.toml", "happy = " + "[" * 100_000),
        ("rates.toml", "happy = " + "1" * 5000),
        ("rates.toml", "happy = 0x" + "f" * 5000),
    ],
)
def test_a_file_that_cannot_be_understood(tmp_path: Path, name: str, content: str | bytes) -> None:
    with pytest.raises(ConfigError, match="not readable JSON or TOML"):
        read_rates(written(tmp_path / name, content), THREE)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="training, equal or a file; no file 'eqal'"):
        BaseRates("eqal", 1).weights(THREE, TRAINING)


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read_rates(tmp_path, THREE)


# -- every number ---------------------------------------------------------------------------------


def test_what_a_model_is_read_with_unless_asked_otherwise() -> None:
    assert (BaseRates().target, BaseRates().strength) == ("equal", 0.75)
    assert default_for([0.5, 0.5]) == BaseRates("equal", 0.75)
    assert default_for(None).target == "training"
    for strength in (0.0, 1.0):
        assert BaseRates("equal", strength).strength == strength


def test_a_label_that_training_never_saw_gets_a_weight_too() -> None:
    """As if it had been one in a million."""
    weights = BaseRates("equal", 1).weights(THREE, np.array([0.5, 0.5, 0], np.float32))
    np.testing.assert_allclose(weights, [2 / 3, 2 / 3, 1e6 / 3], rtol=1e-5)
    assert weights.dtype == np.float32
    assert BaseRates("training").weights(THREE, None).dtype == np.float32


def test_where_all_weight_is_elsewhere_something_is_left() -> None:
    probs = np.array([[1.0, 0.0]], np.float32)
    assert reweight(probs, np.array([0.0, 2.0], np.float32)).tolist() == [[0, 1]]
    np.testing.assert_allclose(reweight(probs, np.array([1e-29, 1.0])), [[10 / 11, 1 / 11]])


def test_the_largest_counts(tmp_path: Path) -> None:
    rates = {"neutral": 1e30, "happy": 1e30, "sad": 0}
    path = written(tmp_path / "rates.json", json.dumps(rates))
    assert read_rates(path, THREE).tolist() == [0.5, 0.5, 0]
    assert read_rates(path, THREE).dtype == np.float32
    for wrong in (1.01e30, -1e-9):
        path = written(tmp_path / "rates.json", json.dumps(rates | {"sad": wrong}))
        with pytest.raises(ConfigError, match=r"rates.json: the rate of sad"):
            read_rates(path, THREE)


def test_every_label_that_is_missing_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "rates.json", '{"joy": 1}')
    with pytest.raises(ConfigError, match=r"rates.json has no rate for neutral, sadness; give 0"):
        read_rates(path, THREE)
