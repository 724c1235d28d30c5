"""Pictures through worker threads: a bounded queue, a time limit, and each network loaded once.

ONNX Runtime and OpenCV leave Python's lock alone, so threads use the cores, and all of them share
the networks. Faces of several requests are not put together into one call of the model: reading is
a tenth of an analysis, and reading eight at once would save 4 % of it (ADR 28).
"""

from __future__ import annotations

import asyncio
import io
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from ..analysis.batch import in_any_case, write_png
from ..analysis.pipeline import Analyzer, Settings
from ..errors import ConfigError, ImageError, UnknownName
from ..expression import explain as explanation
from ..expression.recognize import Recognizer, recognizers
from ..faces.finder import pixels
from ..later import Later
from ..media import image
from ..person import people
from ..person.recognizer import FILES
from ..results.records import Record, record_of
from ..weights import catalogue
from .settings import MB, ServiceSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..face import Frame, RecognizedFace

T = TypeVar("T")
V = TypeVar("V")
_KEPT_MODELS, _KEPT_ANALYZERS = 8, 64
_MOST_EXPLAINED = 32  # faces of one picture: what is drawn of a crowd is cut off there
_FORGET = 0.9  # of what was known of a picture's time, at each new one


class Busy(Exception):
    """No place is left; retry_s : when one may be, in seconds."""

    def __init__(self, detail: str, retry_s: float) -> None:
        super().__init__(detail)
        self.retry_s = retry_s


class ClientLeft(Exception):
    """Nobody waits for the answer any more."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture as it came.

    name : the client's own for it, without folders. content : its file's bytes.
    """

    name: str
    content: bytes


