"""Requests that schemathesis makes of the service's own OpenAPI document, right and wrong ones.

    python benchmarks/serve_schema.py --cases 10000

Counts what each answer breaks: a status, a kind or a body that the document does not tell of, and a
server's error other than the 503 that it tells. Nothing may. Half of the names in paths are of what
there is: recordings, people, models.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

import httpx
import hypothesis
import numpy as np
import schemathesis
import typer
from hypothesis import strategies as st
from PIL import Image
from schemathesis.checks import CHECKS
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from skimage import data

from mien import provenance
from mien.face import ImageArray
from mien.service import server
from mien.service.settings import ServiceSettings

OUT = Path(__file__).parent / "results" / "serve_schema.json"
SEED = 1
CHECKED = (
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


def encoded(picture: ImageArray, form: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, form)
    return out.getvalue()


def pictures() -> st.SearchStrategy[bytes]:
    """Small pictures of several formats, and bytes that are none."""
    noise = np.random.default_rng(SEED).integers(0, 256, (24, 24, 3), np.uint8)
    whole = []
    for form in ("JPEG", "PNG", "WEBP", "GIF"):
        whole.append(encoded(noise, form))
    cut = st.builds(lambda content, n: content[:n], st.sampled_from(whole), st.integers(0, 300))
    return st.sampled_from(whole) | cut | st.binary(max_size=200)


def run(cases: int, seed: int = SEED) -> tuple[Counter[str], Counter[int]]:
    """What was broken, by operation and check, and how often each status came."""
    for kind in ("image/jpeg", "image/png", "image/webp", "video/mp4", "application/octet-stream"):
        schemathesis.openapi.media_type(kind, pictures())
    broken, statuses = Counter[str](), Counter[int]()
    with (
        tempfile.TemporaryDirectory() as home,
        patch.dict(os.environ, MIEN_HOME=home),  # people are made, too
        server.running(ServiceSettings(port=0, home=Path(home))) as at,
    ):
        schema = schemathesis.openapi.from_url(f"{at}/openapi.json")
        found = schema.get_all_operations()
        operations = [one.ok() for one in found if isinstance(one, Ok)]
        modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
        with httpx.Client(base_url=at) as client:
            _begin(client)
            left = [(o, mode) for o in operations for mode in (modes if _takes(o) else modes[:1])]
            while left and (lacking := cases - statuses.total()) > 0:
                each = -(-lacking // len(left))
                # What has fewer cases than it was asked for has no others.
                left = [
                    (operation, mode)
                    for operation, mode in left
                    if _ask(client, operation, mode, each, seed, broken, statuses) >= each
                ]
                seed += 1
    return broken, statuses


def _takes(operation: Any) -> bool:
    """Whether anything can be wrong with a request: nothing is as a name in a path."""
    told = operation.definition.raw
    return "requestBody" in told or any(p["in"] != "path" for p in told.get("parameters", ()))


def _begin(client: httpx.Client) -> None:
    """A person with samples, and a recording that is done, for what asks of one."""
    client.post("/v1/persons", json={"name": "Ann", "consent": "Ann, for herself"})
    woman = np.asarray(data.astronaut(), np.uint8)[20:240, 120:340]  # type: ignore[no-untyped-call]
    for label, shown in (("joy", woman), ("pain", woman // 2)):
        files = [("files", (f"{i}.png", encoded(shown - i, "PNG"))) for i in range(2)]
        assert client.post(f"/v1/persons/Ann/samples?label={label}", files=files).is_success
    gif = [("file", ("a.gif", encoded(woman, "GIF")))]
    id = client.post("/v1/videos", files=gif).json()["id"]
    while not (job := client.get(f"/v1/videos/{id}").json())["ended"]:
        time.sleep(0.1)
    assert job["state"] == "done", job


def known(client: httpx.Client, path: str) -> list[str]:
    """What there is now that a path may name; the recording that is done comes last."""
    if path.startswith("/v1/videos/{id}"):
        return [job["id"] for job in client.get("/v1/videos").json()["jobs"]]
    if path.startswith("/v1/persons/{name}"):
        return [person["name"] for person in client.get("/v1/persons").json()["persons"]]
    if path.startswith("/v1/models/{name}"):
        return [model["name"] for model in client.get("/v1/models").json()["models"]]
    return []


def _ask(
    client: httpx.Client,
    operation: Any,
    mode: GenerationMode,
    cases: int,
    seed: int,
    broken: Counter[str],
    statuses: Counter[int],
) -> int:
    """How many cases of an operation there were."""
    before = statuses.total()
    checks = [CHECKS.get_one(name) for name in CHECKED]

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode), drawn=st.data())
    def ask(case: Any, drawn: st.DataObject) -> None:
        if "{" in operation.path and drawn.draw(st.booleans()):
            (name,) = case.path_parameters
            there = known(client, operation.path)
            # The last stays, so that there is one that is done, for all that asks of it.
            there = there[: -1 if operation.method == "delete" else None]
            if there:
                case.path_parameters[name] = quote(drawn.draw(st.sampled_from(there)), safe="")
        answer = case.call()
        statuses[answer.status_code] += 1
        if answer.status_code >= 500 and answer.status_code != 503:
            broken[f"{operation.label}: {answer.status_code}"] += 1
        for check in checks:
            try:
                case.validate_response(answer, checks=[check])
            except FailureGroup as err:
                broken[f"{operation.label}: {type(err).__name__}: {str(err)[:300]}"] += 1

    with suppress(hypothesis.errors.Unsatisfiable):
        ask()
    return statuses.total() - before


def main(cases: int = 10_000) -> None:
    begun = time.monotonic()
    broken, statuses = run(cases)
    result = provenance.environment() | {
        "cases": sum(statuses.values()),
        "seconds": round(time.monotonic() - begun, 1),
        "statuses": {str(status): n for status, n in sorted(statuses.items())},
        "broken": dict(broken),
    }
    OUT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    typer.run(main)
