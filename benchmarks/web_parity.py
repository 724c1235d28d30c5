"""How far the browser package answers otherwise than Python, and how long it takes beside it.

LFW's photographs, each whole; the faces that Python finds, as the very crops it reads; a frame of
640 x 480 with one face, followed. Python's times and Node's are taken one after the other.

    make web && python benchmarks/web_parity.py LFW
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mien import provenance
from mien.analysis.live import Reader
from mien.analysis.pipeline import Analyzer, Settings
from mien.face import Frame, ImageArray
from mien.faces.finder import pixels
from tests.browser import node
from tests.browser.agreement import agreement, photographs
from tests.browser.node import Node

FRAMES, FPS = 200, 20
LIVE = (640, 480)


def main(
    lfw: Path,
    count: Annotated[int, typer.Option()] = 200,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/web_parity.json"),
) -> None:
    """Compare on so many photographs of a folder, and write it as JSON."""
    if why := node.missing():
        raise SystemExit(why)
    node.build()
    analyzer = Analyzer(Settings(detector="mien", threads=1))
    pictures = photographs(lfw, count)
    with tempfile.TemporaryDirectory() as folder:
        browser = Node(Path(folder))
        result = {
            **provenance.environment(),
            "browser": _versions(),
            "model": analyzer.recognizer.info.sha256,
            "photographs": _photographs(analyzer, browser, pictures),
            "same_crops": _same_crops(analyzer, browser, pictures),
            "live": _live(analyzer, browser, pictures[0]),
        }
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result, indent=2))


def _versions() -> dict[str, str]:
    told = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    manifest = json.loads((node.PACKAGE / "package.json").read_text())
    return {"node": told.strip().removeprefix("v"), **manifest["dependencies"]}


def _photographs(
    analyzer: Analyzer, browser: Node, pictures: Sequence[ImageArray]
) -> dict[str, Any]:
    found = browser.ask(pictures=[browser.picture(p) for p in pictures])
    read, seconds = [], []
    for picture in pictures:
        start = time.perf_counter()
        read.append(analyzer.analyze_frame(Frame(picture)))
        seconds.append(time.perf_counter() - start)
    told = agreement(read, [f["faces"] for f in found["pictures"]])
    return {
        "pictures": len(pictures),
        "faces": told.faces,
        "pictures_with_the_same_faces": round(told.same_faces, 4),
        "faces_with_the_same_top": round(told.same_top, 4),
        "landmarks_px_at_128": _spread(told.landmarks_at_128),
        "probabilities": _spread(told.probabilities),
        "intensities": _spread(told.intensities),
        "seconds_a_picture": {
            "python": _times(seconds),
            "node": _times([f["seconds"] for f in found["pictures"]]),
        },
        "seconds_to_load_in_node": round(found["load_s"], 3),
    }


def _same_crops(
    analyzer: Analyzer, browser: Node, pictures: Sequence[ImageArray]
) -> dict[str, Any]:
    crops = []
    for picture in pictures:
        frame = Frame(picture)
        crops += [pixels(frame, face) for face in analyzer.analyze_frame(frame)]
    read = analyzer.recognizer.read(crops, analyzer.base_rates)
    found = browser.ask(crops=[browser.raw(crop) for crop in crops])["crops"]
    apart = np.abs(read.probs - [f["probs"] for f in found])
    result = {"crops": len(crops), "probabilities_at_most": float(f"{apart.max():.1e}")}
    if read.intensity is not None:
        strengths = np.abs(read.intensity - [f["intensity"] for f in found])
        result["intensities_at_most"] = float(f"{strengths.max():.1e}")
    return result


def _live(analyzer: Analyzer, browser: Node, picture: ImageArray) -> dict[str, Any]:
    """Seconds a frame of one face that keeps still, followed and smoothed."""
    width, height = LIVE
    rgb = np.full((height, width, 3), 90, np.uint8)
    rgb[100 : 100 + picture.shape[0], 200 : 200 + picture.shape[1]] = picture
    frames = [Frame(rgb, index=i, time_s=i / FPS) for i in range(FRAMES)]
    still = browser.picture(rgb)
    found = browser.ask(frames=[still | {"time_s": f.time_s} for f in frames])["frames"]
    reader, seconds = Reader(analyzer), []
    for frame in frames:
        start = time.perf_counter()
        reader.read(frame)
        seconds.append(time.perf_counter() - start)
    return {
        "frames": FRAMES,
        "size": list(LIVE),
        "faces": len(found[-1]["faces"]),
        "seconds_a_frame": {
            "python": _times(seconds),
            "node": _times([f["seconds"] for f in found]),
        },
    }


def _spread(values: npt.NDArray[np.float64]) -> dict[str, float]:
    """How far apart they are, of each face the farthest."""
    p50, p95 = np.quantile(values, [0.5, 0.95])
    return {
        "p50": float(f"{p50:.2g}"),
        "p95": float(f"{p95:.2g}"),
        "most": float(f"{values.max():.2g}"),
    }


def _times(seconds: Sequence[float]) -> dict[str, float]:
    """Without the first tenth, in which both warm up."""
    warm = seconds[len(seconds) // 10 :]
    p50, p95 = np.quantile(warm, [0.5, 0.95])
    return {
        "least": round(min(warm), 4),
        "p50": round(float(p50), 4),
        "p95": round(float(p95), 4),
    }


if __name__ == "__main__":
    typer.run(main)
