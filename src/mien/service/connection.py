"""A client's connection: uvicorn's, without what may be left open, or grow, for ever."""

from __future__ import annotations

import asyncio
import socket

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADERS_S = 10.0
"""How long a connection may be open without a request, or with half of its headers."""
UNREAD_S = 60.0
"""How long a client may read nothing of an answer that is larger than what waits for it."""
_MOST_HEAD = 64 << 10  # bytes of a request's headers, beside what came along with the first of them


class Patient(HttpToolsProtocol):
    """uvicorn's connection, closed where no request comes in time, or headers come without end.

    By itself it waits for ever for the first one, for the rest of a later one's headers, and for
    whoever does not read an answer; and keeps as many headers as are sent.
    """

    _late: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _is_head, _head = False, 0  # whether headers are coming, and how many bytes of them came

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # asyncio leaves it out for sockets that name no protocol, as a listener's are: an answer's
        # body would wait 40 ms for its headers to be acknowledged.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wait()

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        was_head = self._is_head
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as other:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            else:
                self._stay(data[other.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("This is no request of HTTP.")
        if was_head and self._is_head:
            self._head += len(data)
            if self._head > _MOST_HEAD:
                self.send_400_response("The headers of this request are too large.")

    def _stay(self, rest: bytes) -> None:
        """Read a request on as it is whose client would rather go on in another protocol.

        Java's asks each server for HTTP/2, and is content without it; but httptools takes what
        follows the headers for that.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.send_400_response("This is no proxy.")
            return
        lines = [b"%s %s HTTP/%s" % (method, self.url, self.parser.get_http_version().encode())]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"\r\n".join([*lines, b"", rest]))

    @property
    def _is_other(self) -> bool:
        """Whether a request asks for a protocol that is not spoken here."""
        return self.parser.should_upgrade() and not self._should_upgrade()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_head, self._head = True, 0

    def on_headers_complete(self) -> None:
        self._is_head = False
        if not self._is_other:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self._is_other:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(UNREAD_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_counting()

    def _stop_counting(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def handle_websocket_upgrade(self) -> None:
        self._stop_waiting()
        super().handle_websocket_upgrade()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_counting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._stop_waiting()
        self._late = self.loop.call_later(HEADERS_S, self._give_up)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _give_up(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
