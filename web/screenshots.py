"""The pictures of the page in docs/images, anew: ``python web/screenshots.py`` from the root.

The face is NASA's portrait of Eileen Collins, in the public domain, which scikit-image brings.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from skimage import data

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from mien.service import server  # noqa: E402
from mien.service.settings import ServiceSettings  # noqa: E402
from tests.web import chromium  # noqa: E402
from tests.web.films import film  # noqa: E402

IMAGES = ROOT / "docs" / "images"
SIZE = {"width": 1290, "height": 800}
QUALITY = 82


def picture(page: Page, place: Path) -> None:
    for _ in range(3):  # the first ones are read while the networks warm up
        for before in page.get_by_role("button", name="Remove").all():
            before.click()
        page.set_input_files("input[type=file]", place / "astronaut.png")
        page.locator("table.bars").wait_for()


def live(page: Page, place: Path) -> None:
    page.get_by_role("button", name="Turn the camera on").click()
    page.locator("table.bars").wait_for()
    page.wait_for_timeout(12_000)


def watched(page: Page, place: Path) -> None:
    page.set_input_files("input[type=file]", place / "portrait.mp4")
    page.get_by_role("button", name="Read the film").click()
    page.get_by_role("button", name="Save").wait_for()
    page.evaluate("document.querySelector('video').currentTime = 1.4")
    page.mouse.wheel(0, 230)
    page.wait_for_timeout(1000)


def main() -> None:
    portrait = np.asarray(data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        place = Path(folder)
        Image.fromarray(portrait).save(place / "astronaut.png")
        film(place / "portrait.mp4", portrait, "libx264")
        camera = film(place / "camera.mjpeg", portrait, "mjpeg")
        browser = chromium.launch(playwright, camera)
        with server.running(ServiceSettings(port=0, home=place)) as at:
            for view, show in {"picture": picture, "live": live, "film": watched}.items():
                page = browser.new_page(locale="en-GB", viewport=SIZE)  # type: ignore[arg-type]
                page.goto(f"{at}/#{view}")
                show(page, place)
                out = IMAGES / f"page-{view}.jpg"
                page.screenshot(path=out, type="jpeg", quality=QUALITY)
                page.close()


if __name__ == "__main__":
    main()
