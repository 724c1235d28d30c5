"""Text on stdin to a sound file, by pyttsx3: ``python -m mien.alarms.speak FILE VOICE RATE``.

A process of its own, since a speech engine is one per process, wants the main thread on some
systems, and may hang or crash on a damaged installation.
"""

from __future__ import annotations

import contextlib
import io
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import MienError, ModelError, UnknownName

_WHOLE_S = 10.0  # for the engine to end; it takes some hundredths


def synthesize(text: str, path: Path, voice: str, rate: int) -> None:
    """Write spoken text to a file; raises MienError.

    voice : a language ("de", "pt-br") or an engine's own name; "" for the system's voice.
    rate : words a minute.
    """
    import pyttsx3

    try:
        engine = pyttsx3.init()
    except Exception as err:  # OSError, RuntimeError, KeyError, ImportError by system
        raise ModelError(
            f"no speech engine: {err}; on Linux: apt-get install espeak-ng (or dnf, pacman)"
        ) from err
    if voice:
        engine.setProperty("voice", _voice(voice, engine.getProperty("voices")))
    engine.setProperty("rate", rate)
    ended = threading.Event()
    engine.connect("finished-utterance", lambda **_: ended.set())
    with contextlib.redirect_stdout(io.StringIO()):  # it talks
        engine.save_to_file(text, str(path))
        engine.runAndWait()
        if sys.platform.startswith("linux"):  # there it does not wait: espeak has its own thread
            ended.wait(_WHOLE_S)
    if not path.exists() or path.stat().st_size < 100:
        raise ModelError(f"the speech engine made no sound of '{text}'")


def _voice(wanted: str, voices: Iterable[Any]) -> str:
    """The identifier of a voice by language, name or identifier; raises UnknownName."""
    by_name: dict[str, str] = {}
    for voice in voices:
        for name in (*(voice.languages or ()), voice.name, voice.id, voice.id.rpartition("/")[2]):
            by_name.setdefault(str(name).strip("\x00\x05").lower().replace("_", "-"), voice.id)
    key = wanted.lower().replace("_", "-")
    if key not in by_name:
        raise UnknownName("voice", wanted, by_name)
    return by_name[key]


def main() -> int:
    path, voice, rate = sys.argv[1:]
    try:
        synthesize(sys.stdin.buffer.read().decode(), Path(path), voice, int(rate))
    except MienError as err:
        print(err, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
