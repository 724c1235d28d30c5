"""Rows chosen by what their further columns say: tables, recipes, the command line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mien.data import table
from mien.data.only import only
from mien.data.table import Row, Table
from mien.errors import ConfigError, DataError
from mien.training import arrange, recipes
from mien.training.recipes import ExpressionRecipe


def seen(camera: str | None, number: int) -> Row:
    more = {"camera": camera} if camera else {}
    name, label = f"rafd/{number}", ("happiness", "anger", "fear")[number % 3]
    return Row(name, "all", label, b"", 1, 1, more={**more, "gaze": "lr"[number % 2]})


@pytest.fixture
def posed() -> Table:
    cameras = ["090", "045", "090", None, "090", "180", "090"]
    return Table("rafd", [seen(camera, i) for i, camera in enumerate(cameras)])


def test_only_the_rows_of_one_camera(posed: Table) -> None:
    kept = only(posed, {"camera": "090"})
    assert [row.id for row in kept.rows] == ["rafd/0", "rafd/2", "rafd/4", "rafd/6"]
    assert kept.notes["only"] == {"columns": {"camera": "090"}, "rows": {"given": 7, "kept": 4}}
    assert len(only(posed, {"camera": "090", "gaze": "l"})) == 4
    assert only(posed, {}) is posed


def test_a_filter_that_leaves_nothing_says_what_there_is(posed: Table) -> None:
    with pytest.raises(
        DataError, match=r"none of the 7 rows of rafd has '90' for its camera; "
    ) as e:
        only(posed, {"camera": "90"})
    assert str(e.value).endswith("there is 090 (4), 045 (1), (nothing) (1), 180 (1)")
    with pytest.raises(
        DataError, match=r"none of the 4 rows of .* 'r' for its gaze besides camera ="
    ):
        only(posed, {"camera": "090", "gaze": "r"})


def test_a_column_that_is_not_there(posed: Table) -> None:
    with pytest.raises(
        DataError, match=r"rafd has no column 'kamera'; it has camera, gaze, subject"
    ):
        only(posed, {"kamera": "090"})


def test_a_recipe_trains_on_them_alone(posed: Table, tmp_path: Path) -> None:
    table.write(posed, tmp_path / "rafd.parquet")
    recipe = recipes.read(recipes.find("iliev2022"), ["only.camera=090", "only.gaze=l"])
    assert isinstance(recipe, ExpressionRecipe)
    assert recipe.only == {"camera": "090", "gaze": "l"}
    plain = replace(recipe, copies=None, split=None)
    assert [row.id for row in arrange.read(plain, tmp_path / "rafd.parquet").rows] == [
        row.id for row in only(posed, recipe.only).rows
    ]
    other = replace(plain, only={"camera": "045"})
    assert len(arrange.read(other, tmp_path / "rafd.parquet")) == 1


def test_a_recipe_s_column_holds_a_text() -> None:
    with pytest.raises(ConfigError, match=r"only\.camera is a text, got 90"):
        recipes.read(recipes.find("iliev2022"), ["only.camera=90"])
    with pytest.raises(ConfigError, match="only is a table, got"):
        recipes.from_values({"only": "camera"})


def test_faces_are_cut_level_by_an_alignment() -> None:
    for recipe in ("iliev2022", "autoencoder2018"):
        with pytest.raises(ConfigError, match=r'turns faces level: .* "mouth", not "box"'):
            recipes.read(recipes.find(recipe), ["cut.by=landmarks"])
