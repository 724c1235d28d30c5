from __future__ import annotations

import pytest

from tests.servers import free_port


@pytest.fixture
def port() -> int:
    """Where the processes of a training meet."""
    return free_port()
