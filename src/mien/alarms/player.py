"""Playing a WAV file, and knowing whether it was heard.

The usual libraries do not tell: pyttsx3 and playsound3 start the same programs and drop their exit
status, so that a machine without a sound device says an alarm was spoken.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from . import process
from .output import Undelivered

_PLAYERS = (["pw-play"], ["paplay"], ["aplay", "-q"], ["afplay"])
_NONE = f"none of {', '.join(p[0] for p in _PLAYERS)} is installed"


def check() -> None:
    """Raises Undelivered where nothing here plays a file."""
    if sys.platform != "win32" and not any(shutil.which(program) for program, *_ in _PLAYERS):
        raise Undelivered(f"no sound: {_NONE}", again=False)


def play(path: Path, limit_s: float) -> None:
    """Back when the file has been played; raises Undelivered where nothing can play it."""
    if sys.platform == "win32":
        _play_on_windows(path)
        return
    reasons = []
    for program, *options in _PLAYERS:
        if shutil.which(program):
            try:
                process.run([program, *options, str(path)], "", limit_s, again=False)
                return
            except Undelivered as err:
                reasons.append(str(err))
    found = "; ".join(reasons) or _NONE
    raise Undelivered(f"no sound: {found}", again=False)


def _play_on_windows(path: Path) -> None:
    import winsound

    try:
        winsound.PlaySound(str(path), winsound.SND_FILENAME | winsound.SND_NODEFAULT)  # type: ignore[attr-defined,unused-ignore]
    except RuntimeError as err:
        raise Undelivered(f"no sound: {err}", again=False) from None
