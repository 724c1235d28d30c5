"""Works on the recordings that wait: ``mien analyze`` on each, in a process of its own.

A recording that brings its process down (a native crash, memory) takes no other with it, and what
is written is what the command line writes. A process that was stopped goes on by ``--resume``. A
long recording is cut; each range is a process's (``mien.service.child``), of whatever service is
first to have it, and so is joining them. A range that was stopped is begun anew.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import foreign
from ..analysis.kept import Kept
from ..analysis.ranges import LENGTH_S
from ..jsontext import parse
from .folders import Folder, Folders
from .jobs import Claim, DatabaseAway, Job, Jobs, Progress

log = logging.getLogger(__name__)

LEASE_S = 30.0
_LOOK_S = 0.5  # between two looks at a recording that is analysed
_IDLE_S = 2.0  # between two looks for one that waits, where nobody says that there is one
_AWAY_S = 5.0  # until a database that was away is asked again, and a folder that another has
_GRACE_S = 10.0  # that a process has to note how far it came
_SWEEP_S = 60.0
_TOLD = 2000  # bytes of what a process said last
_TRACE = re.compile(r'^ +File ".*?([^/\\"]+)", line (\d+), in (\S+)', re.MULTILINE)
_BLOCK = 1 << 20  # bytes of records that are looked through at a time
_OPTIONS = {
    "base_rates": "--base-rates",
    "strength": "--strength",
    "detector": "--detector",
    "model": "--model",
    "person": "--person",
    "align": "--align",
    "coverage": "--coverage",
    "every": "--every",
    "fps": "--fps",
    "start": "--start",
    "end": "--end",
    "smooth": "--smooth",
}
_SWITCHES = {"crops": "--crops", "no_tracks": "--no-tracks"}


def command(name: str, options: Mapping[str, Any]) -> list[str]:
    """The command line that analyses a recording of this name in its own folder.

    >>> command("a.mp4", {"fps": 5, "crops": True})[3:]
    ['analyze', '--out', '../records.jsonl', '--resume', '--fps', '5', '--crops', '--', 'a.mp4']
    """
    words = [sys.executable, "-m", "mien", "analyze", "--out", "../records.jsonl", "--resume"]
    for option, word in _OPTIONS.items():
        if options.get(option) is not None:
            words += [word, str(options[option])]
    words += [word for option, word in _SWITCHES.items() if options.get(option)]
    return [*words, "--", name]


def step(name: str, job: Job, what: str | int, range_s: float) -> list[str]:
    """The command line of a step with a recording that is cut: cut, join, or a range's number."""
    words = [sys.executable, "-m", "mien.service.child", str(what)]
    return [*words, json.dumps(dict(job.options)), name, str(range_s)]


