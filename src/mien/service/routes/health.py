"""Whether the service lives, whether it can answer, and its figures."""

from __future__ import annotations

from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.responses import Response

from ...version import __version__
from ..intake import EngineOf
from ..jobs import DatabaseAway
from ..problems import Refused, told
from .videos import RecordingsOf

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The service answers."""

    status: Literal["ok"] = "ok"
    version: str = __version__


@router.get("/healthz", summary="Whether it lives")
async def healthz() -> Health:
    """Always the same while the process runs."""
    return Health()


@router.get("/readyz", summary="Whether it can answer")
def readyz(engine: EngineOf, recordings: RecordingsOf) -> Health:
    """Whether the model is loaded, and the database of jobs answers."""
    if reason := engine.not_ready():
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, reason, retry_s=1)
    try:
        recordings.jobs.ping()
    except DatabaseAway as err:
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, told(err), retry_s=10) from None
    return Health()


class Figures(Response):
    """Prometheus's text."""

    media_type = "text/plain"


@router.get("/metrics", summary="Figures for Prometheus", response_class=Figures)
async def metrics(request: Request) -> Response:
    """Requests, latencies, the queue, faces, the model and the process."""
    return Figures(
        generate_latest(request.app.state.meters.registry), media_type=CONTENT_TYPE_LATEST
    )
