"""Many pictures, in order, on one or several processes; one bad file never ends it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from . import draw, image, records
from .errors import MienError, OutputError
from .face import Frame, ImageArray
from .pipeline import Analyzer, Settings
from .records import Record

log = logging.getLogger(__name__)

_AHEAD = 4  # pictures in flight per process: enough to keep it busy, little enough for the memory


@dataclass(frozen=True, slots=True)
class Job:
    """A picture to analyse, and where its annotated copy goes, if anywhere."""

    path: Path
    annotated: Path | None = None


def plan(paths: Iterable[Path], annotate: Path | None) -> list[Job]:
    """A job per path; annotated copies are named after their picture, never twice the same."""
    if annotate is None:
        return [Job(path) for path in paths]
    try:
        annotate.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise OutputError(f"cannot write into {annotate}: {err.strerror}") from err
    used: set[str] = set()
    jobs = []
    for path in paths:
        name, number = path.stem, 1
        while name in used:
            number += 1
            name = f"{path.stem}-{number}"
        used.add(name)
        jobs.append(Job(path, annotate / f"{name}.png"))
    return jobs


def run_job(analyzer: Analyzer, job: Job) -> Record:
    """The record of one picture; whatever goes wrong with it is that record's reason."""
    try:
        frame = Frame(image.read_file(job.path), source=str(job.path))
        faces = analyzer.analyze_frame(frame)
        if job.annotated:
            save(draw.annotate(frame, faces), job.annotated)
        return records.of_frame(frame, faces)
    except OutputError:
        raise  # a full disk is not the picture's fault, and the next picture will not fare better
    except MienError as err:
        return records.of_error(str(job.path), str(err))
    except Exception as err:  # a bug here must not cost the other pictures
        log.exception("unexpected error on %s", job.path)
        return records.of_error(str(job.path), f"unexpected {type(err).__name__}: {err}")


def save(picture: ImageArray, path: Path) -> None:
    """An RGB picture as PNG; raises OutputError."""
    from PIL import Image

    try:
        Image.fromarray(picture).save(path, compress_level=3)
    except OSError as err:
        raise OutputError(f"cannot write {path}: {err.strerror or err}") from err


def analyze_files(jobs: Sequence[Job], analyzer: Analyzer, processes: int = 1) -> Iterator[Record]:
    """Records in the order of the jobs, as they are ready.

    Several processes each build their own analyzer from ``analyzer.settings`` and use one thread.
    A picture that kills its process (a fault in a native decoder) becomes an error record.
    """
    if processes == 1 or len(jobs) <= 1:
        for job in jobs:
            yield run_job(analyzer, job)
        return
    settings = replace(analyzer.settings, threads=1)
    waiting = deque(jobs)
    while waiting:
        try:
            yield from _in_pool(waiting, settings, min(processes, len(jobs)))
        except BrokenProcessPool:
            yield _alone(waiting.popleft(), settings)


def _in_pool(waiting: deque[Job], settings: Settings, processes: int) -> Iterator[Record]:
    """Work ``waiting`` off from its left; a job leaves it only when its record is there."""
    pool = _pool(settings, processes)
    flying: deque[Future[Record]] = deque()
    try:
        while waiting:
            while len(flying) < min(len(waiting), processes * _AHEAD):
                flying.append(pool.submit(_work, waiting[len(flying)]))
            record = flying.popleft().result()
            waiting.popleft()
            yield record
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _alone(job: Job, settings: Settings) -> Record:
    """One job in a process of its own, after a pool broke with it at the head of the queue."""
    with _pool(settings, 1) as pool:
        try:
            return pool.submit(_work, job).result()
        except BrokenProcessPool:
            return records.of_error(str(job.path), "reading it killed the process: damaged file?")


def _pool(settings: Settings, processes: int) -> ProcessPoolExecutor:
    # Spawned, not forked: OpenCV and ONNX Runtime hold threads that do not survive a fork.
    context = get_context("spawn")
    return ProcessPoolExecutor(processes, context, initializer=_start, initargs=(settings,))


_worker: Analyzer | None = None


def _start(settings: Settings) -> None:
    global _worker
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _worker = Analyzer(settings)


def _work(job: Job) -> Record:
    assert _worker is not None
    return run_job(_worker, job)
