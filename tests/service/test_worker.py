"""Recordings that are worked on in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mien.errors import OutputError
from mien.service import jobs as j
from mien.service import worker as w
from mien.service.folders import Folders
from mien.service.jobs import DatabaseAway, Job, Jobs, State
from tests.made import video

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


def process_in(folders: Folders, job: Job) -> int:
    """The process that analyses a job's recording."""

    def found() -> int | None:
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(path / "cwd") == str(folders.of(job.id).input.resolve()):
                    return int(path.name)
            except OSError:
                continue
        return None

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
