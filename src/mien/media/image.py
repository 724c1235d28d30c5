"""Pictures in: the only place that knows file formats, colour models and EXIF.

Everything leaves as (H, W, 3) uint8 RGB, upright, over white where it was transparent. The first
bytes say which of Pillow's readers to take (a name or suffix never does), and a reader tells the
size before anything is decoded, so a picture that is too large costs nothing.
"""

from __future__ import annotations

import fnmatch
import importlib
import io
import logging
import math
import os
import stat
import threading
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import ImageError, InputError, ShapeError
from ..face import Frame, ImageArray

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFile import ImageFile

log = logging.getLogger(__name__)

MAX_PIXELS = 200_000_000
REDUCED = 1280
"""The least longer side, in pixels, of a picture that is decoded smaller."""
MOST_BYTES = 1_250_000_000
"""What reading one picture may take: with the rest of mien it stays under 1.5 GB."""
AHEAD_BYTES = 48_000_000
"""What reading a picture may take before its turn comes, beside others: all that a JPEG takes as it
is decoded smaller. As many as wait and the largest, in its turn, stay under 1.5 GB together."""
SUFFIXES = frozenset(
    # jfif is what browsers on Windows call a JPEG
    {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"}
    | {".heic", ".heif", ".hif", ".avif"}  # a phone's: told where they cannot be read
)
RECORDINGS = frozenset(  # for mien.media.video; .ts is TypeScript more often than not
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv"}
    | {".mts", ".m2ts", ".3gp", ".asf", ".vob", ".mxf", ".dv", ".y4m", ".ivf", ".h264", ".h265"}
)

_HEIF = ("pi_heif.as_plugin", "HeifImageFile")
_READERS = {  # first bytes, ? for any -> a plugin of Pillow's and its class
    b"\xff\xd8\xff": ("PIL.JpegImagePlugin", "JpegImageFile"),
    b"\x89PNG\r\n\x1a\n": ("PIL.PngImagePlugin", "PngImageFile"),
    b"RIFF????WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    b"II*\x00": ("PIL.TiffImagePlugin", "TiffImageFile"),
    b"MM\x00*": ("PIL.TiffImagePlugin", "TiffImageFile"),
    b"II+\x00": ("PIL.TiffImagePlugin", "TiffImageFile"),  # BigTIFF
    b"MM\x00+": ("PIL.TiffImagePlugin", "TiffImageFile"),
    b"GIF87a": ("PIL.GifImagePlugin", "GifImageFile"),
    b"GIF89a": ("PIL.GifImagePlugin", "GifImageFile"),
    b"BM": ("PIL.BmpImagePlugin", "BmpImageFile"),
    b"????ftyphei": _HEIF,
    b"????ftyphev": _HEIF,
    b"????ftypmif1": _HEIF,
    b"????ftypmsf1": _HEIF,
    b"????ftypavif": ("PIL.AvifImagePlugin", "AvifImageFile"),
}


def _heic() -> str:
    from ..install import adding

    return adding("heic")


_MISSING: dict[str, tuple[str, Callable[[], str]]] = {
    # a plugin that is not everywhere -> what its pictures are, and what reads them
    "pi_heif.as_plugin": ("an HEIC picture", _heic),
    "PIL.AvifImagePlugin": ("an AVIF picture", lambda: "Pillow 11.3 and later"),
}
_FOREIGN = {  # first bytes -> what the file is instead
    b"????ftyp": "a video",
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a zip archive",
    b"<": "HTML, SVG or other text in tags",
    b"version https://git-lfs": "a pointer of Git LFS (fetch the picture with: git lfs pull)",
}
_HEAD_BYTES = max(map(len, (*_READERS, *_FOREIGN)))

_EXIF_ORIENTATION = 0x0112
_UPRIGHT: dict[int, Callable[[ImageArray], ImageArray]] = {
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: p[::-1].swapaxes(0, 1),
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: p[:, ::-1].swapaxes(0, 1),
}
_SIDEWAYS = frozenset({5, 6, 7, 8})
_BACK = {6: 8, 8: 6}  # what takes an orientation back, where that is another
_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_PLANAR, _TIFF_SAMPLE_FORMAT = 258, 262, 284, 339
_KINDS = 5  # of files passed over that are named
_TIFF_ORIENTATION = 274
_BAND_PIXELS = 1 << 18  # what alpha is laid over white at a time: fits a cache, bounds the memory
_STRIP_PIXELS = 1 << 20  # what is taken over from Pillow at a time
_OUT = 3  # bytes a pixel that leave
_STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}  # in Pillow, by mode; else 4
_DECODING = {  # bytes a pixel that a decoder takes for itself, beside what Pillow stores
    "WEBP": 20,  # two canvases, one more of its own, and the copy that is handed over
    "HEIF": 20,
    "AVIF": 20,
    "GIF": 2,
}
_PROGRESSIVE = 6  # of a JPEG whose waves come one after the other, each of 2 bytes


