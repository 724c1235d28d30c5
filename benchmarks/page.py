"""Pages that read faces on the device, in Debian's Chromium: mien's, and its peers' beside it.

How much a first visit brings over the line; how long a reader who was never here waits for the
first figures, from the address and from a picture that is chosen as soon as the page is shown; the
next picture; and the camera live. Everything is computed in WebAssembly, on one thread. The camera
is a film of a real face of 640 x 480 at 30 frames a second.

The peers are human and face-api, npm's packages of their own authors, each in a page of a few lines
(``page_peers``) that finds faces with landmarks and reads their expressions, of every frame anew.
npm installs them into ``build/page_peers``, which nothing else reads.

    python -m benchmarks.page
"""

from __future__ import annotations

import contextlib
import csv
import functools
import gzip
import http.server
import io
import json
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import typer
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from skimage import data

from mien import provenance
from mien.service import server
from mien.service.assets import assets
from mien.service.settings import ServiceSettings
from tests.web import chromium
from tests.web.films import film

HERE = Path(__file__).parent
OUT = HERE / "results" / "page.json"
PEER_PAGES = HERE / "page_peers"
INSTALLED = HERE.parent / "build" / "page_peers"
PACKAGES = {
    "human": "@vladmandic/human@3.3.6",
    "face-api": "@vladmandic/face-api@1.7.15",
    "runtime": "@tensorflow/tfjs-backend-wasm@4.22.0",  # which both compute with
}
REPEATS = 7
SETTLES_MS = 2000


# -- how it is measured: the same for every page --------------------------------------------------


def pictures(browser: Browser, at: str, picture: Path, shown: str) -> dict[str, Any]:
    """Milliseconds until a picture's figures are there: in a new browser's page, and once more.

    shown : what there is one of for each picture.
    """
    address, cold, warm = [], [], []
    for _ in range(REPEATS):
        page = browser.new_page()
        begun = time.perf_counter()
        page.goto(at)
        cold.append(_chosen(page, picture, shown, 1))
        address.append(1000 * (time.perf_counter() - begun))
        warm.append(_chosen(page, picture, shown, 2))
        page.context.close()
    return {"address_ms": _spread(address), "cold_ms": _spread(cold), "warm_ms": _spread(warm)}


def _chosen(page: Page, picture: Path, shown: str, count: int) -> float:
    begun = time.perf_counter()
    page.set_input_files("input[type=file]", picture)
    page.locator(shown).nth(count - 1).wait_for()
    return 1000 * (time.perf_counter() - begun)


def _spread(found: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(found), 1),
        "least": round(min(found), 1),
        "most": round(max(found), 1),
        "n": len(found),
    }


def _live(times_s: list[float], late_ms: list[float], seconds: float) -> dict[str, Any]:
    """Answers a second of the last so many seconds, and how late they were."""
    recent = [t for t in times_s if t > times_s[-1] - seconds]
    return {
        "answers_per_s": round((len(recent) - 1) / (recent[-1] - recent[0]), 1),
        "late_ms": {
            "p50": round(float(np.percentile(late_ms, 50)), 1),
            "p95": round(float(np.percentile(late_ms, 95)), 1),
        },
        "seconds": seconds,
    }


# -- mien's page ----------------------------------------------------------------------------------


def weight() -> dict[str, float]:
    """What a first visit brings over the line, in MB."""
    sizes = {asset.path: asset.file.stat().st_size / 1e6 for asset in assets().values()}
    networks = sum(size for path, size in sizes.items() if path.startswith("/weights"))
    runtime = sum(size for path, size in sizes.items() if "ort-wasm" in path)
    return {
        "page": round(sum(sizes.values()) - networks - runtime, 3),
        "runtime": round(runtime, 3),
        "networks": round(networks, 3),
    }


def live(browser: Browser, at: str, seconds: float) -> dict[str, Any]:
    """The camera's view, after the first two seconds: what it says itself, and what it saves."""
    page = browser.new_page()
    page.goto(f"{at}/#live")
    page.get_by_role("button", name="Turn the camera on").click()
    page.locator("table.bars").wait_for()
    page.wait_for_timeout(SETTLES_MS)
    late = []
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        told = page.get_by_test_id("latency").inner_text()
        late.append(float(told.split()[0].replace(",", "")))
        page.wait_for_timeout(200)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save these figures (CSV)").click()
    rows = csv.DictReader(io.StringIO(saved.value.path().read_text("utf-8-sig")))
    times = [float(row["time_s"]) for row in rows]
    page.context.close()
    return _live(times, late, seconds)


