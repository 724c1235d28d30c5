"""How soon a tracker has forgotten how it began: frames until two are equal to the last digit.

A head that never leaves the picture, to and fro; one tracker from the beginning, others that begin
later. What ``mien.analysis.ranges`` begins earlier by has to be longer.

    python benchmarks/bulk_seams.py ../shared/data/media
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import av
import numpy as np
import typer

from mien import provenance
from mien.analysis.pipeline import Analyzer, Settings
from mien.analysis.ranges import WARM_FRAMES, WARM_S
from mien.face import Frame
from mien.tracking.tracks import Tracker

CLIP = "WolfgangLanger_Pexels.mp4"
STARTS, FRAMES = (40, 77, 114, 151), 330


def states(analyzer: Analyzer, film: list[Frame]) -> list[dict[str, Any]]:
    """After each frame, without the numbers of tracks."""
    tracker, found = Tracker(analyzer), []
    for frame in film:
        tracker.follow(frame)
        state = json.loads(json.dumps(tracker.state()))
        for place, track in enumerate(state["tracks"]):
            track["number"] = place
        found.append(state | {"given": 0})
    return found


def equal_from(whole: list[dict[str, Any]], later: list[dict[str, Any]]) -> int | None:
    """The frame from which two are equal for good; None for never."""
    unlike = [i for i, (a, b) in enumerate(zip(whole, later, strict=True)) if a != b]
    first = unlike[-1] + 1 if unlike else 0
    return first if first < len(later) else None


def main(
    media: Annotated[Path, typer.Argument(help="Folder of the clips.")],
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/bulk_seams.json"),
) -> None:
    with av.open(str(media / CLIP)) as clip:
        pictures = [
            np.asarray(f.to_ndarray(format="rgb24"), np.uint8) for f in clip.decode(video=0)
        ]
    analyzer = Analyzer(Settings(threads=1))
    result: dict[str, Any] = {**provenance.environment(), "clip": CLIP}
    result |= {"begun_earlier": {"seconds": WARM_S, "frames": WARM_FRAMES}, "forgotten_after": {}}
    for fps in (12, 24):
        shown = pictures[:: 24 // fps]
        to_and_fro = [*shown, *shown[-2:0:-1]][:FRAMES]
        film = [Frame(rgb, i, i / fps, CLIP) for i, rgb in enumerate(to_and_fro)]
        whole = states(analyzer, film)
        frames = [equal_from(whole[at:], states(analyzer, film[at:])) for at in STARTS]
        result["forgotten_after"][f"{fps} frames a second"] = frames
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    typer.run(main)
