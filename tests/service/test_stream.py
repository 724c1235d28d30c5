"""A camera's pictures over a WebSocket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from mien.face import ImageArray

from .conftest import Serve, jpeg

At = Any


@pytest.fixture(scope="module")
def at(client: httpx.Client) -> str:
    return str(client.base_url).replace("http", "ws", 1).rstrip("/") + "/v1/stream"


def heard(socket: ClientConnection) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(socket.recv(30))
    return told


def greeted(socket: ClientConnection) -> ClientConnection:
    told = heard(socket)
    assert told["model"]["name"] == "mien"
    assert len(told["labels"]) == 8
    assert "expression" in told["notice"]
    return socket


@pytest.fixture
def socket(at: str) -> Iterator[ClientConnection]:
    with connect(at) as open_socket:
        yield greeted(open_socket)


def test_a_face_that_moves_keeps_its_track(socket: ClientConnection, astronaut: ImageArray) -> None:
    for i in range(4):
        socket.send(json.dumps({"time_s": i / 10}))
        socket.send(jpeg(np.roll(astronaut, 4 * i, axis=1)))
        told = heard(socket)
        record = told["record"]
        assert (record["frame"], record["time_s"], record["status"]) == (i, i / 10, "ok")
        assert (record["schema"], record["source"]) == ("mien/2", "stream")
        assert record["faces"][0]["track"] == 1
        assert record["faces"][0]["top"] == "happiness"
        assert told["skipped"] == 0
        assert told["ms"] > 0


def test_what_is_no_picture_is_a_record_and_ends_nothing(
    socket: ClientConnection, portrait_jpeg: bytes
) -> None:
    for content in (b"", b"no picture", portrait_jpeg[:500]):
        socket.send(content)
        record = heard(socket)["record"]
        assert record["status"] == "error"
        assert "stream" in record["reason"]
    socket.send(portrait_jpeg)
    record = heard(socket)["record"]
    assert (record["frame"], record["status"]) == (3, "ok")
    assert record["time_s"] > 0  # the service's clock, where none is told


def test_the_newest_wins_and_what_was_passed_over_is_told(
    socket: ClientConnection, portrait_jpeg: bytes
) -> None:
    for _ in range(60):
        socket.send(portrait_jpeg)
    read, told = 0, heard(socket)
    while told["record"]["frame"] < 59:
        read, told = read + 1, heard(socket)
    assert told["skipped"] + read + 1 == 60
    assert told["skipped"] > 0


def test_times_go_on(socket: ClientConnection, empty_jpeg: bytes) -> None:
    times = []
    for said in (5.0, 5.0, 1.0):
        socket.send(json.dumps({"time_s": said}))
        socket.send(empty_jpeg)
        times.append(heard(socket)["record"]["time_s"])
    assert times == [5.0, 5.001, 5.002]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("smoth=none", "no option called 'smoth'; did you mean smooth?"),
        ("smooth=two-sided", "smooth: Input should be 'causal' or 'none'"),
        ("model=../x.onnx", "no model called"),
        ("model=mien&model=mien", "model is given twice"),
        ("no_tracks=true", "faces that are not followed cannot be smoothed"),
        ("coverage=0.9", "smoothing changes these"),
        ("crops=true", "no option called 'crops'"),
        ("person=Nobody", "Nobody"),
    ],
)
def test_options_that_are_none(at: str, query: str, words: str) -> None:
    with connect(f"{at}?{query}") as socket:
        told = heard(socket)
        assert told["problem"]["status"] == 422
        assert words in told["problem"]["detail"]
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(30)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "[]",
        '{"time_s": -1}',
        '{"time_s": "NaN"}',
        "{}",
        '{"time_s": 1e300}',  # to which nothing can be added
        '{"time_s": 1, "skip": true}',
    ],
)
def test_words_that_are_none(socket: ClientConnection, text: str) -> None:
    socket.send(text)
    assert heard(socket)["problem"]["status"] == 422


def test_a_key_is_needed_where_there_are_any(serve: Serve, tmp_path: Any) -> None:
    from mien.service.keys import Keys

    secret = Keys(tmp_path).add("ann", 600, 16)
    at = str(serve(home=tmp_path).base_url).replace("http", "ws", 1).rstrip("/") + "/v1/stream"
    with pytest.raises(InvalidStatus) as refused, connect(at):
        pass
    answer = refused.value.response
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.body is not None
    told = json.loads(answer.body)
    assert told["detail"].startswith("this needs a key")
    assert told["request_id"] == answer.headers["x-request-id"]
    with connect(at, additional_headers={"authorization": f"Bearer {secret}"}) as socket:
        greeted(socket)
    # A browser's script can only ask for protocols, and insists on an answer.
    asked = [Subprotocol("mien.bearer"), Subprotocol(secret)]
    with connect(at, subprotocols=asked) as socket:
        assert socket.subprotocol == "mien.bearer"
        greeted(socket)
    for wrong in (["mien.bearer", secret[:-1]], ["mien.bearer"], [secret], [secret, "mien.bearer"]):
        with pytest.raises(InvalidStatus), connect(at, subprotocols=list(map(Subprotocol, wrong))):
            pass


def test_a_page_of_another_origin_may_not(at: str) -> None:
    evil = Origin("https://evil.example")
    with pytest.raises(InvalidStatus) as refused, connect(at, origin=evil):
        pass
    assert refused.value.response.status_code == 403
    assert b"pages of other origins" in (refused.value.response.body or b"")


def test_a_key_that_is_used_up_is_told_when_to_come_again(serve: Serve, tmp_path: Any) -> None:
    from mien.service.keys import Keys

    secret = Keys(tmp_path).add("ann", 600, 1)
    at = str(serve(home=tmp_path).base_url).replace("http", "ws", 1).rstrip("/") + "/v1/stream"
    key = {"authorization": f"Bearer {secret}"}
    with connect(at, additional_headers=key) as first:
        greeted(first)
        with pytest.raises(InvalidStatus) as refused, connect(at, additional_headers=key):
            pass
    assert refused.value.response.status_code == 429
    assert refused.value.response.headers["retry-after"] == "1"


def test_without_tracks_each_frame_is_by_itself(at: str, portrait_jpeg: bytes) -> None:
    with connect(f"{at}?no_tracks=true&smooth=none&coverage=0.9") as socket:
        greeted(socket).send(portrait_jpeg)
        face = heard(socket)["record"]["faces"][0]
    assert face["track"] is None
    assert face["prediction_set"]


def test_clients_that_leave_free_their_places(
    client: httpx.Client, at: str, portrait_jpeg: bytes
) -> None:
    for _ in range(20):
        with connect(at) as socket:
            for _ in range(5):
                socket.send(portrait_jpeg)
    assert client.post("/v1/analyze", files={"files": portrait_jpeg}).status_code == 200
    assert "mien_queue_pictures 0.0" in client.get("/metrics").text
