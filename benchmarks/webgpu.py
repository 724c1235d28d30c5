"""Whether the page should have WebGPU: what it would weigh, and how much of the networks it takes.

The weight of ONNX Runtime's builds, compressed as the page's files are; and of each network in
Chromium, where a program stands in for the GPU: which operations the GPU has no kernel for, and how
often numbers go to it and come back in one run. How quick a GPU would be cannot be told so.

    make web && python -m benchmarks.webgpu
"""

from __future__ import annotations

import gzip
import json
import lzma
import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from mien import provenance
from tests.web import chromium, webgpu

OUT = Path(__file__).parent / "results" / "webgpu.json"
NETWORKS = ("mien", "landmarks68", "proposals")
BUILDS = {
    "wasm": "ort-wasm-simd-threaded.wasm",
    "webgpu, where WebAssembly can wait (JSPI)": "ort-wasm-simd-threaded.jspi.wasm",
    "webgpu, everywhere (Asyncify)": "ort-wasm-simd-threaded.asyncify.wasm",
}
LOAD = """async (name) => {
  runtime.env.logLevel = "info";
  const file = new Uint8Array(await (await fetch(`/weights/${name}.onnx`)).arrayBuffer());
  const options = { executionProviders: ["webgpu", "wasm"], logSeverityLevel: 1 };
  const session = await runtime.InferenceSession.create(file, options);
  return session.outputNames.length;
}"""
MISSING = re.compile(r"webgpu kernel not found in registries for Op type: (\w+) node name: (\w+)")
COPY = re.compile(r"(MemcpyFromHost after|MemcpyToHost before)")


def weights_mb() -> dict[str, dict[str, float]]:
    """Of each build: plain, as browsers get it, and as small as Python's library can make it."""
    found = {}
    for name, file in BUILDS.items():
        content = (webgpu.RUNTIME / file).read_bytes()
        packed = {
            "plain": content,
            "gzip": gzip.compress(content, 9),
            "xz": lzma.compress(content, preset=9),
        }
        found[name] = {how: round(len(made) / 1e6, 2) for how, made in packed.items()}
    return found


def placed(browser: Browser, network: str) -> dict[str, Any]:
    """Of one network: operations that are left to the processor, and copies in one run."""
    page, said = webgpu.page(browser), []
    page.on("console", lambda message: said.append(message.text))
    page.evaluate(LOAD, network)
    page.context.close()
    told = "\n".join(said)
    copies = Counter(COPY.findall(told))
    return {
        "without_a_kernel": dict(Counter(kind for kind, _ in set(MISSING.findall(told)))),
        "copies_to_the_gpu": copies["MemcpyFromHost after"],
        "copies_back": copies["MemcpyToHost before"],
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        camera = Path(folder) / "no-camera.mjpeg"
        browser = chromium.launch(playwright, camera, *webgpu.FLAGS)
        result = provenance.environment() | {
            "chromium": browser.version,
            "runtime": json.loads((webgpu.RUNTIME.parent / "package.json").read_text())["version"],
            "weights_mb": weights_mb(),
            "networks": {name: placed(browser, name) for name in NETWORKS},
        }
        browser.close()
    OUT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
