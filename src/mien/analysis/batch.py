"""Many pictures, in order, on one or several processes; one bad file never ends it.

In one process the next pictures are read and searched while one is recognised.
"""

from __future__ import annotations

import logging
import os
import re
from collections import Counter, deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, NoReturn

from ..errors import (
    ConfigError,
    ImageError,
    InputError,
    MienError,
    ModelError,
    OutputError,
    VideoError,
)
from ..face import Face, Frame, ImageArray, RecognizedFace
from ..files import replacing
from ..later import Later, side_by_side
from ..media import image
from ..names import folded
from ..results import records
from ..results.records import Record
from ..secrecy import public
from .pipeline import Analyzer, Settings

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor

    from ..media.annotated import Copy
    from ..media.video import Video
    from .recording import Options, State

log = logging.getLogger(__name__)

_AHEAD = 4  # pictures in flight per process: enough to keep it busy, little enough for the memory
_SIGNED = ("Software", "mien")  # in every PNG mien writes, so that it knows its own again

Looked = tuple[Frame, list[Face]]


@dataclass(frozen=True, slots=True)
class Job:
    """A picture to analyse, and what else to make of it.

    annotated : where its annotated copy goes, if anywhere; ``shown`` says what it shows beside
        boxes and names, see ``draw.annotate``.
    explained : what the files that explain its faces begin with, if there are to be any;
        ``emotion`` says which labels they explain, see ``mien.expression.explain``.
    """

    path: Path
    annotated: Path | None = None
    shown: tuple[str, ...] = ()
    explained: Path | None = None
    emotion: str = "top"

    @property
    def is_drawn(self) -> bool:
        return self.annotated is not None or self.explained is not None


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording to analyse: a file, or the address of a stream.

    annotated : where its annotated copy goes, without a suffix; ``shown`` as of ``Job``.
    """

    path: Path | str
    options: Options
    annotated: Path | None = None
    shown: tuple[str, ...] = ()


@dataclass(slots=True)
class Reached:
    """How far a run has come.

    jobs : that have all their records. state : of the next one, a recording that has begun.
    expected : about how many records that recording will have; None where nobody knows.
    """

    jobs: int = 0
    state: State | None = None
    expected: int | None = None


def find(inputs: Sequence[str], passed_over: Counter[str] | None = None) -> list[Path | str]:
    """The pictures and recordings meant by paths, folders, patterns, and addresses of streams.

    passed_over : as of ``image.find``.
    """
    both = image.SUFFIXES | image.RECORDINGS
    found: list[Path | str] = []
    for given in inputs:
        if image.is_address(given):
            found.append(given)
        else:
            found += image.find([given], both, "picture or recording", passed_over)
    return found


def is_recording(path: Path | str) -> bool:
    """Whether it is for ``mien.media.video`` to read."""
    if os.path.splitext(path)[1].lower() in image.SUFFIXES and isinstance(path, Path):
        return False
    from ..media import video

    return isinstance(path, str) or video.is_video(path)


def plan(
    paths: Sequence[Path],
    annotate: Path | None = None,
    shown: Collection[str] = (),
    explain: Path | None = None,
    emotion: str = "top",
) -> list[Job]:
    """A job per picture; what it writes is named after its picture, never twice the same.

    shown : what annotated copies show beside boxes and names, of "landmarks" and "intensity".

    A copy replaces an older copy, but nobody's own picture: raises ConfigError where it would be
    one of ``paths``, OutputError where it would be another file or the folder cannot be made.
    """
    jobs = [
        Job(
            path,
            annotate / f"{name}.png" if annotate else None,
            tuple(shown),
            explain / name if explain else None,
            emotion,
        )
        for path, name in zip(paths, _names(paths), strict=True)
    ]
    if annotate:
        _check_copies(jobs, annotate)
    if explain:
        _make_folder(explain)
    return jobs


def plan_all(
    paths: Sequence[Path | str],
    options: Options | None,
    annotate: Path | None = None,
    shown: Collection[str] = (),
    explain: Path | None = None,
    overwrite: bool = False,
) -> list[Job | Recording]:
    """A job per picture as of ``plan``, and per recording, in the order of ``paths``.

    options : None where there are only pictures. overwrite : whether an annotated recording, which
        took long to make, may be replaced.
    """
    recordings = {i for i, path in enumerate(paths) if is_recording(path)}
    if recordings and explain:
        raise ConfigError("--explain takes pictures; extract the frame that is to be explained")
    pictures = [Path(path) for i, path in enumerate(paths) if i not in recordings]
    jobs = iter(plan(pictures, annotate, shown, explain))
    films = [_named(paths[i]) for i in sorted(recordings)]
    copies = iter(_plan_copies(films, annotate, overwrite))
    planned: list[Job | Recording] = []
    for i, path in enumerate(paths):
        if i not in recordings:
            planned.append(next(jobs))
        else:
            assert options
            planned.append(Recording(path, options, next(copies), tuple(shown)))
    return planned


def _named(path: Path | str) -> Path:
    """What a recording's copy is named after; of an address the part that names it."""
    if isinstance(path, Path) or not image.is_address(path):
        return Path(path)
    return Path(re.split("[?#]", public(path))[0])


