"""Pictures through HTTP: the command line's records, and its errors."""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

import mien
from mien.expression import explain
from mien.media import image
from mien.service.routes.pictures import Analysis
from mien.weights import catalogue

from .conftest import Serve, problem

RAW = {"content-type": "application/octet-stream"}


def several(*pictures: tuple[str, bytes]) -> list[tuple[str, tuple[str, bytes]]]:
    return [("files", picture) for picture in pictures]


def test_a_record_is_the_command_line_s(client: httpx.Client, portrait_jpeg: bytes) -> None:
    answer = client.post("/v1/analyze", files=several(("portrait.jpg", portrait_jpeg)))
    assert answer.status_code == 200
    Analysis.model_validate_json(answer.text)
    frame, faces = mien.Analyzer().look(portrait_jpeg, "portrait.jpg")
    assert answer.json()["records"] == [
        mien.record_of(frame, mien.Analyzer().recognize(frame, faces))
    ]
    assert answer.json()["model"]["base_rates"] == "equal (strength 0.75)"


@pytest.mark.parametrize("kind", ["image/jpeg", "image/*", "application/octet-stream"])
def test_one_picture_as_the_body(client: httpx.Client, portrait_jpeg: bytes, kind: str) -> None:
    kind = kind.replace("*", "x-anything")
    answer = client.post("/v1/analyze", content=portrait_jpeg, headers={"content-type": kind})
    (record,) = answer.json()["records"]
    assert (record["source"], record["faces"][0]["top"]) == ("body", "happiness")


def test_one_bad_picture_never_ends_the_others(
    client: httpx.Client, portrait_jpeg: bytes, empty_jpeg: bytes
) -> None:
    sent = several(
        ("a.jpg", portrait_jpeg),
        ("notes.txt", b"dear diary"),
        ("b.jpg", empty_jpeg),
        ("cut.jpg", portrait_jpeg[:2000]),
        ("empty.png", b""),
    )
    answer = client.post("/v1/analyze", files=sent)
    Analysis.model_validate_json(answer.text)
    records = answer.json()["records"]
    assert answer.status_code == 200
    assert [r["source"] for r in records] == [name for _, (name, _) in sent]
    assert [r["status"] for r in records] == ["ok", "error", "no_face", "error", "error"]
    assert records[1]["reason"].startswith("notes.txt is no picture; mien reads JPEG")
    assert records[4]["reason"] == "empty.png is empty (0 bytes)"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "body is empty (0 bytes)"),
        (b"dear diary", "body is no picture; mien reads JPEG"),
        (b"%PDF-1.7", "body is a PDF"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "body is damaged, cut short or of a rare kind"),
        (b"\xff\xd8\xff", "body is damaged"),
    ],
)
def test_a_body_that_is_no_picture_is_told_in_the_reader_s_words(
    client: httpx.Client, content: bytes, said: str
) -> None:
    problem(client.post("/v1/analyze", content=content, headers=RAW), 422, said)


