"""The one look of every figure that mien draws, with matplotlib."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtra, UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

FORMATS = ("png", "svg")
INK, FAINT = "#222222", "#9a9a9a"
_STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same everywhere
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "text.parse_math": False,  # a file's name between two $ is no formula
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "svg.hashsalt": "mien",
    "savefig.dpi": 144.0,
}


@contextmanager
def blank(
    width: float,
    height: float,
    rows: Sequence[int] = (1,),
    columns: int = 1,
    shared: bool = True,
) -> Iterator[tuple[Figure, Any]]:
    """An empty figure of so many inches and its axes, in the one style of all of them.

    Not pyplot's: that would choose a window system, and keep every figure.
    """
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", "plot", "drawing figures") from None
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        yield (
            figure,
            figure.subplots(
                len(rows),
                columns,
                gridspec_kw={"height_ratios": rows},
                sharex=shared and len(rows) > 1,
            ),
        )


def encoded(figure: Figure, form: str) -> bytes:
    """A figure as PNG or SVG, the same bytes for the same numbers; raises UnknownName."""
    if form not in FORMATS:
        raise UnknownName("form of a figure", form, FORMATS)
    out = io.BytesIO()
    figure.savefig(out, format=form, metadata={"Date": None} if form == "svg" else {})
    return out.getvalue()
