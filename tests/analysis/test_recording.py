"""Recordings analysed: a record for every frame, and a run that was cut off goes on."""

from __future__ import annotations

import gzip
import json
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import mien
from mien.analysis import batch
from mien.analysis.batch import Reached, Recording
from mien.analysis.pipeline import Analyzer
from mien.analysis.recording import Options, State
from mien.analysis.resume import Bookmark, Mark, fingerprint
from mien.errors import ConfigError, OutputError, VideoError
from mien.face import Frame, ImageArray
from mien.labels import CANONICAL
from mien.media.video import Span
from mien.results import records
from tests.app.running import on_terminal
from tests.made import video
from tests.media.test_video import damage

FRAMES = 36


@pytest.fixture(scope="module")
def film(astronaut: ImageArray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A smiling woman, slowly moved about; without her in the last ten frames."""
    import av

    path = tmp_path_factory.mktemp("film") / "film.mp4"
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=25, options={"g": "12", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 192, 160, "yuv420p"
        for i in range(FRAMES):
            shift = round(20 * np.sin(i / 8))
            part = astronaut[30:190, 130 + shift : 322 + shift]
            pixels = part if i < FRAMES - 10 else np.full_like(part, 90)
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer()


def records_of(
    analyzer: Analyzer,
    path: Path | str,
    span: Span | None = None,
    reached: Reached | None = None,
    smooth: str = "none",
) -> list[Any]:
    jobs = [Recording(path, Options(span or Span(), smooth=smooth))]
    return list(batch.analyze_files(jobs, analyzer, reached=reached))


@pytest.fixture(scope="module")
def whole(analyzer: Analyzer, film: Path) -> list[Any]:
    return records_of(analyzer, film)


def test_a_record_for_every_frame(whole: list[Any], film: Path) -> None:
    assert [r["frame"] for r in whole] == list(range(FRAMES))
    assert [r["time_s"] for r in whole] == pytest.approx([i / 25 for i in range(FRAMES)])
    assert [r["status"] for r in whole] == ["ok"] * (FRAMES - 10) + ["no_face"] * 10
    assert {r["source"] for r in whole} == {str(film)}
    assert {face["track"] for r in whole for face in r["faces"]} == {1}
    assert [face["top"] for r in whole[:5] for face in r["faces"]] == ["happiness"] * 5


def test_without_tracks_each_frame_is_searched_anew(analyzer: Analyzer, film: Path) -> None:
    jobs = [Recording(film, Options(Span(end_s=0.1), tracks=False))]
    found = list(batch.analyze_files(jobs, analyzer))
    assert [face["track"] for r in found for face in r["faces"]] == [None] * 3
    with pytest.raises(ConfigError, match="not followed cannot be smoothed"):
        Options(tracks=False, smooth="causal")
    with pytest.raises(ConfigError, match="did you mean two-sided"):
        Options(smooth="two_sided")


def test_frames_asked_for(analyzer: Analyzer, film: Path) -> None:
    found = records_of(analyzer, film, Span(start_s=1.0, every=10))
    assert [r["frame"] for r in found] == [25, 35]


def test_a_hole_is_an_error_record_in_its_place(
    analyzer: Analyzer, film: Path, tmp_path: Path
) -> None:
    path = tmp_path / "damaged.mp4"
    path.write_bytes(film.read_bytes())
    damage(path, [20])
    found = records_of(analyzer, path)
    assert [r["frame"] for r in found] == list(range(FRAMES))
    errors = [r for r in found if r["status"] == "error"]
    assert errors
    assert "damaged in the file" in errors[0]["reason"]
    assert errors[0]["time_s"] == pytest.approx(errors[0]["frame"] / 25)


def test_a_file_that_cannot_be_read_is_one_record(analyzer: Analyzer, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_text("no video")
    [record] = records_of(analyzer, tmp_path / "bad.mp4")
    assert record["status"] == "error"
    assert "bad.mp4" in record["reason"]


def test_a_span_behind_the_end_is_one_record(analyzer: Analyzer, film: Path) -> None:
    [record] = records_of(analyzer, film, Span(start_s=60))
    assert record["status"] == "error"
    assert "has no frame from 60 s on; it lasts 1.4 s" in record["reason"]


def test_an_error_in_one_frame_is_its_record_only(
    analyzer: Analyzer, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Analyzer.recognize

    def recognize(self: Analyzer, frame: Frame, faces: list[Any]) -> list[Any]:
        if frame.index == 3:
            raise RuntimeError("a bug")
        return real(self, frame, faces)

    monkeypatch.setattr(Analyzer, "recognize", recognize)
    found = records_of(analyzer, film, Span(end_s=0.24))
    assert [r["status"] for r in found] == ["ok", "ok", "ok", "error", "ok", "ok"]
    assert "unexpected RuntimeError: a bug" in found[3]["reason"]


def test_analyze_video(film: Path, analyzer: Analyzer) -> None:
    found = list(mien.analyze_video(film, analyzer, every=15))
    assert [(frame.index, len(faces)) for frame, faces in found] == [(0, 1), (15, 1), (30, 0)]
    emotions = found[0][1][0].emotions
    assert emotions
    assert emotions.top[0] == "happiness"
    with pytest.raises(VideoError, match="no such file"):
        next(mien.analyze_video("gone.mp4", analyzer))


# -- going on --------------------------------------------------------------------------------------


@pytest.mark.parametrize("smooth", ["none", "causal", "two-sided"])
def test_a_state_goes_on_wherever_it_was_kept(
    analyzer: Analyzer, film: Path, smooth: str, whole: list[Any]
) -> None:
    """Tracks, and what was smoothed of them, as if nothing had happened."""
    if smooth != "none":
        plain, whole = whole, records_of(analyzer, film, smooth=smooth)
        assert [r["frame"] for r in whole] == [r["frame"] for r in plain]
        assert whole != plain
    for stop in (1, 11, FRAMES - 3, FRAMES):
        reached = Reached()
        jobs = [Recording(film, Options(smooth=smooth))]
        found = batch.analyze_files(jobs, analyzer, reached=reached)
        begun = [next(found) for _ in range(stop)]
        assert reached.state
        kept = json.loads(json.dumps(reached.state.plain(), allow_nan=False))
        found.close()
        rest = records_of(analyzer, film, None, Reached(0, State.from_plain(kept)), smooth)
        assert begun + rest == whole


def command(*words: str | Path, limit: int = 0, marks_s: float = 0.0) -> list[str]:
    """``mien`` with a mark every so many seconds, and a disk of ``limit`` bytes."""
    code = (
        "import resource, signal, sys\n"
        "from mien.analysis import resume\nfrom mien.app import verbs\n"
        f"resume._EVERY_S = {marks_s}\n"
        f"if {limit}:\n"
        "    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        f"sys.argv = ['mien', *{[str(w) for w in words]!r}]\n"
        "verbs.main()"
    )
    return [sys.executable, "-c", code]


@pytest.mark.parametrize(("suffix", "times"), [("jsonl", 3), ("csv", 1), ("parquet", 1)])
def test_killed_at_random_and_resumed(film: Path, tmp_path: Path, suffix: str, times: int) -> None:
    unbroken, out = tmp_path / f"whole.{suffix}", tmp_path / f"broken.{suffix}"
    inputs: list[str | Path] = [film, film, "--smooth", "two-sided"]
    subprocess.run(command("analyze", *inputs, "-o", unbroken), check=True, timeout=120)
    chance = random.Random(suffix)
    for _ in range(times):
        words = command("analyze", *inputs, "-o", out, "--resume")
        with subprocess.Popen(words, stderr=subprocess.DEVNULL) as run:
            _wait_for_more(records.growing(out, None), run)
            time.sleep(chance.uniform(0, 0.3))
            run.send_signal(signal.SIGKILL)
    done = subprocess.run(
        command("analyze", *inputs, "-o", out, "--resume"), capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == unbroken.read_bytes()
    assert not [*tmp_path.glob("*.resume.json*"), *tmp_path.glob("*.part.jsonl")]
    meta = json.loads((tmp_path / f"broken.{suffix}.meta.json").read_bytes())
    assert meta["complete"]
    assert sum(meta["records"].values()) == 2 * FRAMES
    at_once = json.loads((tmp_path / f"whole.{suffix}.meta.json").read_bytes())
    assert meta["answers"] == at_once["answers"]
    assert meta["answers"]["given"] > FRAMES


@pytest.mark.parametrize("name", ["sub-01_recording-face_physio.tsv.gz", "a.parquet"])
def test_what_is_written_at_once_is_there_after_ctrl_c_and_gone_on_with(
    film: Path, tmp_path: Path, name: str
) -> None:
    how = ["--format", "bids"] if "physio" in name else []
    whole, out = tmp_path / "whole" / name, tmp_path / "broken" / name
    subprocess.run(command("analyze", film, "-o", whole, *how), check=True, timeout=120)
    words = command("analyze", film, "-o", out, *how)
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as run:
        _wait_for_more(records.growing(out, "bids" if how else None), run)
        run.send_signal(signal.SIGINT)
    assert 0 < _rows(out) < _rows(whole) == FRAMES
    subprocess.run(command("analyze", film, "-o", out, *how, "--resume"), check=True, timeout=120)
    names = sorted(path.name for path in whole.parent.iterdir())
    assert names == sorted(path.name for path in out.parent.iterdir())
    assert out.read_bytes() == whole.read_bytes()


def _rows(path: Path) -> int:
    if path.suffix == ".parquet":
        return len(pd.read_parquet(path))
    return gzip.decompress(path.read_bytes()).count(b"\n")


def test_a_bids_file_holds_one_recording(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "sub-01_recording-face_physio.tsv.gz"
    status, said = mien_says("analyze", film, film, "--format", "bids", "-o", out)
    assert (status, "holds one recording, got 2" in said) == (2, True)
    assert not list(tmp_path.iterdir())


def _wait_for_more(out: Path, run: subprocess.Popen[bytes]) -> None:
    """Until the run writes, or is over."""
    before = out.stat().st_size if out.exists() else 0
    for _ in range(2000):
        if run.poll() is not None or (out.exists() and out.stat().st_size > before):
            return
        time.sleep(0.01)


def test_a_disk_that_fills_loses_nothing(film: Path, tmp_path: Path) -> None:
    unbroken, out = tmp_path / "whole.jsonl", tmp_path / "broken.jsonl"
    subprocess.run(command("analyze", film, "-o", unbroken), check=True, timeout=120)
    done = subprocess.run(
        command("analyze", film, "-o", out, limit=40_000), capture_output=True, timeout=120
    )
    assert done.returncode == 1
    assert b"cannot write" in done.stderr
    lines = out.read_bytes().splitlines(keepends=True)
    assert 5 < len(lines) < FRAMES
    assert unbroken.read_bytes().startswith(b"".join(lines))
    subprocess.run(command("analyze", film, "-o", out, "--resume"), check=True, timeout=120)
    assert out.read_bytes() == unbroken.read_bytes()


def mien_says(*words: str | Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "mien", *words], capture_output=True, text=True, timeout=120
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_a_run_that_was_cut_off_is_not_begun_anew_unasked(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    with subprocess.Popen(command("analyze", film, "-o", out), stderr=subprocess.DEVNULL) as run:
        _wait_for_more(tmp_path / "a.csv.resume.json", run)
        run.send_signal(signal.SIGINT)
    kept = out.read_bytes()
    status, said = mien_says("analyze", film, "-o", out)
    assert (status, "go on with it by --resume" in said) == (1, True)
    assert out.read_bytes() == kept
    assert mien_says("analyze", film, "-o", out, "--overwrite")[0] == 0
    assert len(out.read_bytes()) > len(kept)


def test_rates_that_changed_meanwhile_are_told(film: Path, tmp_path: Path) -> None:
    out, rates = tmp_path / "a.jsonl", tmp_path / "rates.json"
    told = dict.fromkeys(CANONICAL, 1.0)
    rates.write_text(json.dumps(told))
    words = ("analyze", film, "--base-rates", rates, "-o", out)
    with subprocess.Popen(command(*words), stderr=subprocess.DEVNULL) as run:
        _wait_for_more(tmp_path / "a.jsonl.resume.json", run)
        run.send_signal(signal.SIGINT)
    kept = out.read_bytes()
    rates.write_text(json.dumps(told | {"neutral": 9.0}))
    status, said = mien_says(*words, "--resume")
    assert status == 2
    assert f"was begun with base rates {rates} (strength 0.75): [0.125, " in said
    assert out.read_bytes() == kept
    rates.write_text(json.dumps(told))
    assert mien_says(*words, "--resume")[0] == 0


def test_resuming_what_is_complete_or_another_s(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    assert mien_says("analyze", film, "--every", "25", "-o", out)[0] == 0
    content = out.read_bytes()
    status, said = mien_says("analyze", film, "--every", "25", "-o", out, "--resume")
    assert (status, "complete already" in said) == (0, True)
    assert out.read_bytes() == content
    (tmp_path / "b.jsonl").write_text("mine\n")
    status, said = mien_says("analyze", film, "-o", tmp_path / "b.jsonl", "--resume")
    assert (status, "no run of mien's to go on with" in said) == (1, True)
    assert (tmp_path / "b.jsonl").read_text() == "mine\n"
    assert mien_says("analyze", film, "--resume")[0] == 2


def test_a_run_killed_as_it_began_is_begun_again(tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    out.touch()  # killed between making the file and its meta file
    assert Bookmark(out, {}).find() == Mark()


def test_the_inputs_of_a_run_are_known_again(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"1234")
    before = fingerprint([path, "rtsp://camera/1"])
    assert before == fingerprint([path, "rtsp://camera/1"])
    assert before != fingerprint(["rtsp://camera/1", path])
    path.write_bytes(b"12345")
    assert before != fingerprint([path, "rtsp://camera/1"])


def test_other_inputs_are_told_in_words(tmp_path: Path) -> None:
    out, now = tmp_path / "a.jsonl", [0.0]
    out.write_text("x" * 10)
    (tmp_path / "a.jsonl.meta.json").write_text('{"complete": false}')
    begun = Bookmark(out, {"inputs": "daff600e828c4098"}, lambda: now[0])
    now[0] = 10.0
    begun.note(4, Counter(), Counter(), Reached(1))
    with pytest.raises(ConfigError, match="begun with other inputs, or their files have changed"):
        Bookmark(out, {"inputs": "e5541438c8ea4f04"}).find()


def test_a_mark_of_another_request(tmp_path: Path) -> None:
    now = [0.0]
    out = tmp_path / "a.jsonl"
    out.write_text("x" * 10)
    (tmp_path / "a.jsonl.meta.json").write_text('{"complete": false}')
    bookmark = Bookmark(out, {"model": "a", "frames": {"every": 2}}, lambda: now[0])
    bookmark.note(4, Counter(ok=1), Counter(given=2, uncertain=1), Reached(1))
    assert bookmark.find() == Mark()  # too soon for one that is kept
    now[0] = 10.0
    bookmark.note(4, Counter(ok=1), Counter(given=2, uncertain=1), Reached(1))
    mark = bookmark.find()
    assert mark
    assert (mark.bytes, mark.counts, mark.reached.jobs) == (4, {"ok": 1}, 1)
    assert mark.answers == {"given": 2, "uncertain": 1}
    kept = tmp_path / "a.jsonl.resume.json"
    whole = kept.read_text()
    for cut in ("", whole[:9], "[" * 100_000):
        kept.write_text(cut)
        assert bookmark.find() == Mark()  # as if it had been killed before
    text = json.dumps(json.loads(whole) | {"bytes": "4"})
    for odd in ("null", "{}", '{"request": 3}', text):
        kept.write_text(odd)
        with pytest.raises(OutputError, match="pass --overwrite to begin anew"):
            bookmark.find()
    kept.write_text(whole)
    other = Bookmark(out, {"model": "a", "frames": {"every": 3}})
    with pytest.raises(ConfigError, match="begun with every 2, and this is 3;"):
        other.find()
    (tmp_path / "a.jsonl.meta.json").unlink()
    with pytest.raises(OutputError, match="no run of mien's"):
        bookmark.find()


def test_a_file_that_another_tool_saved_meanwhile_is_not_gone_on_with(tmp_path: Path) -> None:
    """Its bytes are others, and the mark would lie in the middle of a line."""
    now = [0.0]
    out = tmp_path / "a.csv"
    (tmp_path / "a.csv.meta.json").write_text('{"complete": false}')
    out.write_text("frame,face\n0,0\n1,0\n")
    bookmark = Bookmark(out, {}, lambda: now[0])
    now[0] = 10.0
    bookmark.note(15, Counter(ok=1), Counter(given=1), Reached(1))
    assert bookmark.find() == Mark(15, {"ok": 1}, {"given": 1}, Reached(1))
    out.write_text("frame,face\n0,0.0\n1,0.0\n")
    with pytest.raises(OutputError, match="was changed since mien wrote it"):
        bookmark.find()


@pytest.mark.parametrize(
    "mark",
    [
        "[]",
        "{}",
        '{"request": 5, "bytes": 1}',
        '{"request": {}, "bytes": "x", "tail": "", "counts": {}, "jobs": 0, "state": null}',
        '{"request": {}, "bytes": 0, "tail": "", "counts": 5, "jobs": 0, "state": null}',
        '{"request": {}, "bytes": 0, "tail": "", "counts": {}, "jobs": 0, "state": {"a": 1}}',
    ],
)
def test_a_mark_of_odd_types(tmp_path: Path, mark: str) -> None:
    out = tmp_path / "a.csv"
    out.write_text("frame,face\n0,0\n")
    (tmp_path / "a.csv.meta.json").write_text('{"complete": false}')
    (tmp_path / "a.csv.resume.json").write_text(mark)
    with pytest.raises(OutputError, match="is no mark of mien's any more"):
        Bookmark(out, {}).find()


def test_the_commands_of_the_documentation(film: Path, tmp_path: Path) -> None:
    """The first block of docs/recordings.md, line by line, and its Python."""
    said = (Path(__file__).parents[2] / "docs" / "recordings.md").read_text(encoding="utf-8")
    (tmp_path / "interview.mp4").write_bytes(film.read_bytes())
    lines = re.findall(r"```bash\n(.*?)```", said, re.DOTALL)[0].splitlines()
    assert len(lines) == 3
    for line in lines:
        words = shlex.split(line.split("  #")[0])[1:]
        done = subprocess.run(
            [sys.executable, "-m", "mien", *words], cwd=tmp_path, capture_output=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
    made = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert made >= {
        *("interview.jsonl", "interview.csv", "interview.jsonl.meta.json"),
        *("annotated/interview.mp4", "summary/episodes.csv", "summary/interview.png"),
    }
    (code,) = re.findall(r"```python\n(.*?)```", said, re.DOTALL)
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert ended.stdout.startswith("0.0 [(1, ('happiness'"), ended.stderr


def test_on_a_terminal(film: Path, astronaut: ImageArray, tmp_path: Path) -> None:
    """A bar with frames a second while it runs, and in the end a row for each face."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "film.mp4").write_bytes(film.read_bytes())
    (folder / "bad.mp4").write_text("no video")
    video(folder / "long.mp4", frames=1500)
    Image.fromarray(astronaut[30:190, 130:322]).save(folder / "photo.png")
    shown = on_terminal("analyze", folder, columns=110)
    assert shown.status == 1
    assert "film.mp4  2 of 4" in shown.out
    assert "frames/s" in shown.out
    assert re.search(r"photo\.png +happiness ", shown.out)
    assert re.search(r"film\.mp4 +1 +26 +happiness .* >?\d+%", shown.out)
    assert "1 picture and 3 recordings, 1538 records: 27 ok, 1510 no_face, 1 error" in shown.out
    assert f"mien: cannot read {folder / 'bad.mp4'}: Invalid data" in shown.out


def test_a_folder_of_recordings_into_a_pipe(film: Path, tmp_path: Path) -> None:
    for name in ("b.mov", "a.mp4", ".hidden.mp4", "notes.txt"):
        (tmp_path / name).write_bytes(film.read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "mien", "analyze", str(tmp_path), "--fps", "2", "--start", "0:00.2"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(Path(r["source"]).name, r["frame"]) for r in found] == [
        *(("a.mp4", 5), ("a.mp4", 18), ("a.mp4", 30)),
        *(("b.mov", 5), ("b.mov", 18), ("b.mov", 30)),
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--start", "1:x"], "a time is 90, 1:30 or 1:02:03.5"),
        (["--start", "1:70"], "a time is 90, 1:30 or 1:02:03.5"),
        (["--every", "2", "--fps", "3"], "two ways to say one thing"),
        (["--smooth", "twosided"], "did you mean two-sided"),
        (["--no-tracks", "--smooth", "causal"], "cannot be smoothed"),
        (["--explain", "maps"], "--explain takes pictures"),
        (["--resume"], "name it with --out"),
        (["--format", "bids"], "recording-face_physio.tsv.gz"),
    ],
)
def test_misuse(film: Path, tmp_path: Path, words: list[str], says: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mien", "analyze", str(film), *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert says in done.stderr
    assert not list(tmp_path.iterdir())
