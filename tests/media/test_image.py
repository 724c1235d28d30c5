"""Pictures in: values of pixels for every format, and a clear error for every bad file."""

from __future__ import annotations

import base64
import io
import os
import random
import struct
import sys
import threading
import tracemalloc
import warnings
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from skimage import data as pictures

from mien.errors import ImageError, InputError, ShapeError
from mien.media import image

UInt8 = npt.NDArray[np.uint8]
Maker = Callable[[], bytes]

# --- Writers --------------------------------------------------------------------------------


def encode(pixels: npt.NDArray[Any] | Image.Image, kind: str, **options: Any) -> bytes:
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def encode_cv2(rgb: npt.NDArray[Any], suffix: str, *parameters: int) -> bytes:
    pixels = rgb[:, :, ::-1] if rgb.ndim == 3 else rgb
    return cv2.imencode(suffix, pixels, parameters)[1].tobytes()


def tiff(
    samples: npt.NDArray[Any],
    *,
    photometric: int,
    bits: int | None = None,
    sample_format: int = 1,
    separate: bool = False,
    order: Literal["<", ">"] = "<",
    size: tuple[int, int] | None = None,
) -> bytes:
    """An uncompressed TIFF, tag by tag: (H, W[, C]), or (C, H, W) where planes are separate."""
    planes = samples if samples.ndim == 3 else samples[:, :, None]
    channels = planes.shape[0 if separate else 2]
    height, width = size or (planes.shape[1:] if separate else planes.shape[:2])
    data = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    strips = channels if separate else 1
    tags: dict[int, tuple[str, list[int]]] = {
        256: ("I", [width]),
        257: ("I", [height]),
        258: ("H", [bits or samples.dtype.itemsize * 8] * channels),
        259: ("H", [1]),
        262: ("H", [photometric]),
        273: ("I", [0] * strips),  # where the strips are: known once the tags are
        277: ("H", [channels]),
        278: ("I", [height]),
        279: ("I", [len(data) // strips] * strips),
        284: ("H", [2 if separate else 1]),
        339: ("H", [sample_format] * channels),
    }
    spill_at = 8 + 2 + 12 * len(tags) + 4  # values of more than four bytes follow the directory
    room = 200
    tags[273] = ("I", [spill_at + room + i * len(data) // strips for i in range(strips)])
    directory, spill = struct.pack(order + "H", len(tags)), b""
    for tag, (kind, values) in tags.items():
        packed = struct.pack(f"{order}{len(values)}{kind}", *values)
        if len(packed) > 4:
            packed, spill = struct.pack(order + "I", spill_at + len(spill)), spill + packed
        head = struct.pack(order + "HHI", tag, 3 if kind == "H" else 4, len(values))
        directory += head + packed.ljust(4, b"\0")
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return start + directory + bytes(4) + spill.ljust(room, b"\0") + data


def png_chunks(*chunks: tuple[bytes, bytes]) -> bytes:
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def interlaced_png(rgb: UInt8) -> bytes:
    """Adam7, which neither Pillow nor OpenCV writes."""
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4)]
    passes += [(2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = [
        b"\0" + row.tobytes()
        for top, left, down, right in passes
        for row in rgb[top::down, left::right]
        if row.size
    ]
    head = struct.pack(">IIBBBBB", rgb.shape[1], rgb.shape[0], 8, 2, 0, 0, 1)
    return png_chunks((b"IHDR", head), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b""))


def cmyk_jpeg(inks: UInt8) -> bytes:
    """Adobe's: what is stored is 255 - ink. Pillow inverts on the way out."""
    return encode(Image.fromarray(inks, "CMYK"), "JPEG", quality=100, subsampling=0)


def ycck_jpeg(inks: UInt8) -> bytes:
    """Photoshop's: luma and chroma of the colored inks, and Adobe's transform byte 2.

    Made from a CMYK file whose channels already hold those values, by changing the byte.
    """
    stored = np.array(Image.fromarray(inks[:, :, :3]).convert("YCbCr"))
    channels = np.dstack([stored, 255 - inks[:, :, 3]])
    content = bytearray(cmyk_jpeg(255 - channels))
    content[content.index(b"Adobe") + 11] = 2
    return bytes(content)


def without_adobe_marker(content: bytes) -> bytes:
    start = content.index(b"\xff\xee")
    return content[:start] + content[start + 2 + struct.unpack_from(">H", content, start + 2)[0] :]


# --- The pictures ---------------------------------------------------------------------------

COLORS = [(200, 100, 50), (10, 20, 250), (0, 160, 40), (250, 240, 20)]


def quarters(colors: list[Any] = COLORS, height: int = 32, width: int = 48) -> npt.NDArray[Any]:
    """Four flat quarters: no two turns of it are alike, and lossy formats keep their middles."""
    rows = np.arange(height)[:, None] * 2 // height
    columns = np.arange(width)[None, :] * 2 // width
    return np.asarray(np.array(colors)[rows * 2 + columns])


RGB: UInt8 = quarters().astype(np.uint8)
GRAY: UInt8 = quarters([10, 80, 160, 250]).astype(np.uint8)
ALPHA: UInt8 = quarters([255, 0, 128, 51]).astype(np.uint8)
# Worked by hand: (color * alpha + 255 * (255 - alpha)) / 255, rounded.
OVER_WHITE = quarters([(200, 100, 50), (255, 255, 255), (127, 207, 147), (254, 252, 208)])


def middles(rgb: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The mean colour around the middle of each quarter, (4, 3)."""
    h, w = rgb.shape[:2]
    spots = [(h // 4, w // 4), (h // 4, 3 * w // 4), (3 * h // 4, w // 4), (3 * h // 4, 3 * w // 4)]
    means = [rgb[y - 2 : y + 2, x - 2 : x + 2].mean(axis=(0, 1)) for y, x in spots]
    return np.rint(means).astype(np.int64)


def gray_rgb(gray: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.repeat(gray[:, :, None], 3, axis=2)


def palette(**options: Any) -> bytes:
    return encode(Image.fromarray(RGB).quantize(4), "PNG", **options)


def palette_transparent(kind: str) -> tuple[bytes, npt.NDArray[Any]]:
    """A palette in which the second quarter's colour is transparent, and what that looks like."""
    indexed = Image.fromarray(RGB).quantize(4)
    hidden = indexed.getpixel((40, 4))
    expected = RGB.copy()
    expected[np.asarray(indexed) == hidden] = 255
    return encode(indexed, kind, transparency=hidden), expected


def palette_half_transparent() -> bytes:
    """A palette with one alpha per colour (PNG's tRNS chunk)."""
    indexed = Image.fromarray(RGB).quantize(4)
    spots = [(4, 4), (40, 4), (4, 30), (40, 30)]
    alphas = dict(zip([indexed.getpixel(s) for s in spots], [255, 0, 128, 51], strict=True))
    return encode(indexed, "PNG", transparency=bytes(alphas[i] for i in range(4)))


def animation(kind: str) -> bytes:
    frames = [Image.fromarray(p) for p in (RGB, 255 - RGB)]
    options = {"lossless": True} if kind == "WEBP" else {}
    return encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)


def pages() -> bytes:
    first, second = Image.fromarray(RGB), Image.fromarray(255 - RGB)
    return encode(first, "TIFF", save_all=True, append_images=[second])


GRAY16 = GRAY.astype(np.uint16) << 8
RGB16 = (RGB.astype(np.uint16) << 8) + 77  # the low byte must be dropped, not rounded up to 256
INKS: UInt8 = quarters([(255, 0, 0, 0), (0, 255, 255, 0), (0, 0, 0, 128), (100, 50, 0, 51)]).astype(
    np.uint8
)
# Ink over paper: (255 - ink) * (255 - black) / 255.
PRINTED = quarters([(0, 255, 255), (255, 0, 0), (127, 127, 127), (124, 164, 204)])

LOSSLESS: dict[str, tuple[Maker, npt.NDArray[Any]]] = {
    "png": (lambda: encode(RGB, "PNG"), RGB),
    "png, OpenCV": (lambda: encode_cv2(RGB, ".png"), RGB),
    "png, interlaced": (lambda: interlaced_png(RGB), RGB),
    "png, odd size interlaced": (lambda: interlaced_png(RGB[:5, :3]), RGB[:5, :3]),
    "png, palette": (palette, RGB),
    "png, palette of 4 bits": (lambda: palette(bits=4), RGB),
    "png, gray": (lambda: encode(GRAY, "PNG"), gray_rgb(GRAY)),
    "png, 1 bit": (lambda: encode(GRAY > 100, "PNG"), gray_rgb(np.where(GRAY > 100, 255, 0))),
    "png, 16-bit gray": (lambda: encode(GRAY16, "PNG"), gray_rgb(GRAY)),
    "png, 16-bit gray, OpenCV": (lambda: encode_cv2(GRAY16, ".png"), gray_rgb(GRAY)),
    "png, 16-bit color": (lambda: encode_cv2(RGB16, ".png"), RGB),
    "png, alpha": (lambda: encode(np.dstack([RGB, ALPHA]), "PNG"), OVER_WHITE),
    "png, palette with alphas": (palette_half_transparent, OVER_WHITE),
    "png, palette with a transparent color": (
        lambda: palette_transparent("PNG")[0],
        palette_transparent("PNG")[1],
    ),
    "png, gray with a transparent level": (
        lambda: encode(GRAY, "PNG", transparency=80),
        gray_rgb(np.where(GRAY == 80, 255, GRAY)),
    ),
    "png, gray with alpha": (
        lambda: encode(Image.fromarray(np.dstack([GRAY, ALPHA]), "LA"), "PNG"),
        gray_rgb(quarters([10, 255, 207, 254])),
    ),
    "webp, lossless": (lambda: encode(RGB, "WEBP", lossless=True), RGB),
    "webp, lossless alpha": (
        lambda: encode(np.dstack([RGB, ALPHA]), "WEBP", lossless=True, exact=True),
        OVER_WHITE,
    ),
    "webp, first frame": (lambda: animation("WEBP"), RGB),
    "bmp": (lambda: encode(RGB, "BMP"), RGB),
    "bmp, palette": (lambda: encode(Image.fromarray(RGB).quantize(4), "BMP"), RGB),
    "bmp, gray": (lambda: encode(GRAY, "BMP"), gray_rgb(GRAY)),
    "gif": (lambda: encode(Image.fromarray(RGB).quantize(4), "GIF"), RGB),
    "gif, first frame": (lambda: animation("GIF"), RGB),
    "gif, transparent": (lambda: palette_transparent("GIF")[0], palette_transparent("GIF")[1]),
    "tiff": (lambda: encode(RGB, "TIFF"), RGB),
    "tiff, LZW": (lambda: encode(RGB, "TIFF", compression="tiff_lzw"), RGB),
    "tiff, LZW, OpenCV": (lambda: encode_cv2(RGB, ".tiff"), RGB),
    "tiff, deflate": (lambda: encode(RGB, "TIFF", compression="tiff_adobe_deflate"), RGB),
    "tiff, big-endian": (lambda: tiff(RGB, photometric=2, order=">"), RGB),
    "tiff, separate planes": (
        lambda: tiff(RGB.transpose(2, 0, 1), photometric=2, separate=True),
        RGB,
    ),
    "tiff, white is zero": (lambda: tiff(255 - GRAY, photometric=0), gray_rgb(GRAY)),
    "tiff, 16-bit gray": (lambda: tiff(GRAY16, photometric=1), gray_rgb(GRAY)),
    "tiff, 16-bit gray, big-endian": (
        lambda: tiff(GRAY16, photometric=1, order=">"),
        gray_rgb(GRAY),
    ),
    "tiff, 16-bit gray, white is zero": (
        lambda: tiff(np.uint16(65535) - GRAY16, photometric=0),
        gray_rgb(GRAY),
    ),
    "tiff, 16-bit color": (lambda: tiff(RGB16, photometric=2), RGB),
    "tiff, 16-bit color, LZW": (lambda: encode_cv2(RGB16, ".tiff"), RGB),
    "tiff, 1 bit": (lambda: encode(GRAY > 100, "TIFF"), gray_rgb(np.where(GRAY > 100, 255, 0))),
    "tiff, alpha": (lambda: encode(np.dstack([RGB, ALPHA]), "TIFF"), OVER_WHITE),
    "tiff, CMYK": (lambda: encode(Image.fromarray(INKS, "CMYK"), "TIFF"), PRINTED),
    "tiff, first page": (pages, RGB),
}


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_formats_keep_every_pixel(kind: str) -> None:
    make, expected = LOSSLESS[kind]
    pixels = image.read(make())
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable
    np.testing.assert_array_equal(pixels, expected)


LOSSY: dict[str, tuple[Maker, npt.NDArray[Any]]] = {
    "jpeg": (lambda: encode(RGB, "JPEG", quality=95), RGB),
    "jpeg, OpenCV": (lambda: encode_cv2(RGB, ".jpg"), RGB),
    "jpeg, progressive": (lambda: encode(RGB, "JPEG", quality=95, progressive=True), RGB),
    "jpeg, gray": (lambda: encode(GRAY, "JPEG", quality=95), gray_rgb(GRAY)),
    "jpeg, CMYK": (lambda: cmyk_jpeg(INKS), PRINTED),
    "jpeg, CMYK without Adobe's marker": (
        # Inverted all the same: what wrote it is unknown, and every CMYK JPEG in practice is.
        lambda: without_adobe_marker(cmyk_jpeg(INKS)),
        PRINTED,
    ),
    "jpeg, YCCK": (lambda: ycck_jpeg(INKS), PRINTED),
    "jpeg, several pictures (MPO)": (
        lambda: encode(
            Image.fromarray(RGB), "MPO", save_all=True, append_images=[Image.fromarray(255 - RGB)]
        ),
        RGB,
    ),
    "webp": (lambda: encode(RGB, "WEBP", quality=95), RGB),
    "webp, alpha": (
        lambda: encode(np.dstack([RGB, ALPHA]), "WEBP", quality=95, exact=True),
        OVER_WHITE,
    ),
    "tiff, JPEG inside": (lambda: encode(RGB, "TIFF", compression="jpeg", quality=95), RGB),
}


@pytest.mark.parametrize("kind", LOSSY)
def test_lossy_formats_keep_colors(kind: str) -> None:
    make, expected = LOSSY[kind]
    pixels = image.read(make())
    assert pixels.shape == expected.shape
    np.testing.assert_allclose(middles(pixels), middles(expected), atol=4)


@pytest.mark.parametrize(
    "kind", ["jpeg", "jpeg, progressive", "jpeg, gray", "jpeg, CMYK", "jpeg, YCCK", "webp"]
)
def test_opencv_sees_the_same_picture(kind: str) -> None:
    content = LOSSY[kind][0]()
    bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None
    np.testing.assert_allclose(image.read(content), bgr[:, :, ::-1], atol=3)


def test_twelve_bits_reach_from_black_to_white() -> None:
    # Two pixels in three bytes: 0xFFF and 0x800.
    content = tiff(np.array([[0xFF, 0xF8, 0x00]], np.uint8), photometric=1, bits=12, size=(1, 2))
    assert image.read(content).tolist() == [[[255] * 3, [128] * 3]]


# --- EXIF -----------------------------------------------------------------------------------

STORED_AS: dict[int, list[Image.Transpose]] = {  # EXIF 3.0, table 9: what makes the stored picture
    1: [],
    2: [Image.Transpose.FLIP_LEFT_RIGHT],
    3: [Image.Transpose.ROTATE_180],
    4: [Image.Transpose.FLIP_TOP_BOTTOM],
    5: [Image.Transpose.TRANSPOSE],
    6: [Image.Transpose.ROTATE_90],
    7: [Image.Transpose.TRANSVERSE],
    8: [Image.Transpose.ROTATE_270],
}


def turned(kind: str, orientation: int, pixels: npt.NDArray[Any] = RGB) -> bytes:
    picture = Image.fromarray(pixels)
    for turn in STORED_AS[orientation]:
        picture = picture.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(picture, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", STORED_AS)
def test_every_orientation_comes_out_upright(kind: str, orientation: int) -> None:
    pixels = image.read(turned(kind, orientation))
    assert pixels.shape == RGB.shape
    assert pixels.flags.c_contiguous
    np.testing.assert_allclose(middles(pixels), middles(RGB), atol=4)


@pytest.mark.parametrize("orientation", STORED_AS)
def test_opencv_agrees_which_way_is_up(orientation: int) -> None:
    content = turned("JPEG", orientation)
    bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None
    np.testing.assert_allclose(image.read(content), bgr[:, :, ::-1], atol=3)


def test_sixteen_bits_are_turned_too() -> None:
    np.testing.assert_array_equal(image.read(turned("PNG", 6, GRAY16)), gray_rgb(GRAY))


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0garbage",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0\0\0\0\0",  # says 99
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x02x\0\0\0\0\0\0\0",  # says "x"
    ],
)
def test_damaged_exif_does_not_cost_the_picture(exif: bytes) -> None:
    pixels = image.read(encode(RGB, "JPEG", quality=95, exif=exif))
    np.testing.assert_allclose(middles(pixels), middles(RGB), atol=4)


# --- Arrays ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        pytest.param(GRAY, gray_rgb(GRAY), id="gray"),
        pytest.param(GRAY[:, :, None], gray_rgb(GRAY), id="one channel"),
        pytest.param(RGB, RGB, id="color"),
        pytest.param(np.dstack([RGB, ALPHA]), OVER_WHITE, id="alpha over white"),
        pytest.param(GRAY16, gray_rgb(GRAY), id="16-bit gray"),
        pytest.param(RGB16, RGB, id="16-bit color"),
        pytest.param(RGB16.astype(">u2"), RGB, id="16-bit, other byte order"),
        pytest.param(
            np.dstack([RGB16, ALPHA.astype(np.uint16) << 8]), OVER_WHITE, id="16-bit alpha"
        ),
        pytest.param(RGB[::-2, ::3], RGB[::-2, ::3].copy(), id="a view"),
        pytest.param(np.asfortranarray(RGB), RGB, id="column by column"),
        pytest.param(np.zeros((1, 1), np.uint8), np.zeros((1, 1, 3)), id="one pixel"),
    ],
)
def test_arrays(pixels: npt.NDArray[Any], expected: npt.NDArray[Any]) -> None:
    before = pixels.copy()
    result = image.read(pixels)
    np.testing.assert_array_equal(result, expected)
    assert result.flags.c_contiguous
    result[:] = 7  # the caller's array is not ours to keep, nor ours theirs
    np.testing.assert_array_equal(pixels, before)


