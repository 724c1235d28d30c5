"""The default model and its peers on three data sets, by the same code: one JSON per pair.

FER+ PrivateTest as published; JAFFE's photographs cut by the Haar detector; LFW's crops as they
are. Both of the latter are wholly unseen by the default model. JAFFE's figures come for each of its
ten persons, too: the only grouping that these tables have. Peers need ``MIEN_MODELS``.

    python benchmarks/accuracy.py ferplus.parquet jaffe.parquet lfw.parquet
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mien.data import table
from mien.errors import WeightsMissing
from mien.evaluation.evaluate import evaluate
from mien.expression.baserates import BaseRates
from mien.expression.recognize import load_model
from mien.faces import detect
from mien.weights.catalogue import CATALOGUE, DEFAULT_MODEL


def main(
    ferplus: Path,
    jaffe: Path,
    lfw: Path,
    model: Annotated[str, typer.Option(help="What stands for the default model.")] = DEFAULT_MODEL,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results"),
) -> None:
    replaced = (DEFAULT_MODEL, "resnet10-ferplus")  # the latter was measured when it was shipped
    known = [spec.name for spec in CATALOGUE.values() if spec.kind == "recognizer"]
    peers = [name for name in known if name not in replaced]
    for name in (model, *peers):
        try:
            recognizer = load_model(name)
        except WeightsMissing as err:
            typer.echo(str(err), err=True)
            continue
        rates = [BaseRates("training")]
        if recognizer.info.base_rates:
            rates.append(BaseRates())
        haar = detect.build("haar")
        for result in (
            evaluate(recognizer, table.read(ferplus), "PrivateTest", rates),
            evaluate(recognizer, table.read(jaffe), None, rates, haar, by="subject"),
            evaluate(recognizer, table.read(lfw), None, rates),
        ):
            path = out / f"accuracy-{recognizer.info.name}-{result['data']['name']}.json"
            path.write_text(json.dumps(result, indent=2) + "\n")
            for entry in result["results"]:
                typer.echo(
                    f"{recognizer.info.name:18} {result['data']['name']:8} "
                    f"{entry['base_rates']['target']:9} n {entry['n']} accuracy "
                    f"{entry['accuracy']:.4f} balanced {entry['balanced_accuracy']:.4f} "
                    f"F1 {entry['macro_f1']:.4f} ECE {entry['ece']:.4f}"
                )


if __name__ == "__main__":
    typer.run(main)