def _plan_copies(paths: Sequence[Path], folder: Path | None, overwrite: bool) -> list[Path | None]:
    """Where the annotated copies of recordings go, without a suffix; as of ``plan_all``."""
    if folder is None or not paths:
        return [None] * len(paths)
    from ..media import annotated

    _make_folder(folder)
    theirs = {folded(os.path.realpath(path)) for path in paths}
    for name in _names(paths):
        for copy in (folder / f"{name}.mp4", folder / f"{name}.mkv"):
            if folded(os.path.realpath(copy)) in theirs:
                raise ConfigError(
                    f"{copy} is one of the recordings to analyse, and an annotated copy "
                    "would replace it; name another folder for these"
                )
            if copy.exists() and not annotated.is_ours(copy):
                raise OutputError(
                    f"{copy} is there already, and no annotated copy of mien's; "
                    "name another folder for these"
                )
            if copy.exists() and not overwrite:
                raise OutputError(
                    f"{copy} is there already, of an earlier run; name another folder for these, "
                    "or pass --overwrite"
                )
    return [folder / name for name in _names(paths)]


def _names(paths: Sequence[Path]) -> Iterator[str]:
    """Each picture's name without its suffix; a number behind it where it came before."""
    used: set[str] = set()
    for path in paths:
        name, number = path.stem, 1
        while folded(name) in used:
            number += 1
            name = f"{path.stem}-{number}"
        used.add(folded(name))
        yield name


def _check_copies(jobs: Sequence[Job], annotate: Path) -> None:
    pictures = {folded(os.path.realpath(job.path)) for job in jobs}
    folder = os.path.realpath(annotate)
    for job in jobs:
        assert job.annotated
        if folded(os.path.join(folder, job.annotated.name)) in pictures:
            raise ConfigError(
                f"{job.annotated} is one of the pictures to analyse, and an annotated copy "
                "would replace it; name another folder for these"
            )
    _make_folder(annotate)
    for job in jobs:
        if job.annotated and job.annotated.exists() and not _is_ours(job.annotated):
            raise OutputError(
                f"{job.annotated} is there already, and no annotated copy of mien's; "
                "name another folder for these"
            )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        why = "a file has that name" if isinstance(err, FileExistsError) else err.strerror
        raise OutputError(f"cannot write into {folder}: {why}") from err
    if not os.access(folder, os.W_OK):
        raise OutputError(f"cannot write into {folder}: no permission")


def _is_ours(path: Path) -> bool:
    """Whether a picture is mien's own, or nobody's: an empty one, of a run that was cut off."""
    try:
        with path.open("rb") as file:
            head = file.read(128)
            return not head or b"tEXt" + "\0".join(_SIGNED).encode() in head
    except OSError:
        return False


def look(analyzer: Analyzer, path: Path, whole: bool) -> Looked:
    """A picture and the faces found in it. whole : with all of its pixels, as for drawing."""
    if not whole:
        return analyzer.look(path)
    frame = image.read_frame(path)
    return frame, analyzer.find(frame)


