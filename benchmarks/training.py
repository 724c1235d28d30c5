"""Training pictures per second: mien's loop against a plain PyTorch loop around the same network.

The network is that of Iliev & Mote (2022) at 100 pixels, whose authors needed 430 s on a CPU for
an epoch of 11,475 pictures. The plain loop is the usual one: a ``Dataset`` that opens, resizes and
scales a picture whenever it is asked for it, a shuffling ``DataLoader``, float32, Adam. Both get
same pictures, and both times include loading. They take turns, each in a process of its own, since
what mien changes about memory would help the other. Beside the time there is the processor's: where
other programs run on the same cores, that alone can be compared.

    python benchmarks/training.py jaffe.parquet
"""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
import typer
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mien import provenance
from mien.data import table
from mien.data.copies import Copies, copies
from mien.data.table import Table
from mien.media.preprocess import Preprocess
from mien.training import expression_task, recipes
from mien.training.launch import launched
from mien.training.models import networks
from mien.training.recipes import ExpressionRecipe
from mien.training.train import Run

PAPER_PICTURES, PAPER_SECONDS = 11_475, 430
BATCH, ROUNDS = 64, 3

RECIPE: dict[str, Any] = {
    "data": {
        "label_set": "mien8",
        "labels": ["happiness", "sadness", "surprise", "anger", "disgust", "fear"],
        "train": "train",
        "select": "select",
        "test": "select",
        "drop_overlap": False,
    },
    "model": {"name": "iliev2022", "size": 100, "color": "rgb"},
    "augment": {"flip": False},
    "train": {
        "epochs": 1,
        "batch": BATCH,
        "optimizer": "adamw",
        "lr": 1e-3,
        "weight_decay": 0.0,
        "warmup_epochs": 0,
        "ema_decay": 0.0,
    },
}


class Pictures(Dataset[tuple[Tensor, int]]):
    """As most people write it."""

    def __init__(self, rows: Table, labels: tuple[str, ...]) -> None:
        self.files = [row.image for row in rows.rows]
        self.targets = [labels.index(row.label) for row in rows.rows]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        picture = Image.open(io.BytesIO(self.files[i])).convert("RGB").resize((100, 100))
        x = torch.from_numpy(np.asarray(picture, np.float32) / 255).permute(2, 0, 1)
        return (x - 0.5) / 0.25, self.targets[i]


def plain_loop(rows: Table, recipe: ExpressionRecipe) -> Callable[[], float]:
    """An epoch of the plain loop; returns its mean loss."""
    pictures = Pictures(rows, recipe.data.names.labels)
    workers = len(os.sched_getaffinity(0)) - 1
    loader = DataLoader(pictures, BATCH, shuffle=True, drop_last=True, num_workers=workers)
    net = networks.build("iliev2022", len(recipe.data.names), recipe.model.preprocess)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def epoch() -> float:
        net.train()
        total = 0.0
        for x, y in loader:
            loss = F.cross_entropy(net(x), y)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item()
        return total / len(loader)

    return epoch


class _Silent:
    def step(self, epoch: int, step: int, steps: int, loss: float) -> None: ...
    def epoch(self, record: dict[str, Any]) -> None: ...


def own_loop(rows: Table, recipe: ExpressionRecipe, out: Path) -> Callable[[], float]:
    """An epoch of mien's loop, scoring and checkpoint left out, as they are from the other."""
    fabric = launched(recipe, "cpu")
    run = Run(recipe, expression_task.prepare(recipe, rows), out, fabric)
    return lambda: run._one_epoch(_Silent())


def work(name: str, path: Path, to_parent: Connection) -> None:
    """A process that trains an epoch whenever it is asked to, and says how long that took."""
    precision = {"mien_float32": "32-true", "mien_auto": "auto", "plain": "32-true"}[name]
    recipe = recipes.from_values({**RECIPE, "train": {**RECIPE["train"], "precision": precision}})
    assert isinstance(recipe, ExpressionRecipe)
    rows = table.read(path)
    if name == "plain":
        epoch = plain_loop(rows.of_split("train"), recipe)
    else:
        epoch = own_loop(rows, recipe, path.parent)
    while to_parent.recv():
        started, used = time.perf_counter(), time.process_time()
        epoch()
        to_parent.send((time.perf_counter() - started, time.process_time() - used))


def prepared(jaffe: Path, pictures: int, out: Path) -> dict[str, float]:
    """Changed copies of JAFFE's six emotions in a table, and how long decoding them takes."""
    faces = table.read(jaffe)
    faces = faces.keep(row.label in RECIPE["data"]["labels"] for row in faces.rows)
    count = pictures // len(faces) + 1
    faces = copies(faces, Copies(count, rotate_deg=15, noise=20, size=100))
    faces = faces.keep(i < pictures + BATCH for i in range(len(faces)))
    started = time.perf_counter()
    faces.planes(Preprocess(100, "rgb"))
    seconds = time.perf_counter() - started
    rows = [
        replace(row, split="train" if i < pictures else "select")
        for i, row in enumerate(faces.rows)
    ]
    table.write(replace(faces, rows=rows), out)
    return {"pictures": len(faces), "pictures_per_s": round(len(faces) / seconds)}


def main(
    jaffe: Path,
    pictures: Annotated[int, typer.Option(help="In an epoch here.")] = 512,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/training.json"),
) -> None:
    names = ("mien_float32", "mien_auto", "plain")
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "faces.parquet"
        decoding = prepared(jaffe, pictures, path)
        ends = {}
        for name in names:
            ends[name], other = get_context("spawn").Pipe()
            get_context("spawn").Process(target=work, args=(name, path, other)).start()
        for turn in range(ROUNDS + 1):
            for name, end in ends.items():
                end.send(True)
                taken = end.recv()
                if turn:  # the first one warms up
                    times[name].append(taken)
        for end in ends.values():
            end.send(False)
    seen = pictures // BATCH * BATCH
    speed, per_cpu_s = (
        {name: seen / float(np.median([t[clock] for t in times[name]])) for name in names}
        for clock in (0, 1)
    )
    result = {
        **provenance.environment(),
        "threads": torch.get_num_threads(),
        "network": "iliev2022 at 100 pixels, RGB, six labels",
        "batch": BATCH,
        "pictures_per_epoch": pictures,
        "rounds": ROUNDS,
        "images_per_s": {name: round(speed[name], 1) for name in names},
        "images_per_cpu_s": {name: round(per_cpu_s[name], 1) for name in names},
        "over_plain": {name: round(speed[name] / speed["plain"], 2) for name in names[:2]},
        "over_plain_cpu": {
            name: round(per_cpu_s[name] / per_cpu_s["plain"], 2) for name in names[:2]
        },
        "epoch_of_11475_s": {
            **{name: round(PAPER_PICTURES / speed[name], 1) for name in names},
            "paper": PAPER_SECONDS,
        },
        "epoch_of_11475_cpu_s": {
            name: round(PAPER_PICTURES / per_cpu_s[name], 1) for name in names
        },
        "decoding": decoding,
    }
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    typer.run(main)
