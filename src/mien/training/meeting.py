"""Where the processes of a training meet before they train.

Each says what it is about to do. A machine with another table, recipe or version would not fail: it
would train something else, and pull every other machine's weights along.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import torch.distributed as dist
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from ..errors import ConfigError, TrainingError
from . import recipes

ARRIVAL = timedelta(minutes=5)
"""How long a process waits for the others to come."""
_MOMENT = 0.1  # seconds between two looks for them
_TOLD = 5  # differences that an error names


def meet(environment: ClusterEnvironment, facts: Mapping[str, Any]) -> Store:
    """Wait until every process has come, and see that they are about to do the same.

    facts : what is to be the same, ready for JSON. Raises ConfigError where somebody does not come,
    comes twice, or differs.
    """
    rank, count = environment.global_rank(), environment.world_size()
    deadline = time.monotonic() + ARRIVAL.total_seconds()
    store = _store(environment, deadline)
    try:
        if store.add(f"came/{rank}", 1) > 1:
            raise ConfigError(
                f"process {rank} of {count} is at {_address(environment)} already: NODE_RANK is "
                "given twice, or another training meets there (another MASTER_PORT)"
            )
        store.set(f"facts/{rank}", json.dumps(facts))
        _await(store, environment, deadline)
        found = [json.loads(store.get(f"facts/{other}")) for other in range(count)]
        _leave(store, rank, count)
    except dist.DistError as err:
        raise TrainingError(f"process 0 at {_address(environment)} is gone: see there") from err
    _compare(found)
    return store


def _store(environment: ClusterEnvironment, deadline: float) -> Store:
    """What the first process keeps for all of them; torchrun keeps one itself."""
    if isinstance(environment, TorchElasticEnvironment):
        store, _, _ = next(rendezvous("env://", timeout=ARRIVAL))
        # It outlives processes that are started again, and what they left there.
        return PrefixStore(os.environ["TORCHELASTIC_RESTART_COUNT"], store)
    first = environment.global_rank() == 0
    if not first:
        _await_the_first(environment, deadline)
    try:
        return dist.TCPStore(  # type: ignore[attr-defined]
            environment.main_address,
            environment.main_port,
            is_master=first,
            timeout=ARRIVAL,
            wait_for_workers=False,
        )
    except dist.DistError as err:
        raise ConfigError(_why(environment, err)) from err


def _why(environment: ClusterEnvironment, err: dist.DistError) -> str:
    where = _address(environment)
    if "EADDRINUSE" in str(err):
        return f"port {environment.main_port} is taken, by another training perhaps: another one"
    return f"cannot meet at {where}: it is to be an address of the machine with NODE_RANK 0"


def _address(environment: ClusterEnvironment) -> str:
    return f"{environment.main_address}:{environment.main_port}"


def _await_the_first(environment: ClusterEnvironment, deadline: float) -> None:
    """Knock until somebody opens: torch would wait deaf to Ctrl-C, and tell of every try."""
    place = environment.main_address, environment.main_port
    reason = ""
    while time.monotonic() < deadline:
        try:
            socket.create_connection(place, timeout=_MOMENT * 50).close()
            return
        except OSError as err:
            reason = err.strerror or str(err)
            time.sleep(_MOMENT)
    raise ConfigError(
        f"nobody opens at {_address(environment)} ({reason}): does the command run on the machine "
        f"with NODE_RANK 0, and can this one reach it? Waited for {_minutes()}"
    )


def _await(store: Store, environment: ClusterEnvironment, deadline: float) -> None:
    """Until every process has said what it is about to do; raises ConfigError."""
    count = environment.world_size()
    missing = list(range(count))
    while missing := [rank for rank in missing if not store.check([f"facts/{rank}"])]:
        if time.monotonic() > deadline:
            ranks = ", ".join(map(str, missing))
            raise ConfigError(
                f"of {count} processes these did not come to {_address(environment)} within "
                f"{_minutes()}: {ranks}; was the command started on every machine, and what did "
                "it say there?"
            )
        time.sleep(_MOMENT)


def _minutes() -> str:
    return f"{ARRIVAL.total_seconds() / 60:g} minutes"


def _leave(store: Store, rank: int, count: int) -> None:
    """The first process, which keeps the store, stays until all have read it."""
    gone = store.add("gone", 1)
    patience = time.monotonic() + 10
    while rank == 0 and gone < count and time.monotonic() < patience:
        time.sleep(_MOMENT / 10)
        gone = store.add("gone", 0)


def _compare(found: Sequence[Mapping[str, Any]]) -> None:
    """Raises ConfigError, of every process alike, where one differs from the first."""
    first = dict(recipes.flat(found[0]))
    for rank, facts in enumerate(found[1:], 1):
        other = dict(recipes.flat(facts))
        differing = [
            f"{name} is {first.get(name)} and {other.get(name)}"
            for name in dict.fromkeys((*first, *other))
            if first.get(name) != other.get(name)
        ]
        if differing:
            more = f" and {len(differing) - _TOLD} more" if len(differing) > _TOLD else ""
            raise ConfigError(
                f"processes 0 and {rank} are about to do different things: "
                f"{'; '.join(differing[:_TOLD])}{more}; every machine needs the same command, "
                "files and versions"
            )
