"""``mien bulk``: what a run leaves, however often it is killed, and what it refuses."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mien.analysis import ranges
from mien.analysis.pipeline import Settings
from mien.analysis.recording import Options
from mien.bulk import keeper, listing
from mien.bulk.engines import Local, engine
from mien.bulk.ledger import Ledger, Row, Totals
from mien.bulk.progress import Progress, serve_metrics
from mien.bulk.request import Request
from mien.bulk.run import run, status
from mien.bulk.store import Store
from mien.bulk.work import Outcome, Worker
from mien.errors import ConfigError, InputError, MienError, OutputError, ServiceError
from mien.media.video import Span
from mien.results import summary
from tests import made

from .conftest import contents, in_processes


class Here:
    """An engine without processes: what a worker does, in order."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after, self.done = stop_after, 0

    def outcomes(self, request: Request, expected: dict, units: Sequence[listing.Unit]):  # type: ignore[no-untyped-def, type-arg]
        worker = Worker(request, expected)
        for unit in units:
            if self.done == self.stop_after:
                raise KeyboardInterrupt
            self.done += 1
            yield worker.do(unit, {})

    def close(self) -> None:
        pass


def asked(source: Path, out: Path, **more: object) -> Request:
    settings = Settings(crops=True, threads=1)
    return Request(str(source), str(out), settings, **more)  # type: ignore[arg-type]


def rows(out: Path) -> list[Row]:
    found = Ledger(Store(str(out))).done()
    return sorted((row for unit in found.values() for row in unit), key=lambda row: row.number)


# -- what it leaves -----------------------------------------------------------------------------


