"""The browser package, built once for all processes of a test run."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from . import node
from .node import Node


@pytest.fixture(scope="session")
def built(once: Path) -> None:
    """The package is built of the source as it is now; skips where it cannot be."""
    if why := node.missing():
        pytest.skip(why)
    done = once / "web.built"
    with FileLock(once / "web.lock"):
        if not done.exists():
            node.build()
            done.touch()


@pytest.fixture
def browser(built: None, tmp_path: Path) -> Node:
    """The package, with the default model."""
    return Node(tmp_path)
