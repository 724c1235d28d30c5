"""Alarms as lines on the terminal."""

from __future__ import annotations

from dataclasses import dataclass

from .output import Context, Output, Settings, Table, settings
from .watch import Call


@dataclass(frozen=True, slots=True)
class TextSettings(Settings):
    """bell : ring the terminal's bell, too."""

    bell: bool = False


class Text(Output):
    """A line on stderr, or wherever the live view writes."""

    def __init__(self, name: str, table: Table) -> None:
        self._settings = settings(TextSettings, name, table)
        super().__init__(self._settings)
        self._context: Context

    def start(self, context: Context) -> None:
        self._context = context

    def deliver(self, call: Call) -> None:
        bell = "\a" if self._settings.bell else ""
        self._context.show(f"{bell}{line(call, self._context.ack)}")


def line(call: Call, ack: str) -> str:
    """An alarm in a line, with what to type where it waits for an answer (``Context.ack``)."""
    alarm = call.alarm
    who = "" if alarm.track is None else f" (face {alarm.track})"
    again = f", call {call.number + 1}" if call.number else ""
    answer = f" - to acknowledge: {ack} {alarm.key}" if call.waits else ""
    return f"ALARM {alarm.text}{who}{again}{answer}"