def test_alpha_is_the_same_in_bands_as_at_once() -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (700, 900, 4), np.uint8)
    color, alpha = rgba[:, :, :3].astype(float), rgba[:, :, 3:] / 255.0
    exact = color * alpha + 255 * (1 - alpha)
    assert np.abs(image.from_array(rgba) - exact).max() <= 0.5 + 1e-9


@pytest.mark.parametrize(
    ("pixels", "advice"),
    [
        (np.zeros((4, 4, 3)), r"float64; for values in \[0, 1\]: \(x \* 255\)\.round"),
        (np.zeros((4, 4), np.float32), "float32; for values in"),
        (np.zeros((4, 4), bool), "bool; for true as white"),
        (np.zeros((4, 4, 3), int), r"int64; for values 0\.\.255: x\.astype"),
        (np.zeros((4, 4), np.uint32), "got uint32"),
        (np.zeros((4, 4), object), "got object"),
        (np.zeros((3, 40, 50), np.uint8), r"channels first\? x\.transpose\(1, 2, 0\)"),
        (np.zeros((1, 40, 50), np.uint8), "channels first"),
        (np.zeros((2, 40, 50, 3), np.uint8), "several pictures"),
        (np.zeros((40, 50, 2), np.uint8), r"got \(40, 50, 2\)$"),
        (np.zeros((0, 50, 3), np.uint8), "no pixel"),
        (np.zeros((0, 0), np.uint8), "no pixel"),
        (np.zeros(50, np.uint8), r"got \(50,\)$"),
        (np.array(7, np.uint8), r"got \(\)$"),
    ],
)
def test_other_arrays_are_refused_with_advice(pixels: npt.NDArray[Any], advice: str) -> None:
    with pytest.raises(ShapeError, match=advice):
        image.read(pixels)


