"""Training: one readable loop.

A run is a folder. ``recipe.json`` and ``environment.json`` say what was run on what,
``log.jsonl`` has a line per epoch, ``checkpoint.safetensors`` is where it stands, and
``weights.safetensors`` the weights of the best epoch on the select split. The same command in the
same folder goes on where it stopped and ends with the same weights: every epoch draws its order,
augmentation and dropout from (seed, epoch) alone.

Several processes, each with its device, share every batch; all change the whole batch alike and
take their part of it, so that their number changes nothing but the time. The first one writes.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import torch
from lightning.fabric import Fabric
from safetensors.torch import save
from torch import Generator, Tensor, nn

from .. import foreign, provenance
from ..data.table import Table, file_sha256
from ..data.table import read as read_table
from ..errors import ConfigError, OutputError, TrainingError
from ..files import held
from . import (
    against_rest_task,
    arrange,
    checkpoint,
    expression_task,
    landmark_task,
    proposal_task,
    ranks,
    reconstruction_task,
    transfer,
    units_task,
)
from .distill import Guidance, Teachers
from .launch import processes
from .recipes import (
    AgainstRestRecipe,
    ExpressionRecipe,
    LandmarkRecipe,
    ProposalRecipe,
    Recipe,
    ReconstructionRecipe,
    UnitsRecipe,
    autoencoder_stages,
    settings,
)
from .schedule import learning_rate
from .seen import seen
from .tasks import Outputs, Sets, Task, predict
from .warmstart import Start

log = logging.getLogger(__name__)
AUTOENCODER = "autoencoder"  # the folder of one that a run's network begins with


class Progress(Protocol):
    """Told of every step; what a progress bar listens to."""

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None: ...
    def epoch(self, record: dict[str, Any]) -> None:
        """An epoch is over: its line of the log, and the number of all epochs as ``of``."""


def build_optimizer(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum, or AdamW; no decay on biases and normalisation.

    Not fused: those kernels take a state read from a checkpoint, which is in another memory format
    than channels-last weights, for numbers in the weights' order.
    """
    t = recipe.train
    learnt = [p for p in net.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in learnt if p.ndim > 1], "weight_decay": t.weight_decay},
        {"params": [p for p in learnt if p.ndim <= 1], "weight_decay": 0.0},
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


