"""``mien analyze`` as a person or a script meets it: what it prints where, and its status."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mien.face import ImageArray
from mien.weights import catalogue
from tests.app.running import MIEN, TIMEOUT_S, Call, Words, on_terminal, out_of, run, save, turned
from tests.made import video

# --- Results ------------------------------------------------------------------------------------


def test_a_portrait_in_a_pipe(astronaut: ImageArray, tmp_path: Path) -> None:
    path = save(astronaut, tmp_path / "Ärger über 怒り.png")
    done = run("analyze", path)
    assert (done.status, done.err) == (0, "")
    [record] = done.records
    said = ["schema", "source", "frame", "time_s", "status", "width", "height", "faces"]
    assert list(record) == said
    assert (record["height"], record["width"]) == astronaut.shape[:2]
    assert (record["source"], record["status"]) == (str(path), "ok")
    [face] = record["faces"]
    assert face["top"] == "happiness"
    assert face["emotions"]["happiness"] > 0.9
    assert face["uncertain"] is False
    assert abs(sum(face["emotions"].values()) - 1) < 1e-3
    x0, y0, x1, y1 = face["box"]
    assert x0 < 224 < x1  # her nose
    assert y0 < 118 < y1


def test_no_face_is_an_answer(call: Call, landscape: Path) -> None:
    done = call("analyze", landscape)
    assert (done.status, done.err) == (0, "")
    assert [(r["status"], r["faces"]) for r in done.records] == [("no_face", [])]


def test_crops_run_no_detector(call: Call, head: ImageArray, tmp_path: Path) -> None:
    path = save(head[25:115, 25:115], tmp_path / "crop.png")
    [record] = call("analyze", path, "--crops").records
    assert record["faces"][0]["box"] == [0, 0, 90, 90]
    assert record["faces"][0]["top"] == "happiness"


def test_formats_and_files(call: Call, smile: Path, landscape: Path, tmp_path: Path) -> None:
    for name in ("deep/er/a.csv", "a.parquet", "a.jsonl"):
        out = tmp_path / name
        done = call("analyze", smile, landscape, "-o", out)
        assert (done.status, done.out) == (0, "")
        assert done.err == (f"2 pictures: 1 ok, 1 no_face; 1 answer, none uncertain -> {out}\n")
        meta = json.loads(out.with_name(out.name + ".meta.json").read_text())
        assert meta["complete"] is True
        assert meta["records"] == {"ok": 1, "no_face": 1}
        assert meta["answers"] == {"given": 1, "uncertain": 0}
        assert meta["model"]["name"] == catalogue.DEFAULT_MODEL
    assert pq.read_table(tmp_path / "a.parquet").num_rows == 2
    assert [
        r["status"] for r in csv.DictReader(io.StringIO(out_of(tmp_path / "deep/er/a.csv")))
    ] == [
        "ok",
        "no_face",
    ]
    again = call("analyze", smile, "-o", tmp_path / "a.jsonl")
    assert again.status == 1
    assert "is there already" in again.err
    assert call("analyze", smile, "-o", tmp_path / "a.jsonl", "--overwrite").status == 0
    assert out_of(tmp_path / "a.jsonl").count("\n") == 1


def test_csv_into_a_pipe_and_a_dash(
    call: Call, smile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [row] = csv.DictReader(io.StringIO(call("analyze", smile, "--format", "csv").out))
    assert row["top"] == "happiness"
    monkeypatch.chdir(tmp_path)
    assert len(call("analyze", smile, "-o", "-").records) == 1
    assert list(tmp_path.iterdir()) == []


def test_two_processes_give_the_same_file(call: Call, smile: Path, tmp_path: Path) -> None:
    pictures = [
        save(np.roll(np.asarray(Image.open(smile)), i, 1), tmp_path / f"{i}.png") for i in range(4)
    ]
    for n in ("1", "2"):
        assert call("analyze", *pictures, "-p", n, "-o", tmp_path / f"{n}.jsonl").status == 0
    assert out_of(tmp_path / "1.jsonl") == out_of(tmp_path / "2.jsonl")


def test_annotated_copies(call: Call, smile: Path, landscape: Path, tmp_path: Path) -> None:
    for _ in range(2):
        done = call("analyze", smile, landscape, "--annotate", tmp_path / "out")
        assert done.status == 0
        assert f"annotated: {tmp_path / 'out'}" in done.err
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["landscape.png", "smile.png"]


def test_base_rates_reach_the_answer(call: Call, smile: Path, tmp_path: Path) -> None:
    rates = tmp_path / "rates.toml"
    others = ["neutral", "happiness", "surprise", "sadness", "disgust", "fear", "contempt"]
    rates.write_text("anger = 1.0\n" + "".join(f"{label} = 0\n" for label in others))
    [record] = call("analyze", smile, "--base-rates", rates, "--strength", "1").records
    assert record["faces"][0]["top"] == "anger"  # nothing else occurs at these rates


@pytest.mark.parametrize("crops", [[], ["--crops"]], ids=["found", "crop"])
def test_a_face_is_cut_as_asked(
    call: Call, head: ImageArray, tmp_path: Path, crops: list[str]
) -> None:
    """A turned head is turned in a crop that is not, and level in one that is."""
    path = save(turned(head), tmp_path / "turned.png")
    tilts = {}
    for name in ("box", "similarity"):
        out = tmp_path / f"{name}.jsonl"
        assert call("analyze", path, "--align", name, *crops, "-o", out).status == 0
        [face] = json.loads(out_of(out))["faces"]
        tilts[name] = face["quality"]["tilt_rad"]
        assert face["top"] == "happiness"
        assert json.loads(out_of(tmp_path / f"{name}.jsonl.meta.json"))["align"] == name
    assert abs(tilts["similarity"]) < 0.12
    if crops:
        assert tilts["box"] is None  # a crop that is not to be turned needs no landmarks
    else:
        assert tilts["box"] == pytest.approx(np.radians(23), abs=0.12)


def test_landmarks_are_drawn_where_that_is_asked(
    call: Call, smile: Path, landscape: Path, tmp_path: Path
) -> None:
    drawn = {}
    for name, words in {"plain": [], "points": ["--draw", "landmarks"]}.items():
        folder = tmp_path / name
        done = call("analyze", smile, landscape, "--annotate", folder, *words)
        assert done.status == 0
        drawn[name] = [np.asarray(Image.open(folder / f)) for f in ("smile.png", "landscape.png")]
    [record, _] = done.records
    plain, pointed = drawn["plain"][0].astype(int), drawn["points"][0].astype(int)
    changed = np.argwhere(np.abs(plain - pointed).max(axis=2) > 30)[:, ::-1]
    assert len(changed) > 68
    points = np.array(record["faces"][0]["landmarks"]).reshape(68, 2)
    assert (changed >= points.min(axis=0) - 4).all()
    assert (changed <= points.max(axis=0) + 4).all()
    np.testing.assert_array_equal(drawn["plain"][1], drawn["points"][1])


# --- Bad input ----------------------------------------------------------------------------------


def bad_pictures(folder: Path, head: ImageArray) -> dict[Path, str]:
    """Every bad picture and what is said of it; a status where it can be read."""
    whole = save(head, folder / "whole.jpg").read_bytes()
    contents = {"empty.jpg": b"", "text.jpg": b"Dear Sir,", "cut.jpg": whole[: len(whole) // 2]}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "whole.jpg").unlink()
    save(np.zeros((1, 1, 3), np.uint8), folder / "one.png")
    save(np.zeros((300, 300, 3), np.uint8), folder / "black.png")
    save(np.zeros((40, 30_000, 3), np.uint8), folder / "wide.png")
    said = {
        "black.png": "no_face",
        "cut.jpg": "is damaged, cut short",
        "empty.jpg": "is empty (0 bytes)",
        "one.png": "no_face",
        "text.jpg": "is no picture; mien reads JPEG",
        "wide.png": "no_face",
    }
    return {folder / name: what for name, what in said.items()}


def test_bad_pictures_are_records_and_lines(call: Call, head: ImageArray, tmp_path: Path) -> None:
    said = bad_pictures(tmp_path, head)
    done = call("analyze", tmp_path)
    assert done.status == 1
    found = {Path(r["source"]): r for r in done.records}
    assert list(found) == list(said)
    for path, what in said.items():
        if what == "no_face":
            assert found[path]["status"] == what
        else:
            assert found[path]["status"] == "error"
            assert found[path]["reason"].startswith(f"{path} {what}")
            assert f"mien: {path} {what}" in done.err
    assert done.err.splitlines()[-1] == "6 pictures: 3 no_face, 3 error"


def test_the_last_line_tells_how_many_answers_are_uncertain(
    call: Call, smile: Path, head: ImageArray, tmp_path: Path
) -> None:
    save(head // 5, tmp_path / "dusk.png")
    done = call("analyze", smile, tmp_path / "dusk.png")
    assert [r["faces"][0]["uncertain"] for r in done.records] == [False, True]
    assert done.err.splitlines()[-1].endswith("; 2 answers, 1 uncertain")


def test_one_bad_file_among_fifty(smile: Path, tmp_path: Path) -> None:
    folder = tmp_path / "fifty"
    folder.mkdir()
    for i in range(50):
        (folder / f"{i:02d}.png").write_bytes(smile.read_bytes())
    (folder / "17.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    done = run("analyze", folder, "-p", "2", "-o", tmp_path / "out.jsonl")
    assert done.status == 1
    statuses = [json.loads(line)["status"] for line in out_of(tmp_path / "out.jsonl").splitlines()]
    assert statuses == ["ok"] * 17 + ["error"] + ["ok"] * 32
    assert "50 pictures: 49 ok, 1 error; 49 answers, none uncertain -> " in done.err
    assert "17.png" in done.err


def test_a_hundred_bad_files_are_not_a_hundred_lines(call: Call, tmp_path: Path) -> None:
    for i in range(100):
        (tmp_path / f"{i:03d}.png").write_bytes(b"")
    done = call("analyze", tmp_path)
    assert done.err.count("is empty") == 10
    assert "mien: and 90 more errors\n100 pictures: 100 error\n" in done.err
    assert len(done.records) == 100


def test_a_model_that_cannot_be_used_is_told_before_anything_is_written(
    call: Call, smile: Path, tmp_path: Path
) -> None:
    (tmp_path / "damaged.onnx").write_bytes(b"no model")
    words = [
        "-m",
        tmp_path / "damaged.onnx",
        "-o",
        tmp_path / "o.csv",
        "--annotate",
        tmp_path / "a",
    ]
    for processes in ("1", "2"):
        done = call("analyze", smile, smile, *words, "-p", processes)
        assert (done.status, done.out) == (1, "")
        assert "damaged.onnx is not an ONNX model that can be loaded" in done.err
        assert [path.name for path in tmp_path.iterdir()] == ["damaged.onnx"]


def test_what_cannot_be_written(call: Call, smile: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    for words in (["-o", tmp_path / "file" / "x.csv"], ["--annotate", tmp_path / "file"]):
        done = call("analyze", smile, *words)
        assert (done.status, done.out) == (1, "")
        assert re.match(r"mien: cannot write .*file", done.err)
    assert out_of(tmp_path / "file") == "precious"


def test_a_damaged_model(call: Call, smile: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    shipped = catalogue.locate(catalogue.spec(catalogue.DEFAULT_MODEL))
    assert shipped
    path.write_bytes(shipped.read_bytes()[:100_000])
    done = call("analyze", smile, "-m", path)
    assert (done.status, done.out) == (1, "")
    assert str(path) in done.err


def test_a_detector_that_is_not_here(call: Call, smile: Path) -> None:
    done = call("analyze", smile, "-d", "yunet")
    assert done.status == 1
    assert "mien models pull yunet" in done.err


def test_parquet_without_pyarrow(
    call: Call, smile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    done = call("analyze", smile, "-o", tmp_path / "x.parquet")
    assert done.status == 1
    assert "[table]'" in done.err
    assert list(tmp_path.iterdir()) == []


# --- Names and encodings ------------------------------------------------------------------------


def test_names_no_one_foresaw(call: Call, head: ImageArray, tmp_path: Path) -> None:
    names = ["a b.png", "-o.png", "ü ñ 怒.png", "x\x1b[31m.png", "two\nlines.png"]
    try:
        save(head, tmp_path / os.fsdecode(b"caf\xe9.png"))
    except OSError:
        pytest.skip("this file system takes only UTF-8")
    for name in names:
        save(head, tmp_path / name)
    copies_in = tmp_path.with_name(f"{tmp_path.name}-copies")
    for suffix in ("jsonl", "csv", "parquet"):
        out = tmp_path / f"out.{suffix}"
        assert call("analyze", tmp_path, "-o", out, "--annotate", copies_in).status == 0
    copies = {path.name for path in copies_in.iterdir()}
    assert copies == {*names, os.fsdecode(b"caf\xe9.png")}
    found = {json.loads(line)["source"] for line in out_of(tmp_path / "out.jsonl").split("\n")[:-1]}
    assert found == {str(tmp_path / name) for name in (*names, "caf\\udce9.png")}


def test_steering_characters_do_not_reach_the_terminal(call: Call, tmp_path: Path) -> None:
    (tmp_path / "x\x1b[31m.png").write_bytes(b"")
    done = call("analyze", tmp_path)
    assert "\x1b" not in done.err
    assert "x\\x1b[31m.png is empty" in done.err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_results_are_utf_8_whatever_the_terminal_speaks(
    head: ImageArray, tmp_path: Path, encoding: str
) -> None:
    path = save(head, tmp_path / "Ärger 怒.png")
    done = run("analyze", path, PYTHONIOENCODING=encoding, LC_ALL="C")
    assert (done.status, done.err) == (0, "")
    assert done.records[0]["source"] == str(path)


def test_a_terminal_that_knows_only_ascii(head: ImageArray, tmp_path: Path) -> None:
    save(head, tmp_path / "Ärger.png")
    done = on_terminal("analyze", tmp_path, columns=80, PYTHONIOENCODING="ascii", LC_ALL="C")
    assert done.status == 0
    assert "#######" in done.out


# --- On a terminal ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def album(head: ImageArray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("album")
    save(head, folder / "a portrait of an astronaut, smiling broadly, before the flight.png")
    save(np.zeros((64, 64, 3), np.uint8), folder / "dark.png")
    (folder / "empty.jpg").write_bytes(b"")
    return folder


@pytest.mark.parametrize("columns", [80, 120])
def test_a_person_sees_a_table(album: Path, columns: int) -> None:
    done = on_terminal("analyze", album, columns=columns)
    assert done.status == 1
    _, _, table = done.out.rpartition("picture  ")
    heading, *rows = table.splitlines()
    assert heading.split() == ["expression", "probability", "next", "quality"]
    assert max(len(row) for row in rows if "mien:" not in row) <= columns
    assert "{" not in done.out
    shown = "".join(row[: heading.index("expression") + 9].rstrip() for row in rows)
    for word in ("portrait", "astronaut", "flight.png"):
        assert word in shown  # folded, not cut
    assert re.search(r"happiness +█+░* +>?\d\d%", table)
    assert re.search(r"dark\.png +no face", table)
    assert re.search(r"empty\.jpg +error", table)
    assert f"mien: {album}/empty.jpg is empty (0 bytes)" in table
    assert rows[-1] == "3 pictures: 1 ok, 1 no_face, 1 error; 1 answer, none uncertain"


def test_a_format_named_on_a_terminal_is_obeyed(smile: Path) -> None:
    done = on_terminal("analyze", smile, smile, "--format", "jsonl", columns=80)
    first, second, summary = done.out.splitlines()  # and no bar between them
    assert json.loads(first) == json.loads(second)
    assert summary == "2 pictures: 2 ok; 2 answers, none uncertain"


@pytest.mark.parametrize(("theirs", "then"), [({}, "1"), ({"OPENBLAS_NUM_THREADS": "2"}, "2")])
def test_no_threads_that_nothing_uses(smile: Path, theirs: dict[str, str], then: str) -> None:
    code = (
        "import os, sys; from mien.app import verbs\n"
        "try: verbs.main()\n"
        "finally: print(os.environ['OPENBLAS_NUM_THREADS'], file=sys.stderr)"
    )
    words = [sys.executable, "-c", code, "analyze", str(smile)]
    env = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"} | theirs
    done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S, env=env)
    assert done.stderr == f"{then}\n"


# --- Stopped in the middle ----------------------------------------------------------------------


def start(folder: Path, out: Path, processes: str) -> subprocess.Popen[str]:
    """As a shell starts it: a group of processes of its own, which Ctrl-C reaches as a whole."""
    words: list[Words] = [*MIEN, "analyze", folder, "-o", out, "--processes", processes]
    return subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert process.poll() is None, "it ended on its own"
        assert time.monotonic() < deadline
        time.sleep(0.005)


def stop(process: subprocess.Popen[str], group: bool, number: signal.Signals) -> str:
    """Send the signal; what the process still says. Nothing it started may stay behind."""
    (os.killpg if group else os.kill)(process.pid, number)
    began = time.monotonic()
    _, err = process.communicate(timeout=TIMEOUT_S)
    assert "Traceback" not in err
    while any_left(process.pid):
        assert time.monotonic() - began < 20
        time.sleep(0.02)
    return err


def any_left(group: int) -> bool:
    """Whether a process of the group still runs."""
    words = ["ps", "-eo", "pgid=,stat="]
    rows = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    return any(row.split()[0] == str(group) and row.split()[1][0] != "Z" for row in rows)


@pytest.mark.parametrize(
    ("processes", "number", "group", "status"),
    [
        ("1", signal.SIGINT, True, 130),
        ("2", signal.SIGINT, True, 130),
        ("1", signal.SIGTERM, False, 143),
        ("2", signal.SIGTERM, False, 143),
        ("2", signal.SIGTERM, True, 143),
        ("2", signal.SIGHUP, True, 129),
    ],
)
def test_stopped_in_the_middle(
    many: Path, tmp_path: Path, processes: str, number: signal.Signals, group: bool, status: int
) -> None:
    out = tmp_path / "out.jsonl"
    process = start(many, out, processes)
    wait_for(lambda: out.exists() and out.read_bytes().count(b"\n") >= 3, process)
    err = stop(process, group, number)
    assert process.returncode == status
    records = [json.loads(line) for line in out_of(out).splitlines()]
    assert 3 <= len(records) < 200
    assert [r["source"] for r in records] == [
        str(many / f"{i:03d}.png") for i in range(len(records))
    ]
    meta = json.loads(out_of(tmp_path / "out.jsonl.meta.json"))
    assert meta["complete"] is False
    assert 0 <= len(records) - sum(meta["records"].values()) <= 1  # stopped before counting it
    assert re.search(
        rf"stopped after \d+ of 200 pictures: (\d+) ok; \1 answers, none uncertain -> {out}\n", err
    )


def test_ctrl_c_while_the_processes_start(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    process = start(many, out, "2")
    wait_for((tmp_path / "out.jsonl.meta.json").exists, process)
    time.sleep(0.2)
    stop(process, True, signal.SIGINT)
    assert process.returncode == 130
    for line in out_of(out).splitlines():
        json.loads(line)


def test_kill_9_leaves_whole_lines(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    process = start(many, out, "1")
    wait_for(lambda: out.exists() and out.read_bytes().count(b"\n") >= 3, process)
    process.kill()
    process.communicate()
    assert out_of(out).endswith("\n")
    assert all(json.loads(line) for line in out_of(out).splitlines())


def test_a_reader_that_has_seen_enough(many: Path) -> None:
    words: list[Words] = [*MIEN, "analyze", many]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as p:
        assert p.stdout
        assert p.stderr
        assert json.loads(p.stdout.readline())["status"] == "ok"
        p.stdout.close()
        assert p.stderr.read() == ""


def test_the_table_for_people_goes_anywhere(call: Call, smile: Path, tmp_path: Path) -> None:
    """Into a pipe, too, where JSON lines are the rule; and it says where the copy lies."""
    done = call("analyze", smile, "--format", "table", "--annotate", tmp_path / "a")
    assert done.out.split()[:4] == ["picture", "expression", "probability", "next"]
    assert "happiness" in done.out
    assert f"annotated: {tmp_path / 'a' / smile.name}" in done.err
    done = call("analyze", smile, "--format", "table", "-o", tmp_path / "b.csv")
    assert done.status == 2
    assert "--format table is for people" in done.err


def test_a_recording_has_one_thread_of_opencv(call: Call, tmp_path: Path) -> None:
    """Its stages are side by side already; with more of them the kernel takes .2 ms a frame."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        assert call("analyze", video(tmp_path / "a.mp4", 3)).status == 0
        assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(before)
