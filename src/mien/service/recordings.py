"""Recordings as jobs: handed in, watched, and what came of them in every format."""

from __future__ import annotations

import shutil
import threading
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import InputError, OutputError, UnknownName, VideoError
from ..files import replacing
from ..foreign import content
from ..jsontext import parse
from ..results import records, summary, timeline
from ..results.records import writers
from .folders import Folder, Folders
from .jobs import Job, Jobs, State, connect
from .settings import ServiceSettings
from .worker import Workers

_FEW_BYTES = 256 << 20  # left on the disk where uploads are kept: less, and nothing is taken


class NotYet(InputError):
    """What is asked of a recording's records, and it has none, none yet, or none any more."""


def check(settings: ServiceSettings) -> None:
    """Raises ConfigError, DatabaseAway for a database that jobs cannot be kept in."""
    jobs = Jobs(connect(_address(settings)))
    try:
        jobs.prepare()
    finally:
        jobs.close()


def _address(settings: ServiceSettings) -> str:
    return settings.database or f"sqlite:///{settings.home / 'service' / 'jobs.sqlite'}"


class Recordings:
    """The jobs of one service, and those who work on them."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self.jobs = Jobs(connect(_address(settings)))
        self.folders = Folders(settings.home / "service" / "jobs")
        self._making = threading.Lock()
        self._workers = Workers(
            self.jobs,
            self.folders,
            settings.recordings,
            settings.longest_s,
            settings.keep_days * 86400,
            range_s=settings.range_s,
        )

    def begin(self) -> None:
        """Prepare the database and start to work; raises ConfigError, DatabaseAway."""
        self.jobs.prepare()
        self._workers.start()

    def close(self) -> None:
        """Let what is being analysed note how far it came."""
        self._workers.stop()
        self.jobs.close()

    def check_room(self) -> None:
        """Raises OutputError where the disk has no place for more."""
        self.folders.path.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self.folders.path).free < _FEW_BYTES:
            raise OutputError("the disk of this server is full; try again later")

    def accept(self, job: Job) -> Job:
        """Let a recording wait whose bytes are there.

        Raises VideoError where it is none, or one that is too long, QueueFull, DatabaseAway; and
        then nothing is kept of it.
        """
        folder = self.folders.of(job.id)
        try:
            (path,) = folder.input.iterdir()
            job = replace(job, bytes=path.stat().st_size, duration_s=self._duration(path))
            job = self.jobs.add(job, self.settings.most_recordings)
        except BaseException:
            folder.remove()
            raise
        self._workers.notify()
        return job

    def _duration(self, path: Path) -> float | None:
        """How long a recording says it is, in seconds; raises VideoError."""
        from ..media.video import Video

        try:
            with Video(path) as source:
                duration = source.info.duration_s
        except VideoError as err:
            raise VideoError(str(err).replace(str(path), path.name)) from None
        longest = self.settings.longest_s
        if duration is not None and duration > longest:
            raise VideoError(
                f"{path.name} lasts {duration:.0f} s, and this service takes up to {longest:.0f}; "
                "cut it first"
            )
        return duration

    def result(self, job: Job, form: str) -> Path:
        """The file of a job's records in a format; raises NotYet, UnknownName, MissingExtra.

        BIDS's is an archive of the table and what describes it.
        """
        folder = self._done(job)
        if form not in writers:
            raise UnknownName("format", form, writers)
        if form == "jsonl":
            return folder.records
        stem = Path(job.name).stem
        if form == "bids":
            return self._kept(folder, "bids.zip", lambda path: _bids(folder, stem, path))
        return self._kept(
            folder, f"{form}{_ENDINGS.get(form, '.csv')}", lambda path: _convert(folder, path, form)
        )

    def meta(self, job: Job) -> dict[str, Any]:
        """What the records were made with; raises NotYet."""
        told: dict[str, Any] = parse(content(self._done(job).meta))
        return told

    def summary(self, job: Job) -> list[dict[str, Any]]:
        """What each face showed: shares of its time, and episodes. Raises NotYet."""
        (recording,) = summary.read(self._done(job).records)
        return [
            summary.shares(recording, track) | {"episodes": summary.episode_cells(recording, track)}
            for _, track in sorted(recording.tracks.items())
        ]

    def timeline(self, job: Job) -> Path:
        """The picture of it; raises NotYet, MissingExtra."""
        folder = self._done(job)

        def draw(path: Path) -> None:
            (recording,) = summary.read(folder.records)
            if not recording.tracks:
                raise NotYet("no face was seen in it, so that there is nothing to draw")
            with replacing(path) as stream:
                stream.write(timeline.timeline(recording))

        return self._kept(folder, "timeline.png", draw)

    def _done(self, job: Job) -> Folder:
        folder = self.folders.of(job.id)
        if job.state is State.DONE:
            if not (folder.records.is_file() and folder.meta.is_file()):
                raise NotYet(
                    "its records are not on this server any more; delete it, and hand the "
                    "recording in again"
                )
            return folder
        why = f": {job.reason}" if job.reason else ""
        raise NotYet(f"the recording is {job.state}{why}; there are no records of it")

    def _kept(self, folder: Folder, name: str, make: Callable[[Path], None]) -> Path:
        path = folder.results / name
        with self._making:  # one of two requests for the same; the other finds it
            if not path.exists():
                folder.results.mkdir(exist_ok=True)
                make(path)
        return path


_ENDINGS = {"xlsx": ".xlsx", "parquet": ".parquet", "deepface": ".jsonl"}
"""Of files of a format; the others are tables of text."""


def _convert(folder: Folder, path: Path, form: str) -> None:
    records.convert(folder.records, path, form)


def _bids(folder: Folder, stem: str, path: Path) -> None:
    """BIDS's table and its sidecar, which belong together, in an archive."""
    name = f"{stem}_physio"
    table = folder.results / f"{name}.tsv.gz"
    records.convert(folder.records, table, "bids")
    with replacing(path) as stream, zipfile.ZipFile(stream, "w") as archive:
        for each in (table, folder.results / f"{name}.json"):
            archive.write(each, each.name)
