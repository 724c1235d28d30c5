r"""Whose labels are learnt, and what that is worth on faces of other people.

FER+ and FER2013 label the same pictures: by what most of ten taggers said, and by a word from a
web search. xu2019's classifier is trained on each, on exactly the same pictures, and tested on
others of these, by both labels, and on LFW and JAFFE. Cut short: 6 epochs on faces of 64 pixels,
brought to fixed places. Disgust and fear are rarer in FER+; ``without_base_rates`` has every
label's share of the training divided out.

    mien data align ferplus.parquet --align similarity --size 64 --out ferplus-64.parquet
    mien data align lfw.parquet --align similarity --size 64 --out lfw-64.parquet
    mien data align jaffe.parquet --align similarity --size 64 --out jaffe-64.parquet
    python benchmarks/labels.py ferplus-64.parquet fer2013.parquet \
        --lfw lfw-64.parquet --jaffe jaffe-64.parquet --runs runs/labels

The same command goes on where it stopped.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
import typer

from mien import provenance
from mien.app.console import TrainingBar
from mien.data import table
from mien.data.table import Table
from mien.evaluation import metrics
from mien.evaluation.evaluate import people, restrict, shared_labels
from mien.expression.logits import softmax
from mien.face import FloatArray
from mien.training import checkpoint, recipes
from mien.training.recipes import ExpressionRecipe
from mien.training.tasks import predict
from mien.training.train import task_of, train

RECIPE, TEST = "xu2019-classification", "PrivateTest"
CHANGED = ("train.epochs=6", "model.size=64", "model.align=similarity")
KEPT = ("n", "accuracy", "accuracy_ci95", "balanced_accuracy", "balanced_accuracy_ci95")
DRAWS, DRAWN = 2000, 1
Right = npt.NDArray[np.float64]


def main(
    ferplus: Path,
    fer2013: Path,
    lfw: Annotated[Path, typer.Option()],
    jaffe: Annotated[Path, typer.Option()],
    runs: Annotated[Path, typer.Option()],
    seeds: int = 2,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/labels.json"),
) -> None:
    """Train and test both ways, and write the figures as JSON."""
    recipe = recipes.read(recipes.find(RECIPE), CHANGED)
    assert isinstance(recipe, ExpressionRecipe)
    kinds = labelled(table.read(ferplus), table.read(fer2013), recipe)
    tests = {f"fer, by {name}": faces.of_split(TEST) for name, faces in kinds.items()}
    tests |= {"lfw": _asked(table.read(lfw), recipe), "jaffe": _asked(table.read(jaffe), recipe)}
    result: dict[str, Any] = {
        **provenance.environment(),
        "recipe": {"name": RECIPE, "changed": CHANGED, "seeds": seeds},
        "learnt": {name: _shares(faces, recipe) for name, faces in kinds.items()},
        "seconds_per_epoch": {},
        "tested": {name: {} for name in tests},
    }
    right: dict[str, dict[str, list[Right]]] = {name: {} for name in tests}
    for kind, faces in kinds.items():
        if not (runs / f"{kind}.parquet").is_file():
            table.write(faces, runs / f"{kind}.parquet")
    for seed, kind in product(range(1, seeds + 1), kinds):
        run = runs / f"{kind}-{seed}"
        own = replace(recipe, train=replace(recipe.train, seed=seed))
        with TrainingBar() as bar:
            train(own, runs / f"{kind}.parquet", run, bar)
        result["seconds_per_epoch"][run.name] = _seconds(run)
        for name, rows in tests.items():
            figures, hits = _tested(own, run, rows, result["learnt"][kind])
            result["tested"][name].setdefault(kind, []).append(figures)
            right[name].setdefault(kind, []).append(hits)
    result["gain"] = {name: _gain(tests[name], hits) for name, hits in right.items()}
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result["gain"], indent=2))


def labelled(ferplus: Table, fer2013: Table, recipe: ExpressionRecipe) -> dict[str, Table]:
    """The same pictures by the labels of both, where each has one that the recipe asks for."""
    asked = set(recipe.data.names.labels)
    words = {row.id: row.label for row in fer2013.rows}
    both = ferplus.keep(
        row.label in asked and words.get(row.id, "") in asked for row in ferplus.rows
    )
    by_words = [replace(row, label=words[row.id], votes=None) for row in both.rows]
    return {"ferplus": both, "fer2013": replace(both, rows=by_words, vote_labels=())}


def _asked(rows: Table, recipe: ExpressionRecipe) -> Table:
    return rows.keep(row.label in recipe.data.names.labels for row in rows.rows)


def _shares(faces: Table, recipe: ExpressionRecipe) -> dict[str, float]:
    """How common each label is among the pictures that train."""
    names = recipe.data.names
    targets = faces.of_split(recipe.data.train).targets(names)
    counts = np.bincount(targets, minlength=len(names)) / len(targets)
    return {name: round(float(v), 4) for name, v in zip(names.labels, counts, strict=True)}


def _seconds(run: Path) -> float:
    lines = (run / "log.jsonl").read_text().splitlines()
    return round(float(np.mean([json.loads(line)["seconds"] for line in lines])), 1)


def _tested(
    recipe: ExpressionRecipe, run: Path, rows: Table, learnt: dict[str, float]
) -> tuple[dict[str, Any], Right]:
    """Figures of the plain network, and which rows it names right."""
    names = recipe.data.names
    labels = shared_labels(names, rows)
    probs = softmax(_logits(recipe, run, rows))
    share = np.array([learnt[name] for name in names.labels], np.float32)
    told, even = (restrict(p, names, labels) for p in (probs, probs / share))
    targets = rows.targets(labels)
    score, level = (metrics.score(p, targets, labels, people(rows)) for p in (told, even))
    figures = {key: score[key] for key in KEPT}
    figures["recall"] = {k: round(v["recall"], 4) for k, v in score["per_class"].items()}
    figures["without_base_rates"] = {key: level[key] for key in KEPT}
    return figures, np.asarray(told.argmax(1) == targets, np.float64)


def _logits(recipe: ExpressionRecipe, run: Path, rows: Table) -> FloatArray:
    net = task_of(recipe).network()
    checkpoint.load_weights(net, run / "weights.safetensors")
    shown = torch.from_numpy(rows.planes(recipe.model.preprocess))
    return np.asarray(torch.cat(predict(net, shown, torch.device("cpu"))).numpy())


def _gain(rows: Table, right: dict[str, list[Right]]) -> dict[str, Any]:
    """Accuracy by FER2013's labels less that by FER+'s, over all seeds, on the same pictures.

    The interval is drawn over people where the pictures tell them.
    """
    by_words, by_votes = (np.mean(right[kind], axis=0) for kind in ("fer2013", "ferplus"))
    gain = by_words - by_votes
    names = people(rows) or [row.id for row in rows.rows]
    place = np.unique(names, return_inverse=True)[1]
    sums, counts = (np.bincount(place, weights=w) for w in (gain, np.ones(len(gain))))
    rng = np.random.default_rng(DRAWN)
    draws = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=DRAWS)
    means = (draws @ sums) / (draws @ counts)
    return {
        "points": round(100 * float(gain.mean()), 2),
        "points_ci95": [round(100 * float(q), 2) for q in np.quantile(means, [0.025, 0.975])],
        "people": len(sums),
    }


if __name__ == "__main__":
    typer.run(main)
