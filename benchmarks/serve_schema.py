"""Requests that schemathesis makes of the service's own OpenAPI document, right and wrong ones.

    python benchmarks/serve_schema.py --cases 10000

Counts what each answer breaks: a status, a kind or a body that the document does not tell of, and a
server's error other than the 503 that it tells. Nothing may.
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

from mien import provenance
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


def pictures() -> st.SearchStrategy[bytes]:
    """Small pictures of several formats, and bytes that are none."""
    noise = np.random.default_rng(SEED).integers(0, 256, (24, 24, 3), np.uint8)
    known = []
    for form in ("JPEG", "PNG", "WEBP", "GIF"):
        out = io.BytesIO()
        Image.fromarray(noise).save(out, form)
        known.append(out.getvalue())
    cut = st.builds(lambda content, n: content[:n], st.sampled_from(known), st.integers(0, 300))
    return st.sampled_from(known) | cut | st.binary(max_size=200)


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
        operations = [known.ok() for known in found if isinstance(known, Ok)]
        modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
        asked = [o for o in operations if {"parameters", "requestBody"} & {*o.definition.raw}]
        each = -(-cases // (len(asked) * len(modes)))
        for operation in operations:
            for mode in modes if operation in asked else modes[:1]:
                _ask(operation, mode, each, seed, broken, statuses)
    return broken, statuses


def _ask(
    operation: Any,
    mode: GenerationMode,
    cases: int,
    seed: int,
    broken: Counter[str],
    statuses: Counter[int],
) -> None:
    checks = [CHECKS.get_one(name) for name in CHECKED]

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        answer = case.call()
        statuses[answer.status_code] += 1
        if answer.status_code >= 500 and answer.status_code != 503:
            broken[f"{operation.label}: {answer.status_code}"] += 1
        for check in checks:
            try:
                case.validate_response(answer, checks=[check])
            except FailureGroup as err:
                broken[f"{operation.label}: {type(err).__name__}: {str(err)[:300]}"] += 1

    with suppress(hypothesis.errors.Unsatisfiable):  # nothing is wrong as a name in a path
        ask()


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
