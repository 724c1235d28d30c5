"""A head that learns from pictures of its own: LFW's faces and JAFFE's beside FER+'s."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mien.data import table
from mien.data.cut import Cut
from mien.data.occlude import Occlude
from mien.data.splits import Split
from mien.data.table import Table
from mien.errors import ConfigError, DataError, ModelError
from mien.evaluation import cards, panel
from mien.expression.recognize import ModelInfo, load_model
from mien.labels import label_set
from mien.training import checkpoint
from mien.training.export import export
from mien.training.expression_data import Also
from mien.training.expression_task import ExpressionTask, prepare
from mien.training.recipes import ExpressionRecipe
from mien.training.seen import seen
from mien.training.train import train
from mien.training.warmstart import Start

from .test_distill import member
from .test_distill import recipe as named
from .test_train import Silent, recipe

ALIGNED = replace(recipe().model, align="similarity")
LABELS = tuple(label for label in label_set("ferplus").labels if label != "contempt")
LFW = Also(table="lfw", label_set="fer2013", pictures="own", train="learnt", select="held back")


@pytest.fixture(scope="module")
def faces(lfw_table: Table) -> Table:
    """A few of LFW's faces, every fourth of them held back."""
    few = lfw_table.rows[::20]
    splits = ("held back", "learnt", "learnt", "learnt")
    rows = [replace(row, split=splits[i % 4]) for i, row in enumerate(few)]
    return replace(lfw_table, rows=rows)


def learning(*heads: Also) -> ExpressionRecipe:
    return replace(recipe("train.epochs=1"), also=heads)


def test_a_head_with_pictures_of_its_own_asks_nothing_of_others(
    small_ferplus: Path, faces: Table
) -> None:
    ferplus = table.read(small_ferplus)
    plain = prepare(recipe(), ferplus)
    sets = prepare(learning(LFW), ferplus, further={"lfw": faces})
    before, learnt = len(plain.train), faces.of_split("learnt")
    assert len(sets.train) == sets.draws == before + len(learnt)
    torch.testing.assert_close(sets.train.x[:before], plain.train.x)
    torch.testing.assert_close(sets.train.y[:before, :8], plain.train.y)
    assert not sets.train.y[:before, 8:].any()
    assert not sets.train.y[before:, :8].any()
    told = sets.train.y[before:, 8:].argmax(1).tolist()
    assert told == learnt.targets(label_set("fer2013")).tolist()
    spec = recipe().model.preprocess
    np.testing.assert_array_equal(sets.train.x[before:].numpy(), learnt.planes(spec))
    held_back = faces.of_split("held back")
    assert len(sets.select) == len(plain.select) + len(held_back)
    assert sets.facts["counts"]["train_lfw"] == sets.facts["counts"]["lfw_rows"] == len(learnt)
    assert sets.facts["base_rates"] == plain.facts["base_rates"]
    assert sum(sets.facts["head_rates"]["lfw"]) == pytest.approx(1)


def test_without_splits_every_picture_is_learnt_from(small_ferplus: Path, faces: Table) -> None:
    head = replace(LFW, train=None, select=None)
    ferplus = table.read(small_ferplus)
    sets = prepare(learning(head), ferplus, further={"lfw": faces})
    assert sets.facts["counts"]["train_lfw"] == len(faces)
    assert len(sets.select) == len(prepare(recipe(), ferplus).select)


def test_raters_are_learnt_as_shares_of_what_they_saw(
    small_ferplus: Path, jaffe_table: Table
) -> None:
    """JAFFE's sixty raters graded six expressions; its neutral faces were graded, too."""
    head = Also("jaffe", "iliev2022", pictures="own", target="strengths")
    few = replace(jaffe_table, rows=jaffe_table.rows[::10])
    sets = prepare(learning(head), table.read(small_ferplus), further={"jaffe": few})
    told = sets.train.y[-len(few) :, 8:].numpy()
    graded = few.strengths(label_set("iliev2022"))
    np.testing.assert_allclose(told, graded / graded.sum(1, keepdims=True), rtol=1e-5)
    assert sets.facts["counts"]["train_jaffe"] == len(few)


def test_votes_and_rows_without_any_are_told_apart(small_ferplus: Path) -> None:
    ferplus = table.read(small_ferplus)
    others = replace(
        ferplus, rows=[replace(row, id=f"other/{row.id}") for row in ferplus.rows[::50]]
    )
    others.rows[0] = replace(others.rows[0], votes=None)  # type: ignore[index]
    head = Also("other", "ferplus", pictures="own", target="votes")
    plain = replace(learning(head), data=replace(recipe().data, drop_overlap=False))
    sets = prepare(plain, ferplus, further={"other": others})
    counts = sets.facts["counts"]
    assert counts["other_without_label"] >= 1
    assert counts["train_other"] == counts["other_rows"] - counts["other_without_label"]
    torch.testing.assert_close(
        sets.train.y[-counts["train_other"] :, 8:].sum(1), torch.ones(counts["train_other"])
    )


