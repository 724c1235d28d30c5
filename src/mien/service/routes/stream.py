"""A camera's pictures over a WebSocket: records with tracks, as they are seen.

The newest picture always: one that comes while another is read takes the place of the one that
waits, and the answer tells how many were passed over.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from ...analysis.batch import in_any_case
from ...analysis.live import Reader
from ...errors import MienError
from ...media import image
from ...results.records import Record, record_of
from ..door import BEARER
from ..engine import Busy, ClientLeft, Engine, Upload
from ..intake import options_of
from ..notice import NOTICE
from ..problems import Refused, of_error, of_invalid
from .pictures import Options, told_of

router = APIRouter()
NAME = "stream"
_LEAST_S = 1e-3  # between two frames whose times do not go on
_LAST_S = 1e10  # seconds since 1970 are far below; far above, two times in a row are one number
_REFUSED = 1008  # RFC 6455: against the rules of whoever closes


class Wanted(Options):
    """The options of a stream."""

    crops: Literal[False] = False
    smooth: Literal["causal", "none"] = Field(
        "causal", description="Even out what trembles in each face, by the frames before."
    )
    no_tracks: bool = Field(False, description="Search each frame anew, and number no faces.")


class Told(BaseModel):
    """What a client may say between its pictures: the next one's time, in seconds."""

    model_config = ConfigDict(extra="forbid")

    time_s: float = Field(ge=0, le=_LAST_S, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class _Sent:
    """A picture that came: its number, its time in the stream, and when it came."""

    content: bytes
    index: int
    time_s: float
    came: float


class _Newest:
    """Room for one picture. passed : how many were replaced before anybody took them."""

    def __init__(self) -> None:
        self._item: _Sent | None = None
        self._changed = asyncio.Event()
        self.passed = 0

    def put(self, item: _Sent) -> None:
        self.passed += self._item is not None
        self._item = item
        self._changed.set()

    async def take(self) -> _Sent:
        await self._changed.wait()
        item, self._item = self._item, None
        self._changed.clear()
        assert item is not None
        return item


@router.websocket("/v1/stream")
async def stream(socket: WebSocket) -> None:
    """Pictures in, records out, until one of the two closes."""
    offered = socket.scope.get("subprotocols", ())
    await socket.accept(BEARER if BEARER in offered else None)  # a browser insists on an answer
    engine: Engine = socket.app.state.engine
    refused: Refused | None = None
    try:
        wanted = options_of(socket, Wanted, but=("crops",))
        reader, greeting = await asyncio.to_thread(_begin, engine, wanted)
        await socket.send_text(json.dumps(greeting))
        await _answer(socket, engine, reader)
    except Refused as err:
        refused = err
    except MienError as err:
        refused = of_error(err)
    except (WebSocketDisconnect, ClientLeft):
        return
    if refused is not None:
        await _close(socket, refused)


def _begin(engine: Engine, wanted: Wanted) -> tuple[Reader, dict[str, Any]]:
    """What reads the stream's pictures, and what is told of it first."""
    analyzer = engine.analyzer(wanted.settings)
    labels = list(analyzer.recognizer.info.label_set.labels)
    reader = Reader(analyzer, wanted.smooth, not wanted.no_tracks)
    return reader, {"model": told_of(analyzer), "labels": labels, "notice": NOTICE}


async def _answer(socket: WebSocket, engine: Engine, reader: Reader) -> None:
    """A record for every picture that is read; raises what ends the stream."""
    newest, gone = _Newest(), asyncio.Event()
    receiving = asyncio.create_task(_receive(socket, newest, gone))
    reading = asyncio.create_task(_read(socket, engine, reader, newest, gone))
    done, others = await asyncio.wait({receiving, reading}, return_when=asyncio.FIRST_COMPLETED)
    for other in others:
        other.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for task in done:
        task.result()


async def _receive(socket: WebSocket, newest: _Newest, gone: asyncio.Event) -> None:
    """Put the pictures that come where the newest is; ends when the client leaves."""
    began, index, last_s, said = time.monotonic(), 0, -1.0, None
    with _ending(gone):
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            came = time.monotonic()
            if message.get("bytes") is None:
                said = _said(message["text"])
                continue
            time_s = came - began if said is None else said
            last_s = time_s if time_s > last_s else last_s + _LEAST_S
            newest.put(_Sent(message["bytes"], index, round(last_s, 6), came))
            index, said = index + 1, None


@contextmanager
def _ending(gone: asyncio.Event) -> Iterator[None]:
    try:
        yield
    finally:
        gone.set()


def _said(text: str) -> float:
    """The time that a client tells of its next picture; raises Refused."""
    try:
        return Told.model_validate_json(text).time_s
    except ValidationError as err:
        raise of_invalid([{**e, "loc": ("text", *e["loc"])} for e in err.errors()]) from None


async def _read(
    socket: WebSocket, engine: Engine, reader: Reader, newest: _Newest, gone: asyncio.Event
) -> None:
    skipped = 0
    while True:
        sent = await newest.take()
        try:
            (record,) = await engine.run([partial(_record, engine, reader, sent)], gone.wait)
        except Busy:  # for this one; the next may find a place
            skipped += 1
            continue
        answer = {
            "record": record,
            "skipped": newest.passed + skipped,
            "ms": round(1000 * (time.monotonic() - sent.came), 2),
        }
        await socket.send_text(json.dumps(answer, ensure_ascii=False, allow_nan=False))


def _record(engine: Engine, reader: Reader, sent: _Sent) -> Record:
    def made() -> Record:
        upload = Upload(NAME, sent.content)
        engine.check(upload)
        frame = image.read_frame(upload.content, upload.name)
        frame = replace(frame, index=sent.index, time_s=sent.time_s)
        return record_of(frame, engine.counted(reader.read(frame)))

    return in_any_case(NAME, made) | {"frame": sent.index, "time_s": sent.time_s}


async def _close(socket: WebSocket, refused: Refused) -> None:
    """Say why in words: no browser shows how a handshake was refused."""
    if socket.application_state is WebSocketState.CONNECTED:
        problem = {"status": refused.status, "detail": refused.detail}
        await socket.send_text(json.dumps({"problem": problem}))
        await socket.close(_REFUSED, refused.detail[:100])
