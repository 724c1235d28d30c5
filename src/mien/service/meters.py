"""What a service tells of itself: figures for Prometheus, and one line of JSON for each request.

Neither holds a name, a query, an address or anything of a face: what is logged is what an operator
needs to find a fault, and nothing that would have to be deleted on request.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from ..provenance import versions
from ..weights import catalogue
from .jobs import DatabaseAway

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from .engine import Engine
    from .recordings import Recordings

log = logging.getLogger(__name__)
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Meters:
    """Figures of one service."""

    def __init__(self, engine: Engine, recordings: Recordings) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "mien_requests",
            "Requests answered",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "mien_request_seconds",
            "From a request's headers to the end of its answer",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)
        self.registry.register(_OfEngine(engine))
        self.registry.register(_OfRecordings(recordings))

    def answered(
        self, request_id: str, method: str, route: str, status: int, took_s: float
    ) -> None:
        """Count a request, and log it."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(took_s)
        told = {"request_id": request_id, "method": method, "route": route, "status": status}
        log.info("answered", extra={"told": told | {"ms": round(took_s * 1000, 2)}})

    def failed(self, request_id: str, err: BaseException) -> None:
        """Log an error nobody foresaw: its kind and where it was, not what it says of whom."""
        told = {"request_id": request_id, "error": type(err).__name__, "at": list(_places(err))}
        log.error("failed", extra={"told": told})


def _places(err: BaseException) -> Iterator[str]:
    """The lines that an error went through, innermost last."""
    trace = err.__traceback__
    while trace:
        code = trace.tb_frame.f_code
        yield f"{Path(code.co_filename).name}:{trace.tb_lineno} {code.co_name}"
        trace = trace.tb_next


class _OfEngine(Collector):
    """What the engine knows at the moment it is asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily("mien_queue_pictures", "Pictures that wait for a thread")
        waiting.add_metric([], self._engine.waiting)
        yield waiting
        faces = CounterMetricFamily("mien_faces", "Faces read")
        faces.add_metric([], self._engine.faces)
        yield faces
        row = catalogue.spec(catalogue.DEFAULT_MODEL)
        model = InfoMetricFamily("mien_model", "The default model, and the mien that reads with it")
        model.add_metric(
            [], {"name": row.name, "sha256": row.sha256, "version": versions().get("mien", "")}
        )
        yield model


class _OfRecordings(Collector):
    """What the table of jobs says at the moment it is asked; nothing where it is away."""

    def __init__(self, recordings: Recordings) -> None:
        self._recordings = recordings

    def collect(self) -> Iterator[Metric]:
        jobs = GaugeMetricFamily("mien_recordings", "Recordings by state", labels=["state"])
        try:
            for state, count in self._recordings.jobs.counts().items():
                jobs.add_metric([state.value], count)
        except DatabaseAway:
            return
        yield jobs


class JsonLines(logging.Formatter):
    """A line of JSON for each message: time, level, and what it tells."""

    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{when}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        return json.dumps(line | getattr(record, "told", {}))
