"""A picture of a recording: what each face showed over time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..files import write
from ..media.chart import blank, encoded
from ..media.draw import COLORS
from .summary import Recording, Rule, episodes, names

_BINS = 1200  # of a timeline: about one for each pixel
_PANELS = 12  # faces of a timeline; a crowd's would be unreadable


def draw(recordings: Sequence[Recording], folder: Path, rule: Rule | None = None) -> list[Path]:
    """The ``timeline`` of each recording that shows a face; raises OutputError, MissingExtra."""
    drawn = []
    for recording, name in zip(recordings, names(recordings), strict=True):
        if recording.tracks:
            path = folder / f"{name}.png"
            write(path, timeline(recording, rule))
            drawn.append(path)
    return drawn


def timeline(recording: Recording, rule: Rule | None = None) -> bytes:
    """A picture (PNG) of what each face showed over time, its episodes above it."""
    panels = [
        {
            "name": f"face {number}",
            "times": np.array(recording.times)[track.frames],
            "probs": track.probs,
            "episodes": [
                (e.label, e.onset_s, e.offset_s) for e in episodes(recording, track, rule)
            ],
        }
        for number, track in sorted(recording.tracks.items())
    ]
    title = Path(recording.source).name
    return _stacked(panels, recording.labels, float(recording.times[-1]), title)


def _stacked(
    faces: Sequence[Mapping[str, Any]], labels: Sequence[str], end_s: float, title: str
) -> bytes:
    """Probabilities stacked up, episodes above, a panel for each face.

    faces : ``name``, ``times`` (N,) in seconds, ``probs`` (N, K) in the order of ``labels``, and
        ``episodes``, (label, onset, offset) each. Those seen longest are drawn.
    """
    shown = sorted(faces, key=lambda face: -len(face["times"]))[:_PANELS]
    shown.sort(key=lambda face: list(faces).index(face))
    colors = ["#{:02x}{:02x}{:02x}".format(*COLORS.get(label, (90, 90, 90))) for label in labels]
    with blank(11.0, 1.0 + 1.5 * len(shown), [1] * len(shown)) as (figure, axes):
        for place, face in zip(np.atleast_1d(axes), shown, strict=True):
            for times, probs in _stretches(face["times"], face["probs"], end_s):
                place.stackplot(times, probs.T, colors=colors, linewidth=0)
            for label, onset, offset in face["episodes"]:
                color = colors[list(labels).index(label)]
                place.plot([onset, offset], [1.06, 1.06], color=color, lw=4, solid_capstyle="butt")
            place.set(ylabel=f"{face['name']}\nprobability", xlim=(0, end_s), ylim=(0, 1.1))
            place.set(yticks=[0, 0.5, 1])
        place.set_xlabel("seconds from the beginning")
        from matplotlib.artist import Artist
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        keys: list[Artist] = [Patch(color=c, label=k) for c, k in zip(colors, labels, strict=True)]
        keys.append(Line2D([], [], color="#444444", lw=4, label="line on top: an episode"))
        figure.legend(handles=keys, loc="outside lower center", ncols=len(keys), fontsize=8)
        figure.suptitle(title, fontsize=10)
        return encoded(figure, "png")


def _stretches(times: Any, probs: Any, end_s: float) -> Iterator[tuple[Any, Any]]:
    """What is drawn of a face without a gap: means over at most ``_BINS`` parts of the whole."""
    step = max(end_s / _BINS, 1e-9)
    bins = np.floor(times / step).astype(int)
    starts = np.flatnonzero(np.diff(bins, prepend=-1))
    counts = np.diff(starts, append=len(bins))
    mean = np.add.reduceat(probs, starts) / counts[:, None]
    at = np.add.reduceat(times, starts) / counts
    usual = float(np.median(np.diff(at))) if len(at) > 1 else step
    for part in np.split(np.arange(len(at)), np.flatnonzero(np.diff(at) > 3 * usual) + 1):
        lasting = np.append(at[part], at[part[-1]] + usual)  # the last, too, is seen for a while
        yield lasting, np.concatenate([mean[part], mean[part[-1:]]])
