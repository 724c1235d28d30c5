"""A program's side of the service."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import mien
from mien.errors import ConfigError, ImageError, InputError, ServiceError
from mien.face import ImageArray
from mien.service import client as c
from mien.service.client import Client
from tests.made import video

from .conftest import Serve


@pytest.fixture(scope="module")
def service(client: httpx.Client) -> Iterator[Client]:
    with mien.Client(str(client.base_url)) as service:
        yield service


def test_faces_are_those_of_an_analyzer(
    service: Client, astronaut: ImageArray, portrait_jpeg: bytes, tmp_path: Path
) -> None:
    (tmp_path / "photo.jpg").write_bytes(portrait_jpeg)
    (ours,) = mien.Analyzer().analyze(tmp_path / "photo.jpg")
    for picture in (tmp_path / "photo.jpg", str(tmp_path / "photo.jpg"), portrait_jpeg):
        (theirs,) = service.analyze(picture)
        assert theirs.as_dict() == ours.as_dict()
        assert theirs.emotions.label_set.labels == ours.emotions.label_set.labels
    (of_array,) = service.analyze(astronaut)
    assert of_array.emotions.top[0] == "happiness"
    assert service.analyze(np.zeros((64, 64, 3), np.uint8)) == []
    (among,) = service.analyze(portrait_jpeg, coverage=0.9)
    assert among.prediction_set


def test_records_of_several(service: Client, portrait_jpeg: bytes, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(portrait_jpeg)
    good, bad = service.records([tmp_path / "photo.jpg", b"no picture"])
    assert (good["source"], good["status"]) == ("photo.jpg", "ok")
    assert (bad["source"], bad["status"]) == ("picture-1", "error")
    with pytest.raises(ImageError, match="picture-0"):
        service.analyze(b"no picture")
    with pytest.raises(ImageError, match="no such file"):
        service.analyze(tmp_path / "none.jpg")
    with pytest.raises(ServiceError, match="did you mean detector") as refused:
        service.analyze(portrait_jpeg, detecter="haar")
    assert refused.value.status == 422
    assert "mien" in {model["name"] for model in service.models()}


def test_a_recording(service: Client, tmp_path: Path) -> None:
    path = video(tmp_path / "a clip.mp4", frames=20)
    sent: list[tuple[int, int]] = []
    job = service.analyze_video(path, progress=lambda *of: sent.append(of), every=2)
    assert sent[-1] == (path.stat().st_size,) * 2
    assert job.wait(120).state()["counts"] == {"no_face": 10}
    table = job.save(tmp_path / "faces.csv", "csv").read_text(encoding="utf-8-sig")
    assert len(table.splitlines()) == 11
    assert job.summary() == []
    assert job.id in [known.id for known in service.jobs()]
    with pytest.raises(ServiceError, match="no format called 'cvs'"):
        job.save(tmp_path / "b.csv", "cvs")
    assert not (tmp_path / "b.csv").exists()
    job.delete()
    with pytest.raises(ServiceError, match="no recording of this id") as gone:
        job.state()
    assert gone.value.status == 404
    with pytest.raises(InputError, match=r"cannot read .*none\.mp4"):
        service.analyze_video(tmp_path / "none.mp4")


def test_waiting_ends(serve: Serve, tmp_path: Path) -> None:
    with Client(str(serve(recordings=0).base_url)) as service:
        job = service.analyze_video(video(tmp_path / "a.mp4"))
        with pytest.raises(TimeoutError, match=r"a\.mp4 is queued after 0 s"):
            job.wait(0)
        job.cancel()
        with pytest.raises(ServiceError, match=r"a\.mp4 is cancelled"):
            job.wait()


class Busy(BaseHTTPRequestHandler):
    """Has no time, twice; then it answers."""

    asked = 0

    breaks = False

    def do_POST(self) -> None:
        if self.breaks:
            type(self).asked += 1
            self.connection.close()
            return
        self.rfile.read(int(self.headers["content-length"]))
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        type(self).asked += 1
        status = 503 if type(self).asked < 3 else 200
        body = b'{"models": [], "id": "x", "detail": "later"}'
        self.send_response(status)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def busy() -> Iterator[str]:
    Busy.asked = 0
    with HTTPServer(("127.0.0.1", 0), Busy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_what_a_service_has_no_time_for_is_tried_again(busy: str, tmp_path: Path) -> None:
    with Client(busy) as service:
        assert service.models() == []
        assert Busy.asked == 3
        Busy.asked = 0
        job = service.analyze_video(video(tmp_path / "a.mp4"))  # its body, too
        assert (job.id, Busy.asked) == ("x", 3)


def test_a_recording_is_not_handed_in_twice(
    busy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks before the answer: it may have been taken."""
    monkeypatch.setattr(Busy, "breaks", True)
    with Client(busy) as service, pytest.raises(ServiceError, match="does not answer"):
        service.analyze_video(video(tmp_path / "a.mp4"))
    assert Busy.asked == 1


