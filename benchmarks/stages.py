"""Where the processor time of one picture goes, stage by stage, on one thread.

    python benchmarks/stages.py MEDIA

MEDIA holds ``multi_face.jpg``, five people. Each picture is a JPEG in memory, read, searched and
recognised again and again; a figure is the median of its turns. The networks' own time is told
apart, with how many pictures each was shown. Other detectors search the same pictures.
"""

from __future__ import annotations

import io
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Annotated, Any
from unittest.mock import patch

import cv2
import typer
from detection import finders
from PIL import Image
from skimage import data

from mien import Analyzer, Settings, provenance
from mien.face import Frame
from mien.media import image
from mien.weights.session import Session

GROUP_SIDE = 4060  # eleven megapixels of multi_face.jpg's 3 : 2
_MS = 1000.0
Stages = dict[str, float]


def jpeg(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.convert("RGB").save(out, "JPEG", quality=90)
    return out.getvalue()


def pictures(media: Path) -> dict[str, bytes]:
    group = Image.open(media / "multi_face.jpg")
    height = round(group.height * GROUP_SIDE / group.width)
    astronaut = Image.fromarray(data.astronaut())  # type: ignore[no-untyped-call]
    coffee = Image.fromarray(data.coffee())  # type: ignore[no-untyped-call]
    return {
        "portrait_500": jpeg(astronaut.resize((500, 500))),
        "group_11_megapixels": jpeg(group.resize((GROUP_SIDE, height), Image.Resampling.BICUBIC)),
        "nobody_600": jpeg(coffee),
    }


@contextmanager
def timed(stages: Stages) -> Iterator[None]:
    """Add what reading and each network takes to ``stages``, and how many pictures it is shown."""
    run, read = Session.run, image._read

    def running(self: Session, outputs: Any, inputs: Any, options: Any = None) -> Any:
        name = Path(self._name).stem
        started = time.process_time()
        found = run(self, outputs, inputs, options)
        stages[f"network_{name}"] += time.process_time() - started
        stages[f"shown_{name}"] += len(next(iter(inputs.values()))) / _MS
        return found

    def reading(*args: Any) -> Any:
        started = time.process_time()
        found = read(*args)
        stages["read"] += time.process_time() - started
        return found

    with patch.object(Session, "run", running), patch.object(image, "_read", reading):
        yield


def one_turn(analyzer: Analyzer, content: bytes) -> Stages:
    """Milliseconds of processor time by stage; ``shown_*`` are pictures."""
    stages: Stages = defaultdict(float)
    with timed(stages):
        times = [time.process_time()]
        frame, faces = analyzer.look(content)
        times.append(time.process_time())
        found = analyzer.recognize(frame, faces)
        times.append(time.process_time())
    stages["search"] = times[1] - times[0] - stages["read"]
    stages["express"], stages["all"] = times[2] - times[1], times[2] - times[0]
    stages["faces"] = len(found) / _MS
    return {name: value * _MS for name, value in stages.items()}


def profile(analyzer: Analyzer, content: bytes, turns: int) -> Stages:
    """The median of each stage over the turns, the first one left out."""
    every = [one_turn(analyzer, content) for _ in range(turns + 1)][1:]
    return {name: round(median(one[name] for one in every), 2) for name in every[0]}


def detectors(content: bytes, turns: int) -> Stages:
    """Milliseconds of processor time a search takes, by detector."""
    frame, told = Frame(image.read(content)), {}
    for name, find in finders().items():
        times = []
        for _ in range(turns + 1):
            started = time.process_time()
            find(frame)
            times.append(time.process_time() - started)
        told[name] = round(median(times[1:]) * _MS, 2)
    return told


def main(
    media: Path,
    turns: Annotated[int, typer.Option()] = 15,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/stages.json"),
) -> None:
    cv2.setNumThreads(1)
    analyzer = Analyzer(Settings(detector="mien", threads=1))
    result: dict[str, Any] = provenance.environment() | {"pictures": {}}
    for name, content in pictures(media).items():
        result["pictures"][name] = {
            "bytes": len(content),
            "mien_ms": profile(analyzer, content, turns),
            "detectors_ms": detectors(content, turns),
        }
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result["pictures"], indent=2))


if __name__ == "__main__":
    typer.run(main)