def test_an_array_that_claims_too_many_pixels() -> None:
    huge = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (20_000, 20_000, 3))
    with pytest.raises(ImageError, match="400 megapixels"):
        image.read(huge)


@pytest.mark.parametrize("source", [None, 3, [[1, 2]], Image.new("RGB", (2, 2))])
def test_what_is_no_source_at_all(source: Any) -> None:
    with pytest.raises(InputError, match=f"got {type(source).__name__}; np.asarray"):
        image.read(source)


# --- Sources --------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [str, Path, lambda p: Path(p).read_bytes()])
def test_a_path_its_text_and_its_bytes_are_the_same(
    tmp_path: Path, wrap: Callable[[Path], Any]
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encode(RGB, "PNG"))
    np.testing.assert_array_equal(image.read(wrap(path)), RGB)


@pytest.mark.parametrize("wrap", [bytearray, memoryview])
def test_other_kinds_of_bytes(wrap: Callable[[bytes], Any]) -> None:
    np.testing.assert_array_equal(image.read(wrap(encode(RGB, "PNG"))), RGB)


@pytest.mark.parametrize(
    "name",
    ["two words.png", "smörgås-笑顔-😀.png", "two\nlines.png", "a[1].png", "-rf.png", "no_suffix"],
)
def test_odd_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(encode(RGB, "PNG"))
    np.testing.assert_array_equal(image.read_file(path), RGB)
    assert list(image.find([str(path)])) == [path]


