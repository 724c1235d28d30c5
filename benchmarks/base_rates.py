"""What turning to equal base rates buys and costs, by strength: the evidence for the default.

The default is chosen on FER+ PublicTest alone; PrivateTest is not looked at here.

    python benchmarks/base_rates.py ferplus.parquet jaffe.parquet
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from mien import provenance
from mien.data import table
from mien.evaluation.evaluate import evaluate
from mien.expression.baserates import BaseRates
from mien.expression.recognize import load_model
from mien.faces import detect
from mien.weights.catalogue import DEFAULT_MODEL

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
KEPT = ("accuracy", "balanced_accuracy", "balanced_accuracy_without_contempt", "macro_f1", "ece")


def main(
    ferplus: Path,
    jaffe: Path,
    model: Annotated[str, typer.Option()] = DEFAULT_MODEL,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/base_rates.json"),
) -> None:
    recognizer = load_model(model)
    rates = [BaseRates("equal", strength) for strength in STRENGTHS]
    # Select rows alone: with Training beside them the overlap audit would run for nothing.
    select = table.read(ferplus).of_split("PublicTest")
    runs = {
        "ferplus PublicTest": evaluate(recognizer, select, "PublicTest", rates),
        "jaffe": evaluate(recognizer, table.read(jaffe), None, rates, detect.build("haar")),
    }
    result: dict[str, Any] = {
        **provenance.environment(),
        "model": {"name": recognizer.info.name, "sha256": recognizer.info.sha256},
        "by_strength": {
            name: {
                f"{r['base_rates']['strength']:g}": {k: round(r[k], 4) for k in KEPT if k in r}
                for r in run["results"]
            }
            for name, run in runs.items()
        },
    }
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result["by_strength"], indent=2))


if __name__ == "__main__":
    typer.run(main)
