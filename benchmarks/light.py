"""Mouths under bad light and from far away: which way of evening the light out helps a network.

EmEx2 is trained on LFW's joyful and neutral mouths as in the recipe biondi2019, people kept whole,
once for each way and seed; the unchanged faces teach. The people of no training are tested: their
faces are changed (``mien.evaluation.stress``), the mouth is found in the changed face, and all
networks get the same mouths. ``augmented`` evens nothing out, and was trained on changed light
instead. Intervals are 95 % by drawing people; gains are on the same pictures.

    python benchmarks/light.py lfw.parquet --sheet mouths.png

A sheet shows faces: look at it, do not publish it.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import numpy.typing as npt
import typer

from mien import provenance
from mien.data import table
from mien.evaluation import stress
from mien.expression.baserates import BaseRates
from mien.expression.recognize import OnnxRecognizer, load_model
from mien.face import ImageArray
from mien.media.preprocess import LIGHTS, Preprocess, prepare
from mien.training import arrange, export, recipes, train

CONDITIONS = (
    "brightness",
    "contrast",
    "gamma",
    "dim",
    "sidelight",
    "noise",
    "blur",
    "motion",
    "resolution",
)
MEAN, DEVIATION = 128.0, 48.0  # of a standardised picture
FLAT = 2.0  # gray levels: a deviation under it is noise, and is not drawn out further


def standard(gray: ImageArray) -> ImageArray:
    """Every picture's own mean and deviation brought to the same."""
    scaled = MEAN + (gray - gray.mean()) * (DEVIATION / max(float(gray.std()), FLAT))
    return np.asarray(np.rint(scaled.clip(0, 255)), np.uint8)


def clahe(gray: ImageArray) -> ImageArray:
    """The histogram equalised part by part, within limits (Zuiderveld 1994)."""
    return np.asarray(cv2.createCLAHE(2.0, (4, 4)).apply(gray), np.uint8)


def gamma(gray: ImageArray) -> ImageArray:
    """Under the exponent that brings the mean to the middle."""
    share = min(max(float(gray.mean()) / 255, 0.01), 0.99)
    return np.asarray(np.rint(255 * (gray / 255) ** (np.log(0.5) / np.log(share))), np.uint8)


LIGHTS.update(standard=standard, clahe=clahe, gamma=gamma)  # tried, and not part of mien
WAYS = {
    **{name: (f"model.light={name}",) for name in LIGHTS},
    "augmented": ("augment.contrast=0.5", "augment.brightness=60"),
}
SEEDS = (1234, 1235, 1236)
_DRAWS = 2000
Right = dict[str, npt.NDArray[np.float64]]  # by way: the share of its networks that are right


class Silent:
    """Training that says nothing."""

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None: ...

    def epoch(self, record: dict[str, Any]) -> None: ...


def main(
    lfw: Path,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/light.json"),
    sheet: Annotated[Path | None, typer.Option(help="Where mouths are shown.")] = None,
) -> None:
    """Train, measure, and write the result as JSON."""
    whole = table.read(lfw)
    with tempfile.TemporaryDirectory() as folder:
        trained = [one(lfw, Path(folder), seed) for seed in SEEDS]
    tested = set().union(*(ids for ids, _ in trained))
    asked = whole.keep(row.id in tested for row in whole.rows)
    pictures = list(asked.pictures())
    people = np.unique([row.subject or row.id for row in asked.rows], return_inverse=True)[1]
    result: dict[str, Any] = {
        **provenance.environment(),
        "seeds": SEEDS,
        "tested": len(asked),
        "ways": {name: list(words) for name, words in WAYS.items()},
        "conditions": {name: stress.CONDITIONS[name].unit for name in CONDITIONS},
        "results": [],
    }
    shown: list[list[ImageArray]] = []
    for condition, level, changed in stress.changes(asked.rows, pictures, CONDITIONS):
        if condition and level is None:
            continue
        mouths = stress.crops(changed, "mouth", 28)
        shown.append([cv2.resize(mouth, (56, 56)) for mouth in mouths[:400:25]])  # type: ignore[misc]
        right = answers(trained, asked, mouths)
        ways = figures(right, people)
        result["results"].append({"condition": condition, "level": level, "ways": ways})
        told = "  ".join(f"{name} {way['accuracy']:.3f}" for name, way in ways.items())
        typer.echo(f"{condition:12}{level or '':>6} {told}")
    result["mean"] = means(result["results"])
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result["mean"], indent=2))
    if sheet:
        draw(shown, sheet)


