"""Alarms as notifications on the desktop."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from ..errors import MissingExtra
from .output import Context, Output, Settings, Table, Undelivered, settings
from .watch import Call

_LIMIT_S = 5.0


@dataclass(frozen=True, slots=True)
class DesktopSettings(Settings):
    """Nothing of its own."""


class Desktop(Output):
    """A notification of the highest urgency, by desktop-notifier (D-Bus, macOS, Windows)."""

    def __init__(self, name: str, table: Table) -> None:
        super().__init__(settings(DesktopSettings, name, table))
        self._loop: asyncio.AbstractEventLoop
        self._notifier: Any = None

    def start(self, context: Context) -> None:
        if find_spec("desktop_notifier") is None:
            raise MissingExtra("desktop-notifier", "act", "a desktop notification")
        self._loop = asyncio.new_event_loop()
        logging.getLogger("desktop_notifier").addHandler(logging.NullHandler())

    def deliver(self, call: Call) -> None:
        from desktop_notifier import DesktopNotifier

        self._notifier = self._notifier or DesktopNotifier(app_name="mien")
        try:
            self._loop.run_until_complete(asyncio.wait_for(self._send(call), _LIMIT_S))
        except TimeoutError:
            self._notifier = None
            raise Undelivered(f"the desktop did not answer within {_LIMIT_S:g} s") from None

    async def _send(self, call: Call) -> None:
        from desktop_notifier import Urgency

        sent = []  # the library drops its errors, but says when it went well
        await self._notifier.send(
            title=f"mien: {call.alarm.rule}",
            message=call.alarm.text,
            urgency=Urgency.Critical,
            on_dispatched=lambda: sent.append(True),
        )
        if not sent:
            self._notifier = None  # the next try connects anew
            raise Undelivered("no desktop here takes notifications", again=False)

    def close(self) -> None:
        if not self._loop.is_running():  # else one is under way that nobody waits for
            self._loop.close()
