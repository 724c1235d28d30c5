"""What every command shares: a line on stderr, and an end with an exit status."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from ..errors import ConfigError, InputError, MienError
from ..secrecy import public

if TYPE_CHECKING:
    from ..results.reading import Damage


def say(message: object) -> None:
    """A line on stderr; what could steer the terminal (in a file's name, say) is spelt out.

    Addresses are without their passwords.
    """
    print(plain(public(str(message))), file=sys.stderr)


def say_damage(damage: Damage) -> None:
    """Say how many lines were passed over, and what the first one is."""
    if damage.first:
        lines = (
            "1 line was no record" if damage.count == 1 else f"{damage.count} lines were no records"
        )
        say(f"mien: {lines}; {damage.first.why}")


def tell(result: object) -> None:
    """A line on stdout: as it is into a pipe, on a terminal with what could steer it spelt out."""
    print(plain(result) if sys.stdout.isatty() else result)


def plain(text: object) -> str:
    """A text of whoever's, with what could steer a terminal spelt out, but for ends of lines.

    >>> plain("a\x1b]0;b")
    'a\\\\x1b]0;b'
    """
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in str(text))


class Nowhere(io.TextIOWrapper):
    """What stands in for a stream that was closed when mien began, as a service's may be."""


class _Unheard(io.FileIO):
    """Standard error where nobody need listen: a full disk, or a reader who has gone, is no fault.

    What is said there is not what a run is for.
    """

    def write(self, content: Any) -> int:
        try:
            return super().write(content) or 0
        except OSError:
            return len(content)


def nobody_reads() -> bool:
    """Whether standard output was closed when mien began."""
    return isinstance(sys.stdout, Nowhere)


def prepare_streams() -> None:
    """Give every standard stream somewhere to lead; what is opened later must not take its place.

    Else the first file that a run opens becomes its standard output, with all that is said there.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            try:
                os.fstat(number)
            except OSError:
                nowhere = os.open(os.devnull, os.O_RDWR)
                if nowhere != number:
                    os.dup2(nowhere, number)
                    os.close(nowhere)
            raw = io.FileIO(number, "r" if name == "stdin" else "w", closefd=False)
            buffer = io.BufferedReader(raw) if name == "stdin" else io.BufferedWriter(raw)
            stream = Nowhere(buffer, "utf-8", "replace")
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
    said = sys.stderr
    if isinstance(said, io.TextIOWrapper) and said is sys.__stderr__:
        writer = io.BufferedWriter(_Unheard(said.fileno(), "w", closefd=False))
        heard = io.TextIOWrapper(writer, said.encoding, said.errors, line_buffering=True)
        for name in ("stderr", "__stderr__"):
            setattr(sys, name, heard)


def run(command: Callable[[], object]) -> NoReturn:
    """Errors become one line on stderr and an exit status; so does what a command returns.

    0 done, 1 failed, 2 misused.
    """
    prepare_streams()
    _end_in_order()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without umlauts is no reason to fail
    try:
        result = command()
        status: int | str | None = result if isinstance(result, int) else 0
    except SystemExit as end:  # how Typer ends, in any case
        status = end.code
    except KeyboardInterrupt:
        status = 130
    except (ConfigError, InputError) as err:
        status = _report(err, 2)
    except MienError as err:
        status = _report(err, 1)
    except BrokenPipeError:
        status = 1  # whoever reads has seen enough
    except OSError as err:
        where = f"{err.filename}: " if err.filename else ""
        status = _report(f"{where}{err.strerror or err}", 1)
    sys.exit(_flushed(status))


def _end_in_order() -> None:
    """Let a polite kill, or a terminal that goes away, close the files and end the workers."""
    import signal

    def leave(number: int, frame: object) -> None:
        sys.exit(128 + number)

    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP; nohup ignores it
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, leave)


def _flushed(status: int | str | None) -> int | str | None:
    """The exit status, once stdout is flushed: Python's own try at it would print a traceback."""
    try:
        if sys.__stdout__:
            sys.__stdout__.flush()
    except OSError as err:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if not isinstance(err, BrokenPipeError) and not status:
            return _report(f"cannot write to standard output: {err.strerror}", 1)
    return status


def _report(message: object, status: int) -> int:
    say(f"mien: {message}")
    return status
