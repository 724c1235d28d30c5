"""Works on the recordings that wait: ``mien analyze`` on each, in a process of its own.

A recording that brings its process down (a native crash, memory) takes no other with it, and what
is written is what the command line writes. A process that was stopped goes on by ``--resume``.
"""

from __future__ import annotations

import json
import logging
import os
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
from ..jsontext import parse
from .folders import Folder, Folders
from .jobs import DatabaseAway, Job, Jobs, Progress

log = logging.getLogger(__name__)

LEASE_S = 30.0
_LOOK_S = 0.5  # between two looks at a recording that is analysed
_IDLE_S = 2.0  # between two looks for one that waits, where nobody says that there is one
_AWAY_S = 5.0  # until a database that was away is asked again, and a folder that another has
_GRACE_S = 10.0  # that a process has to note how far it came
_SWEEP_S = 60.0
_TOLD = 2000  # bytes of what a process said last
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


class Workers:
    """So many recordings at once, each watched over by a thread.

    longest_s : of a recording; one that turns out longer than it said fails.
    keep_s : how long a job that is over is kept.
    """

    def __init__(
        self,
        jobs: Jobs,
        folders: Folders,
        count: int = 1,
        longest_s: float = float("inf"),
        keep_s: float = float("inf"),
        lease_s: float = LEASE_S,
    ) -> None:
        self._jobs, self._folders = jobs, folders
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
        """Analyse a recording, as far as this service gets with it."""
        folder = self._folders.of(job.id)
        names = [path.name for path in folder.input.glob("*")]
        if len(names) != 1:
            self._tell(lambda: self._jobs.failed(job.id, worker, "the recording is gone", {}))
            return
        with folder.alone() as handle:
            if handle is None:  # what a killed service had begun goes on without it
                self._jobs.leave(job.id, worker, _AWAY_S)
                return
            with _process(command(names[0], job.options), folder, handle) as process:
                end = self._watch(process, job, worker, folder)
            if end is None:
                self._tell(lambda: self._jobs.leave(job.id, worker))
            elif end.is_whole:
                self._tell(lambda: self._jobs.done(job.id, worker, end.progress, end.counts))
            elif end.is_crash:
                self._tell(lambda: self._jobs.crashed(job.id, worker, end.reason))
            else:
                self._tell(lambda: self._jobs.failed(job.id, worker, end.reason, end.counts))

    def _watch(
        self, process: subprocess.Popen[bytes], job: Job, worker: str, folder: Folder
    ) -> _End | None:
        """What came of the process, once it has ended; None where the job is to be left."""
        grown = _Grown(folder.records)
        while process.poll() is None:
            progress = grown.look()
            if self._stopping.is_set() or not self._renewed(job, worker, progress):
                _stop(process)
                return None
            if progress.time_s > self._longest_s:
                _stop(process)  # however it ends then, another try would be as long
                reason = f"it is longer than the {self._longest_s:g} s that a recording may last"
                return _End(False, False, reason, progress, {})
            self._stopping.wait(_LOOK_S)
        return _end(process.returncode, folder)

    def _renewed(self, job: Job, worker: str, progress: Progress) -> bool:
        """Whether the job is still ours; a database that is away says nothing against it."""
        try:
            return self._jobs.renew(job.id, worker, self._lease_s, progress)
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
class _End:
    """What came of a process that has ended.

    is_whole : its records are all there, and not every one is an error. is_crash : it may do better
    another time.
    """

    is_whole: bool
    is_crash: bool
    reason: str
    progress: Progress
    counts: Mapping[str, int]


def _end(status: int, folder: Folder) -> _End:
    counts = _counts(folder.records)
    progress = _Grown(folder.records).look()
    if counts is not None:
        none = set(counts) <= {"error"}
        reason = _first_reason(folder.records) if none else ""
        return _End(not none, False, reason, progress, counts)
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
    """What the command line gave as its reason."""
    try:
        text = said.read_bytes()[-_TOLD:].decode(errors="replace").strip()
    except OSError:
        text = ""
    return text.rpartition("mien: ")[2] or "it ended without a word"


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
def _process(words: list[str], folder: Folder, handle: int) -> Iterator[subprocess.Popen[bytes]]:
    """The command on a job's own recording; it keeps the job's folder as long as it lasts."""
    # Of this very mien, wherever it was started from.
    path = os.pathsep.join(filter(None, [str(_PACKAGES), os.environ.get("PYTHONPATH")]))
    with folder.said.open("wb") as said:
        process = subprocess.Popen(
            words,
            cwd=folder.input,
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
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