def test_what_shows_a_tested_picture_is_left_out(small_ferplus: Path, faces: Table) -> None:
    """The very picture, and a darker copy of another one."""
    ferplus = table.read(small_ferplus)
    tested = ferplus.of_split("PrivateTest")
    same = replace(tested.rows[0], id="mine/same", split="learnt")
    picture = next(iter(replace(tested, rows=[tested.rows[1]]).pictures()))
    darker = table.png(np.asarray(picture * 0.8, np.uint8))
    alike = replace(tested.rows[1], id="mine/alike", split="learnt", image=darker)
    mine = replace(faces, rows=[*faces.rows, same, alike])
    strict = replace(learning(LFW), data=replace(recipe().data, drop_near=True))
    counts = prepare(strict, ferplus, further={"lfw": mine}).facts["counts"]
    assert counts["lfw_pixels_in_tested_splits"] == 1
    assert counts["lfw_near_duplicates_in_tested_splits"] == 1
    assert counts["train_lfw"] == counts["lfw_rows"] - 2


def test_what_shows_a_picture_that_judges_its_head_is_left_out(
    small_ferplus: Path, faces: Table
) -> None:
    held_back = faces.of_split("held back")
    twice = [replace(row, id=f"{row.id} again", split="learnt") for row in held_back.rows[:3]]
    mine = replace(faces, rows=[*faces.rows, *twice])
    counts = prepare(learning(LFW), table.read(small_ferplus), further={"lfw": mine}).facts[
        "counts"
    ]
    assert counts["lfw_pixels_in_tested_splits"] == 3
    assert counts["train_lfw"] == counts["lfw_rows"] - 3


def test_pictures_held_back_for_a_head_are_counted(small_ferplus: Path, faces: Table) -> None:
    rows = [*faces.rows, replace(faces.rows[0], id="lfw/unknown", label="unknown")]
    sets = prepare(
        learning(LFW), table.read(small_ferplus), further={"lfw": replace(faces, rows=rows)}
    )
    assert sets.facts["counts"]["select_lfw"] == len(faces.of_split("held back"))


def test_labels_that_a_set_lacks_are_said_and_left_out(
    small_ferplus: Path, faces: Table, caplog: pytest.LogCaptureFixture
) -> None:
    few = faces.keep(row.label in ("happiness", "neutral") for row in faces.rows)
    ferplus = table.read(small_ferplus)
    prepare(learning(LFW), ferplus, further={"lfw": few})
    assert "'lfw' learns from shows anger, disgust" in caplog.text
    assert "also.labels" in caplog.text
    caplog.clear()
    two = replace(LFW, labels=("happy", "neutral"))
    sets = prepare(learning(two), ferplus, further={"lfw": few})
    assert "'lfw'" not in caplog.text
    assert two.names.labels == ("happiness", "neutral")
    assert sets.train.y.shape[1] == 8 + 2


