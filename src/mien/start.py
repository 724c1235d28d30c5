"""The console script: what has to happen before anything else is imported."""

from __future__ import annotations

import gc
import os
import sys
from typing import NoReturn

_ALLOCATIONS = 50_000


def run() -> NoReturn:
    """``cli.main``, and out without taking the interpreter apart.

    Unloading OpenCV and ONNX Runtime module by module takes 25 ms, an eighth of a run on one
    picture, and changes nothing: files are closed and streams flushed by then. Python's garbage
    collector would run some two hundred times while they are imported, every 700 objects, and find
    nothing: what a module defines is there to stay.
    """
    gc.set_threshold(_ALLOCATIONS)
    from .cli import main

    try:
        main()
    except SystemExit as end:
        if isinstance(end.code, str):
            raise
        sys.stderr.flush()
        os._exit(end.code or 0)
    raise AssertionError("main() ends by SystemExit")
