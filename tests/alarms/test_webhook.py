"""Signed requests to a real server that fails in every way it can."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from mien.alarms import rules
from mien.alarms.output import Context, Undelivered, outputs
from mien.alarms.watch import Alarm, Call
from mien.alarms.webhook import Webhook
from mien.errors import ConfigError
from tests.servers import Receiver, free_port

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CALL = Call(
    Alarm("abc", "pain", "I am in pain, bitte schön", 2, 0.8, "2026-11-25T12:00:00+01:00"), 1, ()
)
CONTEXT = Context(rules.Rules((), {}), lambda line: None, lambda key, by: None)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


def started(url: str, **more: object) -> Webhook:
    made = outputs.build("webhook", "nurse", {"url": url, "limit_s": 1} | more)
    assert isinstance(made, Webhook)
    made.start(CONTEXT)
    return made


def failure(url: str, **more: object) -> Undelivered:
    hook = started(url, **more)
    try:
        with pytest.raises(Undelivered) as caught:
            hook.deliver(CALL)
    finally:
        hook.close()
    return caught.value


def test_it_is_signed_by_the_standard(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The standard's own library takes it; not with another body, nor another secret."""
    monkeypatch.setenv("NURSE_SECRET", SECRET)
    hook = started(receiver.url, secret_env="NURSE_SECRET")
    hook.deliver(CALL)
    hook.close()
    headers, body = receiver.got[0]
    assert headers["webhook-id"] == "abc.1"
    content = Verifier(SECRET).verify(body, headers)
    assert content["type"] == "alarm"
    data = content["data"]
    assert (data["rule"], data["text"], data["call"]) == ("pain", "I am in pain, bitte schön", 1)
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET.replace("M", "N")).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(body.replace(b"pain", b"rain"), headers)