def test_photographs_beside_faces_are_pointed_out(
    small_ferplus: Path, jaffe_table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    few = replace(jaffe_table, rows=jaffe_table.rows[::10])
    prepare(
        learning(Also("jaffe", "jaffe", pictures="own")),
        table.read(small_ferplus),
        further={"jaffe": few},
    )
    assert "jaffe holds photographs" in caplog.text


@pytest.mark.parametrize(
    "names", [("rows",), ("train",), ("balanced",), ("own",), ("",), ("a=b",), ("a", "a_balanced")]
)
def test_a_heads_counts_and_figures_go_by_names_of_their_own(names: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="cannot call a table"):
        learning(*(replace(LFW, table=name) for name in names))


def test_tables_beside_the_recipes_are_taken_as_they_are() -> None:
    for changes in ({"cut": Cut()}, {"occlude": Occlude("eyes")}):
        data = replace(recipe().data, drop_overlap=False)
        with pytest.raises(ConfigError, match=r"no \[cut\], no \[occlude\]; cut all tables alike"):
            replace(recipe(), data=data, model=ALIGNED, also=(LFW,), **changes)


@pytest.fixture(scope="module")
def lfw(faces: Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "lfw.parquet"
    table.write(faces, path)
    return path


@pytest.fixture(scope="module")
def run(small_ferplus: Path, lfw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "further"
    train(learning(LFW), small_ferplus, out, Silent(), "cpu", also={"lfw": lfw})
    return out


def test_the_log_tells_how_right_each_head_is(run: Path) -> None:
    (line,) = (json.loads(line) for line in (run / "log.jsonl").read_text().splitlines())
    assert {"accuracy", "lfw_accuracy", "lfw_balanced_accuracy"} <= line["select"].keys()


def test_its_head_is_a_model_that_says_whose_pictures_it_learnt_from(
    run: Path, small_ferplus: Path, lfw: Path, faces: Table, tmp_path: Path
) -> None:
    for head in ("own", "lfw"):
        export(run, small_ferplus, tmp_path / f"{head}.onnx", head=head, also={"lfw": lfw})
    for head in ("own", "lfw"):
        info = load_model(tmp_path / f"{head}.onnx").info
        said = set(info.card["training"]["sources"])
        assert said == {*table.read(small_ferplus).sources, *faces.sources}
        assert info.label_set.labels == label_set("ferplus" if head == "own" else "fer2013").labels
        member = panel.Member(panel.Set("lfw", "lfw.parquet"), faces)
        assert panel.role(info, said, member) != "never seen"


def test_a_panel_tells_what_each_split_of_its_pictures_was(
    run: Path, small_ferplus: Path, lfw: Path, faces: Table, tmp_path: Path
) -> None:
    roles = {"own": ["trained on", "held out"], "lfw": ["trained on", "chosen by"]}
    for head, told in roles.items():
        export(run, small_ferplus, tmp_path / f"{head}.onnx", head=head, also={"lfw": lfw})
        info = load_model(tmp_path / f"{head}.onnx").info
        assert _roles(info, faces.of_split("learnt"), faces.of_split("held back")) == told
        assert ("its head 'lfw'" in cards.card(info)) == (head == "lfw")
        ferplus = table.read(small_ferplus)
        sides = [ferplus.of_split(s) for s in ("Training", "PublicTest", "PrivateTest")]
        assert _roles(info, *sides) == ["trained on", "chosen by", "held out"]


def _roles(info: ModelInfo, *sides: Table) -> list[str]:
    sources = set(info.card["training"]["sources"])
    members = [panel.Member(panel.Set("a", "a.parquet"), rows) for rows in sides]
    return [panel.role(info, sources, member) for member in members]


def test_what_a_run_begins_with_and_its_teachers_know_is_told_too(
    run: Path, small_ferplus: Path, lfw: Path, faces: Table, tmp_path: Path
) -> None:
    mine = replace(
        faces, name="mine", rows=[replace(row, id=f"mine/{row.id}") for row in faces.rows]
    )
    table.write(mine, tmp_path / "mine.parquet")
    data = replace(recipe().data, label_set="ferplus", train="learnt", select="held back")
    data = replace(data, test="held back", target="label", labels=LABELS)
    alone = replace(recipe("train.epochs=1"), data=data)
    export(run, small_ferplus, tmp_path / "own.onnx", also={"lfw": lfw})
    known = {"mine", *table.read(small_ferplus).sources, *faces.sources}
    train(alone, tmp_path / "mine.parquet", tmp_path / "a", Silent(), "cpu", tmp_path / "own.onnx")
    parts = json.loads((tmp_path / "a/environment.json").read_text())["seen"]
    assert {source for part in parts for source in part["sources"]} == known
    taught = replace(learning(replace(LFW, table="other")), data=replace(recipe().data))
    taught = replace(taught, data=replace(taught.data, teacher_weight=0.5))
    also = {"other": tmp_path / "mine.parquet"}
    train(taught, small_ferplus, tmp_path / "b", Silent(), "cpu", teachers=[run], also=also)
    parts = json.loads((tmp_path / "b/environment.json").read_text())["seen"]
    assert {source for part in parts for source in part["sources"]} == known


def test_a_table_that_a_run_dealt_itself_was_trained_on(small_ferplus: Path) -> None:
    given = table.read(small_ferplus)
    dealt = replace(recipe(), split=Split("stratified"))
    (part,) = seen(dealt, given, {}, ())
    assert part["trained on"] == list(given.splits)
    assert part["chosen by"] == []


def test_another_table_than_the_heads_is_not_exported_with(
    run: Path, small_ferplus: Path, faces: Table, tmp_path: Path
) -> None:
    table.write(replace(faces, rows=faces.rows[1:]), tmp_path / "lfw.parquet")
    with pytest.raises(DataError, match=r"lfw\.parquet is not the table .* was trained on"):
        export(run, small_ferplus, tmp_path / "m.onnx", also={"lfw": tmp_path / "lfw.parquet"})
    with pytest.raises(DataError, match=r"no such table: .*no\.parquet; the run learnt from lfw"):
        export(run, small_ferplus, tmp_path / "m.onnx", also={"lfw": tmp_path / "no.parquet"})


def test_a_head_that_nothing_was_held_back_for_is_not_exported(
    small_ferplus: Path, lfw: Path, tmp_path: Path
) -> None:
    also = {"lfw": lfw}
    whole = learning(replace(LFW, train=None, select=None))
    train(whole, small_ferplus, tmp_path / "run", Silent(), "cpu", also=also)
    with pytest.raises(DataError, match=r"to calibrate 'lfw' by.*also\.select"):
        export(tmp_path / "run", small_ferplus, tmp_path / "m.onnx", head="lfw", also=also)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pictures": "others"}, r"also\.pictures are same or own, got 'others'"),
        ({"target": "guess"}, r"also\.target is votes, label or strengths, got 'guess'"),
        ({"pictures": "same"}, r"go with pictures of its own: also\.pictures = 'own'"),
        ({"train": None}, r"also\.select = 'held back' needs also\.train"),
        ({"train": "held back"}, r"also\.train and also\.select are both 'held back'"),
        ({"labels": ("happiness",)}, r"also\.labels are two or more, got \['happiness'\]"),
    ],
)
def test_settings_that_do_not_fit_say_what_does(changes: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(LFW, **changes)


def test_labels_are_not_balanced_beside_pictures_of_a_heads_own() -> None:
    with pytest.raises(ConfigError, match=r"data\.balance = 0"):
        replace(recipe("data.balance=0.5"), also=(LFW,))


def test_tables_that_have_nothing_to_say_are_named(small_ferplus: Path, faces: Table) -> None:
    ferplus = table.read(small_ferplus)
    turned = replace(faces, notes={"align": "similarity"})
    with pytest.raises(ConfigError, match=r"cut by 'similarity', .* is 'box'"):
        prepare(learning(LFW), ferplus, further={"lfw": turned})
    strange = replace(faces, rows=[replace(row, label="unknown") for row in faces.rows])
    with pytest.raises(DataError, match="nothing left for 'lfw' to learn"):
        prepare(learning(LFW), ferplus, further={"lfw": strange})
    undealt = replace(faces, rows=[replace(row, split="all") for row in faces.rows])
    with pytest.raises(DataError, match="no split 'learnt'"):
        prepare(learning(LFW), ferplus, further={"lfw": undealt})
    with pytest.raises(DataError, match="has no votes"):
        prepare(learning(replace(LFW, target="votes")), ferplus, further={"lfw": faces})


def test_a_run_begins_with_another_that_had_fewer_heads(tmp_path: Path) -> None:
    before = member(tmp_path / "a", 1)
    more = named("mien", "model.size=32")
    more = replace(more, also=(LFW, *more.also))  # between the recipe's own and FER2013's
    net = ExpressionTask(more).network()
    fresh = {k: v.clone() for k, v in net.state_dict().items()}
    Start(str(before)).fill(net, more, torch.zeros(1, 1, 32, 32))
    theirs = checkpoint.average(before / "checkpoint.safetensors")
    for name, value in net.state_dict().items():
        if name.startswith("classifier."):
            torch.testing.assert_close(value[:8], theirs[name][:8])
            torch.testing.assert_close(value[8:15], fresh[name][8:15])
            torch.testing.assert_close(value[15:], theirs[name][8:])
        else:
            torch.testing.assert_close(value, theirs[name])


def test_a_run_without_any_of_the_heads_is_no_beginning(tmp_path: Path) -> None:
    before = member(tmp_path / "a", 1)
    data = replace(recipe().data, label_set="fer2013", target="label")
    other = replace(named("mien", "model.size=32"), data=data, also=())
    net = ExpressionTask(other).network()
    with pytest.raises(ModelError, match="answers own, fer2013, and none of the recipe's heads"):
        Start(str(before)).fill(net, other, torch.zeros(1, 1, 32, 32))


def test_another_network_is_told_in_a_few_lines() -> None:
    """Torch lists every weight that is missing."""
    other = recipe("model.name=mobileface", "model.align=similarity")
    net = ExpressionTask(other).network()
    with pytest.raises(ModelError, match="holds another network's weights") as told:
        Start("mien").fill(net, other, torch.zeros(1, 1, 48, 48))
    assert len(str(told.value)) < 600
