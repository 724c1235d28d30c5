"""Encrypted connections: whom to trust, who one is oneself, and why one failed, in words."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .. import foreign
from ..errors import ConfigError
from .output import Settings, secret

_UNKNOWN = (18, 19, 20, 21)  # OpenSSL's numbers of a certificate that nobody vouches for
_NOT_YET, _EXPIRED, _OTHER_NAME = 9, 10, (62, 64)  # of a host, of an IP address
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL")
_WANTS_ONE = ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE")
_NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings(Settings):
    """ca_file : trust the certificates in this file (PEM), and no others.
    cert_file, key_file : this client's own certificate, and its key where that is another file.
    key_password_env : the environment variable with the key's password.
    """

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    key_password_env: str = ""

    @property
    def is_own(self) -> bool:
        """Whether anything of the system's is not to be used."""
        return bool(self.ca_file or self.cert_file)


def check(chosen: TlsSettings, where: str) -> None:
    """Raises ConfigError for settings that do not go together."""
    if chosen.key_file and not chosen.cert_file:
        raise ConfigError(f"{where}.key_file goes with cert_file: whose key is it?")
    if chosen.key_password_env and not chosen.cert_file:
        raise ConfigError(f"{where}.key_password_env goes with cert_file and its key")


def context(chosen: TlsSettings, name: str, usual: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """How to connect; raises ConfigError where a file does not serve.

    usual : makes a context that trusts whom the system, or a library, trusts.
    """
    where = f"output.{name}"
    made = usual()
    if chosen.ca_file:
        path = _file(chosen.ca_file, f"{where}.ca_file")
        try:
            made = ssl.create_default_context(cafile=str(path))
        except (OSError, ValueError) as err:
            raise ConfigError(
                f"{where}.ca_file: {path} holds no certificates as PEM: {_plain(err)}"
            ) from None
    if chosen.cert_file:
        _own(made, chosen, name)
    return made


def _own(made: ssl.SSLContext, chosen: TlsSettings, name: str) -> None:
    where = f"output.{name}"
    cert = _file(chosen.cert_file, f"{where}.cert_file")
    key = _file(chosen.key_file, f"{where}.key_file") if chosen.key_file else None
    password = secret(chosen.key_password_env, name) if chosen.key_password_env else ""
    try:  # without a password OpenSSL would ask at the terminal
        made.load_cert_chain(cert, key, lambda: password)
    except (OSError, ValueError) as err:
        hint = "" if password else "; has the key a password (key_password_env)?"
        raise ConfigError(
            f"{where}.cert_file: {key or cert} does not serve as a certificate with its key, as "
            f"PEM: {_plain(err)}{hint}"
        ) from None


def _file(text: str, where: str) -> Path:
    path = Path(text).expanduser()
    try:
        foreign.content(path)  # no pipe, which OpenSSL would wait for
    except OSError as err:
        raise ConfigError(f"{where}: cannot read {path}: {err.strerror}") from None
    except ValueError as err:  # a name that no file can have
        raise ConfigError(f"{where}: cannot read {path}: {err}") from None
    return path


# -- why not ---------------------------------------------------------------------------------------


def why(err: BaseException, without: str = "write http://") -> str:
    """Why a connection failed, and what may help; ``without`` says how to ask for no TLS."""
    found = [part for part in _chain(err) if isinstance(part, OSError)]
    of_tls = [part for part in found if isinstance(part, ssl.SSLError)]
    if of_tls:
        return _of_tls(of_tls[-1], without)
    part = found[-1] if found else None
    if isinstance(part, socket.gaierror):
        again = part.errno == socket.EAI_AGAIN
        return "its name cannot be looked up now" if again else "there is no host of that name"
    if isinstance(part, ConnectionRefusedError):
        return "connection refused, nothing listens on that port"
    if isinstance(part, ConnectionResetError | BrokenPipeError):
        return "it closed the connection"
    if isinstance(part, TimeoutError):
        return "it does not answer"
    if part is not None and part.errno in _NO_WAY:
        return "there is no way to it; is the network up?"
    return _plain(part or err)


def _of_tls(err: ssl.SSLError, without: str) -> str:
    if isinstance(err, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {_of_certificate(err)}"
    reason = (err.reason or "").upper()
    if any(word in reason for word in _NO_TLS):
        return f"it does not speak TLS on that port; name its port for TLS, or {without}"
    if "UNKNOWN_CA" in reason or "BAD_CERTIFICATE" in reason:
        return "it does not trust the certificate of this client (cert_file)"
    if any(word in reason for word in _WANTS_ONE):
        return "it refuses; does it want a certificate of this client (cert_file, key_file)?"
    if "UNSUPPORTED_PROTOCOL" in reason or "PROTOCOL_VERSION" in reason:
        return "its TLS is of another version than this machine allows"
    if isinstance(err, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "it closed the connection while TLS began"
    return f"TLS failed: {_plain(err)}"


def _of_certificate(err: ssl.SSLCertVerificationError) -> str:
    if err.verify_code in _UNKNOWN:
        return (
            "it is signed by nobody who is trusted here; if it is your own, name the file of its "
            'authority: ca_file = "ca.pem"'
        )
    if err.verify_code == _EXPIRED:
        return "it has expired"
    if err.verify_code == _NOT_YET:
        return "it is not valid yet; is the clock of this machine right?"
    if err.verify_code in _OTHER_NAME:
        return f"it is for another name ({err.verify_message})"
    return err.verify_message


def _chain(err: BaseException | None) -> Iterator[BaseException]:
    """An error and those it came from."""
    while err is not None:
        yield err
        if isinstance(err, BaseExceptionGroup):
            for inner in err.exceptions:
                yield from _chain(inner)
        err = err.__cause__ or err.__context__


def _plain(err: BaseException) -> str:
    said = getattr(err, "reason", None) or getattr(err, "strerror", None) or str(err)
    return str(said) or type(err).__name__