def test_the_content_decides_not_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "really_a_png.jpg"
    path.write_bytes(encode(RGB, "PNG"))
    np.testing.assert_array_equal(image.read(path), RGB)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (40, 30_000), (30_000, 40)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "GIF"])
def test_extreme_shapes(kind: str, height: int, width: int) -> None:
    picture = np.full((height, width), 90, np.uint8)
    pixels = image.read(encode(picture, kind))
    np.testing.assert_array_equal(pixels, np.full((height, width, 3), 90))


def test_all_black_is_a_picture() -> None:
    assert not image.read(encode(np.zeros((64, 64, 3), np.uint8), "JPEG")).any()


# --- Bad input ------------------------------------------------------------------------------

FOREIGN = {
    "text": (b"Dear diary,\n" * 50, "is no picture; mien reads JPEG, PNG"),
    "random": (random.Random(0).randbytes(5000), "is no picture"),
    "zeros": (bytes(5000), "is no picture"),
    "zip": (b"PK\x03\x04" + bytes(500), "is a zip archive"),
    "pdf": (b"%PDF-1.7\n" + bytes(500), "is a PDF"),
    "html": (b"<!DOCTYPE html><html></html>", "is HTML, SVG"),
    "two bytes": (b"\0\0", "is no picture; mien reads"),
    "eight bytes": (b"\0\0\0\x18ftyp", "is a video"),
    "mp4": (b"\0\0\0\x18ftypmp42" + bytes(500), "is a video"),
    "wav": (b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(500), "is no picture"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_something_else_renamed_to_jpg(tmp_path: Path, kind: str) -> None:
    content, message = FOREIGN[kind]
    path = tmp_path / "holiday.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=message) as caught:
        image.read(path)
    assert str(path) in str(caught.value)


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "nothing.jpg"
    path.touch()
    with pytest.raises(ImageError, match=r"nothing\.jpg is empty \(0 bytes\)"):
        image.read(path)


def detailed() -> UInt8:
    """A picture with something in every corner: a flat one survives more than its share of cuts."""
    coarse = np.random.default_rng(1).integers(0, 256, (16, 20, 3), np.uint8)
    return cv2.resize(coarse, (160, 128)).astype(np.uint8)


CUTTABLE: dict[str, Maker] = {
    "jpeg": lambda: encode(detailed(), "JPEG"),
    "jpeg, progressive": lambda: encode(detailed(), "JPEG", progressive=True),
    "jpeg, gray": lambda: encode(detailed()[:, :, 0], "JPEG"),
    "jpeg, with exif": lambda: turned("JPEG", 6, detailed()),
    "png": lambda: encode(detailed(), "PNG"),
    "webp": lambda: encode(detailed(), "WEBP"),
    "webp, lossless": lambda: encode(detailed(), "WEBP", lossless=True),
    "gif": lambda: encode(Image.fromarray(detailed()).quantize(), "GIF"),
    "tiff": lambda: encode(detailed(), "TIFF"),
    "tiff, LZW": lambda: encode(detailed(), "TIFF", compression="tiff_lzw"),
    "bmp": lambda: encode(detailed(), "BMP"),
}
CUTS = [1, 2, 3, 5, 8, 12, 20, 30, 100, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99]


@pytest.mark.parametrize("kind", CUTTABLE)
@pytest.mark.parametrize("cut", CUTS)
def test_a_cut_file_is_an_error_at_any_length(kind: str, cut: float) -> None:
    whole = CUTTABLE[kind]()
    length = cut if isinstance(cut, int) else int(len(whole) * cut)
    with pytest.raises(ImageError, match=r"^it\.jpg is .*cut short"):
        image.read_bytes(whole[:length], "it.jpg")


@pytest.mark.parametrize("kind", CUTTABLE)
@pytest.mark.parametrize("missing", [1, 2, 3, 5, 10, 20, 50])
def test_a_few_missing_bytes_never_change_the_picture_silently(kind: str, missing: int) -> None:
    """The last bytes of some formats only say "the end": without them the picture is whole."""
    whole = CUTTABLE[kind]()
    try:
        pixels = image.read(whole[:-missing])
    except ImageError:
        return
    np.testing.assert_array_equal(pixels, image.read(whole))


@pytest.mark.parametrize("kind", ["jpeg", "jpeg, progressive"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_a_jpeg_filled_up_with_zeros_is_an_error(kind: str, part: float) -> None:
    """What an interrupted download leaves; zeros decode to a flat colour without complaint."""
    whole = CUTTABLE[kind]()
    kept = int(len(whole) * part)
    with pytest.raises(ImageError, match="its end is filled with zeros"):
        image.read(whole[:kept] + bytes(len(whole) - kept))


def test_zeros_after_the_end_of_a_jpeg_do_no_harm() -> None:
    whole = CUTTABLE["jpeg"]()
    np.testing.assert_array_equal(image.read(whole + bytes(4096)), image.read(whole))


def test_damage_of_any_kind_is_an_image_error() -> None:
    """A thousand files with a few bytes changed: our own error or a whole array, nothing else."""
    rng = random.Random(2)
    files = [make() for kind, make in CUTTABLE.items() if kind != "tiff, LZW"]  # libtiff prints
    for _ in range(1000):
        content = bytearray(rng.choice(files))
        for _ in range(rng.randint(1, 5)):
            reach = len(content) if rng.random() < 0.4 else 120
            content[rng.randrange(reach)] = rng.choice([0, 1, 127, 255])
        try:
            pixels = image.read(bytes(content))
        except ImageError as err:
            assert str(err).startswith("these bytes ")  # noqa: PT017
        else:
            assert pixels.dtype == np.uint8
            assert pixels.shape[2] == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: tiff(np.ones((4, 4), np.float32), photometric=1, sample_format=3), "floating"),
        (lambda: tiff(np.ones((4, 4), np.int32), photometric=1, sample_format=2), "signed"),
        (lambda: tiff(np.ones((4, 4), np.int16), photometric=1, sample_format=2), "signed"),
        (lambda: tiff(np.ones((4, 4), np.int8), photometric=1, sample_format=2), "signed"),
        (lambda: tiff(np.ones((4, 4), np.uint32), photometric=1), "32-bit"),
        (lambda: tiff(np.ones((4, 4, 3), np.float32), photometric=2, sample_format=3), "rare kind"),
        (
            lambda: tiff(RGB16.transpose(2, 0, 1), photometric=2, separate=True),
            "16-bit TIFF of separate planes; save it with 8 bits",
        ),
    ],
)
def test_tiffs_that_would_come_out_wrong_are_refused(content: Maker, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        image.read(content())


# --- Too large ------------------------------------------------------------------------------


def png_header(width: int, height: int) -> bytes:
    return png_chunks(
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", b"")
    )


def jpeg_header(width: int, height: int) -> bytes:
    parts = b"\x01\x11\x00\x02\x11\x00\x03\x11\x00"
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, height, width, 3) + parts
    scan = b"\xff\xda" + struct.pack(">HB", 12, 3) + b"\x01\x00\x02\x00\x03\x00\x00\x3f\x00"
    return b"\xff\xd8" + frame + scan


def tiff_header(width: int, height: int) -> bytes:
    return tiff(np.zeros((1, 1, 3), np.uint8), photometric=2, size=(height, width))


def bmp_header(width: int, height: int) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + head


def gif_header(width: int, height: int) -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    return screen + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02"


def gif_frame_beyond_its_screen(width: int, height: int) -> bytes:
    content = bytearray(gif_header(width, height))
    content[6:10] = struct.pack("<HH", 1, 1)
    return bytes(content)


def webp_header(width: int, height: int) -> bytes:
    bits = struct.pack("<I", (width - 1) | (height - 1) << 14)
    body = b"WEBPVP8L" + struct.pack("<I", 6) + b"\x2f" + bits + b"\0"
    return b"RIFF" + struct.pack("<I", len(body)) + body


HEADERS: dict[str, Callable[[int, int], bytes]] = {
    "png": png_header,
    "jpeg": jpeg_header,
    "tiff": tiff_header,
    "bmp": bmp_header,
    "gif": gif_header,
    "gif, frame": gif_frame_beyond_its_screen,
    "webp": webp_header,
}


@pytest.mark.parametrize("kind", HEADERS)
def test_too_large_is_refused_before_a_pixel_is_decoded(kind: str) -> None:
    """There is no pixel behind these headers: any decoding would end in "cut short" instead."""
    side = 16_383 if kind == "webp" else 20_000  # WebP holds no more
    content = HEADERS[kind](side, side)
    tracemalloc.start()
    try:
        with pytest.raises(
            ImageError, match=r"megapixels, more than the 200|exceeds limit of 200000000"
        ):
            image.read_bytes(content, "poster")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


@pytest.mark.parametrize("kind", HEADERS)
def test_a_smaller_one_gets_as_far_as_its_missing_pixels(kind: str) -> None:
    with pytest.raises(ImageError, match="cut short"):
        image.read_bytes(HEADERS[kind](2_000, 1_000), "poster")


@pytest.fixture
def limit_of_100_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "MAX_PIXELS", 100)


