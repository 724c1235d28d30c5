"""The walk-through in docs/intensities.md, on sixty pictures of five of JAFFE's women."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

from PIL import Image

from mien.data.sets.jaffe import read_jaffe
from mien.expression.recognize import load_model
from mien.face import ImageArray

TEXT = (Path(__file__).parents[1] / "docs" / "intensities.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines()
]
SHORT = " --set train.epochs=1 --set train.batch=16 --accelerator cpu"


def sixty(jaffe: Path, out: Path) -> None:
    """Two pictures of each of six expressions of five women, their rating in five levels."""
    given = read_jaffe(jaffe)
    women = sorted({row.subject or "" for row in given.rows})[:5]
    taken: Counter[tuple[str, str]] = Counter()
    lines = ["file,subject,intensity"]
    for row in given.rows:
        who = row.subject or ""
        if who not in women or row.label == "fear" or taken[who, row.label] == 2:
            continue
        taken[who, row.label] += 1
        name = f"{row.label}/{row.source}"
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(row.image)
        rated = dict(zip(given.intensity_labels, row.intensity or (), strict=True))
        level = "" if row.label == "neutral" else max(round(5 * rated[row.label]), 1)
        lines.append(f"{name},{who},{level}")
    assert len(lines) == 61
    (out / "people.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def rmse(text: str) -> tuple[float, float]:
    """Of all expressions, and of always answering the mean."""
    found = re.search(r"^all +(\S+) \(\S+\) +(\S+)", text, re.MULTILINE)
    assert found, text
    return float(found[1]), float(found[2])


def test_the_walk_through(owners_layout: Path, tmp_path: Path, astronaut: ImageArray) -> None:
    """As written, but for the length of the training."""
    sixty(owners_layout / "jaffe", tmp_path / "graded_faces")
    Image.fromarray(astronaut).save(tmp_path / "photo.jpg")
    done = {}
    for command in COMMANDS:
        words = shlex.split(command + (SHORT if command.startswith("mien train") else ""))
        ended = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=280,
        )
        assert ended.returncode == 0, (command, ended.stderr)
        done[command] = ended
    imported, fitted, analyzed, _, of_half, ours, theirs, trained, _, by_trained = done.values()
    assert "60 pictures rated, on the scale 0..5" in imported.stderr
    assert "left out" not in imported.stderr
    assert "60 faces found in 60 pictures" in fitted.stderr
    assert "fitted to 60 rated faces; as before: fear, contempt" in fitted.stderr
    assert re.search(r"fitted to \d\d rated faces", of_half.stderr)
    (face,) = json.loads(analyzed.stdout)["faces"]
    assert face["intensity"]["happiness"] > 0.8 > 0.2 > face["intensity"]["sadness"]
    ours_all, mean = rmse(ours.stdout)
    assert ours_all < rmse(theirs.stdout)[0]
    assert ours_all < mean
    assert "held back: rmse" in trained.stderr
    (face,) = json.loads(by_trained.stdout)["faces"]
    assert list(face["intensity"]) == [
        *("neutral", "happiness", "surprise", "sadness", "anger", "disgust")
    ]
    before, after = load_model(), load_model(tmp_path / "mine.onnx")
    assert after.info.temperature == before.info.temperature
    assert after.info.strengths != before.info.strengths
