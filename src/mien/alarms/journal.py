"""What became of every alarm: an append-only file of JSON lines that survives a kill.

Each line has ``event`` and ``time``:

============  ===========================================================================
call          ``alarm``, ``call`` (its number), ``to``, ``escalated``, ``waits``; written
              before anyone is told
delivered     ``key``, ``call``, ``output``
undelivered   the same, and ``reason``; it has been shown
acknowledged  ``key``, ``by``; another process may write it, ``mien act ack`` does
held_back     ``rule``, ``track``, ``why``
============  ===========================================================================

What was called and has neither arrived nor been shown as undelivered is pending: after a restart
it is delivered, with the same id, or shown.

At ``LIMIT`` bytes the oldest lines go, but for those that somebody still waits for. A line that is
none of these, whatever is in it, is passed over: it keeps no other from being read.
"""

from __future__ import annotations

import dataclasses
import datetime
import errno
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import OutputError, UnknownName
from ..jsontext import lines, parse
from ..weights import catalogue
from .watch import Alarm, Call, HeldBack

LIMIT = 4_000_000
"""Bytes: some ten thousand calls. A journal that reaches it is cut to half of it."""

_LONGEST = 100_000  # bytes of a line; one of mien's has a few thousand
_AT_ONCE = 1_000_000  # bytes that are looked through for answers at a time
_TRIES = 3  # to write a line in one piece

Line = dict[str, Any]


def default_path() -> Path:
    """Under ``MIEN_HOME``, as everything that mien keeps about people."""
    return catalogue.home() / "alarms.jsonl"


@dataclass(slots=True)
class Past:
    """An alarm in the journal.

    call : its last one.
    pending : by call's number, the outputs that were called and have not answered.
    undelivered : (call's number, output, reason).
    acknowledged_by : "" where nobody has.
    """

    call: Call
    pending: dict[int, set[str]] = field(default_factory=dict)
    undelivered: list[tuple[int, str, str]] = field(default_factory=list)
    acknowledged_by: str = ""

    @property
    def waits(self) -> bool:
        return self.call.waits and not self.acknowledged_by

    def age_s(self, now: datetime.datetime) -> float:
        """Seconds since it was raised; 0 where the clock was set back meanwhile, or is unknown.

        A time without a zone is this machine's.
        """
        try:
            raised = datetime.datetime.fromisoformat(self.call.alarm.time).astimezone()
            return max(0.0, (now.astimezone() - raised).total_seconds())
        except (ValueError, OverflowError, OSError):  # the latter of years without a zone
            return 0.0


def alarms(told: Iterable[Line]) -> dict[str, Past]:
    """Every alarm by its key, oldest first."""
    found: dict[str, Past] = {}
    for line in told:
        try:
            _take(line, found)
        except (KeyError, TypeError, ValueError):
            continue  # a line of a later version; whoever reads lines has counted damaged ones
    return found


def _take(line: Line, found: dict[str, Past]) -> None:
    event = line["event"]
    if event == "call":
        call = _call(line)
        past = found.setdefault(call.alarm.key, Past(call))
        past.call = call
        past.pending[call.number] = set(call.to)
    elif event in ("delivered", "undelivered"):
        past, output = found[_a(str, line["key"])], _a(str, line["output"])
        number = _a(int, line["call"])
        if event == "undelivered":
            past.undelivered.append((number, output, _a(str, line["reason"])))
        past.pending.get(number, set()).discard(output)
    elif event == "acknowledged" and _a(str, line["key"]) in found:
        found[line["key"]].acknowledged_by = _a(str, line["by"]) or "somebody"


def _call(line: Line) -> Call:
    """The call a line tells of; raises KeyError, TypeError."""
    alarm = Alarm(**line["alarm"])
    for text in (alarm.key, alarm.rule, alarm.text, alarm.time):
        _a(str, text)
    if alarm.track is not None:
        _a(int, alarm.track)
    if alarm.value is not None:
        _a((int, float), alarm.value)
    to = tuple(_a(str, name) for name in _a(list, line["to"]))
    escalated, waits = _a(bool, line["escalated"]), _a(bool, line["waits"])
    return Call(alarm, _a(int, line["call"]), to, escalated, waits)