FORMATS = ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"]


@pytest.mark.usefixtures("limit_of_100_pixels")
@pytest.mark.parametrize("kind", FORMATS)
def test_the_limit_itself_is_allowed(kind: str) -> None:
    assert image.read(encode(RGB[:10, :10], kind)).shape == (10, 10, 3)
    with pytest.raises(ImageError, match=r"these bytes (has 11 x 10|is too large)"):
        image.read(encode(RGB[:10, :11], kind))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("theirs", [50, 800, None])
def test_pillows_own_limit_does_not_matter_and_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, kind: str, theirs: int | None
) -> None:
    """Pillow warns above its limit and refuses above twice that, 179 megapixels."""
    content = encode(RGB, kind)  # 1,536 pixels
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", theirs)
    assert image.read(content).shape == RGB.shape
    assert theirs == Image.MAX_IMAGE_PIXELS


# --- Warnings -------------------------------------------------------------------------------


def tiff_with_a_tag_beyond_its_end() -> bytes:
    """Pillow warns of it."""
    content = bytearray(encode(RGB, "TIFF"))
    start = struct.unpack_from("<I", content, 4)[0]
    count = struct.unpack_from("<H", content, start)[0]
    entry = start + 2 + 12 * (count - 1)
    directory = (
        content[:entry] + struct.pack("<HHII", 700, 1, 1 << 20, 1 << 20) + content[entry + 12 :]
    )
    return bytes(directory)


def test_odd_metadata_makes_no_noise(capfd: pytest.CaptureFixture[str]) -> None:
    content = tiff_with_a_tag_beyond_its_end()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Image.open(io.BytesIO(content)).load()
    assert caught  # else this test shows nothing
    np.testing.assert_array_equal(image.read(content), RGB)
    assert capfd.readouterr() == ("", "")


def test_threads_leave_the_switches_of_the_process_alone() -> None:
    files = [encode(RGB, kind) for kind in FORMATS] + [tiff_with_a_tag_beyond_its_end()]
    filters, limit = list(warnings.filters), Image.MAX_IMAGE_PIXELS
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for content in files * 20:
                image.read(content)
        except BaseException as err:  # a thread's error would otherwise be only a warning
            failures.append(err)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not failures
    assert list(warnings.filters) == filters
    assert limit == Image.MAX_IMAGE_PIXELS


# --- Paths ----------------------------------------------------------------------------------


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"no such file: .*gone\.jpg"):
        image.read(tmp_path / "gone.jpg")


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"cannot read .*: Is a directory"):
        image.read(tmp_path)


def test_a_name_with_a_nul() -> None:
    with pytest.raises(ImageError, match="cannot read"):
        image.read("a\0b.jpg")


def test_a_name_that_is_too_long() -> None:
    with pytest.raises(ImageError, match=r"cannot read .*: File name too long"):
        image.read("a" * 5000 + ".jpg")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(encode(RGB, "PNG"))
    path.chmod(0)
    with pytest.raises(ImageError, match=r"cannot read .*: Permission denied"):
        image.read(path)


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero"])
def test_a_device_is_refused_at_once(device: str) -> None:
    with pytest.raises(ImageError, match="it is a pipe or a device, not a file"):
        image.read(device)


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    assert list(image.find([str(tmp_path)])) == [pipe]  # a record, not a hang and not a gap
    with pytest.raises(ImageError, match="it is a pipe or a device, not a file"):
        image.read(pipe)