def _looks(analyzer: Analyzer, jobs: Iterable[Job]) -> Generator[Callable[[], Looked], None, None]:
    """What gives each job's ``look``, or raises what kept it from that; two threads look ahead.

    A picture that takes much memory is left until it is asked for: nothing else is large then.
    """
    return side_by_side(partial(_looked, analyzer), jobs)


def _looked(analyzer: Analyzer, job: Job) -> Callable[[], Looked]:
    try:
        frame = image.read_ahead(job.path, job.is_drawn)
        if frame is None:
            return partial(look, analyzer, job.path, job.is_drawn)
        faces = analyzer.find(frame)
        if analyzer.needs_whole(frame, faces):
            return partial(look, analyzer, job.path, True)
    except Exception as err:
        return partial(_raised, err)
    return lambda: (frame, faces)


def _raised(err: Exception) -> NoReturn:
    raise err


def run_job(analyzer: Analyzer, job: Job, begun: Callable[[], Looked] | None = None) -> Record:
    """The record of one picture; whatever goes wrong with it is that record's reason.

    begun : gives what ``look`` does, if it goes on already, or raises what kept it from that.
    """

    def made() -> Record:
        frame, found = begun() if begun else look(analyzer, job.path, job.is_drawn)
        faces = analyzer.recognize(frame, found)
        if job.annotated:
            from ..media import draw

            save(draw.annotate(frame, faces, **dict.fromkeys(job.shown, True)), job.annotated)
        if job.explained:
            _explain(analyzer, frame, faces, job.explained, job.emotion)
        return records.record_of(frame, faces)

    return in_any_case(str(job.path), made)


def in_any_case(source: str, make: Callable[[], Record]) -> Record:
    """The record that ``make`` makes of one picture; what goes wrong with it is its reason."""
    try:
        return make()
    except (OutputError, ModelError):
        raise  # no fault of the picture's, and the next one would not fare better
    except MienError as err:
        return records.of_error(source, str(err))
    except Exception as err:  # a bug here must not cost the other pictures
        log.debug("unexpected error on %s", public(source), exc_info=True)
        return records.of_error(source, f"unexpected {_whereabouts(err)}; please report it")


def _explain(
    analyzer: Analyzer, frame: Frame, faces: Sequence[Face], base: Path, emotion: str
) -> None:
    """An overlay per face and label, ``<base>.face0.happiness.png``, and ``<base>.json`` on all.

    The number is the face's place in the record.
    """
    from ..expression import explain
    from ..faces.finder import pixels

    told = []
    for number, face in enumerate(faces):
        found = explain.explain(analyzer.explainer, frame, face, emotion)
        files = [f"{base.name}.face{number}.{one.label}.png" for one in found]
        for one, file in zip(found, files, strict=True):
            if (path := base.with_name(file)).exists() and not _is_ours(path):
                raise OutputError(f"{path} is there already, and no overlay of mien's")
            save(explain.overlay(pixels(frame, face), one), path)
        maps = [one.as_dict() | {"file": f} for one, f in zip(found, files, strict=True)]
        told.append({"box": [round(float(v), 2) for v in face.box], "maps": maps})
    explain.write(base.with_name(base.name + ".json"), frame.source, analyzer.explainer.info, told)


def _whereabouts(err: Exception) -> str:
    """An error nobody foresaw, and the line it came from."""
    trace = err.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})" if trace else ""
    return f"{type(err).__name__}: {err}{place}"


def save(picture: ImageArray, path: Path) -> None:
    """An RGB picture as PNG; raises OutputError."""
    try:
        with replacing(path) as stream:
            write_png(picture, stream)
    except OSError as err:
        raise OutputError(f"cannot write {path}: {err.strerror or err}") from err


