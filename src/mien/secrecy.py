"""Passwords in addresses: what is shown, written or kept of an address, and how to give it one.

Everything that leaves mien with an address in it (records, errors, summaries, journals, names of
files, titles) goes through ``public``.
"""

from __future__ import annotations

import os
import re

from .errors import ConfigError

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)(\S+)")
_NAMED = re.compile(
    r"(?i)([\w.-]*(?:pass|pwd|secret|token|key|sig|auth|cred)[\w.-]*=)[^&;#\s'\"]+"
)  # ?password=..., /user=a_password=..., &X-Amz-Signature=...
_HOST = re.compile(r"[^/?#]*")
_VARIABLE = re.compile(r"\$\{(\w+)\}")


def public(text: str) -> str:
    """A text as it may be shown and kept: without names and passwords in its addresses.

    Examples
    --------
    >>> public("cannot read rtsp://anna:secret@10.0.0.7:554/1: refused")
    'cannot read rtsp://10.0.0.7:554/1: refused'
    >>> public("https://cam/live.m3u8?id=7&token=abc")
    'https://cam/live.m3u8?id=7&token=***'
    """
    if "://" not in text:
        return text
    return _ADDRESS.sub(lambda found: found[1] + _NAMED.sub(r"\1***", _host(found[2])), text)


def _host(rest: str) -> str:
    """What is behind ``rtsp://`` without who logs in.

    A password with / ? or # in it is no part of an address, but somebody may have typed it.
    """
    found = _HOST.match(rest)
    assert found
    host = found[0]
    if "@" in host:
        return rest[host.rindex("@") + 1 :]
    _, colon, port = host.rpartition(":")
    if colon and port and not port.isdigit() and "@" in rest and not host.endswith("]"):
        return rest[rest.rindex("@") + 1 :]
    return rest


def filled(address: str) -> str:
    """An address with the environment's variables in it: ``rtsp://anna:${CAMERA}@10.0.0.7/1``.

    So that a password stands neither in the command nor in the list of processes. Raises
    ConfigError where a variable is not set.
    """
    from urllib.parse import quote

    def value(found: re.Match[str]) -> str:
        if found[1] not in os.environ:
            raise ConfigError(f"{public(address)}: the environment variable {found[1]} is not set")
        return quote(os.environ[found[1]], safe="")

    return _VARIABLE.sub(value, address)
