"""What the verbs of the laboratory need before they begin: torch, which is an extra."""

from __future__ import annotations

import os
from importlib.util import find_spec

from ..errors import MissingExtra


def need_torch(purpose: str) -> None:
    """Raises MissingExtra where torch is not installed; it is not loaded yet."""
    if find_spec("torch") is None:
        raise MissingExtra("torch", "train", purpose)


def prepare_training() -> None:
    """Before torch loads; raises MissingExtra where it is not installed."""
    # Read by OpenMP when torch loads: waiting threads sleep instead of spinning, which is
    # several times faster wherever another process wants the same cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    need_torch("training")
