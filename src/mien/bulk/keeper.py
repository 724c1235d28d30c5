"""A worker in a process of its own, and somebody who sees it die.

A picture may end the process that decodes it: a native fault, memory. Whoever keeps that process
is another one, which says so, starts it anew and sets such an input aside in the end. A keeper that
is killed takes its worker with it, and nothing is counted against the input. Both engines use it.
"""

from __future__ import annotations

import os
import pickle
import secrets
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from .. import errors
from ..errors import MienError
from .fetch import sweep
from .listing import Unit
from .request import Request
from .work import Outcome

_PACKAGES = Path(__file__).parents[2]
_BEGINNINGS = 3  # of a worker that ends before it is at any input, until nobody begins another
_GRACE_S = 1.0  # for a worker to drop its copies


class _Died(Exception):
    """The worker ended without an answer."""


class Keeper:
    """One worker, begun when it is needed.

    expected : as of ``Request.analyzer``.
    """

    def __init__(self, request: Request, expected: dict[str, Any]) -> None:
        self._request, self._expected = request, expected
        self._process: subprocess.Popen[bytes] | None = None
        self._at: int | None = None  # the input that the worker has begun, as far as it says
        self._closed, self._busy = False, threading.Lock()
        self._scratch = f"mien-{secrets.token_hex(8)}-"

    def do(self, unit: Unit) -> Outcome:
        """What came of a unit, however often its worker dies; raises MienError.

        Nobody knows which of its pictures ended a worker the first time; then they are read one by
        one, and the one that ends it ``tries`` times is set aside.
        """
        with self._busy:
            return self._done(unit)

    def _done(self, unit: Unit) -> Outcome:
        aside: dict[int, str] = {}
        deaths = Counter[int | None]()
        one_by_one = len(unit.inputs) == 1
        while True:
            try:
                return self._answer(unit, aside, one_by_one)
            except _Died as err:
                if one_by_one:
                    deaths[self._at] += 1
                if self._at is None and deaths[None] >= _BEGINNINGS:
                    raise MienError(f"a worker ends as soon as it begins ({err})") from None
                if self._at is not None and deaths[self._at] >= self._request.tries:
                    aside[self._at] = (
                        f"reading it ended the process ({err}): a damaged file, or too little "
                        f"memory? Tried {self._request.tries} times"
                    )
                one_by_one = True

    def _answer(self, unit: Unit, aside: dict[int, str], one_by_one: bool) -> Outcome:
        self._at = None
        process = self._running()
        assert process.stdin
        assert process.stdout
        try:
            _send(process.stdin, (unit, aside, one_by_one))
            while True:
                kind, value = _receive(process.stdout)
                if kind == "begins":
                    self._at = value
                elif kind == "done":
                    assert isinstance(value, Outcome)
                    return value
                elif kind == "ended":
                    self._end()
                    raise _Died(value)
                else:
                    name, text = value
                    raise error(name, text)
        except (EOFError, OSError, pickle.UnpicklingError):
            raise _Died(self._end()) from None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._closed:
            raise MienError("the run is over")
        if self._process and self._process.poll() is None:
            return self._process
        path = os.pathsep.join(filter(None, [str(_PACKAGES), os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mien.bulk.child"],
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C in the terminal is the driver's
        )
        assert self._process.stdin
        with suppress(OSError):  # it died at once, which its answer says
            _send(self._process.stdin, (self._request, self._expected, self._scratch))
        return self._process

    def _end(self) -> str:
        """How the worker ended."""
        import signal

        assert self._process
        process, self._process = self._process, None
        _close(process)
        sweep(self._scratch)
        status = process.returncode
        return signal.Signals(-status).name if status < 0 else f"exit status {status}"

    def close(self) -> None:
        """End the worker, whatever it is at; no other one is begun."""
        self._closed = True
        if process := self._process:
            assert process.stdin
            with suppress(OSError):
                process.stdin.close()  # it ends by itself then, also where this is interrupted
            try:
                process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
            with self._busy:  # whoever waits for its answer hears of it, and is gone
                _close(process)
                self._process = None
            sweep(self._scratch)


def _close(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        with suppress(OSError):
            if stream:
                stream.close()
    process.wait()


def _send(stream: IO[bytes], value: Any) -> None:
    pickle.dump(value, stream)
    stream.flush()


def _receive(stream: IO[bytes]) -> tuple[str, Any]:
    kind, value = pickle.load(stream)
    return kind, value


def error(name: str, text: str) -> MienError:
    """An error of the worker's, as of this process."""
    kind = getattr(errors, name, MienError)
    made: MienError = kind.__new__(kind)
    made.args = (text,)
    return made
