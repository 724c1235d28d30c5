"""Other programs, run with a time limit and without a shell."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

from .output import Undelivered

_KEPT = 4096  # bytes of what a program says, its last
_DRAIN_S = 0.5  # for what it said to come through, when it has ended


def run(command: Sequence[str], text: str, limit_s: float, again: bool = True) -> None:
    """Run a program to its end, ``text`` on its stdin; raises Undelivered, with ``again``.

    Its end is its own: what it has left running, and be it with a hold on its output, is not waited
    for. Past the limit it is killed, and with it what it has started.
    """
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for mien, which lets what it began come to its end
        )
    except OSError as err:
        raise Undelivered(f"{command[0]} cannot be run: {err.strerror}", again=False) from None
    said = _Last(child.stderr)
    given = threading.Thread(target=_give, args=(child.stdin, text), daemon=True)
    given.start()  # apart: it may not read what it is given
    try:
        status = child.wait(limit_s)
    except subprocess.TimeoutExpired:
        _kill(child)
        raise Undelivered(f"{command[0]} took over {limit_s:g} s", again) from None
    if status:
        lines = said.text().splitlines()
        why = f": {lines[-1]}" if lines else ""
        raise Undelivered(f"{command[0]} ended with status {status}{why}", again)


class _Last(threading.Thread):
    """Reads a pipe for as long as anybody holds it, so that none of them is stopped by it.

    It keeps the last of what was said.
    """

    def __init__(self, pipe: IO[bytes] | None) -> None:
        super().__init__(daemon=True)
        assert pipe
        self._pipe, self._kept = pipe, b""
        self.start()

    def run(self) -> None:
        with self._pipe, suppress(OSError, ValueError):
            while part := os.read(self._pipe.fileno(), _KEPT):
                self._kept = (self._kept + part)[-_KEPT:]

    def text(self) -> str:
        """What was said, once the pipe is closed, or soon after the program's end."""
        self.join(_DRAIN_S)
        return self._kept.decode(errors="replace").strip()


def _give(pipe: IO[bytes] | None, text: str) -> None:
    assert pipe
    with suppress(OSError), pipe:  # it has ended, or has closed its stdin
        pipe.write(text.encode())


def _kill(child: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    else:
        child.kill()
    with suppress(subprocess.TimeoutExpired):
        child.wait(1)  # no zombie
