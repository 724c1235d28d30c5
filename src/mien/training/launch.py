"""The devices of a training, and how its processes begin and end together.

On one machine this process starts the others. On several, torchrun or Slurm start them all, or
somebody gives the command on each (MASTER_ADDR, MASTER_PORT, NODE_RANK).
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from _thread import interrupt_main
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from lightning.fabric import Fabric
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch.distributed.distributed_c10d import PrefixStore, Store

from .. import provenance
from ..errors import ConfigError, MienError, TrainingError, UnknownName
from .meeting import meet
from .recipes import Recipe
from .tasks import has_bfloat16

log = logging.getLogger(__name__)
ACCELERATORS = ("auto", "cpu", "cuda", "mps")
SILENCE = timedelta(minutes=30)
"""How long a process waits for one that says nothing, while its machine has not hung up."""
_GRACE = 10.0  # seconds in which a process notices by itself that another one is gone
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h
_STARTER = "MIEN_TRAINING"  # the process that started this one
_DECIDING = ("mien", "numpy", "opencv-python-headless", "torch")
_AGAIN = "the same command goes on from the last whole epoch"


def launched(recipe: Recipe, accelerator: str) -> Fabric:
    """The device of a run by one process; raises ConfigError for one that is not there."""
    return _fabric(recipe, accelerator, 1, 1, _ByHand())


@contextmanager
def processes(
    recipe: Recipe, accelerator: str, devices: int, nodes: int, facts: Mapping[str, Any]
) -> Iterator[Fabric]:
    """The devices of a run, every process of it started and met; all but the first end with it.

    devices, nodes : on each machine, and machines.
    facts : what must be the same for all of them, ready for JSON. Raises ConfigError where devices
        or processes are not there or do not fit each other, TrainingError where one is lost.
    """
    environment = surroundings(devices, nodes)
    if devices * nodes == 1:
        yield launched(recipe, accelerator)
        return
    fabric = _fabric(recipe, accelerator, devices, nodes, environment)
    environment.set_world_size(devices * nodes)
    environment.set_global_rank(environment.node_rank() * devices + environment.local_rank())
    others = _Others(environment, devices)
    try:
        store = meet(environment, {**facts, **_decided(fabric), "devices": devices, "nodes": nodes})
        _join(fabric, environment, store)
        yield fabric
        others.wait()
    except BaseException as err:
        _end(err, others, environment)
    # The group stays: gloo's end can wait for Python's lock, which whoever ends it has.
    if environment.global_rank():
        raise SystemExit(0)


def surroundings(devices: int, nodes: int) -> ClusterEnvironment:
    """How a process knows which of them it is; raises ConfigError where that does not fit."""
    if dist.is_torchelastic_launched():
        each = int(os.environ["LOCAL_WORLD_SIZE"])
        _check("torchrun", int(os.environ["WORLD_SIZE"]) // each, each, devices, nodes)
        return TorchElasticEnvironment()
    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", 1))
    if tasks > 1:
        machines = int(os.environ["SLURM_STEP_NUM_NODES"])
        _check("srun", machines, tasks // machines, devices, nodes)
        if "SLURM_NTASKS_PER_NODE" not in os.environ:
            raise ConfigError(f"srun: say --ntasks-per-node={devices} in place of --ntasks")
        return SLURMEnvironment()
    if devices * nodes > 1:
        _check_by_hand(nodes)
    return _ByHand()


def _check(starter: str, machines: int, each: int, devices: int, nodes: int) -> None:
    if (machines, each) != (nodes, devices):
        raise ConfigError(
            f"{starter} started --nodes {machines} --devices {each} (processes on each), "
            f"and the command says --nodes {nodes} --devices {devices}: make both the same"
        )


def _check_by_hand(nodes: int) -> None:
    told = {name: os.environ.get(name) for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")}
    if nodes > 1 and None in told.values():
        raise ConfigError(
            f"--nodes {nodes}: start the command on every machine with torchrun, "
            f"torchrun --nnodes {nodes} --node-rank 0 --master-addr FIRST --master-port 29500 "
            "-m mien train ... (--node-rank 1 on the next), or with Slurm's srun"
        )
    number = told["NODE_RANK"] or "0"
    if not (number.isdecimal() and int(number) < nodes):
        raise ConfigError(f"NODE_RANK is {number}; of --nodes {nodes} it is 0 to {nodes - 1}")


class _ByHand(LightningEnvironment):
    """Processes that mien starts, or that started it; see ``_Others``."""

    @property
    def creates_processes_externally(self) -> bool:
        return True


def _fabric(
    recipe: Recipe, accelerator: str, devices: int, nodes: int, environment: ClusterEnvironment
) -> Fabric:
    if dist.is_initialized():
        raise ConfigError("a training by several processes is the last one of its program")
    keep_freed_memory()
    if accelerator not in ACCELERATORS:
        raise UnknownName("accelerator", accelerator, ACCELERATORS)
    # What it would tell on stderr of its precision stands among a run's facts.
    for part in ("fabric", "pytorch"):  # which of them tells it depends on what was imported
        logging.getLogger(f"lightning.{part}").setLevel(logging.WARNING)
    precision: Any = recipe.train.precision
    chosen: dict[str, Any] = {"accelerator": accelerator, "devices": 1, "plugins": [_ByHand()]}
    try:
        if precision == "auto":
            precision = auto_precision(Fabric(**chosen).device)
        if devices * nodes > 1:
            chosen |= {"devices": devices, "num_nodes": nodes, "strategy": "ddp"}
            chosen["plugins"] = [environment]
        return Fabric(precision=precision, **chosen)
    except (RuntimeError, ValueError) as err:  # Fabric's own, of what is not there
        raise ConfigError(
            f"cannot compute on {accelerator}: {err}; --accelerator auto takes what there is"
        ) from err


def auto_precision(device: torch.device) -> str:
    """bfloat16 where the hardware multiplies in it, float32 elsewhere."""
    return "bf16-mixed" if has_bfloat16(device) else "32-true"


def _decided(fabric: Fabric) -> dict[str, Any]:
    """What a process found out, and another one must have found out as well."""
    versions = provenance.versions()
    return {
        "device": fabric.device.type,
        "precision": fabric.strategy.precision.precision,
        "commit": (provenance.commit() or "").removesuffix("-dirty"),
        "versions": {name: versions.get(name) for name in _DECIDING},
    }


def _join(fabric: Fabric, environment: ClusterEnvironment, store: Store) -> None:
    """One group of all processes, which Fabric takes over."""
    cuda = fabric.device.type == "cuda"
    try:
        dist.init_process_group(
            "nccl" if cuda else "gloo",
            store=PrefixStore("group", store),
            rank=environment.global_rank(),
            world_size=environment.world_size(),
            timeout=SILENCE,
            device_id=fabric.device if cuda else None,
        )
        fabric.launch()
    except RuntimeError as err:
        raise ConfigError(
            f"the processes met and cannot reach each other: {_first_line(err)}; name the network "
            f"between the machines, {'NCCL' if cuda else 'GLOO'}_SOCKET_IFNAME=eth0"
        ) from err


class _Others:
    """The further processes of this machine, where mien starts them: the same command again."""

    def __init__(self, environment: ClusterEnvironment, devices: int) -> None:
        self._all: list[subprocess.Popen[bytes]] = []
        self._over = threading.Event()
        if not isinstance(environment, _ByHand):
            return
        if environment.local_rank():
            starter = int(os.environ.get(_STARTER, os.getppid()))
            threading.Thread(target=_leave_with, args=(starter,), daemon=True).start()
            return
        place = {"MASTER_ADDR": environment.main_address, "MASTER_PORT": environment.main_port}
        place |= {_STARTER: os.getpid()}
        for number in range(1, devices):
            told = {name: str(value) for name, value in place.items()}
            told |= {"LOCAL_RANK": str(number)}
            words = [sys.executable, *sys.orig_argv[1:]]
            self._all.append(subprocess.Popen(words, env=os.environ | told))
        threading.Thread(target=self._watch, daemon=True).start()

    def wait(self) -> None:
        """Until they are gone, after the training; they have nothing left to do."""
        self._over.set()
        for process in self._all:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)
        self.kill()

    def kill(self) -> None:
        self._over.set()
        for process in self._all:
            process.kill()

    def gone(self) -> str:
        """How one of them ended before its time; "" while none has."""
        for number, process in enumerate(self._all, 1):
            status = process.poll()
            if status:
                how = signal.strsignal(-status) if status < 0 else f"exit status {status}"
                return f"process {number} of this machine has ended ({how})"
        return ""

    def _watch(self) -> None:
        """End this process when another one is gone and it has not noticed: a GPU waits on."""
        while not self._over.wait(1.0):
            if self.gone() and not self._over.wait(_GRACE):
                interrupt_main()
                if not self._over.wait(_GRACE):
                    log.error("mien: %s; %s", self.gone(), _AGAIN)
                    self.kill()
                    os._exit(1)


def _leave_with(starter: int) -> None:
    """End this process with the one that started it, which may be gone already."""
    while os.getppid() == starter:
        time.sleep(1.0)
    os._exit(1)


def _end(err: BaseException, others: _Others, environment: ClusterEnvironment) -> NoReturn:
    """Let nobody wait for this process, and say what ended it once on each machine."""
    gone = others.gone()
    others.kill()
    if _is_lost(err) or (gone and isinstance(err, KeyboardInterrupt)):
        err = TrainingError(
            f"{gone or 'another process of this training has ended or fallen silent'}; "
            f"what it said stands where it ran; {_AGAIN}"
        )
    if environment.local_rank() and isinstance(err, (MienError, KeyboardInterrupt)):
        raise SystemExit(1)  # the first process of this machine says it
    raise err


def _is_lost(err: BaseException) -> bool:
    """Whether an error is that of a connection to another process."""
    text = str(err)
    return isinstance(err, dist.DistError) or (isinstance(err, RuntimeError) and "gloo" in text)


def _first_line(err: Exception) -> str:
    return str(err).partition("\n")[0]


def keep_freed_memory() -> None:
    """Let glibc keep the memory of freed tensors for the next ones.

    It would give each large one back to the system, and take it anew, page by page, in every step
    of training: a third of the time of a convolution over 64 pictures of 100 pixels.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):  # musl has none
            libc.mallopt(_M_MMAP_MAX, 0)
            libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
