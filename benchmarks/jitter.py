r"""How much answers tremble from frame to frame, where a face is still and where it moves.

For each clip and model: the mean change per label from one frame to the next of probabilities and
of intensities, over the calmer half of the frames and over the tenth in which the face changes its
shape most; and how often the likeliest label changes. A face's shape is its landmarks with where
the head is taken away.

    python benchmarks/jitter.py MEDIA --model mien \
        --model runs/xu2019/runs/intensity/model.onnx
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from mien import geometry, provenance
from mien.analysis.pipeline import Analyzer, Settings
from mien.analysis.recording import analyze_video
from mien.face import Face
from mien.faces import landmarks
from mien.weights.catalogue import DEFAULT_MODEL

CALM, QUICK = 0.5, 0.9  # quantiles of how far the shape moves
Values = npt.NDArray[np.float64]


def main(
    media: Path,
    model: Annotated[list[str] | None, typer.Option()] = None,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/jitter.json"),
) -> None:
    """Measure every clip of a folder that shows a face, and write it as JSON."""
    result: dict[str, Any] = {**provenance.environment(), "clips": {}}
    for name in model or [DEFAULT_MODEL]:
        analyzer = Analyzer(Settings(model=name, detector="mien"))
        for clip in sorted(media.glob("*.mp4")):
            for smoothing in ("none", "causal", "two-sided"):
                read = [faces for _, faces in analyze_video(clip, analyzer, smooth=smoothing)]
                faces = [found[0] for found in read if found]
                if len(faces) < len(read) / 2:
                    continue
                told = result["clips"].setdefault(clip.stem, {"frames": len(read)})
                of_model = told.setdefault(
                    _called(name), {"sha256": analyzer.recognizer.info.sha256}
                )
                of_model[smoothing] = _variation(faces)
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result, indent=2))


def _called(name: str) -> str:
    """A catalogue name, or what a run's folder is called."""
    path = Path(name)
    return path.parent.name if path.suffix == ".onnx" else name


def _variation(faces: Sequence[Face]) -> dict[str, Any]:
    moved = np.array([_moved(a, b) for a, b in pairwise(faces)])
    calm, quick = moved <= np.quantile(moved, CALM), moved >= np.quantile(moved, QUICK)
    probs = np.array([face.emotions.probs for face in faces if face.emotions], np.float64)
    top = probs.argmax(axis=1)
    found: dict[str, Any] = {
        "label_changes_per_100_frames": round(float(100 * (top[1:] != top[:-1]).mean()), 2),
        "probabilities": _changes(probs, calm, quick),
    }
    if all(face.intensity for face in faces):
        strengths = np.array([f.intensity.values for f in faces if f.intensity], np.float64)
        found["intensities"] = _changes(strengths, calm, quick)
    return found


def _moved(before: Face, after: Face) -> float:
    """How far landmarks are from the last frame's brought onto them, in distances of the eyes."""
    if before.landmarks is None or after.landmarks is None:
        return 0.0
    there = geometry.transform(
        geometry.similarity(before.landmarks, after.landmarks), before.landmarks
    )
    right, left = landmarks.eye_centres(after.landmarks)
    apart = float(np.linalg.norm(left - right))
    return float(np.linalg.norm(there - after.landmarks, axis=1).mean()) / apart


def _changes(
    values: Values, calm: npt.NDArray[np.bool_], quick: npt.NDArray[np.bool_]
) -> dict[str, float]:
    change = np.abs(np.diff(values, axis=0)).mean(axis=1)
    still, moving = float(change[calm].mean()), float(change[quick].mean())
    return {
        "still": round(still, 5),
        "moving": round(moving, 5),
        "moving_over_still": round(moving / max(still, 1e-9), 2),
        "range": round(float(np.ptp(values, axis=0).mean()), 4),
    }


if __name__ == "__main__":
    typer.run(main)