def _a(kind: type | tuple[type, ...], value: Any) -> Any:
    """The value, if it is of that kind; raises TypeError."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(value)
    return value


def read(path: Path) -> list[Line]:
    """A journal's lines; none where there is no file. Raises OutputError."""
    try:
        return list(_lines(_content(path))) if path.exists() else []
    except OSError as err:
        raise OutputError(f"cannot read the alarms' journal {path}: {err.strerror}") from err


def _content(path: Path) -> bytes:
    """A journal's bytes, without lines that are too long to be any of mien's."""
    with path.open("rb") as file:
        return b"".join(line for line in lines(file, _LONGEST) if line)


def _lines(content: bytes) -> Iterator[Line]:
    """The JSON objects of whole lines; a kill may have cut the last one of its time in half."""
    for text in content.split(b"\n"):
        try:
            line = parse(text) if text.strip() else None
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line


def append(path: Path, line: Line, sync: bool = True) -> None:
    """Write one line; raises OSError.

    sync : it is on the disk when this is back, so that not even a power cut takes it. Without, it
        outlives mien itself; enough for how a call ended, as a call that is brought twice has the
        same id.

    In one piece, so that another process may append, too; it begins on a line of its own, even
    behind half a line. Once more, where the journal was shortened at that moment, or only a part
    was taken.
    """
    cut = 0
    while (done := _appended(path, line, sync)) is not True:
        cut += done is None
        if cut == _TRIES:
            raise OSError(errno.ENOSPC, "only a part of a line was written")


def _appended(path: Path, line: Line, sync: bool) -> bool | None:
    """Whether the file that was written to is the one that has the name now.

    None where a part of the line was written only, as happens on a disk that is nearly full.
    """
    content = json.dumps({"time": _now(), **line}, ensure_ascii=False) + "\n"
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags, 0o600)  # it tells what a face showed
    try:
        end = os.lseek(handle, 0, os.SEEK_END)
        if end:
            os.lseek(handle, end - 1, os.SEEK_SET)
            if os.read(handle, 1) != b"\n":
                content = "\n" + content
        if os.write(handle, encoded := content.encode()) < len(encoded):
            return None
        if sync:
            os.fsync(handle)
        with suppress(FileNotFoundError):  # deleted altogether
            return os.path.samestat(os.fstat(handle), path.stat())
        return True
    finally:
        os.close(handle)


def shortened(content: bytes, most: int) -> bytes:
    """A journal's newest lines, ``most`` bytes, and of the older ones those that still count.

    These are the last call, and all that have not ended, of each alarm that waits for an answer or
    for an output.
    """
    if len(content) <= most:
        return content
    counting: dict[str, set[int]] = {}
    for key, past in alarms(_lines(content)).items():
        calls = {number for number, outputs in past.pending.items() if outputs}
        if past.waits:
            calls.add(past.call.number)
        if calls:
            counting[key] = calls
    cut = content.find(b"\n", len(content) - most - 1) + 1
    old = (text for text in content[:cut].split(b"\n") if _counts(text, counting))
    return b"".join(text + b"\n" for text in old) + content[cut:]


def _counts(text: bytes, counting: Mapping[str, set[int]]) -> bool:
    """Whether a line is of one of these calls, by their alarms' keys, or acknowledges one."""
    for line in _lines(text):
        told = line.get("alarm")
        calls = counting.get(str(told.get("key") if isinstance(told, dict) else line.get("key")))
        return calls is not None and (
            line.get("call") in calls or line.get("event") == "acknowledged"
        )
    return False


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="milliseconds")


def acknowledged(key: str, by: str) -> Line:
    return {"event": "acknowledged", "key": key, "by": by}


def acknowledge(path: Path, keys: Sequence[str], by: str) -> Iterator[Past]:
    """Write that somebody answered, and give each alarm that was, once it is written.

    keys : of alarms that wait, or how they begin; none for all that wait.

    Raises UnknownName, before anything is written, where one fits none of them or several;
    OutputError.
    """
    waiting = {key: past for key, past in alarms(read(path)).items() if past.waits}
    for key in _chosen(keys, waiting) if keys else waiting:
        try:
            append(path, acknowledged(key, by))
        except OSError as err:
            raise OutputError(f"cannot write {path}: {err.strerror}") from err
        yield waiting[key]


