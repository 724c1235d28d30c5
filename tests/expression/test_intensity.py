"""How strongly an expression shows: from answers, fitted, learnt, in records and pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mien import config
from mien.analysis.pipeline import Analyzer
from mien.app.verbs import main
from mien.data import table
from mien.data.cut import faces_of
from mien.data.table import Row, Table
from mien.errors import ConfigError, DataError, ShapeError
from mien.evaluation.evaluate import evaluate
from mien.evaluation.metrics import intensity_score
from mien.expression import intensity
from mien.expression.baserates import BaseRates
from mien.expression.intensity import Strengths
from mien.expression.logits import sigmoid, softmax
from mien.expression.recognize import OnnxRecognizer, load_model
from mien.face import FloatArray, Frame, ImageArray
from mien.labels import label_set, subset
from mien.results import records
from mien.training import calibrate, recipes
from mien.training.export import metadata, recalibrated, with_metadata
from mien.training.expression_data import sides
from mien.training.expression_task import IntensityTask
from mien.training.recipes import ExpressionRecipe
from mien.training.tasks import Samples
from mien.training.train import task_of

TWO = subset(["happiness", "sadness"])


def answers(n: int = 400, k: int = 3, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).normal(0, 2, (n, k)).astype(np.float32)


def test_a_network_trained_for_intensities_gives_its_sigmoids() -> None:
    logits = np.array([[0.0, 30.0, -40.0]], np.float32)
    np.testing.assert_allclose(Strengths().of(logits), [[0.5, 1, 0]], atol=1e-6)


def test_fit_finds_the_scale_that_people_used() -> None:
    logits = answers()
    true = Strengths(((0.5, 0.0, 0.0), (0.0, 0.8, 0.2), (0.1, 0.0, 1.0)), (-0.5, 0.1, 0.0))
    found = intensity.fit(logits, true.of(logits))
    np.testing.assert_allclose(found.of(logits), true.of(logits), atol=0.02)


def test_strengths_need_not_sum_to_one() -> None:
    rated = np.clip(softmax(answers()) * 1.5, 0, 1)  # two at once, or hardly any
    found = intensity.fit(answers(), rated).of(answers())
    assert found.sum(axis=1).max() > 1.1
    assert ((found >= 0) & (found <= 1)).all()


def test_strengths_survive_the_file() -> None:
    found = intensity.fit(answers(), softmax(answers()))
    again = intensity.from_dict(json.loads(json.dumps(found.as_dict())))
    np.testing.assert_allclose(again.of(answers()), found.of(answers()), atol=1e-4)
    assert intensity.from_dict(Strengths().as_dict()) == Strengths()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ShapeError, match="2 rows of weights and 1 offsets"):
        Strengths(((1.0, 0.0), (0.0, 1.0)), (0.0,))
    with pytest.raises(ShapeError, match=r"\(4, 3\), \(4, 2\)"):
        intensity.fit(answers(4), answers(4, 2))


def test_few_faces_move_weights_little_from_what_they_were() -> None:
    """Another maker's ratings of five faces are no reason to forget those of thousands."""
    before = Strengths(((2.0, 0.5, -1.0), (0.0, 1.0, 0.5), (1.0, 0.0, 1.5)), (0.1, -0.2, -1.0))
    few, others = answers(5), answers(400)[5:]
    kept, alone = (intensity.fit(few, before.of(few), start) for start in (before, None))
    of_kept, of_alone = (np.abs(f.of(others) - before.of(others)).mean() for f in (kept, alone))
    assert of_kept < 1e-3
    assert of_alone > 0.03


