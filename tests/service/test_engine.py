"""Work of requests on threads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mien.service.engine import ClientLeft, Engine
from mien.service.settings import ServiceSettings
from mien.testing import FakeRecognizer


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = Engine(ServiceSettings(home=tmp_path, workers=2, request_s=20), FakeRecognizer())
    yield made
    made.close()


async def stays() -> None:
    await asyncio.sleep(60)


async def leaves() -> None:
    await asyncio.sleep(0.05)


def test_results_come_in_their_order(engine: Engine) -> None:
    def slower(i: int) -> int:
        time.sleep(0.02 * (3 - i % 4))
        return i

    works = [lambda i=i: slower(i) for i in range(12)]
    assert asyncio.run(engine.run(works, stays)) == [*range(12)]
    assert engine.waiting == 0


def test_the_first_error_ends_what_has_not_begun(engine: Engine) -> None:
    let, begun = threading.Event(), []

    def waits() -> None:
        assert let.wait(30)

    def fails() -> None:
        raise ValueError("a bug")

    async def asked() -> None:
        with pytest.raises(ValueError, match="a bug"):
            await engine.run([waits, fails, waits, *[lambda: begun.append(1)] * 8], stays)
        let.set()

    asyncio.run(asked())  # comes back while the first still waits
    engine.close()
    assert begun == []
    assert engine.waiting == 0


def test_nothing_is_done_for_who_has_left(engine: Engine) -> None:
    let, begun = threading.Event(), []

    def waits() -> None:
        assert let.wait(30)

    async def asked() -> None:
        with pytest.raises(ClientLeft):
            await engine.run([waits, waits, *[lambda: begun.append(1)] * 8], leaves)
        let.set()

    asyncio.run(asked())
    engine.close()
    assert begun == []
