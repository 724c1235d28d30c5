"""Ways to run mien, as a person or a script does, and what such runs need."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from mien.face import ImageArray

MIEN = [sys.executable, "-m", "mien"]


TIMEOUT_S = 120


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    status: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


Words = str | Path


def run(*words: Words, timeout: float = TIMEOUT_S, **settings: str) -> Ended:
    """In a process of its own, its output into pipes."""
    done = subprocess.run(
        [*MIEN, *words], capture_output=True, timeout=timeout, env=os.environ | settings
    )
    ended = Ended(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert "Traceback" not in ended.err, ended.err
    return ended


Call = Callable[..., Ended]


def on_terminal(*words: Words, columns: int, **settings: str) -> Ended:
    """On a terminal of so many columns; ``out`` is what it shows, without colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    env = os.environ | {"TERM": "xterm-256color"} | settings
    env.pop("COLUMNS", None)
    with subprocess.Popen(
        [*MIEN, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=env
    ) as p:
        os.close(theirs)
        shown = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode()).replace("\r\n", "\n")
    return Ended(p.returncode, text, "")


def _read(terminal: int) -> bytes:
    assert select.select([terminal], [], [], TIMEOUT_S)[0], "nothing more came"
    try:
        return os.read(terminal, 65536)
    except OSError as err:
        if err.errno == errno.EIO:  # Linux's way to say that the other end is closed
            return b""
        raise


def save(pixels: ImageArray, path: Path, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def out_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def turned(head: ImageArray) -> ImageArray:
    """By twenty degrees clockwise, its border repeated."""
    matrix = cv2.getRotationMatrix2D((69.5, 79.5), -20, 1.0)
    flat = cv2.warpAffine(head, matrix, (140, 140), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(flat, np.uint8)
