"""All of a paper's experiments, one after another, each in a folder of its own, and one report.

An experiment is arranged, audited, trained, exported and tested. What the test says is the plain
network's answer, through ONNX Runtime: one look at each picture, no calibration, no base rates, as
the papers did it. Where its split has folds, each is an experiment of its own, and their answers
are pooled; likewise where it is repeated with other seeds. Where a trunk is frozen, only the first
one is exported: what that trunk makes of a picture is computed once for all of them, and they are
tested by it; likewise the first training where runs are tested step by step, see
``mien.training.stepwise``. A finished one is not done again: its ``result.json`` is there.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import load_file

from ..data import splits
from ..data import table as tables
from ..data.audit import audit
from ..data.only import only
from ..data.table import Table, file_sha256
from ..errors import ConfigError, DataError, MienError, UnknownName
from ..evaluation import attention, metrics, runlog
from ..evaluation.evaluate import shared_labels
from ..expression.logits import sigmoid, softmax
from ..expression.recognize import OnnxRecognizer, load_model
from ..face import FloatArray
from ..faces import align
from ..labels import LabelSet, subset
from ..training import arrange, checkpoint, stepwise, transfer
from ..training.checkpoint import write_whole
from ..training.export import export
from ..training.models.network import build, parameters
from ..training.recipes import AgainstRestRecipe, ExpressionRecipe, UnitsRecipe, is_same
from ..training.tasks import predict
from ..training.train import Progress, task_of, train
from . import fold_report, folds, given, networks, report
from .plans import Attention, Experiment, Reproduction

QUICK = {"epochs": 2, "copies": 3, "rows": 180, "folds": 3, "repeats": 2, "batch": 32, "samples": 4}
"""What ``quick`` cuts a paper's experiments down to; of the folds, only the first is done."""
_TRAIN_ROWS = 2000  # of the training split, for the accuracy on what was trained on
_CHUNK = 512
RESULT, ANSWERS, MODEL = "result.json", "answers.json", "model.onnx"  # in an experiment's folder
Answerer = Callable[[Table], FloatArray]


