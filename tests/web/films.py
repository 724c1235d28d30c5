"""Films of a real face for a browser: for its player, and in place of its camera."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from mien.face import ImageArray

SIZE = (640, 480)


def film(path: Path, portrait: ImageArray, codec: str, seconds: float = 4.0, fps: int = 15) -> Path:
    """The portrait drifting through the picture; its last quarter shows nobody.

    codec : "libx264" (.mp4) and "mjpeg" (.mjpeg) are a browser's, "mpeg4" (.mp4) is none's.
    """
    count = round(seconds * fps)
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=fps)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.bit_rate = 2_000_000
        if codec == "libx264":
            stream.options = {"preset": "ultrafast"}
        for i in range(count):
            seen = i < count * 3 // 4 or codec == "mjpeg"
            pixels = _frame(portrait, i / count) if seen else np.full((480, 640, 3), 90, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            out.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        out.mux(stream.encode(None))
    return path


def _frame(portrait: ImageArray, share: float) -> ImageArray:
    """(480, 640, 3) uint8 RGB: the portrait moving a little from side to side."""
    x = 76 + 12 * np.sin(2 * np.pi * share)
    matrix = np.array([[0.95, 0.0, x], [0.0, 0.95, 0.0]])
    return np.asarray(cv2.warpAffine(portrait, matrix, SIZE, borderMode=cv2.BORDER_REPLICATE))
