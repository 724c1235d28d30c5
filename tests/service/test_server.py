"""A service on a real socket: slow and vanishing clients, a full queue, TLS, a proxy, its end."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import resource
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from mien.errors import ConfigError
from mien.expression.baserates import BaseRates
from mien.expression.recognize import Reading
from mien.face import ImageArray
from mien.service import connection as of_uvicorn
from mien.service import server
from mien.service.keys import Keys
from mien.service.settings import ServiceSettings
from mien.testing import FakeRecognizer

from ..servers import until
from .conftest import Serve, problem

RAW = {"content-type": "application/octet-stream"}


class Slow(FakeRecognizer):
    """A model that answers when it is let, or at its end."""

    def __init__(self) -> None:
        super().__init__()
        self.let, self.asked = threading.Event(), 0

    def read(self, crops: Sequence[ImageArray], rates: BaseRates) -> Reading:
        if crops:
            self.asked += 1
            assert self.let.wait(30)
        return super().read(crops, rates)


@pytest.fixture
def slow() -> Slow:
    return Slow()


Start = Callable[..., AbstractContextManager[str]]


@pytest.fixture
def start(tmp_path: Path, slow: Slow) -> Start:
    """A service whose model waits to be let."""

    def made(**settings: Any) -> AbstractContextManager[str]:
        return server.running(ServiceSettings(port=0, home=tmp_path, **settings), slow)

    return made


def send(
    at: str, content: bytes, answers: list[httpx.Response], query: str = ""
) -> threading.Thread:
    """A picture that is a face already, in a thread."""

    def ask() -> None:
        url = f"{at}/v1/analyze?crops=true&align=box{query}"
        answers.append(httpx.post(url, content=content, headers=RAW, timeout=60))

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def test_a_full_queue_says_when_to_come_again(
    start: Start, slow: Slow, portrait_jpeg: bytes
) -> None:
    with start(workers=1, queue=1) as at:
        answers: list[httpx.Response] = []
        first = send(at, portrait_jpeg, answers)
        until(lambda: slow.asked == 1)
        second = send(at, portrait_jpeg, answers)
        until(lambda: "mien_queue_pictures 1.0" in httpx.get(f"{at}/metrics").text)
        refused = httpx.post(f"{at}/v1/analyze", content=portrait_jpeg, headers=RAW)
        problem(refused, 503, "too many pictures are waiting")
        assert int(refused.headers["retry-after"]) >= 1
        slow.let.set()
        for thread in (first, second):
            thread.join()
        assert [answer.status_code for answer in answers] == [200, 200]
        files = [("files", ("a.jpg", portrait_jpeg))] * 3
        problem(httpx.post(f"{at}/v1/analyze", files=files), 422, "takes 2 pictures at once, got 3")
        again = httpx.post(f"{at}/v1/analyze", content=portrait_jpeg, headers=RAW)
        assert again.status_code == 200


def test_a_request_takes_no_longer_than_it_may(
    start: Start, slow: Slow, portrait_jpeg: bytes
) -> None:
    with start(workers=1, request_s=0.3) as at:
        refused = httpx.post(
            f"{at}/v1/analyze?crops=true&align=box", content=portrait_jpeg, headers=RAW
        )
        slow.let.set()
    problem(refused, 503, "this took longer than 0.3 s")
    assert "retry-after" in refused.headers


def test_a_client_that_leaves_frees_its_place(
    start: Start, slow: Slow, portrait_jpeg: bytes
) -> None:
    with start(workers=1, queue=1) as at:
        answers: list[httpx.Response] = []
        first = send(at, portrait_jpeg, answers)
        until(lambda: slow.asked == 1)
        leaving = half_sent(at, portrait_jpeg)
        leaving.sendall(portrait_jpeg)
        until(lambda: "mien_queue_pictures 1.0" in httpx.get(f"{at}/metrics").text)
        leaving.close()
        until(lambda: "mien_queue_pictures 0.0" in httpx.get(f"{at}/metrics").text)
        slow.let.set()
        first.join()
        assert slow.asked == 1, "nobody waited for the second"
        assert 'status="499"' in httpx.get(f"{at}/metrics").text


def half_sent(at: str, content: bytes, more: str = "") -> socket.socket:
    """A connection on which a picture's headers were sent, and nothing else."""
    host, port = at.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), 30)
    head = (
        f"POST /v1/analyze?crops=true HTTP/1.1\r\nHost: {host}\r\nContent-Type: image/jpeg\r\n"
        f"Content-Length: {len(content)}\r\n{more}\r\n"
    )
    connection.sendall(head.encode())
    return connection


