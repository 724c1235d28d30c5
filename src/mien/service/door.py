"""What every request passes before its route: who asks, how fast, and what is told of it.

``Watch`` is outermost: it names the request, answers what was refused or went wrong anywhere
within, and sets the headers that keep browsers from making more of an answer than it is. ``Door``
lets in whom it may: by host, origin and key. ``Body`` bounds what comes, and how long it takes.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import DataError
from .assets import WEIGHTS, assets
from .engine import Busy, ClientLeft
from .keys import Key, Keys, Limits, TooMany
from .meters import Meters
from .problems import Refused, response
from .settings import LOCAL, MB, ServiceSettings, is_loopback

log = logging.getLogger(__name__)

_HEADERS = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_OPEN = ("/healthz", "/readyz", "/openapi.json", WEIGHTS)
"""What needs no key, beside the page's own files: it tells nothing of anybody, and load balancers
have none."""
BEARER = "mien.bearer"
"""The protocol of a WebSocket whose key follows it."""
_AS_HTTP = "websocket.http.response"
"""What a server of ASGI calls it that an opening may be refused with any status and body."""
_LEFT = 499  # what nginx made usual for it in logs; nobody is there to read it as an answer
_SHORTEST_KEY, _LONGEST_KEY = 1, 200


class Watch:
    """Names a request, answers what went wrong, counts and logs it."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self.app, self._meters = app, meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        request_id, begun, status = secrets.token_hex(8), time.monotonic(), 0
        scope.setdefault("state", {})["request_id"] = request_id
        mine = (*_HEADERS, (b"x-request-id", request_id.encode()))

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] in ("http.response.start", f"{_AS_HTTP}.start"):
                status = message["status"]
                told = message.get("headers", ())
                own = {name.lower() for name, _ in told}  # a route may say it otherwise
                message["headers"] = [*told, *(pair for pair in mine if pair[0] not in own)]
            await send(message)

        try:
            await self.app(scope, receive, tell)
        except Exception as err:
            refused = self._refusal(err, request_id)
            if refused is None:
                status = _LEFT
            elif not status:
                await _answer(refused, scope, receive, tell)
        if scope["type"] == "http":
            took_s = time.monotonic() - begun
            route = getattr(scope.get("route"), "path", "none")
            self._meters.answered(request_id, scope["method"], route, status, took_s)

    def _refusal(self, err: Exception, request_id: str) -> Refused | None:
        """What to answer to an error; None where nobody is there to hear it."""
        if isinstance(err, Refused):
            return err
        if isinstance(err, ClientLeft | ClientDisconnect):
            return None
        if isinstance(err, Busy):
            return Refused(HTTPStatus.SERVICE_UNAVAILABLE, str(err), retry_s=err.retry_s)
        self._meters.failed(request_id, err)
        return Refused(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            f"mien failed at this; its log tells where, under {request_id}",
        )


async def _answer(refused: Refused, scope: Scope, receive: Receive, send: Send) -> None:
    """The refusal of a request, or of a WebSocket's opening."""
    if scope["type"] == "websocket" and _AS_HTTP not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": refused.detail[:100]})
        return
    refused.headers.setdefault("Connection", "close")  # what it goes on to send, nobody reads
    await response(refused, scope["state"]["request_id"])(scope, receive, send)


