"""The OpenAPI document: the notice, how problems look, and which a route may answer with."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from .notice import NOTICE
from .problems import MEDIA_TYPE, Problem

DESCRIPTION = f"""Reads facial expressions from pictures: mien's command line behind HTTP, with the
same records.

**{NOTICE}**

A picture is in a request as bytes, and nothing of it is kept but a person's samples, which are sent
to be. A recording is kept with what came of it until its job is deleted, or its time is over. No
path and no address in a request is ever opened. Where the service needs a key, send it as
`Authorization: Bearer KEY`."""

_ANY = {
    "401": "A key is needed, and none came that is known.",
    "403": "Pages of other origins may not ask.",
    "421": "The service does not go by this host name.",
    "422": "An option that there is not, or a value that does not fit.",
    "429": "This key asks too often; `Retry-After` says when it may again.",
    "503": "Too much waits, or the service is not ready; `Retry-After` says when to try again.",
}
_OF_BODIES = {
    "408": "The body came too slowly.",
    "413": "The body is too large.",
    "415": "The body is of a kind that this does not take.",
}
_OF_NAMES = {"404": "There is nothing of this name."}
_OF_PERSONS = {
    "501": "What this needs is not installed on the server.",
    "507": "What is to be kept cannot be written.",
}
_LATER = {"Retry-After": {"description": "In seconds.", "schema": {"type": "integer"}}}


_BODIES: list[type[BaseModel]] = []
_AT = "#/components/schemas/"


def json_body(kind: type[BaseModel]) -> dict[str, Any]:
    """How a document tells of a body of JSON that its route reads itself."""
    _BODIES.append(kind)
    schema = {"$ref": f"{_AT}{kind.__name__}"}
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def describe(app: FastAPI) -> None:
    """Have an application's document tell of its problems, and of keys."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        document = made()
        if "x-told" not in document:
            document["x-told"] = True
            _tell(document)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _tell(document: dict[str, Any]) -> None:
    parts = document.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    for theirs in ("HTTPValidationError", "ValidationError"):
        schemas.pop(theirs, None)
    told_of: list[type[BaseModel]] = [Problem, *_BODIES]
    for kind in told_of:
        schemas[kind.__name__] = kind.model_json_schema(ref_template=f"{_AT}{{model}}")
    parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            told = dict(_ANY)
            told |= _OF_BODIES if "requestBody" in operation else {}
            told |= _OF_NAMES if "{" in path else {}
            told |= _OF_PERSONS if path.startswith("/v1/persons") else {}
            operation["security"] = [{}, {"key": []}]
            responses = operation["responses"]
            responses.pop("422", None)
            for status, about in sorted(told.items()):
                responses.setdefault(status, problem(status, about))


def problem(status: str, about: str) -> dict[str, Any]:
    """How a document tells of a refusal. about : when it comes."""
    content = {MEDIA_TYPE: {"schema": {"$ref": f"{_AT}Problem"}}}
    answer: dict[str, Any] = {"description": about, "content": content}
    if status in ("429", "503"):
        answer["headers"] = _LATER
    return answer
