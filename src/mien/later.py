"""Values made in the background: models, pictures, frames, while the rest goes on."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Generator, Iterable
from threading import Event, Lock, Thread, current_thread
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future
    from queue import Queue

S = TypeVar("S")
T = TypeVar("T")

_LEAVING_S = 10.0  # for all threads that still work ahead when the program ends
_PATIENCE_S = 1.0  # with threads that still make something when nobody wants it any more


class Later(Generic[T]):
    """What ``make`` returns, made in a thread of its own from now on, or from ``begin`` on.

    It pays for what leaves Python's lock alone: reading a file, its sha256, building a network,
    searching a picture. What ``make`` imports must not be half loaded by another thread: NumPy,
    whose modules import each other in a circle, fails when two threads begin it at two ends.

    Examples
    --------
    >>> answer = Later(lambda: 6 * 7)
    >>> answer.get()
    42
    """

    def __init__(self, make: Callable[[], T], begin: bool = True) -> None:
        self._make = make
        self._value: T
        self._error: BaseException | None = None
        # Not a daemon: one that is cut off within a library's code takes the process down with it.
        self._thread = Thread(target=self._run)
        self._begun, self._made, self._lock = False, False, Lock()  # several threads may ask first
        if begin:
            self.begin()

    def begin(self) -> None:
        """Start making it, unless that has begun; for values that would be in the way earlier."""
        with self._lock:
            if not self._begun:
                self._begun = True
                self._thread.start()

    def _run(self) -> None:
        try:
            self._value = self._make()
        except BaseException as err:
            self._error = err
        self._made = True

    def wait(self) -> None:
        """Come back when it is made, or has failed."""
        if not self._made:  # a recording asks several times for each frame
            self.begin()
            self._thread.join()

    def get(self) -> T:
        """The value, once it is there; raises, each time, what making it raised."""
        self.wait()
        if self._error is not None:
            raise self._error
        return self._value


class _Ahead:
    """Threads that work ahead of somebody until they are told to end, at the latest as the program
    does: a loop that was left, with its iterator still in some variable, tells them nothing.

    Daemons, since that program would wait for any others for ever. It waits for these a while: one
    that is cut off within a library's code takes the process down with it.
    """

    def __init__(self) -> None:
        self._stop = Event()
        self._threads: list[Thread] = []

    def begin(self, work: Callable[[], None], threads: int = 1) -> None:
        _working[self] = None
        for _ in range(threads):
            self._threads.append(Thread(target=work, daemon=True))
            self._threads[-1].start()

    def put(self, queue: Queue[T], item: T) -> bool:
        """Hand an item over, as soon as there is room; False once nobody wants it any more."""
        import queue as queues  # here, as of whoever calls this

        while not self._stop.is_set():
            try:
                queue.put(item, timeout=0.1)
                return True
            except queues.Full:
                continue
        return False

    def end(self, patience_s: float | None = None) -> None:
        """Tell them, and wait until they have ended, but no longer than so many seconds."""
        self._stop.set()
        until = None if patience_s is None else monotonic() + patience_s
        for thread in self._threads:
            if thread is not current_thread():
                thread.join(None if until is None else max(0.0, until - monotonic()))
        _working.pop(self, None)  # not waited for once more as the program ends


_working: dict[_Ahead, None] = {}  # in the order they began: later ones may work for earlier ones


@atexit.register
def _end_all() -> None:
    until = monotonic() + _LEAVING_S
    for each in list(_working):
        each.end(max(0.0, until - monotonic()))


def ahead(items: Iterable[T], waiting: int = 2, together: int = 1) -> Generator[T, None, None]:
    """The same items, made in a thread of its own a little ahead of whoever takes them.

    together : how many are handed over at once. A thread that makes several in a row finds its code
        and its networks in the processor's caches, where one that takes turns finds others'.
    waiting : how many times ``together`` are ready while as many are used: pictures are large, and
        more would help nobody.

    What making one raises is raised here in its turn. Closing the generator ends the thread, and
    waits until it has.
    """
    import queue  # here: a run on one picture needs none

    ready: queue.Queue[tuple[list[T], bool, BaseException | None]] = queue.Queue(waiting)
    working = _Ahead()

    def put(part: list[T], last: bool = False, err: BaseException | None = None) -> bool:
        return working.put(ready, (part, last, err))

    def make() -> None:
        part: list[T] = []
        try:
            for item in items:
                part.append(item)
                if len(part) == together:
                    if not put(part):
                        return
                    part = []
            put(part, last=True)
        except BaseException as err:
            put(part, last=True, err=err)
        finally:
            if isinstance(items, Generator):
                items.close()  # here: what it opened ends in the thread that used it

    try:
        working.begin(make)
        last = False
        while not last:
            part, last, err = ready.get()
            while part:
                yield part.pop(0)  # kept no longer than by whoever takes it
            if err is not None:
                raise err
    finally:
        working.end()


def side_by_side(
    make: Callable[[S], T], items: Iterable[S], threads: int = 2
) -> Generator[T, None, None]:
    """``make(item)`` of each item, in their order, worked out by several threads a little ahead.

    There are never more than ``threads`` results that are ready or being made, and the one in use.
    Items are taken by one thread at a time, as they are needed. Two keep two cores busy where what
    is made takes longer than what its user does with it, as searching a picture does (ADR 27).

    What making one raises, or taking the next item, is raised here in its turn. Closing the
    generator ends the threads, and waits for them no longer than a second: a disk on a network may
    keep one for minutes, and what it makes then is thrown away.
    """
    import queue  # here: a run on one picture needs neither
    from concurrent.futures import Future

    begun: queue.Queue[Future[T] | None] = queue.Queue(threads)
    working, turn, source = _Ahead(), Lock(), iter(items)

    def work() -> None:
        while True:
            made: Future[T] = Future()
            with turn:
                try:
                    item = next(source)
                except StopIteration:
                    working.put(begun, None)
                    return
                except BaseException as err:
                    made.set_exception(err)
                    working.put(begun, made)
                    return
                if not working.put(begun, made):
                    return
            try:
                made.set_result(make(item))
            except BaseException as err:
                made.set_exception(err)

    try:
        working.begin(work, threads)
        while made := begun.get():
            result = [made.result()]
            del made
            yield result.pop()  # kept no longer than by whoever takes it
    finally:
        working.end(_PATIENCE_S)
