"""What becomes of memory that was given back, while mien analyze runs."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys

import pytest

from mien.app import memory

_FRAMES = """
import resource, sys, threading
from mien.app import memory
if sys.argv[1:] == ["kept"]:
    memory.keep()
def work():
    for _ in range(50):
        frames = [bytes(6_000_000) for _ in range(3)]
        del frames
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _plain() -> dict[str, str]:
    """The environment without glibc's variables."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}


def faults(*words: str) -> int:
    """How many pages the kernel had to give a thread that takes and leaves frames."""
    done = subprocess.run(
        [sys.executable, "-c", _FRAMES, *words],
        capture_output=True,
        text=True,
        check=True,
        env=_plain(),
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's alone")
def test_the_next_frame_lies_where_the_last_one_was() -> None:
    assert faults("kept") < faults() / 10


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES"])
def test_what_somebody_has_set_stays(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "4")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: pytest.fail("asked for"))
    memory.keep()


@pytest.mark.parametrize("error", [TypeError, OSError])
def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def none(_: None) -> None:
        raise error

    for name in ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ctypes, "CDLL", none)
    memory.keep()
