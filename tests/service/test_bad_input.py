"""What clients send by mistake or in malice, and what a machine does at a bad time.

Against real services; what is bad about one route's options is told in that route's tests.
"""

from __future__ import annotations

import gzip
import io
import resource
import socket
import struct
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from mien.service import connection, recordings, server, worker
from mien.service.jobs import State
from mien.service.keys import Keys
from mien.service.settings import ServiceSettings
from tests.made import video

from ..servers import until
from .conftest import Serve, problem
from .databases import Server, postgres
from .recorded import VIDEOS, handed_in, over
from .test_pictures import bomb
from .test_server import half_sent

JPEG = {"content-type": "image/jpeg"}
MP4 = {"content-type": "video/mp4"}
TEN_YEARS_S = 10 * 365 * 86400


def address(client: httpx.Client) -> tuple[str, int]:
    return "127.0.0.1", client.base_url.port or 0


# -- bombs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/analyze", "/v1/analyze?crops=true", "/v1/explain"])
def test_a_picture_that_would_be_gigabytes(client: httpx.Client, path: str) -> None:
    answer = client.post(path, content=bomb(), headers={"content-type": "image/png"})
    problem(answer, 422, "60000 x 60000 = 3600 megapixels")


def test_a_picture_that_would_be_gigabytes_in_a_stream(client: httpx.Client) -> None:
    at = str(client.base_url).replace("http", "ws", 1)
    with connect(f"{at}/v1/stream") as stream:
        stream.recv(30)
        stream.send(bomb())
        assert "3600 megapixels" in str(stream.recv(30))


def test_an_archive_of_zeros_is_no_picture(client: httpx.Client, portrait_jpeg: bytes) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jpg", bytes(50_000_000))
    files = [("files", ("a.jpg", out.getvalue())), ("files", ("b.jpg", portrait_jpeg))]
    bad, good = client.post("/v1/analyze", files=files).json()["records"]
    assert (bad["status"], good["status"]) == ("error", "ok")
    assert bad["reason"].startswith("a.jpg is a zip archive")


def test_a_body_is_not_unpacked(client: httpx.Client) -> None:
    """Whatever it says of itself: its bytes are what came."""
    packed = gzip.compress(bytes(50_000_000))
    answer = client.post("/v1/analyze", content=packed, headers=JPEG | {"content-encoding": "gzip"})
    problem(answer, 422, "body is")


