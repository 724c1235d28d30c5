from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.data import table
from mien.data.table import Row, Table
from mien.errors import ConfigError, DataError, UnknownName
from mien.evaluation import panel, plots
from mien.evaluation.evaluate import evaluate
from mien.expression.baserates import BaseRates
from mien.expression.recognize import ModelInfo, Reading, load_model
from mien.face import FloatArray, ImageArray
from mien.labels import label_set

LABELS = label_set("ferplus")


class Fixed:
    """Answers that are settled beforehand, whatever the pictures show."""

    def __init__(self, probs: FloatArray, card: dict[str, Any]) -> None:
        rates = tuple(np.full(len(LABELS), 1 / len(LABELS)).tolist())
        spec = load_model().info.preprocess
        self.info = ModelInfo("fixed", LABELS, spec, "", base_rates=rates, card=card)
        self._probs = probs

    def read(self, crops: Sequence[ImageArray], rates: BaseRates) -> Reading:
        return Reading(self._probs)

    def probabilities(self, crops: Sequence[ImageArray], rates: BaseRates) -> FloatArray:
        return self._probs


def member(name: str, labels: list[str], split: str = "all") -> panel.Member:
    image = table.png(np.full((48, 48, 3), 100, np.uint8))
    rows = [
        Row(f"{name}/{i}", split, label, image, 48, 48, subject=f"s{i % 2}")
        for i, label in enumerate(labels)
    ]
    return panel.Member(panel.Set(name, f"{name}.parquet"), Table(name, rows))


def one_hot(*labels: str) -> FloatArray:
    return np.eye(len(LABELS), dtype=np.float32)[[LABELS.index(label) for label in labels]]


TRAINED = {
    "training": {"sources": ["fer2013"], "splits": {"train": "Training", "select": "Select"}}
}


def test_contempt_is_no_answer_where_seven_are_asked() -> None:
    """A face that is most likely contempt counts by its likeliest of the other seven."""
    probs = np.full((2, len(LABELS)), 0.0, np.float32)
    probs[:, LABELS.index("contempt")] = 0.6
    probs[:, LABELS.index("fear")], probs[:, LABELS.index("anger")] = 0.3, 0.1
    found = panel.panel([Fixed(probs, {})], [member("lfw", ["fear", "anger"])])
    figures = found["models"][0]["sets"]["lfw"]["by_strength"]["0"]
    assert figures["accuracy"] == 0.5
    assert figures["recall"] == {"anger": 0.0, "fear": 1.0}
    assert found["labels"] == list(panel.SEVEN)
    assert "contempt" not in found["labels"]


@pytest.mark.parametrize(
    ("name", "split", "card", "told"),
    [
        ("fer2013", "Training", TRAINED, "trained on"),
        ("fer2013", "Select", TRAINED, "chosen by"),
        ("fer2013", "PrivateTest", TRAINED, "held out"),
        ("lfw", "all", TRAINED, "never seen"),
        ("lfw", "all", {}, "unknown"),
    ],
)
def test_a_set_says_what_it_was_to_the_model(
    name: str, split: str, card: dict[str, Any], told: str
) -> None:
    found = panel.panel(
        [Fixed(one_hot("fear", "anger"), card)], [member(name, ["fear", "anger"], split)]
    )
    (model,) = found["models"]
    assert model["sets"][name]["role"] == told
    assert (model["unseen"] is None) == (told not in ("never seen", "unknown"))


def test_the_mean_over_unseen_sets_leaves_out_those_it_was_made_with() -> None:
    seen, unseen = member("fer2013", ["fear", "fear"], "Select"), member("lfw", ["fear", "anger"])
    found = panel.panel([Fixed(one_hot("fear", "anger"), TRAINED)], [seen, unseen])
    assert found["models"][0]["unseen"]["0"] == 1.0
    assert found["models"][0]["sets"]["fer2013"]["by_strength"]["0"]["balanced_accuracy"] == 0.5