def test_its_address_is_in_no_log(
    receiver: Receiver, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many services the address is all that it takes to post there; it may be a variable's."""
    caplog.set_level("DEBUG")
    monkeypatch.setenv("NURSE", "s3cret")
    for path in ("/T0/B0/s3cret", "/T0/B0/${NURSE}"):
        hook = started(receiver.url + path)
        hook.deliver(CALL)
        hook.close()
    assert receiver.paths == ["/alarm/T0/B0/s3cret"] * 2
    monkeypatch.delenv("NURSE")
    with pytest.raises(ConfigError, match="the environment variable NURSE is not set"):
        started(receiver.url + "/${NURSE}")
    assert "s3cret" not in caplog.text


def test_without_a_secret_nothing_is_signed(receiver: Receiver) -> None:
    hook = started(receiver.url)
    hook.deliver(CALL)
    hook.close()
    assert "webhook-signature" not in receiver.got[0][0]


@pytest.mark.parametrize(
    ("status", "again"),
    [(500, True), (503, True), (429, True), (408, True), (404, False), (401, False)],
)
def test_which_answers_are_worth_another_try(receiver: Receiver, status: int, again: bool) -> None:
    receiver.answer = (status, {})
    err = failure(receiver.url)
    assert f"127.0.0.1:{receiver.port} answered {status}" in str(err)
    assert err.again is again


def test_a_server_may_ask_for_time(receiver: Receiver) -> None:
    receiver.answer = (503, {"retry-after": "7"})
    assert failure(receiver.url).after_s == 7
    receiver.answer = (503, {"retry-after": "86400"})
    assert failure(receiver.url).after_s == 60
    receiver.answer = (503, {"retry-after": "tomorrow"})
    assert failure(receiver.url).after_s == 0


def test_redirects_are_not_followed(receiver: Receiver) -> None:
    receiver.answer = (307, {"location": "http://127.0.0.1:1/elsewhere"})
    err = failure(receiver.url)
    assert "to http://127.0.0.1:1/elsewhere; not followed" in str(err)
    assert not err.again


def test_a_server_that_is_down() -> None:
    err = failure(f"http://127.0.0.1:{free_port()}/")
    assert err.again
    assert "127.0.0.1:" in str(err)


def silent(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(3)


def trickling(handler: BaseHTTPRequestHandler) -> None:
    """A byte every 0.3 s: no single read takes long."""
    try:
        for byte in b"HTTP/1.1 200 OK\r\nx-slow: yes\r\n\r\n":
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
            time.sleep(0.3)
    except OSError:
        pass


def slamming(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.close()


def answering_and_slamming(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nha")
    handler.wfile.flush()
    handler.connection.close()


def answering_and_hanging(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    handler.wfile.flush()
    time.sleep(2)


@pytest.mark.parametrize("answer", [answering_and_slamming, answering_and_hanging])
def test_a_server_that_has_answered_is_not_asked_again(
    receiver: Receiver, answer: Callable[[BaseHTTPRequestHandler], None]
) -> None:
    receiver.answer = answer
    output = started(receiver.url, limit_s=0.8)
    output.deliver(CALL)
    output.close()
    assert len(receiver.got) == 1


def talking_nonsense(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"hello\r\n\r\n")
    handler.close_connection = True


@pytest.mark.parametrize("answer", [silent, trickling])
def test_a_slow_server_has_its_limit(receiver: Receiver, answer: object) -> None:
    receiver.answer = answer  # type: ignore[assignment]
    began = time.monotonic()
    err = failure(receiver.url)
    assert time.monotonic() - began < 1.8
    assert "did not answer within 1 s" in str(err)
    assert err.again


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("answer", [slamming, talking_nonsense])
def test_a_server_that_is_none(receiver: Receiver, answer: object) -> None:
    receiver.answer = answer  # type: ignore[assignment]
    assert failure(receiver.url).again


def test_an_endless_answer_is_not_read(receiver: Receiver) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                handler.wfile.write(b"x" * 1000)
                time.sleep(0.05)
        except OSError:
            pass

    receiver.answer = endless
    hook = started(receiver.url)
    hook.deliver(CALL)
    hook.close()


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl, which makes a certificate")
def test_https_checks_the_certificate(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    command = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {key} "
    command += f"-out {certificate} -days 2 -subj /CN=localhost -addext {names}"
    subprocess.run(command.split(), check=True, capture_output=True, timeout=30)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
    url = receiver.url.replace("http:", "https:")
    assert "certificate verify failed: it is signed by nobody" in str(failure(url))
    assert receiver.got == []
    hook = started(url, ca_file=str(certificate))
    hook.deliver(CALL)
    hook.close()
    assert len(receiver.got) == 1
    receiver.got.clear()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    hook = started(url)
    hook.deliver(CALL)
    hook.close()
    assert len(receiver.got) == 1


def test_what_is_no_https(receiver: Receiver) -> None:
    reason = str(failure(receiver.url.replace("http:", "https:")))
    assert "it does not speak TLS on that port" in reason
    assert "connection refused, nothing listens" in str(failure(f"http://127.0.0.1:{free_port()}"))
    assert "there is no host of that name" in str(failure("https://nowhere.invalid", limit_s=5))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"ca_file": "none.pem"}, "output.nurse.ca_file: cannot read none.pem: No such file"),
        ({"ca_file": os.devnull}, "cannot read /dev/null: it is a pipe or a device"),
        ({"cert_file": "a\0b"}, "output.nurse.cert_file: cannot read .*: embedded null"),
        ({"ca_file": __file__}, "holds no certificates as PEM"),
        ({"cert_file": __file__}, "does not serve as a certificate with its key"),
        ({"key_file": "key.pem"}, "key_file goes with cert_file"),
        ({"key_password_env": "KEY"}, "key_password_env goes with cert_file"),
    ],
)
def test_certificates_that_are_none(table: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        started("https://localhost", **table)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, "missing setting: output.nurse.url"),
        ({"url": "nurse.example"}, "begins with https://"),
        ({"url": "http://nurse.example/x"}, "http is for this machine alone"),
        ({"url": "http://10.0.0.4/x"}, "http is for this machine alone"),
        ({"url": "https://nurse:port/"}, "no address"),
        ({"url": "https://nurse/", "limit_s": 0}, "limit_s is over zero"),
        ({"url": "https://nurse/", "give_up_s": -1}, "give_up_s is a number of seconds over zero"),
        ({"url": "https://nurse/", "secret": "x"}, "did you mean output.nurse.secret_env"),
    ],
)
def test_settings_that_cannot_be_meant(table: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        outputs.build("webhook", "nurse", table)


@pytest.mark.parametrize("value", ["", "hello world", "c2hvcnQ="])
def test_a_secret_that_is_none(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NURSE_SECRET", value)
    with pytest.raises(ConfigError, match="NURSE_SECRET") as caught:
        started("https://nurse.example/", secret_env="NURSE_SECRET")
    assert not value or value not in str(caught.value)
