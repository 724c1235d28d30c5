"""The walk-through in docs/train-your-own.md, on three hundred of LFW's pictures."""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from mien.data import table
from mien.expression.recognize import load_model
from mien.face import ImageArray

TEXT = (Path(__file__).parents[1] / "docs" / "train-your-own.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines()
]
WANTED = {"happy": 100, "neutral": 100, "sad": 50, "surprise": 50}


def three_hundred(lfw: Path, out: Path) -> None:
    """LFW's first pictures of four expressions whose people are known, at most three of each."""
    counts: Counter[str] = Counter()
    people: Counter[str] = Counter()
    lines = ["file,subject"]
    with (lfw / "people.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            label = row["file"].partition("/")[0]
            if not row["subject"] or counts[label] >= WANTED.get(label, 0):
                continue
            if people[row["subject"]] >= 3:
                continue
            counts[label] += 1
            people[row["subject"]] += 1
            (out / label).mkdir(parents=True, exist_ok=True)
            shutil.copy(lfw / row["file"], out / row["file"])
            lines.append(f"{row['file']},{row['subject']}")
    assert counts == WANTED
    (out / "people.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def others(faces: Path, out: Path) -> None:
    """A few of them as pictures that somebody else has, who knows more of the people."""
    lines = ["file,subject,sex"]
    for label in WANTED:
        (out / label).mkdir(parents=True)
        for i, file in enumerate(sorted((faces / label).iterdir())[:6]):
            shutil.copy(file, out / label)
            lines.append(f"{label}/{file.name},{label}{i},{'female' if i % 2 else 'male'}")
    (out / "people.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def workplace(
    owners_layout: Path, tmp_path_factory: pytest.TempPathFactory, astronaut: ImageArray
) -> Path:
    place = tmp_path_factory.mktemp("own")
    three_hundred(owners_layout / "lfw", place / "my_faces")
    others(place / "my_faces", place / "other_faces")
    Image.fromarray(astronaut).save(place / "photo.jpg")
    return place


def test_the_walk_through(workplace: Path) -> None:
    """As written: train, then analyze, and the model knows the folder's labels."""
    assert [c.split()[1] for c in COMMANDS] == ["train", "analyze", *["evaluate"] * 3]
    outputs = []
    for command in COMMANDS:
        words = [sys.executable, "-m", *shlex.split(command)]
        done = subprocess.run(words, cwd=workplace, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stderr
        outputs.append(done)
    trained, analyzed, repeated, _, by_sex = outputs
    assert trained.stdout == "runs/mine/model.onnx\n"
    assert "use it: mien analyze --model runs/mine/model.onnx photo.jpg" in trained.stderr
    (face,) = json.loads(analyzed.stdout)["faces"]
    assert list(face["emotions"]) == ["neutral", "happiness", "surprise", "sadness"]
    assert face["top"] == "happiness"
    printed = re.findall(r"model.onnx: (\S+)% right \[(\S+)%, (\S+)%\]", trained.stderr)
    line = r"^accuracy \(95 %\)\s+(\S+) \((\S+)-(\S+)\)"
    again = re.findall(line, repeated.stdout, re.MULTILINE)
    assert [[f"{float(v):.1%}" for v in found] for found in again] == [
        [f"{v}%" for v in found] for found in printed
    ]
    assert "largest gap, accuracy: " in by_sex.stderr
    assert re.search(r"^by sex.*\nfemale .*\nmale ", by_sex.stdout, re.MULTILINE)


def test_what_it_leaves_behind(workplace: Path) -> None:
    run = workplace / "runs" / "mine"
    if not run.exists():
        test_the_walk_through(workplace)
    report = json.loads((run / "report.json").read_text())
    assert report["split"]["by"] == "subject"
    assert report["faces"]["faces"] + len(report["faces"]["no_face"]) == 300
    assert report["faces"]["faces"] >= 290
    own, default = report["figures"].values()
    assert own["n"] == default["n"] > 30
    assert own["balanced_accuracy"] > 0.65
    faces = table.read(run / "faces.parquet")
    info = load_model(run / "model.onnx").info
    assert info.label_set.labels == ("neutral", "happiness", "surprise", "sadness")
    assert info.align == faces.notes["align"] == "similarity"
    assert info.base_rates is not None
    shares = Counter(row.label for row in faces.rows)
    # drawn by the square root of how many there are: nearer to each other than in the folder
    ratio = info.base_rates[1] / info.base_rates[3]
    assert 1 < ratio < shares["happiness"] / shares["sadness"]
