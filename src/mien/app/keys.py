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
    asked, behind ``leave`` and with the terminal as it was. ``back`` follows when it goes on, for
    whatever reason it had stopped; in the background it stops again.
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
    # Signals come in the middle of a page, and are minded behind it.
    asked, stopped = threading.Event(), threading.Event()
    usual = {
        signal.SIGTSTP: signal.signal(signal.SIGTSTP, lambda *_: asked.set()),
        signal.SIGCONT: signal.signal(signal.SIGCONT, lambda *_: stopped.set()),
    }

    def typed() -> str:
        if asked.is_set() or stopped.is_set():
            leave()
            if asked.is_set():
                termios.tcsetattr(number, termios.TCSADRAIN, before)
                os.kill(os.getpid(), signal.SIGSTOP)
            while _in_background(number):
                os.kill(os.getpid(), signal.SIGSTOP)
            asked.clear()
            stopped.clear()
            tty.setcbreak(number, termios.TCSANOW)
            back()
        return _waiting(number)

    tty.setcbreak(number, termios.TCSANOW)
    try:
        yield typed
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)
        for which, handler in usual.items():
            signal.signal(which, handler)


def _in_background(terminal: int) -> bool:
    try:
        return os.tcgetpgrp(terminal) != os.getpgrp()
    except OSError:  # it is nobody's
        return False


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
