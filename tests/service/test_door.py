"""Who is let in, how much each may ask, and what a browser is told."""

from __future__ import annotations

import json
import logging
import stat
from pathlib import Path

import httpx
import pytest

from mien.errors import ConfigError, DataError, UnknownName
from mien.service import server
from mien.service.keys import Keys, Limits, TooMany
from mien.service.meters import JsonLines
from mien.service.settings import ServiceSettings

from ..servers import until
from .conftest import Serve, problem

RAW = {"content-type": "application/octet-stream"}


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


# -- keys --------------------------------------------------------------------------------------


def test_only_a_hash_of_a_key_is_kept(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    secret = keys.add("clinic", 60, 2)
    assert keys.find(secret) is not None
    content = keys.path.read_text()
    assert secret not in content
    assert secret.removeprefix("mien_") not in content
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    assert len(secret) >= 43
    for wrong in ("", secret[:-1], secret + "x", secret.swapcase(), "\xff"):
        assert keys.find(wrong) is None


def test_a_key_s_name_is_taken_once_and_given_back(tmp_path: Path) -> None:
    keys, other = Keys(tmp_path), Keys(tmp_path)
    first = keys.add("clinic", 60, 2)
    with pytest.raises(ConfigError, match="there is a key of clinic already"):
        keys.add("clinic", 60, 2)
    with pytest.raises(ConfigError, match="a key's name has"):
        keys.add("\n", 60, 2)
    with pytest.raises(UnknownName, match="no key called 'clinc'; did you mean clinic"):
        keys.revoke("clinc")
    assert other.find(first) is not None
    keys.revoke("clinic")
    assert other.find(first) is None
    assert keys.add("clinic", 60, 2) != first


DAMAGED = ["", "[]", "{}", '{"schema": "mien-keys/2", "keys": []}']
DAMAGED.append('{"schema": "mien-keys/1", "keys": [{"name": "a"}]}')
KEY = {"name": "a", "salt": "00", "sha256": "00", "made": "", "a_minute": 1, "at_once": 1}
DAMAGED += [
    json.dumps({"schema": "mien-keys/1", "keys": [KEY | odd]})
    for odd in ({"sha256": "é"}, {"a_minute": 0}, {"a_minute": 10**400}, {"at_once": -1})
]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_file_of_keys_lets_nobody_in(
    tmp_path: Path,
    serve: Serve,
    content: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    keys, client = Keys(tmp_path), serve(home=tmp_path)
    keys.path.write_text(content)
    with pytest.raises(DataError, match="is damaged"):
        keys.all()
    monkeypatch.setattr(logging.getLogger("mien.service"), "propagate", True)
    refused = client.get("/v1/models", headers={"authorization": "Bearer mien_x"})
    told = problem(refused, 503, "keys of this service cannot be read")
    assert "damaged" not in told["detail"]
    assert "keys.json is damaged" in caplog.text  # for whoever runs it
    with pytest.raises(DataError, match="delete it, and make new keys"):
        server.server(ServiceSettings(home=tmp_path))


def test_requests_of_a_minute_come_back_evenly(tmp_path: Path) -> None:
    keys, at = Keys(tmp_path), 0.0
    keys.add("clinic", 60, 2)
    (key,) = keys.all()
    limits = Limits(lambda: at)
    for _ in range(60):
        with limits.used(key):
            pass
    with pytest.raises(TooMany, match="60 times a minute") as refused, limits.used(key):
        pass
    assert refused.value.retry_s == pytest.approx(1.0)
    at = 1.0
    with limits.used(key):
        pass
    at = 1000.0
    with (
        limits.used(key),
        limits.used(key),
        pytest.raises(TooMany, match="2 requests under way"),
        limits.used(key),
    ):
        pass
    with limits.used(key):
        pass


@pytest.fixture(scope="module")
def locked(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> tuple[httpx.Client, Keys]:
    home = tmp_path_factory.mktemp("locked")
    return serve(home=home), Keys(home)


def test_a_key_is_needed_as_soon_as_there_is_one(locked: tuple[httpx.Client, Keys]) -> None:
    client, keys = locked
    assert client.get("/v1/models").status_code == 200
    secret = keys.add("lab", 600, 4)
    refused = client.get("/v1/models")
    problem(refused, 401, "Authorization: Bearer KEY", "mien serve keys add NAME")
    assert refused.headers["www-authenticate"] == "Bearer"
    for wrong in (
        "Bearer",
        "Bearer x",
        f"Basic {secret}",
        secret,
        "Bearer " + "x" * 5000,
    ):
        problem(client.get("/v1/models", headers={"authorization": wrong}), 401)
    problem(client.post("/v1/analyze", content=b"x", headers=RAW), 401)
    problem(client.get("/metrics"), 401)
    problem(client.get("/nowhere"), 401)
    for path in ("/healthz", "/openapi.json"):
        assert client.get(path).status_code == 200
    assert client.get("/v1/models", headers=bearer(secret)).status_code == 200
    keys.revoke("lab")
    other = keys.add("another", 600, 4)
    problem(client.get("/v1/models", headers=bearer(secret)), 401)
    assert client.get("/v1/models", headers=bearer(other)).status_code == 200
    keys.revoke("another")


def test_a_key_that_asks_too_often(locked: tuple[httpx.Client, Keys]) -> None:
    client, keys = locked
    secret = keys.add("eager", 3, 4)
    answers = [client.get("/v1/models", headers=bearer(secret)) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    problem(answers[3], 429, "3 times a minute")
    assert 1 <= int(answers[3].headers["retry-after"]) <= 20
    keys.revoke("eager")


def test_another_host_needs_a_key(tmp_path: Path) -> None:
    for open_to_others in ({"host": "0.0.0.0"}, {"allowed_hosts": ("faces.example",)}):
        settings = ServiceSettings(home=tmp_path, port=0, **open_to_others)
        with pytest.raises(ConfigError, match="make one first: mien serve keys add NAME"):
            server.server(settings)
    Keys(tmp_path).add("clinic", 60, 2)
    server.server(settings)


# -- hosts, pages, headers -----------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::1"])
def test_another_s_name_for_this_machine(client: httpx.Client, host: str) -> None:
    """A page whose name was made to lead here must not read the answers: DNS rebinding."""
    problem(client.get("/v1/models", headers={"host": host}), 421, "--allow-host NAME")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "[::1]:1"])
def test_this_machine_s_own_names(client: httpx.Client, host: str) -> None:
    assert client.get("/healthz", headers={"host": host}).status_code == 200


def test_pages_of_other_origins_may_not_ask(client: httpx.Client) -> None:
    for origin in (
        "https://evil.example",
        "null",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1:1",
    ):
        answer = client.post("/v1/analyze", content=b"x", headers=RAW | {"origin": origin})
        problem(answer, 403, "pages of other origins")
        assert "access-control-allow-origin" not in answer.headers
    own = client.get("/healthz", headers={"origin": str(client.base_url).rstrip("/")})
    assert own.status_code == 200


def test_what_a_browser_is_told(client: httpx.Client) -> None:
    for answer in (client.get("/healthz"), client.get("/nowhere"), client.get("/openapi.json")):
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers


# -- what is told of requests --------------------------------------------------------------------


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [JsonLines().format(record) for record in caplog.records if "told" in record.__dict__]


def test_a_log_holds_no_name_and_no_query(
    client: httpx.Client, portrait_jpeg: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mien.service")
    answer = client.post(
        "/v1/analyze?person=Annabel", files={"files": ("annabel.jpg", portrait_jpeg)}
    )
    problem(answer, 422)
    until(lambda: any(answer.headers["x-request-id"] in line for line in lines(caplog)))
    told = json.loads(lines(caplog)[-1])
    assert told["request_id"] == answer.headers["x-request-id"]
    assert (told["route"], told["status"], told["method"]) == ("/v1/analyze", 422, "POST")
    assert set(told) == {
        *("time", "level", "event", "request_id", "method"),
        "route",
        "status",
        "ms",
    }
    assert "nnabel" not in "".join(lines(caplog))


def test_an_error_nobody_foresaw_is_logged_and_not_told(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(name: str) -> str:
        raise RuntimeError("of Annabel")

    monkeypatch.setattr("mien.service.routes.models.cards.of", fails)
    answer = client.get("/v1/models/mien")
    told = problem(answer, 500, answer.headers["x-request-id"])
    assert "Annabel" not in json.dumps(told)
    (line,) = [JsonLines().format(r) for r in caplog.records if r.levelname == "ERROR"]
    assert json.loads(line)["error"] == "RuntimeError"
    assert json.loads(line)["at"][-1].endswith("fails")
    assert "Annabel" not in line


def test_figures_for_prometheus(client: httpx.Client, portrait_jpeg: bytes) -> None:
    client.post("/v1/analyze", content=portrait_jpeg, headers=RAW)
    client.get("/v1/models/x-that-is-not-there")
    text = client.get("/metrics").text
    for line in (
        'mien_requests_total{method="POST",route="/v1/analyze",status="200"}',
        'mien_requests_total{method="GET",route="/v1/models/{name}",status="404"}',
        'mien_request_seconds_bucket{le="0.1",route="/v1/analyze"}',
        "mien_queue_pictures 0.0",
        "mien_faces_total",
        'mien_model_info{name="mien"',
        "process_resident_memory_bytes",
    ):
        assert line in text, line
    assert "x-that-is-not-there" not in text


def test_health_and_readiness(client: httpx.Client) -> None:
    assert client.get("/healthz").json()["status"] == "ok"
    assert client.get("/readyz").status_code == 200