Picture = str | os.PathLike[str] | bytes | npt.NDArray[Any]
"""What a picture may be handed in as: its file's name, the file's bytes, or an array."""


def read_frame(picture: Picture, name: str = "") -> Frame:
    """A picture that knows its file's name, as records tell of it; raises what ``read`` raises.

    name : of bytes, whose file is somebody else's.
    """
    if name and isinstance(picture, bytes):
        return Frame(read_bytes(picture, name), source=name)
    return Frame(read(picture), source=_named(picture))


def read_reduced(picture: Picture, name: str = "") -> Frame:
    """A picture as ``read_frame`` reads it, or a half, quarter or eighth as large each way.

    A JPEG is, whose longer side then still has ``REDUCED`` pixels: its blocks are decoded into
    fewer, which takes half the time or less. Other formats have no such way.
    name : of bytes, as of ``read_frame``.
    """
    source = _named(picture) or name
    if isinstance(picture, bytes | bytearray | memoryview):
        content, name = bytes(picture), name or "these bytes"
    elif isinstance(picture, str | os.PathLike):
        content, name = file_bytes(Path(picture)), str(Path(picture))
    else:
        return read_frame(picture)
    return _frame(_read(content, name, REDUCED), source)


def read_ahead(path: Path, whole: bool = False) -> Frame | None:
    """The picture in a file, as ``read_reduced`` reads it, or ``whole``; while others are in use.

    None for one that would take more than ``AHEAD_BYTES``: it is to be read in its turn, alone.
    """
    try:
        if path.stat().st_size > AHEAD_BYTES:
            return None
    except (OSError, ValueError):
        pass  # what is wrong with it, reading it says
    try:
        found = _read(
            file_bytes(path), str(path), MAX_PIXELS if whole else REDUCED, most=AHEAD_BYTES
        )
    except _NotAheadError:
        return None
    return _frame(found, _named(path))


class _NotAheadError(ImageError):
    """A picture that takes more to read than whoever asks allows."""


def _frame(found: tuple[ImageArray, int, tuple[int, int]], source: str) -> Frame:
    rgb, times, size = found
    return Frame(rgb, source=source, reduced=times, whole=size if times > 1 else None)


def _named(picture: Picture) -> str:
    return os.fsdecode(picture) if isinstance(picture, str | os.PathLike) else ""