class Run:
    """One training run and its folder."""

    def __init__(
        self,
        recipe: Recipe,
        sets: Sets,
        out: Path,
        fabric: Fabric,
        init: Start | None = None,
        guidance: Guidance | None = None,
    ) -> None:
        self.recipe, self.sets, self.out, self.fabric = recipe, sets, out, fabric
        self.log, self.guidance = out / "log.jsonl", guidance
        fabric.seed_everything(recipe.train.seed, verbose=False)
        self.task = task_of(recipe)
        net = self.task.network()
        if init:
            init.fill(net, recipe, sets.train.x)
        else:
            self.task.begin(net, sets.train)
        self.average = self.task.network()
        self.average.load_state_dict(net.state_dict())
        self.best = net.state_dict()
        self.parts = fabric.world_size
        if self.parts > 1:
            if recipe.train.batch % self.parts:
                raise ConfigError(
                    f"train.batch = {recipe.train.batch} is not a multiple of {self.parts} devices"
                )
            if fabric.device.type == "cuda":
                net = nn.SyncBatchNorm.convert_sync_batchnorm(net)  # type: ignore[no-untyped-call]
            ranks.over_whole_batches(net)
        # Channels last: oneDNN and cuDNN both convolve small pictures faster in that order.
        net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.net, self.optimizer = fabric.setup(net, build_optimizer(net, recipe))
        self.average.to(fabric.device)
        self.epoch = 0
        self.best_score: tuple[float, ...] = (-math.inf,)
        self.saved = -1  # the last epoch whose checkpoint is on the disk
        self.asked: Mapping[str, Tensor] = {}
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
            self.epoch += 1
            if self.fabric.is_global_zero:
                self._judge(loss, started, progress)

    def _judge(self, loss: float, started: float, progress: Progress) -> None:
        """Score the epoch that is over, and write where the run stands."""
        result = self.task.score(self.average, self.sets.select, self.fabric.device)
        if self.task.rank(result) > self.best_score:
            self.best_score = self.task.rank(result)
            self.best = {k: v.cpu().clone() for k, v in self.average.state_dict().items()}
        seconds = time.perf_counter() - started
        record = {
            "epoch": self.epoch - 1,
            "loss": loss,
            "lr": self.optimizer.param_groups[0]["lr"],
            "select": result,
            "seconds": round(seconds, 2),
            "images_per_s": round(self.steps * self.recipe.train.batch / seconds, 1),
        }
        try:
            self._save(record)
        except OutputError as err:
            raise OutputError(
                f"{err}; make room, and the same command goes on after epoch {self.saved}"
                if self.saved >= 0
                else f"{err}; make room, and give the same command again"
            ) from err
        self.saved = record["epoch"]
        progress.epoch(record | {"of": self.recipe.train.epochs})

    def _one_epoch(self, progress: Progress) -> float:
        self.net.train()
        total = 0.0
        for step, (x, y) in enumerate(self._batches()):
            done = self.epoch * self.steps + step
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(self.recipe.train, done, self.steps)
            loss = self.task.loss(_whole(self.net(x)), y)
            self.optimizer.zero_grad()
            # Of the gradients, each of its own rows, the mean over all processes is taken.
            self.fabric.backward(loss * self.parts if self.parts > 1 else loss)
            self.optimizer.step()
            if self.fabric.is_global_zero:
                decay = self.recipe.train.ema_decay
                update_average(self.average, self.net.module, decay, done + 1)
            value = loss.item()
            if not math.isfinite(value):
                raise TrainingError(
                    f"the loss is {value} at epoch {self.epoch}, step {step}; "
                    "try a lower train.lr (--set train.lr=..., another --out); "
                    "the last checkpoint is kept"
                )
            total += value
            if self.fabric.is_global_zero:
                progress.step(self.epoch, step, self.steps, total / (step + 1))
        return total / self.steps

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """This process's pictures of every batch, and the targets of all of it."""
        seed = self.recipe.train.seed * 100_003 + self.epoch
        torch.manual_seed(seed)  # dropout
        generator = Generator().manual_seed(seed)
        samples, device = self.sets.train, self.fabric.device
        draws = self.sets.draws
        if samples.chances is None:
            rounds = max(1, -(-draws // len(samples)))
            order = torch.cat(
                [torch.randperm(len(samples), generator=generator) for _ in range(rounds)]
            )
        else:
            order = torch.multinomial(samples.chances, draws, replacement=True, generator=generator)
        size = self.recipe.train.batch
        for i in range(self.steps):
            chosen = order[i * size : (i + 1) * size]
            x, y = samples.x[chosen].to(device).float(), samples.y[chosen].to(device)
            x, y = self.task.change(x, y, generator)
            x = ranks.own(x)
            if self.guidance:
                y = ranks.whole(self.guidance.blended(x, ranks.own(y)))
            yield (x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x), y

    def _save(self, record: dict[str, Any]) -> None:
        """The log line first: ``resume`` cuts off what the checkpoint does not know of."""
        try:
            with self.log.open("a", encoding="utf-8") as f:
                f.write(json.dumps(record) + "\n")
        except OSError as err:
            raise OutputError(f"cannot write {self.log}: {err.strerror}") from err
        state = {"epoch": self.epoch, "best_score": self.best_score}
        if self.asked:
            answers = {k: self._answered(x).contiguous() for k, x in self.asked.items()}
            checkpoint.write_whole(save(answers), answers_of(self.out, record["epoch"]))
        parts = {
            "net": self.net.module.state_dict(),
            "ema": self.average.state_dict(),
            "best": self.best,
            "optimizer": checkpoint.optimizer_tensors(self.optimizer),
        }
        checkpoint.write(checkpoint.Checkpoint(parts, state), self.out / "checkpoint.safetensors")
        self._keep_best()

    def _keep_best(self) -> None:
        """The best epoch's weights in a file of their own, unless they are there already."""
        path = self.out / "weights.safetensors"
        best = save({name: tensor.contiguous() for name, tensor in self.best.items()})
        if not path.exists() or path.read_bytes() != best:
            checkpoint.write_whole(best, path)

    def _answered(self, x: Tensor) -> Tensor:
        return torch.cat(predict(self.average, x, self.fabric.device))

    def resume(self) -> None:
        """Take up the folder's checkpoint, if it has one, and cut the log back to it.

        The first process reads it: on other machines there need be no such folder.
        """
        path = self.out / "checkpoint.safetensors"
        first = self.fabric.is_global_zero
        saved = checkpoint.read(path) if first and path.exists() else None
        if self.parts > 1:
            saved = self.fabric.broadcast(saved)
        if saved:
            with checkpoint.fitting(path):
                self.net.module.load_state_dict(saved.parts["net"])
                self.average.load_state_dict(saved.parts["ema"])
                self.best = saved.parts["best"]
                checkpoint.restore_optimizer(self.optimizer, saved.parts["optimizer"])
                self.epoch = foreign.whole(saved.state["epoch"], "its epoch")
                self.best_score = _ranks(saved.state["best_score"])
            self.saved = self.epoch - 1
            log.info("going on at epoch %d of %d", self.epoch, self.recipe.train.epochs)
        if not first:
            return
        # As bytes: whatever became of the lines that are cut off, or stay, the run goes on.
        lines = self.log.read_bytes().splitlines(True) if self.log.exists() else []
        checkpoint.write_whole(b"".join(lines[: self.epoch]), self.log)
        if saved:  # it may have stopped between the two files
            self._keep_best()


def _whole(outputs: Outputs) -> Outputs:
    """What a network answers to a whole batch."""
    if isinstance(outputs, tuple):
        return tuple(map(ranks.whole, outputs))
    return ranks.whole(outputs)


def _ranks(kept: object) -> tuple[float, ...]:
    """A checkpoint's best score; it was one number once."""
    values = foreign.listed(kept, "its best score") if isinstance(kept, list) else [kept]
    return tuple(foreign.number(v, "its best score") for v in values)


def answers_of(run: Path, epoch: int) -> Path:
    """Where a run keeps the answers after an epoch, counted from 0, to what it was asked."""
    return run / f"answers-{epoch}.safetensors"


_TASKS: dict[type[Recipe], Callable[[Any], Task]] = {
    ExpressionRecipe: transfer.task,
    LandmarkRecipe: landmark_task.LandmarkTask,
    ProposalRecipe: proposal_task.ProposalTask,
    ReconstructionRecipe: reconstruction_task.ReconstructionTask,
    UnitsRecipe: units_task.UnitsTask,
    AgainstRestRecipe: against_rest_task.AgainstRestTask,
}
_SAMPLES: dict[type[Recipe], Callable[[Any, Table], Sets]] = {
    LandmarkRecipe: landmark_task.prepare,
    ProposalRecipe: proposal_task.prepare,
    ReconstructionRecipe: reconstruction_task.prepare,
}


def task_of(recipe: Recipe) -> Task:
    """What a recipe trains for."""
    return _TASKS[type(recipe)](recipe)


def prepare(
    recipe: Recipe,
    table: Table,
    kept: transfer.Features | None = None,
    further: Mapping[str, Table] | None = None,
) -> Sets:
    """The samples a recipe's task trains on and selects by.

    kept : what the frozen parts of a network make of the table's pictures, where it has such.
    further : the tables of its further heads, by name.
    """
    if isinstance(recipe, ExpressionRecipe):
        if kept is None:
            return expression_task.prepare(recipe, table, further=further)
        sets = expression_task.prepare(recipe, table, kept.of)
        return dataclasses.replace(sets, facts=sets.facts | {"features": kept.facts})
    if type(recipe) not in _SAMPLES:
        raise ConfigError(
            "this recipe is many runs, one for each expression and fold: mien reproduce"
        )
    return _SAMPLES[type(recipe)](recipe, table)


def train(
    recipe: Recipe,
    data: Path,
    out: Path,
    progress: Progress,
    accelerator: str = "auto",
    init: Path | None = None,
    teachers: Sequence[Path] = (),
    devices: int = 1,
    nodes: int = 1,
    features: Path | None = None,
    asked: Mapping[str, Tensor] | None = None,
    also: Mapping[str, Path] | None = None,
) -> Path:
    """Train a recipe on a table, in a new folder or on from where that folder stands.

    init : what to start from instead of the recipe's ``model.init``: the ``weights.safetensors``
        of an earlier run of the same network, or a model file.
    teachers : folders of finished runs whose mean answer is part of the targets; see
        ``ExpressionData.teacher_weight``.
    devices, nodes : processes on each machine, and machines; see ``mien.training.launch``. This
        program is started again for every further device; all but the first process end here, with
        the training.
    features : where what frozen parts make of pictures is kept, for several runs to share;
        without, in ``out``.
    asked : pictures (N, C, S, S) uint8 by name; the logits (N, K) that the network has for them
        after every epoch stay in ``answers_of`` that epoch, under the same name.
    also : the table of each of the recipe's further heads, by name.

    Returns the weights of the best epoch on the select split, ``out/weights.safetensors``.
    Raises ConfigError where ``out`` holds a run of another recipe or other data, DataError where
    the table lacks what the recipe names, TrainingError where the loss is no longer a number, or
    another process is lost.
    """
    also = expression_task.tables_of(recipe, also or {})
    guides = Teachers(teachers) if teachers else None
    if guides is None and isinstance(recipe, ExpressionRecipe) and recipe.data.teacher_weight:
        raise ConfigError(
            f"data.teacher_weight is {recipe.data.teacher_weight:g}: say who teaches, --teacher RUN"
        )
    source = str(init) if init else recipe.model.init
    start = Start(source) if source else None
    if recipe.model.frozen and devices * nodes > 1:
        raise ConfigError("with model.frozen one device trains: leave out --devices and --nodes")
    if isinstance(recipe, UnitsRecipe) and devices * nodes > 1:
        raise ConfigError("an autoencoder trains in a minute: leave out --devices and --nodes")
    facts = _facts_of(data, start, guides, also)
    same = {"recipe": settings(recipe), **facts}
    with ExitStack() as alone, processes(recipe, accelerator, devices, nodes, same) as fabric:
        guidance = guides.of(recipe, fabric.device) if guides else None
        if fabric.is_global_zero:
            alone.enter_context(held(out, "a training"))
            checkpoint.check(out / "recipe.json", recipe, facts)
        table = arrange.read(recipe, data)
        further = {name: read_table(path) for name, path in also.items()}
        kept = None
        if isinstance(recipe, ExpressionRecipe) and recipe.keeps_features:
            folder = features or out / transfer.FOLDER
            kept = transfer.Features(recipe, table, folder, fabric.device)
        sets = prepare(recipe, table, kept, further)
        first = fabric.is_global_zero
        known = _seen(recipe, data, table, further, start, guides) if first else {}

        def begin() -> None:
            """From here on the folder is this run's; before, a mended command may take it."""
            if first:
                checkpoint.claim(out / "recipe.json", recipe, facts)
                content = _facts(fabric, nodes) | sets.facts | known
                _write_json(out / "environment.json", content)

        if isinstance(recipe, UnitsRecipe) and recipe.autoencoder.hidden and not start:
            begin()
            pictures = reconstruction_task.sets(sets.train.x, sets.select.x, {})
            weights, _ = train_autoencoder(
                recipe, pictures, out / AUTOENCODER, fabric, lambda _: progress
            )
            start = Start(str(weights))
        run = Run(recipe, sets, out, fabric, start, guidance)
        run.asked = asked or {}
        begin()
        run.resume()
        run.train(progress)
    return out / "weights.safetensors"


def train_autoencoder(
    recipe: UnitsRecipe | AgainstRestRecipe,
    sets: Sets,
    out: Path,
    fabric: Fabric,
    told: Callable[[str], Progress],
) -> tuple[Path, dict[str, float]]:
    """The autoencoder of a recipe: pre-trained tied, then fine-tuned free, each in its folder.

    told : what listens to a stage, by its name, "tied" or "untied".

    Returns its weights, and the root mean squared error of both stages on the select pictures
    (``rmse_pretrained``, ``rmse_finetuned``), gray levels. A stage that is done is not done again.
    """
    start, errors = None, []
    for name, stage in zip(("tied", "untied"), autoencoder_stages(recipe), strict=True):
        (out / name).mkdir(parents=True, exist_ok=True)
        run = Run(stage, sets, out / name, fabric, start)
        run.resume()
        run.train(told(name))
        errors.append(-run.best_score[0])
        start = Start(str(out / name / "weights.safetensors"))
    found = dict(zip(("rmse_pretrained", "rmse_finetuned"), errors, strict=True))
    return out / "untied" / "weights.safetensors", found


def _facts(fabric: Fabric, nodes: int) -> dict[str, Any]:
    return provenance.environment() | {
        "precision": fabric.strategy.precision.precision,
        "device": str(fabric.device),
        "devices": fabric.world_size,
        "nodes": nodes,
        "threads": torch.get_num_threads(),
    }


def _seen(
    recipe: Recipe,
    data: Path,
    table: Table,
    further: Mapping[str, Table],
    start: Start | None,
    teachers: Teachers | None,
) -> dict[str, Any]:
    """Whose pictures the run's model will have been made with, where it names expressions."""
    if not isinstance(recipe, ExpressionRecipe):
        return {}
    given = read_table(data) if recipe.split else table
    before = [*(start.seen if start else ()), *(teachers.seen if teachers else ())]
    return {"seen": seen(recipe, given, further, before)}


def _facts_of(
    data: Path,
    init: Start | None,
    teachers: Teachers | None,
    also: Mapping[str, Path],
) -> dict[str, Any]:
    """What beside the recipe must be the same for a folder's run to go on."""
    facts: dict[str, Any] = {
        "data": _file(data),
        "init_sha256": init.sha256 if init else None,
        "teacher_sha256": teachers.sha256 if teachers else None,
    }
    return facts | ({"also": {name: _file(path) for name, path in also.items()}} if also else {})


def _file(path: Path) -> dict[str, str | None]:
    return {"file": path.name, "sha256": file_sha256(path) if path.is_file() else None}


def _write_json(path: Path, content: object) -> None:
    checkpoint.write_whole((json.dumps(content, indent=2) + "\n").encode(), path)