class Kept(Generic[V]):
    """Values made once for each key, of which the ``most`` last asked for are kept.

    What another thread makes is waited for; what failed is tried again.
    """

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, threading.Lock()
        self._values: OrderedDict[Hashable, Later[V]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        with self._lock:
            later = self._values.get(key)
            if later is None:
                later = self._values[key] = Later(make, begin=False)
                if len(self._values) > self._most:
                    self._values.popitem(last=False)
            self._values.move_to_end(key)
        try:
            return later.get()
        except BaseException:
            with self._lock:
                if self._values.get(key) is later:
                    del self._values[key]
            raise


class Engine:
    """Analyses for all requests.

    recognizer : in place of those that requests name, which is how tests bring fakes.
    """

    def __init__(self, settings: ServiceSettings, recognizer: Recognizer | None = None) -> None:
        self.settings, self._given = settings, recognizer
        self._threads = settings.threads
        self._pool = ThreadPoolExecutor(self._threads, "analysis")
        self._lock = threading.Lock()
        self._models = Kept[Recognizer](_KEPT_MODELS)
        self._analyzers = Kept[Analyzer](_KEPT_ANALYZERS)
        self._taken = self._bytes = 0
        self._mean_s = 0.05  # of a picture; learnt from those that come
        self.faces = 0
        self._default: Future[Analyzer] | None = None

    def begin(self) -> None:
        """Load what requests are read with that ask for nothing else."""
        self._default = self._pool.submit(self.analyzer, Settings(threads=1))

    def not_ready(self) -> str | None:
        """Why the default model cannot answer yet; None where it can."""
        if self._default is None or not self._default.done():
            return "the model is being loaded"
        error = self._default.exception()
        return None if error is None else f"the model cannot be loaded ({type(error).__name__})"

    def analyzer(self, wanted: Settings) -> Analyzer:
        """The one for these settings; raises what is wrong with them. For worker threads."""
        version = self._version(wanted)
        return self._analyzers.get((wanted, version), lambda: self._make(wanted, version))

    def _make(self, wanted: Settings, version: Hashable) -> Analyzer:
        if wanted != wanted.networks:
            return self.analyzer(wanted.networks).sharing(wanted)
        source, name = "model", wanted.model
        if wanted.person is not None:
            source, name = "person", wanted.person
        model = self._given or self._models.get(
            (source, name, version), lambda: recognizers.build(source, name, wanted.threads)
        )
        return Analyzer(wanted, recognizer=model)

    def _version(self, wanted: Settings) -> Hashable:
        """Of a model's files, which may be replaced while the service runs; raises UnknownName.

        A model goes by its name alone: never by a path, which would be one of this machine's.
        """
        if wanted.person is not None:
            folder = people.get(wanted.person).folder
            return tuple(_stamp(folder / file) for file in FILES.values())
        if wanted.model in catalogue.CATALOGUE:
            return None
        return _stamp(catalogue.own()[checked_model(wanted.model)])

    def look(
        self, upload: Upload, wanted: Settings, whole: bool = False
    ) -> tuple[Frame, list[RecognizedFace]]:
        """A picture with its faces; raises ImageError, also for more than a request may hold.

        whole : with all of its pixels, as for drawing.
        """
        self.check(upload)
        analyzer = self.analyzer(wanted)
        if whole:
            frame = image.read_frame(upload.content, upload.name)
            found = analyzer.find(frame)
        else:
            frame, found = analyzer.look(upload.content, upload.name)
        return frame, self.counted(analyzer.recognize(frame, found))

    def counted(self, faces: list[RecognizedFace]) -> list[RecognizedFace]:
        """The same faces, which the figures tell of."""
        with self._lock:
            self.faces += len(faces)
        return faces

    def check(self, upload: Upload) -> None:
        """Raises ImageError for more bytes or pixels than a picture may have, undecoded."""
        most = self.settings.most_picture_bytes
        if len(upload.content) > most:
            raise ImageError(
                f"{upload.name} has {len(upload.content) / MB:.1f} MB, more than the "
                f"{most / MB:g} this service takes for a picture; make it smaller first"
            )
        image.check_size(upload.content, upload.name, self.settings.most_pixels)

    def record(self, upload: Upload, wanted: Settings, explain: str | None = None) -> Record:
        """A picture's record, as the command line has it, errors too.

        explain : with which explanation of each face, of ``mien.expression.explain``. Raises
        ConfigError or ModelError where the settings are at fault, not the picture.
        """
        labels = self.analyzer(wanted).recognizer.info.label_set
        emotion = None if explain is None else explanation.chosen(explain, labels)

        def made() -> Record:
            frame, faces = self.look(upload, wanted, emotion is not None)
            record = record_of(frame, faces)
            if emotion is not None:
                for told, face in zip(record["faces"], faces, strict=True):
                    found = explanation.explain(self._explainer(wanted), frame, face, emotion)
                    told["explanation"] = [one.as_dict() for one in found]
            return record

        return in_any_case(upload.name, made)

    def explained(self, upload: Upload, wanted: Settings, explain: str) -> bytes:
        """A PNG of a picture's faces and where the model looked: a row for each face.

        Raises ImageError where there is no face.
        """
        emotion = explanation.chosen(explain, self.analyzer(wanted).recognizer.info.label_set)
        explainer = self._explainer(wanted)
        frame, faces = self.look(upload, wanted, whole=True)
        if not faces:
            raise ImageError(f"{upload.name} shows no face to explain")
        rows = []
        for face in faces[:_MOST_EXPLAINED]:
            crop = pixels(frame, face)
            found = explanation.explain(explainer, frame, face, emotion)
            rows.append(np.hstack([explanation.overlay(crop, one) for one in found]))
        drawn = io.BytesIO()
        write_png(np.vstack(rows), drawn)
        return drawn.getvalue()

    def _explainer(self, wanted: Settings) -> explanation.Explainer:
        """Says where the model of these settings looks."""
        return self.analyzer(wanted.networks).explainer

    @property
    def waiting(self) -> int:
        """Pictures that wait for a thread."""
        return max(0, self._taken - self._threads)

    async def run(
        self,
        works: Sequence[Callable[[], T]],
        left: Callable[[], Awaitable[object]],
        *,
        limited: bool = True,
    ) -> list[T]:
        """What each returns, in their order; the first error that one raises.

        left : comes back when the client has gone, and raises what it did wrong. limited : whether
        ``request_s`` holds; what is as long however often it is tried must not be given up. Raises
        ConfigError for more than there are places at all; Busy where not as many are free, or no
        answer comes in time; ClientLeft. What has not begun then never begins.
        """
        self._enter(len(works))
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        futures = [self._submit(work) for work in works]
        _when_done(futures, over)
        gone = asyncio.ensure_future(left())
        gone.add_done_callback(lambda gone: _end(over, _why(gone)))
        try:
            async with asyncio.timeout(self.settings.request_s if limited else None):
                await over
        except TimeoutError:
            raise Busy(
                f"this took longer than {self.settings.request_s:g} s; send fewer pictures, or "
                "try again later",
                self._expected_s(),
            ) from None
        finally:
            gone.cancel()
            for future in reversed(futures):  # a thread that is free takes the next meanwhile
                future.cancel()
        ended = (future for future in futures if future.done() and not future.cancelled())
        if error := next(filter(None, (future.exception() for future in ended)), None):
            raise error
        return [future.result() for future in futures]

    def _enter(self, count: int) -> None:
        with self._lock:
            places = self._threads + self.settings.queue
            if count > places:
                raise ConfigError(f"this service takes {places} pictures at once, got {count}")
            if count > places - self._taken:
                raise Busy("too many pictures are waiting; try again later", self._expected_s())
            self._taken += count

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        def timed() -> T:
            begun = time.monotonic()
            try:
                return work()
            finally:
                took = time.monotonic() - begun
                self._mean_s = _FORGET * self._mean_s + (1 - _FORGET) * took

        future = self._pool.submit(timed)
        future.add_done_callback(self._leave)
        return future

    def _leave(self, _: Future[T]) -> None:
        with self._lock:
            self._taken -= 1

    def _expected_s(self) -> float:
        return self._mean_s * self._taken / self._threads

    @contextmanager
    def room(self) -> Iterator[Callable[[int], None]]:
        """Memory for a request's pictures: takes some bytes at each call, and gives all back.

        Raises Busy where all requests together would have more than ``most_bytes_at_once``.
        """
        mine = 0

        def take(count: int) -> None:
            nonlocal mine
            with self._lock:
                if self._bytes + count > self.settings.most_bytes_at_once:
                    raise Busy("too many pictures are coming in; try again later", 1.0)
                self._bytes += count
                mine += count

        try:
            yield take
        finally:
            with self._lock:
                self._bytes -= mine

    def close(self) -> None:
        """Finish what is being analysed; nothing new begins."""
        self._pool.shutdown(cancel_futures=True)


def _when_done(futures: Sequence[Future[T]], over: asyncio.Future[None]) -> None:
    """Set ``over`` when all are done, or one failed.

    As ``asyncio.gather`` and ``wait`` do, in fewer turns of the loop, which each picture pays for.
    """
    loop, lock, running = over.get_loop(), threading.Lock(), len(futures)

    def told(future: Future[T]) -> None:
        nonlocal running
        with lock:
            running -= 1
            is_last = running == 0
        if (is_last or future.cancelled() or future.exception()) and not loop.is_closed():
            loop.call_soon_threadsafe(_end, over)

    for future in futures:
        future.add_done_callback(told)


def _why(gone: asyncio.Future[object]) -> Exception:
    """Why nobody waits any more."""
    error = None if gone.cancelled() else gone.exception()
    return error if isinstance(error, Exception) else ClientLeft()


def _end(over: asyncio.Future[None], error: Exception | None = None) -> None:
    if over.done():
        return
    if error is None:
        over.set_result(None)
    else:
        over.set_exception(error)


def checked_model(name: str) -> str:
    """The same name, of the catalogue or of a file on MIEN_MODELS; raises UnknownName.

    So a path never gets further.
    """
    own = catalogue.own()
    if name not in catalogue.CATALOGUE and name not in own:
        raise UnknownName("model", name, [*catalogue.CATALOGUE, *own])
    return name


def _stamp(path: Path) -> tuple[int, int] | None:
    """What changes when a file is replaced; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
