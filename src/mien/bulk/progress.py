"""How far a run has come: for a terminal, and for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..errors import MissingExtra, ServiceError
from .ledger import Totals
from .work import Outcome


@dataclass(slots=True)
class Progress:
    """Of a run.

    inputs : there are. totals : of those that are done, in earlier runs, too. frames, faces : that
    this run has read. clock : seconds that only go up.
    """

    inputs: int
    totals: Totals
    clock: Callable[[], float] = time.monotonic
    frames: int = 0
    faces: int = 0
    _began: float = 0.0
    _before: int = field(default=0)
    _told: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self._began, self._before = self.clock(), self.totals.files
        self._told = bytearray(self.inputs)  # whether each input's row was

    def add(self, outcome: Outcome) -> None:
        """Count an outcome; an input that is done twice, as its first worker was lost, once."""
        for row in outcome.rows:
            if not self._told[row.number]:
                self._told[row.number] = True
                self.totals.add(row)
        self.frames += outcome.frames
        self.faces += outcome.faces

    def _rate(self, count: int) -> float:
        passed = self.clock() - self._began
        return count / passed if passed > 0 else 0.0

    @property
    def files_per_s(self) -> float:
        return self._rate(self.totals.files - self._before)

    @property
    def frames_per_s(self) -> float:
        return self._rate(self.frames)

    @property
    def faces_per_s(self) -> float:
        return self._rate(self.faces)

    @property
    def left_s(self) -> float | None:
        """How long it may take yet, by the files so far; None while nobody knows."""
        rate = self.files_per_s
        return (self.inputs - self.totals.files) / rate if rate else None

    def line(self) -> str:
        """As a person reads it."""
        left = "" if self.left_s is None else f", {_span(self.left_s)} left"
        return (
            f"{self.totals.files:,} of {self.inputs:,} files, {self.files_per_s:.1f} files/s, "
            f"{self.frames_per_s:.1f} frames/s, {self.faces_per_s:.1f} faces/s{left}, "
            f"{self.totals.errors:,} errors"
        )


def _span(seconds: float) -> str:
    """
    >>> _span(42), _span(125), _span(7260)
    ('42 s', '2 min', '2 h 1 min')
    """
    minutes = int(seconds // 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


_METERS: dict[str, tuple[str, Callable[[Progress], float]]] = {
    "inputs": ("Inputs of the run", lambda p: p.inputs),
    "files": ("Inputs that are done, errors included", lambda p: p.totals.files),
    "errors": ("Inputs that could not be read", lambda p: p.totals.errors),
    "frames": ("Pictures and frames read by this run", lambda p: p.frames),
    "faces": ("Faces read by this run", lambda p: p.faces),
    "files_per_second": ("Inputs a second of this run", lambda p: p.files_per_s),
    "frames_per_second": ("Frames a second of this run", lambda p: p.frames_per_s),
    "faces_per_second": ("Faces a second of this run", lambda p: p.faces_per_s),
    "left_seconds": ("How long it may take yet", lambda p: p.left_s or 0.0),
}


def serve_metrics(progress: Progress, port: int) -> Callable[[], None]:
    """Let Prometheus ask 127.0.0.1 at a port; comes back with what ends that.

    Raises MissingExtra, ServiceError.
    """
    try:
        from prometheus_client import CollectorRegistry, Gauge, start_http_server
    except ImportError:
        raise MissingExtra("prometheus-client", "bulk", "--metrics") from None
    registry = CollectorRegistry()
    for name, (what, value) in _METERS.items():
        gauge: Any = Gauge(f"mien_bulk_{name}", what, registry=registry)
        gauge.set_function(lambda value=value: value(progress))
    try:
        server, thread = start_http_server(port, "127.0.0.1", registry)
    except OSError as err:
        raise ServiceError(f"cannot listen at 127.0.0.1:{port}: {err.strerror}") from err

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return end