def write_png(picture: ImageArray, stream: IO[bytes]) -> None:
    """An RGB picture as a PNG that says it is mien's."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    signature = PngInfo()
    signature.add_text(*_SIGNED)
    Image.fromarray(picture).save(stream, "PNG", compress_level=3, pnginfo=signature)


def analyze_files(
    jobs: Sequence[Job | Recording],
    analyzer: Analyzer,
    processes: int = 1,
    begun: list[Later[Looked]] | None = None,
    reached: Reached | None = None,
) -> Generator[Record, None, None]:
    """Records in the order of the jobs, as they are ready.

    Several processes each build their own analyzer from ``analyzer.settings`` and use one thread;
    they share pictures, and a recording is worked off here.
    A picture that kills its process (a fault in a native decoder) becomes an error record.
    Closing the iterator ends the processes.
    begun : for one process, each ``look`` at the first pictures that goes on already; taken out
        as it is used, so that no picture stays in memory.
    reached : where an earlier run stopped; kept up to date before each record is given out.
    """
    reached = reached or Reached()
    while reached.jobs < len(jobs):
        job = jobs[reached.jobs]
        if isinstance(job, Recording):
            with closing(_of_recording(job, analyzer, reached)) as found:
                yield from found
            reached.jobs, reached.state, reached.expected = reached.jobs + 1, None, None
            continue
        pictures = _pictures_first(jobs[reached.jobs :])
        with closing(_of_pictures(pictures, analyzer, processes, begun)) as found:
            for record in found:
                reached.jobs += 1
                yield record


def analyze_pictures(
    paths: Iterable[str | Path], analyzer: Analyzer | None = None
) -> Iterator[tuple[Frame, list[RecognizedFace]]]:
    """Each picture with its faces, in order; the next ones are read and searched meanwhile.

    Pictures that cannot be read are left out, and logged as warnings; ``mien analyze`` records
    them. A large JPEG is decoded smaller: its ``Frame.reduced`` says how much, and its faces are in
    pixels of the picture.

    Parameters
    ----------
    paths
        The files, taken as they are needed, in other threads than yours: a generator that asks a
        database must allow that.
    analyzer
        What reads the pictures; None: one with the default settings.

    Examples
    --------
    >>> for frame, faces in analyze_pictures(["a.jpg", "b.jpg"]):  # doctest: +SKIP
    ...     print(frame.source, [face.emotions.top for face in faces])
    """
    if isinstance(paths, str | bytes | os.PathLike):
        raise InputError(f"this takes several paths, got one: write [{os.fsdecode(paths)!r}]")
    analyzer = analyzer or Analyzer(Settings())
    jobs = (Job(_path(path)) for path in paths)
    with closing(_looks(analyzer, jobs)) as looks:
        for looked in looks:
            try:
                frame, found = looked()
            except ImageError as err:
                log.warning("%s", err)
            else:
                yield frame, analyzer.recognize(frame, found)


def _path(given: object) -> Path:
    if isinstance(given, str | os.PathLike):
        return Path(given)
    raise InputError(
        f"this takes paths of pictures, got {type(given).__name__}; Analyzer.analyze reads arrays "
        "and the bytes of files, one at a time"
    )


def _pictures_first(jobs: Sequence[Job | Recording]) -> list[Job]:
    """The jobs up to the first recording."""
    found = []
    for job in jobs:
        if isinstance(job, Recording):
            break
        found.append(job)
    return found


def _of_recording(
    job: Recording, analyzer: Analyzer, reached: Reached
) -> Generator[Record, None, None]:
    """A record for each frame that is asked for; one for the whole where it cannot be read."""
    from ..media.video import Hole, Video
    from . import recording

    reached.state = reached.state or recording.State()
    try:
        with Video(job.path) as source:
            reached.expected = job.options.span.expected(source.info)
            found = recording.analyze(analyzer, source, job.options, reached.state)
            with closing(found), _copy(job, source, reached.state) as copy:
                for item in found:
                    if copy and not isinstance(item, Hole):
                        copy.add(*item)
                        reached.state.drawn = copy.bytes
                    yield recording.record(item)
                if copy:
                    copy.finish()
            if reached.state.place.first_index is None:
                yield records.of_error(str(job.path), _nothing(job, source.info.duration_s))
    except VideoError as err:
        yield records.of_error(str(job.path), str(err))


def _copy(job: Recording, source: Video, state: State) -> AbstractContextManager[Copy | None]:
    """The annotated copy, where there is to be one."""
    if job.annotated is None:
        return nullcontext()
    from ..media.annotated import Copy

    return Copy(job.annotated, source, state.drawn, job.shown)


def _nothing(job: Recording, duration_s: float | None) -> str:
    """Why a recording gives no frame."""
    start, lasts = job.options.span.start_s, duration_s or 0.0
    if start == 0:
        return f"{job.path} holds no frame that can be decoded"
    return f"{job.path} has no frame from {start:g} s on; it lasts {lasts:.1f} s"


def _of_pictures(
    jobs: Sequence[Job], analyzer: Analyzer, processes: int, begun: list[Later[Looked]] | None
) -> Generator[Record, None, None]:
    if processes == 1 or len(jobs) <= 1:
        yield from _beside(jobs, analyzer, begun)
        return
    from concurrent.futures.process import BrokenProcessPool

    settings = replace(analyzer.settings, threads=1, base_rates=analyzer.base_rates)
    waiting = deque(jobs)
    while waiting:
        try:
            yield from _in_pool(waiting, settings, min(processes, len(jobs)))
        except BrokenProcessPool:
            yield _alone(waiting.popleft(), settings)


def _beside(
    jobs: Sequence[Job], analyzer: Analyzer, begun: list[Later[Looked]] | None
) -> Iterator[Record]:
    """Each job's record: the next pictures are read and searched by two threads meanwhile."""
    first = jobs if len(jobs) == 1 else jobs[: len(begun or ())]
    for job in first:
        yield run_job(analyzer, job, begun.pop(0).get if begun else None)
    rest = jobs[len(first) :]
    if rest:
        with closing(_looks(analyzer, rest)) as looks:
            for job, looked in zip(rest, looks, strict=True):
                yield run_job(analyzer, job, looked)


