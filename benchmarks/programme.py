"""What a run of the default model's programme gave: one JSON in ``benchmarks/training``.

Every head of the run that pictures were held back for is exported with its last weights and asked
a panel, alone and as the mean of all heads, with the first default model and its peers
(``MIEN_MODELS``) beside it. The table in ``benchmarks/training/README.md`` is made anew from all
the JSON there, wins and losses alike. The run itself is kept there too, without what only going on
would need and its matrices in half precision: ``mien export benchmarks/training/NAME --weights last
...`` makes its heads again.

    python benchmarks/programme.py runs/mobileface80 --data ferplus80.parquet \
        --also fer2013=fer2013.parquet --panel panel.toml --what "a body from face recognition"
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.app.options import named_tables
from mien.data import table
from mien.errors import WeightsMissing
from mien.evaluation import panel
from mien.expression.recognize import OnnxRecognizer, load_model
from mien.media.preprocess import batch
from mien.training import checkpoint, recipes
from mien.training.export import CHECKPOINT, export
from mien.weights.catalogue import CATALOGUE

RESULTS = Path(__file__).parent / "training"
LOOKS = 200
FIRST = "resnet10-ferplus"
"""The default model when the programme began: what every run is measured by."""
OURS = (FIRST, "mien", "mien-tiny")
_SETS = ("ferplus", "fer2013", "lfw", "jaffe")


def main(
    run: Path,
    data: Annotated[Path, typer.Option()],
    panel_file: Annotated[Path, typer.Option("--panel")],
    what: Annotated[str, typer.Option(help="The idea that was tried, in a line.")],
    also: Annotated[list[str] | None, typer.Option()] = None,
    peers: Annotated[bool, typer.Option(help="The peers on the same pictures, too.")] = False,
) -> None:
    heads = _exported(run, data, named_tables(also or (), "--also"))
    first = load_model(RESULTS / f"{FIRST}.onnx", threads=1)
    members = panel.read(panel_file)
    told = panel.panel(heads, members, together=len(heads) > 1)
    beside = panel.panel([first, *(_peers() if peers else ())], members)
    saved = json.loads((run / "recipe.json").read_text(encoding="utf-8"))
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    result = {
        **{key: told[key] for key in ("date", "commit", "machine", "versions", "sets")},
        "what": what,
        "run": {
            **{key: saved[key] for key in ("recipe", "data", "init_sha256", "teacher_sha256")},
            "trained": json.loads((run / "environment.json").read_text(encoding="utf-8")),
            "epochs": len(log),
            "minutes": round(sum(line["seconds"] for line in log) / 60, 1),
            "select": log[-1]["select"],
        },
        "bytes": len(heads[0].content),
        "time_of_shipped": _ratio(heads[0], first, members),
        "models": told["models"],
        "beside": beside["models"],
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{run.name}.json").write_text(json.dumps(result, indent=1) + "\n")
    _keep(run, RESULTS / run.name)
    (RESULTS / "README.md").write_text(_table())
    typer.echo(_table())


def _exported(run: Path, data: Path, also: dict[str, Path]) -> list[OnnxRecognizer]:
    recipe = recipes.from_values(json.loads((run / "recipe.json").read_text())["recipe"])
    assert isinstance(recipe, recipes.ExpressionRecipe)
    # What learnt from every picture of a set has none left to be calibrated by.
    unjudged = {head.table for head in recipe.also if head.pictures == "own" and not head.select}
    models = []
    for head in (name for name in recipe.heads if name not in unjudged):
        out = run / f"{run.name}-{head}.onnx"
        export(run, data, out, which="last", head=head, also=also)
        models.append(load_model(out, threads=1))
    return models


def _keep(run: Path, folder: Path) -> None:
    """The run's last weights and what it says of itself, small enough for the repository."""
    folder.mkdir(exist_ok=True)
    for name in ("recipe.json", "environment.json", "log.jsonl"):
        (folder / name).write_bytes((run / name).read_bytes())
    whole = checkpoint.read(run / CHECKPOINT)
    # Offsets and statistics are few, and half precision would round some of them away.
    last = {k: v.half() if v.ndim > 1 else v for k, v in whole.parts["ema"].items()}
    parts = {"ema": {k: v.contiguous() for k, v in last.items()}}
    checkpoint.write(checkpoint.Checkpoint(parts, whole.state), folder / CHECKPOINT)


