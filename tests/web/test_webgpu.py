"""WebGPU in the browser package: what it answers, and what becomes of it when it is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from ..browser import node
from . import chromium, webgpu

LOAD = """async () => {
  const { Analyzer } = await import("/mien/dist/index.js");
  window.load = (...executionProviders) => Analyzer.load({
    models: {
      recognizer: "/weights/mien.onnx",
      landmarks: "/weights/landmarks68.onnx",
      proposals: "/weights/proposals.onnx",
    },
    numbers: "/mien/models/numbers.json",
    runtime,
    executionProviders,
  });
  const data = Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 31) % 251);
  window.probs = async (analyzer) => {
    const [read] = await analyzer.read([{ width: 64, height: 64, channels: 3, data }]);
    return [...read.probs];
  };
  window.onWasm = await load("wasm");
  window.onGpu = await load("webgpu", "wasm");
}"""


@pytest.fixture(scope="module")
def built() -> None:
    if why := node.missing():
        pytest.skip(why)
    node.npm("run", "build")


def browser(tmp_path: Path, *flags: str) -> Iterator[Browser]:
    if chromium.CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        found = chromium.launch(playwright, tmp_path / "no-camera.mjpeg", *flags)
        yield found
        found.close()


def test_a_gpu_that_is_lost_gives_way(built: None, tmp_path: Path) -> None:
    for chosen in browser(tmp_path, *webgpu.FLAGS):
        page = webgpu.page(chosen)
        page.evaluate(LOAD)
        expected = page.evaluate("probs(onWasm)")
        # Sums of other order, in eight bits: a step here and there.
        assert page.evaluate("probs(onGpu)") == pytest.approx(expected, abs=5e-3)
        page.evaluate("async () => (await runtime.env.webgpu.device).destroy()")
        assert page.evaluate("probs(onGpu)") == expected, "read on, without it"


def test_where_there_is_no_gpu_it_is_read_without(built: None, tmp_path: Path) -> None:
    for chosen in browser(tmp_path):
        page = webgpu.page(chosen)
        page.evaluate(LOAD)
        assert page.evaluate("probs(onGpu)") == page.evaluate("probs(onWasm)")
