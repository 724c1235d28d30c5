"""Alarms as a sound."""

from __future__ import annotations

import math
import struct
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError
from . import player
from .output import Context, Output, Settings, Table, settings
from .watch import Call

_RATE_HZ = 22_050
_TONES_HZ = (880.0, 660.0, 880.0, 660.0)
_TONE_S = 0.18
_LIMIT_S = 15.0


@dataclass(frozen=True, slots=True)
class SoundSettings(Settings):
    """file : a WAV file; without one two tones take turns for a second."""

    file: str = ""


class Sound(Output):
    """Plays a file on this machine's loudspeaker."""

    def __init__(self, name: str, table: Table) -> None:
        self._settings = settings(SoundSettings, name, table)
        super().__init__(self._settings)
        self._where = f"output.{name}.file"
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._path = Path(self._settings.file).expanduser()

    def start(self, context: Context) -> None:
        if self._settings.file:
            check(self._path, self._where)
            return
        self._folder = tempfile.TemporaryDirectory(prefix="mien-")
        self._path = Path(self._folder.name) / "alarm.wav"
        write_tones(self._path)

    def reach(self) -> None:
        player.check()

    def deliver(self, call: Call) -> None:
        player.play(self._path, _LIMIT_S)

    def close(self) -> None:
        if self._folder:
            self._folder.cleanup()


def check(path: Path, where: str) -> None:
    """Raises ConfigError where a file is no WAV file, or too long for an alarm."""
    try:
        if path.exists() and not path.is_file():  # to open a pipe would wait for ever
            raise OSError("it is no file")
        with wave.open(str(path)) as file:
            if not (rate := file.getframerate()):
                raise wave.Error("it has no samples a second")
            seconds = file.getnframes() / rate
    except (OSError, ValueError, EOFError, wave.Error) as err:
        raise ConfigError(f"{where}: {path} is no WAV file that can be read: {err}") from None
    if seconds > _LIMIT_S - 5:
        raise ConfigError(
            f"{where}: {path} takes {seconds:.0f} s; an alarm has {_LIMIT_S - 5:g} s at most"
        )


def write_tones(path: Path) -> None:
    """Tones that take turns, each faded in and out so that it does not click; mono, 16 bit."""
    count = round(_RATE_HZ * _TONE_S)
    samples = [
        round(28_000 * math.sin(math.pi * i / count) * math.sin(2 * math.pi * hertz * i / _RATE_HZ))
        for hertz in _TONES_HZ
        for i in range(count)
    ]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE_HZ)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
