"""Actors of a Ray cluster: one that goes on somewhere, or one that is begun here for a run.

An actor keeps a worker on one of the cluster's machines. It is given units once it is there, and
what it had is handed out anew where it is lost with its machine (ADR 40).
"""

from __future__ import annotations

import logging
import math
import os
import socket
import time
from collections import Counter, deque
from collections.abc import Generator
from contextlib import suppress
from typing import Any

from ..errors import MienError, MissingExtra, ServiceError
from .engines import AHEAD
from .keeper import Keeper, error
from .listing import Unit
from .request import Request
from .work import Outcome

_PATIENCE_S = 5.0  # with a cluster that does not answer
_LOOK_S = 5.0  # between two looks at how large the cluster is
_LOSSES = 10  # of the actors that read a unit, until nobody is given it any more

Failure = tuple[str, str]
"""An error of mien's by its name, and what it says: Ray would wrap it."""


class Actor:
    """Keeps a worker on one of the cluster's machines."""

    def __init__(self, request: Request, expected: dict[str, Any]) -> None:
        self._keeper = Keeper(request, expected)

    def ready(self) -> None:
        """Nothing; whoever hears that knows that it is there."""

    def do(self, unit: Unit) -> Outcome | Failure:
        try:
            return self._keeper.do(unit)
        except MienError as err:
            return type(err).__name__, str(err)


class OnRay:
    """A cluster's actors. workers : at most; None for as many as it has processors.

    address : of a cluster that is there; None begins one on this machine. Raises MissingExtra,
    ServiceError.
    """

    def __init__(self, workers: int | None, address: str | None) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # says nothing to anybody
        # It would hide accelerators from its actors, and warns that it will not any more.
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        # It would end an actor where memory is short; the system ends the worker, which is heard.
        os.environ.setdefault("RAY_memory_monitor_refresh_ms", "0")
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
            except (ConnectionError, ValueError, RuntimeError) as err:
                raise ServiceError(
                    f"cannot reach a Ray cluster at {address}: {str(err).partition(chr(10))[0]}"
                ) from err
        self._workers = workers

    def outcomes(
        self, request: Request, expected: dict[str, Any], units: deque[Unit]
    ) -> Generator[Outcome, None, None]:
        crew = _Crew(self._workers, request, expected)
        try:
            yield from crew.outcomes(units)
        finally:
            crew.end()

    def close(self) -> None:
        if self._begun:
            import ray

            with suppress(Exception):
                ray.shutdown()


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


class _Crew:
    """The actors of a run, and what each of them has.

    workers : at most; None for as many as the cluster has processors, however that changes.
    """

    def __init__(self, workers: int | None, request: Request, expected: dict[str, Any]) -> None:
        import ray

        self._ray: Any = ray
        self._workers, self._arguments = workers, (request, expected)
        self._kind: Any = ray.remote(num_cpus=1)(Actor)
        self._begins: dict[Any, Any] = {}  # by what promises that it is there: an actor
        self._works: dict[Any, tuple[Any, Unit, int]] = {}  # by what promises an outcome
        self._has: dict[Any, int] = {}  # of AHEAD units, how many each actor has
        self._losses = Counter[str]()
        self._most, self._looked_s = 0, -math.inf

    def outcomes(self, units: deque[Unit]) -> Generator[Outcome, None, None]:
        while units or self._works:
            self._hire(len(units))
            promises = [*self._begins, *self._works]
            for promise in self._ray.wait(promises, num_returns=1, timeout=_LOOK_S)[0]:
                if outcome := self._heard(promise, units):
                    yield outcome
            self._give(units)

    def _hire(self, waiting: int) -> None:
        """As many actors as there is work and room for; those without room wait for a machine."""
        if time.monotonic() - self._looked_s >= _LOOK_S:
            there = int(self._ray.cluster_resources().get("CPU", 1))
            self._most, self._looked_s = self._workers or max(1, there), time.monotonic()
        room = self._most - len(self._has) - len(self._begins)
        for _ in range(min(room, waiting - len(self._begins))):
            actor = self._kind.remote(*self._arguments)
            self._begins[actor.ready.remote()] = actor

    def _give(self, units: deque[Unit]) -> None:
        """Keep all actors busy; with one that was lost before, nothing else is lost again."""
        for actor in self._has:
            while units and self._has[actor] < AHEAD:
                takes = AHEAD if self._losses[_named(units[0])] else 1
                if self._has[actor] + takes > AHEAD:
                    break
                unit = units.popleft()
                self._works[actor.do.remote(unit)] = actor, unit, takes
                self._has[actor] += takes

    def _heard(self, promise: Any, units: deque[Unit]) -> Outcome | None:
        """What a promise came to; None where it is no outcome of a unit."""
        actor, unit, took = self._begins.pop(promise, None), None, 0
        if actor is None:
            actor, unit, took = self._works.pop(promise)
        gone = self._ray.exceptions
        try:
            told = self._ray.get(promise)
        except (gone.RayActorError, gone.ObjectLostError, gone.OutOfMemoryError) as err:
            self._has.pop(actor, None)
            self._lost(unit, err)
            units.extend([unit] if unit else [])
            return None
        self._losses.pop(_named(unit), None)
        if unit is None:
            self._has[actor] = 0
        elif actor in self._has:
            self._has[actor] -= took
        if isinstance(told, tuple):
            raise error(*told)
        assert told is None or isinstance(told, Outcome)
        return told

    def _lost(self, unit: Unit | None, err: Any) -> None:
        """Count a loss; raises ServiceError where another try would be no better."""
        why = str(err).strip().splitlines()[-1]
        if getattr(err, "actor_init_failed", False):
            raise ServiceError(
                f"a machine of the cluster cannot begin a worker ({why}); each needs the same mien"
            )
        self._losses[_named(unit)] += 1
        if self._losses[_named(unit)] >= _LOSSES:
            raise ServiceError(
                f"{_named(unit)} was lost {_LOSSES} times with the actor that had it ({why}); is "
                "there too little memory? Ray ends actors then"
            )

    def end(self) -> None:
        for actor in [*self._begins.values(), *self._has]:
            self._ray.kill(actor)


def _named(unit: Unit | None) -> str:
    if unit is None:
        return "a worker that begins"
    return unit.inputs[0].source + (f" and {more} more" if (more := len(unit.inputs) - 1) else "")
