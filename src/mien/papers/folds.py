"""One expression against the rest, fold by fold: the experiment of autoencoder2018.

For each fold an autoencoder learns the fold's training pictures, tied first and then untied, and
for each expression a CNN learns what that autoencoder makes of them. Neither ever sees a picture
of the fold's test. All pictures stay in memory, and no network is exported: a hundred small ones
would take longer to write and read than to train.

An experiment is a folder: ``fold<n>/autoencoder/`` and ``fold<n>/<expression>/`` hold the runs and
their ``result.json``. What has one is not done again.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from .. import provenance
from ..data import against_rest
from ..data import table as tables
from ..data.against_rest import Drawn, Fold
from ..data.audit import Audit, audit
from ..data.cut import cut
from ..data.only import only
from ..data.table import Table, file_sha256
from ..evaluation.metrics import bootstrap, one_against_rest
from ..training import reconstruction_task
from ..training.against_rest_task import POSITIVE, samples, sets
from ..training.checkpoint import claim, kept, load_weights, write_whole
from ..training.launch import launched
from ..training.models.autoencoder2018 import Autoencoder
from ..training.models.network import parameters
from ..training.recipes import AgainstRestRecipe
from ..training.tasks import Sets, predict
from ..training.train import AUTOENCODER, Progress, Run, task_of, train_autoencoder
from . import given
from .plans import Experiment

QUICK = {"rows": 30, "epochs": 1}
"""What ``quick`` cuts an experiment down to: pictures of each expression, epochs; and one fold."""
_SELECT_ROWS = 1000  # of an autoencoder, to select by and to test

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.intp]


class EveryFold:
    """All folds of a recipe on one table.

    pictures : (N, 1, S, S) uint8 of the table's rows, as they came.
    """

    def __init__(
        self,
        recipe: AgainstRestRecipe,
        table: Table,
        out: Path,
        progress: Progress,
        accelerator: str,
    ) -> None:
        self.recipe, self.out, self.progress = recipe, out, progress
        self.fabric = launched(recipe, accelerator)
        self.table = table
        self.pictures = torch.from_numpy(self.table.planes(recipe.model.preprocess))
        self.audit = audit(self.table)
        self.expressions = against_rest.expressions(self.table, recipe.folds)

    def run(self) -> dict[str, Any]:
        """Each fold that is not done yet, then all results, ready for JSON."""
        autoencoders, folds = [], []
        for fold in against_rest.folds(self.table, self.recipe.folds):
            net = None
            if self.recipe.autoencoder.hidden:
                net, found = self._autoencoder(fold)
                autoencoders.append(found)
            folds += [self._expression(fold, name, net) for name in self.expressions]
        return {
            "expressions": {name: summary(folds, name) for name in self.expressions},
            "folds": [{k: v for k, v in fold.items() if k != "answers"} for fold in folds],
            "autoencoders": autoencoders,
            "described": self._described(),
        }

    def environment(self) -> dict[str, Any]:
        """Where and with what it was begun, kept in ``environment.json`` as of a training run.

        A report written once more is no other run.
        """
        path = self.out / "environment.json"
        if not path.exists():
            now = provenance.environment() | {
                "device": str(self.fabric.device),
                "precision": self.fabric.strategy.precision.precision,
                "threads": torch.get_num_threads(),
            }
            write_whole((json.dumps(now, indent=2) + "\n").encode(), path)
        return kept(path)

    def _described(self) -> dict[str, Any]:
        rows = [row.label for row in self.table.rows]
        return {
            "name": self.table.name,
            "rows": {name: rows.count(name) for name in self.expressions},
            "subjects": len({row.subject for row in self.table.rows if row.subject}) or None,
            "pictures_that_repeat": len(self.audit.groups),
            "near_pairs": len(self.audit.pairs),
        }

    def _autoencoder(self, fold: Fold) -> tuple[Autoencoder, dict[str, Any]]:
        """The fold's autoencoder, trained where it is not yet, and how well it does."""
        recipe, folder = self.recipe, self.out / f"fold{fold.number}" / AUTOENCODER
        rng = np.random.default_rng([recipe.folds.seed, fold.number])
        train = _some(fold.train, recipe.folds.autoencoder_rows, rng)
        select, test = (_some(rows, _SELECT_ROWS, rng) for rows in (fold.select, fold.test))
        net = Autoencoder(recipe.autoencoder.hidden, recipe.model.size)

        def work() -> dict[str, Any]:
            sets = reconstruction_task.sets(self.pictures[train], self.pictures[select], {})
            weights, errors = train_autoencoder(
                recipe, sets, folder, self.fabric, lambda stage: self._told(folder / stage)
            )
            load_weights(net, weights)
            return {
                "fold": fold.number,
                "hidden": recipe.autoencoder.hidden,
                "rows": len(train),
                **errors,
                "rmse_test": rmse(net, self.pictures[test], self.fabric.device),
            }

        found = _once(folder / "result.json", work)
        load_weights(net, folder / "untied" / "weights.safetensors")
        return net, found

    def _expression(self, fold: Fold, name: str, autoencoder: Autoencoder | None) -> dict[str, Any]:
        """The CNN of one expression in one fold, and its answers to the test."""
        folder = self.out / f"fold{fold.number}" / name
        settings = self.recipe.folds

        def drawn(side: str, rows: IntArray, positives: int) -> Drawn:
            rng = against_rest.generator(settings, fold.number, name, side)
            return against_rest.draw(self.table, rows, name, positives, rng)

        def work() -> dict[str, Any]:
            train = drawn("train", fold.train, settings.train_positives)
            select = drawn("select", fold.select, settings.positives)
            test = drawn("test", fold.test, settings.positives)
            sides = (samples(side, self._seen(autoencoder, side)) for side in (train, select))
            run = self._trained(sets(*sides), folder)
            # The last epoch's: the best on a select side of six pictures is mere luck.
            logits = torch.cat(
                predict(run.average, self._seen(autoencoder, test), self.fabric.device)
            )
            return {
                "expression": name,
                "fold": fold.number,
                "rows": {"train": len(train.rows), "select": len(select.rows)},
                **self._answered(train, select, test, logits.argmax(1).numpy() == POSITIVE),
            }

        return _once(folder / "result.json", work)

    def _trained(self, sets: Sets, out: Path) -> Run:
        out.mkdir(parents=True, exist_ok=True)
        run = Run(self.recipe, sets, out, self.fabric)
        run.resume()
        run.train(self._told(out))
        return run

    def _told(self, folder: Path) -> _LastEpoch:
        return _LastEpoch(self.progress, str(folder.relative_to(self.out)))

    def _seen(self, autoencoder: Autoencoder | None, drawn: Drawn) -> Tensor:
        """What the CNN gets of the drawn rows: their reconstructions, where there are any."""
        device = self.fabric.device
        pictures = self.pictures[torch.from_numpy(drawn.rows)]
        if autoencoder is None:
            return pictures
        return reconstruction_task.reconstruct(autoencoder.to(device), pictures, device)

    def _answered(
        self, train: Drawn, select: Drawn, test: Drawn, said: BoolArray
    ) -> dict[str, Any]:
        """The confusion of a test, what of it was seen in training, and how it goes without."""
        known = np.concatenate([train.rows, select.rows])
        exact, near, person = repeats(self.audit, known, test.rows)
        actual = np.arange(len(test.rows)) < test.positives
        new = ~(exact | near)
        return {
            "confusion": confusion(actual, said),
            "without_repeats": confusion(actual[new], said[new]),
            "repeats": {
                "exact": int(exact.sum()),
                "near": int(near.sum()),
                "of_people_in_training": int(person.sum()),
            },
            "by_label": by_label([self.table.rows[row].label for row in test.rows], said),
            "answers": [
                [self.table.rows[row].id, self.table.rows[row].subject, bool(a), bool(s)]
                for row, a, s in zip(test.rows, actual, said, strict=True)
            ],
        }


