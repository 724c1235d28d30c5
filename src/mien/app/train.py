"""``mien train``: a recipe, or the default model further on a folder."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError
from .files import ready_folder
from .laboratory import prepare_training
from .options import Also, named_tables
from .terminal import say, tell

if TYPE_CHECKING:
    from collections.abc import Sequence


def train(
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            "-d",
            help="A mien table (.parquet); without a recipe also a folder, <label>/*.jpg.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="The run's folder, new or half done.", callback=ready_folder
        ),
    ],
    recipe: Annotated[
        str | None,
        typer.Argument(
            help="A recipe that comes with mien (iliev2022, ...), or a .toml file. Without one: "
            "the default model, trained further on --data and exported."
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override a setting."),
    ] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    init: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Start from an earlier run's weights.safetensors, or from an .onnx of mien's.",
        ),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="A model whose answers are part of the targets."),
    ] = None,
    also: Also = None,
    devices: Annotated[
        int, typer.Option(metavar="N", min=1, help="Devices of this machine that share a batch.")
    ] = 1,
    nodes: Annotated[
        int, typer.Option(metavar="N", min=1, help="Machines; start the command on every one.")
    ] = 1,
) -> None:
    """Train a recipe; the same command in the same folder goes on where it stopped."""
    prepare_training()
    from ..training import recipes
    from ..training.train import train as run
    from .console import TrainingBar

    if recipe is None and (teacher or also or nodes > 1):
        raise ConfigError("--teacher, --also and --nodes go with a recipe: mien train RECIPE ...")
    try:
        if recipe is None:
            _train_folder(data, out, overrides or (), accelerator, init, devices)
            return
        what = recipes.read(recipes.find(recipe), overrides or ())
        with TrainingBar() as bar:
            heads = named_tables(also or ())
            weights = run(
                what, data, out, bar, accelerator, init, teacher, devices, nodes, also=heads
            )
    except KeyboardInterrupt:
        say("stopped; the same command goes on from the last whole epoch")
        raise
    tell(weights)


def _train_folder(
    data: Path,
    out: Path,
    overrides: Sequence[str],
    accelerator: str,
    init: Path | None,
    devices: int,
) -> None:
    from ..training import finetune
    from . import console

    with console.TrainingBar() as bar:
        trained = finetune.train_folder(data, out, bar, overrides, accelerator, init, devices)
    console.trained(trained.report)
    tell(trained.model)
    say(f"use it: mien analyze --model {shlex.quote(str(trained.model))} photo.jpg")
