"""Who does the units: processes of this machine, or Ray's actors on many. The same worker in both.

========= =========================================================================================
local     so many workers here; nothing else is needed
ray       actors of a Ray cluster, on whichever machines it has (``mien.bulk.cluster``)
========= =========================================================================================
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Generator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Protocol

from ..errors import ConfigError
from .keeper import Keeper
from .listing import Unit
from .request import Request
from .work import Outcome

AHEAD = 2  # units that each worker has, so that it need not wait for the next


class Engine(Protocol):
    """Does units in any order, and each at least once; raises what a worker raises.

    units : that wait. Whoever hears of an outcome may add more; all are taken out.
    """

    def outcomes(
        self, request: Request, expected: dict[str, Any], units: deque[Unit]
    ) -> Generator[Outcome, None, None]: ...

    def close(self) -> None: ...


def engine(name: str, workers: int | None, address: str | None) -> Engine:
    """By its name; raises ConfigError, MissingExtra, ServiceError."""
    if name == "local":
        if address:
            raise ConfigError("--address is of a Ray cluster; add --engine ray")
        return Local(workers or os.cpu_count() or 1)
    if name == "ray":
        from .cluster import OnRay

        return OnRay(workers, address)
    raise ConfigError(f"--engine takes local or ray, got '{name}'")


class Local:
    """Processes of this machine, each kept by a thread."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._keepers: list[Keeper] = []
        self._mine = threading.local()

    def outcomes(
        self, request: Request, expected: dict[str, Any], units: deque[Unit]
    ) -> Generator[Outcome, None, None]:
        def do(unit: Unit) -> Outcome:
            if not hasattr(self._mine, "keeper"):
                self._mine.keeper = Keeper(request, expected)
                self._keepers.append(self._mine.keeper)
            keeper: Keeper = self._mine.keeper
            return keeper.do(unit)

        flying: set[Future[Outcome]] = set()
        pool = ThreadPoolExecutor(self._workers)
        try:
            while True:
                while units and len(flying) < self._workers * AHEAD:
                    flying.add(pool.submit(do, units.popleft()))
                if not flying:
                    return
                ready, flying = wait(flying, return_when=FIRST_COMPLETED)
                for future in ready:
                    yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            self.close()
            pool.shutdown(wait=True)

    def close(self) -> None:
        while self._keepers:
            self._keepers.pop().close()
        self._mine = threading.local()
