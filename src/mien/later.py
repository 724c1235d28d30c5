"""Values made in the background, for models that load while the rest goes on."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock, Thread
from typing import Generic, TypeVar

T = TypeVar("T")


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
        self._begun, self._lock = False, Lock()  # several threads may ask first
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

    def wait(self) -> None:
        """Come back when it is made, or has failed."""
        self.begin()
        self._thread.join()

    def get(self) -> T:
        """The value, once it is there; raises, each time, what making it raised."""
        self.wait()
        if self._error is not None:
            raise self._error
        return self._value