def _peers() -> list[OnnxRecognizer]:
    names = [s.name for s in CATALOGUE.values() if s.kind == "recognizer"]
    found = []
    for name in names:
        if name not in OURS:
            try:
                found.append(load_model(name, threads=1))
            except WeightsMissing as err:
                typer.echo(str(err), err=True)
    return found


def _ratio(one: OnnxRecognizer, other: OnnxRecognizer, members: list[panel.Member]) -> float:
    """The processor time of one look over that with another model: medians of turns taken by both."""
    rows = members[0].rows
    faces = list(table.Table(rows.name, rows.rows[:LOOKS]).pictures())
    ready = [[batch([face], model.info.preprocess) for face in faces] for model in (one, other)]
    seconds: list[list[float]] = [[], []]
    for pair in zip(*ready, strict=True):
        for model, x, into in zip((one, other), pair, seconds, strict=True):
            started = time.process_time()
            model.answer(x)
            into.append(time.process_time() - started)
    medians = [statistics.median(times) for times in seconds]
    return round(medians[0] / medians[1], 3)


def _table() -> str:
    """All that was tried, as Markdown: accuracy / balanced accuracy of the seven, in per cent."""
    runs = {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}
    lines = [
        "# The default model's programme: what was tried, and what it gave",
        "",
        "Made by `benchmarks/programme.py` from the JSON beside it; how to repeat a run stands in the",
        "recipe of its name. Accuracy / balanced accuracy over the seven expressions, in per cent:",
        "FER+ and FER2013 are their PublicTest sides (chosen by), LFW and JAFFE were never seen but",
        "where a star says that the run was trained on them.",
        "By default mien goes three quarters of the way to equal base rates; 0 leaves the rates.",
        "",
        "| run | head | FER+ at 0 | FER2013 at 0 | LFW by default | JAFFE by default | unseen, balanced: by default, wholly | minutes | MB | time of the first default |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, run in runs.items():
        for model in run["models"]:
            head = model["name"].removeprefix(f"{name}-")
            lines.append(_row(name, head, model, run))
    lines += [f"| **beside** {' |' * 9}"]
    if runs:
        newest = max(runs.values(), key=lambda run: run["date"])
        lines += [_row("beside", model["name"], model, None) for model in newest["beside"]]
    lines += ["", *(f"- **{name}**: {run['what']}." for name, run in runs.items())]
    return "\n".join(lines) + "\n"


def _row(name: str, head: str, model: dict[str, Any], run: dict[str, Any] | None) -> str:
    cells = []
    for one in _SETS:
        by_strength = model["sets"][one]["by_strength"]
        figures = by_strength["0"] if one.startswith("fer") else panel.by_default(by_strength)
        star = "*" if model["sets"][one]["role"] == "trained on" else ""
        cells.append(f"{figures['accuracy']:.1%} / {figures['balanced_accuracy']:.1%}{star}")
    unseen = model["unseen"] or {}
    told = [unseen[strength] for strength in ("0.75", "1") if strength in unseen]
    cells.append(", ".join(f"{v:.1%}" for v in told or unseen.values()) or "-")
    cost = ["", "", ""]
    if run:
        cost = [
            f"{run['run']['minutes']:.0f}",
            f"{run['bytes'] / 1e6:.2f}",
            f"{run['time_of_shipped']:.2f}",
        ]
    return "| " + " | ".join([name, head, *(c.replace("%", "") for c in cells), *cost]) + " |"


if __name__ == "__main__":
    typer.run(main)