def _chosen(keys: Sequence[str], waiting: Mapping[str, Past]) -> Iterable[str]:
    """The whole keys, each once."""
    chosen: dict[str, None] = {}
    for key in keys:
        matches = [name for name in waiting if name.startswith(key)]
        if len(matches) != 1:
            raise UnknownName("alarm that waits", key, waiting)
        chosen[matches[0]] = None
    return chosen


class Journal:
    """The journal of one running mien; raises OutputError where another one has it, or no disk.

    past : what was in it at the start.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(path.with_name(path.name + ".lock"))
        except OSError as err:
            raise OutputError(f"cannot write the alarms' journal {path}: {err.strerror}") from err
        if self._lock is None:
            raise OutputError(
                f"another mien is using the alarms' journal {path}; "
                "end it, or give this one its own: --journal FILE"
            )
        self._read_to = path.stat().st_size if path.exists() else 0
        self._answers: list[tuple[str, str]] = []
        self._shorten_at = LIMIT
        with suppress(OSError):
            self._part.unlink()  # of a mien that was killed while it shortened
        self._shorten()
        self.past = alarms(read(path))

    def call(self, call: Call) -> None:
        self._write(
            {
                "event": "call",
                "alarm": dataclasses.asdict(call.alarm),
                "call": call.number,
                "to": list(call.to),
                "escalated": call.escalated,
                "waits": call.waits,
            }
        )

    def ended(self, call: Call, output: str, reason: str | None) -> None:
        """How a call to one output ended; ``reason`` is None where it has arrived."""
        line = {"key": call.alarm.key, "call": call.number, "output": output}
        if reason is None:
            self._write({"event": "delivered"} | line, sync=False)
        else:
            self._write({"event": "undelivered"} | line | {"reason": reason}, sync=False)

    def held_back(self, event: HeldBack) -> None:
        self._write({"event": "held_back"} | dataclasses.asdict(event), sync=False)

    def acknowledged(self, key: str, by: str) -> None:
        self._write(acknowledged(key, by))

    def _write(self, line: Line, sync: bool = True) -> None:
        append(self.path, line, sync)
        self._shorten()

    def _shorten(self) -> None:
        """Where it is too long; an alarm is never held up by it."""
        try:
            if not self.path.exists() or self.path.stat().st_size < self._shorten_at:
                return
            self._read_answers()
            size = self.path.stat().st_size
            kept = shortened(_content(self.path), LIMIT // 2)
            with open(
                os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb"
            ) as file:
                file.write(kept)
                file.flush()
                os.fsync(file.fileno())
            if self.path.stat().st_size == size:  # nobody has answered meanwhile
                self._part.replace(self.path)
                self._read_to = len(kept)
                self._shorten_at = max(LIMIT, len(kept) + LIMIT // 4)
        except OSError:
            self._shorten_at *= 2  # a full disk, or Windows while somebody reads it

    @property
    def _part(self) -> Path:
        return self.path.with_name(f".{self.path.name}.part")

    def answers(self) -> list[tuple[str, str]]:
        """Acknowledgements, (key, by), that came into the file since the last time."""
        self._read_answers()
        found, self._answers = self._answers, []
        return found

    def _read_answers(self) -> None:
        try:
            size = self.path.stat().st_size
            if size == self._read_to:
                return
            self._read_to = min(self._read_to, size)  # somebody emptied it
            with self.path.open("rb") as file:
                file.seek(self._read_to)
                content = file.read(_AT_ONCE)
        except OSError:
            return
        whole = content[: content.rfind(b"\n") + 1]
        if len(content) == _AT_ONCE and not whole:
            whole = content  # of a line without end: not looked at again and again
        self._read_to += len(whole)
        told = [line for line in _lines(whole) if line.get("event") == "acknowledged"]
        self._answers += [(str(line.get("key")), str(line.get("by"))) for line in told]

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)


def is_in_use(path: Path) -> bool:
    """Whether a mien is running that has this journal."""
    try:
        handle = _lock(path.with_name(path.name + ".lock"))
    except OSError:
        return False
    if handle is None:
        return True
    os.close(handle)
    return False


def _lock(path: Path) -> int | None:
    """A handle that holds the file's lock until it is closed, or the process killed; or None."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle
