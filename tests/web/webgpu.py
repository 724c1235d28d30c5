"""The browser package in Chromium with a GPU, for which a program stands in."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from playwright.sync_api import Browser, Page, Route

from ..browser.node import PACKAGE, SHIPPED, WEB

FLAGS = (
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-features=Vulkan",
)
RUNTIME = WEB / "node_modules" / "onnxruntime-web" / "dist"
BUILD = "ort.jspi.bundle.min.mjs"
"""ONNX Runtime with WebGPU, for browsers whose WebAssembly can wait for it."""
_AT = "http://localhost:9"  # nobody listens there: every file comes from this folder or that
_FOLDERS = {"mien": PACKAGE, "weights": SHIPPED, "runtime": RUNTIME}


def page(browser: Browser) -> Page:
    """A page that has the package, its networks and the runtime at hand, and nothing else."""
    found = browser.new_page()
    found.set_default_timeout(180_000)
    found.route("**/*", _given)
    found.goto(f"{_AT}/")
    found.evaluate(
        f"""async () => {{
          window.runtime = await import("/runtime/{BUILD}");
          runtime.env.wasm.wasmPaths = "/runtime/";
          runtime.env.wasm.numThreads = 1;
        }}"""
    )
    return found


def _given(route: Route) -> None:
    folder, _, rest = route.request.url.removeprefix(f"{_AT}/").partition("/")
    if not folder:
        route.fulfill(body="<!doctype html><title>mien-web</title>", content_type="text/html")
        return
    path: Path = _FOLDERS[folder] / rest if folder in _FOLDERS else PACKAGE / "none"
    if not path.is_file():
        route.fulfill(status=404)
        return
    kind = mimetypes.guess_type(path.name.replace(".mjs", ".js"))[0] or "application/octet-stream"
    route.fulfill(body=path.read_bytes(), content_type=kind)
