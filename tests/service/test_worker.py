"""Recordings that are worked on in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from mien.errors import OutputError
from mien.service import jobs as j
from mien.service import worker as w
from mien.service.folders import Folders
from mien.service.jobs import Claim, DatabaseAway, Job, Jobs, Progress, State
from tests.made import video

from .databases import postgres

LONG = 2400  # frames; a process is found in the middle of them


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    engine = j.connect(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    table = Jobs(engine)
    table.prepare()
    yield table
    engine.dispose()


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path / "jobs")


def handed_in(jobs: Jobs, folders: Folders, path: Path, **options: Any) -> Job:
    job = Job("ann", path.name, options)
    with folders.receive(job.id, path.name) as take:
        take(path.read_bytes())
    return jobs.add(job, 100)


@contextmanager
def working(jobs: Jobs, folders: Folders, **settings: Any) -> Iterator[w.Workers]:
    workers = w.Workers(jobs, folders, **settings)
    workers.start()
    try:
        yield workers
    finally:
        workers.stop()


def until(is_so: Callable[[], Any], seconds: float = 120) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := is_so():
            return found
        time.sleep(0.05)
    raise AssertionError("it never was")


def ended(jobs: Jobs, job: Job) -> Job:
    def over() -> Job | None:
        found = jobs.get(job.id)
        assert found is not None
        return found if found.ended_s is not None else None

    found = until(over)
    assert isinstance(found, Job)
    return found


def undisturbed(path: Path, *options: str) -> bytes:
    """What the command line writes of it."""
    out = path.with_name(f"{path.name}.jsonl")
    words = [sys.executable, "-m", "mien", "analyze", path.name, "--out", str(out), *options]
    subprocess.run(words, cwd=path.parent, check=True, capture_output=True)
    return out.read_bytes()


def processes_in(folders: Folders, job: Job) -> dict[int, str]:
    """The processes that work on a job's recording, and with which words."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(path / "cwd") == str(folders.of(job.id).input.resolve()):
                words = (path / "cmdline").read_bytes().decode().split("\0")
                found[int(path.name)] = " ".join(words)
        except OSError:
            continue
    return found


def process_in(folders: Folders, job: Job, what: str = "") -> int:
    """The process that analyses a job's recording; with these words, if any."""

    def found() -> int | None:
        of = processes_in(folders, job).items()
        return next((pid for pid, words in of if what in words), None)

    return int(until(found))


def test_a_recording_is_analysed_as_by_the_command_line(
    jobs: Jobs, folders: Folders, tmp_path: Path
) -> None:
    path = video(tmp_path / "a clip.mp4", frames=20)
    job = handed_in(jobs, folders, path, every=2, no_tracks=True)
    with working(jobs, folders):
        done = ended(jobs, job)
    assert (done.state, done.counts, done.progress.frames) == (State.DONE, {"no_face": 10}, 10)
    assert done.progress.time_s == pytest.approx(1.8)
    whole = folders.of(job.id).records.read_bytes()
    assert whole == undisturbed(path, "--every", "2", "--no-tracks")
    assert json.loads(whole.splitlines()[0])["source"] == "a clip.mp4"


