"""Personal recognisers of the mouth: trained with torch, used without."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mien.analysis.pipeline import Analyzer, Settings
from mien.app.person import app
from mien.errors import MissingExtra
from mien.expression.recognize import load_model
from mien.face import ImageArray
from mien.person import people, train
from mien.person.recognizer import recognizer
from mien.person.samples import Taker, from_folder

pytest.importorskip("torch")
from PIL import Image

from mien.person import mouth

run = CliRunner().invoke
WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # importing it fails
from mien import Analyzer, Settings
analyzer = Analyzer(Settings(person="Ann"))
for path in sys.argv[1:]:
    (face,) = analyzer.analyze(path)
    print(face.emotions.top[0], face.intensity)
assert sys.modules["torch"] is None
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIEN_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(mouth, "_STEPS", 60)
    return tmp_path / "home"


@pytest.fixture
def pictures(tmp_path: Path, astronaut: ImageArray) -> Path:
    """Her smile, and the same face with its mouth drawn over by her cheek."""
    woman = np.ascontiguousarray(astronaut[20:240, 120:340])
    rng = np.random.default_rng(0)
    for i in range(5):
        noisy = np.clip(woman + rng.normal(0, 3, woman.shape), 0, 255).astype(np.uint8)
        closed = noisy.copy()
        closed[132:146, 92:118] = np.clip(closed[132:146, 92:118].astype(int) // 3, 0, 255)
        for label, rgb in (("joy", noisy), ("pain", closed)):
            path = tmp_path / "pictures" / label / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rgb).save(path)
    return tmp_path / "pictures"


@pytest.fixture
def ann(pictures: Path) -> people.Person:
    whose = people.get_or_make("Ann", "Ann Smith, for herself")
    taken = from_folder(Taker(whose, Analyzer()), pictures)
    assert len(taken.samples) == 10
    return whose


@pytest.mark.parametrize("kind", ["mouth", "both"])
def test_trained_with_torch_and_used_without(
    kind: str, ann: people.Person, pictures: Path, home: Path
) -> None:
    done = run(app, ["train", "Ann", "--with", kind])
    assert done.exit_code == 0, done.output
    assert f"mien person test 'Ann' --with {kind}" in done.output
    files = {path.name for path in ann.folder.glob("*.onnx")}
    assert files == ({"mouth.onnx"} if kind == "mouth" else {"head.onnx", "mouth.onnx"})
    info = load_model(ann.folder / "mouth.onnx").info
    assert (info.align, info.preprocess) == ("mouth", train.LIPS)
    assert info.preprocess.light == "equal", "bad light: see docs/adr/0015-light.md"
    assert info.label_set.labels == ("happiness", "pain")
    assert "Ann" not in json.dumps(info.card)

    asked = [str(pictures / label / "4.png") for label in ("joy", "pain")]
    said = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *asked],
        env={**os.environ, "MIEN_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert said.stdout.split("\n")[:2] == ["happiness None", "pain None"]


def test_both_is_the_mean_of_the_two(ann: people.Person, pictures: Path) -> None:
    train.train(ann, "both")
    analyzer = Analyzer(Settings(person="Ann"))
    both = recognizer("Ann")
    assert both.info.name == "person-both"
    (face,) = analyzer.analyze(pictures / "joy" / "0.png")
    assert face.emotions is not None
    single = []
    for file in ("head.onnx", "mouth.onnx"):
        part = Analyzer(recognizer=load_model(ann.folder / file))
        (seen,) = part.analyze(pictures / "joy" / "0.png")
        assert seen.emotions is not None
        single.append(seen.emotions.probs)
    # The mouth is looked for again in the crop of the face: nearly the same one.
    np.testing.assert_allclose(face.emotions.probs, np.mean(single, axis=0), atol=0.05)


def test_one_kind_replaces_the_other(ann: people.Person) -> None:
    train.train(ann, "mouth")
    train.train(ann, "head")
    assert [path.name for path in ann.folder.glob("*.onnx")] == ["head.onnx"]


def test_it_is_tested_on_whole_pictures_held_out(ann: people.Person, tmp_path: Path) -> None:
    out = tmp_path / "test.json"
    done = run(app, ["test", "Ann", "--with", "mouth", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "personal (mouth)" in done.output
    found = json.loads(out.read_text())
    assert (found["kind"], found["folds"], found["stimuli"]) == ("mouth", 5, 10)
    assert found["results"]["personal"]["accuracy"] >= 0.8


def test_without_torch_it_says_what_to_install(
    ann: people.Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for kind in ("mouth", "both"):
        with pytest.raises(MissingExtra, match=r"\[train\]"):
            train.train(ann, kind)
        with pytest.raises(MissingExtra, match=r"\[train\]"):
            train.tested(ann, kind)
    assert list(ann.folder.glob("*.onnx")) == []
