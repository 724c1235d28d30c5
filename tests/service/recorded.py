"""Recordings that tests hand in, and wait for."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx

VIDEOS = "/v1/videos"


def handed_in(client: httpx.Client, path: Path, **options: Any) -> dict[str, Any]:
    files = {"file": (path.name, path.read_bytes())}
    answer = client.post(VIDEOS, files=files, params=options)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"{VIDEOS}/{job['id']}"
    return job


def over(client: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        found: dict[str, Any] = client.get(f"{VIDEOS}/{job['id']}").json()
        if found["ended"]:
            return found
        time.sleep(0.1)
    raise AssertionError("it never ended")