class Workers:
    """So many processes at once, each watched over by a thread.

    longest_s : of a recording; one that turns out longer than it said fails.
    keep_s : how long a job that is over is kept.
    range_s : of a range; a recording of twice as much is cut.
    """

    def __init__(
        self,
        jobs: Jobs,
        folders: Folders,
        count: int = 1,
        longest_s: float = float("inf"),
        keep_s: float = float("inf"),
        lease_s: float = LEASE_S,
        range_s: float = LENGTH_S,
    ) -> None:
        self._jobs, self._folders, self._range_s = jobs, folders, range_s
        self._longest_s, self._keep_s, self._lease_s = longest_s, keep_s, lease_s
        self._stopping, self._news = threading.Event(), threading.Event()
        self._threads = [
            *(threading.Thread(target=self._work, name=f"recordings-{i}") for i in range(count)),
            threading.Thread(target=self._sweep, name="recordings-sweep"),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let every process note how far it came, and come back when all are gone."""
        self._stopping.set()
        self._news.set()
        for thread in self._threads:
            thread.join()

    def notify(self) -> None:
        """There is a recording that waits."""
        self._news.set()

    def _work(self) -> None:
        worker = secrets.token_hex(8)
        while not self._stopping.is_set():
            try:
                if job := self._jobs.claim(worker, self._lease_s):
                    self._do(job, worker)
                else:
                    self._news.wait(_IDLE_S)
                    self._news.clear()
            except DatabaseAway as err:
                log.warning("%s; asked again in %g s", err, _AWAY_S)
                self._stopping.wait(_AWAY_S)
            except Exception:  # a bug with one recording must not end the others
                log.exception("the worker failed on a recording")
                self._stopping.wait(_AWAY_S)

    def _do(self, job: Job, worker: str) -> None:
        """Do what there is to do with a recording, as far as this service gets with it."""
        claim, folder = Claim(job.id, worker, job.part), self._folders.of(job.id)
        names = [path.name for path in folder.input.glob("*")]
        if len(names) != 1:
            reason = "the recording is gone"
            self._tell(lambda: self._jobs.failed(claim, reason, {}))
        elif not self._renewed(claim, None):  # it was to stop when nobody was at it
            self._tell(lambda: self._jobs.leave(claim))
        else:
            place = folder if job.part is None else folder.part(job.part)
            with place.alone() as handle:
                if handle is None:  # what a killed service had begun goes on without it
                    self._jobs.leave(claim, _AWAY_S)
                    return
                made = _Step(job, claim, folder, place, names[0], handle)
                self._end(made, self._done(made))

    def _done(self, made: _Step) -> _End | None:
        """What came of a job or a range; None where it is to be left."""
        job, folder = made.job, made.folder
        if job.part is not None:
            words = step(made.name, job, job.part, self._range_s)
            return self._run(made, words, made.place.growing, _end_of_part)
        if job.parts:
            return self._run(made, step(made.name, job, "join", self._range_s), None, _end)
        if self._is_long(job, folder) and not folder.cut.exists():
            words = step(made.name, job, "cut", self._range_s)
            end = self._run(made, words, None, _bad_end)  # a good one leaves the ranges
            if end is None or end.is_crash:
                return end  # any other end: what reads the whole says it better
        starts_s = _starts_s(folder, job)
        if len(starts_s) > 1:
            return _End(False, False, "", Progress(), {}, starts_s)
        return self._run(made, command(made.name, job.options), folder.records, _end)

    def _is_long(self, job: Job, folder: Folder) -> bool:
        """Whether a recording is to be cut: not one that is begun already as a whole."""
        if job.duration_s is None or folder.records.exists():
            return False
        end_s = min(job.duration_s, job.options.get("end") or job.duration_s)
        return end_s - (job.options.get("start") or 0.0) >= 2 * self._range_s

    def _end(self, made: _Step, end: _End | None) -> None:
        """Let the table know what came of it."""
        job, claim = made.job, made.claim
        if end is None:
            self._tell(lambda: self._jobs.leave(claim))
        elif end.starts_s:
            self._tell(lambda: self._jobs.cut(claim.id, claim.worker, end.starts_s))
            self._news.set()
        elif end.is_whole:
            if job.parts and claim.part is None:
                made.folder.drop_parts()
            self._tell(lambda: self._jobs.done(claim, end.progress, end.counts))
        elif end.is_crash:
            self._tell(lambda: self._jobs.crashed(claim, end.reason))
        else:
            self._tell(lambda: self._jobs.failed(claim, end.reason, end.counts))

    def _run(
        self,
        made: _Step,
        words: list[str],
        grows: Path | None,
        end_of: Callable[[int, Folder], _End],
    ) -> _End | None:
        """What came of a command, unless that is there already; None where the job is to be left.

        grows : the file that tells how far it is.
        """
        if made.is_whole:
            return end_of(0, made.place)
        with _process(words, made.folder.input, made.place.said, made.handle) as process:
            return self._watch(process, made, _Grown(grows) if grows else None, end_of)

    def _watch(
        self,
        process: subprocess.Popen[bytes],
        made: _Step,
        grown: _Grown | None,
        end_of: Callable[[int, Folder], _End],
    ) -> _End | None:
        """What came of the process, once it has ended; None where the job is to be left."""
        while process.poll() is None:
            progress = grown.look() if grown else None
            if self._stopping.is_set() or not self._renewed(made.claim, progress):
                _stop(process)
                return None
            if progress and progress.time_s > self._longest_s:
                _stop(process)  # however it ends then, another try would be as long
                reason = f"it is longer than the {self._longest_s:g} s that a recording may last"
                return _End(False, False, reason, progress, {})
            self._stopping.wait(_LOOK_S)
        return end_of(process.returncode, made.place)

    def _renewed(self, claim: Claim, progress: Progress | None) -> bool:
        """Whether the job is still ours; a database that is away says nothing against it."""
        try:
            return self._jobs.renew(claim, self._lease_s, progress)
        except DatabaseAway as err:
            log.warning("%s", err)
            return True

    def _tell(self, change: Callable[[], bool]) -> None:
        """Write what came of a job, as soon as the database is there.

        Where the service stops meanwhile, the next one finds the records whole.
        """
        while True:
            try:
                change()
                return
            except DatabaseAway as err:
                log.warning("%s; told again in %g s", err, _AWAY_S)
            if self._stopping.wait(_AWAY_S):
                return

    def _sweep(self) -> None:
        """Drop what is to be forgotten, and what was never handed in whole."""
        while not self._stopping.is_set():
            try:
                self._jobs.expire(self._keep_s)
                for id in self._jobs.forgotten():
                    self._folders.of(id).remove()
                    self._jobs.erase(id)
                self._folders.drop_abandoned(self._jobs.known)
            except DatabaseAway as err:
                log.warning("%s", err)
            self._stopping.wait(_SWEEP_S)


@dataclass(frozen=True, slots=True)
class _Step:
    """Something that a worker does for a job.

    place : where what comes of it lies: the job's own folder, or a range's, which ``handle`` keeps.
    name : of the recording.
    """

    job: Job
    claim: Claim
    folder: Folder
    place: Folder
    name: str
    handle: int

    @property
    def is_whole(self) -> bool:
        """Whether a service that was killed had come to the end of it, and only could not say."""
        if self.job.part is None:
            return _counts(self.place.records) is not None
        return self.place.records.exists()


@dataclass(frozen=True, slots=True)
class _End:
    """What came of a process that has ended.

    is_whole : its records are all there, and not every one is an error. is_crash : it may do better
    another time. starts_s : of the ranges that the job is cut into.
    """

    is_whole: bool
    is_crash: bool
    reason: str
    progress: Progress
    counts: Mapping[str, int]
    starts_s: tuple[float, ...] = ()


def _end(status: int, folder: Folder) -> _End:
    counts = _counts(folder.records)
    if counts is not None:
        none = set(counts) <= {"error"}
        reason = _first_reason(folder.records) if none else ""
        progress = _Grown(folder.records).look()
        return _End(not none, False, reason, progress, counts)
    return _bad_end(status, folder)


def _end_of_part(status: int, folder: Folder) -> _End:
    if status or not folder.records.exists():
        return _bad_end(status, folder)
    part = Kept.of(folder.records)
    return _End(True, False, "", Progress(part.frames, part.time_s), {})


def _bad_end(status: int, folder: Folder) -> _End:
    progress = _Grown(folder.records).look()
    if status < 0:
        name = signal.Signals(-status).name
        said = f"its process was ended by {name}: out of memory, or a fault in a library"
        return _End(False, True, said, progress, {})
    return _End(False, False, _last_words(folder.said), progress, {})


def _counts(records: Path) -> dict[str, int] | None:
    """How many records of each status there are; None where they are not whole."""
    try:
        meta = parse(foreign.content(records.with_name(records.name + ".meta.json")))
        return dict(meta["records"]) if meta["complete"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _first_reason(records: Path) -> str:
    with records.open(encoding="utf-8") as lines:
        for line in lines:
            return str(json.loads(line)["reason"])
    return "it has no frames"


def _last_words(said: Path) -> str:
    """What the command line gave as its reason; of an error that nobody foresaw its kind alone,
    as where it came from is for the log."""
    try:
        text = said.read_bytes()[-_TOLD:].decode(errors="replace").strip()
    except OSError:
        text = ""
    if at := [f"{file}:{line} {where}" for file, line, where in _TRACE.findall(text)]:
        kind = text.splitlines()[-1].partition(":")[0]
        log.error("a recording failed", extra={"told": {"error": kind, "at": at}})
        return f"unexpected {kind}; please report it, with what the log of the service tells"
    return text.rpartition("mien: ")[2] or "it ended without a word"


def _starts_s(folder: Folder, job: Job) -> tuple[float, ...]:
    """When the ranges of a recording begin; nothing where it is not cut."""
    if not folder.cut.exists():
        return ()
    first_s = float(job.options.get("start") or 0.0)
    found = [part["start_s"] for part in parse(foreign.content(folder.cut))["ranges"]]
    return tuple(first_s if start is None else float(start) for start in found)


class _Grown:
    """How many records a growing file holds, and the time of its last one."""

    def __init__(self, records: Path) -> None:
        self._records = records
        self._place = self._lines = 0
        self._last = b""
        self._begun: tuple[float, int] | None = None  # when its first lines of this run came

    def look(self) -> Progress:
        with suppress(OSError):
            if self._records.stat().st_size < self._place:  # cut back to its mark
                self._place = self._lines = 0
            with self._records.open("rb") as stream:
                stream.seek(self._place)
                while block := stream.read(_BLOCK):
                    whole = block[: block.rfind(b"\n") + 1]
                    if not whole:
                        break
                    self._lines += whole.count(b"\n")
                    self._last = whole[whole.rfind(b"\n", 0, -1) + 1 :]
                    self._place += len(whole)
                    stream.seek(self._place)
        if not self._last:
            return Progress()
        now = time.monotonic()
        self._begun = self._begun or (now, self._lines)
        passed = now - self._begun[0]
        speed = (self._lines - self._begun[1]) / passed if passed else 0.0
        return Progress(self._lines, float(json.loads(self._last)["time_s"]), max(0.0, speed))


@contextmanager
def _process(
    words: list[str], where: Path, said: Path, handle: int
) -> Iterator[subprocess.Popen[bytes]]:
    """A command on a job's own recording; it keeps what it works in as long as it lasts."""
    # Of this very mien, wherever it was started from.
    path = os.pathsep.join(filter(None, [str(_PACKAGES), os.environ.get("PYTHONPATH")]))
    with said.open("wb") as errors:
        process = subprocess.Popen(
            words,
            cwd=where,
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            pass_fds=(handle,),
            start_new_session=True,  # a Ctrl-C in the service's terminal is the service's
        )
    try:
        yield process
    finally:
        _stop(process)


_PACKAGES = Path(__file__).parents[2]


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that still runs; it may note before how far it came."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
