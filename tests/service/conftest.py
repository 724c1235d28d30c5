"""Services on loopback, and pictures to send."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from mien.face import ImageArray
from mien.service import server
from mien.service.settings import ServiceSettings
from tests.made import video

Serve = Callable[..., httpx.Client]


def jpeg(picture: ImageArray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=95)
    return out.getvalue()


@pytest.fixture(scope="session")
def portrait_jpeg(astronaut: ImageArray) -> bytes:
    return jpeg(astronaut)


@pytest.fixture(scope="session")
def empty_jpeg() -> bytes:
    """A picture without a face."""
    return jpeg(np.full((64, 64, 3), 120, np.uint8))


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return video(tmp_path_factory.mktemp("clip") / "a clip.mp4", frames=20)


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """A client of a service with settings of one's own, which lives as long as the module."""
    with ExitStack() as open_things:

        def start(**settings: Any) -> httpx.Client:
            home = settings.pop("home", None) or tmp_path_factory.mktemp("home")
            asked = ServiceSettings(port=0, home=home, **settings)
            at = open_things.enter_context(server.running(asked))
            return open_things.enter_context(httpx.Client(base_url=at, timeout=60))

        yield start


@pytest.fixture(scope="module")
def client(serve: Serve) -> httpx.Client:
    """A client of a service as it is by default."""
    return serve()


def problem(answer: httpx.Response, status: int, *words: str) -> dict[str, Any]:
    """The problem that an answer is, as every one looks; these words are in its detail."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert set(told) == {"type", "title", "status", "detail", "request_id"}
    assert told["status"] == status
    assert told["request_id"] == answer.headers["x-request-id"]
    for word in words:
        assert word in told["detail"]
    for leak in ("Traceback", 'File "', str(Path(server.__file__).parents[2])):
        assert leak not in answer.text
    return told
