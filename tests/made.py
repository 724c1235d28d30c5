"""Small pictures and videos that the tests of data sets lay out as the owners do."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def picture(path: Path, seed: int = 0, side: int = 16) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def video(path: Path, frames: int = 10, fps: Fraction | int = 10, codec: str = "mpeg4") -> Path:
    """Of 64 x 48 pixels, black with a white left edge; each frame a little bluer."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(frames):
            pixels = np.zeros((48, 64, 3), np.uint8)
            pixels[:, :, 2] = 255 * i // frames
            pixels[:, :12] = 255
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        out.mux(stream.encode(None))
    return path


def turned(path: Path) -> Path:
    """The same MP4 as a phone held upright writes it: to be shown a quarter turn clockwise."""
    return shown_by(path, 0, 1, -1, 0)


def shown_by(path: Path, a: float, b: float, c: float, d: float) -> Path:
    """The same MP4 with another display matrix: what is stored at x y is at ax + cy, bx + dy."""
    content = bytearray(path.read_bytes())
    as_is = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    at = content.index(as_is, content.index(b"tkhd"))
    across, down, right, below = (round(v * 65536) for v in (a, b, c, d))
    matrix = (across, down, 0, right, below, 0, 0, 0, 1 << 30)
    content[at : at + len(as_is)] = struct.pack(">9i", *matrix)
    path.write_bytes(content)
    return path