def test_a_large_file_of_another_kind_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "film.jpg"
    with path.open("wb") as file:
        file.write(b"\0\0\0\x18ftypmp42")
        file.truncate(50_000_000)  # a hole: it takes no room
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match="is a video"):
            image.read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


# --- find -----------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures by name only: ``find`` opens nothing."""
    names = ["b.jpg", "a.PNG", "notes.txt", "c.jfif", ".hidden.jpg", "._b.jpg", "odd[1].jpg"]
    names += ["sub/d.Tiff", "sub/deep/e.webp", ".thumbnails/t.jpg", "empty/readme.md"]
    names += ["shoot [1]/f.jpg", "shoot 1/wrong.jpg"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*inputs: str) -> list[str]:
    return [path.as_posix() for path in image.find(inputs)]


EVERYTHING = ["a.PNG", "b.jpg", "c.jfif", "odd[1].jpg", "shoot 1/wrong.jpg", "shoot [1]/f.jpg"]
EVERYTHING += ["sub/d.Tiff", "sub/deep/e.webp"]


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        pytest.param(["b.jpg"], ["b.jpg"], id="a file"),
        pytest.param(["notes.txt"], ["notes.txt"], id="a file whatever its name"),
        pytest.param([".hidden.jpg"], [".hidden.jpg"], id="a hidden file by name"),
        pytest.param([".thumbnails"], [".thumbnails/t.jpg"], id="a hidden folder by name"),
        pytest.param(["."], EVERYTHING, id="a folder, recursive and sorted"),
        pytest.param(["sub/"], ["sub/d.Tiff", "sub/deep/e.webp"], id="a folder with a slash"),
        pytest.param(
            ["b.jpg", "sub", "a.PNG"], ["b.jpg", "sub/d.Tiff", "sub/deep/e.webp", "a.PNG"]
        ),
        pytest.param(["*.jpg"], ["b.jpg", "odd[1].jpg"], id="a pattern"),
        pytest.param(["?.*"], ["a.PNG", "b.jpg", "c.jfif"], id="only pictures of a pattern"),
        pytest.param([".h*"], [".hidden.jpg"], id="a pattern that asks for hidden files"),
        pytest.param([".t*/*"], [".thumbnails/t.jpg"], id="a pattern that asks for hidden folders"),
        pytest.param(["su*"], ["sub/d.Tiff", "sub/deep/e.webp"], id="a pattern of folders"),
        pytest.param(["*/*.jpg"], ["shoot 1/wrong.jpg", "shoot [1]/f.jpg"]),
        pytest.param(["**/*.webp"], ["sub/deep/e.webp"], id="at any depth"),
        pytest.param(["**/*.jpg"], ["b.jpg", "odd[1].jpg", "shoot 1/wrong.jpg", "shoot [1]/f.jpg"]),
        pytest.param(["sub/**/*"], ["sub/d.Tiff", "sub/deep/e.webp"], id="each file once"),
        pytest.param(["**"], EVERYTHING, id="everything"),
        pytest.param(["**/**/e.*"], ["sub/deep/e.webp"], id="each file once, though"),
        pytest.param(["./sub/../*.PNG"], ["sub/../a.PNG"], id="up and down"),
        pytest.param(["odd[1].jpg"], ["odd[1].jpg"], id="brackets in a file's name"),
        pytest.param(["shoot [1]"], ["shoot [1]/f.jpg"], id="brackets in a folder's name"),
        pytest.param(["shoot [1]/*.jpg"], ["shoot [1]/f.jpg"], id="brackets before a pattern"),
        pytest.param(["[ab].*"], ["a.PNG", "b.jpg"], id="brackets as a pattern"),
    ],
)
def test_find(inputs: list[str], expected: list[str]) -> None:
    assert found(*inputs) == expected


def test_find_takes_absolute_patterns(tree: Path) -> None:
    assert found(f"{tree}/**/*.webp") == [f"{tree}/sub/deep/e.webp"]


def test_find_takes_one_path_as_one_path(tree: Path) -> None:
    assert [p.name for p in image.find("sub")] == ["d.Tiff", "e.webp"]
    assert [p.name for p in image.find(tree / "sub")] == ["d.Tiff", "e.webp"]


