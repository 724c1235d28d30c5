"""``mien adapt`` as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mien.expression.recognize import load_model
from mien.face import ImageArray
from mien.training.export import metadata, with_metadata
from tests.app.running import Call, save


@pytest.fixture
def people(head: ImageArray, landscape: Path, tmp_path: Path) -> Path:
    """Five faces, a wall, and a file that is no picture."""
    folder = tmp_path / "people"
    for i, gain in enumerate((0.5, 0.7, 0.9, 1.0, 1.1)):
        save(np.clip(head * gain, 0, 255).astype(np.uint8), folder / f"{i}.png")
    (folder / "wall.jpg").write_bytes(landscape.read_bytes())
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    return folder


def test_what_was_looked_at_and_what_it_gave(call: Call, people: Path, tmp_path: Path) -> None:
    out = tmp_path / "ours.onnx"
    done = call("adapt", "mien", people, "--out", out)
    assert done.status == 0, done.err
    assert "5 faces in 7 pictures and frames, 1 without a face" in done.err
    assert "left out" in done.err
    assert "broken.png" in done.err
    assert "5 faces are few" in done.err
    # The table before it tells them at default base rates, where another may be the likeliest.
    assert "at its training's base rates 100% of these faces are read as happiness" in done.err
    assert str(out) in done.out
    before, after = load_model().info, load_model(out).info
    assert before.typical is not None
    assert after.typical == before.typical
    assert after.prediction_sets is None
    assert after.offsets is not None
    assert min(after.offsets) < 0 < max(after.offsets)
    assert after.card["adapted"]["from"] == before.sha256
    assert "adapted to 5 faces without labels (base rates training)" in (
        call("models", "card", out).out
    )


def test_an_adapted_model_answers_otherwise(call: Call, people: Path, tmp_path: Path) -> None:
    """Of smiles alone it has learnt that smiling is usual: the smile is less of one."""
    out = tmp_path / "ours.onnx"
    call("adapt", "mien", people, "--out", out)
    words = ("analyze", people / "3.png", "--format", "jsonl", "--base-rates", "training")
    plain = call(*words).records[0]["faces"][0]["emotions"]
    moved = call(*words, "--model", out).records[0]["faces"][0]["emotions"]
    assert sum(moved.values()) == pytest.approx(1, abs=1e-3)
    assert moved["happiness"] < plain["happiness"]


def test_a_mix_that_is_told_is_no_step(call: Call, people: Path, tmp_path: Path) -> None:
    smiles = dict.fromkeys(load_model().info.label_set.labels, 0.001) | {"happiness": 1}
    rates = tmp_path / "smiles.json"
    rates.write_text(json.dumps(smiles))
    place, steps = load_model().info.label_set.index("happiness"), {}
    for name, words in {"told": ("--base-rates", rates), "not": ()}.items():
        done = call("adapt", "mien", people, "--out", tmp_path / f"{name}.onnx", *words)
        assert ("of these faces are read as" in done.err) == (name == "not")
        offsets = load_model(tmp_path / f"{name}.onnx").info.offsets
        assert offsets is not None
        steps[name] = abs(offsets[place])
    assert steps["told"] < steps["not"] / 2


def test_faces_at_rest_and_crops(call: Call, crops: Path, tmp_path: Path) -> None:
    folder = crops.parent / "train" / "happy"
    done = call("adapt", "mien", folder, "--crops", "--resting", "--out", tmp_path / "a.onnx")
    assert done.status == 0, done.err
    assert load_model(tmp_path / "a.onnx").info.card["adapted"]["mix"] == "at rest"


def test_a_recording_is_looked_at_once_a_second(call: Call, shared: Path, tmp_path: Path) -> None:
    clip = shared / "data" / "media" / "single_face.mp4"
    done = call("adapt", "mien", clip, "--out", tmp_path / "a.onnx")
    assert "3 faces in 3 pictures and frames" in done.err
    done = call("adapt", "mien", clip, "--fps", "5", "--out", tmp_path / "b.onnx")
    assert "12 faces in 12 pictures and frames" in done.err


def test_what_cannot_be_adapted_to(
    call: Call, people: Path, landscape: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a.onnx"
    done = call("adapt", "mien", landscape, "--out", out)
    assert done.status == 2
    assert "0 faces in 1 pictures and frames: nothing to suit a model to" in done.err
    done = call("adapt", "mien", people, "--resting", "--base-rates", "equal", "--out", out)
    assert done.status == 2
    assert "leave one" in done.err
    done = call("adapt", "mien", tmp_path / "nowhere", "--out", out)
    assert done.status == 2
    assert "nowhere" in done.err
    assert not out.exists()


def test_a_model_that_does_not_say_what_is_typical_to_it(
    call: Call, people: Path, peer_models: Path, tmp_path: Path
) -> None:
    content = load_model().content
    older = tmp_path / "older.onnx"
    told = json.loads(metadata(content))
    del told["typical"]
    older.write_bytes(with_metadata(content, told))
    for model in (older, "face-api"):
        done = call("adapt", model, people, "--out", tmp_path / "a.onnx")
        assert done.status == 1
        assert "does not say where its answers to each expression lie" in done.err
        assert "faces in" not in done.err


def test_labelled_faces_tell_what_is_typical(call: Call, crops: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.onnx"
    done = call("calibrate", "mien", crops, "--crops", "--what", "typical", "--out", out)
    assert done.status == 0, done.err
    assert "typical answers of 3 faces: neutral, happiness" in done.err
    before, after = load_model().info, load_model(out).info
    assert after.typical is not None
    assert [row is None for row in after.typical] == [False, False, *[True] * 6]
    assert (after.temperature, after.offsets) == (before.temperature, before.offsets)
    assert after.prediction_sets == before.prediction_sets
    assert "read_anew" not in after.card or after.card == before.card
