"""Debian's Chromium, as tests, benchmarks and screenshots begin it: its camera is a film."""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import Browser, Playwright

CHROMIUM = shutil.which("chromium")


def launch(playwright: Playwright, camera: Path, *flags: str) -> Browser:
    """A browser that nobody has used, whose camera is allowed and shows a film.

    camera : of `films.film`, as "mjpeg".
    """
    return playwright.chromium.launch(
        executable_path=CHROMIUM,
        args=[
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={camera}",
            *flags,
        ],
    )