def test_find_knows_the_home_folder(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tree))
    assert found("~/sub/deep") == [f"{tree}/sub/deep/e.webp"]
    assert found("~/su*/*.Tiff") == [f"{tree}/sub/d.Tiff"]
    (tree / "~b.jpg").touch()
    assert found("~b.jpg") == ["~b.jpg"]  # no user is called b.jpg, and the file is there


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gone.jpg", "no such file or folder: gone.jpg"),
        ("gone/a.jpg", "no such file or folder: gone/a.jpg"),
        ("b.jpg/c.jpg", "no such file or folder"),
        ("~nobody_of_that_name/a.jpg", "no such file or folder"),
        ("a\0b.jpg", "no such file or folder"),
        ("a" * 5000, "no such file or folder"),
        ("", "no such file or folder"),
        ("empty", "no picture in folder empty"),
        ("*.gif", r"no picture matches \*.gif"),
        ("gone/**/*.jpg", "no picture matches gone"),
        ("b.jpg/**/*.jpg", "no picture matches b.jpg"),
        ("*.txt", "no picture matches"),
    ],
)
def test_find_says_what_it_did_not_find(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(image.find([text]))


def test_find_gives_what_comes_before_a_mistake(tree: Path) -> None:
    paths = image.find(["b.jpg", "gone.jpg"])
    assert next(paths) == Path("b.jpg")
    with pytest.raises(InputError, match="gone"):
        next(paths)


@pytest.mark.parametrize("text", [".", "**/*.jpg", "**"])
def test_a_loop_of_links_ends(tree: Path, text: str) -> None:
    """Twelve links back to the top: ``glob`` would try them in 12 ** 40 ways."""
    before = found(text)
    for i in range(12):
        (tree / "sub" / f"loop{i}").symlink_to(tree, target_is_directory=True)
    assert found(text) == before


def test_links_to_folders_are_followed_once(
    tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "x.jpg").touch()
    (tree / "sub" / "link").symlink_to(elsewhere, target_is_directory=True)
    (tree / "sub" / "link2").symlink_to(elsewhere, target_is_directory=True)
    assert found("sub") == ["sub/d.Tiff", "sub/deep/e.webp", "sub/link/x.jpg"]


def test_a_dead_link_is_found_and_then_an_error(tree: Path) -> None:
    (tree / "sub" / "dead.jpg").symlink_to(tree / "gone.jpg")
    assert "sub/dead.jpg" in found("sub")
    with pytest.raises(ImageError, match="no such file"):
        image.read("sub/dead.jpg")


def test_a_folder_that_cannot_be_listed_is_named(
    tree: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = os.scandir

    def scandir(path: Any) -> Any:
        if Path(path).name == "deep":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert found("sub") == ["sub/d.Tiff"]
    assert "cannot list folder sub/deep: Permission denied" in caplog.text


# --- HEIC and AVIF --------------------------------------------------------------------------

# 64 x 48 of our own: the left half red with its upper half white, the right one dark blue.
HEIC = (
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAX1tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAA"
    "AAAAAAAAAAAAACJpbG9jAAAAAERAAAEAAQAAAAABoQABAAAAAAAAAMoAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAA"
    "AAABAABodmMxAAAAAA5waXRtAAAAAAABAAAA/WlwcnAAAADdaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34"
    "+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq5Ka5"
    "uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAATY29scm5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAA"
    "AAAoY2xhcAAAAEAAAAABAAAAMAAAAAEAAAAAAAAAAv////AAAAACAAAAEHBpeGkAAAAAAwgICAAAABhpcG1hAAAA"
    "AAAAAAEAAQWBAgMFhAAAANJtZGF0AAAAxigBrwT47XmKaJbT89rMDzT0/wH9hef//PA7/55EWOqcboNqNKSSqKAW"
    "fQ22TVzkdeeNPj3+JQox9UTzNZfv9hI/jtP/bRm99+d/f/yjufWsmT5ZOvwYc5Xm8vk+c5MKI769rWlMVXKDyCu3"
    "iKHZpjkiDaagLMlys4Moh69Y6yPl62SpPB4nd2d7JRin3OFNAYf/UJkCcfMaU7Zx+TJz2x1P+YevCTgSMUFC0J7p"
    "ibhkLyzO6Wq0XXv8lUpxk8Lm224Pf/a7wA=="
)


def test_heic_is_read_where_its_library_is() -> None:
    pytest.importorskip("pi_heif")
    pixels = image.read(base64.b64decode(HEIC)).astype(int)
    assert pixels.shape == (48, 64, 3)
    expected = {(8, 8): (240, 240, 240), (40, 8): (200, 30, 30), (24, 50): (0, 0, 60)}
    for (y, x), color in expected.items():
        assert np.abs(pixels[y, x] - color).max() < 12


def with_property(content: bytes, kind: bytes, value: int) -> bytes:
    """A HEIC file whose picture has one more property, the last to be carried out."""
    prop = struct.pack(">I", 9) + kind + bytes([value])
    at, used = content.index(b"ipma") - 4, content.index(b"ipma") + 14
    made = bytearray(content)
    made[used] += 1  # of so many properties, each a byte: essential, and its number
    made[used + 1 + content[used] : used + 1 + content[used]] = bytes([0x80 | 6])
    made[at:at] = prop
    for box, more in ((b"meta", 10), (b"iprp", 10), (b"ipco", 9)):
        begin = content.index(box) - 4
        made[begin : begin + 4] = struct.pack(
            ">I", struct.unpack_from(">I", content, begin)[0] + more
        )
    size = made.index(b"ipma") - 4
    made[size : size + 4] = struct.pack(">I", struct.unpack_from(">I", made, size)[0] + 1)
    where = content.index(b"iloc") + 22  # the place of the picture's data in the file
    made[where : where + 4] = struct.pack(">I", struct.unpack_from(">I", content, where)[0] + 10)
    return bytes(made)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_turned_heic_stands_upright(turns: int) -> None:
    """A phone held upright turns nothing: it writes by how many quarters, against the clock."""
    pytest.importorskip("pi_heif")
    plain = base64.b64decode(HEIC)
    turned = image.read(with_property(plain, b"irot", turns)).astype(int)
    assert turned.shape == ((64, 48, 3) if turns % 2 else (48, 64, 3))
    assert np.abs(turned - np.rot90(image.read(plain), turns)).max() <= 1


@pytest.mark.parametrize(("mode", "to_side"), [(0, False), (1, True)])
def test_a_mirrored_heic_is_mirrored(mode: int, to_side: bool) -> None:
    """Top to bottom (0), or left to right, as a selfie may be."""
    pytest.importorskip("pi_heif")
    plain = base64.b64decode(HEIC)
    expected = image.read(plain)[:, ::-1] if to_side else image.read(plain)[::-1]
    mirrored = image.read(with_property(plain, b"imir", mode)).astype(int)
    assert np.abs(mirrored - expected).max() <= 1


def test_avif_is_read() -> None:
    rgb = np.zeros((48, 64, 3), np.uint8)
    rgb[:24, :32] = 240
    pixels = image.read(encode(rgb, "AVIF", quality=100)).astype(int)
    assert np.abs(pixels - rgb).max() < 12


def test_heic_without_its_library_says_how_to_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    monkeypatch.delitem(sys.modules, "pi_heif.as_plugin", raising=False)
    with pytest.raises(ImageError, match=r"HEIC picture; .*\[heic\]"):
        image.read(base64.b64decode(HEIC))


@pytest.mark.parametrize("content", [b"\0\0\0\x18ftypheic" + bytes(500), b"\0\0\0\x18ftypavif"])
def test_damaged_heic_and_avif_are_errors(content: bytes) -> None:
    with pytest.raises(ImageError):
        image.read(content)


# --- What is passed over --------------------------------------------------------------------


def test_left_out_files_are_counted(tmp_path: Path) -> None:
    for name in ("a.PNG", "IMG_1.HEIC", "notes.txt", "b.TXT", "clip.ts", "README", ".hidden"):
        (tmp_path / name).touch()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "c.txt").touch()
    counted = Counter[str]()
    found = list(image.find([tmp_path], passed_over=counted))
    assert [path.name for path in found] == ["IMG_1.HEIC", "a.PNG"]
    assert counted == {".txt": 3, ".ts": 1, "without a suffix": 1}
    assert image.told(counted) == "5 other files (3 .txt, 1 without a suffix, 1 .ts)"
    by_pattern = Counter[str]()
    list(image.find([str(tmp_path / "*")], passed_over=by_pattern))
    assert by_pattern == counted


def test_left_out_files_are_told_where_there_is_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "clip.ts").touch()
    with pytest.raises(
        InputError, match=r"no picture in folder .*; there are 1 other file \(1 \.ts"
    ):
        list(image.find([tmp_path]))


# --- Pictures that are films ----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_a_film_in_a_picture_s_format_is_its_first_picture_and_told(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    colors = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
    first, *more = [Image.new("RGB", (32, 24), color) for color in colors]
    options = {"lossless": True} if kind == "WEBP" else {}
    film = encode(first, kind, save_all=True, append_images=more, duration=40, **options)
    pixels = image.read(film).astype(int)
    assert pixels.shape == (24, 32, 3)
    assert np.abs(pixels - colors[0]).max() < 10
    assert "holds several pictures, as a film or pages; the first is read" in caplog.text
    caplog.clear()
    image.read(encode(first, kind, **options))
    assert caplog.text == ""