def mien(browser: Browser, place: Path, picture: Path, seconds: float) -> dict[str, Any]:
    with server.running(ServiceSettings(port=0, home=place)) as at:
        return {
            "weight_mb": weight(),
            "pictures": pictures(browser, at, picture, "table.bars"),
            "live": live(browser, at, seconds),
        }


# -- the peers' -----------------------------------------------------------------------------------


def install() -> None:
    """The peers' packages, as npm has them."""
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("no npm, which installs the peers: apt-get install npm")
    INSTALLED.mkdir(parents=True, exist_ok=True)
    quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--no-save", "--silent")
    subprocess.run([npm, "install", *quiet, *PACKAGES.values()], cwd=INSTALLED, check=True)


class _Files(http.server.SimpleHTTPRequestHandler):
    """The peers' pages, and what npm installed; compressed once, as mien's page is."""

    protocol_version = "HTTP/1.1"

    def __init__(self, sent: dict[str, int], *args: Any) -> None:
        self._sent = sent
        super().__init__(*args)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        under = INSTALLED if path.startswith("/node_modules/") else PEER_PAGES
        file = under / path[1:]
        if not file.is_file():
            self.send_error(404)
            return
        content = _compressed(file)
        self._sent[path] = len(content)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing: what is sent is counted."""


@functools.cache
def _compressed(file: Path) -> bytes:
    return gzip.compress(file.read_bytes(), 9)


@contextlib.contextmanager
def _serving() -> Iterator[tuple[str, dict[str, int]]]:
    """The address of the peers' pages, and the sizes of the files that were asked for."""
    sent: dict[str, int] = {}
    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Files, sent))
    thread = threading.Thread(target=serving.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{serving.server_address[1]}", sent
    finally:
        serving.shutdown()
        thread.join()
        serving.server_close()


def peer(browser: Browser, name: str, picture: Path, seconds: float) -> dict[str, Any]:
    with _serving() as (at, sent):
        page = browser.new_page()
        page.goto(f"{at}/{name}.html")
        _chosen(page, picture, "li", 1)
        said = max(json.loads(page.locator("li").inner_text())[0], key=lambda one: one[1])
        page.context.close()
        weight_mb = _weight(sent)
        return {
            "package": PACKAGES[name],
            "says": said,
            "weight_mb": weight_mb,
            "pictures": pictures(browser, f"{at}/{name}.html", picture, "li"),
            "live": peer_live(browser, f"{at}/{name}.html", seconds),
        }


def _weight(sent: dict[str, int]) -> dict[str, float]:
    """As ``weight``: "page" is the package's script."""
    kinds = {"page": 0, "runtime": 0, "networks": 0}
    for path, size in sent.items():
        networks = "/models/" in path or "/model/" in path
        kinds["networks" if networks else "runtime" if path.endswith(".wasm") else "page"] += size
    return {kind: round(size / 1e6, 3) for kind, size in kinds.items()}


def peer_live(browser: Browser, at: str, seconds: float) -> dict[str, Any]:
    page = browser.new_page()
    page.goto(at)
    page.get_by_role("button", name="camera").click()
    page.locator("li").wait_for()
    page.wait_for_timeout(SETTLES_MS + 1000 * seconds)
    answers = page.evaluate("answers")
    page.context.close()
    recent = [(t, late) for t, late in answers if t > answers[-1][0] - 1000 * seconds]
    return _live([t / 1000 for t, _ in recent], [late for _, late in recent], seconds)


def main(seconds: float = 20.0) -> None:
    install()
    portrait = np.asarray(data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        place = Path(folder)
        Image.fromarray(portrait).save(place / "portrait.png")
        camera = film(place / "camera.mjpeg", portrait, "mjpeg", seconds=10, fps=30)
        browser = chromium.launch(playwright, camera)
        picture = place / "portrait.png"
        result = (
            provenance.environment()
            | {"chromium": browser.version}
            | mien(browser, place, picture, seconds)
            | {"peers": {n: peer(browser, n, picture, seconds) for n in ("human", "face-api")}}
        )
        browser.close()
    OUT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    typer.run(main)
