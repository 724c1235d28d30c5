"""Keys as they are pressed on a terminal, without Enter and without an echo."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Pressed = Callable[[], str]
_MOST = 64  # bytes that may wait; an arrow key sends three


@contextmanager
def pressed() -> Iterator[Pressed]:
    """A function that gives what was pressed since it was last asked, "" for nothing.

    It never waits. Ctrl-C stays what it is. Without a terminal on stdin there are no keys.
    """
    if not sys.stdin or not sys.stdin.isatty():
        yield lambda: ""
        return
    try:
        import termios
        import tty
    except ImportError:  # Windows
        yield _on_windows
        return
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    tty.setcbreak(number, termios.TCSANOW)
    try:
        yield lambda: _waiting(number)
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def _waiting(number: int) -> str:
    import select

    if not select.select([number], [], [], 0)[0]:
        return ""
    text = os.read(number, _MOST).decode(errors="ignore")
    return "" if text.startswith("\x1b") else text  # an arrow, a function key


def _on_windows() -> str:
    import msvcrt

    text = ""
    while msvcrt.kbhit():  # type: ignore[attr-defined,unused-ignore]
        text += msvcrt.getwch()  # type: ignore[attr-defined,unused-ignore]
    return text
