"""The page in Debian's Chromium: what it weighs, its first face and the next, and the camera live.

Faces are read on the device, in WebAssembly. Cold is a reader who was never here: from a picture
that is chosen as soon as the page is shown to its figures. The camera is a film of a real face of
640 x 480 at 30 frames a second.

    python -m benchmarks.page
"""

from __future__ import annotations

import csv
import io
import json
import statistics
import tempfile
import time
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

OUT = Path(__file__).parent / "results" / "page.json"
REPEATS = 7


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


def pictures(browser: Browser, at: str, picture: Path) -> dict[str, Any]:
    """Milliseconds from a chosen picture to its figures: in a new browser's page, and once more."""
    cold, warm = [], []
    for _ in range(REPEATS):
        page = browser.new_page()
        page.goto(at)
        cold.append(_chosen(page, picture, 1))
        warm.append(_chosen(page, picture, 2))
        page.context.close()
    return {"cold_ms": _spread(cold), "warm_ms": _spread(warm)}


def _chosen(page: Page, picture: Path, count: int) -> float:
    begun = time.perf_counter()
    page.set_input_files("input[type=file]", picture)
    page.locator("table.bars").nth(count - 1).wait_for()
    return 1000 * (time.perf_counter() - begun)


def live(browser: Browser, at: str, seconds: float) -> dict[str, Any]:
    """Answers a second, and how late each was, after the first two seconds."""
    page = browser.new_page()
    page.goto(f"{at}/#live")
    page.get_by_role("button", name="Turn the camera on").click()
    page.locator("table.bars").wait_for()
    page.wait_for_timeout(2000)
    late = []
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        late.append(float(page.get_by_test_id("latency").inner_text().split()[0]))
        page.wait_for_timeout(200)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save these figures (CSV)").click()
    rows = csv.DictReader(io.StringIO(saved.value.path().read_text("utf-8-sig")))
    times = [float(row["time_s"]) for row in rows]
    recent = [t for t in times if t > times[-1] - seconds]
    page.context.close()
    return {
        "answers_per_s": round((len(recent) - 1) / (recent[-1] - recent[0]), 1),
        "late_ms": {"p50": np.percentile(late, 50), "p95": np.percentile(late, 95)},
        "seconds": seconds,
    }


def _spread(found: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(found), 1),
        "least": round(min(found), 1),
        "most": round(max(found), 1),
        "n": len(found),
    }


def main(seconds: float = 20.0) -> None:
    portrait = np.asarray(data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        place = Path(folder)
        Image.fromarray(portrait).save(place / "portrait.png")
        camera = film(place / "camera.mjpeg", portrait, "mjpeg", seconds=10, fps=30)
        browser = chromium.launch(playwright, camera)
        with server.running(ServiceSettings(port=0, home=place)) as at:
            result = provenance.environment() | {
                "chromium": browser.version,
                "weight_mb": weight(),
                "pictures": pictures(browser, at, place / "portrait.png"),
                "live": live(browser, at, seconds),
            }
        browser.close()
    OUT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    typer.run(main)