class Listener(Progress, Protocol):
    """Told of every step, and of what is being done."""

    def say(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Job:
    """One training of an experiment: all of it, or one of its folds or repeats.

    features : where those of a frozen trunk are kept, for all experiments.
    init : the model file whose weights it begins with, if any.
    elsewhere : further tables to test on, by name.
    repeat, person : which one of several this is, counted from 0.
    """

    run: Experiment
    recipe: ExpressionRecipe
    data: Path
    folder: Path
    features: Path
    repeat: int = 0
    init: Path | None = None
    elsewhere: Mapping[str, Path] = field(default_factory=dict)
    person: int = 0

    @property
    def exported(self) -> bool:
        """Whether there is to be a model file."""
        recipe = self.recipe
        fold = recipe.split.fold if recipe.split and recipe.split.folds else 0
        by_steps = recipe.train.epoch_steps and (self.person or fold or self.repeat)
        return not (by_steps or (recipe.model.frozen and self.repeat))


def reproduce(
    plan: Reproduction,
    data: Mapping[str, Path],
    out: Path,
    progress: Listener,
    quick: bool = False,
    accelerator: str = "auto",
    only: Sequence[str] = (),
) -> dict[str, str]:
    """Do what is not done yet of a paper's experiments, and write the report into ``out``.

    data : the tables that the experiments name.
    quick : a cut of minutes, see ``QUICK``, to see that everything works; its figures mean nothing.
    only : the runs to do, by name; none for all of them. What is known of the others is what the
        report in ``out`` says of them.

    Their networks lie in ``out/models`` then, see ``networks.leave``.

    Returns why experiments failed, by their name; the report has the others. Raises ConfigError
    and DataError before anything is done where a table is not given, or not what it should be; the
    paper's own runs are left out where theirs are not given, see ``given.check``.
    """
    whole, plan = plan, _chosen(plan, only)
    data = _of_chosen(plan, whole, data)
    left_out = given.check(plan, data)
    for name, lacking in left_out.items():
        progress.say(f"{name} is left out: no table of {', '.join(lacking)} is given")
    known = reported(whole, out) if only and not quick else {}
    results, failures, done = [], {}, {}
    wanted = [
        pair for pair in zip(plan.runs, plan.recipes, strict=True) if pair[0].name not in left_out
    ]
    for number, (run, recipe) in enumerate(wanted, 1):
        progress.say(f"{number} of {len(wanted)}, {run.name}: {run.what}")
        folder = out / "runs" / run.name
        try:
            table = given.table_of(run, data, out)
            if isinstance(recipe, AgainstRestRecipe):
                results.append(folds.run(run, recipe, table, folder, progress, accelerator, quick))
                continue
            if quick:
                recipe, table = _quick(recipe), _few_rows(run, recipe, table, out)
                run = replace(run, repeats=min(run.repeats, QUICK["repeats"]))
            job = Job(
                run,
                recipe,
                table,
                folder,
                out / transfer.FOLDER,
                init=_model_of(run.init, out) if run.init else None,
                elsewhere={name: data[name] for name in run.elsewhere},
            )
            results.append(_experiment(job, out, progress, accelerator, quick))
            done[run.name] = next(_repeats(next(_folds(job))))
        except (MienError, RuntimeError, OSError) as err:  # torch's are RuntimeErrors
            failures[run.name] = str(err)
            progress.say(f"{run.name} failed: {err}")
    for number, maps in enumerate(plan.attention, 1):
        if all(run in done for run in maps.runs):
            progress.say(f"{maps.title}: {maps.samples} faces of each expression")
            try:
                _attention(maps, number, [done[run] for run in maps.runs], out, quick)
            except (MienError, RuntimeError, OSError) as err:
                failures[maps.title] = str(err)
                progress.say(f"{maps.title} failed: {err}")
    left = networks.leave(plan.name, results, MODEL, out, quick)
    if left:
        progress.say(f"{len(left)} networks lie in {left[0].parent}; put it on MIEN_MODELS")
    known |= {result["name"]: result for result in results}
    write_report(whole, known, failures, out, quick, left_out)
    return failures


def _of_chosen(
    plan: Reproduction, whole: Reproduction, data: Mapping[str, Path]
) -> dict[str, Path]:
    """The tables given, but for those that only other runs than a plan's take."""
    wanted, known = ({name for run in of.runs for name in run.tables} for of in (plan, whole))
    return {name: path for name, path in data.items() if name in wanted or name not in known}


def _chosen(plan: Reproduction, only: Sequence[str]) -> Reproduction:
    """The same with these runs only, all of them where none is named; raises UnknownName."""
    names = [run.name for run in plan.runs]
    for name in only:
        if name not in names:
            raise UnknownName("run", name, names)
    chosen = [i for i, name in enumerate(names) if name in only or not only]
    return replace(
        plan,
        runs=tuple(plan.runs[i] for i in chosen),
        recipes=tuple(plan.recipes[i] for i in chosen),
    )


def reported(plan: Reproduction, out: Path) -> dict[str, dict[str, Any]]:
    """What the report in a folder has of a plan's runs, by name; empty where there is none.

    Raises ConfigError where that was a quick look.
    """
    if not (out / report.JSON).exists():
        return {}
    content = _read_json(out / report.JSON)
    if content["quick"]:
        raise ConfigError(f"{out} holds a quick look, whose figures mean nothing; name another")
    named = {result["name"]: result for result in content["runs"]}
    return {
        run.name: {**named[run.name], "what": run.what} for run in plan.runs if run.name in named
    }


def rewrite(plan: Reproduction, out: Path) -> None:
    """The report in a folder once more, from its figures and in its recipe's words of today.

    Nothing is trained. Raises DataError where there is no report.
    """
    known = reported(plan, out)
    if not known:
        raise DataError(f"{out} holds no report of {plan.name} to write anew")
    write_report(plan, known, {}, out)


def write_report(
    plan: Reproduction,
    known: Mapping[str, dict[str, Any]],
    failures: Mapping[str, str],
    out: Path,
    quick: bool = False,
    left_out: report.LeftOut = report.NOTHING,
) -> None:
    """The report of what is known of a plan's runs, by their names.

    left_out : the tables that the paper's own runs lack; all of theirs where it does not say.
    """
    results = [known[run.name] for run in plan.runs if run.name in known]
    told = {*known, *failures, *left_out}
    own = {run.name: run.tables for run in plan.runs if run.own and run.name not in told}
    left_out = {**left_out, **own}
    if any(isinstance(recipe, AgainstRestRecipe) for recipe in plan.recipes):
        fold_report.write(plan, results, failures, out, folds.QUICK if quick else None, left_out)
    else:
        report.write(plan, results, failures, out, QUICK if quick else None, left_out)


def _attention(wanted: Attention, number: int, jobs: Sequence[Job], out: Path, quick: bool) -> None:
    """Mean maps of the networks of some runs, as a figure and as JSON, unless that is done."""
    models = [load_model(str(job.folder / MODEL)) for job in jobs]
    path = out / report.attention_file(number)
    if path.exists():
        before = list(_read_json(path)["models"].values())
        if before == [model.info.sha256 for model in models]:
            return
    columns = [
        attention.Trained(_hidden(job.recipe), model, _tested_rows(job.recipe, job.data))
        for job, model in zip(jobs, models, strict=True)
    ]
    plain = _tested_rows(replace(jobs[0].recipe, occlude=None), jobs[0].data)
    samples = min(wanted.samples, QUICK["samples"]) if quick else wanted.samples
    found = attention.of_each(columns, plain, samples)
    figure = out / report.attention_figure(number)
    figure.parent.mkdir(parents=True, exist_ok=True)
    write_whole(attention.figure(found), figure)
    _write_json(path, found.as_dict())


def _hidden(recipe: ExpressionRecipe) -> str:
    return recipe.occlude.what if recipe.occlude else "none"


def _tested_rows(recipe: ExpressionRecipe, data: Path) -> Table:
    table = _labelled(arrange.read(recipe, data), recipe.data.names)
    return table.of_split(recipe.data.test)


def _model_of(run: str, out: Path) -> Path:
    """The model file of an earlier run; raises DataError where it has none."""
    path = out / "runs" / run / MODEL
    if not path.is_file():
        raise DataError(f"it begins with the weights of '{run}', which failed")
    return path


def _few_rows(run: Experiment, recipe: ExpressionRecipe, path: Path, out: Path) -> Path:
    """A table of evenly chosen rows of every split, for a quick look.

    All of it where people are looked for who have many.
    """
    if run.people or (recipe.split and recipe.split.hold_out):
        return path
    table = only(tables.read(path), recipe.only)
    keep: set[str] = set()
    for split in table.splits:
        rows = sorted((row for row in table.rows if row.split == split), key=lambda r: r.label)
        share = max(1, round(QUICK["rows"] * len(rows) / len(table)), min(60, len(rows)))
        places = np.linspace(0, len(rows) - 1, min(share, len(rows))).astype(int)
        keep |= {rows[place].id for place in places}
    few = out / f"quick-{f'{run.name}-' if recipe.only else ''}{path.name}"
    if not few.exists():
        tables.write(table.keep(row.id in keep for row in table.rows), few)
    return few


def _quick(recipe: ExpressionRecipe) -> ExpressionRecipe:
    epochs = min(recipe.train.epochs, QUICK["epochs"])
    batch = min(recipe.train.batch, QUICK["batch"])
    warmup = min(recipe.train.warmup_epochs, epochs - 1)
    recipe = replace(
        recipe, train=replace(recipe.train, epochs=epochs, batch=batch, warmup_epochs=warmup)
    )
    if isinstance(recipe, UnitsRecipe):
        recipe = replace(
            recipe,
            pretrain=replace(recipe.pretrain, epochs=1, batch=batch),
            finetune=replace(recipe.finetune, epochs=1, batch=batch),
        )
    if recipe.copies:
        count = min(recipe.copies.count, QUICK["copies"])
        recipe = replace(recipe, copies=replace(recipe.copies, count=count))
    if recipe.split and recipe.split.folds:
        folds = min(recipe.split.folds, QUICK["folds"])
        recipe = replace(recipe, split=replace(recipe.split, folds=folds))
    if recipe.split and recipe.split.each:
        recipe = replace(recipe, split=replace(recipe.split, each=()))
    return recipe


def _experiment(
    job: Job, out: Path, progress: Listener, accelerator: str, quick: bool
) -> dict[str, Any]:
    """An experiment's trainings (``parts``), and what its test says of all of them together."""
    folds = [fold for person in _people(job) for fold in _folds(person)]
    jobs = [again for fold in folds[: 1 if quick else None] for again in _repeats(fold)]
    parts = [
        {"folder": str(part.folder.relative_to(out)), **_one(part, progress, accelerator)}
        for part in jobs
    ]
    own = [_read_json(part.folder / ANSWERS) for part in jobs]
    return {
        "name": job.run.name,
        "what": job.run.what,
        "table": " + ".join((job.run.data, *job.run.join)),
        "taken": given.taken(job.recipe, job.data),
        "folds": job.recipe.split.folds if job.recipe.split else 0,
        "people": len({part.person for part in jobs}) if job.run.people else 0,
        "repeats": job.run.repeats,
        **_together([part["test"] for part in parts], own),
        "train": {"accuracy": float(np.mean([part["train"]["accuracy"] for part in parts]))},
        "seconds_per_epoch": float(np.mean([part["seconds_per_epoch"] for part in parts])),
        "images_per_s": float(np.mean([part["images_per_s"] for part in parts])),
        "paper_epoch_s": _paper_epoch(job.recipe, parts),
        "elsewhere": {
            name: {
                **_together(
                    [part["elsewhere"][name]["test"] for part in parts],
                    [_read_json(_answers_elsewhere(part, name)) for part in jobs],
                ),
                "lost": parts[0]["elsewhere"][name]["lost"],
            }
            for name in job.elsewhere
        },
        "parts": parts,
    }


def _together(
    scores: Sequence[dict[str, Any]], answers: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """What several trainings' tests on one table come to: ``scores`` each, of ``answers``."""
    return {
        "test": scores[0] if len(scores) == 1 else _pooled(answers),
        "over_folds": _over_folds(scores),
        "steps": _steps(answers),
    }


def _steps(answers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of runs tested step by step, the figures after each; empty for others."""
    found = {step: _pooled(stepwise.at_step(answers, step)) for step in answers[0].get("steps", ())}
    return {
        step: {k: v for k, v in score.items() if k not in ("reliability", "confusion")}
        for step, score in found.items()
    }


def _people(job: Job) -> Iterator[Job]:
    """The same for each person alone, where the run says so."""
    if not job.run.people:
        yield job
        return
    recipe = job.recipe
    table = arrange.read(replace(recipe, split=None), job.data)
    known = splits.well_known(table, recipe.data.names, job.run.people)
    for i, name in enumerate(known):
        own = replace(recipe, data=replace(recipe.data, subject=name))
        yield replace(job, recipe=own, folder=job.folder / f"person{i}", person=i)


def _folds(job: Job) -> Iterator[Job]:
    split = job.recipe.split
    if split is None or not split.folds:
        yield job
        return
    for fold in range(split.folds):
        recipe = replace(job.recipe, split=replace(split, fold=fold))
        yield replace(job, recipe=recipe, folder=job.folder / f"fold{fold}")


def _repeats(job: Job) -> Iterator[Job]:
    """The same with the next seeds; what is occluded, and how, stays."""
    if job.run.repeats == 1:
        yield job
        return
    recipe = job.recipe
    for i in range(job.run.repeats):
        again = replace(recipe, train=replace(recipe.train, seed=recipe.train.seed + i))
        if recipe.split:
            again = replace(again, split=replace(recipe.split, seed=recipe.split.seed + i))
        yield replace(
            job, recipe=again, folder=job.folder / f"seed{recipe.train.seed + i}", repeat=i
        )


def _one(job: Job, progress: Listener, accelerator: str) -> dict[str, Any]:
    """Train, export and test, unless that is done."""
    identity = {
        "recipe": json.loads(json.dumps(dataclasses.asdict(job.recipe))),
        "data": {"file": job.data.name, "sha256": file_sha256(job.data)},
    }
    path = job.folder / RESULT
    if path.exists():
        result: dict[str, Any] = _read_json(path)
        tested = all(_answers_elsewhere(job, name).is_file() for name in job.elsewhere)
        same = is_same(job.recipe, result["recipe"]) and result["data"] == identity["data"]
        if same and tested:
            progress.say(f"{job.folder} is done already")
            return {**result, **identity}
    table = _labelled(arrange.read(job.recipe, job.data), job.recipe.data.names)
    there = {name: _there(job.recipe, file) for name, file in job.elsewhere.items()}
    asked = None
    if job.recipe.train.epoch_steps:
        own = {stepwise.OWN: table.of_split(job.recipe.data.test)}
        asked = stepwise.planes(job.recipe, {**own, **there})
    train(
        job.recipe,
        job.data,
        job.folder,
        progress,
        accelerator,
        init=job.init,
        features=job.features,
        asked=asked,
    )
    if job.exported:
        export(job.folder, job.data, job.folder / MODEL, features=job.features)
    plain = arrange.read(replace(job.recipe, occlude=None), job.data)
    result = {
        **identity,
        "fold": job.recipe.split.fold if job.recipe.split and job.recipe.split.folds else None,
        "seed": job.recipe.train.seed,
        "network": _network(job),
        "sides": _sides(job.recipe, table),
        "lost": _lost(table),
        # Of the first repeat only: what another shuffle leaves on both sides is much the same.
        "audit": None
        if job.repeat
        else audited(job.recipe, _labelled(plain, job.recipe.data.names)),
        **_learning(job.folder),
        **_tested(job, table),
        "elsewhere": {name: _elsewhere(job, name, other) for name, other in there.items()},
        "environment": _read_json(job.folder / "environment.json"),
    }
    _write_json(path, result)
    return result


def _network(job: Job) -> dict[str, Any]:
    model, file = job.recipe.model, job.folder / MODEL
    trained = parameters(task_of(job.recipe).network())
    return {
        "name": model.name,
        "size": model.size,
        "color": model.color,
        "parameters": parameters(build(model, len(job.recipe.data.names)))
        if model.frozen
        else trained,
        "trained": trained,
        "bytes": file.stat().st_size if job.exported else None,
        **_pixels(job.folder),
        "sha256": file_sha256(file) if job.exported else None,
    }


def _pixels(run: Path) -> dict[str, list[float]]:
    """Mean and deviation per channel of the pixels trained on, in gray levels, if it has them."""
    weights = load_file(run / "weights.safetensors")
    there = [name for name in ("mean", "std") if name in weights]
    return {name: [round(v, 2) for v in weights[name].flatten().tolist()] for name in there}


def _sides(recipe: ExpressionRecipe, table: Table) -> dict[str, int]:
    data = recipe.data
    return {
        side: sum(row.split == split for row in table.rows)
        for side, split in zip(splits.SIDES, (data.train, data.select, data.test), strict=True)
    }


def _lost(table: Table) -> dict[str, Any] | None:
    """How many pictures of each label went into the cutting, and how many came out."""
    found: dict[str, Any] | None = table.notes.get("cut")
    return found


def _learning(run: Path) -> dict[str, Any]:
    """The epochs of a run's log, and how long one takes."""
    epochs = runlog.epochs(run / "log.jsonl")
    return {
        "epochs": epochs,
        "seconds_per_epoch": float(np.mean([epoch["seconds"] for epoch in epochs])),
        "images_per_s": float(np.mean([epoch["images_per_s"] for epoch in epochs])),
    }


def _tested(job: Job, table: Table) -> dict[str, Any]:
    """Figures on the test side, kept row by row too, and the accuracy on what was trained on."""
    labels = job.recipe.data.names
    answered = _answerer(job, table)
    test = table.of_split(job.recipe.data.test)
    seen = table.of_split(job.recipe.data.train)
    step = -(-len(seen) // _TRAIN_ROWS)
    seen = seen.keep(i % step == 0 for i in range(len(seen)))
    right = answered(seen).argmax(1) == seen.targets(labels)
    answers = _said(job, stepwise.OWN, test, labels, answered)
    _write_json(job.folder / ANSWERS, answers)
    return {
        "test": _pooled([answers]),
        "train": {"n": len(seen), "accuracy": float(right.mean())},
    }


def _said(
    job: Job, asked: str, table: Table, labels: LabelSet, answered: Answerer
) -> dict[str, Any]:
    """What a finished training says of some rows, over some of its labels.

    asked : what these rows are called where it answered after every epoch.
    """
    recipe = job.recipe
    if recipe.train.epoch_steps:
        best = stepwise.best_epoch(_learning(job.folder)["epochs"])
        return stepwise.answers(recipe, job.folder, asked, table, labels, best)
    places = [recipe.data.names.index(label) for label in labels.labels]
    graded = recipe.answers == "intensities"
    return _answers(table, labels, answered(table)[:, places], graded)


def _answers(table: Table, labels: LabelSet, logits: FloatArray, graded: bool) -> dict[str, Any]:
    """What the network said of each row, and what people did.

    graded : its answers are intensities; else its probabilities are taken for such, to see how far
        they are from what people said.
    """
    found = {
        "labels": list(labels.labels),
        "ids": [row.id for row in table.rows],
        "subjects": [row.subject for row in table.rows],
        "targets": table.targets(labels).tolist(),
        "probs": _rounded(softmax(logits)),
    }
    rated = table.graded(labels)
    if rated:
        some = subset(rated)
        strengths = sigmoid(logits) if graded else softmax(logits)
        places = [labels.index(label) for label in rated]
        found["rated_labels"] = list(rated)
        found["rated"] = _rounded(table.strengths(some))
        found["intensities"] = _rounded(strengths[:, places])
    return found


def _rounded(values: FloatArray) -> list[list[float]]:
    rows: list[list[float]] = np.round(values.astype(np.float64), 6).tolist()
    return rows


def _there(recipe: ExpressionRecipe, path: Path) -> Table:
    """A table that nothing was trained on, as the recipe's networks see it; raises ConfigError."""
    table = stepwise.everything(recipe, path)
    cut = table.notes.get("align", align.DEFAULT)
    if cut != recipe.model.align:
        raise ConfigError(
            f"the faces of {path} are cut by '{cut}', and this run's by '{recipe.model.align}'"
        )
    return table


def _elsewhere(job: Job, name: str, table: Table) -> dict[str, Any]:
    """Figures on such a table, over the labels both know; the answers are kept row by row too."""
    labels = shared_labels(job.recipe.data.names, table)
    answers = _said(job, name, table, labels, _answerer(job, table))
    _write_json(_answers_elsewhere(job, name), answers)
    return {"test": _pooled([answers]), "lost": _lost(table)}


def _answers_elsewhere(job: Job, name: str) -> Path:
    return job.folder / f"elsewhere-{name}.json"


def _answerer(job: Job, table: Table) -> Answerer:
    """What gives the network's own answers (N, K) for rows of the table."""
    if job.recipe.train.epoch_steps:
        net = task_of(job.recipe).network()
        checkpoint.load_weights(net, job.folder / "weights.safetensors")
        spec, cpu = job.recipe.model.preprocess, torch.device("cpu")
        return lambda rows: np.asarray(
            torch.cat(predict(net, torch.from_numpy(rows.planes(spec)), cpu)).numpy()
        )
    if not job.recipe.model.frozen:
        recognizer = load_model(str(job.folder / MODEL))
        assert isinstance(recognizer, OnnxRecognizer)
        return lambda rows: _logits(recognizer, rows)
    last = task_of(job.recipe).network()
    checkpoint.load_weights(last, job.folder / "weights.safetensors")
    kept = transfer.Features(job.recipe, table, job.features, torch.device("cpu"))
    return lambda rows: transfer.logits(last, kept.of(rows))[0]


def _labelled(table: Table, labels: LabelSet) -> Table:
    """The rows whose label the experiment asks for."""
    return table.keep(table.targets(labels) >= 0)


def _logits(recognizer: OnnxRecognizer, table: Table) -> FloatArray:
    """The network's own answers (N, K), some hundred pictures in memory at a time."""
    pictures = table.pictures()
    parts = []
    while chunk := list(itertools.islice(pictures, _CHUNK)):
        parts.append(recognizer.logits(chunk))
    return np.concatenate(parts)


def _pooled(answers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Figures of the answers of all folds, or repeats, together."""

    def joined(key: str) -> list[Any]:
        return [value for part in answers for value in part[key]]

    labels = subset(answers[0]["labels"])
    people = [name or row for name, row in zip(joined("subjects"), joined("ids"), strict=True)]
    # An unknown person stands alone; a picture that several repeats tested is one picture.
    known = len(set(people)) < len(people)
    probs, targets = np.array(joined("probs"), np.float32), np.array(joined("targets"), np.intp)
    score = metrics.score(probs, targets, labels, people if known else None)
    if known and len(set(people)) == 1:  # drawn again and again, one person is always the same
        score |= {"accuracy_ci95": None, "balanced_accuracy_ci95": None}
    if all("rated" in part for part in answers):
        given, rated = (np.array(joined(key), np.float32) for key in ("intensities", "rated"))
        names = answers[0]["rated_labels"]
        score["intensity"] = metrics.intensity_score(given, rated, names, people if known else None)
    return score


def _over_folds(scores: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """The least, mean, greatest and standard deviation of each figure that is one number."""
    names = [name for name, value in scores[0].items() if isinstance(value, float)]
    columns = {name: [score[name] for score in scores] for name in names}
    return {
        how: {name: float(pick(values)) for name, values in columns.items()}
        for how, pick in (("min", min), ("mean", np.mean), ("max", max), ("sd", _deviation))
    }


def _deviation(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _paper_epoch(recipe: ExpressionRecipe, parts: Sequence[dict[str, Any]]) -> float | None:
    """Seconds that an epoch of as many pictures as the paper's takes here."""
    pictures = recipe.paper.pictures if recipe.paper else 0
    speed = float(np.mean([part["images_per_s"] for part in parts]))
    return pictures / speed if pictures else None


def audited(recipe: ExpressionRecipe, table: Table) -> dict[str, Any]:
    """What the test side of an arranged table shares with the training side, in rows and people.

    copies : test rows whose picture, or another copy of it, was trained on. Equal and near equal
        pictures are looked for among pictures as they came: copies of one are alike anyway.
    """
    train, test = (table.of_split(split) for split in (recipe.data.train, recipe.data.test))
    trained_on = {row.copy_of or row.id for row in train.rows}
    people = {row.subject for row in test.rows if row.subject}
    known = people & {row.subject for row in train.rows}
    found = {
        "test_rows": len(test),
        "copies": sum((row.copy_of or row.id) in trained_on for row in test.rows),
        "people": len(people),
        "people_trained_on": len(known),
        "rows_of_people_trained_on": sum(row.subject in known for row in test.rows),
    }
    plain = table.of_split(recipe.data.train, recipe.data.test)
    plain = plain.keep(row.copy_of is None for row in plain.rows)
    if set(plain.splits) != {recipe.data.train, recipe.data.test}:
        return found
    overlap = audit(plain).overlap(recipe.data.test, recipe.data.train)
    pictures = len(plain.of_split(recipe.data.test))
    return {
        **found,
        "pictures": pictures,
        "same_pixels": len(overlap.exact),
        "nearly_same": None if overlap.near is None else len(overlap.near),
    }


def _read_json(path: Path) -> dict[str, Any]:
    return checkpoint.kept(path)


def _write_json(path: Path, content: object) -> None:
    write_whole((json.dumps(content, indent=1) + "\n").encode(), path)
