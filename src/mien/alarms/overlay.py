"""Alarms as messages that the live view draws over its picture."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from ..errors import ConfigError
from .output import Output, Settings, Table, Undelivered, settings
from .watch import Alarm, Call

_PATIENCE_S = 2.0  # a view draws several times a second


@dataclass(frozen=True, slots=True)
class OverlaySettings(Settings):
    """show_s : how long a message stays; one that waits for an answer stays until it comes."""

    show_s: float = 5.0


class Overlay(Output):
    """Keeps what is to be drawn; it has arrived when a view has taken it."""

    def __init__(self, name: str, table: Table) -> None:
        self._settings = settings(OverlaySettings, name, table)
        super().__init__(self._settings)
        if not self._settings.show_s > 0:
            shown = self._settings.show_s
            raise ConfigError(f"output.{name}.show_s is seconds over zero, got {shown:g}")
        self._lock = threading.Lock()
        self._messages: dict[str, tuple[Call, float]] = {}  # by alarm: the call, until when
        self._drawn = threading.Event()

    def deliver(self, call: Call) -> None:
        until = float("inf") if call.waits else time.monotonic() + self._settings.show_s
        with self._lock:
            self._drawn.clear()
            self._messages[call.alarm.key] = (call, until)
        if not self._drawn.wait(_PATIENCE_S):
            raise Undelivered("no live view draws it", again=False)

    def acknowledged(self, alarm: Alarm) -> None:
        with self._lock:
            self._messages.pop(alarm.key, None)

    def messages(self) -> tuple[str, ...]:
        """What to draw now, oldest first; taking it is what makes it delivered."""
        now = time.monotonic()
        with self._lock:
            self._messages = {k: v for k, v in self._messages.items() if v[1] > now}
            texts = tuple(call.alarm.text for call, _ in self._messages.values())
            self._drawn.set()
        return texts
