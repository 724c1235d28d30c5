"""Prediction sets: ranks by hand, the promise on drawn and on real faces, and what is refused."""

from __future__ import annotations

import math
import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.analysis.live import Live
from mien.analysis.pipeline import Analyzer, Settings
from mien.analysis.recording import analyze_video
from mien.data.cut import cut_faces
from mien.data.table import Table
from mien.errors import ConfigError, ModelError
from mien.evaluation import cards
from mien.evaluation.evaluate import evaluate
from mien.expression.baserates import BaseRates
from mien.expression.logits import softmax
from mien.expression.recognize import OnnxRecognizer
from mien.expression.sets import PredictionSets, asked, fit
from mien.face import FloatArray, Frame
from mien.faces.finder import Finder
from mien.labels import subset
from mien.media.capture import source
from mien.results import records
from mien.testing import FakeDetector, FakeRecognizer
from mien.training import calibrate
from mien.training.export import recalibrated
from tests.made import video

COVERAGES = (0.5, 0.8, 0.9, 0.95)


def told(*right: float) -> tuple[FloatArray, Any]:
    """Faces of three labels whose first is the raters', with these probabilities."""
    probs = np.array([[p, (1 - p) * 0.75, (1 - p) * 0.25] for p in right], np.float32)
    return probs, np.zeros(len(right), np.intp)


# -- by hand -------------------------------------------------------------------------------------


def test_the_threshold_is_the_score_of_rank_n_plus_one_times_the_coverage() -> None:
    """Nine faces, scores .1 to .9: at .5 rank 5, at .8 rank 8, at .9 rank 9; no rank 10."""
    known = fit(*told(*(1 - i / 10 for i in range(1, 10))), BaseRates())
    at = {c: known.thresholds[round((c - 0.5) * 1000)] for c in (0.5, 0.8, 0.801, 0.9, 0.901)}
    expected = {0.5: 0.5, 0.8: 0.8, 0.801: 0.9, 0.9: 0.9, 0.901: 1.0}
    assert at == pytest.approx(expected, abs=2e-5)
    assert all(at[c] >= v - 1e-7 for c, v in expected.items())  # rounded, but never down
    assert known.faces == 9


def test_a_set_holds_what_is_probable_enough_and_always_the_likeliest() -> None:
    thresholds = np.repeat([0.3, 0.75], [250, 250]).tolist()
    known = PredictionSets(BaseRates(), 100, tuple(thresholds))
    probs = np.array([[0.72, 0.2, 0.08], [0.4, 0.35, 0.25], [0.3, 0.26, 0.44]], np.float32)
    np.testing.assert_array_equal(known.of(probs, 0.5), [[1, 0, 0], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(known.of(probs, 0.9), [[1, 0, 0], [1, 1, 1], [1, 1, 1]])
    np.testing.assert_array_equal(known.of(probs, 0.7491), [[1, 0, 0], [1, 1, 1], [1, 1, 1]])
    assert known.of(np.empty((0, 3), np.float32), 0.9).shape == (0, 3)


def test_a_few_faces_promise_nothing_by_leaving_nothing_out() -> None:
    known = fit(*told(0.9, 0.8, 0.7), BaseRates())  # at most 3 / 4
    assert known.of(told(0.99)[0], 0.76).all()
    assert known.of(told(0.99)[0], 0.75).sum() == 1


@pytest.mark.parametrize("coverage", [0.5, 0.9, 0.999])
def test_coverages_that_can_be_asked_for(coverage: float) -> None:
    assert asked(coverage) == coverage


@pytest.mark.parametrize(
    ("coverage", "says"),
    [
        (90, r"a coverage lies in \[0.5, 0.999\], got 90; percent\? write 0.9"),
        (0.4, r"got 0.4$"),
        (1.0, r"got 1.0$"),
        (math.nan, "got nan"),
        (True, "got True"),
        ("0.9", "got '0.9'"),
    ],
)
def test_coverages_that_cannot(coverage: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Settings(coverage=coverage)


def test_a_model_file_keeps_all_of_it() -> None:
    known = replace(fit(*told(0.9, 0.5, 0.4), BaseRates()), checked={"0.9": {"coverage": 0.9}})
    again = PredictionSets.from_dict(known.as_dict())
    assert again == known
    assert again.checked == known.checked


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"thresholds": [0.5]}, "thresholds is a list of 500, got one of 1"),
        ({"thresholds": [0.5] * 499 + [math.nan]}, "a threshold is a number from 0 to 1, got nan"),
        ({"thresholds": [0.5] * 499 + [0.4]}, "go up with the coverage"),
        ({"faces": 3.5}, "faces is a whole number"),
        ({"base_rates": {"target": "/etc/passwd", "strength": 1}}, "at training or equal rates"),
        ({"base_rates": {"target": "equal", "strength": 2}}, "strength is a number from 0 to 1"),
        ({"checked": [1]}, "checked is a table"),
    ],
)
def test_what_a_model_file_may_not_say(changed: dict[str, Any], says: str) -> None:
    kept = fit(*told(0.9, 0.5), BaseRates()).as_dict()
    with pytest.raises(ValueError, match=says):
        PredictionSets.from_dict(kept | changed)


# -- the promise -----------------------------------------------------------------------------------


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("faces", [30, 500])
def test_the_promise_is_kept_whatever_the_network_is_worth(sharpness: float, faces: int) -> None:
    """By the mean over many calibrations, for a network too timid, calibrated, and boastful."""
    rng = np.random.default_rng(faces)
    held = dict.fromkeys(COVERAGES, 0.0)
    turns = 200
    for _ in range(turns):
        logits = rng.normal(size=(faces + 200, 6)).astype(np.float32) * 2
        gumbel = rng.gumbel(size=logits.shape)
        targets, probs = (logits + gumbel).argmax(axis=1), softmax(logits * sharpness)
        known = fit(probs[:faces], targets[:faces], BaseRates())
        for coverage in held:
            inside = known.of(probs[faces:], coverage)
            held[coverage] += float(inside[np.arange(200), targets[faces:]].mean()) / turns
    for coverage, share in held.items():
        assert share > coverage - 0.01
    assert held[0.95] < 0.95 + 1 / (faces + 1) + 0.01  # and not by leaving everything in


@pytest.fixture(scope="module")
def dealt(ferplus_table: Table) -> list[Table]:
    """Two lots of 700 real faces, other people's votes in each."""
    part = ferplus_table.of_split("PublicTest")
    part = part.keep(row.label in subset(SEVEN).labels for row in part.rows)
    return [part.keep(i % 2 == k and i < 1400 for i in range(len(part))) for k in (0, 1)]


SEVEN = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear")


@pytest.fixture(scope="module")
def model(dealt: list[Table]) -> OnnxRecognizer:
    content, _ = recalibrated("mien", dealt[0])
    return OnnxRecognizer(content, "calibrated", "")


def test_real_faces_that_were_not_asked(model: OnnxRecognizer, dealt: list[Table]) -> None:
    (result, turned) = evaluate(model, dealt[1], None, [BaseRates("training"), BaseRates()])[
        "results"
    ]
    assert "prediction_sets" not in result  # they are at the other rates
    for coverage, figures in turned["prediction_sets"].items():
        low, high = figures["coverage_ci95"]
        assert high > float(coverage)
        assert figures["coverage"] < max(float(coverage), turned["accuracy"]) + 0.04
        assert 1 <= figures["size"] < 2
    known = model.info.prediction_sets
    assert known is not None
    assert known.faces == 700
    assert known.checked is not None
    assert known.checked["0.9"]["n"] == 700
    low, high = known.checked["0.9"]["coverage_ci95"]
    assert low < 0.9 < high + 0.01


def test_the_card_tells_where_they_hold(model: OnnxRecognizer, dealt: list[Table]) -> None:
    measured = evaluate(model, dealt[1], None, [BaseRates()])
    short = {**measured["results"][0]["prediction_sets"]["0.95"], "coverage_ci95": [0.5, 0.6]}
    measured["results"][0]["prediction_sets"]["0.95"] = short
    info = replace(model.info, card={**model.info.card, "figures": [measured]})
    card = cards.card(info)
    assert "at equal (strength 0.75) base rates, calibrated on 700 faces" in card
    assert card.count("not as promised") == 1
    assert "(0.500-0.600): **not as promised**" in card


def test_a_hundred_faces_are_needed_to_check() -> None:
    rng = np.random.default_rng(0)
    looks = [rng.normal(size=(99, 3)).astype(np.float32)]
    names = subset(SEVEN[:3])
    read = calibrate.reading(looks, looks[0].argmax(axis=1), [0.5, 0.3, 0.2], names)
    assert read["prediction_sets"]["checked"] is None
    assert read["prediction_sets"]["faces"] == 99


# -- in use ----------------------------------------------------------------------------------------


def fakes(known: PredictionSets | None, settings: Settings) -> Analyzer:
    recognizer = FakeRecognizer("happiness", 0.6)
    recognizer.info = replace(recognizer.info, prediction_sets=known, base_rates=tuple([0.125] * 8))
    return Analyzer(settings, recognizer=recognizer, detector=FakeDetector((10, 10, 60, 60)))


def wide(threshold: float) -> PredictionSets:
    return PredictionSets(BaseRates(), 100, (threshold,) * 500)


def picture() -> Frame:
    return Frame(np.random.default_rng(0).integers(0, 256, (100, 120, 3), np.uint8), source="a.png")


def test_a_face_has_its_set_likeliest_first() -> None:
    (one,) = fakes(wide(0.5), Settings(coverage=0.9)).analyze_frame(picture())
    assert one.prediction_set == ("happiness",)
    (two,) = fakes(wide(0.95), Settings(coverage=0.9)).analyze_frame(picture())
    assert two.prediction_set is not None
    assert two.prediction_set[0] == "happiness"
    assert len(two.prediction_set) == 8
    (none,) = fakes(wide(0.5), Settings()).analyze_frame(picture())
    assert none.prediction_set is None


def test_the_meta_file_says_what_was_promised() -> None:
    meta = records.meta(fakes(wide(0.5), Settings(coverage=0.9)))
    assert meta["prediction_sets"] == {"coverage": 0.9, "faces": 100}
    assert meta["base_rates"]["strength"] == 0.75
    assert records.meta(fakes(wide(0.5), Settings()))["prediction_sets"] is None


def test_a_model_without_them_says_how_to_get_them() -> None:
    with pytest.raises(ModelError, match=r"not calibrated for prediction sets .*mien calibrate"):
        fakes(None, Settings(coverage=0.9))


@pytest.mark.parametrize(
    "rates", [BaseRates("training"), BaseRates("equal", 1.0), BaseRates("world.json")]
)
def test_at_other_base_rates_nothing_is_promised(rates: BaseRates, tmp_path: Path) -> None:
    if rates.target == "world.json":
        (tmp_path / "world.json").write_text(str(dict.fromkeys(SEVEN, 1)).replace("'", '"'))
        rates = BaseRates(str(tmp_path / "world.json"))
    with pytest.raises(ConfigError, match=r"hold at equal \(strength 0.75\) base rates"):
        fakes(wide(0.5), Settings(coverage=0.9, base_rates=rates))
    fakes(wide(0.5), Settings(coverage=0.9, base_rates=BaseRates()))


def test_smoothed_answers_have_none(tmp_path: Path) -> None:
    analyzer = fakes(wide(0.5), Settings(coverage=0.9))
    clip = video(tmp_path / "clip.mp4")
    for smooth in ("causal", "two-sided"):
        with pytest.raises(ConfigError, match="smoothing changes these"):
            next(analyze_video(clip, analyzer, smooth=smooth))
    with pytest.raises(ConfigError, match="smoothing changes these"):
        Live(analyzer, source(str(clip)))
    frames = list(analyze_video(clip, analyzer))
    assert frames
    assert {face.prediction_set for _, faces in frames for face in faces} == {("happiness",)}


def test_settings_travel_to_other_processes() -> None:
    assert pickle.loads(pickle.dumps(Settings(coverage=0.9))).coverage == 0.9


def test_every_face_of_many(model: OnnxRecognizer, dealt: list[Table]) -> None:
    """Through the analyzer as through the model, face by face."""
    crops = list(dealt[1].keep(i < 20 for i in range(700)).pictures())
    analyzer = Analyzer(Settings(coverage=0.9, crops=True), recognizer=model)
    found: list[Sequence[str] | None] = [
        face.prediction_set for crop in crops for face in analyzer.analyze(crop)
    ]
    known, labels = model.info.prediction_sets, model.info.label_set.labels
    assert known is not None
    few = dealt[1].keep(i < 20 for i in range(700))
    _, cut = cut_faces(few, Finder(None), model.info.align, model.info.preprocess.size)
    inside = known.of(model.probabilities(cut, BaseRates()), 0.9)
    assert [set(one or ()) for one in found] == [
        {label for label, among in zip(labels, row, strict=True) if among} for row in inside
    ]
