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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from lightning.fabric import Fabric
from safetensors.torch import save
from torch import Generator, Tensor, nn

from . import checkpoint, provenance
from .augment import augment
from .errors import ConfigError, DataError, TrainingError
from .face import FloatArray
from .labels import LabelSet, label_set
from .models import networks
from .recipes import Recipe
from .recognize import OnnxRecognizer, load_model, softmax
from .table import Table, file_sha256, pixel_hash
from .table import read as read_table

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Samples:
    """Pictures x (N, C, S, S) uint8 and target distributions y (N, K) float32."""

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, slots=True)
class Sets:
    """What a run trains on, what it selects its best epoch on, and how they came about."""

    train: Samples
    select: Samples
    base_rates: tuple[float, ...]
    counts: dict[str, int]


class Progress(Protocol):
    """Told of every step; what a progress bar listens to."""

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None: ...
    def epoch(self, record: dict[str, Any]) -> None: ...


def prepare(recipe: Recipe, table: Table, teacher: OnnxRecognizer | None = None) -> Sets:
    """The train and select samples of a recipe, with what was left out counted.

    Select rows are labelled by majority whatever the training target is: the best epoch is the
    one that names most faces right.
    """
    weight = recipe.data.teacher_weight
    if (weight > 0) != (teacher is not None):
        raise ConfigError(f"data.teacher_weight is {weight:g}; --teacher goes with more than 0")
    labels = label_set(recipe.data.label_set)
    train = table.of_split(recipe.data.train)
    select = table.of_split(recipe.data.select)
    counts = {"train_rows": len(train), "select_rows": len(select)}

    train = train.keep(train.targets(labels) >= 0)
    select = select.keep(select.targets(labels) >= 0)
    counts["train_without_emotion"] = counts["train_rows"] - len(train)
    counts["select_without_emotion"] = counts["select_rows"] - len(select)
    if recipe.data.drop_overlap:
        before = len(train)
        train = without_pixels_of(train, table.of_split(recipe.data.select, recipe.data.test))
        counts["train_pixels_in_other_splits"] = before - len(train)
    if not len(train) or not len(select):
        raise DataError(f"nothing left to train or select on in {table.name}: {counts}")
    counts |= {"train_used": len(train), "select_used": len(select)}

    eye = np.eye(len(labels), dtype=np.float32)
    y = eye[train.targets(labels)]
    if recipe.data.target == "votes":
        y = train.vote_shares(labels, recipe.data.min_votes)
    # Base rates are the data's own; a teacher's answers would blur them.
    base_rates = tuple(float(v) for v in y.mean(0))
    if teacher:
        y = (1 - weight) * y + weight * taught(teacher, train, labels)
    spec = recipe.model.preprocess
    return Sets(
        Samples(torch.from_numpy(train.planes(spec)), torch.from_numpy(y)),
        Samples(
            torch.from_numpy(select.planes(spec)), torch.from_numpy(eye[select.targets(labels)])
        ),
        base_rates,
        counts,
    )


def taught(teacher: OnnxRecognizer, table: Table, labels: LabelSet) -> FloatArray:
    """What a teacher says of each picture and its mirror image, the mean of both, (N, K)."""
    if teacher.info.label_set.labels != labels.labels:
        raise ConfigError(
            f"the teacher answers {teacher.info.label_set.labels}, the recipe {labels.labels}"
        )
    pictures = list(table.pictures())
    mirrored = [np.ascontiguousarray(picture[:, ::-1]) for picture in pictures]
    # Without its temperature: that was fitted to majority labels, these targets are shares.
    answers = softmax(teacher.logits(pictures)) + softmax(teacher.logits(mirrored))
    return np.asarray(answers / 2, np.float32)


def without_pixels_of(table: Table, other: Table) -> Table:
    """The rows whose exact pixels do not occur in ``other``."""
    there = {pixel_hash(p) for p in other.pictures()}
    return table.keep(pixel_hash(p) not in there for p in table.pictures())


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


def cross_entropy(logits: Tensor, shares: Tensor) -> Tensor:
    """Mean cross-entropy against target distributions; logits and shares (N, K)."""
    return -(shares * F.log_softmax(logits.float(), dim=1)).sum(dim=1).mean()


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


@torch.no_grad()
def predict(net: nn.Module, x: Tensor, device: torch.device, batch: int = 512) -> Tensor:
    """Logits (N, K) float32 on the CPU, the net in evaluation mode."""
    net.eval()
    parts = [
        net(x[i : i + batch].to(device).float()).float().cpu() for i in range(0, len(x), batch)
    ]
    return torch.cat(parts)


def score(logits: Tensor, y: Tensor) -> dict[str, float]:
    """Accuracy, balanced accuracy and mean negative log-likelihood against one-hot targets."""
    right = logits.argmax(1) == y.argmax(1)
    per_class = [right[y[:, k] == 1].float().mean() for k in range(y.shape[1]) if y[:, k].any()]
    return {
        "accuracy": right.float().mean().item(),
        "balanced_accuracy": torch.stack(per_class).mean().item(),
        "nll": cross_entropy(logits, y).item(),
    }


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
        labels, spec = label_set(recipe.data.label_set), recipe.model.preprocess
        net = networks.build(recipe.model.name, len(labels), spec.channels)
        if init:
            checkpoint.load_weights(net, init)
        self.average = networks.build(recipe.model.name, len(labels), spec.channels)
        self.average.load_state_dict(net.state_dict())
        self.best = net.state_dict()
        # Channels last: oneDNN and cuDNN both convolve small pictures faster in that order.
        net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.net, self.optimizer = fabric.setup(net, build_optimizer(net, recipe))
        self.average.to(fabric.device)
        self.epoch, self.best_score = 0, -1.0
        self.steps = len(sets.train) // recipe.train.batch
        if self.steps == 0:
            raise ConfigError(
                f"train.batch = {recipe.train.batch} is more than the {len(sets.train)} pictures"
            )

    def train(self, progress: Progress) -> None:
        """Every epoch still to do; each ends with a checkpoint and a line in the log."""
        while self.epoch < self.recipe.train.epochs:
            started = time.perf_counter()
            loss = self._one_epoch(progress)
            logits = predict(self.average, self.sets.select.x, self.fabric.device)
            result = score(logits, self.sets.select.y)
            if result["accuracy"] > self.best_score:
                self.best_score = result["accuracy"]
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
            loss = cross_entropy(self.net(x), y)
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
        order = torch.randperm(len(self.sets.train), generator=generator)
        size, device = self.recipe.train.batch, self.fabric.device
        for i in range(self.steps):
            chosen = order[i * size : (i + 1) * size]
            x = self.sets.train.x[chosen].to(device).float()
            x = augment(x, self.recipe.augment, generator)
            yield (
                x.contiguous(memory_format=torch.channels_last),
                self.sets.train.y[chosen].to(device),
            )

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
    sets = prepare(recipe, read_table(data), guide)
    device = Fabric(accelerator=accelerator, devices=1).device
    precision: Any = recipe.train.precision
    if precision == "auto":
        precision = auto_precision(device)
    fabric = Fabric(accelerator=accelerator, devices=1, precision=precision)
    _write_json(
        out / "environment.json",
        provenance.environment()
        | {"precision": precision, "device": str(device), "threads": torch.get_num_threads()}
        | {"counts": sets.counts, "base_rates": sets.base_rates},
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
