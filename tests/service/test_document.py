"""The OpenAPI document: its examples are sent, and what schemathesis makes of it is answered so."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

from mien.face import ImageArray
from mien.service.application import create_app
from mien.service.notice import NOTICE

from .conftest import jpeg
from .recorded import VIDEOS, handed_in, over

DOCUMENT: dict[str, Any] = create_app().openapi()
Example = tuple[str, str, dict[str, Any], str | None]


def examples() -> Iterator[Example]:
    """Method, path, parameters and kind of body of each example: one parameter's at a time."""
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            kinds = list(operation.get("requestBody", {}).get("content", {None: None}))
            told = operation.get("parameters", [])
            needed = {p["name"]: p["schema"]["examples"][0] for p in told if p["required"]}
            yield from ((method, path, needed, kind) for kind in kinds)
            for parameter in told:
                for example in parameter["schema"].get("examples", ()):
                    yield method, path, needed | {parameter["name"]: example}, kinds[0]


def validate(path: str, method: str, answer: httpx.Response) -> None:
    """Raises where an answer is another than the document says."""
    responses = DOCUMENT["paths"][path][method]["responses"]
    if answer.status_code == 204:
        assert "content" not in responses["204"]
        return
    kind = answer.headers["content-type"].partition(";")[0]
    schema = responses[str(answer.status_code)]["content"][kind].get("schema", {})
    if kind == "application/json":
        whole = schema | {"components": DOCUMENT["components"]}
        jsonschema_rs.validator_for(whole).validate(answer.json())


@pytest.fixture(scope="module")
def done(client: httpx.Client, shared: Path) -> str:
    """The id of a recording with a face, whose records are there."""
    path = next((shared / "data" / "media").rglob("*.mp4"))
    return str(over(client, handed_in(client, path, end=1.0, fps=5))["id"])


def make_ann(client: httpx.Client, astronaut: ImageArray) -> None:
    """A person of whom enough is kept for every example."""
    if client.get("/v1/persons/Ann").status_code == 200:
        return
    client.post("/v1/persons", json={"name": "Ann", "consent": "Ann, for herself"})
    woman = astronaut[20:240, 120:340]
    for label, turned in (("joy", woman), ("pain", woman // 2)):
        files = [("files", (f"{i}.jpg", jpeg(turned - i))) for i in range(2)]
        added = client.post(f"/v1/persons/Ann/samples?label={label}", files=files).json()
        assert added["taken"] == 2


@pytest.mark.parametrize(("method", "path", "parameters", "kind"), list(examples()))
def test_every_example(
    client: httpx.Client,
    portrait_jpeg: bytes,
    clip: Path,
    done: str,
    astronaut: ImageArray,
    method: str,
    path: str,
    parameters: dict[str, Any],
    kind: str | None,
) -> None:
    if path.startswith("/v1/persons"):
        make_ann(client, astronaut)
    query = {k: v for k, v in parameters.items() if "{" + k + "}" not in path}
    sent: dict[str, Any] = {"params": query}
    recording = path.startswith(VIDEOS)
    field, name = ("file", "a.mp4") if recording else ("files", "photo.jpg")
    content = clip.read_bytes() if recording else portrait_jpeg
    if kind == "multipart/form-data":
        sent["files"] = [(field, (name, content))]
    elif kind == "application/json":
        parts = DOCUMENT["components"]["schemas"]["NewPerson"]["properties"]
        sent["json"] = {name: part["examples"][0] for name, part in parts.items()}
    elif kind is not None:
        sent |= {"content": content, "headers": {"content-type": kind}}
    if "{id}" in path:
        parameters = parameters | {"id": done if method == "get" else handed_in(client, clip)["id"]}
    answer = client.request(method, path.format(**parameters), **sent)
    assert answer.is_success, answer.text
    validate(path, method, answer)


def test_what_everybody_is_told() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    told = DOCUMENT["info"]["description"]
    assert NOTICE in told
    assert "Article 50(3)" in NOTICE
    assert "nothing of it is kept but a person's samples" in told
    assert "A recording is kept" in told
    assert not re.search("^[<=>]{7}", told, re.MULTILINE), "half merged"


def test_every_route_tells_its_problems_in_one_shape() -> None:
    for path, operations in DOCUMENT["paths"].items():
        for operation in operations.values():
            problems = {s: r for s, r in operation["responses"].items() if s >= "400"}
            assert {"401", "421", "422", "429", "503"} <= set(problems)
            assert ("413" in problems) == ("requestBody" in operation)
            assert ("404" in problems) == ("{" in path)
            for told in problems.values():
                assert list(told["content"]) == ["application/problem+json"]
    assert "HTTPValidationError" not in DOCUMENT["components"]["schemas"]


SCRIPT = Path(__file__).parents[2] / "benchmarks" / "serve_schema.py"


def test_what_schemathesis_makes_of_it_is_answered_as_it_says() -> None:
    """A few of the cases of benchmarks/serve_schema.py, with the same seed."""
    made = runpy.run_path(str(SCRIPT))
    broken, statuses = made["run"](300)
    assert broken == {}
    assert statuses.total() > 150
    assert {200, 404, 422} <= set(statuses)
