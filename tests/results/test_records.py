"""Records: the exact schema, three formats that read back, and what an accident leaves behind."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mien
from mien.analysis.pipeline import Analyzer, Settings
from mien.errors import ConfigError, DataError, InputError, MissingExtra, OutputError, UnknownName
from mien.expression.baserates import BaseRates
from mien.face import Face, Frame
from mien.results import reading, records
from mien.results.records import Output, Record
from mien.testing import FakeDetector, FakeRecognizer

LABELS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
QUALITIES = (
    *("size_px", "sharpness", "brightness", "contrast", "inside"),
    *("yaw_rad", "pitch_rad", "roll_rad", "tilt_rad"),
)
NOT_UTF8 = os.fsdecode(b"caf\xe9.png")

# --- Made-up faces ----------------------------------------------------------------------------


def picture(source: str = "a.png") -> Frame:
    noise = np.random.default_rng(0).integers(0, 256, (100, 120, 3), np.uint8)
    return Frame(noise, source=source)


def fake(*boxes: tuple[float, float, float, float], **settings: Any) -> Analyzer:
    return Analyzer(
        Settings(**settings), recognizer=FakeRecognizer(), detector=FakeDetector(*boxes)
    )


@pytest.fixture
def analyzer() -> Analyzer:
    return fake((10, 10, 60, 60), (50, 20, 100, 70))


@pytest.fixture
def two_faces(analyzer: Analyzer) -> Record:
    return records.record_of(picture(), analyzer.analyze_frame(picture()))


@pytest.fixture
def no_face() -> Record:
    return records.record_of(picture("empty.png"), [])


@pytest.fixture
def error() -> Record:
    return records.of_error("bad.jpg", "bad.jpg is empty (0 bytes)")


def written(path: Path, analyzer: Analyzer, *rows: Record, **options: Any) -> Path:
    with Output(path, options.pop("form", None), analyzer, io.BytesIO(), **options) as output:
        for row in rows:
            output.write(row)
    return path


def meta_of(path: Path) -> dict[str, Any]:
    meta: dict[str, Any] = json.loads(path.with_name(path.name + ".meta.json").read_text())
    return meta


def lines(path: Path) -> list[Record]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# --- The schema -------------------------------------------------------------------------------


def test_the_keys_are_the_schemas(two_faces: Record) -> None:
    keys = ["schema", "source", "frame", "time_s", "status", "width", "height", "faces"]
    assert list(two_faces) == keys
    assert (two_faces["width"], two_faces["height"]) == (picture().width, picture().height)
    assert two_faces["schema"] == "mien/2"
    assert (two_faces["source"], two_faces["frame"], two_faces["time_s"]) == ("a.png", 0, 0.0)
    face = two_faces["faces"][0]
    assert list(face) == [
        "track",
        "box",
        "score",
        "landmarks",
        "emotions",
        "top",
        "picture_quality",
        "uncertain",
        "intensity",
        "quality",
        "prediction_set",
    ]
    assert tuple(face["emotions"]) == LABELS
    assert tuple(face["quality"]) == QUALITIES
    assert face["box"] == [10.0, 10.0, 60.0, 60.0]
    assert face["top"] == "happiness"
    assert math.isclose(sum(face["emotions"].values()), 1, abs_tol=1e-3)


def test_statuses(analyzer: Analyzer, no_face: Record, error: Record) -> None:
    faces = analyzer.analyze_frame(picture())
    poor = [replace(face, picture_quality=0.1) for face in faces]
    mixed = [faces[0], poor[1]]
    assert no_face["status"] == "no_face"
    assert no_face["faces"] == []
    assert "reason" not in no_face
    assert records.record_of(picture(), mixed)["status"] == "ok"
    assert records.record_of(picture(), poor)["status"] == "low_quality"
    assert error["status"] == "error"
    assert error["reason"] == "bad.jpg is empty (0 bytes)"
    assert {*error} == {*no_face, "reason"}


def test_a_frame_of_a_video_keeps_its_place() -> None:
    record = records.record_of(replace(picture(), index=7, time_s=0.28), [])
    assert (record["frame"], record["time_s"]) == (7, 0.28)


def test_numbers_are_short_decimals_and_never_nan(analyzer: Analyzer) -> None:
    [face, _] = analyzer.analyze_frame(picture())
    points = np.zeros((68, 2), np.float32)
    points[:3] = [[177.3, 66.1], [1 / 3, 2], [np.nan, 4]]
    assert face.quality
    odd = replace(face, landmarks=points, quality=replace(face.quality, sharpness=math.inf))
    [entry] = records.record_of(picture(), [odd])["faces"]
    assert entry["landmarks"][:2] == [[177.3, 66.1], [0.33, 2.0]]  # not 177.3000030517578
    assert entry["landmarks"][2] == [None, 4.0]
    assert len(entry["landmarks"]) == 68
    assert entry["quality"]["sharpness"] is None
    assert json.loads(json.dumps(entry, allow_nan=False)) == entry


def test_a_name_that_is_no_unicode_is_spelt_out() -> None:
    record = records.of_error(NOT_UTF8, f"{NOT_UTF8} is empty")
    assert record["source"] == "caf\\udce9.png"
    assert record["reason"] == "caf\\udce9.png is empty"
    assert records.record_of(picture(NOT_UTF8), [])["source"] == "caf\\udce9.png"


# --- The formats ------------------------------------------------------------------------------

NAMES = ["plain.png", 'a, "b".png', "two\nlines.png", "Ärger über 怒り.png", " =1+1 .png", NOT_UTF8]


def test_json_lines_read_back(tmp_path: Path, analyzer: Analyzer, two_faces: Record) -> None:
    rows = [two_faces | {"source": name} for name in NAMES[:-1]] + [records.of_error(NOT_UTF8, "x")]
    path = written(tmp_path / "out.jsonl", analyzer, *rows)
    assert lines(path) == rows
    assert "Ärger" in path.read_text(encoding="utf-8")  # not Ä


def test_csv_reads_back(
    tmp_path: Path, analyzer: Analyzer, two_faces: Record, no_face: Record, error: Record
) -> None:
    named = [records.of_error(name, f"{name} is empty") for name in NAMES]
    path = written(tmp_path / "out.csv", analyzer, two_faces, no_face, error, *named)
    content = path.read_bytes().decode("utf-8")
    assert content.splitlines()[0].removeprefix("\ufeff").split(",") == [
        *("source", "frame", "time_s", "status", "reason", "face", "track"),
        *("x0", "y0", "x1", "y1", "score", "top", "picture_quality", "uncertain"),
        *LABELS,
        *(f"intensity_{label}" for label in LABELS),
        *(f"quality_{name}" for name in QUALITIES),
        *("width", "height", "prediction_set"),
    ]
    assert "\r" not in content
    assert content.endswith("\n")
    assert content.startswith("\ufeff")  # or Excel takes it for another alphabet
    rows = list(csv.DictReader(io.StringIO(content[1:], newline="")))
    first, second, without, failed, *rest = rows
    assert (first["source"], first["face"], second["face"]) == ("a.png", "0", "1")
    assert (first["x0"], second["x1"], first["top"]) == ("10.0", "100.0", "happiness")
    for label in LABELS:
        assert float(first[label]) == two_faces["faces"][0]["emotions"][label]
    assert first["uncertain"] == "FALSE"  # R knows no False
    assert (first["width"], without["height"], failed["width"]) == (
        str(two_faces["width"]),
        str(no_face["height"]),
        "",
    )
    assert first["reason"] == first["track"] == ""
    filled = {"source", "frame", "time_s", "status", "reason", "width", "height"}
    for row, status in ((without, "no_face"), (failed, "error")):
        assert row["status"] == status
        assert {row[c] for c in row if c not in filled} == {""}
    assert failed["reason"] == "bad.jpg is empty (0 bytes)"
    assert [row["source"] for row in rest] == [*NAMES[:-1], "caf\\udce9.png"]


def test_csv_means_the_same_to_pandas(
    tmp_path: Path, analyzer: Analyzer, two_faces: Record, no_face: Record
) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.read_csv(written(tmp_path / "out.csv", analyzer, two_faces, no_face))
    assert list(table["happiness"].isna()) == [False, False, True]
    assert table["happiness"].dtype == np.float64
    assert list(table["status"]) == ["ok", "ok", "no_face"]


def test_parquet_reads_back(
    tmp_path: Path, analyzer: Analyzer, two_faces: Record, no_face: Record, error: Record
) -> None:
    path = written(tmp_path / "out.parquet", analyzer, two_faces, no_face, error)
    table = pq.read_table(path)
    types = {field.name: field.type for field in table.schema}
    assert [*types] == records.flat_columns(LABELS)
    for name, kind in types.items():
        if name in ("source", "status", "reason", "top", "prediction_set"):
            assert kind == pa.string()
        elif name in ("frame", "face", "track", "width", "height"):
            assert kind == pa.int64()
        else:
            assert kind == (pa.bool_() if name == "uncertain" else pa.float64())
    rows = table.to_pylist()
    assert [row["status"] for row in rows] == ["ok", "ok", "no_face", "error"]
    assert [row["face"] for row in rows] == [0, 1, None, None]
    assert rows[0]["happiness"] == two_faces["faces"][0]["emotions"]["happiness"]
    assert rows[0]["uncertain"] is False
    known = {"source", "frame", "time_s", "status"}
    size = {"width", "height"}
    assert {row for row in rows[2] if rows[2][row] is not None} == known | size
    assert {row for row in rows[3] if rows[3][row] is not None} == {*known, "reason"}


def test_parquet_in_several_groups(
    tmp_path: Path, analyzer: Analyzer, two_faces: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records.Parquet, "_ROWS", 10)
    rows = [two_faces | {"source": f"{i}.png"} for i in range(12)]  # 24 faces
    path = written(tmp_path / "out.parquet", analyzer, *rows)
    assert pq.ParquetFile(path).num_row_groups == 3
    assert pq.read_table(path)["source"].to_pylist() == [f"{i // 2}.png" for i in range(24)]


def test_nothing_analysed_is_still_a_table(tmp_path: Path, analyzer: Analyzer) -> None:
    assert pq.read_table(written(tmp_path / "o.parquet", analyzer)).num_rows == 0
    assert written(tmp_path / "o.csv", analyzer).read_text().count("\n") == 1
    assert written(tmp_path / "o.jsonl", analyzer).read_bytes() == b""


def test_a_stream_gets_the_bytes_of_a_file(
    tmp_path: Path, analyzer: Analyzer, two_faces: Record
) -> None:
    for form in ("jsonl", "csv"):
        stream = io.BytesIO()
        with Output(None, form, analyzer, stream) as output:
            output.write(two_faces)
        path = written(tmp_path / f"out.{form}", analyzer, two_faces)
        assert stream.getvalue() == path.read_bytes()
    assert not stream.closed


@pytest.mark.parametrize(
    ("name", "form", "start"),
    [
        ("o.csv", None, b"\xef\xbb\xbfsource,"),
        ("o.CSV", None, b"\xef\xbb\xbfsource,"),
        ("o.csv", "csv-semicolon", b"\xef\xbb\xbfsource;"),
        ("o.csv", "pyfeat", b"frame,FaceRectX,"),
        ("o.xlsx", None, b"PK"),
        ("o.jsonl", None, b'{"schema"'),
        ("o.parquet", None, b"PAR1"),
        ("no ending", "jsonl", b'{"schema"'),
        ("o.2024", "csv", b"\xef\xbb\xbfsource,"),
    ],
)
def test_the_suffix_gives_the_format_unless_one_is_named(
    tmp_path: Path, analyzer: Analyzer, two_faces: Record, name: str, form: str | None, start: bytes
) -> None:
    path = written(tmp_path / name, analyzer, two_faces, form=form)
    assert path.read_bytes().startswith(start)


def test_an_unknown_format_suggests_the_nearest(tmp_path: Path, analyzer: Analyzer) -> None:
    with pytest.raises(UnknownName, match="no format called 'json'; did you mean jsonl"):
        Output(tmp_path / "out.json", "json", analyzer, io.BytesIO())
    with pytest.raises(UnknownName, match="did you mean parquet"):
        Output(tmp_path / "out.csv", "parket", analyzer, io.BytesIO())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["parquet", "xlsx"])
def test_some_formats_need_a_file(analyzer: Analyzer, form: str) -> None:
    with pytest.raises(ConfigError, match=rf"--out FILE\.{form}"):
        Output(None, form, analyzer, io.BytesIO())


@pytest.mark.parametrize(
    ("name", "form", "message"),
    [
        (
            "out1",
            None,
            r"out1: no ending says the format; give the file one of \.csv, \.xlsx, .*out1\.csv",
        ),
        ("out.txt", None, r"the ending '\.txt' is of no format.*out\.csv.*or say --format"),
        ("out.json", None, r"'\.json' is of no format"),
        ("out.jpg", None, r"'\.jpg' is of no format"),
        (
            "out.jsonl",
            "csv",
            r"is to hold csv, but \.jsonl means jsonl; name it out\.csv, or leave --format",
        ),
        ("out.csv", "jsonl", r"is to hold jsonl, but \.csv means csv; name it out\.jsonl"),
        ("out.parquet", "xlsx", r"\.parquet means parquet; name it out\.xlsx"),
        ("out.xlsx", "pyfeat", r"\.xlsx means xlsx; name it out\.csv"),
    ],
)
def test_an_ending_says_the_format_and_no_other(
    tmp_path: Path, analyzer: Analyzer, name: str, form: str | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Output(tmp_path / name, form, analyzer, io.BytesIO())
    assert list(tmp_path.iterdir()) == []


def test_a_format_of_ones_own_may_have_any_ending(
    tmp_path: Path, analyzer: Analyzer, two_faces: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records.writers, "_factories", {**records.writers._factories})
    records.writers.register("mine")(records.JsonLines)
    for name, form in (("a.mine", None), ("a.csv", "mine"), ("a", "mine")):
        written(tmp_path / name, analyzer, two_faces, form=form)
        assert lines(tmp_path / name) == [two_faces]


def test_csv_for_spreadsheets_with_decimal_commas(
    tmp_path: Path, analyzer: Analyzer, two_faces: Record, no_face: Record
) -> None:
    pandas = pytest.importorskip("pandas")
    rows = [two_faces | {"source": "a;b.png"}, no_face]
    plain = written(tmp_path / "a.csv", analyzer, *rows)
    commas = written(tmp_path / "b.csv", analyzer, *rows, form="csv-semicolon")
    assert commas.read_text(encoding="utf-8-sig").splitlines()[1].startswith('"a;b.png";0;0,0;ok;')
    read = pandas.read_csv(commas, sep=";", decimal=",")
    pandas.testing.assert_frame_equal(read, pandas.read_csv(plain))


def sheets(path: Path) -> list[list[tuple[Any, ...]]]:
    book = pytest.importorskip("openpyxl").load_workbook(path)
    return [list(sheet.iter_rows(values_only=True)) for sheet in book]


def test_a_workbook_reads_back(
    tmp_path: Path, analyzer: Analyzer, two_faces: Record, no_face: Record, error: Record
) -> None:
    pytest.importorskip("xlsxwriter")
    odd = two_faces | {"source": "=1+1.png"}, two_faces | {"source": "https://a.example/b.png"}
    path = written(tmp_path / "out.xlsx", analyzer, two_faces, no_face, error, *odd)
    [[header, *rows]] = sheets(path)
    assert list(header) == records.flat_columns(LABELS)
    first, _, without, failed, formula, _, address, _ = (
        dict(zip(header, row, strict=True)) for row in rows
    )
    assert first["happiness"] == two_faces["faces"][0]["emotions"]["happiness"]
    assert (first["uncertain"], first["face"], first["track"]) == (False, 0, None)
    assert (without["status"], without["happiness"]) == ("no_face", None)
    assert failed["reason"] == "bad.jpg is empty (0 bytes)"
    assert formula["source"] == "=1+1.png"
    assert address["source"] == "https://a.example/b.png"
    assert meta_of(path)["complete"] is True


def test_a_workbook_of_more_rows_than_excel_opens(
    tmp_path: Path, analyzer: Analyzer, two_faces: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xlsxwriter")
    monkeypatch.setattr(records.Excel, "_ROWS", 4)  # three faces and the header
    path = written(tmp_path / "out.xlsx", analyzer, *[two_faces] * 3)
    assert [len(rows) for rows in sheets(path)] == [4, 4]
    assert sheets(path)[0][0] == sheets(path)[1][0]


def test_missing_xlsxwriter_is_said_before_anything_is_replaced(
    tmp_path: Path, analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(MissingExtra, match=r"needs xlsxwriter.*\[xlsx\]'"):
        Output(tmp_path / "out.xlsx", None, analyzer)
    assert list(tmp_path.iterdir()) == []


def test_records_from_python(tmp_path: Path, analyzer: Analyzer, two_faces: Record) -> None:
    with mien.open_records(tmp_path / "a.jsonl", analyzer) as out:
        out.add(picture(), analyzer.analyze_frame(picture()))
        out.write(mien.record_of(picture(), []))
    assert lines(tmp_path / "a.jsonl") == [two_faces, mien.record_of(picture(), [])]
    assert meta_of(tmp_path / "a.jsonl")["records"] == {"ok": 1, "no_face": 1}
    with pytest.raises(OutputError, match="is there already"):
        mien.open_records(str(tmp_path / "a.jsonl"), analyzer)


# --- The meta file ----------------------------------------------------------------------------


def test_meta_says_what_a_reader_needs(
    tmp_path: Path, analyzer: Analyzer, two_faces: Record, no_face: Record, error: Record
) -> None:
    two_faces["faces"][1]["uncertain"] = True
    path = written(tmp_path / "out.csv", analyzer, two_faces, two_faces, no_face, error)
    meta = meta_of(path)
    assert meta["answers"] == {"given": 4, "uncertain": 2}
    assert meta["schema"] == "mien/2"
    assert meta["complete"] is True
    assert meta["records"] == {"ok": 2, "no_face": 1, "error": 1}
    assert meta["model"] == {
        "name": "fake",
        "sha256": "0" * 64,
        "label_set": "mien8",
        "labels": list(LABELS),
        "temperature": 1.0,
        "offsets": None,
        "look_again_below": 0.0,
    }
    assert meta["detector"] == "fake"
    assert meta["base_rates"]["target"] == "training"  # the fake does not know its own rates
    assert {*meta["thresholds"]} == {
        "uncertain_below_probability",
        "uncertain_below_picture_quality",
    }
    assert {*meta["units"]} == {
        *("box", "landmarks", "emotions", "intensity", "picture_quality", "quality", "time_s"),
        *("width", "prediction_set"),
    }
    assert meta["align"] == "box"
    assert {"python", "numpy", "mien"} <= {*meta["versions"]}
    assert meta["date"].endswith("+00:00")
    assert "not a determination" in meta["notice"]


def test_prediction_sets_in_every_format(tmp_path: Path, two_faces: Record) -> None:
    two_faces["faces"][0]["prediction_set"] = ["happiness", "surprise"]
    analyzer = fake((10, 10, 60, 60))
    lines_of = lines(written(tmp_path / "out.jsonl", analyzer, two_faces))
    assert [f["prediction_set"] for f in lines_of[0]["faces"]] == [["happiness", "surprise"], None]
    told = written(tmp_path / "out.csv", analyzer, two_faces).read_text(encoding="utf-8-sig")
    cells = [row["prediction_set"] for row in csv.DictReader(io.StringIO(told))]
    assert cells == ["happiness|surprise", ""]
    table = pq.read_table(written(tmp_path / "out.parquet", analyzer, two_faces))
    assert table["prediction_set"].to_pylist() == ["happiness|surprise", None]
    for name in ("out.jsonl", "out.csv", "out.parquet"):
        (read,) = reading.read(tmp_path / name)
        assert [f.prediction_set for f in read.faces] == [("happiness", "surprise"), None]
    two_faces["faces"][0]["prediction_set"] = ["happiness", "joy"]
    with pytest.raises(DataError, match="prediction_set holds labels of this face, got '"):
        list(reading.read(written(tmp_path / "odd.csv", analyzer, two_faces)))


def test_meta_keeps_the_rates_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "rates.json"
    file.write_text(json.dumps(dict.fromkeys(LABELS, 0) | {"neutral": 3, "happiness": 1}))
    analyzer = fake((0, 0, 9, 9), base_rates=BaseRates(str(file), 1.0))
    rates = meta_of(written(tmp_path / "o.jsonl", analyzer))["base_rates"]
    assert (rates["target"], rates["strength"]) == (str(file), 1.0)
    assert rates["file"] == dict.fromkeys(LABELS, 0.0) | {"neutral": 0.75, "happiness": 0.25}


def test_meta_of_real_model_holds_its_training_rates(tmp_path: Path) -> None:
    rates = meta_of(written(tmp_path / "o.jsonl", Analyzer(Settings(crops=True))))["base_rates"]
    assert tuple(rates["training"]) == LABELS
    assert math.isclose(sum(rates["training"].values()), 1, abs_tol=1e-3)


@pytest.mark.parametrize(("asked", "said"), [(None, "box"), ("similarity", "similarity")])
def test_meta_says_how_crops_were_cut(tmp_path: Path, asked: str | None, said: str) -> None:
    """Without a detector too: a picture that is a face is turned level where that is asked for."""
    settings = Settings(crops=True, align=asked)
    analyzer = Analyzer(settings, recognizer=FakeRecognizer())
    assert meta_of(written(tmp_path / "o.jsonl", analyzer))["align"] == said


def test_meta_is_there_from_the_start(tmp_path: Path, analyzer: Analyzer) -> None:
    path = tmp_path / "out.jsonl"
    with Output(path, None, analyzer, io.BytesIO()) as output:
        assert meta_of(path)["complete"] is False
        output.write(records.of_error("a", "b"))
    assert meta_of(path)["complete"] is True


def test_what_a_lost_run_left_of_a_parquet_file_is_not_replaced(
    tmp_path: Path, analyzer: Analyzer
) -> None:
    """The machine went down: its records are nowhere else."""
    part = records.growing(tmp_path / "day.parquet", None)
    part.write_text("all that is left\n")
    with pytest.raises(OutputError, match=r"part\.jsonl is there already.*--overwrite"):
        written(tmp_path / "day.parquet", analyzer)
    assert part.read_text() == "all that is left\n"
    written(tmp_path / "day.parquet", analyzer, overwrite=True)
    assert not part.exists()


def test_a_stream_has_no_meta_file(
    tmp_path: Path, analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Output(None, None, analyzer, io.BytesIO()):
        pass
    assert list(tmp_path.iterdir()) == []


# --- Accidents --------------------------------------------------------------------------------


@pytest.mark.parametrize("accident", [KeyboardInterrupt, RuntimeError, SystemExit])
@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_an_interrupted_run_leaves_what_was_done(
    tmp_path: Path,
    analyzer: Analyzer,
    two_faces: Record,
    suffix: str,
    accident: type[BaseException],
) -> None:
    path = tmp_path / f"out.{suffix}"

    def run() -> None:
        with Output(path, None, analyzer, io.BytesIO()) as output:
            for _ in range(3):
                output.write(two_faces)
            raise accident

    with pytest.raises(accident):
        run()
    if suffix == "parquet":
        assert pq.read_table(path)["face"].to_pylist() == [0, 1] * 3
    elif suffix == "csv":
        assert len(list(csv.DictReader(io.StringIO(path.read_text(), newline="")))) == 6
    else:
        assert lines(path) == [two_faces] * 3
    meta = meta_of(path)
    assert meta["complete"] is False
    assert meta["records"] == {"ok": 3}


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_record_is_on_the_disk_at_once(
    tmp_path: Path, analyzer: Analyzer, two_faces: Record, suffix: str
) -> None:
    path = tmp_path / f"out.{suffix}"
    with Output(path, None, analyzer, io.BytesIO()) as output:
        output.write(two_faces)
        done = path.read_bytes()  # what kill -9 would leave
        assert done.endswith(b"\n")
        assert done.count(b"happiness,0" if suffix == "csv" else b'"track"') == 2


def test_what_is_there_is_not_replaced_unasked(tmp_path: Path, analyzer: Analyzer) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("precious")
    with pytest.raises(OutputError, match=r"is there already.*--overwrite"):
        Output(path, None, analyzer, io.BytesIO())
    assert path.read_text() == "precious"
    assert written(path, analyzer, overwrite=True).read_text() == ""


def test_missing_pyarrow_is_said_before_anything_is_replaced(
    tmp_path: Path, analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "out.parquet"
    path.write_text("precious")
    with pytest.raises(MissingExtra, match=r"needs pyarrow.*\[table\]'"):
        Output(path, None, analyzer, io.BytesIO(), overwrite=True)
    assert path.read_text() == "precious"


def unwritable(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    (tmp_path / "file").write_text("")
    yield tmp_path / "file" / "out.jsonl", "is a file, no folder"
    yield tmp_path / "file" / "deeper" / "out.jsonl", "Not a directory"
    yield tmp_path, "is a folder; name a file in it"
    yield tmp_path / ("x" * 300 + ".csv"), "File name too long"
    if Path("/proc/version").exists():
        yield Path("/proc/mien/out.jsonl"), "No such file or directory"


def test_where_nothing_can_be_written(tmp_path: Path, analyzer: Analyzer) -> None:
    for path, why in unwritable(tmp_path):
        for overwrite in (False, True):
            with pytest.raises(OutputError, match=why):
                Output(path, None, analyzer, io.BytesIO(), overwrite)


def test_a_meta_file_that_cannot_be_written(tmp_path: Path, analyzer: Analyzer) -> None:
    (tmp_path / "out.jsonl.meta.json").mkdir()
    with pytest.raises(OutputError, match="Is a directory"):
        written(tmp_path / "out.jsonl", analyzer)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet", "xlsx"])
def test_a_full_disk(analyzer: Analyzer, two_faces: Record, form: str) -> None:
    with pytest.raises(OutputError, match=r"cannot write /dev/full: .*No space left on device"):
        written(Path("/dev/full"), analyzer, two_faces, form=form)
    assert not Path("/dev/full.meta.json").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_under_stdout(analyzer: Analyzer, two_faces: Record) -> None:
    stream = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
    with (
        stream,
        pytest.raises(OutputError, match="cannot write to standard output: No space"),
        Output(None, None, analyzer, stream) as output,
    ):
        output.write(two_faces)


@pytest.mark.skipif(os.name != "posix", reason="needs RLIMIT_FSIZE")
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_disk_that_fills_keeps_whole_records(tmp_path: Path, form: str) -> None:
    """In a process of its own, where no file may grow beyond 4096 bytes."""
    path = tmp_path / "out"
    script = """
        import resource, sys
        sys.path.insert(0, sys.argv[1])
        from tests.results.test_records import fake, picture
        from mien import errors
        from mien.results import records
        from pathlib import Path
        analyzer = fake((10, 10, 60, 60))
        record = records.record_of(picture("b" * 100), analyzer.analyze_frame(picture()))
        try:
            with records.Output(Path(sys.argv[2]), sys.argv[3], analyzer, None) as output:
                resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
                for _ in range(100):
                    output.write(record)
        except errors.OutputError as err:
            print(err)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), Path(__file__).parents[2], path, form],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "File too large" in done.stdout, done.stderr
    content = path.read_bytes()
    assert content.endswith(b"\n")
    count = content.count(b"\n") - (form == "csv")
    assert count >= 2
    assert f"; {count} records are in it" in done.stdout
    assert meta_of(path)["records"] == {"ok": count}
    assert meta_of(path)["complete"] is False