def test_labels_that_nobody_rated_keep_their_weights() -> None:
    logits = answers()
    before = intensity.fit(logits, softmax(logits))
    rated = np.full(logits.shape, np.nan, np.float32)
    rated[:, 1] = 0.25
    found = intensity.fit(logits, rated, before)
    assert before.weights is not None
    assert found.weights is not None
    assert found.weights[0] == before.weights[0]
    assert found.weights[2] == before.weights[2]
    np.testing.assert_allclose(found.of(logits)[:, 1], 0.25, atol=0.05)
    with pytest.raises(DataError, match="2 of 3 labels have no ratings to fit by"):
        intensity.fit(logits, rated)


def rated_rows(n: int, intensities: bool) -> Table:
    rows = [
        Row(
            str(i),
            "train",
            TWO.labels[i % 2],
            b"",
            1,
            1,
            votes=(i % 11, 10 - i % 11),
            intensity=(i % 5 / 4, 1 - i % 5 / 4) if intensities else None,
        )
        for i in range(n)
    ]
    return Table("made", rows, TWO.labels, {}, TWO.labels[::-1] if intensities else ())


def test_a_table_tells_strengths_by_ratings_or_by_votes() -> None:
    np.testing.assert_allclose(rated_rows(11, False).strengths(TWO)[3], [0.3, 0.7], atol=1e-6)
    # the table's order is the other way round
    np.testing.assert_allclose(rated_rows(11, True).strengths(TWO)[3], [0.25, 0.75], atol=1e-6)
    one = rated_rows(3, True)
    unrated = replace(one, rows=[replace(one.rows[0], intensity=None), *one.rows[1:]])
    assert unrated.is_rated.tolist() == [False, True, True]
    with pytest.raises(DataError, match="made has 1 rows without ratings, 0"):
        unrated.strengths(TWO)
    with pytest.raises(DataError, match="no ratings of fear"):
        one.strengths(subset(["happiness", "fear"]))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["answers=both"], "probabilities or intensities, got 'both'"),
        (["data.target=label"], "data.target is votes or strengths"),
        (["model.pretrained=googlenet-bvlc"], "no model.pretrained"),
    ],
)
def test_a_recipe_of_intensities_says_what_it_needs(overrides: list[str], message: str) -> None:
    values = config.read_toml(recipes.find("xu2019-intensity"))
    if overrides == ["answers=both"]:
        values["answers"], overrides = "both", []
    values = config.apply_overrides(values, overrides)
    with pytest.raises(ConfigError, match=message):
        recipes.from_values(values)


def test_the_loss_asks_each_label_by_itself() -> None:
    recipe = recipes.read(recipes.find("xu2019-intensity"))
    task = task_of(recipe)
    assert isinstance(task, IntensityTask)
    y = torch.tensor([[0.2, 0.8, 0, 0, 0, 0, 0]])
    best = torch.logit(y.clamp(1e-4, 1 - 1e-4))
    assert task.loss(best, y) < task.loss(best + 0.3, y)
    assert task.loss(best, y) < task.loss(best - 0.3, y)


class Fixed(torch.nn.Module):
    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.logits[: len(x)]


def test_the_best_epoch_is_the_nearest() -> None:
    task = task_of(recipes.read(recipes.find("xu2019-intensity")))
    y = torch.tensor([[0.2, 0.8], [0.9, 0.1]])
    select = Samples(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), y)
    near = task.score(Fixed(torch.logit(y)), select, torch.device("cpu"))
    far = task.score(Fixed(torch.zeros(2, 2)), select, torch.device("cpu"))
    assert near["rmse"] == pytest.approx(0, abs=1e-5)
    assert near["accuracy"] == 1
    assert task.rank(near) > task.rank(far)


def test_of_equally_accurate_epochs_the_likelier_is_the_better() -> None:
    task = task_of(recipes.read(recipes.find("folder")))
    one = {"accuracy": 0.3125, "balanced_accuracy": 0.4, "nll": 1.2}
    assert task.rank(one | {"nll": 0.9}) > task.rank(one)
    assert task.rank(one | {"accuracy": 0.375, "nll": 2.0}) > task.rank(one)


