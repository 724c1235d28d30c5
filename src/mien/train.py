"""Training: one readable loop.

A run is a folder. ``recipe.json`` and ``environment.json`` say what was run on what,
``log.jsonl`` has a line per epoch, ``checkpoint.safetensors`` is where it stands, and
``weights.safetensors`` the weights of the best epoch on the select split. The same command in the
same folder goes on where it stopped and ends with the same weights: every epoch draws its order,
augmentation and dropout from (seed, epoch) alone.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from lightning.fabric import Fabric
from safetensors.torch import save
from torch import Generator, Tensor, nn

from . import checkpoint, expression_task, landmark_task, proposal_task, provenance, splits
from .errors import ConfigError, TrainingError
from .recipes import ExpressionRecipe, LandmarkRecipe, ProposalRecipe, Recipe
from .recognize import OnnxRecognizer, load_model
from .table import Table, file_sha256
from .tasks import Sets, Task

log = logging.getLogger(__name__)


class Progress(Protocol):
    """Told of every step; what a progress bar listens to."""

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None: ...
    def epoch(self, record: dict[str, Any]) -> None: ...


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """Linear warm-up, then half a cosine to 0 at the last step (Loshchilov & Hutter 2017)."""
    t = recipe.train
    warmup, total = t.warmup_epochs * steps_per_epoch, t.epochs * steps_per_epoch
    if step < warmup:
        return t.lr * (step + 1) / warmup
    return t.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


def build_optimizer(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum, or AdamW; no decay on biases and normalisation."""
    t = recipe.train
    groups: list[dict[str, Any]] = [
        {"params": [p for p in net.parameters() if p.ndim > 1], "weight_decay": t.weight_decay},
        {"params": [p for p in net.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if t.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=t.lr)
    return torch.optim.SGD(groups, lr=t.lr, momentum=t.momentum, nesterov=t.momentum > 0)


@torch.no_grad()
def update_average(average: nn.Module, net: nn.Module, decay: float, step: int) -> None:
    """Move the averaged weights a little towards the net's; faster in the first steps."""
    decay = min(decay, (1 + step) / (10 + step))
    current = net.state_dict()
    for name, value in average.state_dict().items():
        if value.dtype.is_floating_point:
            value.lerp_(current[name], 1 - decay)
        else:
            value.copy_(current[name])


def auto_precision(fabric_device: torch.device) -> str:
    """bfloat16 where the hardware multiplies in it, float32 elsewhere."""
    if fabric_device.type == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    return "bf16-mixed" if torch.cpu._is_avx512_bf16_supported() else "32-true"


class Run:
    """One training run and its folder."""

    def __init__(
        self, recipe: Recipe, sets: Sets, out: Path, fabric: Fabric, init: Path | None = None
    ) -> None:
        self.recipe, self.sets, self.out, self.fabric = recipe, sets, out, fabric
        self.log = out / "log.jsonl"
        fabric.seed_everything(recipe.train.seed, verbose=False)
        self.task = task_of(recipe)
        net = self.task.network()
        if init:
            checkpoint.load_weights(net, init)
        else:
            self.task.begin(net, sets.train)
        self.average = self.task.network()
        self.average.load_state_dict(net.state_dict())
        self.best = net.state_dict()
        # Channels last: oneDNN and cuDNN both convolve small pictures faster in that order.
        net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.net, self.optimizer = fabric.setup(net, build_optimizer(net, recipe))
        self.average.to(fabric.device)
        self.epoch, self.best_score = 0, -math.inf
        self.steps = sets.draws // recipe.train.batch
        if self.steps == 0:
            raise ConfigError(
                f"train.batch = {recipe.train.batch} is more than the {sets.draws} pictures"
            )

    def train(self, progress: Progress) -> None:
        """Every epoch still to do; each ends with a checkpoint and a line in the log."""
        while self.epoch < self.recipe.train.epochs:
            started = time.perf_counter()
            loss = self._one_epoch(progress)
            result = self.task.score(self.average, self.sets.select, self.fabric.device)
            if self.task.rank(result) > self.best_score:
                self.best_score = self.task.rank(result)
                self.best = {k: v.cpu().clone() for k, v in self.average.state_dict().items()}
            seconds = time.perf_counter() - started
            record = {
                "epoch": self.epoch,
                "loss": loss,
                "lr": self.optimizer.param_groups[0]["lr"],
                "select": result,
                "seconds": round(seconds, 2),
                "images_per_s": round(self.steps * self.recipe.train.batch / seconds, 1),
            }
            self.epoch += 1
            self._save(record)
            progress.epoch(record)

    def _one_epoch(self, progress: Progress) -> float:
        self.net.train()
        total = 0.0
        for step, (x, y) in enumerate(self._batches()):
            done = self.epoch * self.steps + step
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(self.recipe, done, self.steps)
            loss = self.task.loss(self.net(x), y)
            self.optimizer.zero_grad()
            self.fabric.backward(loss)
            self.optimizer.step()
            update_average(self.average, self.net.module, self.recipe.train.ema_decay, done + 1)
            value = loss.item()
            if not math.isfinite(value):
                raise TrainingError(
                    f"the loss is {value} at epoch {self.epoch}, step {step}; "
                    "try a lower train.lr (--set train.lr=...); the last checkpoint is kept"
                )
            total += value
            progress.step(self.epoch, step, self.steps, total / (step + 1))
        return total / self.steps

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        seed = self.recipe.train.seed * 100_003 + self.epoch
        torch.manual_seed(seed)  # dropout
        generator = Generator().manual_seed(seed)
        samples, device = self.sets.train, self.fabric.device
        if samples.chances is None:
            order = torch.randperm(len(samples), generator=generator)
        else:
            draws = self.sets.draws
            order = torch.multinomial(samples.chances, draws, replacement=True, generator=generator)
        size = self.recipe.train.batch
        for i in range(self.steps):
            chosen = order[i * size : (i + 1) * size]
            x, y = samples.x[chosen].to(device).float(), samples.y[chosen].to(device)
            x, y = self.task.change(x, y, generator)
            yield x.contiguous(memory_format=torch.channels_last), y

    def _save(self, record: dict[str, Any]) -> None:
        """The log line first: ``resume`` cuts off what the checkpoint does not know of."""
        with self.log.open("a", encoding="utf-8") as f:
            f.write(json.dumps(record) + "\n")
        state = {"epoch": self.epoch, "best_score": self.best_score}
        parts = {
            "net": self.net.module.state_dict(),
            "ema": self.average.state_dict(),
            "best": self.best,
            "optimizer": checkpoint.optimizer_tensors(self.optimizer),
        }
        checkpoint.write(checkpoint.Checkpoint(parts, state), self.out / "checkpoint.safetensors")
        best = {name: tensor.contiguous() for name, tensor in self.best.items()}
        checkpoint.write_whole(save(best), self.out / "weights.safetensors")

    def resume(self) -> None:
        """Take up the folder's checkpoint, if it has one, and cut the log back to it."""
        path = self.out / "checkpoint.safetensors"
        if path.exists():
            saved = checkpoint.read(path)
            self.net.module.load_state_dict(saved.parts["net"])
            self.average.load_state_dict(saved.parts["ema"])
            self.best = saved.parts["best"]
            checkpoint.restore_optimizer(self.optimizer, saved.parts["optimizer"])
            self.epoch, self.best_score = saved.state["epoch"], saved.state["best_score"]
            log.info("going on at epoch %d of %d", self.epoch, self.recipe.train.epochs)
        lines = self.log.read_text(encoding="utf-8").splitlines(True) if self.log.exists() else []
        self.log.write_text("".join(lines[: self.epoch]), encoding="utf-8")


def task_of(recipe: Recipe) -> Task:
    """What a recipe trains for."""
    if isinstance(recipe, ExpressionRecipe):
        return expression_task.ExpressionTask(recipe)
    if isinstance(recipe, LandmarkRecipe):
        return landmark_task.LandmarkTask(recipe)
    assert isinstance(recipe, ProposalRecipe)
    return proposal_task.ProposalTask(recipe)


def prepare(recipe: Recipe, table: Table, teacher: OnnxRecognizer | None) -> Sets:
    """The samples a recipe's task trains on and selects by."""
    if isinstance(recipe, ExpressionRecipe):
        return expression_task.prepare(recipe, table, teacher)
    if teacher:
        raise ConfigError("--teacher goes with expressions; landmarks are taught by: data teach")
    if isinstance(recipe, LandmarkRecipe):
        return landmark_task.prepare(recipe, table)
    assert isinstance(recipe, ProposalRecipe)
    return proposal_task.prepare(recipe, table)


def train(
    recipe: Recipe,
    data: Path,
    out: Path,
    progress: Progress,
    accelerator: str = "auto",
    init: Path | None = None,
    teacher: str | None = None,
) -> Path:
    """Train a recipe on a table, in a new folder or on from where that folder stands.

    init : the ``weights.safetensors`` of an earlier run of the same network to start from.
    teacher : a model whose answers are part of the targets; see ``Data.teacher_weight``.

    Returns the weights of the best epoch on the select split, ``out/weights.safetensors``.
    Raises ConfigError where ``out`` holds a run of another recipe or other data, DataError where
    the table lacks what the recipe names, TrainingError where the loss is no longer a number.
    """
    guide = load_model(teacher) if teacher else None
    _claim(out, recipe, data, init, guide)
    sets = prepare(recipe, splits.read(recipe, data), guide)
    device = Fabric(accelerator=accelerator, devices=1).device
    precision: Any = recipe.train.precision
    if precision == "auto":
        precision = auto_precision(device)
    fabric = Fabric(accelerator=accelerator, devices=1, precision=precision)
    _write_json(
        out / "environment.json",
        provenance.environment()
        | {"precision": precision, "device": str(device), "threads": torch.get_num_threads()}
        | sets.facts,
    )
    run = Run(recipe, sets, out, fabric, init)
    run.resume()
    run.train(progress)
    return out / "weights.safetensors"


def _claim(
    out: Path, recipe: Recipe, data: Path, init: Path | None, teacher: OnnxRecognizer | None
) -> None:
    """Write what this run is into its folder, or check that it is the same run."""
    wanted = {
        "recipe": json.loads(json.dumps(dataclasses.asdict(recipe))),
        "data": {"file": data.name, "sha256": file_sha256(data) if data.is_file() else None},
        "init_sha256": file_sha256(init) if init and init.is_file() else None,
        "teacher_sha256": teacher.info.sha256 if teacher else None,
    }
    path = out / "recipe.json"
    if path.exists():
        if json.loads(path.read_text(encoding="utf-8")) != wanted:
            raise ConfigError(
                f"{out} holds a run of another recipe or other data; name another --out, "
                "or remove that folder"
            )
        return
    out.mkdir(parents=True, exist_ok=True)
    _write_json(path, wanted)


def _write_json(path: Path, content: object) -> None:
    checkpoint.write_whole((json.dumps(content, indent=2) + "\n").encode(), path)
