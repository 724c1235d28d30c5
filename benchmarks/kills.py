"""Runs killed at random moments, and the same command again: nothing is lost, or it is said.

A training, an export, an annotated recording, a folder on two processes, a person's recording and
training, and alarms are killed (SIGKILL, the first process alone) somewhere in the time that they
take. The command is then given again, to its end, and what is there is compared with what a run
that nobody disturbed has left. ``said`` counts runs after which the command refused to go on with
a message, ``late`` those that were over before they were killed, which are done again.

    python benchmarks/kills.py               # 30 of each
    python benchmarks/kills.py --runs 3 --case train
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import av
import numpy as np
import typer
from PIL import Image
from skimage import data

from mien import provenance

MIEN = (sys.executable, "-m", "mien")
SEED = 9
PICTURES, FRAMES, RECORDS = 120, 60, 80

RECIPE = """
[data]
label_set = "mien8"
labels = ["happiness", "sadness"]
train = "train"
select = "select"
test = "select"
drop_overlap = false

[model]
name = "resnet10"
size = 16

[augment]
rotate_deg = 10.0

[train]
epochs = 3
batch = 16
lr = 0.005
precision = "32-true"
"""

RULES = """
[[rule]]
name = "smile"
when = "happiness"
above = 0.6
hold_s = 0
every_s = 0
to = ["log"]

[output.log]
kind = "program"
command = ["sh", "-c", "sleep 0.05; echo $0 >> delivered.txt", "{key}"]
"""


@dataclass(frozen=True)
class Case:
    """What is run in a folder, what after it was killed, and what it leaves behind.

    lay_out : makes the folder. state : what must be the same; raises where it cannot be read.
    """

    words: tuple[str, ...]
    again: tuple[str, ...]
    lay_out: Callable[[Path], None]
    state: Callable[[Path], Hashable]
    stdin: str | None = None


def head() -> Image.Image:
    """A smiling woman, public domain (NASA)."""
    pixels = np.asarray(data.astronaut())[20:220, 130:330]  # type: ignore[no-untyped-call]
    return Image.fromarray(pixels)


def film(path: Path, frames: int) -> None:
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 200, 200, "yuv420p"
        for i in range(frames):
            picture = head().rotate(i % 20 - 10)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")))
        out.mux(stream.encode(None))


def a_training(folder: Path) -> None:
    """Stripes along and across, and a recipe that learns to tell them apart."""
    from mien.data import table

    rng = np.random.default_rng(0)
    rows = []
    for i in range(160):
        y, x = np.mgrid[:16, :16]
        wave = 128 + 60 * np.sin((x if i % 2 else y) * 1.2 + rng.uniform(0, 6))
        pixels = np.clip(wave + rng.normal(0, 30, (16, 16)), 0, 255).astype(np.uint8)
        split, label = ("select" if i % 5 == 0 else "train"), ("happiness", "sadness")[i % 2]
        png = table.png(np.repeat(pixels[:, :, None], 3, axis=2))
        rows.append(table.Row(f"made/{i}", split, label, png, 16, 16))
    table.write(table.Table("stripes", rows), folder / "stripes.parquet")
    (folder / "stripes.toml").write_text(RECIPE)


def a_finished_run(folder: Path) -> None:
    a_training(folder)
    subprocess.run([*MIEN, *TRAIN], cwd=folder, check=True, capture_output=True)


def a_film(folder: Path) -> None:
    film(folder / "film.mp4", FRAMES)


def many_pictures(folder: Path) -> None:
    (folder / "many").mkdir()
    for i in range(PICTURES):
        head().rotate(i / 10 - 6).save(folder / "many" / f"{i:03}.png")


def a_person(folder: Path) -> None:
    for label, angle in (("joy", 0), ("pain", 8)):
        (folder / "faces" / label).mkdir(parents=True)
        for i in range(8):
            head().rotate(angle + i / 2).save(folder / "faces" / label / f"{i}.png")
    film(folder / "faces" / "joy" / "film.mp4", 30)


def a_recorded_person(folder: Path) -> None:
    a_person(folder)
    subprocess.run([*MIEN, *RECORD], cwd=folder, check=True, capture_output=True, env=_env(folder))


def some_alarms(folder: Path) -> None:
    """Records of a face that smiles every other frame."""
    (folder / "rules.toml").write_text(RULES)
    lines = []
    for i in range(RECORDS):
        smile = 0.9 if i % 2 else 0.1
        face = {"track": 1, "emotions": {"happiness": smile, "neutral": 1 - smile}}
        face |= {"intensity": None, "uncertain": False, "picture_quality": 0.9}
        record = {"schema": "mien/2", "source": "a", "frame": i, "time_s": i / 10, "status": "ok"}
        lines.append(json.dumps(record | {"faces": [face]}))
    (folder / "records.jsonl").write_text("\n".join(lines) + "\n")


def weights(folder: Path) -> bytes:
    return (folder / "run" / "weights.safetensors").read_bytes()


def model(folder: Path) -> bytes:
    return (folder / "model.onnx").read_bytes()


def records(folder: Path) -> bytes:
    assert json.loads((folder / "out.jsonl.meta.json").read_text())["complete"]
    return (folder / "out.jsonl").read_bytes()


def records_and_copy(folder: Path) -> tuple[bytes, int]:
    (copy,) = (folder / "copies").iterdir()
    with av.open(str(copy)) as file:
        return records(folder), sum(1 for _ in file.decode(video=0))


def samples(folder: Path) -> frozenset[tuple[Any, ...]]:
    """Every sample, once, with a picture that can be read."""
    found = []
    for path in (folder / "home" / "people").glob("*/samples/[!.]*.json"):
        sample = json.loads(path.read_text())
        Image.open(path.with_suffix(".png")).load()
        found.append((sample["label"], sample["stimulus"], round(sample["time_s"], 3)))
    assert len({*found}) == len(found), "a sample is there twice"
    return frozenset(found)


def a_recogniser(folder: Path) -> bool:
    """Whether the person's model can be used."""
    (path,) = (folder / "home" / "people").glob("*/head.onnx")
    from mien.expression.recognize import load_model

    return load_model(path, 1).info.label_set.labels == ("happiness", "pain")


