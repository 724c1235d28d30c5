"""A recording that is handed in, piece by piece and never whole in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from .problems import Refused

FIELD = "file"
NAME = "recording"
"""What a recording is called that came without a name."""
_PIECE = 1 << 20  # bytes that are written at a time
_TAKEN = (
    f"multipart/form-data with the recording as '{FIELD}', video/*, or application/octet-stream"
)


async def take_in(
    request: Request, named: Callable[[str], Callable[[bytes], None]], name: str
) -> None:
    """Pass a request's recording on.

    named : is told what the client calls it, and gives what takes its pieces, in a thread.
    name : of a recording that is the body itself. Raises Refused.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind == b"multipart/form-data":
        pieces: _Pieces = _Part(options.get(b"boundary", b""))
    elif kind.startswith(b"video/") or kind == b"application/octet-stream":
        pieces = _Body(name)
    else:
        came = kind.decode("latin-1")
        raise Refused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"this takes {_TAKEN}; got '{came}'" if came else f"say the Content-Type: {_TAKEN}",
        )
    take: Callable[[bytes], None] | None = None
    async for piece in _joined(request, pieces):
        take = take or named(pieces.name or NAME)
        await asyncio.to_thread(take, piece)
    pieces.end()
    if take is None:
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "the recording is empty (0 bytes)")


async def _joined(request: Request, pieces: _Pieces) -> AsyncIterator[bytes]:
    """The recording in pieces that are worth a write."""
    waiting = bytearray()
    async for came in request.stream():
        waiting += pieces.of(came)
        if len(waiting) >= _PIECE:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


class _Pieces:
    """What of a body is the recording. name : as the client calls it, once that is known."""

    name = ""

    def of(self, came: bytes) -> bytes:
        """The recording's bytes among those that came; raises Refused."""
        raise NotImplementedError

    def end(self) -> None:
        """The body is over; raises Refused where the recording is not."""


class _Body(_Pieces):
    """A body that is the recording itself."""

    def __init__(self, name: str) -> None:
        self.name = name

    def of(self, came: bytes) -> bytes:
        return came


class _Part(_Pieces):
    """A form's one part."""

    def __init__(self, boundary: bytes) -> None:
        self._found = bytearray()
        self._header, self._value = b"", b""
        self._parts, self._whole = 0, False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._on_header,
                    "on_header_value": self._on_value,
                    "on_header_end": self._on_header_end,
                    "on_part_data": self._on_data,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as err:
            raise _unreadable(str(err)) from None

    def of(self, came: bytes) -> bytes:
        try:
            self._parser.write(came)
        except FormParserError as err:
            raise _unreadable(str(err)) from None
        found = bytes(self._found)
        self._found.clear()
        return found

    def end(self) -> None:
        if not self._whole:
            raise _unreadable("it is cut short")

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > 1:
            raise Refused(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "a request has one recording; send the others by themselves",
            )

    def _on_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(self._value)
            field = options.get(b"name", b"").decode(errors="replace")
            if field != FIELD:
                raise Refused(
                    HTTPStatus.UNPROCESSABLE_ENTITY,
                    f"the recording is the field '{FIELD}', got '{field}'",
                )
            self.name = options.get(b"filename", b"").decode(errors="replace")
        self._header, self._value = b"", b""

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._found += data[start:end]

    def _on_end(self) -> None:
        self._whole = True


def _unreadable(why: str) -> Refused:
    return Refused(HTTPStatus.UNPROCESSABLE_ENTITY, f"the multipart body cannot be read: {why}")