def read(source: Picture) -> ImageArray:
    """A picture from a file, its bytes, or an array, as (H, W, 3) uint8 RGB.

    An array is taken as RGB already: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), uint8 or uint16.
    Raises ImageError for a file that cannot be read, ShapeError for an array of another shape.
    """
    if isinstance(source, np.ndarray):
        return from_array(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return read_bytes(bytes(source), "these bytes")
    if isinstance(source, str | os.PathLike):
        return read_file(Path(source))
    raise InputError(
        f"a picture is a path, the bytes of a file or an array, got {type(source).__name__}; "
        "np.asarray() makes an array of a Pillow picture or a list"
    )


def read_file(path: Path) -> ImageArray:
    """The picture in a file; raises ImageError with the reason."""
    return read_bytes(file_bytes(path), str(path))


def file_bytes(path: Path) -> bytes:
    """All of a file that begins like a picture, still encoded; raises ImageError for any other.

    Of one that does not (a film of 20 GB) only the first bytes are read.
    """
    try:
        mode = path.stat().st_mode
        # open() would wait for ever for a pipe's writer, read() for the end of /dev/zero.
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise ImageError(f"cannot read {path}: it is a pipe or a device, not a file")
        with path.open("rb") as file:
            _plugin(file.read(_HEAD_BYTES), str(path))
            if (size := os.fstat(file.fileno()).st_size) > MOST_BYTES:
                raise ImageError(f"{path} has {size / 1e9:.1f} GB; make it smaller first")
            file.seek(0)
            return file.read()
    except FileNotFoundError:
        raise ImageError(f"no such file: {path}") from None
    except OSError as err:
        raise ImageError(f"cannot read {path}: {err.strerror or err}") from err
    except ValueError as err:  # a NUL in the name
        raise ImageError(f"cannot read {path}: {err}") from err


def read_bytes(content: bytes, name: str) -> ImageArray:
    """The picture in encoded bytes; ``name`` is what an error calls it."""
    return _read(content, name)[0]


def _read(
    content: bytes, name: str, longest: int = MAX_PIXELS, most: float = math.inf
) -> tuple[ImageArray, int, tuple[int, int]]:
    """A picture, how many times smaller it was decoded, and its (width, height), upright.

    longest : pixels that its longer side keeps, if it is decoded smaller. most : bytes that it may
    take; raises _NotAheadError, before anything is decoded, for more.
    """
    from PIL.Image import DecompressionBombError

    plugin, reader = _plugin(content, name)
    try:
        picture, times, size = _load(_reader(plugin, reader, name), content, name, longest, most)
        orientation = _orientation(picture)
        size = size[::-1] if orientation in _SIDEWAYS else size
        return _upright(picture, orientation), times, size
    except ImageError:
        raise
    except DecompressionBombError as err:
        raise ImageError(f"{name} is too large for mien: {err}; make it smaller first") from err
    except Exception as err:  # a decoder trips over damaged bytes in any way it likes
        reason = str(err) or type(err).__name__
        raise ImageError(f"{name} is damaged, cut short or of a rare kind: {reason}") from err


def check_size(content: bytes, name: str, most_pixels: int) -> None:
    """Raises ImageError for a picture of more pixels, by its header alone, and for no picture.

    For whoever gives a picture less than mien does: somebody else's on a server.
    """
    plugin, reader = _plugin(content, name)
    try:
        with _our_limit_no_warnings(), _reader(plugin, reader, name)(io.BytesIO(content)) as known:
            width, height = known.size
    except ImageError:
        raise
    except Exception:  # whatever ails it, reading it tells
        return
    refuse_too_large(width, height, name, most_pixels)


def _reader(plugin: str, reader: str, name: str) -> type[ImageFile]:
    """Pillow's class for a kind of picture; raises ImageError where its library is not there."""
    try:
        found: type[ImageFile] = getattr(importlib.import_module(plugin), reader)
    except ImportError:
        kind, reads = _MISSING[plugin]
        raise ImageError(
            f"{name} is {kind}; {reads()} reads these, or save it as JPEG first"
        ) from None
    return found


def _plugin(head: bytes, name: str) -> tuple[str, str]:
    """The plugin and class for a file that begins like this; raises ImageError."""
    if not head:
        raise ImageError(f"{name} is empty (0 bytes)")
    for start, plugin in _READERS.items():
        if _begins(head, start) and (_whole(head, start) or start[0] != ord("?")):
            if not _whole(head, start):
                raise ImageError(f"{name} is cut short: it has {len(head)} bytes")
            return plugin
    foreign = (w for start, w in _FOREIGN.items() if _begins(head, start) and _whole(head, start))
    raise ImageError(
        f"{name} is {next(foreign, 'no picture')}; mien reads JPEG, PNG, WebP, TIFF, BMP, GIF, "
        "HEIC, AVIF, and recordings"
    )


def is_known(head: bytes) -> bool:
    """Whether a file that begins like this is a picture of a kind that mien reads."""
    return any(_begins(head, start) and _whole(head, start) for start in _READERS)


def _begins(head: bytes, start: bytes) -> bool:
    """Whether ``head`` begins like ``start``, as far as it goes; ``?`` stands for any byte."""
    return all(s in (h, ord("?")) for h, s in zip(head, start, strict=False))


def _whole(head: bytes, start: bytes) -> bool:
    """Whether ``head`` is long enough to begin like ``start``: two bytes may be anything."""
    return len(head) >= len(start)


_switches = threading.Lock()


@contextmanager
def _our_limit_no_warnings() -> Iterator[None]:
    """Pillow with MAX_PIXELS for its own limit, and silent about odd metadata.

    Both are switches of the whole process, so two threads must not turn them at once (the second
    would put back what the first had set). Pillow's slow part, decoding, stays outside.
    """
    from PIL import Image

    with _switches, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, MAX_PIXELS // 2  # errs at twice
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = theirs


def _load(
    reader: type[ImageFile], content: bytes, name: str, longest: int, most: float
) -> tuple[ImageFile, int, tuple[int, int]]:
    """The decoded picture, how many times smaller it is than its file's, and the file's size.

    That is checked when only its header was read.
    """
    with _our_limit_no_warnings():
        picture = reader(io.BytesIO(content))
        refuse_too_large(picture.width, picture.height, name)
        _refuse_too_costly(picture, len(content), name)
        size, times = picture.size, _draft(picture, longest)
        if _needed(picture, len(content), times) > most:
            raise _NotAheadError(name)
        if picture.format == "TIFF":
            _refuse_odd_tiff(picture, name)
            picture.load()  # the one format whose load() warns and applies Pillow's limit
    if picture.format == "JPEG":
        _refuse_zero_filled(content, name)
    if getattr(picture, "is_animated", False):
        log.warning("%s holds several pictures, as a film or pages; the first is read", name)
    picture.load()
    return picture, times, size


def _draft(picture: ImageFile, longest: int) -> int:
    """Have a JPEG decoded smaller, by as much as leaves ``longest`` pixels; how many times."""
    if picture.format != "JPEG":
        return 1
    width, height = picture.size
    times = next((n for n in (8, 4, 2) if max(width, height) >= n * longest), 1)
    if times > 1 and picture.draft(None, (max(1, width // times), max(1, height // times))):
        return round(max(width, height) / max(picture.size))
    return 1


def refuse_too_large(width: int, height: int, name: str, fewer: int | None = None) -> None:
    """Raises ImageError for more than MAX_PIXELS, or than somebody's ``fewer``."""
    most = MAX_PIXELS if fewer is None else min(fewer, MAX_PIXELS)
    if width * height > most:
        raise ImageError(
            f"{name} has {width} x {height} = {width * height / 1e6:.0f} megapixels, "
            f"more than the {most / 1e6:.0f} mien decodes; make it smaller first"
        )


def _refuse_too_costly(picture: ImageFile, size: int, name: str) -> None:
    """Raises ImageError for a picture that would take more than MOST_BYTES to read.

    size : of the file, in bytes. A few bytes of WebP may stand for the largest picture there is.
    """
    if (needed := _needed(picture, size)) > MOST_BYTES:
        pixels = picture.width * picture.height
        raise ImageError(
            f"{name} has {picture.width} x {picture.height} = {pixels / 1e6:.0f} megapixels, which "
            f"take {needed / 1e9:.1f} GB to read as {picture.format}, more than the "
            f"{MOST_BYTES / 1e9:.2f} mien gives a picture; make it smaller first"
        )


def _needed(picture: ImageFile, size: int, times: int = 1) -> float:
    """What decoding a picture takes, in bytes, now that its header was read.

    size : of the file, in bytes. times : how many times smaller than there it is decoded.
    """
    kind, stored = picture.format or "", _STORED.get(picture.mode, 4)
    own, copies = _DECODING.get(kind, 0), 3 if kind in _DECODING else 1
    if kind == "JPEG" and picture.info.get("progressive"):
        own = _PROGRESSIVE * times**2  # all of it, however small it is decoded
    if kind == "TIFF":
        tags = getattr(picture, "tag_v2")  # noqa: B009  (only TiffImageFile has it)
        own, copies = sum(tags.get(_TIFF_BITS, (1,))) / 8, 2  # a strip may be all of it
        own += stored if tags.get(_TIFF_ORIENTATION, 1) != 1 else 0
    return copies * size + picture.width * picture.height * (stored + max(own, _OUT))


def _refuse_odd_tiff(picture: ImageFile, name: str) -> None:
    """Raises ImageError for samples without a known black and white, which Pillow would clip."""
    tags = getattr(picture, "tag_v2")  # noqa: B009  (only TiffImageFile has it)
    bits, sample_format = tags.get(_TIFF_BITS, (1,)), tags.get(_TIFF_SAMPLE_FORMAT, (1,))
    kind = {2: "signed", 3: "floating-point"}.get(max(sample_format), "32-bit")
    if max(sample_format) in (2, 3) or max(bits) > 16:
        raise ImageError(
            f"{name} is a TIFF of {kind} numbers, which do not say what is black and what white; "
            "save it with 8 or 16 bits"
        )
    if max(bits) > 8 and len(bits) > 1 and tags.get(_TIFF_PLANAR, 1) == 2:
        # Pillow 13 takes these planes for interleaved pixels and garbles them.
        raise ImageError(f"{name} is a 16-bit TIFF of separate planes; save it with 8 bits")


def _refuse_zero_filled(content: bytes, name: str) -> None:
    """Raises ImageError for a JPEG whose end is zeros, as broken downloads and cards leave it.

    Zeros are valid JPEG codes: libjpeg would make a flat colour of them without a word.
    """
    end, last_scan = content.rfind(b"\xff\xd9"), content.rfind(b"\xff\xda")
    if content.endswith(bytes(64)) and end < last_scan:
        raise ImageError(f"{name} is cut short: its end is filled with zeros")


def _orientation(picture: ImageFile) -> int:
    """EXIF's number for how the picture was held, 1 where it does not say or is garbled."""
    if picture.format == "TIFF":
        return 1  # Pillow has turned it while loading
    try:
        with _our_limit_no_warnings():
            return int(picture.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # damaged metadata is no reason to lose the picture
        return 1


def _upright(picture: Image.Image, orientation: int) -> ImageArray:
    """All pixels, strip by strip: beside what Pillow holds there is only what leaves.

    orientation : EXIF's number; each strip is written where it is to be seen.
    """
    width, height = picture.size
    out = np.empty((width, height, 3) if orientation in _SIDEWAYS else (height, width, 3), np.uint8)
    back = _UPRIGHT.get(_BACK.get(orientation, orientation))
    stored = back(out) if back else out
    tags: dict[int, Any] = getattr(picture, "tag_v2", {})
    step = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, step):
        whole = step >= height
        strip = picture if whole else picture.crop((0, top, width, min(height, top + step)))
        stored[top : top + step] = _pixels(strip, tags)
    return out


def _pixels(picture: Image.Image, tags: dict[int, Any]) -> ImageArray:
    """A strip as RGB. tags : of the whole, where it is a TIFF."""
    if picture.mode.startswith("I;16"):
        return from_array(_gray16(picture, tags))
    if picture.mode == "La":
        picture = picture.convert("LA")  # Pillow knows no other way out of it
    if picture.has_transparency_data:
        return from_array(np.asarray(picture.convert("RGBA")))
    return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))


def _gray16(picture: Image.Image, tags: dict[int, Any]) -> npt.NDArray[np.uint16]:
    """Gray levels 0..65535; Pillow's own conversion to 8 bits would clip them."""
    levels = np.asarray(picture).astype(np.uint16)
    np.left_shift(levels, 16 - tags.get(_TIFF_BITS, (16,))[0], out=levels)  # 12 bits in some TIFFs
    return ~levels if tags.get(_TIFF_PHOTOMETRIC) == 0 else levels  # 0: white is zero


def from_array(pixels: npt.NDArray[Any]) -> ImageArray:
    """An array as (H, W, 3) uint8 RGB: gray repeated, alpha laid over white, 16 bits to 8.

    The result is always a new array: nobody's buffer is kept.
    """
    if pixels.dtype.kind != "u" or pixels.dtype.itemsize > 2:
        raise ShapeError(f"a picture is uint8 0..255 (or uint16), got {_dtype_advice(pixels)}")
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or 0 in pixels.shape:
        raise ShapeError(
            f"a picture is (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), got {_shape_advice(pixels)}"
        )
    refuse_too_large(pixels.shape[1], pixels.shape[0], "this array")
    levels = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
    if levels.shape[2] == 4:
        return _over_white(levels)
    return np.array(np.broadcast_to(levels, (*levels.shape[:2], 3)), dtype=np.uint8, order="C")


def _dtype_advice(pixels: npt.NDArray[Any]) -> str:
    how = {
        "f": "; for values in [0, 1]: (x * 255).round().astype(np.uint8)",
        "b": "; for true as white: x.astype(np.uint8) * 255",
        "i": "; for values 0..255: x.astype(np.uint8)",
    }
    return f"{pixels.dtype}{how.get(pixels.dtype.kind, '')}"


def _shape_advice(pixels: npt.NDArray[Any]) -> str:
    shape = pixels.shape
    if 0 in shape:
        return f"{shape}, which has no pixel"
    if pixels.ndim == 3 and shape[0] in (1, 3, 4):
        return f"{shape} - channels first? x.transpose(1, 2, 0) puts them last"
    if pixels.ndim == 4:
        return f"{shape} - several pictures? one at a time"
    return f"{shape}"


def _over_white(rgba: ImageArray) -> ImageArray:
    height, width = rgba.shape[:2]
    rgb = np.empty((height, width, 3), np.uint8)
    step = max(1, _BAND_PIXELS // width)
    for top in range(0, height, step):
        band = rgba[top : top + step].astype(np.uint16)
        color, alpha = band[:, :, :3], band[:, :, 3:]
        rgb[top : top + step] = (color * alpha + 255 * (255 - alpha) + 127) // 255
    return rgb


def find(
    inputs: Iterable[str | os.PathLike[str]] | os.PathLike[str],
    suffixes: frozenset[str] = SUFFIXES,
    kind: str = "picture",
    passed_over: Counter[str] | None = None,
) -> Iterator[Path]:
    """The picture files meant by paths, folders (recursive, sorted) and glob patterns.

    A file is taken whatever its name. In folders and patterns the suffix decides (``suffixes``,
    and ``kind`` is what an error calls files that have one of them); hidden names
    are passed over unless asked for, as in a shell (a Mac leaves a ``._IMG.jpg`` beside every
    picture it copies); links to folders are followed, each folder once. Raises InputError for a
    path that does not exist and for a pattern or folder without a picture.

    passed_over : is told how many other files were there, by their suffixes, as they are met.
    """
    passed_over = Counter() if passed_over is None else passed_over
    if isinstance(inputs, str | os.PathLike):
        inputs = [inputs]  # else each letter of it would be looked for
    for given in inputs:
        text = os.fspath(given)
        if not os.path.lexists(text):
            text = _spelled(os.path.expanduser(text))
        if os.path.isdir(text):
            inside = in_folder(Path(text), suffixes, passed_over)
            yield from _non_empty(inside, f"no {kind} in folder {text}", passed_over)
        elif os.path.exists(text):
            yield Path(text)
        elif _is_pattern(text):
            matching = _matching(Path(text), suffixes, passed_over)
            yield from _non_empty(matching, f"no {kind} matches {text}", passed_over)
        else:
            raise InputError(f"no such file or folder: {text}")


def _spelled(text: str) -> str:
    """The path as its folder spells it, where only the Unicode form of the last name differs."""
    folder, name = os.path.split(text)
    if os.path.lexists(text) or name.isascii() or not os.path.isdir(folder or "."):
        return text
    alike = [n for n in os.listdir(folder or ".") if _composed(n) == _composed(name)]
    return os.path.join(folder, alike[0]) if len(alike) == 1 else text


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def is_address(name: str) -> bool:
    """Whether an input is a stream on a network: ``rtsp://camera/1``, ``https://...``."""
    scheme, mark, rest = name.partition("://")
    return bool(mark and rest and scheme.isalnum())


def _is_pattern(text: str) -> bool:
    return any(c in text for c in "*?[")


def _has(name: str, suffixes: frozenset[str]) -> bool:
    return os.path.splitext(name)[1].lower() in suffixes


def in_folder(folder: Path, suffixes: frozenset[str], passed_over: Counter[str]) -> Iterator[Path]:
    """The files of a folder that ``find`` takes, in order."""
    for root, files in _walk(folder):
        for name in files:
            if name[0] == ".":
                continue
            if _has(name, suffixes):
                yield root / name
            else:
                passed_over[suffix_of(name)] += 1


def suffix_of(name: str) -> str:
    """What ``told`` calls a kind of files by."""
    return os.path.splitext(name)[1].lower() or "without a suffix"


def told(passed_over: Counter[str]) -> str:
    """How many files were passed over, and of which kinds.

    >>> told(Counter({".txt": 2, ".xmp": 1}))
    '3 other files (2 .txt, 1 .xmp)'
    """
    kinds = [f"{count} {suffix}" for suffix, count in passed_over.most_common(_KINDS)]
    more = len(passed_over) - len(kinds)
    listed = ", ".join(kinds) + (f" and {more} more kinds" if more > 0 else "")
    files = passed_over.total()
    return f"{files} other file{'' if files == 1 else 's'} ({listed})"


def _walk(top: Path) -> Iterator[tuple[Path, list[str]]]:
    """Every visible folder from ``top`` down with its files, sorted; a loop of links ends."""
    seen: set[tuple[int, int]] = set()
    for root, folders, files in os.walk(top, onerror=_warn_unlistable, followlinks=True):
        status = os.stat(root)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield Path(root), sorted(files)


def _warn_unlistable(err: OSError) -> None:
    log.warning("cannot list folder %s: %s; its pictures are left out", err.filename, err.strerror)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError as err:
        _warn_unlistable(err)
        return []


def _matching(pattern: Path, suffixes: frozenset[str], passed_over: Counter[str]) -> Iterator[Path]:
    """Files that match, and those in folders that match, sorted, each once."""
    start = Path(pattern.anchor)
    yielded: set[Path] = set()
    for place in sorted(set(_expand(start, pattern.relative_to(start).parts))):
        inside = os.path.isdir(place)
        for path in in_folder(place, suffixes, passed_over) if inside else [place]:
            if not _has(path.name, suffixes):
                passed_over[suffix_of(path.name)] += 1
            elif path not in yielded:
                yielded.add(path)
                yield path


def _expand(folder: Path, parts: Sequence[str]) -> Iterator[Path]:
    """Paths in ``folder`` that the parts of a pattern mean.

    Not ``glob``: with ``**`` it follows a loop of links forty deep, and it has no way to take
    the ``[1]`` of an existing ``shoot [1]/`` literally.
    """
    if not parts:
        yield folder
        return
    head, rest = parts[0], parts[1:]
    if os.path.lexists(folder / head):
        places = [folder / head]
    elif not (_is_pattern(head) and os.path.isdir(folder)):
        places = []
    elif head == "**":
        places = [root for root, _ in _walk(folder)] if rest else [folder]
    else:
        visible = (n for n in _names(folder) if head.startswith(".") or not n.startswith("."))
        wanted = _composed(head)
        places = [folder / name for name in visible if fnmatch.fnmatch(_composed(name), wanted)]
    for place in places:
        yield from _expand(place, rest)


def _non_empty(paths: Iterator[Path], message: str, passed_over: Counter[str]) -> Iterator[Path]:
    first = next(paths, None)
    if first is None:
        others = f"; there are {told(passed_over)}" if passed_over else ""
        raise InputError(f"{message}{others}")
    yield first
    yield from paths
