"""What went wrong with a request, in one shape: RFC 9457's ``application/problem+json``.

``detail`` is what the command line would say. No traceback, and no path of this machine, is in it.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ..errors import (
    InputError,
    MienError,
    MissingExtra,
    ModelError,
    OutputError,
    TrainingError,
    WeightsMissing,
)
from ..secrecy import public
from ..weights import catalogue

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """Why a request was not answered (RFC 9457)."""

    type: str = Field("about:blank", description="Always this: `status` and `detail` say all.")
    title: str = Field(description="The status in words.", examples=["Unprocessable Entity"])
    status: int = Field(description="The HTTP status.", examples=[422])
    detail: str = Field(
        description="What came, what was expected, what to do: as the command line says it.",
        examples=["body is empty (0 bytes)"],
    )
    request_id: str = Field(
        description="What the service's log calls this request; also the header X-Request-ID."
    )


_UNREAD = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


class Refused(Exception):
    """A request that is not answered.

    retry_s : after how many seconds it may be tried again; None where that would not help.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        retry_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.headers = dict(headers or {})
        if status in _UNREAD:
            self.headers["Connection"] = "close"  # else the rest of it would still be read
        if retry_s is not None:
            self.headers["Retry-After"] = str(max(1, math.ceil(retry_s)))


_STATUS: dict[type[MienError], int] = {
    MissingExtra: HTTPStatus.NOT_IMPLEMENTED,
    OutputError: HTTPStatus.INSUFFICIENT_STORAGE,
    ModelError: HTTPStatus.UNPROCESSABLE_ENTITY,  # the request named it
    TrainingError: HTTPStatus.UNPROCESSABLE_ENTITY,
    InputError: HTTPStatus.UNPROCESSABLE_ENTITY,
}


def of_error(err: MienError) -> Refused:
    """An error of mien's as the refusal of a request."""
    status = next((s for kind, s in _STATUS.items() if isinstance(err, kind)), 500)
    return Refused(status, told(err))


def told(err: MienError) -> str:
    """What an error says to somebody elsewhere: nothing of where things lie on this machine."""
    if isinstance(err, MissingExtra):
        return f"{err.lacking} on this server"
    if isinstance(err, WeightsMissing):
        return f"{str(err).partition(' needs ')[0]} is not on this server (mien models pull)"
    return without_paths(str(err))


def without_paths(text: str) -> str:
    """A text without where things lie on this machine."""
    text = public(text).replace(str(catalogue.home()), "MIEN_HOME")
    for folder in filter(None, os.environ.get("MIEN_MODELS", "").split(os.pathsep)):
        text = text.replace(folder, "MIEN_MODELS")
    return text


def response(refused: Refused, request_id: str) -> Response:
    """The refusal as an answer."""
    problem = Problem(
        type="about:blank",
        title=HTTPStatus(refused.status).phrase,
        status=refused.status,
        detail=refused.detail,
        request_id=request_id,
    )
    return Response(
        json.dumps(problem.model_dump()), refused.status, refused.headers, media_type=MEDIA_TYPE
    )


def handle(app: FastAPI) -> None:
    """Have an application answer every error in that one shape."""

    async def refused(request: Request, err: Exception) -> Response:
        assert isinstance(err, Refused)
        return response(err, request.state.request_id)

    async def ours(request: Request, err: Exception) -> Response:
        assert isinstance(err, MienError)
        return response(of_error(err), request.state.request_id)

    async def http(request: Request, err: Exception) -> Response:
        assert isinstance(err, HTTPException)
        return response(_of_http(err, request), request.state.request_id)

    async def invalid(request: Request, err: Exception) -> Response:
        assert isinstance(err, RequestValidationError)
        return response(of_invalid(err.errors()), request.state.request_id)

    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(MienError, ours)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)


def _of_http(err: HTTPException, request: Request) -> Refused:
    """What the framework itself refuses: no such path, another method, a body that is too large."""
    headers = dict(err.headers or {})
    if err.status_code == HTTPStatus.NOT_FOUND:
        detail = "there is nothing at this path; GET /openapi.json lists what there is"
    elif err.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        taken = headers.get("Allow", "another method")
        detail = f"{request.method} is not taken at this path, but {taken}"
    else:
        detail = str(err.detail)
    return Refused(err.status_code, detail, headers=headers)


def of_invalid(errors: Iterable[Mapping[str, Any]]) -> Refused:
    """What pydantic finds wrong with a request's options."""
    return Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(map(_invalid, errors)))


def _invalid(error: Mapping[str, Any]) -> str:
    """One fault that pydantic found, as a sentence: what is wrong, and what came."""
    where = ".".join(str(part) for part in error["loc"][1:]) or str(error["loc"][0])
    came = error.get("input")
    shown = f", got {came!r}"[:200] if isinstance(came, str | int | float) else ""
    return f"{where}: {error['msg']}{shown}"
