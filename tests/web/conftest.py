"""Debian's Chromium on the page of a service of this process; its camera shows a real face."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from mien.face import ImageArray
from mien.service import server
from mien.service.settings import ServiceSettings

from . import chromium
from .films import film

PATIENCE_MS = 30_000


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def at(home: Path) -> Iterator[str]:
    """The address of a service of its own."""
    with server.running(ServiceSettings(port=0, home=home)) as address:
        yield address


@pytest.fixture(autouse=True)
def people_of_its_own(_own_home: None, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whom other tests know, this service does not."""
    monkeypatch.setenv("MIEN_HOME", str(home))


@pytest.fixture(scope="session")
def face_film(astronaut: ImageArray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("films") / "face.mp4", astronaut, "libx264")


@pytest.fixture(scope="session")
def undecodable_film(astronaut: ImageArray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MPEG-4 Part 2, which no browser plays."""
    return film(tmp_path_factory.mktemp("films") / "old.mp4", astronaut, "mpeg4", seconds=2)


@pytest.fixture(scope="session")
def portrait_png(astronaut: ImageArray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "astronaut.png"
    Image.fromarray(astronaut).save(path)
    return path


@pytest.fixture(scope="module")
def browser(astronaut: ImageArray, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Of one module: while it is open, an event loop runs in this thread, and no other can."""
    if chromium.CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium")
    camera = film(tmp_path_factory.mktemp("camera") / "face.mjpeg", astronaut, "mjpeg")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        found = chromium.launch(playwright, camera)
        yield found
        found.close()


@dataclass
class Log:
    """What a page asked for, and what went wrong in it."""

    sent: list[str] = field(default_factory=list)
    sockets: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


Open = Callable[..., Page]


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def visit(browser: Browser, at: str, log: Log) -> Iterator[Open]:
    """A page of a reader who has never been here; view, place and more as they may be asked for."""
    contexts: list[BrowserContext] = []

    def go(
        view: str = "picture",
        place: str = "device",
        script: str = "",
        at: str = at,
        **options: Any,
    ) -> Page:
        wanted: dict[str, Any] = {"locale": "en-GB"} | options
        context = browser.new_context(**wanted)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        context.add_init_script(
            f"localStorage.getItem('mien.place') ?? "
            f"localStorage.setItem('mien.place', '{place}'); {script}"
        )
        page = context.new_page()
        _listen(context, page, at, log)
        page.goto(f"{at}/#{view}")
        return page

    yield go
    for context in contexts:
        context.close()
    assert log.errors == []
    assert log.elsewhere == []


@pytest.fixture
def visit_device(visit: Open, log: Log) -> Iterator[Open]:
    """As ``visit``, where nothing may leave the browser: no body, no query, no stream."""
    yield visit
    assert log.sent == []
    assert log.sockets == []


def _listen(context: BrowserContext, page: Page, at: str, log: Log) -> None:
    def asked(request: Any) -> None:
        local = request.url.startswith((at, "blob:", "data:"))
        if not local:
            log.elsewhere.append(request.url)
        if request.method not in ("GET", "HEAD") or request.post_data_buffer or "?" in request.url:
            log.sent.append(f"{request.method} {request.url}")

    context.on("request", asked)
    page.on("websocket", lambda socket: log.sockets.append(socket.url))
    page.on("pageerror", lambda error: log.errors.append(str(error)))
