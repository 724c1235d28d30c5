"""Mean maps over the faces of a table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mien.app.verbs import main
from mien.data import table
from mien.data.table import Table
from mien.errors import ShapeError
from mien.evaluation import attention
from mien.evaluation.plots import grid
from mien.expression.explain import PARTS
from mien.expression.recognize import load_model
from mien.media.image import read_file


@pytest.fixture(scope="module")
def some(lfw_table: Table) -> Table:
    """Happy and neutral faces of LFW, forty of each and three surprised ones."""
    rows = []
    for label, count in (("happiness", 40), ("neutral", 40), ("surprise", 3)):
        rows += [row for row in lfw_table.rows if row.label == label][:count]
    return Table("lfw", rows)


def test_means_and_shares(some: Table) -> None:
    found = attention.average(load_model(), some, None, 12)
    assert found.labels.labels == ("neutral", "happiness", "surprise")
    assert found.counts == (12, 12, 3)
    assert found.heat.shape == (3, 4, 64, 64)
    assert found.faces.shape == (3, 4, 64, 64, 3)
    np.testing.assert_allclose(found.shares.sum(axis=2), 1, atol=1e-4)
    assert 0 <= found.heat.min() <= found.heat.max() <= 1
    noisy = found.faces[1, 3, 40:53].astype(float), found.faces[1, 0, 40:53].astype(float)
    assert np.abs(noisy[0] - noisy[1]).mean() > 10, "the mouth is hidden"
    assert (found.faces[1, 3, :40] == found.faces[1, 0, :40]).all()
    shares = dict(zip(PARTS, found.shares[1, 0], strict=True))
    areas = dict(zip(PARTS, found.areas[1], strict=True))
    assert shares["mouth"] > areas["mouth"], "a smile is in the mouth"
    assert shares["outside"] < areas["outside"]
    again = attention.average(load_model(), some, None, 12)
    assert (again.heat == found.heat).all()


def test_the_command(
    some: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "t.parquet", tmp_path / "out"
    table.write(some, data)
    words = ["explain", str(data), "--average", "2", "--out", str(out)]
    monkeypatch.setattr("sys.argv", ["mien", *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code, capsys.readouterr().err
    told = json.loads((out / "average.json").read_text())
    assert told["conditions"] == ["none", "eyes", "nose", "mouth"]
    assert told["expressions"]["happiness"]["faces"] == 2
    assert set(told["expressions"]["happiness"]["shares"]["eyes"]) == set(PARTS)
    picture = read_file(out / "average.png")
    assert all((edge == 255).all() for edge in (picture[[0, -1]], picture[:, [0, -1]]))


def test_a_grid_needs_all_its_pictures() -> None:
    with pytest.raises(ShapeError, match="a grid of 1 x 2"):
        grid([[np.zeros((4, 4, 3), np.uint8)]], ["a"], ["b", "c"])
