"""Pictures in: the only place that knows file formats, colour models and EXIF.

Everything leaves as (H, W, 3) uint8 RGB, upright. Pillow reads the header first, so a picture that
is too large is refused before a byte of it is decoded; OpenCV takes the TIFFs Pillow has no mode
for (16 bits a colour).
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from .errors import ImageError, InputError, ShapeError
from .face import ImageArray

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 200_000_000
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"})
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "MPO")  # MPO: what stereo phones call JPEG
_WIDE_MODES = ("I;16", "I;16L", "I;16B", "I")  # 16 bits of gray; Pillow's own conversion clips


def read(source: str | os.PathLike[str] | bytes | npt.NDArray[np.generic]) -> ImageArray:
    """A picture from a file, its bytes, or an array, as (H, W, 3) uint8 RGB.

    An array is taken as RGB already: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), uint8 or uint16.
    Raises ImageError for a file that cannot be read, ShapeError for an array of another shape.
    """
    if isinstance(source, np.ndarray):
        return from_array(source)
    if isinstance(source, bytes):
        return read_bytes(source, "these bytes")
    return read_file(Path(source))


def read_file(path: Path) -> ImageArray:
    """The picture in a file; raises ImageError with the reason."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ImageError(f"no such file: {path}") from None
    except OSError as err:
        raise ImageError(f"cannot read {path}: {err.strerror}") from err
    return read_bytes(content, str(path))


def read_bytes(content: bytes, name: str) -> ImageArray:
    """The picture in encoded bytes; ``name`` is what an error calls it."""
    from PIL import Image, UnidentifiedImageError

    if not content:
        raise ImageError(f"{name} is empty (0 bytes)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of what MAX_PIXELS decides here
            with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
                _refuse_too_large(picture.width, picture.height, name)
                return _decode(picture)
    except UnidentifiedImageError:
        return _opencv_tiff(content, name)
    except Image.DecompressionBombError as err:
        raise ImageError(f"{name} is too large: {err}; the limit is {MAX_PIXELS} pixels") from err
    except (OSError, SyntaxError, ValueError, EOFError) as err:
        raise ImageError(f"{name} is damaged or cut short: {err}") from err


def _refuse_too_large(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{name} has {width} x {height} = {width * height / 1e6:.0f} megapixels, "
            f"more than the {MAX_PIXELS / 1e6:.0f} mien decodes; make it smaller first"
        )


def _decode(picture: Image.Image) -> ImageArray:
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(picture)
    if upright.mode in _WIDE_MODES:
        return from_array(np.asarray(upright).astype(np.uint16))
    if upright.has_transparency_data:
        return from_array(np.asarray(upright.convert("RGBA")))
    return np.array(upright.convert("RGB"))


def _opencv_tiff(content: bytes, name: str) -> ImageArray:
    """16-bit colour TIFFs; anything else here is no picture at all."""
    if content[:4] not in (b"II*\x00", b"MM\x00*"):
        raise ImageError(
            f"{name} is not a picture mien reads (JPEG, PNG, WebP, TIFF, BMP, GIF), "
            "whatever its name says"
        )
    bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if bgr is None:
        raise ImageError(f"{name} is a damaged TIFF, or of a kind mien does not read")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def from_array(pixels: npt.NDArray[np.generic]) -> ImageArray:
    """An array as (H, W, 3) uint8 RGB: gray repeated, alpha laid over white, 16 bits to 8."""
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ShapeError(
            f"a picture is uint8 0..255 (or uint16), got {pixels.dtype}; "
            "for floats in [0, 1]: (x * 255).round().astype(np.uint8)"
        )
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or 0 in pixels.shape:
        raise ShapeError(
            f"a picture is (H, W), (H, W, 3) or (H, W, 4), got {pixels.shape} - channels first?"
        )
    _refuse_too_large(pixels.shape[1], pixels.shape[0], "this array")
    levels = pixels if pixels.dtype == np.uint8 else pixels >> 8  # type: ignore[operator]
    if levels.shape[2] == 4:
        alpha = levels[:, :, 3:].astype(np.uint16)
        levels = (levels[:, :, :3] * alpha + 255 * (255 - alpha) + 127) // 255
    rgb = np.broadcast_to(levels, (*levels.shape[:2], 3))
    return np.ascontiguousarray(rgb, dtype=np.uint8)


def find(inputs: Iterable[str]) -> Iterator[Path]:
    """The picture files meant by paths, folders (recursive, sorted) and glob patterns.

    A path that is a file is taken whatever its name; in folders the suffix decides. Raises
    InputError for a path that does not exist and for a pattern or folder without a picture.
    """
    for text in inputs:
        path = Path(text).expanduser()
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from _non_empty(_in_folder(path), f"no picture in folder {path}")
        elif any(c in text for c in "*?["):
            yield from _non_empty(_matching(path), f"no picture matches {text}")
        else:
            raise InputError(f"no such file or folder: {text}")


def _in_folder(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            if Path(name).suffix.lower() in SUFFIXES:
                yield Path(root, name)


def _matching(pattern: Path) -> Iterator[Path]:
    import glob

    for text in sorted(glob.glob(str(pattern), recursive=True)):
        path = Path(text)
        if path.is_dir():
            yield from _in_folder(path)
        elif path.suffix.lower() in SUFFIXES:
            yield path


def _non_empty(paths: Iterator[Path], message: str) -> Iterator[Path]:
    first = next(paths, None)
    if first is None:
        raise InputError(message)
    yield first
    yield from paths