def bomb() -> bytes:
    """A PNG of 60,000 x 60,000 white pixels in 50 kB."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(7501) * 6000, 9)  # a tenth of them: it is never decoded so far
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_bomb_is_refused_by_its_header(client: httpx.Client) -> None:
    content = bomb()
    assert len(content) < 60_000
    said = "body has 60000 x 60000 = 3600 megapixels, more than the 50 mien decodes"
    problem(client.post("/v1/analyze", content=content, headers=RAW), 422, said)


def test_limits_of_a_picture(serve: Serve, portrait_jpeg: bytes, empty_jpeg: bytes) -> None:
    small = serve(most_pixels=10_000, most_picture_bytes=1 << 15, most_pictures=2)
    answer = small.post(
        "/v1/analyze", files=several(("a.jpg", portrait_jpeg), ("b.jpg", empty_jpeg))
    )
    first, second = answer.json()["records"]
    assert "MB, more than the 0.03125 this service takes for a picture" in first["reason"]
    assert second["status"] == "no_face"
    many = several(*[(f"{i}.jpg", empty_jpeg) for i in range(3)])
    problem(small.post("/v1/analyze", files=many), 422, "up to 2 pictures")


def test_too_large_a_body_with_and_without_its_length(serve: Serve) -> None:
    small = serve(most_request_bytes=1 << 17)
    zeros = bytes(1_000_000)
    said = "a request has up to 0.125 MB here"
    problem(small.post("/v1/analyze", content=zeros, headers=RAW), 413, said)
    pieces = (bytes(10_000) for _ in range(100))
    problem(small.post("/v1/analyze", content=pieces, headers=RAW), 413, said)
    problem(small.post("/v1/analyze", files=several(("zeros.jpg", zeros))), 413, said)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (None, "say the Content-Type: multipart/form-data"),
        ("text/plain", "got 'text/plain'"),
        ("application/json", "got 'application/json'"),
        ("application/x-www-form-urlencoded", "got 'application/x-www-form-urlencoded'"),
        ("../../image", "got '../../image'"),
    ],
)
def test_a_wrong_content_type(client: httpx.Client, kind: str | None, said: str) -> None:
    headers = {} if kind is None else {"content-type": kind}
    problem(client.post("/v1/analyze", content=b"x", headers=headers), 415, said)


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("multipart/form-data", b"x", "Missing boundary"),
        ("multipart/form-data; boundary=b", b"", "cut short"),
        ("multipart/form-data; boundary=b", bytes(10_000), "cannot be read"),
        ("multipart/form-data; boundary=b", b"--b--\r\n", "has no 'files'"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\nabc',
            "cut short",
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="files"\r\n\r\n/etc/passwd\r\n--b--\r\n',
            "each part is a picture with a file name",
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="file"; filename=""\r\n\r\n\r\n--b--',
            "no field called 'file'; did you mean files?",
        ),
    ],
)
def test_a_damaged_form(client: httpx.Client, kind: str, body: bytes, said: str) -> None:
    answer = client.post("/v1/analyze", content=body, headers={"content-type": kind})
    problem(answer, 422, said)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("detecter=haar", "no option called 'detecter'; did you mean detector?"),
        ("detector=harr", "no detector called 'harr'; did you mean haar?"),
        ("model=mein", "no model called 'mein'; did you mean mien?"),
        ("model=yunet", "yunet is a detector, not a model that reads expressions"),
        ("model=mini-xception", "mini-xception is not on this server"),
        ("model=/etc/passwd", "no model called '/etc/passwd'"),
        ("model=../mien.onnx", "no model called '../mien.onnx'"),
        ("model=shipped/mien.onnx", "no model called"),
        ("base_rates=/etc/passwd", "base_rates: Input should be 'training' or 'equal'"),
        ("strength=7", "strength: Input should be less than or equal to 1, got '7'"),
        ("strength=nan", "strength: "),
        ("crops=perhaps", "crops: "),
        ("align=boxx", "box"),
        ("coverage=2", "2"),
        ("person=nobody", "nobody is known yet"),
        ("person=../../etc", "nobody is known yet"),
        ("model=mien-tiny&person=anna", "leave --model out"),
        ("explain=joyy", "no expression called 'joyy'"),
        ("crops=true&crops=false", "crops is given twice"),
    ],
)
def test_options_that_do_not_fit(
    client: httpx.Client,
    portrait_jpeg: bytes,
    query: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MIEN_HOME", str(tmp_path))  # where nobody is known
    answer = client.post(f"/v1/analyze?{query}", content=portrait_jpeg, headers=RAW)
    problem(answer, 422, said)


@pytest.mark.parametrize(
    "query",
    [
        "base_rates=training",
        "base_rates=equal&strength=1",
        "detector=haar",
        "model=mien-tiny",
        "crops=true",
        "align=box",
        "coverage=0.9",
    ],
)
def test_options_are_the_command_line_s(
    client: httpx.Client, portrait_jpeg: bytes, query: str
) -> None:
    told: dict[str, Any] = dict(pair.split("=") for pair in query.split("&"))
    rates = {"target": told.pop("base_rates", None), "strength": float(told.pop("strength", 0.75))}
    told |= {"base_rates": mien.BaseRates(**rates)} if rates["target"] else {}
    told |= {k: json.loads(v) for k, v in told.items() if k in ("crops", "coverage")}
    analyzer = mien.Analyzer(mien.Settings(**told))
    frame, faces = analyzer.look(portrait_jpeg, "body")
    answer = client.post(f"/v1/analyze?{query}", content=portrait_jpeg, headers=RAW)
    assert answer.json()["records"] == [mien.record_of(frame, analyzer.recognize(frame, faces))]


def test_names_are_the_client_s_own_and_nothing_is_opened(
    client: httpx.Client, portrait_jpeg: bytes, tmp_path: Path
) -> None:
    (tmp_path / "secret.jpg").write_bytes(portrait_jpeg)
    names = [
        "../../etc/passwd",
        "C:\\me\\a.jpg",
        str(tmp_path / "secret.jpg"),
        "http://127.0.0.1/x.jpg",
        "x" * 999,
    ]
    answer = client.post("/v1/analyze", files=several(*[(name, b"no picture") for name in names]))
    records = answer.json()["records"]
    assert [r["status"] for r in records] == ["error"] * len(names)
    assert [r["source"] for r in records] == ["passwd", "a.jpg", "secret.jpg", "x.jpg", "x" * 255]


def test_an_explanation_with_the_record(client: httpx.Client, portrait_jpeg: bytes) -> None:
    answer = client.post("/v1/analyze?explain=all", content=portrait_jpeg, headers=RAW)
    Analysis.model_validate_json(answer.text)
    (face,) = answer.json()["records"][0]["faces"]
    assert [one["label"] for one in face["explanation"]] == list(face["emotions"])
    assert face["explanation"][1]["hottest"] in explain.PARTS


def test_where_the_model_looked_as_a_picture(client: httpx.Client, portrait_jpeg: bytes) -> None:
    answer = client.post("/v1/explain", content=portrait_jpeg, headers=RAW)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    one = image.read(answer.content)
    answer = client.post("/v1/explain?emotion=all", content=portrait_jpeg, headers=RAW)
    assert image.read(answer.content).shape == (one.shape[0], 8 * one.shape[1], 3)


def test_no_face_and_no_such_expression_to_explain(
    client: httpx.Client, portrait_jpeg: bytes, empty_jpeg: bytes
) -> None:
    answer = client.post("/v1/explain", content=empty_jpeg, headers=RAW)
    problem(answer, 422, "body shows no face to explain")
    answer = client.post("/v1/explain?emotion=hunger", content=portrait_jpeg, headers=RAW)
    problem(answer, 422, "no expression called 'hunger'")
    problem(client.post("/v1/explain", files=several(("a", b"x"))), 415, "one picture")


def test_models_and_their_cards(client: httpx.Client) -> None:
    found = {model["name"]: model for model in client.get("/v1/models").json()["models"]}
    assert found["mien"]["here"] is True
    assert found["mini-xception"]["here"] is False
    assert "# mien" in client.get("/v1/models/mien").json()["card"]
    problem(client.get("/v1/models/mein"), 404, "did you mean mien?")
    problem(client.get("/v1/models/mini-xception"), 404, "not on this server")
    problem(client.get("/v1/models/..%2F..%2Fetc%2Fpasswd"), 404)


def test_what_the_framework_refuses(client: httpx.Client) -> None:
    problem(client.get("/nowhere"), 404, "GET /openapi.json lists what there is")
    refused = client.get("/v1/analyze")
    problem(refused, 405, "GET is not taken at this path, but POST")
    assert refused.headers["allow"] == "POST"
    problem(client.get("/v1/models/"), 404)
    problem(client.get("/docs"), 404)


def test_a_large_picture_is_told_in_its_own_pixels(
    client: httpx.Client, astronaut: np.ndarray[Any, Any]
) -> None:
    import io

    out = io.BytesIO()
    Image.fromarray(astronaut).resize((2600, 2600)).save(out, "JPEG")
    answer = client.post("/v1/analyze", content=out.getvalue(), headers=RAW)
    (record,) = answer.json()["records"]
    assert (record["width"], record["height"]) == (2600, 2600)
    assert record["faces"][0]["top"] == "happiness"


def test_a_model_of_one_s_own_that_is_swapped_while_it_serves(
    client: httpx.Client, portrait_jpeg: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_MODELS", str(tmp_path))
    ours = Path(catalogue.__file__).parent / "shipped"
    shutil.copy(ours / "mien-tiny.onnx", tmp_path / "own.onnx")

    def asked() -> Any:
        answer = client.post("/v1/analyze?model=own", content=portrait_jpeg, headers=RAW)
        assert answer.status_code == 200, answer.text
        return answer.json()["model"]["sha256"]

    assert "own" in {model["name"] for model in client.get("/v1/models").json()["models"]}
    assert asked() == catalogue.spec("mien-tiny").sha256
    shutil.copy(ours / "mien.onnx", tmp_path / "next.onnx")
    (tmp_path / "next.onnx").replace(tmp_path / "own.onnx")
    assert asked() == catalogue.spec("mien").sha256
    (tmp_path / "own.onnx").write_bytes(b"damaged")
    broken = client.post("/v1/analyze?model=own", content=portrait_jpeg, headers=RAW)
    problem(broken, 422, "own is not an ONNX model")
    (tmp_path / "own.onnx").unlink()
    gone = client.post("/v1/analyze?model=own", content=portrait_jpeg, headers=RAW)
    problem(gone, 422, "no model called 'own'")
