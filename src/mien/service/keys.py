"""Who may ask: keys, of which only hashes are kept, and how much each may ask.

A key is 256 bits from the system's source of randomness. Nobody guesses that, so its hash need not
be slow, as a password's must be: one SHA-256 keeps a stolen file from being used, costs a
microsecond, and gives nobody a way to keep the service busy with wrong keys.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .. import foreign
from ..config import from_dict
from ..errors import ConfigError, DataError, OutputError, UnknownName
from ..files import held
from ..jsontext import parse
from ..provenance import now

SCHEMA = "mien-keys/1"
_BEGINNING = "mien_"
_BYTES = 32  # of a key, and of its salt
_LONGEST = 60  # characters of a name
_MOST = 1_000_000  # requests


@dataclass(frozen=True, slots=True)
class Key:
    """What is kept of a key.

    name : whose it is. salt, sha256 : in hexadecimal digits; the hash is of salt and key together.
    a_minute : requests that it may make in a minute. at_once : and at one time.
    """

    name: str
    salt: str
    sha256: str
    made: str
    a_minute: int
    at_once: int

    def __post_init__(self) -> None:
        for digits in (self.salt, self.sha256):
            bytes.fromhex(digits)  # a ValueError here, not at each request
        for what, often in (("a minute", self.a_minute), ("at once", self.at_once)):
            if not 1 <= often <= _MOST:
                raise ConfigError(f"a key may ask 1 to {_MOST:,} times {what}, got {often}")

    def is_of(self, secret: str) -> bool:
        """Whether this is the key, in a time that tells nothing of either."""
        return hmac.compare_digest(_hash(self.salt, secret), self.sha256)


def _hash(salt: str, secret: str) -> str:
    return hashlib.sha256(bytes.fromhex(salt) + secret.encode()).hexdigest()


class Keys:
    """The keys of a service: one file under its home, written whole and read again when it changes.

    So a key that is revoked while the service runs is refused from the next request on.
    """

    def __init__(self, home: Path) -> None:
        self.path = home / "service" / "keys.json"
        self._lock = threading.Lock()
        self._read_at: tuple[int, int] | None = None
        self._keys: list[Key] = []

    def all(self) -> list[Key]:
        """Every key, oldest first; raises DataError for a file that cannot be read."""
        with self._lock:
            try:
                status = self.path.stat()
            except FileNotFoundError:
                self._read_at, self._keys = None, []
                return []
            except OSError as err:
                raise DataError(f"cannot read {self.path}: {err.strerror}") from err
            stamp = status.st_mtime_ns, status.st_ino
            if stamp != self._read_at:
                self._keys, self._read_at = _read(self.path), stamp
            return list(self._keys)

    def find(self, secret: str) -> Key | None:
        """The key that this is; None for none."""
        found = None
        for key in self.all():  # all of them, so that the time does not tell which
            if key.is_of(secret):
                found = key
        return found

    def add(self, name: str, a_minute: int, at_once: int) -> str:
        """A new key's secret, which is told this once; raises ConfigError for a name in use."""
        if not name.isprintable() or not name.strip() or len(name) > _LONGEST:
            raise ConfigError(f"a key's name has 1 to {_LONGEST} characters, got {name!r}")
        secret = _BEGINNING + secrets.token_urlsafe(_BYTES)
        salt = secrets.token_hex(_BYTES)
        with held(self.path.parent, "a change of keys"):
            keys = self.all()
            if name in (key.name for key in keys):
                raise ConfigError(
                    f"there is a key of {name} already; revoke it first: mien serve keys revoke "
                    f"'{name}'"
                )
            made = Key(name, salt, _hash(salt, secret), now(), a_minute, at_once)
            self._write([*keys, made])
        return secret

    def revoke(self, name: str) -> None:
        """Take a key away; raises UnknownName."""
        with held(self.path.parent, "a change of keys"):
            keys = self.all()
            if name not in (key.name for key in keys):
                raise UnknownName("key", name, [key.name for key in keys])
            self._write([key for key in keys if key.name != name])

    def _write(self, keys: list[Key]) -> None:
        """The whole file at once, for nobody else on this machine to read; raises OutputError."""
        content = json.dumps({"schema": SCHEMA, "keys": [asdict(key) for key in keys]}, indent=2)
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(handle, "w", encoding="utf-8") as stream:
                stream.write(content + "\n")
            part.replace(self.path)
        except OSError as err:
            part.unlink(missing_ok=True)
            raise OutputError(f"cannot write {self.path}: {err.strerror or err}") from err


def _read(path: Path) -> list[Key]:
    try:
        told = foreign.table(parse(foreign.content(path)), "it")
        if told["schema"] != SCHEMA:
            raise ValueError(f"its schema is {foreign.shown(told['schema'])}, not {SCHEMA}")
        listed = foreign.listed(told["keys"], "keys")
        return [from_dict(Key, foreign.table(key, "a key")) for key in listed]
    except (OSError, ValueError, KeyError, ConfigError) as err:
        raise DataError(f"{path} is damaged ({err}); delete it, and make new keys") from err


@dataclass(slots=True)
class _Use:
    """How a key is used: what is left of its requests, and how many go on."""

    left: float
    at_s: float
    running: int = 0


class TooMany(Exception):
    """A key's requests are used up; retry_s : until there is one again, in seconds."""

    def __init__(self, detail: str, retry_s: float) -> None:
        super().__init__(detail)
        self.retry_s = retry_s


@dataclass(slots=True)
class Limits:
    """What each key has used. A minute's requests may come at once, and come back evenly."""

    clock: Callable[[], float] = time.monotonic
    _uses: dict[str, _Use] = field(default_factory=dict)

    @contextmanager
    def used(self, key: Key) -> Iterator[None]:
        """While one request of a key goes on; raises TooMany."""
        now_s = self.clock()
        use = self._uses.setdefault(key.sha256, _Use(key.a_minute, now_s))
        a_second = key.a_minute / 60
        use.left = min(key.a_minute, use.left + (now_s - use.at_s) * a_second)
        use.at_s = now_s
        if use.left < 1:
            raise TooMany(
                f"this key may ask {key.a_minute} times a minute; wait a little",
                (1 - use.left) / a_second,
            )
        if use.running >= key.at_once:
            raise TooMany(
                f"this key has {key.at_once} requests under way, as many as it may; wait for one",
                1.0,
            )
        use.left -= 1
        use.running += 1
        try:
            yield
        finally:
            use.running -= 1