def test_a_message_that_unpacks_to_too_much_ends_its_stream(client: httpx.Client) -> None:
    at = str(client.base_url).replace("http", "ws", 1)
    with connect(f"{at}/v1/stream", compression="deflate") as stream:
        stream.recv(30)
        stream.send(bytes(50_000_000))  # 50 kB on the way
        with pytest.raises(ConnectionClosed) as closed:
            stream.recv(30)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def claims_ten_years(path: Path) -> bytes:
    """A second of 20 frames, by whose tables each is shown for half a year."""
    content = bytearray(video(path, frames=20).read_bytes())

    def put(box: bytes, offset: int, *values: int) -> None:
        at = content.index(box) + 4 + offset
        content[at : at + 4 * len(values)] = struct.pack(f">{len(values)}I", *values)

    for box in (b"mvhd", b"mdhd"):
        put(box, 12, 1, TEN_YEARS_S)  # so many ticks of a second each
    put(b"tkhd", 20, TEN_YEARS_S)
    put(b"elst", 8, TEN_YEARS_S)
    put(b"stts", 12, TEN_YEARS_S // 20)
    return bytes(content)


def test_a_recording_that_claims_ten_years(client: httpx.Client, tmp_path: Path) -> None:
    content = claims_ten_years(tmp_path / "a.mp4")
    answer = client.post(VIDEOS, files={"file": ("a.mp4", content)})
    problem(answer, 422, "a.mp4 lasts 315360000 s", "takes up to 43200; cut it first")


# -- connections ----------------------------------------------------------------------------------


def test_a_slow_upload_of_a_recording_is_given_up(serve: Serve, tmp_path: Path) -> None:
    client = serve(home=tmp_path, upload_s=0.3)
    head = (
        f"POST {VIDEOS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: video/mp4\r\n"
        "Content-Length: 9000000\r\n\r\n"
    )
    with socket.create_connection(address(client), 10) as sender:
        sender.sendall(head.encode() + bytes(2_000_000))
        assert b" 408 " in sender.recv(4096)
    until(lambda: not list((tmp_path / "service" / "jobs").iterdir()))


@pytest.mark.parametrize("piece", [b"x" * 8000, b"X-Filler: " + b"x" * 8000 + b"\r\n"])
def test_headers_without_end(client: httpx.Client, piece: bytes) -> None:
    with socket.create_connection(address(client), 10) as sender:
        sender.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: x")
        taken = 0
        with suppress(ConnectionError):
            for _ in range(1000):
                time.sleep(0.001)
                sender.sendall(piece)
                taken += len(piece)
    assert taken < 4_000_000, "the service went on reading"
    assert client.get("/healthz").status_code == 200


def test_an_answer_that_nobody_reads_is_given_up(
    serve: Serve, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "UNREAD_S", 0.3)
    client = serve(home=tmp_path)
    job = over(client, handed_in(client, clip))
    large = tmp_path / "service" / "jobs" / job["id"] / "records.jsonl"
    with large.open("r+b") as stream:
        stream.truncate(200_000_000)
    ask = f"GET {VIDEOS}/{job['id']}/result HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(address(client), 10) as reader:
        reader.sendall(ask.encode())
        time.sleep(2)
        read = 0
        with suppress(ConnectionError):
            while piece := reader.recv(1 << 20):
                read += len(piece)
    assert read < 100_000_000
    with client.stream("GET", f"{VIDEOS}/{job['id']}/result") as whole:  # who reads gets all of it
        assert sum(map(len, whole.iter_raw())) == 200_000_000


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_socket_that_is_closed_half_way_is_a_client_that_left(
    client: httpx.Client, portrait_jpeg: bytes, share: float
) -> None:
    """No server can tell the two from each other before it answers."""
    at = f"http://127.0.0.1:{client.base_url.port}"
    with half_sent(at, portrait_jpeg) as sender:
        sender.sendall(portrait_jpeg[: int(share * len(portrait_jpeg))])
        sender.shutdown(socket.SHUT_WR)
        sender.settimeout(10)
        assert sender.recv(4096) in (b"",) or share == 1.0
    until(lambda: "mien_queue_pictures 0.0" in client.get("/metrics").text)
    answer = client.post("/v1/analyze", content=portrait_jpeg, headers=JPEG)
    assert answer.status_code == 200


def test_a_request_that_asks_for_another_protocol_is_answered_in_this_one(
    client: httpx.Client, portrait_jpeg: bytes
) -> None:
    """As ``curl --http2`` asks."""
    asks = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2-settings": "AAMAAA"}
    with closing(HTTPConnection(*address(client))) as sender:
        for _ in range(2):
            sender.request("POST", "/v1/analyze", portrait_jpeg, JPEG | asks)
            answer = sender.getresponse()
            assert (answer.status, b'"records"' in answer.read()) == (200, True)


HANDSHAKE = (
    b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def test_a_thousand_idle_streams(serve: Serve, portrait_jpeg: bytes) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2500:
        pytest.skip("this system gives a process too few connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2500), hard))
    client = serve()
    threads = threading.active_count()
    with ExitStack() as idle:
        streams = [
            idle.enter_context(socket.create_connection(address(client), 30)) for _ in range(1000)
        ]
        for stream in streams:
            stream.sendall(HANDSHAKE)
        for stream in streams:
            assert stream.recv(4096).startswith(b"HTTP/1.1 101")
        answer = client.post("/v1/analyze", content=portrait_jpeg, headers=JPEG)
        assert answer.status_code == 200
        assert threading.active_count() - threads < 20
    assert client.get("/healthz").status_code == 200


# -- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "known_as"),
    [
        ("../../../../etc/evil.mp4", "evil.mp4"),
        ("..\\..\\evil.mp4", "evil.mp4"),
        ("/etc/passwd", "passwd"),
        ("-rf.mp4", "rf.mp4"),
        ("--out=x.mp4", "out_x.mp4"),
        ("a\x00b.mp4", "a_b.mp4"),
        ("$(touch evil).mp4", "(touch evil).mp4"),
        ("https://example.org/a.mp4", "a.mp4"),
        ("concat:a.mp4|b.mp4", "concat_a.mp4_b.mp4"),
        ("", "recording"),
        ("." * 50, "recording"),
        ("x" * 5000 + ".mp4", "x" * 120 + ".mp4"),
    ],
)
def test_a_recording_s_name_is_no_path(
    client: httpx.Client, clip: Path, name: str, known_as: str
) -> None:
    params = {"name": name[-255:], "end": "0.1"}
    answer = client.post(VIDEOS, content=clip.read_bytes(), headers=MP4, params=params)
    assert answer.status_code == 202, answer.text
    job = over(client, answer.json())
    assert (job["state"], job["name"]) == ("done", known_as)
    source = client.get(f"{VIDEOS}/{job['id']}/result").json()
    assert source["source"] == known_as


# -- databases and disks --------------------------------------------------------------------------


@pytest.fixture
def database() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="mien-") as folder, postgres(Path(folder)) as server:
        yield server


def test_a_database_that_is_gone_for_a_while(
    serve: Serve,
    database: Server,
    clip: Path,
    portrait_jpeg: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "_AWAY_S", 0.2)
    client = serve(home=tmp_path, database=database.address)
    first = over(client, handed_in(client, clip))
    database.stop()
    file = {"file": (clip.name, clip.read_bytes())}
    for answer in (
        client.get("/readyz"),
        client.get(VIDEOS),
        client.get(f"{VIDEOS}/{first['id']}"),
        client.get(f"{VIDEOS}/{first['id']}/result"),
        client.post(f"{VIDEOS}/{first['id']}/cancel"),
        client.delete(f"{VIDEOS}/{first['id']}"),
        client.post(VIDEOS, files=file),
    ):
        problem(answer, 503, "the database does not answer")
        assert int(answer.headers["retry-after"]) == 10
        assert "postgres" not in answer.text
    assert [path.name for path in (tmp_path / "service" / "jobs").iterdir()] == [first["id"]]
    assert client.get("/healthz").status_code == 200
    assert "mien_requests_total" in client.get("/metrics").text
    assert client.post("/v1/analyze", content=portrait_jpeg, headers=JPEG).status_code == 200
    database.start()
    assert client.get("/readyz").status_code == 200
    assert client.get(f"{VIDEOS}/{first['id']}").json() == first
    assert over(client, handed_in(client, clip))["state"] == "done"


@pytest.mark.parametrize("kept_in", ["sqlite", "postgresql"])
def test_two_services_on_one_database_share_the_work(
    serve: Serve, kept_in: str, request: pytest.FixtureRequest, tmp_path: Path, clip: Path
) -> None:
    at = request.getfixturevalue("database").address if kept_in == "postgresql" else None
    one, other = (serve(home=tmp_path, database=at) for _ in range(2))
    jobs = [handed_in(service, clip, every=2) for service in (one, other, one, other)]
    assert {over(one, job)["state"] for job in jobs} == {"done"}
    results = {other.get(f"{VIDEOS}/{job['id']}/result").content for job in jobs}
    assert len(results) == 1
    assert len(results.pop().splitlines()) == 10
    listed = [job["id"] for job in other.get(VIDEOS).json()["jobs"]]
    assert listed == [job["id"] for job in reversed(jobs)]
    assert other.delete(f"{VIDEOS}/{jobs[0]['id']}").status_code == 204
    problem(one.get(f"{VIDEOS}/{jobs[0]['id']}"), 404)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """As on a disk that is full: the system refuses to write more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("as_form", [True, False])
def test_a_disk_that_is_full_within_an_upload(
    serve: Serve, tmp_path: Path, clip: Path, as_form: bool
) -> None:
    client = serve(home=tmp_path, recordings=0)
    content = bytes(12_000_000)
    sent: dict[str, Any] = {"content": content, "headers": MP4}
    with files_of_at_most(3_000_000):
        answer = client.post(
            VIDEOS, **({"files": {"file": ("a.mp4", content)}} if as_form else sent)
        )
    problem(answer, 507, "the recording cannot be kept: File too large")
    assert list((tmp_path / "service" / "jobs").iterdir()) == []
    assert handed_in(client, clip)["state"] == State.QUEUED


def test_a_disk_that_is_full_before_an_upload(
    serve: Serve, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = serve(recordings=0)
    monkeypatch.setattr(recordings, "_FEW_BYTES", 1 << 60)
    answer = client.post(VIDEOS, files={"file": (clip.name, clip.read_bytes())})
    problem(answer, 507, "the disk of this server is full; try again later")


# -- keys -----------------------------------------------------------------------------------------


def test_a_wrong_key_gets_nothing_of_anybody(tmp_path: Path, clip: Path) -> None:
    secret = Keys(tmp_path).add("ann", 600, 16)
    with server.running(ServiceSettings(port=0, home=tmp_path, recordings=0)) as at:
        with httpx.Client(base_url=at, headers={"authorization": f"Bearer {secret}"}) as ann:
            job = handed_in(ann, clip)
        ask: Callable[..., httpx.Response]
        for wrong in (secret[:-1], secret.upper(), secret + "x", "mien_" + "A" * 43):
            with httpx.Client(base_url=at, headers={"authorization": f"Bearer {wrong}"}) as eve:
                for ask, path in (
                    (eve.get, VIDEOS),
                    (eve.get, f"{VIDEOS}/{job['id']}"),
                    (eve.get, f"{VIDEOS}/{job['id']}/result"),
                    (eve.delete, f"{VIDEOS}/{job['id']}"),
                    (eve.get, "/v1/persons"),
                    (eve.get, "/metrics"),
                ):
                    problem(ask(path), 401, "this needs a key")
