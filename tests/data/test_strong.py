"""The strong frames of made sequences: a real face fades into the same person's smile and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.analysis.pipeline import Analyzer
from mien.app.verbs import main
from mien.data import strong, table
from mien.data.table import Row, Table, png
from mien.errors import DataError, ModelError, UnknownName
from mien.expression.recognize import load_model
from mien.face import ImageArray
from mien.media.image import read_bytes, read_file
from mien.testing import FakeRecognizer

FADE = (0.0, 0.0, 0.2, 0.5, 0.8, 1.0, 1.0, 0.8, 0.5, 0.2, 0.0, 0.0)


@pytest.fixture(scope="module")
def sequences(jaffe_table: Table) -> Table:
    """Neutral to happiness and back, of three women of JAFFE; and one who only looks neutral."""
    of = {(row.subject, row.label): read_bytes(row.image, row.id) for row in jaffe_table.rows}
    people = sorted({str(row.subject) for row in jaffe_table.rows})
    smiles = [p for p in people if strength(of[p, "happiness"]) > 0.8][:3]
    assert len(smiles) == 3
    rows = []
    for person in smiles:
        first, last = (of[person, label].astype(float) for label in ("neutral", "happiness"))
        frames = [first * (1 - share) + last * share for share in FADE]
        rows += take(person, [np.asarray(np.rint(f), np.uint8) for f in frames])
    rows += take("still", [of[smiles[0], "neutral"]] * 6)
    return Table("made", rows)


def strength(picture: ImageArray) -> float:
    (face, *_) = Analyzer().analyze(picture)
    assert face.intensity is not None
    return face.intensity.as_dict()["happiness"]


def take(person: str, frames: list[ImageArray]) -> list[Row]:
    return [
        Row(f"{person}/{i:02}", "all", "happiness", png(f), 256, 256, None, person, sequence="t")
        for i, f in enumerate(frames)
    ]


def test_the_peak_is_found_and_the_neutral_ends_are_left_out(sequences: Table) -> None:
    takes = strong.measured(sequences, load_model())
    assert [len(one.rows) for one in takes] == [12, 12, 12, 6]
    for one in takes[:3]:
        assert one.kept[5:7].all()
        assert not one.kept[[0, 1, 10, 11]].any()
    assert not takes[3].kept.any(), "nobody smiled"
    kept = strong.kept(sequences, takes)
    assert {row.subject for row in kept.rows} == {one.rows[0].subject for one in takes[:3]}


def test_a_stricter_share_keeps_fewer(sequences: Table) -> None:
    model = load_model()
    counts = [
        sum(int(one.kept.sum()) for one in strong.measured(sequences, model, share))
        for share in (0.3, 0.8, 0.99)
    ]
    assert counts[0] > counts[1] > counts[2] > 0


def test_by_the_command_with_a_sheet(
    sequences: Table,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, out, look = (tmp_path / name for name in ("in.parquet", "out.parquet", "look.png"))
    alone = replace(sequences.rows[0], id="alone", sequence=None)
    table.write(replace(sequences, rows=[*sequences.rows, alone]), data)
    words = ["data", "strong", str(data), "--out", str(out), "--sheet", str(look)]
    monkeypatch.setattr("sys.argv", ["mien", *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    said = capsys.readouterr().err
    assert "of 3 sequences; 1 show too little" in said
    assert "left out 1 pictures that belong to no sequence" in said
    assert 0 < len(table.read(out)) < len(sequences)
    sheet = read_file(look)
    blue = (np.abs(sheet.astype(int) - (0, 114, 178)).max(axis=2) < 8).sum()
    assert blue > 1000, "the kept ones are framed"


def test_what_cannot_be_measured_is_refused(sequences: Table) -> None:
    loose = replace(sequences, rows=[replace(row, sequence=None) for row in sequences.rows])
    with pytest.raises(DataError, match="made has no sequences; import one that has"):
        strong.measured(loose, load_model())
    with pytest.raises(ModelError, match="fake tells no intensities"):
        strong.measured(sequences, FakeRecognizer())
    odd = replace(sequences, rows=[replace(row, label="unknown") for row in sequences.rows])
    with pytest.raises(UnknownName, match="unknown"):
        strong.measured(odd, load_model())
