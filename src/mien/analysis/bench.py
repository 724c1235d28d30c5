"""Speed and memory of mien on this machine, as JSON."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import provenance
from ..errors import WeightsMissing
from ..expression.recognize import load_model
from ..face import Frame, ImageArray
from ..faces import detect
from ..weights.catalogue import DEFAULT_MODEL

_CROP_PX, _PICTURE, _MANY = 112, (480, 640), 64
_WARM_UP = 5


def timed(call: Callable[[], object], repeat: int) -> dict[str, float]:
    """Median, 5th and 95th percentile of a call in milliseconds, once it is warm."""
    for _ in range(min(repeat, _WARM_UP)):
        call()
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1e3)
    p5, p50, p95 = map(float, np.percentile(times, [5, 50, 95]))
    return {"median_ms": round(p50, 3), "p5_ms": round(p5, 3), "p95_ms": round(p95, 3)}


def peak_memory_mib() -> float | None:
    """The largest resident size of this process so far; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def bench(
    model: str = DEFAULT_MODEL, picture: ImageArray | None = None, repeat: int = 300
) -> dict[str, Any]:
    """One look at a face on one thread (batch 1 and 64), and detection per picture.

    Faces a model is unsure of are looked at twice; how many depends on the faces.
    Without a picture detection runs on noise of 640 x 480, which says how long it takes to find
    nothing; the time depends little on what is there. ``repeat`` is how often one face is read;
    what takes longer is timed less often.
    """
    rng = np.random.default_rng(0)
    crop = rng.integers(0, 256, (_CROP_PX, _CROP_PX, 3), np.uint8)
    if picture is None:
        picture = rng.integers(0, 256, (*_PICTURE, 3), np.uint8)
    recognizer = load_model(model, threads=1)
    one = timed(lambda: recognizer.logits([crop]), repeat)
    many = timed(lambda: recognizer.logits([crop] * _MANY), max(1, repeat // 30))
    return {
        **provenance.environment(),
        "model": {"name": recognizer.info.name, "sha256": recognizer.info.sha256},
        "recognition_one_thread": {
            "batch_1": one,
            f"batch_{_MANY}_per_face": {k: round(v / _MANY, 3) for k, v in many.items()},
        },
        "detection": {
            name: _detection(name, Frame(picture), max(1, repeat // 15))
            for name in detect.detectors
        },
        "picture": list(picture.shape),
        "peak_memory_mib": peak_memory_mib(),
    }


def _detection(name: str, frame: Frame, repeat: int) -> dict[str, float] | dict[str, str]:
    try:
        detector = detect.build(name)
    except WeightsMissing as err:
        return {"missing": str(err)}
    return timed(lambda: detector.detect(frame), repeat)
