"""Alarms as signed HTTPS requests, by the Standard Webhooks specification.

See https://www.standardwebhooks.com. ``webhook-id`` is the same for every try at a call, so a
receiver knows a retry by it; ``webhook-signature`` covers id, time and body, so nobody else can
ring, or ring again later. Tried once here; ``courier`` tries again.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import datetime
import ipaddress
import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..errors import ConfigError, MissingExtra
from ..secrecy import filled, public
from .output import Context, Output, Table, Undelivered, secret, settings
from .program import content
from .tls import TlsSettings, check, why
from .tls import context as tls
from .watch import Call

if TYPE_CHECKING:
    import ssl

    import httpx

_FAREWELL_S = 1.0  # for a server that has answered to let go
_AGAIN = (408, 425, 429)  # and every 5xx: the server may be well in a moment
_NAP_S = 60.0  # of a server that asks for more patience than that, the alarm has no use


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings(TlsSettings):
    """url : https, or http on this machine alone; ``${NAME}`` in it is the environment's variable.
    secret_env : the environment variable with the secret, "whsec_" and base64; "" signs nothing.
    limit_s : past so many seconds a request has failed, however the server spends them.
    """

    url: str
    secret_env: str = ""
    limit_s: float = 10.0


class Webhook(Output):
    """POSTs an alarm as JSON; any 2xx says that it has arrived. Redirects are not followed."""

    reaches_away = True

    def __init__(self, name: str, table: Table) -> None:
        self._settings = settings(WebhookSettings, name, table)
        super().__init__(self._settings)
        self._name = name
        _check_url(self._settings.url, f"output.{name}.url")
        check(self._settings, f"output.{name}")
        if not self._settings.limit_s > 0:
            raise ConfigError(f"output.{name}.limit_s is over zero, got {self._settings.limit_s:g}")
        self._loop: asyncio.AbstractEventLoop
        self._client: httpx.AsyncClient
        self._key = b""
        self._url = ""  # with what the environment holds of it

    def start(self, context: Context) -> None:
        for library in ("httpx", "standardwebhooks"):
            if find_spec(library) is None:
                raise MissingExtra(library, "act", "a webhook")
        import httpx

        self._url = filled(self._settings.url)
        if self._settings.secret_env:
            self._key = _key(secret(self._settings.secret_env, self._name), self._settings)
        verify: ssl.SSLContext | bool = True
        if self._settings.is_own:
            verify = tls(self._settings, self._name, httpx.create_ssl_context)
        logging.getLogger("httpx").addFilter(self._is_public)
        self._loop = asyncio.new_event_loop()
        self._client = httpx.AsyncClient(timeout=self._settings.limit_s, verify=verify)

    def reach(self) -> None:
        # Its front page, not the address that rings; whatever it answers, it is there.
        self._answer(self._client.build_request("HEAD", _origin(self._url)))

    def deliver(self, call: Call) -> None:
        answer = self._answer(self._request(call))
        if not answer.is_success:
            raise _refused(self._host, answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        limit_s = self._settings.limit_s
        try:
            # httpx limits each read, not the whole: a server may trickle for ever.
            answer = self._loop.run_until_complete(asyncio.wait_for(self._send(request), limit_s))
        except TimeoutError:
            raise Undelivered(f"{self._host} did not answer within {limit_s:g} s") from None
        self._loop.run_until_complete(_leave(answer))
        return answer

    def _request(self, call: Call) -> httpx.Request:
        body = json.dumps({"type": "alarm", "timestamp": call.alarm.time, "data": content(call)})
        headers = self._headers(call, body)
        return self._client.build_request("POST", self._url, content=body, headers=headers)

    async def _send(self, request: httpx.Request) -> httpx.Response:
        import httpx

        try:
            return await self._client.send(request, stream=True)  # what it says is not read
        except httpx.TimeoutException:
            raise TimeoutError from None
        except httpx.HTTPError as err:
            reason = why(err) if isinstance(err, httpx.NetworkError) else err
            raise Undelivered(f"{self._host}: {reason or type(err).__name__}") from None

    def _headers(self, call: Call, body: str) -> dict[str, str]:
        now = datetime.datetime.now(datetime.UTC)
        headers = {
            "content-type": "application/json",
            "user-agent": "mien",
            "webhook-id": call.id,
            "webhook-timestamp": str(int(now.timestamp())),
        }
        if self._key:
            from standardwebhooks import Webhook as Signer

            headers["webhook-signature"] = Signer(self._key).sign(call.id, now, body)
        return headers

    @property
    def _host(self) -> str:
        return urlsplit(self._settings.url).netloc.rpartition("@")[2]

    def _is_public(self, record: logging.LogRecord) -> bool:
        """Whether httpx may log it: the address is the secret of many a service's webhook."""
        return self._url not in record.getMessage()

    def close(self) -> None:
        logging.getLogger("httpx").removeFilter(self._is_public)
        if not self._loop.is_running():  # else a request is under way that nobody waits for
            self._loop.run_until_complete(self._client.aclose())
            self._loop.close()


def _origin(url: str) -> str:
    """An address without what comes behind its host.

    >>> _origin("https://user:word@hooks.example:8443/nurse?token=1")
    'https://hooks.example:8443/'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/"


async def _leave(answer: httpx.Response) -> None:
    """Let go of a server that has answered: how that ends changes nothing."""
    import httpx

    with suppress(httpx.HTTPError, TimeoutError):
        await asyncio.wait_for(answer.aclose(), _FAREWELL_S)


def _check_url(url: str, where: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as err:
        raise ConfigError(f"{where} is no address: {err}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(f"{where} begins with https:// and a host, got '{public(url)}'")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ConfigError(
            f"{where} is http: anybody on the way reads what someone's face showed. "
            "Write https://; http is for this machine alone (http://localhost)"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _key(text: str, chosen: WebhookSettings) -> bytes:
    """The bytes of a "whsec_..." secret; the error does not show it."""
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        key = b""
    if len(key) < 16:
        raise ConfigError(
            f"{chosen.secret_env} holds no secret of 16 bytes or more in base64; "
            "make one: openssl rand -base64 24"
        )
    return key


def _refused(host: str, answer: httpx.Response) -> Undelivered:
    code = answer.status_code
    reason = f"{host} answered {code} {answer.reason_phrase}".rstrip()
    if answer.has_redirect_location:
        return Undelivered(f"{reason}, to {answer.headers['location']}; not followed", again=False)
    asked = answer.headers.get("retry-after", "")
    after_s = min(float(asked), _NAP_S) if asked.isdecimal() else 0.0
    return Undelivered(reason, again=code >= 500 or code in _AGAIN, after_s=after_s)