def test_the_default_model_tells_both_from_one_look(ferplus_table: Table) -> None:
    """Against its own probabilities and against the mean, on faces it was not fitted to."""
    model = load_model()
    held = ferplus_table.of_split("Training").keep(
        i < 2000 and row.label in model.info.label_set.labels
        for i, row in enumerate(ferplus_table.of_split("Training").rows)
    )
    read = model.read(list(held.pictures()), BaseRates("training"))
    assert read.intensity is not None
    assert read.intensity.shape == read.probs.shape
    rated = held.strengths(model.info.label_set)
    score = intensity_score(read.intensity, rated, model.info.label_set.labels)["overall"]
    assert score["rmse"] < 0.6 * score["rmse_of_mean"]
    plain = intensity_score(read.probs, rated, model.info.label_set.labels)["overall"]
    assert score["rmse"] < plain["rmse"]


def test_a_record_has_a_strength_for_every_label(astronaut: ImageArray) -> None:
    analyzer = Analyzer()
    frame = Frame(astronaut)
    (face,) = analyzer.analyze_frame(frame)
    told = records.record_of(frame, [face])["faces"][0]["intensity"]
    assert list(told) == list(label_set("mien8").labels)
    assert told["happiness"] > 0.9 > 0.2 > told["sadness"]
    row = next(records.flat_rows(records.record_of(frame, [face])))
    assert row["intensity_happiness"] == told["happiness"]


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["mien", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_intensities_alone_leave_the_probabilities(ferplus_table: Table) -> None:
    some = ferplus_table.of_split("PublicTest").keep(
        i < 400 for i in range(len(ferplus_table.of_split("PublicTest")))
    )
    before = load_model()
    content, meta = recalibrated("mien", some, "intensities")
    assert meta["temperature"] == before.info.temperature
    assert meta["card"]["read_anew"]["what"] == ["intensity"]
    assert content != before.content
    with pytest.raises(DataError, match="no votes or ratings"):
        recalibrated("mien", replace(some, vote_labels=()), "intensities")
    _, anew = recalibrated("mien", replace(some, vote_labels=()))
    assert before.info.strengths is not None
    assert anew["intensity"] == before.info.strengths.as_dict()  # of the same network's answers
    assert "graded" not in anew["card"]["read_anew"]
    assert anew["temperature"] == pytest.approx(before.info.temperature, rel=0.5)
    smiles = some.keep(row.label == "happiness" for row in some.rows)
    with pytest.raises(DataError, match="shows happiness only; how sure an answer may be shows"):
        recalibrated("mien", smiles)


def test_calibrating_by_the_command(
    ferplus_table: Table,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    part = ferplus_table.of_split("PublicTest")
    data, out = tmp_path / "t.parquet", tmp_path / "mine.onnx"
    table.write(part.keep(i < 300 for i in range(len(part))), data)
    assert run(monkeypatch, "calibrate", "mien", str(data), "--out", str(out)) == 0
    assert "with intensities" in capsys.readouterr().err
    assert load_model(out).info.strengths is not None
    none = table.read(data).keep([False] * 300)
    table.write(none, data)
    assert run(monkeypatch, "calibrate", "mien", str(data), "--out", str(out)) == 2
    assert "no face of a label that mien answers" in capsys.readouterr().err


def graded_jaffe(jaffe_table: Table, people: int) -> Table:
    """The faces of some women, rated for six expressions; one of them by nobody."""
    known = sorted({row.subject or "" for row in jaffe_table.rows})[:people]
    some = jaffe_table.keep(row.subject in known for row in jaffe_table.rows)
    faces = faces_of(some, "similarity", 64)
    return replace(faces, rows=[replace(faces.rows[0], intensity=None), *faces.rows[1:]])


def test_raters_of_ones_own_fit_what_they_rated(jaffe_table: Table) -> None:
    """Thirty-odd faces of two women: other women's strengths come much nearer to their raters'."""
    given = graded_jaffe(jaffe_table, 2)
    before = load_model()
    content, meta = recalibrated("mien", given, "intensities")
    graded = meta["card"]["read_anew"]["graded"]
    assert graded["labels"] == ["happiness", "surprise", "sadness", "anger", "disgust", "fear"]
    assert graded["faces"] == len(given) - 1
    assert before.info.strengths is not None
    was, now = before.info.strengths.as_dict(), meta["intensity"]
    for label in ("neutral", "contempt"):
        place = before.info.label_set.index(label)
        assert now["weights"][place] == was["weights"][place]
    other = jaffe_table.keep(row.subject == "YM" for row in jaffe_table.rows)
    others = faces_of(other, "similarity", 64)
    rates = [BaseRates("training")]
    ours, theirs = (
        evaluate(model, others, None, rates)["results"][0]["intensity"]["overall"]["rmse"]
        for model in (OnnxRecognizer(content, "mine", ""), before)
    )
    assert ours < 0.7 * theirs


def test_pictures_that_nobody_rated_are_not_scored_and_not_learnt(jaffe_table: Table) -> None:
    given = graded_jaffe(jaffe_table, 1)
    score = evaluate(load_model(), given, None, [BaseRates("training")])["results"][0]
    assert score["n"] == len(given)
    assert score["intensity"]["n"] == len(given) - 1
    dealt = replace(
        given,
        rows=[
            replace(row, split="Training" if i % 3 else "PublicTest")
            for i, row in enumerate(given.rows)
        ],
    )
    recipe = recipes.read(recipes.find("xu2019-intensity"))
    assert isinstance(recipe, ExpressionRecipe)
    asked = replace(
        recipe.data, labels=given.intensity_labels, test="PublicTest", drop_overlap=False
    )
    train, select, counts = sides(asked, dealt)
    assert (counts["train_unrated"], counts["select_unrated"]) == (0, 1)
    assert counts["train_used"] == len(train)
    assert None not in [row.intensity for row in (*train.rows, *select.rows)]


def test_a_network_of_intensities_has_nothing_to_fit(jaffe_table: Table) -> None:
    """Its sigmoids are what was learnt."""
    sure = load_model()
    meta = json.loads(metadata(sure.content)) | {"intensity": Strengths().as_dict()}
    model = OnnxRecognizer(with_metadata(sure.content, meta), "learnt", "")
    given = graded_jaffe(jaffe_table, 1)
    with pytest.raises(DataError, match="was trained for intensities, and has nothing to fit"):
        calibrate.intensities(model, given)
    meta["intensity"] = None
    model = OnnxRecognizer(with_metadata(sure.content, meta), "plain", "")
    with pytest.raises(
        DataError, match="tells no intensities yet, and jaffe has no ratings of neutral, c"
    ):
        calibrate.intensities(model, given)


def test_another_makers_model_cannot_be_read_anew(peer_models: Path, lfw_table: Table) -> None:
    with pytest.raises(Exception, match="none of mien's own"):
        calibrate.again(load_model("face-api"), lfw_table)


def test_drawing_intensities_needs_a_model_that_tells_them(
    peer_models: Path,
    astronaut: ImageArray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "a.png").write_bytes(table.png(astronaut))
    words = [
        "analyze",
        str(tmp_path / "a.png"),
        "--annotate",
        str(tmp_path / "out"),
        "--draw",
        "intensity",
    ]
    assert run(monkeypatch, *words, "--model", "face-api") == 2
    assert "tells no intensities; fit them" in capsys.readouterr().err
    assert run(monkeypatch, *words) == 0
    assert len(list((tmp_path / "out").glob("*.png"))) == 1


def test_sigmoid_of_the_far_ends() -> None:
    np.testing.assert_allclose(
        sigmoid(np.array([-1e4, 0, 1e4], np.float32)), [0, 0.5, 1], atol=1e-6
    )
