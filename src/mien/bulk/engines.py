"""Who does the units: processes of this machine, or Ray's actors on many. The same worker in both.

========= =========================================================================================
local     so many workers here; nothing else is needed
ray       Ray Data hands the units out, as many actors as there is work and room for, on whichever
          machines there are; a unit whose machine is gone is handed out again
========= =========================================================================================
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any, Protocol

from ..errors import ConfigError, MienError, MissingExtra, ServiceError
from .keeper import Keeper, error
from .listing import Unit
from .request import Request
from .work import Outcome

_AHEAD = 2  # units that each worker is given, so that one is there as soon as it has done another
_PATIENCE_S = 5.0  # with a cluster that does not answer
_BLOCKS = 2000  # that Ray Data is given at most


class Engine(Protocol):
    """Does units in any order, and each at least once; raises what a worker raises."""

    def outcomes(
        self, request: Request, expected: dict[str, Any], units: Sequence[Unit]
    ) -> Generator[Outcome, None, None]: ...

    def close(self) -> None: ...


def engine(name: str, workers: int | None, address: str | None) -> Engine:
    """By its name; raises ConfigError, MissingExtra, ServiceError."""
    if name == "local":
        if address:
            raise ConfigError("--address is of a Ray cluster; add --engine ray")
        return Local(workers or os.cpu_count() or 1)
    if name == "ray":
        return OnRay(workers, address)
    raise ConfigError(f"--engine takes local or ray, got '{name}'")


class Local:
    """Processes of this machine, each kept by a thread."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._keepers: list[Keeper] = []
        self._mine = threading.local()

    def outcomes(
        self, request: Request, expected: dict[str, Any], units: Sequence[Unit]
    ) -> Generator[Outcome, None, None]:
        def do(unit: Unit) -> Outcome:
            if not hasattr(self._mine, "keeper"):
                self._mine.keeper = Keeper(request, expected)
                self._keepers.append(self._mine.keeper)
            keeper: Keeper = self._mine.keeper
            return keeper.do(unit)

        waiting = iter(units)
        flying: set[Future[Outcome]] = set()
        pool = ThreadPoolExecutor(self._workers)
        try:
            while True:
                while len(flying) < self._workers * _AHEAD and (unit := next(waiting, None)):
                    flying.add(pool.submit(do, unit))
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


class _Actor:
    """Keeps a worker on one of Ray's machines."""

    def __init__(self) -> None:
        self._keeper: Keeper | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        told: list[bytes] = []
        for item in batch["unit"]:
            request, expected, unit = pickle.loads(item)
            self._keeper = self._keeper or Keeper(request, expected)
            try:
                told.append(pickle.dumps(self._keeper.do(unit)))
            except MienError as err:  # Ray would try it again, and wrap it
                told.append(pickle.dumps((type(err).__name__, str(err))))
        return {"outcome": told}


def _check_answers(address: str | None) -> None:
    """Raises ServiceError where nobody listens: Ray itself would try for minutes."""
    host, colon, port = (address or "").rpartition("://")[2].rpartition(":")
    if not (colon and port.isdecimal()):
        return  # "auto", or a name that Ray knows
    try:
        socket.create_connection((host, int(port)), _PATIENCE_S).close()
    except OSError as err:
        raise ServiceError(
            f"cannot reach a Ray cluster at {address}: {err.strerror or err}; ray start --head "
            "tells its address"
        ) from err


class OnRay:
    """Actors of Ray Data. workers : at most; None for as many as there are processors.

    address : of a cluster that is there; None starts one on this machine.
    """

    def __init__(self, workers: int | None, address: str | None) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # says nothing to anybody
        # It would hide accelerators from its actors, and warns that it will not any more.
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        try:
            import ray
        except ImportError:
            raise MissingExtra("ray", "bulk", "--engine ray") from None
        _check_answers(address)
        self._begun = not ray.is_initialized()
        if self._begun:
            # "local": one of its own, though another may go on here.
            here: dict[str, Any] = {"address": "local", "num_cpus": workers or os.cpu_count()}
            here |= {"include_dashboard": False}
            quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
            try:
                ray.init(**({"address": address} if address else here), **quiet)
            except Exception as err:  # Ray's own are of many kinds, some of none
                first = str(err).partition("\n")[0]
                raise ServiceError(
                    f"cannot reach a Ray cluster at {address}: {first}; where it asks for a token, "
                    "RAY_AUTH_MODE=token before the command has ~/.ray/auth_token sent"
                    if address
                    else f"cannot start Ray on this machine: {first}; where it is busy, give the "
                    "same command again, or use --engine local"
                ) from err
        self._workers = workers

    def outcomes(
        self, request: Request, expected: dict[str, Any], units: Sequence[Unit]
    ) -> Generator[Outcome, None, None]:
        import ray.data

        logging.getLogger("ray.data").setLevel(logging.ERROR)  # the import has set another
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        there: Any = ray.cluster_resources  # has no types
        most = self._workers or max(1, int(there().get("CPU", 1)))
        most = min(most, len(units))
        # With each unit what it takes to do it: an actor's own arguments may be lost with a node.
        items = [{"unit": pickle.dumps((request, expected, unit))} for unit in units]
        done = ray.data.from_items(items, override_num_blocks=min(len(items), _BLOCKS)).map_batches(
            _Actor,
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(
                min_size=1,
                max_size=most,
                initial_size=most,
                max_tasks_in_flight_per_actor=_AHEAD,
                max_concurrent_calls_per_actor=_AHEAD,  # the actor itself has one at a time
            ),
            num_cpus=1,
        )
        for batch in done.iter_batches(batch_size=1, prefetch_batches=0):
            outcome = pickle.loads(batch["outcome"][0])
            if isinstance(outcome, Outcome):
                yield outcome
            else:
                raise error(*outcome)

    def close(self) -> None:
        if self._begun:
            import ray

            with suppress(Exception):
                ray.shutdown()
