"""Keys as they are pressed on a terminal, without Enter and without an echo."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Pressed = Callable[[], str]
_MOST = 64  # bytes that may wait; an arrow key sends three


def _nothing() -> None:
    pass


@contextmanager
def pressed(
    leave: Callable[[], None] = _nothing, back: Callable[[], None] = _nothing
) -> Iterator[Pressed]:
    """A function that gives what was pressed since it was last asked, "" for nothing.

    It never waits. Ctrl-C stays what it is. Ctrl-Z stops the process when the function is next
    asked, behind ``leave`` and with the terminal as it was; ``back`` follows when it goes on.
    Without a terminal on stdin there are no keys. For the main thread.
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
    asked = threading.Event()  # to stop: a signal comes in the middle of a page
    usual = signal.signal(signal.SIGTSTP, lambda *_: asked.set())

    def typed() -> str:
        if asked.is_set():
            asked.clear()
            leave()
            termios.tcsetattr(number, termios.TCSADRAIN, before)
            os.kill(os.getpid(), signal.SIGSTOP)
            tty.setcbreak(number, termios.TCSANOW)
            back()
        return _waiting(number)

    tty.setcbreak(number, termios.TCSANOW)
    try:
        yield typed
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)
        signal.signal(signal.SIGTSTP, usual)


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
