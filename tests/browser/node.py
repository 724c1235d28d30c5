"""The browser package in Node: pictures go in as raw pixels, and what it says comes back as JSON.

Its runner is ``web/packages/mien/test/runner.ts``, which lists what can be asked for.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mien.face import Crop, ImageArray
from mien.weights.catalogue import DEFAULT_MODEL

WEB = Path(__file__).resolve().parents[2] / "web"
PACKAGE = WEB / "packages" / "mien"
NUMBERS = PACKAGE / "models" / "numbers.json"
SHIPPED = WEB.parent / "src" / "mien" / "weights" / "shipped"
_READ = {"pictures", "crops", "frames", "taken", "person", "explained"}  # need the networks
_LONGEST_S = 300  # for any one command; the machine may be busy


def missing() -> str | None:
    """Why the package cannot be run here; None where it can."""
    if not (shutil.which("node") and shutil.which("npm")):
        return "no Node.js here, which runs the browser package: install Node.js 20 or later"
    if not (WEB / "node_modules").is_dir():
        return "the browser package is not installed: make web"
    return None


def npm(*words: str) -> str:
    """What an npm command prints; raises AssertionError with all that it said where it fails."""
    done = subprocess.run(
        ["npm", *words], cwd=PACKAGE, capture_output=True, text=True, timeout=_LONGEST_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build() -> None:
    """The package, its tests and its runner, of the source as it is now."""
    npm("run", "build")
    npm("run", "build:test")


class Node:
    """Asks the package, which must have been built.

    folder : where pixels and answers are written. model : a recogniser's file name.
    """

    def __init__(self, folder: Path, model: str = DEFAULT_MODEL) -> None:
        self._folder, self._files = folder, 0
        self._models = {
            "recognizer": str(SHIPPED / f"{model}.onnx"),
            "landmarks": str(SHIPPED / "landmarks68.onnx"),
            "proposals": str(SHIPPED / "proposals.onnx"),
        }

    def ask(self, **jobs: Any) -> dict[str, Any]:
        """The answers to jobs, under their names."""
        content = {"numbers": str(NUMBERS), **jobs}
        if _READ & jobs.keys():
            content["models"] = self._models
        asked, answered = self._folder / "jobs.json", self._folder / "answers.json"
        asked.write_text(json.dumps(content))
        runner = PACKAGE / "build" / "test" / "runner.js"
        command = ["node", str(runner), str(asked), str(answered)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_S)
        assert done.returncode == 0, done.stderr
        answers: dict[str, Any] = json.loads(answered.read_bytes())
        return answers

    def picture(self, pixels: ImageArray) -> dict[str, Any]:
        """RGB or RGBA pixels as a picture of a job."""
        if pixels.shape[2] == 3:
            opaque = np.full((*pixels.shape[:2], 1), 255, np.uint8)
            pixels = np.concatenate([pixels, opaque], axis=2)
        return self.raw(pixels)

    def raw(self, pixels: ImageArray) -> dict[str, Any]:
        """Pixels as they are, as a raster of a job."""
        self._files += 1
        file = self._folder / f"{self._files}.raw"
        file.write_bytes(np.ascontiguousarray(pixels).tobytes())
        return {"file": str(file), "width": pixels.shape[1], "height": pixels.shape[0]}


def crop_of(crop: Crop) -> dict[str, Any]:
    """A crop as a job has it."""
    return {"matrix": crop.matrix.ravel().tolist(), "size": crop.size}


def values(told: Mapping[str, float], labels: Sequence[str]) -> ImageArray:
    """What is told by label, in the order of ``labels``."""
    return np.array([told[label] for label in labels])
