"""Other programs, run with a time limit and without a shell."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from .output import Undelivered


def run(command: Sequence[str], text: str, limit_s: float, again: bool = True) -> None:
    """Run a program to its end, ``text`` on its stdin; raises Undelivered, with ``again``.

    Past the limit it is killed, and with it what it has started.
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
    try:
        _, errors = child.communicate(text.encode(), timeout=limit_s)
    except subprocess.TimeoutExpired:
        _kill(child)
        raise Undelivered(f"{command[0]} took over {limit_s:g} s", again) from None
    if child.returncode:
        said = errors.decode(errors="replace").strip().splitlines()
        why = f": {said[-1]}" if said else ""
        raise Undelivered(f"{command[0]} ended with status {child.returncode}{why}", again)


def _kill(child: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    else:
        child.kill()
    with suppress(subprocess.TimeoutExpired):
        child.communicate(timeout=1)  # a pipe that something out of reach still holds