def test_a_service_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    with (
        Client("http://127.0.0.1:9") as service,
        pytest.raises(ServiceError, match=r"127\.0\.0\.1:9 does not answer: ") as away,
    ):
        service.models()
    assert away.value.status is None
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0][: len(pauses)]
    assert len(pauses) == c._TRIES - 1


@pytest.mark.parametrize("address", ["127.0.0.1:8000", "ftp://host", "http://[", "", "http://"])
def test_addresses_that_are_none(address: str) -> None:
    """They are told at once, and not after six tries."""
    with pytest.raises(ConfigError, match="is no address of a service"):
        Client(address)


@pytest.mark.parametrize("key", ["schlüssel", "a\nb"])
def test_keys_that_are_none(key: str) -> None:
    with pytest.raises(ConfigError, match="what mien serve keys add showed"):
        Client("http://127.0.0.1:9", key)


def test_what_is_no_service_of_mien(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def page(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text="<html>It works!</html>")

    def of_another(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=["mien"])

    for answers in (page, of_another):
        with Client("http://a.example") as service:
            service._http = httpx.Client(
                base_url="http://a.example", transport=httpx.MockTransport(answers)
            )
            for ask in (
                lambda: service.records([b"x"]),
                service.models,
                service.jobs,
                lambda: service.analyze_video(video(tmp_path / "a.mp4")),
            ):
                with pytest.raises(ServiceError, match="200, and not as a service of mien does"):
                    ask()


def test_a_file_that_breaks_off_is_got_again(tmp_path: Path) -> None:
    asked: list[str] = []

    def broken() -> Iterator[bytes]:
        yield b"half of "
        raise httpx.ReadError("the connection is gone")

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if len(asked) == 1:
            return httpx.Response(503, json={"detail": "later"}, headers={"retry-after": "0"})
        if len(asked) == 2:
            return httpx.Response(200, content=broken())
        return httpx.Response(200, content=b"all of it")

    with Client("http://a.example") as service:
        service._http = httpx.Client(
            base_url="http://a.example", transport=httpx.MockTransport(answer)
        )
        out = c.Job(service, "x").save(tmp_path / "a.csv", "csv")
    assert out.read_bytes() == b"all of it"
    assert len(asked) == 3
    assert list(tmp_path.iterdir()) == [out]


def test_no_pictures_have_no_records() -> None:
    with Client("http://127.0.0.1:9") as service:
        assert service.records([]) == []


def test_a_key_goes_along(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mien.service.keys import Keys

    secret = Keys(tmp_path).add("ann", 600, 16)
    at = str(serve(home=tmp_path).base_url)
    with Client(at) as service, pytest.raises(ServiceError, match="needs a key"):
        service.models()
    with Client(at, secret) as service:
        assert service.models()
    monkeypatch.setenv("MIEN_KEY", secret)
    with Client(at) as service:
        assert service.jobs() == []