def test_what_is_no_recording_fails_with_the_readers_words(
    jobs: Jobs, folders: Folders, tmp_path: Path
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no recording")
    first = handed_in(jobs, folders, tmp_path / "a.mp4")
    second = handed_in(jobs, folders, video(tmp_path / "b.mp4"), person="Nobody")
    with working(jobs, folders):
        none, nobody = ended(jobs, first), ended(jobs, second)
    assert none.state is State.FAILED
    assert none.counts == {"error": 1}
    assert "a.mp4" in none.reason
    assert str(tmp_path) not in none.reason
    assert nobody.state is State.FAILED
    assert "Nobody" in nobody.reason


def test_a_process_that_is_killed_is_gone_on_with(
    jobs: Jobs, folders: Folders, tmp_path: Path
) -> None:
    path = video(tmp_path / "a.mp4", frames=LONG)
    job = handed_in(jobs, folders, path)
    with working(jobs, folders):
        until(lambda: (found := jobs.get(job.id)) and found.progress.frames)
        os.kill(process_in(folders, job), signal.SIGKILL)
        done = ended(jobs, job)
    assert (done.state, done.crashes) == (State.DONE, 1)
    assert folders.of(job.id).records.read_bytes() == undisturbed(path)


def test_one_that_always_kills_its_process_is_set_aside_and_the_next_is_done(
    jobs: Jobs, folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = w.command

    def command(name: str, options: Any) -> list[str]:
        dies = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
        return [sys.executable, "-c", dies] if name == "bad.mp4" else real(name, options)

    monkeypatch.setattr(w, "command", command)
    bad = handed_in(jobs, folders, video(tmp_path / "bad.mp4"))
    good = handed_in(jobs, folders, video(tmp_path / "good.mp4"))
    with working(jobs, folders):
        assert ended(jobs, good).state is State.DONE
        set_aside = ended(jobs, bad)
    assert (set_aside.state, set_aside.crashes) == (State.FAILED, 3)
    assert set_aside.reason == (
        "its process was ended by SIGSEGV: out of memory, or a fault in a library; tried 3 times"
    )


def test_an_error_that_nobody_foresaw_is_told_by_its_kind_alone(
    jobs: Jobs,
    folders: Folders,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where it came from is a matter of this machine's, and goes into its log."""
    fails = "def far(n):\n  far(n - 1) if n else int('Ann')\nfar(40)"
    (tmp_path / "fails.py").write_text(fails)
    words = [sys.executable, str(tmp_path / "fails.py")]
    monkeypatch.setattr(w, "command", lambda *_: words)
    job = handed_in(jobs, folders, video(tmp_path / "a.mp4"))
    with working(jobs, folders):
        failed = ended(jobs, job)
    assert failed.state is State.FAILED
    assert failed.reason == (
        "unexpected ValueError; please report it, with what the log of the service tells"
    )
    told = next(r.told for r in caplog.records if hasattr(r, "told"))
    assert told == {"error": "ValueError", "at": told["at"]}
    assert "fails.py:2 far" in told["at"]


def test_a_service_that_stops_lets_the_next_go_on(
    jobs: Jobs, folders: Folders, tmp_path: Path
) -> None:
    path = video(tmp_path / "a.mp4", frames=LONG)
    job = handed_in(jobs, folders, path)
    with working(jobs, folders):
        until(lambda: (found := jobs.get(job.id)) and found.progress.frames)
    left = jobs.get(job.id)
    assert left is not None
    assert (left.state, left.crashes) == (State.QUEUED, 0)
    with working(jobs, folders):
        assert ended(jobs, job).state is State.DONE
    assert folders.of(job.id).records.read_bytes() == undisturbed(path)


def test_a_recording_that_is_cancelled_stops(jobs: Jobs, folders: Folders, tmp_path: Path) -> None:
    job = handed_in(jobs, folders, video(tmp_path / "a.mp4", frames=LONG))
    with working(jobs, folders):
        process = process_in(folders, job)
        jobs.cancel(job.id, "ann")
        assert ended(jobs, job).state is State.CANCELLED
    assert not Path(f"/proc/{process}").exists()


def test_a_removed_job_leaves_nothing(jobs: Jobs, folders: Folders, tmp_path: Path) -> None:
    job = handed_in(jobs, folders, video(tmp_path / "a.mp4"))
    with working(jobs, folders):
        ended(jobs, job)
    jobs.remove(job.id, "ann")
    with working(jobs, folders):
        until(lambda: not folders.of(job.id).path.exists())
        until(lambda: not jobs.known())


def test_one_that_is_longer_than_it_said_fails(
    jobs: Jobs, folders: Folders, tmp_path: Path
) -> None:
    job = handed_in(jobs, folders, video(tmp_path / "a.mp4", frames=LONG))
    with working(jobs, folders, longest_s=2):
        failed = ended(jobs, job)
    assert failed.state is State.FAILED
    assert failed.reason == "it is longer than the 2 s that a recording may last"


def test_one_that_is_too_long_and_does_not_end_is_not_tried_again(
    jobs: Jobs, folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = (
        "import pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "pathlib.Path('../records.jsonl').write_text('{\"time_s\": 3.0}\\n'); time.sleep(60)"
    )
    monkeypatch.setattr(w, "command", lambda name, options: [sys.executable, "-c", deaf])
    monkeypatch.setattr(w, "_GRACE_S", 0.2)
    job = handed_in(jobs, folders, video(tmp_path / "a.mp4"))
    with working(jobs, folders, longest_s=2):
        failed = ended(jobs, job)
    assert (failed.state, failed.crashes) == (State.FAILED, 0)
    assert failed.reason == "it is longer than the 2 s that a recording may last"


def test_a_database_that_is_away_costs_no_recording(
    jobs: Jobs, folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(w, "_AWAY_S", 0.1)
    away: list[bool] = []
    for name in ("claim", "renew", "done", "expire"):
        real = getattr(jobs, name)

        def asked(*args: Any, real: Callable[..., Any] = real) -> Any:
            away.append(True)
            if len(away) % 3:
                raise DatabaseAway("the database does not answer: it is a test's")
            return real(*args)

        monkeypatch.setattr(jobs, name, asked)
    job = handed_in(jobs, folders, video(tmp_path / "a.mp4"))
    with working(jobs, folders):
        assert ended(jobs, job).state is State.DONE


def test_a_folder_that_another_process_has_is_waited_for(
    jobs: Jobs, folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service was killed, and what it began goes on."""
    monkeypatch.setattr(w, "_AWAY_S", 0.2)
    job = handed_in(jobs, folders, video(tmp_path / "a.mp4"))
    with folders.of(job.id).alone() as handle, working(jobs, folders):
        assert handle is not None
        time.sleep(1)
        waits = jobs.get(job.id)
        assert waits is not None
        assert waits.ended_s is None
        assert not folders.of(job.id).records.exists()
        os.close(os.dup(handle))
    with working(jobs, folders):
        assert ended(jobs, job).state is State.DONE


# -- of a long recording ------------------------------------------------------------------------

RANGE_S = 60.0  # of 240


def long_one(jobs: Jobs, folders: Folders, path: Path, **options: Any) -> Job:
    job = handed_in(jobs, folders, video(path, frames=LONG), **options)
    with jobs._engine.begin() as connection:  # as whoever takes it in finds out
        connection.execute(text("UPDATE mien_jobs SET duration_s = 240.0"))
    found = jobs.get(job.id)
    assert found is not None
    return found


def begun_parts(folders: Folders, job: Job) -> set[str]:
    """The ranges that somebody writes at."""
    return {path.parent.name for path in folders.of(job.id).path.glob("parts/*/*.part")}


def test_ranges_of_one_recording_are_analysed_side_by_side_as_one(
    jobs: Jobs, folders: Folders, tmp_path: Path
) -> None:
    path = tmp_path / "a.mp4"
    job = long_one(jobs, folders, path, smooth="two-sided", every=2)
    with working(jobs, folders, count=2, range_s=RANGE_S):
        until(lambda: len(begun_parts(folders, job)) == 2)
        until(lambda: (found := jobs.get(job.id)) and found.progress.frames)
        done = ended(jobs, job)
    assert (done.state, done.crashes, done.parts) == (State.DONE, 0, 4)
    assert (done.counts, done.progress.frames) == ({"no_face": 1200}, 1200)
    folder = folders.of(job.id)
    assert folder.records.read_bytes() == undisturbed(path, "--smooth", "two-sided", "--every", "2")
    told, alone = (
        json.loads(each.with_name(f"{each.name}.meta.json").read_bytes())
        for each in (folder.records, path.with_name("a.mp4.jsonl"))
    )
    assert told.keys() == alone.keys()
    differing = {name for name in told if told[name] != alone[name]}
    assert differing <= {"date", "created"}
    assert not list(folder.path.glob("parts/*"))


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_two_services_have_ranges_of_one_recording_at_once(
    folders: Folders, tmp_path: Path, database: str
) -> None:
    path, had = tmp_path / "a.mp4", defaultdict[str, set[int]](set)
    open_now, at_once = set[int](), list[int]()

    def service(name: str, address: str) -> Jobs:
        """Its own table, which notes what it had."""
        table = Jobs(j.connect(address))
        real, really_done = table.claim, table.done

        def claim(worker: str, lease_s: float) -> Job | None:
            job = real(worker, lease_s)
            if job and job.part is not None:
                had[name].add(job.part)
                open_now.add(job.part)
                at_once.append(len(open_now))
            return job

        def done(claim: Claim, progress: Progress, counts: Mapping[str, int]) -> bool:
            open_now.discard(-1 if claim.part is None else claim.part)
            return really_done(claim, progress, counts)

        table.claim = claim  # type: ignore[method-assign]
        table.done = done  # type: ignore[method-assign]
        return table

    with ExitStack() as opened:
        if database == "sqlite":
            address = f"sqlite:///{tmp_path / 'shared.sqlite'}"
        else:
            place = opened.enter_context(tempfile.TemporaryDirectory(prefix="mien-"))
            address = opened.enter_context(postgres(Path(place))).address
        first, second = service("first", address), service("second", address)
        opened.callback(second.close)
        opened.callback(first.close)
        for table in (first, second):
            table.prepare()
        job = long_one(first, folders, path)
        with working(first, folders, range_s=RANGE_S), working(second, folders, range_s=RANGE_S):
            done = ended(second, job)
    assert (done.state, done.parts) == (State.DONE, 4)
    assert max(at_once) == 2
    assert had["first"]
    assert had["second"]
    assert had["first"] | had["second"] == {0, 1, 2, 3}
    assert not had["first"] & had["second"]
    assert folders.of(job.id).records.read_bytes() == undisturbed(path)


def test_a_range_that_is_killed_is_analysed_again_and_no_other_is(
    jobs: Jobs, folders: Folders, tmp_path: Path
) -> None:
    path = tmp_path / "a.mp4"
    job = long_one(jobs, folders, path)
    with working(jobs, folders, range_s=RANGE_S):
        until(lambda: "00001" in begun_parts(folders, job))
        first = folders.of(job.id).part(0).records.stat().st_mtime_ns
        os.kill(process_in(folders, job, "service.child 1 "), signal.SIGKILL)
        until(lambda: "00001" in begun_parts(folders, job))
        assert folders.of(job.id).part(0).records.stat().st_mtime_ns == first
        done = ended(jobs, job)
    assert (done.state, done.crashes) == (State.DONE, 0)
    assert folders.of(job.id).records.read_bytes() == undisturbed(path)


def test_a_range_that_always_kills_its_process_sets_the_recording_aside(
    jobs: Jobs, folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = w.step

    def step(name: str, job: Job, what: str | int, range_s: float) -> list[str]:
        dies = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
        return [sys.executable, "-c", dies] if what == 2 else real(name, job, what, range_s)

    monkeypatch.setattr(w, "step", step)
    bad = long_one(jobs, folders, tmp_path / "bad.mp4")
    good = handed_in(jobs, folders, video(tmp_path / "good.mp4"))
    with working(jobs, folders, range_s=RANGE_S):
        set_aside = ended(jobs, bad)
        assert ended(jobs, good).state is State.DONE
    assert set_aside.state is State.FAILED
    assert set_aside.reason == (
        "its process was ended by SIGSEGV: out of memory, or a fault in a library; tried 3 times"
    )


def test_a_service_that_stops_in_a_range_lets_the_next_go_on(
    jobs: Jobs, folders: Folders, tmp_path: Path
) -> None:
    path = tmp_path / "a.mp4"
    job = long_one(jobs, folders, path)
    with working(jobs, folders, range_s=RANGE_S):
        until(lambda: "00001" in begun_parts(folders, job))
    assert not processes_in(folders, job)
    with working(jobs, folders, range_s=RANGE_S):
        assert ended(jobs, job).state is State.DONE
    assert folders.of(job.id).records.read_bytes() == undisturbed(path)


def test_a_cut_recording_that_is_cancelled_stops_in_all_its_ranges(
    jobs: Jobs, folders: Folders, tmp_path: Path
) -> None:
    job = long_one(jobs, folders, tmp_path / "a.mp4")
    with working(jobs, folders, count=2, range_s=RANGE_S):
        until(lambda: len(begun_parts(folders, job)) == 2)
        jobs.cancel(job.id, "ann")
        assert ended(jobs, job).state is State.CANCELLED
        assert not processes_in(folders, job)


def test_a_process_that_outlives_its_service_keeps_its_range(
    jobs: Jobs, folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(w, "_AWAY_S", 0.2)
    path = tmp_path / "a.mp4"
    job = long_one(jobs, folders, path)
    with folders.of(job.id).part(0).alone() as handle:
        assert handle is not None
        with working(jobs, folders, range_s=RANGE_S):
            until(lambda: len(list(folders.of(job.id).path.glob("parts/*/records.jsonl"))) == 3)
            time.sleep(1)
            waits = jobs.get(job.id)
            assert waits is not None
            assert waits.ended_s is None
            assert begun_parts(folders, job) == set()
    with working(jobs, folders, range_s=RANGE_S):
        assert ended(jobs, job).state is State.DONE
    assert folders.of(job.id).records.read_bytes() == undisturbed(path)


def test_one_that_is_begun_as_a_whole_is_gone_on_with_as_a_whole(
    jobs: Jobs, folders: Folders, tmp_path: Path
) -> None:
    """It was an older mien's, or a service's with longer ranges."""
    path = tmp_path / "a.mp4"
    job = long_one(jobs, folders, path)
    with working(jobs, folders):
        until(lambda: (found := jobs.get(job.id)) and found.progress.frames)
    with working(jobs, folders, range_s=RANGE_S):
        done = ended(jobs, job)
    assert (done.state, done.parts) == (State.DONE, 0)
    assert folders.of(job.id).records.read_bytes() == undisturbed(path)


def test_ranges_that_would_be_made_with_something_else_are_refused(
    jobs: Jobs, folders: Folders, tmp_path: Path
) -> None:
    job = long_one(jobs, folders, tmp_path / "a.mp4")
    with working(jobs, folders, range_s=RANGE_S):
        until(lambda: "00001" in begun_parts(folders, job))
    cut = folders.of(job.id).cut
    told = json.loads(cut.read_bytes())
    told["made_with"]["version"] = "0.0.1"
    cut.write_text(json.dumps(told))
    with working(jobs, folders, range_s=RANGE_S):
        failed = ended(jobs, job)
    assert failed.state is State.FAILED
    assert "and the run was begun with 0.0.1" in failed.reason


def test_a_recording_that_cannot_be_cut_is_read_whole(
    jobs: Jobs, folders: Folders, tmp_path: Path
) -> None:
    path = video(tmp_path / "a.avi", frames=LONG, codec="h264")
    job = handed_in(jobs, folders, path)
    with jobs._engine.begin() as connection:
        connection.execute(text("UPDATE mien_jobs SET duration_s = 240.0"))
    with working(jobs, folders, range_s=RANGE_S):
        done = ended(jobs, job)
    assert (done.state, done.parts) == (State.DONE, 0)
    assert folders.of(job.id).records.read_bytes() == undisturbed(path)


def test_a_recording_that_was_not_handed_in_whole_is_dropped(folders: Folders) -> None:
    with pytest.raises(ConnectionError), folders.receive("one", "a.mp4") as take:
        _broken_off(take)
    assert not folders.of("one").path.exists()
    for id in ("known", "killed", "new"):
        with folders.receive(id, "a.mp4") as take:
            take(b"half of it")
    for path in (folders.path / id for id in ("known", "killed")):
        for each in (*path.glob("input/*"), path / "input", path):
            os.utime(each, (0, 0))
    folders.drop_abandoned(lambda: {"known"})
    assert {path.name for path in folders.path.iterdir()} == {"known", "new"}


def _broken_off(take: Callable[[bytes], None]) -> None:
    take(b"half of it")
    raise ConnectionError


def test_a_full_disk_is_told_and_leaves_nothing(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with (
        pytest.raises(OutputError, match="recording cannot be kept: No space left on device"),
        folders.receive("one", "a.mp4") as take,
    ):
        take(b"all of it")
    assert not folders.of("one").path.exists()
