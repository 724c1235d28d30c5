"""The console script: what has to happen before anything else is imported."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

_ALLOCATIONS = 50_000


def run() -> NoReturn:
    """The command line, and out without taking the interpreter apart.

    Unloading OpenCV and ONNX Runtime module by module takes 25 ms, an eighth of a run on one
    picture, and changes nothing: files are closed and streams flushed by then. Python's garbage
    collector would run some two hundred times while they are imported, every 700 objects, and find
    nothing: what a module defines is there to stay.
    """
    gc.set_threshold(_ALLOCATIONS)
    try:
        if plain := files(sys.argv[1:]):
            from .app import analysis, terminal

            terminal.run(lambda: analysis.analyze(analysis.Wanted(plain)))
        else:
            from .app.verbs import main

            main()
    except SystemExit as end:
        if isinstance(end.code, str):
            raise
        sys.stderr.flush()
        os._exit(end.code or 0)
    raise AssertionError("main() ends by SystemExit")


def files(words: Sequence[str]) -> list[str]:
    """What ``mien analyze FILE...`` names; empty where there is any option to read.

    Typer takes 35 ms to load, and these words need no parser.
    """
    if words[:1] != ["analyze"] or any(word.startswith("-") for word in words):
        return []
    return list(words[1:])