def _in_pool(waiting: deque[Job], settings: Settings, processes: int) -> Iterator[Record]:
    """Work ``waiting`` off from its left; a job leaves it only when its record is there."""
    pool = _pool(settings, processes)
    flying: deque[Future[Record]] = deque()
    try:
        while waiting:
            while len(flying) < min(len(waiting), processes * _AHEAD):
                flying.append(_submit(pool, waiting[len(flying)]))
            record = flying.popleft().result()
            waiting.popleft()
            yield record
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _alone(job: Job, settings: Settings) -> Record:
    """One job in a process of its own, after a pool broke with it at the head of the queue."""
    from concurrent.futures.process import BrokenProcessPool

    with _pool(settings, 1) as pool:
        try:
            return _submit(pool, job).result()
        except BrokenProcessPool:
            reason = "reading it ended the process: a damaged file, or too little memory?"
            return records.of_error(str(job.path), reason)


def _pool(settings: Settings, processes: int) -> ProcessPoolExecutor:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    # Spawned, not forked: OpenCV and ONNX Runtime hold threads that do not survive a fork.
    context = get_context("spawn")
    with _terminal_held():  # multiprocessing starts a helper of its own here
        return ProcessPoolExecutor(processes, context, initializer=_start, initargs=(settings,))


def _submit(pool: ProcessPoolExecutor, job: Job) -> Future[Record]:
    with _terminal_held():
        return pool.submit(_work, job)


@contextmanager
def _terminal_held() -> Iterator[None]:
    """A process started in here is deaf to Ctrl-C and to a closing terminal, from its birth.

    A terminal tells all of them, but this one is to end the others; it is told when this is over.
    """
    import signal

    if not hasattr(signal, "pthread_sigmask"):  # Windows: _start must do
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_worker: Analyzer | None = None


def _start(settings: Settings) -> None:
    global _worker
    import signal
    import threading

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = Analyzer(settings)


def _end_with_parent() -> None:
    """Nobody tells a worker that its parent was killed, so it would wait for work for ever."""
    import multiprocessing

    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def _work(job: Job) -> Record:
    assert _worker is not None
    return run_job(_worker, job)