def test_every_input_has_its_records_and_one_row(inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said: list[str] = []
    totals = run(asked(inputs, out), Here(), told=said.append)
    assert (totals.files, totals.errors, totals.frames) == (11, 1, 130)
    assert said == ["passed over, by their names: 1 other file (1 .txt)"]
    told = rows(out)
    assert [Path(row.source).name for row in told] == [
        *(f"{n}.png" for n in range(9)),
        "broken.png",
        "film.mp4",
    ]
    assert {row.status for row in told if row.source.endswith(".mp4")} == {"done"}
    (broken,) = [row for row in told if row.status == "error"]
    assert "broken.png" in broken.source
    assert broken.reason
    assert all(len(row.model_sha256) == 64 and row.machine for row in told)
    records = pq.read_table(out / "records").to_pylist()
    assert len(records) == 130
    assert {r["source"] for r in records} == {row.source for row in told}
    assert not (out / "ranges").exists()


def test_a_run_is_summed_up_and_what_is_missing_counted(inputs: Path, tmp_path: Path) -> None:
    out, again = tmp_path / "out", tmp_path / "again"
    run(asked(inputs, out), Here())
    told = cli("summary", out, "--out", again)
    assert told.returncode == 0, told.stderr
    missing = "0 of 11 inputs are not read yet, 1 could not be, 0 were in part"
    assert told.stderr.splitlines()[0] == f"{missing}: mien bulk status {out}"
    with (again / "summary.csv").open(encoding="utf-8-sig") as file:
        (face,) = csv.DictReader(file)
    assert Path(face["source"]).name == "film.mp4"
    alone = tmp_path / "film.jsonl"
    cli("analyze", inputs / "film.mp4", "--crops", "--out", alone)
    (whole,), (part,) = summary.read(alone), summary.read(out)
    assert part == whole


def test_a_folder_without_records_is_told(tmp_path: Path) -> None:
    told = cli("summary", tmp_path)
    assert told.returncode == 2
    assert "none that mien bulk filled; name a file of records" in told.stderr


def cli(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mien", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def warm_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recordings of seconds may be cut, too."""
    monkeypatch.setattr(ranges, "WARM_S", 1.0)
    monkeypatch.setattr(ranges, "WARM_FRAMES", 10)


@pytest.mark.usefixtures("warm_soon")
def test_a_long_recording_in_ranges_is_the_same_as_whole(inputs: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    options = Options(smooth="two-sided")
    run(asked(inputs, whole, options=options), Here())
    counting = Here()
    run(asked(inputs, cut, options=options, length_s=3.0), counting)
    assert counting.done == 11 + 4
    assert contents(cut) == contents(whole)
    assert [r.frames for r in rows(cut)] == [r.frames for r in rows(whole)]
    assert not list((cut / "ranges").rglob("*.gz"))


@pytest.mark.usefixtures("warm_soon")
@pytest.mark.parametrize("stop_after", [4, 12])
def test_a_run_that_stops_goes_on_to_the_same(
    inputs: Path, tmp_path: Path, stop_after: int
) -> None:
    once, twice = tmp_path / "once", tmp_path / "twice"
    run(asked(inputs, once, length_s=3.0), Here())
    with pytest.raises(KeyboardInterrupt):
        run(asked(inputs, twice, length_s=3.0), Here(stop_after))
    totals = run(asked(inputs, twice, length_s=3.0), Here())
    assert contents(twice) == contents(once)
    assert (totals.files, totals.frames) == (11, 130)
    assert run(asked(inputs, twice, length_s=3.0), Here(0)) == totals


def killed(command: list[str], after_s: float) -> bool:
    """Whether a command was still at work when it was killed; its workers end by themselves."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        process.wait(after_s)
        return False
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        return True


def test_killed_at_random_it_comes_to_the_same(inputs: Path, tmp_path: Path) -> None:
    once, often = tmp_path / "once", tmp_path / "often"
    words = ["bulk", str(inputs), "--crops", "--range", "3", "--processes", "1", "--out"]
    command = [sys.executable, "-m", "mien", *words]
    began = time.monotonic()
    subprocess.run([*command, str(once)], stderr=subprocess.DEVNULL)
    lasted, chance = time.monotonic() - began, random.Random(5)
    were = [killed([*command, str(often)], lasted * chance.uniform(0.3, 0.7)) for _ in range(3)]
    assert any(were)
    done = subprocess.run([*command, str(often)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stderr
    assert "11 files, 130 frames" in done.stderr
    assert contents(often) == contents(once)
    assert len(rows(often)) == 11


def test_what_killed_workers_had_begun_to_write_is_swept_up(inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def half_written(progress: Progress) -> None:
        (out / "records").mkdir(exist_ok=True)
        (out / "records" / f"{progress.totals.files}.parquet.12.part").write_bytes(b"half")

    run(asked(inputs, out), Here(), shown=half_written)
    assert len(rows(out)) == 11
    assert not list(out.rglob("*.part"))


@pytest.mark.parametrize("ends", [signal.SIGSEGV, signal.SIGKILL])
def test_an_input_that_ends_its_worker_is_set_aside(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: signal.Signals
) -> None:
    """By a decoder's fault, as of memory that is not its own; or by the system, short of memory."""
    in_processes(
        "import os, builtins, io\n"
        "from mien.analysis import batch\n"
        "kept = batch.run_job\n"
        "def run_job(analyzer, job, begun=None):\n"
        f"    if job.path.name == '4.png': os.kill(os.getpid(), {ends:d})\n"
        "    return kept(analyzer, job, begun)\n"
        "batch.run_job = run_job\n",
        tmp_path,
        monkeypatch,
    )
    out = tmp_path / "out"
    totals = run(asked(inputs, out, tries=2), Local(1))
    assert (totals.files, totals.errors) == (11, 2)
    (aside,) = [row for row in rows(out) if row.source.endswith("4.png")]
    assert aside.reason == (
        f"reading it ended the process ({ends.name}): a damaged file, or too little memory? "
        "Tried 2 times"
    )
    monkeypatch.setenv("PYTHONPATH", os.environ["PYTHONPATH"].partition(os.pathsep)[2])
    totals = run(asked(inputs, out, tries=2), Local(1), retry_errors=True)
    assert (totals.files, totals.errors) == (11, 1)


# -- what it refuses, and says ------------------------------------------------------------------


def test_a_folder_begun_otherwise_is_refused_with_what_differs(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    run(asked(inputs, out), Here())
    with pytest.raises(ConfigError, match=r"recordings .*'fps': None.*and this is .*'fps': 2"):
        run(asked(inputs, out, options=Options(Span(fps=2))), Here())
    with pytest.raises(ConfigError, match=r"range_s 300.0, and this is 7"):
        run(asked(inputs, out, length_s=7), Here())
    monkeypatch.setattr("mien.analysis.kept.__version__", "9.9")
    with pytest.raises(ConfigError, match=r"version .*and this is 9\.9"):
        run(asked(inputs, out), Here())


def test_a_machine_with_another_mien_is_told(inputs: Path, tmp_path: Path) -> None:
    request = asked(inputs, tmp_path / "out")
    expected = request.told(request.analyzer())
    with pytest.raises(ConfigError, match=r"this machine has version .* begun with 0\.0\.1"):
        Worker(request, expected | {"version": "0.0.1"})


def test_a_folder_of_other_things_is_left_alone(inputs: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="holds other things"):
        run(asked(inputs, inputs), Here())
    assert len(list(inputs.iterdir())) == 12


def test_two_runs_on_one_output_are_refused(inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with (
        Ledger(Store(str(out))).alone(),
        pytest.raises(OutputError, match=r"mien bulk goes on in .*out already; wait for it"),
    ):
        run(asked(inputs, out), Here())


def test_a_damaged_ledger_is_told_and_its_inputs_read_again(inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(asked(inputs, out), Here())
    before = contents(out)
    ledger = out / "ledger" / "part=00000" / "00000003.parquet"
    ledger.write_bytes(ledger.read_bytes()[:50])
    inputs_now, totals, damaged = status(str(out))
    assert (inputs_now, totals.files) == (11, 10)
    assert damaged == ["ledger/part=00000/00000003.parquet"]
    said: list[str] = []
    assert run(asked(inputs, out), Here(), told=said.append).files == 11
    assert said == [f"{damaged[0]} in the ledger is damaged; its inputs are read again"]
    assert contents(out) == before


def test_records_that_are_gone_are_told_and_read_again(inputs: Path, tmp_path: Path) -> None:
    """As where somebody drops a file of them that a disk has spoilt."""
    out = tmp_path / "out"
    run(asked(inputs, out), Here())
    before = contents(out)
    name = "records/part=00000/00000003.parquet"
    (out / name).unlink()
    assert status(str(out))[2] == [name]
    said: list[str] = []
    assert run(asked(inputs, out), Here(), told=said.append).files == 11
    assert said == [f"{name} is gone; its inputs are read again"]
    assert contents(out) == before


def test_inputs_of_another_kind_are_told(inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(asked(inputs, out), Here())
    pq.write_table(pa.table({"source": [5], "bytes": [7]}), out / "inputs.parquet")
    with pytest.raises(OutputError, match=r"inputs\.parquet in .* is damaged"):
        status(str(out))


@pytest.mark.parametrize("name", ["run.json", "inputs.parquet"])
def test_what_was_asked_for_damaged_is_told(inputs: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    run(asked(inputs, out), Here())
    (out / name).write_bytes(b"{")
    with pytest.raises(OutputError, match=rf"{name} in .* is damaged"):
        run(asked(inputs, out), Here())


def test_a_recording_that_grows_is_an_error_until_it_is_whole(inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(asked(inputs, out), Here(0))
    made.video(inputs / "film.mp4", frames=150, codec="h264")
    assert run(asked(inputs, out), Here()).errors == 2
    film = rows(out)[-1]
    assert film.reason
    assert film.reason.startswith("it changes while it is read: ")
    totals = run(asked(inputs, out), Here(), retry_errors=True)
    assert (totals.errors, totals.frames) == (1, 160)


def test_a_full_disk_ends_the_run_and_what_is_done_stays(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    kept, count = Store.writing, [0]

    def writing(store: Store, name: str):  # type: ignore[no-untyped-def]
        count[0] += name.startswith("records")
        if count[0] > 3:
            raise OutputError("cannot write it: No space left on device")
        return kept(store, name)

    with monkeypatch.context() as full:
        full.setattr(Store, "writing", writing)
        with pytest.raises(OutputError, match="No space left"):
            run(asked(inputs, out), Here())
    assert len(rows(out)) == 3
    assert not list(out.rglob("*.part"))
    assert run(asked(inputs, out), Here()).files == 11


def test_status_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no run of mien bulk in"):
        status(str(tmp_path))


def test_a_model_that_cannot_be_loaded_is_told_before_anything_is_written(
    inputs: Path, tmp_path: Path
) -> None:
    request = Request(str(inputs), str(tmp_path / "out"), Settings(model="nobody"))
    with pytest.raises(MienError, match="nobody"):
        run(request, Local(1))
    assert not (tmp_path / "out").exists()


# -- who works, and how far it is ---------------------------------------------------------------


def test_engines_by_name() -> None:
    with pytest.raises(ConfigError, match="--engine takes local or ray, got 'dask'"):
        engine("dask", None, None)
    with pytest.raises(ConfigError, match="--address is of a Ray cluster"):
        engine("local", None, "10.0.0.1:6379")


def test_an_error_of_a_worker_is_that_error_here() -> None:
    error = keeper.error("OutputError", "no space")
    assert isinstance(error, OutputError)
    assert str(error) == "no space"


def test_a_keeper_that_is_closed_begins_no_other_worker(inputs: Path, tmp_path: Path) -> None:
    request = asked(inputs, tmp_path / "out")
    mine = keeper.Keeper(request, request.told(request.analyzer()))
    units = list(listing.divided(listing.listed(str(inputs))))
    assert mine.do(units[0]).frames == 1
    mine.close()
    with pytest.raises(MienError, match="the run is over"):
        mine.do(units[1])


def test_a_worker_that_is_killed_before_it_is_at_an_input_is_begun_again(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = asked(inputs, tmp_path / "out")
    mine = keeper.Keeper(request, request.told(request.analyzer()))
    units = list(listing.divided(listing.listed(str(inputs))))
    begun, real = [0], subprocess.Popen

    def killed_at_once(dies: int) -> Callable[..., subprocess.Popen[bytes]]:
        def begin(*words: object, **how: object) -> subprocess.Popen[bytes]:
            process: subprocess.Popen[bytes] = real(*words, **how)  # type: ignore[call-overload]
            begun[0] += 1
            if begun[0] <= dies:
                process.kill()
            return process

        return begin

    try:
        with monkeypatch.context() as patched:
            patched.setattr(subprocess, "Popen", killed_at_once(2))
            assert mine.do(units[0]).frames == 1
        assert begun == [3]
        mine._process.kill()  # type: ignore[union-attr]
        begun[0] = 0
        monkeypatch.setattr(subprocess, "Popen", killed_at_once(99))
        with pytest.raises(MienError, match=r"a worker ends as soon as it begins \(SIGKILL\)"):
            mine.do(units[1])
    finally:
        mine.close()


def progress(clock: Callable[[], float]) -> Progress:
    rows = [Row(n, "a", "done", None, 30, 40, 1.0, "here", "") for n in (1, 2)]
    shown = Progress(101, Totals(files=1), clock)
    shown.add(Outcome(tuple(rows), 60, 80))
    return shown


def test_progress_tells_files_frames_faces_time_left_and_errors() -> None:
    times = iter([0.0, *[4.0] * 9])
    shown = progress(lambda: next(times))
    assert shown.line() == (
        "3 of 101 files, 0.5 files/s, 15.0 frames/s, 20.0 faces/s, 3 min left, 0 errors"
    )


def test_an_input_that_is_done_twice_is_counted_once() -> None:
    shown = progress(lambda: 1.0)
    shown.add(Outcome((Row(2, "a", "done", None, 30, 40, 1.0, "elsewhere", ""),)))
    assert (shown.totals.files, shown.totals.frames) == (3, 60)


def test_reasons_name_an_input_to_look_at() -> None:
    totals = Totals()
    for number, name in enumerate(("b.png", "a.png", "c.png")):
        why = "cut short" if name == "c.png" else "empty"
        totals.add(Row(number, name, "error", f"{name} is {why}", 1, 0, 0.0, "here", ""))
    assert list(totals.told(9)) == [(2, "it is empty: a.png, ..."), (1, "c.png is cut short")]


def test_prometheus_may_ask() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.listen()
        with pytest.raises(ServiceError, match=f"cannot listen at 127.0.0.1:{port}"):
            serve_metrics(progress(time.monotonic), port)
    end = serve_metrics(progress(lambda: 1.0), port)
    try:
        told = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    finally:
        end()
    assert "mien_bulk_files 3.0" in told
    assert "mien_bulk_frames 60.0" in told


def test_the_command_and_its_status(inputs: Path, tmp_path: Path) -> None:
    def mien(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mien", "bulk", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    out = str(tmp_path / "out")
    done = mien(str(inputs), "--crops", "-p", "2", "--out", out)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(f"11 files, 130 frames, 129 faces, 1 errors -> {out}\n")
    assert f"\nmien: {inputs}/broken.png is damaged" in done.stderr
    told = mien("status", out)
    assert told.returncode == 0
    assert f"\n       1  {inputs}/broken.png is damaged" in told.stdout
    assert told.stdout.startswith("11 of 11 files are done, 1 of them errors\n130 frames, 129 ")
    again = mien(str(inputs), "--out", out)
    assert again.returncode == 2
    assert "was begun with crops True, and this is False" in again.stderr
    assert mien(str(inputs)).returncode == 2
    for words, said in (
        (("status",), "name its folder behind it"),
        (("", "--out", f"{out}-2"), "an empty name is no folder"),
        ((str(inputs), "--out", ""), "name it with --out DIR"),
        ((str(inputs), "--out", f"{out}-2", "--range", "nan"), "--range takes a number of seconds"),
        (
            (str(inputs), "--out", f"{out}-2", "--metrics", "0"),
            "'--metrics': 0 is not in the range",
        ),
    ):
        refused = mien(*words)
        assert refused.returncode == 2
        assert said in refused.stderr
    assert not Path(f"{out}-2").exists()
    assert json.loads((Path(out) / "run.json").read_text())["crops"] is True
