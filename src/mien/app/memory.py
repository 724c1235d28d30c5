"""What the C library does with memory that was given back: the program's to say, and no library's.

glibc keeps memory for each thread apart, so that what one has left another cannot use, and hands
large blocks back to the kernel at once, which clears each page anew for the next frame. Elsewhere
nothing is changed, nor where somebody has said otherwise by one of glibc's own variables.
"""

from __future__ import annotations

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # malloc.h
_KEPT_BYTES = 64 << 20
_BLOCK_BYTES = 8 << 20
"""A frame of 1080p has 6 MB. What is larger goes back at once: such frames are few."""


def keep() -> None:
    """One store of memory for all threads, which keeps what the next frame will want."""
    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library than glibc
        return
    mallopt(_ARENA_MAX, 1)
    mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
    mallopt(_MMAP_THRESHOLD, _BLOCK_BYTES)