def test_the_default_model_answers_as_mien_evaluate_says(lfw_table: Table) -> None:
    """Every strength from one look is what each look with that strength would say."""
    some = lfw_table.keep(i % 12 == 0 for i in range(len(lfw_table)))
    some = some.keep(row.label in panel.SEVEN for row in some.rows)
    faces = panel.Member(panel.Set("lfw", "lfw.parquet"), some)
    model = load_model()
    (found,) = panel.panel([model], [faces])["models"]
    strengths = [BaseRates("equal", s) for s in panel.STRENGTHS]
    for told in evaluate(model, some, None, strengths)["results"]:
        ours = found["sets"]["lfw"]["by_strength"][f"{told['base_rates']['strength']:g}"]
        assert ours["n"] == told["n"]
        assert ours["accuracy"] == pytest.approx(told["accuracy"])
    assert panel.by_default(found["sets"]["lfw"]["by_strength"])["n"] == len(some)


def test_the_shipped_model_has_seen_fer2013_under_either_name(
    small_ferplus: Path, fer2013_table: Table
) -> None:
    """Its card names a table; FER2013's pictures are the same."""
    faces = table.read(small_ferplus)
    ids = {row.id for row in faces.rows}
    same = fer2013_table.keep(row.id in ids for row in fer2013_table.rows)
    members = [
        panel.Member(panel.Set(t.name, "t"), t.of_split("PublicTest").keep(_basic(t, "PublicTest")))
        for t in (replace(faces, name="ferplus"), same)
    ]
    (found,) = panel.panel([load_model()], members)["models"]
    assert {one["role"] for one in found["sets"].values()} == {"chosen by"}
    assert found["unseen"] is None
    with pytest.raises(DataError, match="nothing to draw"):
        plots.frontier({"models": [found], "unseen_sets": []}, "ferplus")


def _basic(faces: Table, split: str) -> list[bool]:
    return [row.label in panel.SEVEN for row in faces.of_split(split).rows]


def test_a_frontier_is_drawn_the_same_twice() -> None:
    sets = [member("fer2013", ["fear", "fear"], "Select"), member("lfw", ["fear", "anger"])]
    found = panel.panel([Fixed(one_hot("fear", "anger"), TRAINED)], sets)
    assert plots.frontier(found, "fer2013") == plots.frontier(found, "fer2013")


def test_a_panel_is_read_beside_its_file(small_ferplus: Path, tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(small_ferplus.read_bytes())
    file = tmp_path / "panel.toml"
    file.write_text('[[set]]\nname = "x"\ntable = "t.parquet"\nsplit = "PublicTest"\n')
    (one,) = panel.read(file)
    assert {row.split for row in one.rows.rows} == {"PublicTest"}
    assert {row.label for row in one.rows.rows} <= set(panel.SEVEN)
    file.write_text(file.read_text() * 2)
    with pytest.raises(ConfigError, match="two sets called 'x'"):
        panel.read(file)
    file.write_text("")
    with pytest.raises(ConfigError, match="missing setting: set"):
        panel.read(file)
    file.write_text('[[set]]\nname = "x"\ntabel = "t.parquet"\n')
    with pytest.raises(UnknownName, match="table"):
        panel.read(file)


def test_models_are_compared_on_sets_that_none_was_made_with() -> None:
    """A peer that does not say what it knows is not given the benefit of FER2013."""
    sets = [member("fer2013", ["fear", "fear"], "Select"), member("lfw", ["fear", "anger"])]
    ours, peer = Fixed(one_hot("fear", "fear"), TRAINED), Fixed(one_hot("fear", "fear"), {})
    found = panel.panel([ours, peer], sets)
    assert found["unseen_sets"] == ["lfw"]
    assert [model["unseen"]["0"] for model in found["models"]] == [0.5, 0.5]


def test_the_mean_of_models_is_no_more_innocent_than_they_are() -> None:
    sets = [member("fer2013", ["fear", "anger"], "Select"), member("lfw", ["fear", "anger"])]
    wavering = 0.4 * one_hot("fear", "fear") + 0.6 * one_hot("anger", "anger")
    two = [Fixed(wavering, {}), Fixed(one_hot("fear", "anger"), TRAINED)]
    found = panel.panel(two, sets, together=True)
    mean = found["models"][-1]
    assert mean["of"] == ["fixed", "fixed"]
    assert mean["sets"]["fer2013"]["role"] == "chosen by"
    assert mean["sets"]["lfw"]["by_strength"]["0"]["accuracy"] == 1.0  # each alone: one of two
    assert found["models"][0]["sets"]["lfw"]["by_strength"]["0"]["accuracy"] == 0.5