class Door:
    """Lets in whom it may.

    The name that a request calls the service by is checked where no key is needed: a page of
    anybody's may have its own name lead to this machine, and would read the answers (DNS
    rebinding). So is the page that sends it, which would not even need to read them.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self.app = app
        self._keys, self._limits = Keys(settings.home), Limits()
        self._is_local = settings.is_local
        self._hosts = {*settings.allowed_hosts}
        if is_loopback(settings.host):
            self._hosts |= {*LOCAL, settings.host}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        self._check_host(headers)
        scope["state"]["owner"] = ""  # nobody's, where no key is needed
        with self._admitted(scope, headers):
            await self.app(scope, receive, send)

    def _check_host(self, headers: Headers) -> None:
        """Raises Refused for another's name, and for a page of another's."""
        host = _host_of("//" + headers.get("host", ""))
        if self._hosts and host not in self._hosts:
            raise Refused(
                HTTPStatus.MISDIRECTED_REQUEST,
                "this service does not go by that host name; whoever runs it can allow it: "
                "mien serve --allow-host NAME",
            )
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != headers.get("host"):
            raise Refused(HTTPStatus.FORBIDDEN, "pages of other origins may not ask this service")

    def _admitted(self, scope: Scope, headers: Headers) -> AbstractContextManager[None]:
        """While the request goes on; raises Refused without a key where one is needed."""
        try:
            needed = not self._is_local or bool(self._keys.all())
            if not needed or _path(scope) in _OPEN or _path(scope) in assets():
                return nullcontext()
            key = self._known(headers)
            scope["state"]["owner"] = key.name
            return _Used(self._limits, key)
        except DataError as err:
            log.error("%s", err)  # for whoever runs it; a client learns of no file
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "the keys of this service cannot be read",
                retry_s=60,
            ) from None

    def _known(self, headers: Headers) -> Key:
        secret, key = _secret(headers), None
        if secret is not None and _SHORTEST_KEY <= len(secret) <= _LONGEST_KEY:
            key = self._keys.find(secret.strip())
        if key is None:
            raise Refused(
                HTTPStatus.UNAUTHORIZED,
                "this needs a key: send 'Authorization: Bearer KEY'; whoever runs the service "
                "makes one: mien serve keys add NAME",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return key


def _secret(headers: Headers) -> str | None:
    """What a request gives as its key; None where it gives none.

    A page's script sets no header of a WebSocket but its protocols: the key follows ``BEARER``.
    """
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return secret
    protocol, _, secret = headers.get("sec-websocket-protocol", "").partition(",")
    return secret if protocol == BEARER else None


class _Used:
    """``Limits.used`` with a refusal for its error."""

    def __init__(self, limits: Limits, key: Key) -> None:
        self._use = limits.used(key)

    def __enter__(self) -> None:
        try:
            self._use.__enter__()
        except TooMany as err:
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, str(err), retry_s=err.retry_s) from None

    def __exit__(self, *of: object) -> None:
        self._use.__exit__(None, None, None)


def _path(scope: Scope) -> str:
    """The path without what a proxy would take off."""
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def _host_of(address: str) -> str | None:
    """The host of an address, in lower case and without its port; None where there is none."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


class Body:
    """Ends requests whose body is too large, or comes too slowly: each keeps memory, or a
    connection.

    Neither says so beforehand where it means ill, so both are seen as the body comes. A route for
    larger bodies sets ``scope["state"]["most_bytes"]`` before it reads one.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self.app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state = scope["state"]
        state["most_bytes"] = self._settings.most_request_bytes
        announced = _length(Headers(scope=scope))
        begun, got, whole = time.monotonic(), 0, False

        async def checked() -> Message:
            nonlocal got, whole
            if whole:
                return await receive()  # what comes now is that the client has left
            _check_size(announced, state["most_bytes"])
            left_s = begun + self._settings.upload_s + got / self._settings.slowest
            message = await self._in_time(receive, left_s - time.monotonic())
            got += len(message.get("body", b""))
            _check_size(got, state["most_bytes"])
            whole = not message.get("more_body", False)
            return message

        await self.app(scope, checked, send)

    async def _in_time(self, receive: Receive, left_s: float) -> Message:
        try:
            async with asyncio.timeout(min(self._settings.upload_s, max(0.001, left_s))):
                return await receive()
        except TimeoutError:
            raise Refused(
                HTTPStatus.REQUEST_TIMEOUT, "the request came too slowly, and was given up"
            ) from None


def _length(headers: Headers) -> int:
    """What a client says that it will send, in bytes; 0 where it does not say."""
    said = headers.get("content-length", "")
    return int(said) if said.isdecimal() else 0


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise Refused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"a request has up to {most / MB:g} MB here; send fewer or smaller files",
        )
