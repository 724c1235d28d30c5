"""Pictures of the page.

``python web/screenshots.py`` from the root makes those in docs/images anew.
``python web/screenshots.py FOLDER`` puts every view into a folder, to be looked at: as wide as a
desk's screen and as a phone's, light and dark, and in Arabic, which goes from right to left.

The face is NASA's portrait of Eileen Collins, in the public domain, which scikit-image brings.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright
from skimage import data

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from mien.service import server  # noqa: E402
from mien.service.settings import ServiceSettings  # noqa: E402
from tests.web import chromium  # noqa: E402
from tests.web.films import film  # noqa: E402

IMAGES = ROOT / "docs" / "images"
DESK: ViewportSize = {"width": 1290, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
QUALITY = 82
HIGHEST = 2400
FILE = "input[type=file]"
WORDS = {
    "en-GB": {"camera": "Turn the camera on", "read": "Read the film", "begin": "Begin"},
    "ar": {"camera": "شغّل الكاميرا", "read": "اقرأ الفيديو", "begin": "ابدأ"},
}
"""What is pressed, in the languages that pictures are made in."""


class Shown:
    """A page, in a language, with what its views are shown with."""

    def __init__(self, page: Page, place: Path, locale: str) -> None:
        self.page, self._place, self._locale = page, place, locale

    def press(self, word: str) -> None:
        name = WORDS[self._locale][word]
        self.page.get_by_role("button", name=name, exact=True).click()

    def picture(self) -> None:
        for _ in range(3):  # the first ones are read while the networks warm up
            for before in self.page.locator("article header button").all():
                before.click()
            self.page.set_input_files(FILE, self._place / "astronaut.png")
            self.page.locator("table.bars").wait_for()

    def live(self) -> None:
        self.press("camera")
        self.page.locator("table.bars").wait_for()
        self.page.wait_for_timeout(12_000)

    def film(self) -> None:
        self.page.set_input_files(FILE, self._place / "portrait.mp4")
        self.press("read")
        self.page.get_by_role("progressbar").wait_for()
        self.page.get_by_role("progressbar").wait_for(state="detached")
        self.page.evaluate("document.querySelector('video').currentTime = 1.4")
        self.page.wait_for_timeout(1000)

    def person(self) -> None:
        form = self.page.locator("form.card")
        for i, text in enumerate(("Ann", "Ann, for herself")):
            form.locator("input").nth(i).fill(text)
        form.locator("button.main").click()
        self.page.locator("input[data-testid=samples]").wait_for(state="attached")

    def rules(self) -> None:
        self.press("camera")
        self.page.locator("table.bars").wait_for()

    def models(self) -> None:
        self.page.locator("article").first.wait_for()

    def about(self) -> None:
        self.page.locator(".prose").wait_for()


VIEWS: dict[str, Callable[[Shown], None]] = {
    "picture": Shown.picture,
    "live": Shown.live,
    "film": Shown.film,
    "rules": Shown.rules,
    "models": Shown.models,
    "about": Shown.about,
    "person": Shown.person,
}


def visited(browser: Browser, at: str, view: str, place: Path, locale: str = "en-GB") -> Page:
    """The page at a view, with something in it."""
    page = browser.new_page(locale=locale, viewport=DESK)
    page.goto(f"{at}/#{view}")
    VIEWS[view](Shown(page, place, locale))
    return page


def for_the_docs(browser: Browser, at: str, place: Path) -> None:
    for view in ("picture", "live", "film"):
        page = visited(browser, at, view, place)
        if view == "film":
            page.mouse.wheel(0, 230)
            page.wait_for_timeout(1000)
        page.screenshot(path=IMAGES / f"page-{view}.jpg", type="jpeg", quality=QUALITY)
        page.close()


def of_every_view(browser: Browser, at: str, place: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for locale, schemes in (("en-GB", SCHEMES), ("ar", SCHEMES[:1])):
        for view in VIEWS:
            page = visited(browser, at, view, place, locale)
            for size, name in ((DESK, "desk"), (PHONE, "phone")):
                page.set_viewport_size(size)
                high = page.evaluate("document.documentElement.scrollHeight")
                # As high as the page, so that its foot stands at its end.
                page.set_viewport_size({"width": size["width"], "height": min(high, HIGHEST)})
                for scheme in schemes:
                    page.emulate_media(color_scheme=scheme)
                    page.wait_for_timeout(300)
                    page.screenshot(path=out / f"{view}-{locale[:2]}-{name}-{scheme}.png")
            page.close()


def main(folder: Annotated[Path | None, typer.Argument()] = None) -> None:
    portrait = np.asarray(data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        place = Path(temporary)
        Image.fromarray(portrait).save(place / "astronaut.png")
        film(place / "portrait.mp4", portrait, "libx264")
        browser = chromium.launch(playwright, film(place / "camera.mjpeg", portrait, "mjpeg"))
        with server.running(ServiceSettings(port=0, home=place)) as at:
            if folder is None:
                for_the_docs(browser, at, place)
            else:
                of_every_view(browser, at, place, folder)
        browser.close()


if __name__ == "__main__":
    typer.run(main)