# --- Memory ---------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA", "CMYK", "I;16", "1"])
def test_memory_strip_by_strip_gives_the_same(
    mode: str, orientation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    gray = np.random.default_rng(3).integers(0, 65536, (23, 31), np.uint16)
    picture = Image.fromarray(gray)
    if mode != "I;16":
        picture = Image.fromarray((gray >> 8).astype(np.uint8)).convert("RGBA").convert(mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    kind = "TIFF" if mode == "CMYK" else "PNG"
    content = encode(picture, kind, exif=exif)
    whole = image.read(content)
    monkeypatch.setattr(image, "_STRIP_PIXELS", 70)
    assert np.array_equal(image.read(content), whole)


def test_memory_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same pixels: a PNG is read, and a WebP, which takes three times as much, is refused."""
    monkeypatch.setattr(image, "MOST_BYTES", 200_000)
    flat = np.zeros((100, 100, 3), np.uint8)
    assert image.read(encode(flat, "PNG")).shape == (100, 100, 3)
    with pytest.raises(ImageError, match=r"0 megapixels, which take 0\.0 GB to read as WEBP"):
        image.read(encode(flat, "WEBP"))
    turned_tiff = Image.Exif()
    turned_tiff[0x0112] = 6
    assert image.read(encode(flat, "TIFF")).shape == (100, 100, 3)


def test_memory_of_a_file_that_is_larger_than_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encode(np.zeros((100, 100, 3), np.uint8), "PNG"))
    monkeypatch.setattr(image, "MOST_BYTES", 50)
    with pytest.raises(ImageError, match=r"has 0\.0 GB; make it smaller first"):
        image.read(path)


def test_two_bytes_are_no_kind_of_picture() -> None:
    for content in (b"ab", b"\0\0", b"ft"):
        with pytest.raises(ImageError, match=r"two\.heic is no picture"):
            image.read_bytes(content, "two.heic")


# -- decoded smaller -------------------------------------------------------------------------------


def photograph(width: int, height: int, exif: bytes = b"", **how: Any) -> bytes:
    """The astronaut, enlarged to a JPEG of that size."""
    portrait = Image.fromarray(pictures.astronaut())  # type: ignore[no-untyped-call]
    file = io.BytesIO()
    portrait.resize((width, height), Image.Resampling.BICUBIC).save(
        file, "JPEG", quality=92, exif=exif, **how
    )
    return file.getvalue()


@pytest.mark.parametrize(
    ("width", "height", "times"),
    [
        (2559, 900, 1),
        (2560, 900, 2),
        (900, 2561, 2),
        (5123, 333, 4),
        (2567, 2575, 2),
        (10241, 70, 8),
        (10241, 7, 4),
    ],
)
def test_a_large_jpeg_is_decoded_smaller(width: int, height: int, times: int) -> None:
    content = photograph(width, height)
    frame = image.read_reduced(content)
    assert (frame.reduced, frame.picture_size) == (times, (width, height))
    assert (frame.width, frame.height) == (-(-width // times), -(-height // times))
    whole = image.read(content)
    across, down = width // times, height // times
    cells = whole[: down * times, : across * times].reshape(down, times, across, times, 3)
    apart = np.abs(cells.mean(axis=(1, 3)) - frame.rgb[:down, :across])
    assert apart.mean() < 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_decoded_smaller_is_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = photograph(2600, 1400, exif.tobytes())
    frame, whole = image.read_reduced(content), image.read(content)
    assert frame.picture_size == (whole.shape[1], whole.shape[0])
    averaged = cv2.resize(whole, (frame.width, frame.height), interpolation=cv2.INTER_AREA)
    assert np.abs(averaged.astype(int) - frame.rgb).mean() < 2


def test_progressive_and_gray_ones_are_decoded_smaller_too() -> None:
    assert image.read_reduced(photograph(2600, 1400, progressive=True)).reduced == 2
    gray = io.BytesIO()
    Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (900, 11))).save(gray, "JPEG")
    frame = image.read_reduced(gray.getvalue())
    assert frame.reduced == 2
    assert frame.rgb.shape == (450, 1408, 3)


def test_only_files_of_jpegs_are_decoded_smaller(tmp_path: Path) -> None:
    rgb = image.read(photograph(2600, 1400))
    path = tmp_path / "large.png"
    Image.fromarray(rgb).save(path, compress_level=0)
    for whole in (image.read_reduced(path), image.read_reduced(rgb)):
        assert whole.reduced == 1
        assert whole.whole is None
        assert np.array_equal(whole.rgb, rgb)
    assert image.read_reduced(path).source == str(path)


def test_a_damaged_one_is_an_error_however_it_is_decoded() -> None:
    content = photograph(2600, 1400)
    for damaged in (content[: len(content) // 2], content[:-600] + bytes(600)):
        with pytest.raises(ImageError, match=r"cut short|truncated"):
            image.read_reduced(damaged)


# -- before its turn -------------------------------------------------------------------------------


def test_what_is_read_ahead_is_what_is_read_in_its_turn(tmp_path: Path) -> None:
    large, small = tmp_path / "large.jpg", tmp_path / "small.png"
    large.write_bytes(photograph(2600, 1400))
    small.write_bytes(photograph(60, 50))
    for path in (large, small):
        frame, wanted = image.read_ahead(path), image.read_reduced(path)
        assert frame
        assert (frame.source, frame.reduced, frame.whole) == (
            wanted.source,
            wanted.reduced,
            wanted.whole,
        )
        assert np.array_equal(frame.rgb, wanted.rgb)
    whole = image.read_ahead(large, whole=True)
    assert whole
    assert np.array_equal(whole.rgb, image.read(large))


@pytest.mark.parametrize(
    ("options", "whole", "is_read"),
    [
        ({}, False, True),
        ({}, True, False),  # as for drawing: all of its pixels
        ({"progressive": True}, False, False),  # libjpeg keeps all of it, however small
    ],
)
def test_what_takes_much_memory_is_left_for_its_turn(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    whole: bool,
    is_read: bool,
) -> None:
    path = tmp_path / "large.jpg"
    path.write_bytes(photograph(2600, 1400, **options))
    monkeypatch.setattr(image, "AHEAD_BYTES", 10_000_000)
    assert (image.read_ahead(path, whole) is not None) is is_read


def test_a_large_file_is_not_even_opened_before_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.bmp"
    Image.new("RGB", (60, 50)).save(path)
    monkeypatch.setattr(image, "AHEAD_BYTES", 1000)
    monkeypatch.setattr(image, "file_bytes", lambda path: pytest.fail("it was read"))
    assert image.read_ahead(path) is None


def test_errors_are_the_same_before_its_turn(tmp_path: Path) -> None:
    (tmp_path / "words.jpg").write_text("no picture")
    for name in ("gone.jpg", "words.jpg", "a\0b.jpg"):
        with pytest.raises(ImageError) as first:
            image.read_reduced(tmp_path / name)
        with pytest.raises(ImageError) as second:
            image.read_ahead(tmp_path / name)
        assert str(first.value) == str(second.value)
