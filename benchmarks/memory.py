"""What the worst pictures and recordings take: peak memory of ``mien analyze`` on each, as JSON.

    python benchmarks/memory.py [NAME...] > benchmarks/results/memory.json

Each is as large as mien reads its kind, or larger; made from nothing, flat, so that few bytes stand
for all of it. ``worst()`` gives them to whoever else wants them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from struct import pack
from typing import Any

from PIL import Image

from mien import provenance

MOST_MB = 1500.0
"""What any picture or recording may take."""

Maker = Callable[[Path], None]


def png(width: int, height: int, kind: int = 2, bits: int = 8) -> Maker:
    """kind : 0 gray, 2 RGB, 3 palette, 4 gray with alpha, 6 with alpha."""
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]

    def chunk(name: bytes, content: bytes) -> bytes:
        check = zlib.crc32(name + content)
        return pack(">I", len(content)) + name + content + pack(">I", check)

    def make(path: Path) -> None:
        packer = zlib.compressobj(9)
        row = b"\0" + bytes((width * samples * bits + 7) // 8)
        packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
        head = pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
        palette = chunk(b"PLTE", bytes(768)) + chunk(b"tRNS", bytes(2)) if kind == 3 else b""
        body = chunk(b"IHDR", head) + palette + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)

    return make


def webp(side: int) -> Maker:
    """34 bytes: a flat picture has codes of no bits, so that any size is as good as 16 x 16."""

    def make(path: Path) -> None:
        out = BytesIO()
        Image.new("RGB", (16, 16)).save(out, "WEBP", lossless=True)
        content = bytearray(out.getvalue())
        at = content.index(b"\x2f", 20) + 1
        said = int.from_bytes(content[at : at + 4], "little") & ~((1 << 28) - 1)
        size = (side - 1) | (side - 1) << 14
        content[at : at + 4] = (said | size).to_bytes(4, "little")
        path.write_bytes(content)

    return make


def saved(kind: str, mode: str, width: int, height: int, **options: Any) -> Maker:
    """By Pillow, flat."""

    def make(path: Path) -> None:
        Image.new(mode, (width, height)).save(path, kind, **options)

    return make


def film(codec: str, pixels: str, side: int, suffix: str) -> Maker:
    """Eight frames, by FFmpeg."""

    def make(path: Path) -> None:
        source = ["-f", "lavfi", "-i", f"color=gray:s={side}x{side}:r=8:d=1"]
        words = ["ffmpeg", "-v", "error", "-y", *source, "-c:v", codec, "-pix_fmt", pixels]
        quick = ["-preset", "ultrafast"] if codec == "libx264" else []
        subprocess.run([*words, *quick, "-f", suffix, str(path)], check=True)

    return make


def worst() -> dict[str, Maker]:
    """A name with the suffix of each, and what makes the file."""
    turned = Image.Exif()
    turned[0x0112] = 6
    return {
        "largest-rgb.png": png(13_300, 13_300),
        "largest-alpha.png": png(13_300, 13_300, 6),
        "largest-16-bits.png": png(12_500, 12_500, 2, 16),
        "largest-palette.png": png(14_100, 14_100, 3),
        "too-large-rgb.png": png(14_100, 14_100),
        "largest.webp": webp(7_200),
        "too-large.webp": webp(14_100),
        "largest.jpg": saved("JPEG", "RGB", 13_300, 13_300),
        "largest-turned.jpg": saved("JPEG", "RGB", 13_300, 13_300, exif=turned),
        "largest-progressive.jpg": saved("JPEG", "RGB", 11_100, 11_100, progressive=True),
        "largest-cmyk.jpg": saved("JPEG", "CMYK", 13_300, 13_300),
        "largest.gif": saved("GIF", "P", 14_100, 14_100),
        "largest.tif": saved("TIFF", "RGB", 12_500, 12_500, compression="tiff_lzw"),
        "largest.bmp": saved("BMP", "RGB", 11_000, 11_000),
        "largest.mp4": film("libx264", "yuv420p", 7_000, "mp4"),
        "largest-16-bits.mkv": film("ffv1", "gbrp16le", 4_000, "matroska"),
        "too-deep.mkv": film("ffv1", "gbrp16le", 7_000, "matroska"),
        "too-large.mp4": film("libx264", "yuv420p", 14_100, "mp4"),
    }


BESIDE = "largest among those read ahead"


def among_others(folder: Path) -> None:
    """Two of the largest, and before, between and behind them what may just be read ahead."""
    ahead, large = png(2_610, 2_610), png(13_300, 13_300)
    for number, make in enumerate([*[ahead] * 8, large, large, *[ahead] * 8]):
        make(folder / f"{number:02d}.png")


def peak_of(words: list[str]) -> dict[str, Any]:
    """Peak memory of a process in MB, its seconds, its status, and the last thing it said."""
    began = time.monotonic()
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr
        said = process.stderr.read().decode(errors="replace").strip().splitlines()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "peak_mb": round(used.ru_maxrss / 1024),
        "seconds": round(time.monotonic() - began, 1),
        "status": process.returncode,
        "said": said[-1] if said else "",
    }


def measured(names: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each of ``worst``, or those that are named; one file at a time is on the disk."""
    with tempfile.TemporaryDirectory() as folder:
        for name, make in worst().items():
            if not names or name in names:
                path = Path(folder, name)
                make(path)
                size = path.stat().st_size
                found = peak_of([sys.executable, "-m", "mien", "analyze", str(path)])
                path.unlink()
                said = found["said"].replace(f"{folder}/", "")
                yield name, {"bytes": size, **found, "said": said}
        if not names or BESIDE in names:
            among_others(Path(folder))
            yield BESIDE, peak_of([sys.executable, "-m", "mien", "analyze", folder])


def main() -> int:
    told, found = provenance.environment(), {}
    for name, result in measured(sys.argv[1:]):
        print(f"{name}: {result}", file=sys.stderr)
        found[name] = result
    print(json.dumps(told | {"most_mb": MOST_MB, "peaks": found}, indent=2))
    return int(any(r["peak_mb"] > MOST_MB or r["status"] not in (0, 1) for r in found.values()))


if __name__ == "__main__":
    sys.exit(main())
