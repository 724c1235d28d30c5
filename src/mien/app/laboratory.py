"""What verbs need before they begin: libraries of extras, the laboratory's above all."""

from __future__ import annotations

import os
from importlib.util import find_spec

from ..errors import MissingExtra

_MODULES = {"markdown-it-py": "markdown_it"}
"""What libraries are imported as, where that is not their name."""
_EXTRAS = {"pyarrow": "table", "matplotlib": "plot"} | dict.fromkeys(
    ("fastapi", "uvicorn", "httptools", "sqlalchemy"), "serve"
)
"""The smallest extra that brings a library, where that is not ``train``."""


def need(purpose: str, *libraries: str) -> None:
    """Raises MissingExtra for the first that is not installed; none of them is loaded yet."""
    for library in libraries:
        if find_spec(_MODULES.get(library, library)) is None:
            raise MissingExtra(library, _EXTRAS.get(library, "train"), purpose)


def need_torch(purpose: str) -> None:
    """Raises MissingExtra where torch is not installed; it is not loaded yet."""
    need(purpose, "torch")


def prepare_training() -> None:
    """Before torch loads; raises MissingExtra where it is not installed."""
    # Read by OpenMP when torch loads: waiting threads sleep instead of spinning, which is
    # several times faster wherever another process wants the same cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    need_torch("training")
