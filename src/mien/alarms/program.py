"""Alarms that run a program."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from dataclasses import dataclass

from ..errors import ConfigError, UnknownName
from . import process
from .output import Context, Output, Settings, Table, settings
from .watch import Call

_BRACES = re.compile(r"\{(\w+)\}")
_WORDS = ("text", "rule", "key", "call", "id")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramSettings(Settings):
    """command : the program and its arguments, one by one; there is no shell. In an argument
        {text}, {rule}, {key}, {call} and {id} stand for the alarm's.
    limit_s : past so many seconds it is killed, and the alarm has not arrived.
    """

    command: tuple[str, ...]
    limit_s: float = 10.0


class Program(Output):
    """Runs a program, the alarm as JSON on its stdin; status 0 says that it has arrived."""

    reaches_away = True

    def __init__(self, name: str, table: Table) -> None:
        self._settings = settings(ProgramSettings, name, table)
        super().__init__(self._settings)
        if not self._settings.command:
            raise ConfigError(f'output.{name}.command is empty; for example ["notify", "{{text}}"]')
        if not self._settings.limit_s > 0:
            raise ConfigError(f"output.{name}.limit_s is over zero, got {self._settings.limit_s:g}")
        for argument in self._settings.command:
            for word in _BRACES.findall(argument):
                if word not in _WORDS:
                    raise UnknownName("word in braces", word, _WORDS, f"output.{name}.command ")
        self._where = f"output.{name}.command"

    def start(self, context: Context) -> None:
        if shutil.which(self._settings.command[0]) is None:
            raise ConfigError(f"{self._where}: no program {self._settings.command[0]} here")

    def deliver(self, call: Call) -> None:
        words = {
            "text": call.alarm.text,
            "rule": call.alarm.rule,
            "key": call.alarm.key,
            "call": str(call.number),
            "id": call.id,
        }
        program, *arguments = self._settings.command
        filled = [_BRACES.sub(lambda found: words[found[1]], text) for text in arguments]
        process.run([program, *filled], json.dumps(content(call)), self._settings.limit_s)


def content(call: Call) -> dict[str, object]:
    """A call for JSON: the alarm's fields, and ``id``, ``call``, ``escalated``, ``waits``."""
    return dataclasses.asdict(call.alarm) | {
        "id": call.id,
        "call": call.number,
        "escalated": call.escalated,
        "waits": call.waits,
    }
