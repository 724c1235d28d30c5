"""One process and two on the same training: how far their losses and weights are apart, how fast.

Every run is a whole ``mien train`` of a few epochs on a part of a table, one thread for each
process; two processes meet on loopback as two machines would. They take turns. A picture a second
is one of an epoch, its scoring included. ``changing`` is the share of a step in which every process
does all of the batch: augmentation.

    python benchmarks/nodes.py mien ferplus64.parquet -- --also fer2013=fer2013.parquet \\
        --init benchmarks/training/resnet10-64 --teacher benchmarks/training/resnet10-64
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import torch
import typer
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mien import provenance
from mien.data import table
from mien.training import recipes
from mien.training.recipes import ExpressionRecipe
from mien.training.train import task_of
from tests.servers import free_port

COUNTS = (1, 2)
PRECISIONS = ("32-true", "bf16-mixed")


def part_of(whole: Path, rows: int, out: Path) -> Path:
    """About so many rows of a table, evenly over it."""
    faces = table.read(whole)
    step = max(1, round(len(faces) / rows))
    table.write(faces.keep(i % step == 0 for i in range(len(faces))), out)
    return out


def trained(words: list[str], count: int, out: Path) -> list[dict[str, Any]]:
    """The log of a run by so many processes."""
    port = str(free_port())
    shared = {"OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, "-m", "mien", "train", *words, "--out", str(out)]
    processes = [
        subprocess.Popen(
            [*command, "--nodes", str(count)],
            env=os.environ | shared | {"NODE_RANK": str(number)},
            stdout=subprocess.DEVNULL,
        )
        for number in range(count)
    ]
    statuses = [process.wait() for process in processes]
    if any(statuses):
        raise typer.Exit(1)
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def apart(one: Path, other: Path) -> dict[str, float]:
    """How far two runs' averaged weights are from each other, and how large these are."""
    a, b = (load_file(run / "checkpoint.safetensors") for run in (one, other))
    names = [name for name, t in a.items() if name.startswith("ema/") and t.is_floating_point()]
    far = torch.cat([(a[name] - b[name]).abs().flatten() for name in names])
    size = torch.cat([a[name].flatten() for name in names])
    return {
        "largest": far.max().item(),
        "root_mean_square": far.square().mean().sqrt().item(),
        "of_root_mean_square": size.square().mean().sqrt().item(),
    }


def compared(words: list[str], rounds: int, runs: Path) -> dict[str, Any]:
    """One process and two, in turn."""
    logs: dict[int, list[list[dict[str, Any]]]] = {count: [] for count in COUNTS}
    for turn in range(rounds):
        for count in COUNTS:
            logs[count].append(trained(words, count, runs / f"{turn}-{count}"))
    one, two = (logs[count][0] for count in COUNTS)
    speed = {
        count: statistics.median(e["images_per_s"] for log in logs[count] for e in log)
        for count in COUNTS
    }
    return {
        "losses": {count: [e["loss"] for e in logs[count][0]] for count in COUNTS},
        "loss_apart": [abs(a["loss"] - b["loss"]) for a, b in zip(one, two, strict=True)],
        "select": {count: logs[count][0][-1]["select"] for count in COUNTS},
        "weights_apart": apart(runs / "0-1", runs / "0-2"),
        "one_again_is_the_same": [e["loss"] for e in logs[1][-1]] == [e["loss"] for e in one],
        "pictures_per_s": speed,
        "two_to_one": round(speed[2] / speed[1], 3),
    }


def changing(recipe: ExpressionRecipe, batches: int = 3) -> float:
    """The share of a step that goes into changing the batch's pictures, in processor time."""
    task, model = task_of(recipe), recipe.model
    net = task.network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    shape = recipe.train.batch, model.preprocess.channels, model.size, model.size
    x, generator = torch.randint(256, shape).float(), torch.Generator().manual_seed(1)
    y = torch.rand(len(x), sum(len(names) for names, _ in recipe.heads.values()))
    spent = {"change": 0.0, "step": 0.0}
    for batch in range(batches + 1):
        if batch == 1:  # the first one is slower
            spent = dict.fromkeys(spent, 0.0)
        began = time.process_time()
        changed, wanted = task.change(x, y, generator)
        between = time.process_time()
        shown = changed.contiguous(memory_format=torch.channels_last)
        task.loss(net(shown), wanted).backward()  # type: ignore[no-untyped-call]
        spent["change"] += between - began
        spent["step"] += time.process_time() - began
    return round(spent["change"] / spent["step"], 4)


def main(
    recipe: Annotated[str, typer.Argument()],
    data: Annotated[Path, typer.Argument(help="Its table.")],
    more: Annotated[list[str] | None, typer.Argument(help="What else mien train is told.")] = None,
    rows: Annotated[int, typer.Option(help="Of the table, about.")] = 2600,
    epochs: Annotated[int, typer.Option()] = 3,
    rounds: Annotated[int, typer.Option(help="How often each.")] = 3,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/nodes.json"),
) -> None:
    what = recipes.read(recipes.find(recipe))
    assert isinstance(what, ExpressionRecipe)
    result: dict[str, Any] = {**provenance.environment(), "recipe": recipe, "rows": rows}
    torch.set_num_threads(1)
    result["changing"] = changing(what)
    with TemporaryDirectory() as folder:
        part = part_of(data, rows, Path(folder) / data.name)
        words = [recipe, "--data", str(part), "--accelerator", "cpu", *(more or ())]
        words += ["--set", f"train.epochs={epochs}"]
        for precision in PRECISIONS:
            runs = Path(folder) / precision
            told = [*words, "--set", f"train.precision={precision}"]
            result[precision] = compared(told, rounds, runs)
    result["load"] = os.getloadavg()[0]
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    typer.run(main)
