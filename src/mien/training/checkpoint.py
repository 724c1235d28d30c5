"""What a training run is at the end of an epoch, in one safetensors file.

The file is written beside the old one, flushed to the disk and renamed over it: a run killed at
any moment finds either the old state or the new one, never half of one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from .. import foreign, jsontext
from ..errors import ConfigError, ModelError, OutputError
from .recipes import Recipe, changes, is_same

_LONGEST = 400  # characters of what torch says
_TOLD = 4  # differences between two runs, of many


@dataclass(slots=True)
class Checkpoint:
    """Tensors by part ("net", "ema", "best", "optimizer") and whatever JSON can hold beside."""

    parts: dict[str, dict[str, Tensor]]
    state: dict[str, Any]


def write(checkpoint: Checkpoint, path: Path) -> None:
    """Replace the file at ``path`` as a whole; raises OutputError and keeps the old one."""
    flat = {
        f"{part}/{name}": tensor.detach().cpu().contiguous()
        for part, tensors in checkpoint.parts.items()
        for name, tensor in tensors.items()
    }
    content = save(flat, metadata={"state": json.dumps(checkpoint.state)})
    write_whole(content, path)


def claim(path: Path, recipe: Recipe, facts: Mapping[str, Any]) -> None:
    """Write what a folder's run is into ``path`` there; raises ConfigError as ``check`` does."""
    check(path, recipe, facts)
    content = {"recipe": dataclasses.asdict(recipe), **facts}
    write_whole((json.dumps(content, indent=2) + "\n").encode(), path)


def check(path: Path, recipe: Recipe, facts: Mapping[str, Any]) -> None:
    """Raises ConfigError where a folder's run, by what ``path`` there says of it, is another one.

    facts : what else must be the same; data, weights that it starts from.
    """
    if not path.exists():
        return
    saved = kept(path)
    theirs = saved.pop("recipe", None)
    differ = [_differs(key, then, facts.get(key)) for key, then in saved.items()]
    found = [said for said in differ if said]
    if not isinstance(theirs, dict):
        found.append("it does not say its recipe")
    elif not is_same(recipe, theirs):
        found += changes(recipe, theirs) or ["its recipe cannot be read"]
    if found:
        more = f" and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
        raise ConfigError(
            f"{path.parent} holds a run of another recipe or other data "
            f"({'; '.join(found[:_TOLD])}{more}); name another --out, or remove that folder"
        )


def _differs(key: str, then: object, now: object) -> str:
    """How one of a run's facts differs, in words; "" where it does not."""
    if then == now:
        return ""
    files = [at.get("file") if isinstance(at, dict) else None for at in (then, now)]
    if None not in files and files[0] != files[1]:
        return f"{key} was {files[0]}, now {files[1]}"
    return f"{key.removesuffix('_sha256')} has changed"


def kept(path: Path) -> dict[str, Any]:
    """What a run keeps in a JSON file of its own; raises ModelError where that is damaged."""
    try:
        return foreign.table(jsontext.parse(foreign.content(path)), "it")
    except OSError as err:
        raise ModelError(f"cannot read {path}: {err.strerror}") from err
    except ValueError as err:
        raise ModelError(f"{path} is damaged: {err}; name another folder, or remove it") from err


@contextlib.contextmanager
def fitting(path: Path) -> Iterator[None]:
    """Turns what torch raises for weights of another network, or none, into a ModelError."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as err:
        raise ModelError(f"{path} does not hold this network's weights: {brief(err)}") from err


def brief(err: Exception) -> str:
    """What an error says, without the hundreds of names that torch lists of another network."""
    says = str(err)
    return says if len(says) <= _LONGEST else f"{says[:_LONGEST]} ..."


def write_whole(content: bytes, path: Path) -> None:
    """Bytes to a file in one step, as far as the disk can."""
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as f:
            f.write(content)
            f.flush()
            os.fsync(f.fileno())
        part.replace(path)
    except OSError as err:
        with contextlib.suppress(OSError):
            part.unlink()
        raise OutputError(f"cannot write {path}: {err.strerror}; the old one is kept") from err


def read(path: Path) -> Checkpoint:
    """The checkpoint in a file; raises ModelError where it is damaged."""
    parts: dict[str, dict[str, Tensor]] = {}
    try:
        with safe_open(path, framework="pt") as f:
            state = foreign.table(jsontext.parse((f.metadata() or {})["state"]), "its state")
            for key in f.keys():  # noqa: SIM118  (not a mapping)
                part, _, name = key.partition("/")
                parts.setdefault(part, {})[name] = f.get_tensor(key)
    except (OSError, KeyError, ValueError, SafetensorError) as err:
        raise ModelError(f"{path} is not a checkpoint of mien's: {err}") from err
    return Checkpoint(parts, state)


def average(path: Path) -> dict[str, Tensor]:
    """The averaged weights that a checkpoint ends with, in single precision; raises ModelError."""
    parts = read(path).parts
    if "ema" not in parts:
        raise ModelError(f"{path} is not a checkpoint of mien's: it has no averaged weights")
    # A run that was kept for good has its matrices in half precision.
    return {k: v.float() if v.is_floating_point() else v for k, v in parts["ema"].items()}


def load_weights(net: nn.Module, path: Path) -> None:
    """Fill a network from a weights file; raises ModelError where they do not fit each other."""
    try:
        with fitting(path):
            net.load_state_dict(load_file(path))
    except (OSError, SafetensorError) as err:
        raise ModelError(f"{path} does not hold this network's weights: {err}") from err


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimizer's moments, flat: "3.momentum_buffer" -> tensor."""
    state: Mapping[int, Mapping[str, Any]] = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": torch.as_tensor(value)
        for index, values in state.items()
        for name, value in values.items()
        if value is not None
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """The inverse of ``optimizer_tensors``."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