def test_a_device_needs_no_permission_to_overwrite(analyzer: Analyzer, two_faces: Record) -> None:
    written(Path(os.devnull), analyzer, two_faces, form="jsonl")
    assert not Path(os.devnull + ".meta.json").exists()


def test_a_reader_that_leaves_is_no_output_error(analyzer: Analyzer, two_faces: Record) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with (
        os.fdopen(writer, "wb", buffering=0) as stream,
        pytest.raises(BrokenPipeError),
        Output(None, None, analyzer, stream) as output,
    ):
        output.write(two_faces)


def test_faces_must_be_recognised_first() -> None:
    bare = Face(np.array([0, 0, 9, 9], np.float32), 0.9)
    with pytest.raises(InputError, match="this one was only found"):
        records.record_of(picture(), [bare])


@pytest.mark.parametrize(
    "form", ["csv", "csv-semicolon", "xlsx", "parquet", "pyfeat", "openface", "deepface", "bids"]
)
def test_json_lines_become_every_other_format(
    form: str, analyzer: Analyzer, tmp_path: Path
) -> None:
    """The very file that a run with that format writes."""
    name = "sub-01_physio.tsv.gz" if form == "bids" else f"a.{form}"
    found = [records.record_of(picture(), analyzer.analyze_frame(picture()))]
    found.append(records.record_of(replace(picture(), index=1, time_s=0.04), []))
    for folder in ("direct", "by_lines"):
        (tmp_path / folder).mkdir()
    direct, by_lines = tmp_path / "direct" / name, tmp_path / "by_lines" / name
    lines = tmp_path / "a.jsonl"
    for path, asked in ((direct, form), (lines, None)):
        with Output(path, asked, analyzer) as output:
            for record in found:
                output.write(record)
    records.convert(lines, by_lines, form)
    if form == "xlsx":  # a workbook tells when it was made
        one, other = (_sheet(path) for path in (direct, by_lines))
        assert one == other
    else:
        assert by_lines.read_bytes() == direct.read_bytes()
    if form == "bids":
        sidecar = "sub-01_physio.json"
        assert by_lines.with_name(sidecar).read_text() == direct.with_name(sidecar).read_text()


def _sheet(path: Path) -> list[Any]:
    import openpyxl

    return list(openpyxl.load_workbook(path).active.values)


def test_a_conversion_says_what_it_cannot(analyzer: Analyzer, tmp_path: Path) -> None:
    lines = tmp_path / "a.jsonl"
    with Output(lines, None, analyzer) as output:
        output.write(records.record_of(picture(), []))
    with pytest.raises(UnknownName, match="no format called 'cvs'; did you mean csv"):
        records.convert(lines, tmp_path / "b.csv", "cvs")
    with pytest.raises(OutputError, match=r"cannot write .*b\.csv: No such file"):
        records.convert(lines, tmp_path / "nowhere" / "b.csv", "csv")