def one(lfw: Path, folder: Path, seed: int) -> tuple[set[str], dict[str, OnnxRecognizer]]:
    """The rows that no training of a seed saw, and its networks by way."""
    found: dict[str, OnnxRecognizer] = {}
    tested: set[str] = set()
    for name, words in WAYS.items():
        settings = (f"split.seed={seed}", f"train.seed={seed}", *words)
        recipe = recipes.read(recipes.find("biondi2019"), settings)
        run, file = folder / f"{name}-{seed}", folder / f"{name}-{seed}.onnx"
        train.train(recipe, lfw, run, Silent(), "cpu")
        export.export(run, lfw, file)
        found[name] = load_model(file, 1)
        tested = {row.id for row in arrange.read(recipe, lfw).of_split("test").rows}
    return tested, found


def answers(
    trained: list[tuple[set[str], dict[str, OnnxRecognizer]]],
    asked: table.Table,
    mouths: list[ImageArray],
) -> Right:
    """Of each row, in how many of the seeds that test it a way is right, (N,) by way."""
    labels = trained[0][1]["plain"].info.label_set
    targets = asked.targets(labels)
    right = {name: np.zeros(len(asked)) for name in WAYS}
    counts = np.zeros(len(asked))
    for ids, networks in trained:
        rows = np.flatnonzero([row.id in ids for row in asked.rows])
        counts[rows] += 1
        for name, network in networks.items():
            probs = network.probabilities([mouths[i] for i in rows], BaseRates())
            right[name][rows] += probs.argmax(axis=1) == targets[rows]
    return {name: sums / counts for name, sums in right.items()}


def figures(right: Right, people: npt.NDArray[np.intp]) -> dict[str, Any]:
    """Accuracy, and the gain over leaving the light as it is, with intervals."""
    plain = right["plain"]
    found: dict[str, dict[str, Any]] = {}
    for name, mine in right.items():
        found[name] = {"accuracy": round(float(mine.mean()), 4), "ci95": interval(mine, people)}
        if name != "plain":
            gain = mine - plain
            found[name]["gain"] = round(float(gain.mean()), 4)
            found[name]["gain_ci95"] = interval(gain, people)
    return found


def interval(values: npt.NDArray[np.float64], people: npt.NDArray[np.intp]) -> list[float]:
    """Of the mean, by drawing people."""
    sums, sizes = np.bincount(people, values), np.bincount(people)
    rng = np.random.default_rng(1)
    drawn = rng.integers(0, len(sums), (_DRAWS, len(sums)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return [round(float(v), 4) for v in np.percentile(means, [2.5, 97.5])]


def means(points: list[dict[str, Any]]) -> dict[str, Any]:
    """By condition, the mean accuracy of a way over its levels; "" is the faces as they are."""
    return {
        condition: {
            name: round(
                float(
                    np.mean(
                        [p["ways"][name]["accuracy"] for p in points if p["condition"] == condition]
                    )
                ),
                4,
            )
            for name in WAYS
        }
        for condition in ("", *CONDITIONS)
    }


def draw(shown: list[list[ImageArray]], path: Path) -> None:
    """A row for each condition and level: the mouths, and what each way makes of one of them."""
    rows = []
    for mouths in shown:
        made = [
            cv2.cvtColor(prepare(mouth, Preprocess(56, "gray", light))[0], cv2.COLOR_GRAY2BGR)
            for mouth in mouths[:3]
            for light in LIGHTS
        ]
        rows.append(np.hstack([cv2.cvtColor(np.hstack(mouths), cv2.COLOR_RGB2BGR), *made]))
    cv2.imwrite(str(path), np.vstack(rows))


if __name__ == "__main__":
    typer.run(main)