def test_a_slow_upload_is_given_up(serve: Serve, portrait_jpeg: bytes) -> None:
    client = serve(upload_s=0.3)
    at = f"http://127.0.0.1:{client.base_url.port}"
    begun = time.monotonic()
    with half_sent(at, portrait_jpeg) as connection:
        assert b" 408 " in connection.recv(4096)
    assert time.monotonic() - begun < 5
    drips = 0
    with half_sent(at, portrait_jpeg) as connection:  # never silent for long, and yet too slow
        connection.settimeout(0.05)
        while drips < 200:
            connection.sendall(b"x")
            drips += 1
            try:
                answer = connection.recv(4096)
            except TimeoutError:
                continue
            assert b" 408 " in answer
            break
    assert drips < 100


def test_headers_that_never_come(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_uvicorn, "HEADERS_S", 0.3)
    client = serve()
    address = ("127.0.0.1", client.base_url.port or 0)
    for begun in (b"", b"GET / HT", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: "):
        with socket.create_connection(address, 10) as connection:
            connection.sendall(begun)
            assert connection.recv(100) == b""


def test_a_thousand_idle_connections(serve: Serve, portrait_jpeg: bytes) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2500:
        pytest.skip("this system gives a process too few connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2500), hard))
    client = serve()
    address = ("127.0.0.1", client.base_url.port or 0)
    before, threads = _resident(), threading.active_count()
    idle = [socket.create_connection(address, 10) for _ in range(1000)]
    try:
        answer = client.post("/v1/analyze", content=portrait_jpeg, headers=RAW)
        assert answer.status_code == 200
        assert _resident() - before < 100e6
        assert threading.active_count() - threads < 10
    finally:
        for connection in idle:
            connection.close()
    assert client.get("/healthz").status_code == 200


def _resident() -> int:
    """Bytes of this process, in which the service runs, too."""
    status = Path("/proc/self/statm")
    if not status.exists():
        pytest.skip("no /proc here")
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


TUNNEL = b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n"


def test_what_is_no_http(client: httpx.Client) -> None:
    address = ("127.0.0.1", client.base_url.port or 0)
    for noise in (
        b"\x16\x03\x01\x02\x00\x01" * 50 + b"\r\n\r\n",
        bytes(100_000),
        b"GET\r\n\r\n",
        TUNNEL,
    ):
        with socket.create_connection(address, 10) as connection:
            connection.sendall(noise)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(4096).startswith((b"HTTP/1.1 400", b""))
    assert client.get("/healthz").status_code == 200


def test_a_cut_connection_costs_nothing(
    client: httpx.Client, portrait_jpeg: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mien.service")
    at = f"http://127.0.0.1:{client.base_url.port}"
    for sent in (0, 10, len(portrait_jpeg) // 2):
        with half_sent(at, portrait_jpeg) as connection:
            connection.sendall(portrait_jpeg[:sent])
    until(lambda: [status(record) for record in caplog.records].count(499) == 3)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    answer = client.post("/v1/analyze", content=portrait_jpeg, headers=RAW)
    assert answer.status_code == 200


def status(record: logging.LogRecord) -> Any:
    return getattr(record, "told", {}).get("status")


def test_behind_a_proxy_that_takes_a_prefix_off(tmp_path: Path, portrait_jpeg: bytes) -> None:
    """As nginx does with ``location /faces/ { proxy_pass http://127.0.0.1:8000/; }``."""
    secret = Keys(tmp_path).add("proxy", 600, 4)
    settings = ServiceSettings(
        port=0, home=tmp_path, root_path="/faces", allowed_hosts=("faces.example",)
    )
    with server.running(settings) as at:
        headers = {"host": "faces.example", "authorization": f"Bearer {secret}"}
        with httpx.Client(base_url=at, headers=headers, timeout=60) as client:
            document = client.get("/openapi.json").json()
            assert document["servers"] == [{"url": "/faces"}]
            answer = client.post("/v1/analyze", content=portrait_jpeg, headers=RAW)
            assert answer.status_code == 200
            assert client.get("/metrics").text.count('route="/v1/analyze"') > 1
            del client.headers["authorization"]
            assert client.get("/healthz").status_code == 200
            problem(client.get("/v1/models"), 401)


def test_encrypted(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    made = subprocess.run(
        [*command, "-keyout", key, "-out", cert], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("no openssl to make a certificate with")
    settings = ServiceSettings(port=0, home=tmp_path, tls_cert=cert, tls_key=key)
    with server.running(settings) as at:
        trusting = ssl.create_default_context(cafile=str(cert))
        assert at.startswith("https://")
        assert httpx.get(f"{at}/healthz", verify=trusting).status_code == 200
        with pytest.raises(httpx.HTTPError):
            httpx.get(at.replace("https", "http") + "/healthz")
    key.write_text("no key")
    with pytest.raises(ConfigError, match="--tls-cert and --tls-key cannot be used"):
        server.server(settings)


def test_settings_that_do_not_fit(tmp_path: Path) -> None:
    for wrong, said in (
        ({"port": 70_000}, "a port is a number up to 65535"),
        ({"root_path": "faces/"}, "a root path is like /faces"),
        ({"tls_key": tmp_path / "k.pem"}, "add --tls-cert FILE"),
        ({"tls_cert": tmp_path / "c.pem"}, "no such file"),
        ({"keep_days": float("nan")}, "--keep-days takes a number of days, got nan"),
    ):
        with pytest.raises(ConfigError, match=re.escape(said)):
            ServiceSettings(home=tmp_path, **wrong)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = f"port {port}: Address already in use; another --port may be free"
        with pytest.raises(ConfigError, match=said):
            server.listening(ServiceSettings(port=port, home=tmp_path))
    with pytest.raises(ConfigError, match="cannot listen at"):
        server.listening(ServiceSettings(host="no-such-host.invalid", home=tmp_path))


@contextmanager
def by_command(home: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``mien serve`` in a process of its own, and its address."""
    command = [sys.executable, "-m", "mien", "serve", "--port", "0", "--workers", "1"]
    environment = os.environ | {"MIEN_HOME": str(home)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr
        said = ""
        while "mien serves at" not in said:
            said = process.stderr.readline()
            assert said, "it ended"
        at = said.split("mien serves at ")[1].split(";")[0]
        try:
            until(lambda: _answers(at))
            yield process, at
        finally:
            process.kill()


def test_it_finishes_what_it_took(tmp_path: Path, portrait_jpeg: bytes) -> None:
    """``mien serve`` told to stop by a polite kill, while it has requests."""
    with by_command(tmp_path) as (process, at):
        assert process.stderr
        answers: list[httpx.Response] = []
        files = [("files", (f"{i}.jpg", portrait_jpeg)) for i in range(40)]
        asking = threading.Thread(
            target=lambda: answers.append(httpx.post(f"{at}/v1/analyze", files=files, timeout=60))
        )
        asking.start()
        until(lambda: "mien_queue_pictures 0.0" not in httpx.get(f"{at}/metrics").text)
        process.send_signal(signal.SIGTERM)
        asking.join()
        rest = process.stderr.read()
        process.wait(30)
    assert [record["status"] for record in answers[0].json()["records"]] == ["ok"] * 40
    assert "Traceback" not in rest
    assert json.loads(rest.splitlines()[-1])["status"] == 200


def test_what_a_picture_is_like_is_not_logged_with_its_name(tmp_path: Path) -> None:
    animation = io.BytesIO()
    frames = [Image.new("L", (64, 64), gray) for gray in (0, 255)]
    frames[0].save(animation, "GIF", save_all=True, append_images=frames[1:])
    with by_command(tmp_path) as (process, at):
        assert process.stderr
        files = {"files": ("Ann Smith.gif", animation.getvalue())}
        (record,) = httpx.post(f"{at}/v1/analyze", files=files, timeout=60).json()["records"]
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
    assert (record["source"], record["status"]) == ("Ann Smith.gif", "no_face")
    assert [json.loads(line)["event"] for line in rest.splitlines()].count("answered") >= 1
    assert "Ann" not in rest


def test_who_presses_ctrl_c_twice_waits_for_nothing(tmp_path: Path) -> None:
    with by_command(tmp_path) as (process, at):
        assert process.stderr
        with half_sent(at, b"x" * 1000):
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
            assert process.poll() is None, "it did not wait for what is under way"
            process.send_signal(signal.SIGINT)
            rest = process.stderr.read()
            process.wait(30)
    assert "Traceback" not in rest


def _answers(at: str) -> bool:
    try:
        return httpx.get(f"{at}/readyz").status_code == 200
    except httpx.HTTPError:
        return False


def test_an_answer_does_not_wait_for_its_headers_to_be_acknowledged(client: httpx.Client) -> None:
    """40 ms each, by Linux's delayed acknowledgement, where small packets are held back."""
    took = []
    with closing(HTTPConnection(client.base_url.host, client.base_url.port)) as connection:
        for _ in range(20):
            began = time.perf_counter()
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            took.append(time.perf_counter() - began)
    assert statistics.median(took) < 0.02