def run(
    experiment: Experiment,
    recipe: AgainstRestRecipe,
    data: Path,
    out: Path,
    progress: Progress,
    accelerator: str = "auto",
    quick: bool = False,
) -> dict[str, Any]:
    """All folds of a paper's experiment, in a new folder or on from where that folder stands.

    quick : see ``QUICK``. Raises ConfigError where ``out`` holds another recipe's or other data's.
    """
    identity = {
        "recipe": json.loads(json.dumps(asdict(recipe))),
        "data": {"file": data.name, "sha256": file_sha256(data)},
    }
    claim(out / "experiment.json", recipe, {"data": identity["data"], "quick": quick})
    table = _faces(recipe, data)
    if quick:
        recipe, table = _quick(recipe), _few(table)
    every = EveryFold(recipe, table, out, progress, accelerator)
    environment = every.environment()
    return {
        "name": experiment.name,
        "what": experiment.what,
        "table": "-".join((experiment.data, *recipe.only.values())),
        "taken": given.taken(recipe, data),
        "lost": table.notes.get("cut"),
        **identity,
        "parameters": parameters(task_of(recipe).network()),
        **every.run(),
        "environment": environment,
    }


def _faces(recipe: AgainstRestRecipe, data: Path) -> Table:
    """The rows that are dealt, their faces cut where the recipe says so."""
    table = against_rest.named(only(tables.read(data), recipe.only), recipe.folds)
    size, alignment = recipe.model.size, recipe.model.align
    return cut(table, recipe.cut, alignment, size) if recipe.cut else table


