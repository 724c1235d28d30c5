"""Services that come and go: each is a program of its own, so that it can be killed and renewed."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import mien

SOURCE = Path(mien.__file__).parent
PATIENCE_S = 60


@contextmanager
def service(
    port: int, home: Path, code: Path = SOURCE.parent, gently: bool = False
) -> Iterator[str]:
    """``mien serve`` and its address; killed in the end, as by a power cut, or gently stopped.

    code : of ``renewed``.
    """
    environment = os.environ | {"MIEN_HOME": str(home), "PYTHONPATH": str(code)}
    command = [sys.executable, "-m", "mien", "serve", "--port", str(port)]
    at = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as program:
        try:
            _wait_for(f"{at}/readyz", program)
            yield at
        finally:
            program.terminate() if gently else program.kill()


def renewed(folder: Path) -> Path:
    """mien of another version: its page has another script, its records another schema."""
    code = folder / "mien"
    shutil.copytree(SOURCE, code, ignore=shutil.ignore_patterns("__pycache__"))
    page = code / "service" / "page"
    (script,) = page.glob("assets/index-*.js.gz")
    script.rename(script.with_name("index-another.js.gz"))
    for name in ("index.html.gz", "sw.js.gz"):
        _replace(page / name, script.name.removesuffix(".gz"), "index-another.js")
    for name in ("results/records.py", "results/schema.py"):
        path = code / name
        path.write_text(path.read_text().replace('"mien/2"', '"mien/9"'))
    return folder


def _replace(path: Path, old: str, new: str) -> None:
    text = gzip.decompress(path.read_bytes()).decode()
    assert old in text
    path.write_bytes(gzip.compress(text.replace(old, new).encode()))


def _wait_for(address: str, program: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends:
        assert program.poll() is None, "the service ended by itself"
        try:
            urlopen(address, timeout=5).close()
            return
        except (URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"{address} does not answer")
