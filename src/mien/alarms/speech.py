"""Alarms as spoken words."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ..errors import ConfigError, MissingExtra
from . import player, process
from .output import Context, Output, Settings, Table, Undelivered, settings
from .watch import Call

_SYNTHESIS_S = 15.0
_SECONDS_A_LETTER = 0.2  # the slowest voice, with room


@dataclass(frozen=True, slots=True)
class SpeechSettings(Settings):
    """voice : a language ("en", "de", "pt-br") or a voice of the system; "" is the system's own.
    rate : words a minute.
    """

    voice: str = ""
    rate: int = 160


class Speech(Output):
    """Says an alarm's text on this machine's loudspeaker."""

    def __init__(self, name: str, table: Table) -> None:
        self._settings = settings(SpeechSettings, name, table)
        super().__init__(self._settings)
        if not 20 <= self._settings.rate <= 500:
            rate = self._settings.rate
            raise ConfigError(f"output.{name}.rate is 20 to 500 words a minute, got {rate}")
        self._where = f"output.{name}"

    def start(self, context: Context) -> None:
        if find_spec("pyttsx3") is None:
            raise MissingExtra("pyttsx3", "act", "speech")
        try:
            self.say("mien", silently=True)
        except Undelivered as err:
            raise ConfigError(f"{self._where}: {err}") from None

    def reach(self) -> None:
        player.check()

    def deliver(self, call: Call) -> None:
        self.say(call.alarm.text)

    def say(self, text: str, silently: bool = False) -> None:
        """Speak, or only see whether it could be spoken; raises Undelivered."""
        with tempfile.TemporaryDirectory(prefix="mien-") as folder:
            path = Path(folder) / "speech.wav"
            chosen = self._settings
            module = ["-m", "mien.alarms.speak", str(path), chosen.voice, str(chosen.rate)]
            try:
                process.run([sys.executable, *module], text, _SYNTHESIS_S)
            except Undelivered as err:
                reason = str(err).rpartition("status 1: ")[2]
                raise Undelivered(f"cannot speak: {reason}", again=False) from None
            if not silently:
                player.play(path, 10 + _SECONDS_A_LETTER * len(text))