def _quick(recipe: AgainstRestRecipe) -> AgainstRestRecipe:
    pretrain, finetune, train = (
        replace(stage, epochs=QUICK["epochs"], batch=min(stage.batch, 16), warmup_epochs=0)
        for stage in (recipe.pretrain, recipe.finetune, recipe.train)
    )
    folds = replace(recipe.folds, run=1, train_positives=QUICK["rows"])
    return replace(recipe, folds=folds, pretrain=pretrain, finetune=finetune, train=train)


def _few(table: Table) -> Table:
    """The first pictures of each expression."""
    seen: Counter[str] = Counter()
    kept = []
    for row in table.rows:
        seen[row.label] += 1
        kept.append(seen[row.label] <= QUICK["rows"])
    return table.keep(kept)


def confusion(actual: BoolArray, said: BoolArray) -> list[list[int]]:
    """Rows are what a picture is, columns what was said: [[TP, FN], [FP, TN]]."""
    return [
        [int((actual & said).sum()), int((actual & ~said).sum())],
        [int((~actual & said).sum()), int((~actual & ~said).sum())],
    ]


def by_label(labels: Sequence[str | None], said: BoolArray) -> dict[str, list[int]]:
    """Of each label, how many pictures were tested, and for how many the answer was yes."""
    shown = np.array(labels, str)
    return {
        str(n): [int((shown == n).sum()), int(said[shown == n].sum())] for n in np.unique(shown)
    }


def _together(counts: Sequence[dict[str, list[int]]]) -> dict[str, list[int]]:
    """``by_label`` of several folds as of one."""
    found: dict[str, list[int]] = {}
    for label, (tested, said) in (item for fold in counts for item in fold.items()):
        before = found.get(label, [0, 0])
        found[label] = [before[0] + tested, before[1] + said]
    return found


def repeats(
    found: Audit, known: IntArray, test: IntArray
) -> tuple[BoolArray, BoolArray, BoolArray]:
    """Which test rows are, exactly or nearly, pictures of the known rows, or show their people."""
    seen = np.zeros(int(found.picture_of.max()) + 1, bool)
    seen[found.picture_of[known]] = True
    alike = np.zeros_like(seen)
    for here, there in (found.pairs.pictures.T, found.pairs.pictures.T[::-1]):
        np.logical_or.at(alike, here, seen[there])
    rows = found.table.rows
    people = {rows[row].subject for row in known} - {None}
    person = np.array([rows[row].subject in people for row in test], bool)
    shown = found.picture_of[test]
    return seen[shown], alike[shown] & ~seen[shown], person


def summary(folds: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """One expression over its folds: spread of the accuracies, and all answers together."""
    own = [fold for fold in folds if fold["expression"] == name]
    each = [100 * one_against_rest(np.array(fold["confusion"]))["accuracy"] for fold in own]
    answers = [answer for fold in own for answer in fold["answers"]]
    actual = np.array([answer[2] for answer in answers])
    said = np.array([answer[3] for answer in answers])
    people = [answer[1] or answer[0] for answer in answers]
    interval = bootstrap(actual.astype(np.intp), said.astype(np.intp), 2, people)
    new = np.sum([fold["without_repeats"] for fold in own], axis=0)
    pooled = confusion(actual, said)
    return {
        "folds": len(own),
        "test_rows": [int(np.sum(fold["confusion"])) for fold in own],
        "min": min(each),
        "max": max(each),
        "mean": float(np.mean(each)),
        "confusion": pooled,
        **one_against_rest(np.array(pooled)),
        "accuracy_ci95": interval["accuracy"],
        "accuracy_without_repeats": one_against_rest(new)["accuracy"],
        "by_label": _together([fold["by_label"] for fold in own]),
        "repeats": {k: sum(f["repeats"][k] for f in own) for k in own[0]["repeats"]},
    }


@torch.no_grad()
def rmse(net: nn.Module, pictures: Tensor, device: torch.device) -> float:
    """Root of the mean squared error of reconstructions, gray levels."""
    outputs = torch.cat(predict(net.to(device), pictures, device))
    return float((outputs - pictures.float()).square().mean().sqrt())


def _some(rows: IntArray, most: int, rng: np.random.Generator) -> IntArray:
    return rng.choice(rows, most, replace=False) if len(rows) > most else rows


@dataclass(frozen=True, slots=True)
class _LastEpoch:
    """Passes on every step of a run, and of its epochs the last, with the run's name."""

    progress: Progress
    run: str

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        self.progress.step(epoch, step, steps, loss)

    def epoch(self, record: dict[str, Any]) -> None:
        if record["epoch"] == record["of"] - 1:
            self.progress.epoch({"run": self.run, **record})


def _once(path: Path, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What ``work`` found, from its file where it is done already."""
    if path.exists():
        return kept(path)
    started = time.perf_counter()
    found = work() | {"seconds": round(time.perf_counter() - started, 2)}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole((json.dumps(found) + "\n").encode(), path)
    return found
