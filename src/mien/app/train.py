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
            help="A mien table (.parquet). Without a recipe a folder does, too: <label>/*.jpg.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="The folder of this run: a new one, or one that is half done.",
            callback=ready_folder,
        ),
    ],
    recipe: Annotated[
        str | None,
        typer.Argument(
            help="A recipe that comes with mien (iliev2022, ...) or a .toml file. Without one, the "
            "default model is trained further on --data and exported."
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change a setting of the recipe."),
    ] = None,
    accelerator: Annotated[
        str, typer.Option(help="Where to compute: auto, cpu, cuda or mps.")
    ] = "auto",
    init: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Begin with the weights of an earlier run (its folder, or its "
            "weights.safetensors) or of a model file (.onnx).",
        ),
    ] = None,
    teacher: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="RUN",
            help="The folder of a finished run whose answers become part of what is learnt; may be "
            "given several times.",
        ),
    ] = None,
    also: Also = None,
    devices: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="How many devices of this machine share the work."),
    ] = 1,
    nodes: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="How many machines share the work; torchrun or Slurm start the command on each.",
        ),
    ] = 1,
) -> None:
    """Train a model: from a recipe, or from a folder of your own pictures.

    If a run was cut off, the same command goes on where it stopped.
    """
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
            heads = named_tables(also or (), "--also")
            weights = run(
                what, data, out, bar, accelerator, init, teacher or (), devices, nodes, also=heads
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