def answered(folder: Path) -> bool:
    """Whether every call that was noted was delivered, and at most once more than noted."""
    journal, log = folder / "home" / "alarms.jsonl", folder / "delivered.txt"
    lines = journal.read_bytes().splitlines() if journal.exists() else []
    events = [json.loads(line) for line in lines if line.strip()]
    called = {e["alarm"]["key"] for e in events if e["event"] == "call"}
    ended = {e["key"] for e in events if e["event"] == "delivered"}
    told = Counter(log.read_text().split() if log.exists() else [])
    return called == ended == {*told} and max(told.values(), default=0) <= 2


TRAIN = ("train", "stripes.toml", "-d", "stripes.parquet", "-o", "run", "--accelerator", "cpu")
RECORD = ("person", "record", "Ann", "--from", "faces", "--consent", "yes, Ann")
ANNOTATE = ("analyze", "film.mp4", "--annotate", "copies", "--out", "out.jsonl")
FOLDER = ("analyze", "many", "-p", "2", "--out", "out.jsonl")
EXPORT = ("export", "run", "-d", "stripes.parquet", "-o", "model.onnx")
PERSON = ("person", "train", "Ann")
ACT = ("act", "run", "rules.toml")

CASES = {
    "train": Case(TRAIN, TRAIN, a_training, weights),
    "export": Case(EXPORT, EXPORT, a_finished_run, model),
    "annotate": Case(ANNOTATE, (*ANNOTATE, "--resume"), a_film, records_and_copy),
    "folder": Case(FOLDER, (*FOLDER, "--resume"), many_pictures, records),
    "person_record": Case(RECORD, RECORD, a_person, samples),
    "person_train": Case(PERSON, PERSON, a_recorded_person, a_recogniser),
    "act_run": Case(ACT, ACT, some_alarms, answered, "records.jsonl"),
}


def _env(folder: Path) -> dict[str, str]:
    return os.environ | {"MIEN_HOME": str(folder / "home")}


def _start(case: Case, words: tuple[str, ...], folder: Path, fed: bool) -> subprocess.Popen[str]:
    name = folder / case.stdin if case.stdin and fed else Path(os.devnull)
    with name.open() as given:
        return subprocess.Popen(
            [*MIEN, *words],
            cwd=folder,
            env=_env(folder),
            stdin=given,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )


def once(case: Case, whole: Hashable, lasts_s: float, ready: Path, rng: random.Random) -> str:
    """What became of one run: "same", "said", "late", or what was wrong."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(shutil.copytree(ready, Path(place) / "work"))
        run = _start(case, case.words, folder, fed=True)
        try:
            run.wait(rng.uniform(0.1, 1.0) * lasts_s)
            late = True
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGKILL)
            late = False
        run.communicate()
        if late:
            return "late"
        second = _start(case, case.again, folder, fed=False)
        told = second.communicate(timeout=300)[1]
        if "Traceback" in told:
            return "traceback: " + told.strip().splitlines()[-1][:100]
        if second.returncode:
            return "said" if told.strip() else f"status {second.returncode} without a word"
        try:
            return "same" if case.state(folder) == whole else "different"
        except Exception as err:
            return f"unreadable: {type(err).__name__}: {str(err)[:100]}"


def killed(name: str, runs: int) -> dict[str, Any]:
    """Runs of a case until so many were killed before their end."""
    case, rng, found = CASES[name], random.Random(f"{SEED}/{name}"), Counter[str]()
    with tempfile.TemporaryDirectory() as place:
        ready, folder = Path(place) / "ready", Path(place) / "whole"
        ready.mkdir()
        case.lay_out(ready)
        shutil.copytree(ready, folder)
        started = time.perf_counter()
        run = _start(case, case.words, folder, fed=True)
        told = run.communicate()[1]
        assert run.returncode == 0, told
        lasts_s, whole = time.perf_counter() - started, case.state(folder)
        assert whole, "a run that nobody disturbed leaves nothing to compare"
        while found.total() - found["late"] < runs:
            found[once(case, whole, lasts_s, ready, rng)] += 1
    return {"runs": runs, "lasts_s": round(lasts_s, 2), **dict(found)}


def main(
    case: Annotated[list[str] | None, typer.Option(help="Only this; may be repeated.")] = None,
    runs: Annotated[int, typer.Option(help="Of each.")] = 30,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/kills.json"),
) -> None:
    """Kill runs at random moments; status 1 where anything was lost without a word.

    With --case the others stay in the file as they were, each with its date and commit.
    """
    report = json.loads(out.read_text()) if case and out.exists() else {"cases": {}}
    report |= {"seed": SEED}
    for name in case or CASES:
        report["cases"][name] = found = provenance.environment() | killed(name, runs)
        print(name, json.dumps(found), file=sys.stderr, flush=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    done = [report["cases"][name] for name in case or CASES]
    fine = [told["runs"] == told.get("same", 0) + told.get("said", 0) for told in done]
    raise typer.Exit(int(not all(fine)))


if __name__ == "__main__":
    typer.run(main)
