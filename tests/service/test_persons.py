"""One person's own recogniser through HTTP: what ``mien person`` does."""

from __future__ import annotations

import io
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from mien.face import ImageArray
from mien.person import people
from mien.service import server
from mien.service.settings import ServiceSettings

from .conftest import Serve, jpeg, problem

RAW = {"content-type": "application/octet-stream"}
CONSENT = "Ann, for herself"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIEN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def shown(astronaut: ImageArray, label: str) -> list[tuple[str, tuple[str, bytes]]]:
    """Two pictures of her, darker for one label than for the other."""
    woman = np.ascontiguousarray(astronaut[20:240, 120:340]) // (1 if label == "joy" else 2)
    return [("files", (f"{i}.jpg", jpeg(woman - i))) for i in range(2)]


def test_pictures_of_one_stimulus_are_held_out_together(
    client: httpx.Client, own: Path, astronaut: ImageArray
) -> None:
    client.post("/v1/persons", json={"name": "Ann", "consent": CONSENT})
    for label in ("joy", "pain"):
        for time in ("first", "second"):
            files = shown(astronaut // (1 if time == "first" else 2) + 3, label)
            at = f"/v1/persons/Ann/samples?label={label}&shown={label}, the {time} time"
            assert client.post(at, files=files).json()["taken"] == 2
    again = client.post(at, files=shown(astronaut // 2, "joy")).json()
    assert (again["taken"], again["left_out"]) == (0, {"taken before": 2})
    assert client.post("/v1/persons/Ann/train").json()["stimuli"] == 4
    told = client.post("/v1/persons/Ann/test").json()
    assert (told["samples"], told["stimuli"]) == (8, 4)


def test_pictures_of_one_stimulus_may_show_two_words(
    client: httpx.Client, own: Path, astronaut: ImageArray
) -> None:
    """Somebody looks through a session, and gives one of its pictures another word."""
    client.post("/v1/persons", json={"name": "Ann", "consent": CONSENT})
    for (_, file), label in zip(shown(astronaut, "joy"), ("joy", "pain"), strict=True):
        at = f"/v1/persons/Ann/samples?label={label}&shown=the first film"
        assert client.post(at, files=[("files", file)]).json()["taken"] == 1
    assert client.get("/v1/persons/Ann").json()["samples"] == {"happiness": 1, "pain": 1}


def test_a_person_from_consent_to_deletion(
    client: httpx.Client, own: Path, astronaut: ImageArray, portrait_jpeg: bytes
) -> None:
    assert client.get("/v1/persons").json() == {"persons": []}
    name = "Ann Müller"
    at = "/v1/persons/Ann%20M%C3%BCller"
    begun = client.post("/v1/persons", json={"name": name, "consent": CONSENT})
    assert begun.status_code == 201
    assert begun.json()["consents"][0]["text"] == CONSENT
    for label in ("joy", "pain"):
        added = client.post(f"{at}/samples?label={label}", files=shown(astronaut, label)).json()
        assert (added["taken"], added["left_out"], added["unreadable"]) == (2, {}, {})
    assert added["person"]["samples"] == {"happiness": 2, "pain": 2}
    again = client.post(f"{at}/samples?label=joy", files=shown(astronaut, "joy")).json()
    assert (again["taken"], again["left_out"]) == (0, {"taken before": 2})
    query = f"/v1/analyze?person={name}"
    problem(client.post(query, content=portrait_jpeg, headers=RAW), 422, "has no recogniser yet")
    assert client.post(f"{at}/train").json()["stimuli"] == 4
    answer = client.post(query, content=portrait_jpeg, headers=RAW)
    assert set(answer.json()["records"][0]["faces"][0]["emotions"]) == {"happiness", "pain"}
    problem(client.get(f"{at}/test"), 404, "was not tested since it was made")
    tested = client.post(f"{at}/test").json()
    assert tested["samples"] == 4
    assert client.get(f"{at}/test").json() == tested
    assert client.get("/v1/persons").json()["persons"][0]["recogniser"] == ["head"]
    archive = zipfile.ZipFile(io.BytesIO(client.get(f"{at}/export").content))
    assert {"person.json", "head.onnx"} <= set(archive.namelist())
    assert client.delete(at).status_code == 204
    assert not list(own.rglob("*.png"))
    problem(client.get(at), 404, "nobody is known yet")
    problem(client.post(query, content=portrait_jpeg, headers=RAW), 422, "nobody is known yet")


def test_a_recogniser_that_is_made_anew_is_read_anew(
    client: httpx.Client, own: Path, astronaut: ImageArray, portrait_jpeg: bytes
) -> None:
    client.post("/v1/persons", json={"name": "Ann", "consent": CONSENT})
    for label in ("joy", "pain"):
        client.post(f"/v1/persons/Ann/samples?label={label}", files=shown(astronaut, label))
    client.post("/v1/persons/Ann/train")
    ask = "/v1/analyze?person=Ann"
    first = client.post(ask, content=portrait_jpeg, headers=RAW).json()["records"][0]["faces"][0]
    files = [("files", ("third.jpg", jpeg(astronaut[10:250, 110:350])))]
    client.post("/v1/persons/Ann/samples?label=hunger", files=files)
    client.post("/v1/persons/Ann/train")
    then = client.post(ask, content=portrait_jpeg, headers=RAW).json()["records"][0]["faces"][0]
    assert set(then["emotions"]) - set(first["emotions"]) == {"hunger"}


def test_a_test_is_of_the_recogniser_as_it_is(
    client: httpx.Client, own: Path, astronaut: ImageArray
) -> None:
    client.post("/v1/persons", json={"name": "Ann", "consent": CONSENT})
    for label in ("joy", "pain"):
        client.post(f"/v1/persons/Ann/samples?label={label}", files=shown(astronaut, label))
    client.post("/v1/persons/Ann/train")
    client.post("/v1/persons/Ann/test")
    (kept,) = own.rglob("test.json")
    kept.write_text("{")
    problem(client.get("/v1/persons/Ann/test"), 422, "test the recogniser again")
    client.post("/v1/persons/Ann/train")
    problem(client.get("/v1/persons/Ann/test"), 404, "POST here to test it")


def test_nothing_without_a_consent_and_nothing_of_nobody(
    client: httpx.Client, own: Path, astronaut: ImageArray
) -> None:
    problem(client.post("/v1/persons", json={"name": "Ann"}), 422, "consent: Field required")
    problem(client.post("/v1/persons", json={"name": "Ann", "consent": " "}), 422, "who agrees")
    sent = client.post("/v1/persons/Ann/samples?label=joy", files=shown(astronaut, "joy"))
    problem(sent, 404, "nobody is known yet")
    for call in ("train", "test"):
        problem(client.post(f"/v1/persons/Ann/{call}"), 404)
    problem(client.get("/v1/persons/Ann/export"), 404)
    problem(client.delete("/v1/persons/Ann"), 404)
    assert not list(own.rglob("*.json"))


def test_consents_that_come_at_once_are_all_kept(client: httpx.Client, own: Path) -> None:
    """Each is read, added to and written again: none of that may pass another by."""

    def agree(number: int) -> int:
        told = {"name": "Ann", "consent": f"Ann, the {number}th time"}
        return client.post("/v1/persons", json=told).status_code

    with ThreadPoolExecutor(12) as threads:
        assert set(threads.map(agree, range(24))) == {201}
    kept = client.get("/v1/persons/Ann").json()["consents"]
    assert {consent["text"] for consent in kept} == {f"Ann, the {n}th time" for n in range(24)}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "the body cannot be read as JSON: Expecting property name"),
        (b"", "the body cannot be read as JSON: Expecting value"),
        (b"\xff\xfe", "the body cannot be read as JSON: "),
        (b"[" * 10_000, "the body cannot be read as JSON: "),
        (b"[]", "body: Input should be a valid dictionary"),
        (b'{"name": "Ann", "name": "Eve", "consent": "Ann"}', "name is given twice"),
        (b'{"name": "Ann", "consent": "Ann", "consents": 1}', "consents: Extra inputs"),
        (b'{"name": "a:b", "consent": "Ann"}', "has no /, \\ or : and is not . or .., got 'a:b'"),
        (b'{"name": " ", "consent": "Ann"}', "a name has 1 to 100 characters"),
    ],
)
def test_bodies_that_tell_of_nobody(
    client: httpx.Client, own: Path, content: bytes, words: str
) -> None:
    kind = {"content-type": "application/json; charset=utf-8"}
    problem(client.post("/v1/persons", content=content, headers=kind), 422, words)
    assert client.get("/v1/persons").json() == {"persons": []}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ({}, "say the Content-Type: application/json"),
        ({"content-type": "text/plain"}, "this takes application/json; got 'text/plain'"),
        # What curl says of what follows -d.
        ({"content-type": "application/x-www-form-urlencoded"}, "this takes application/json; got"),
    ],
)
def test_json_that_is_not_said_to_be_any(
    client: httpx.Client, own: Path, kind: dict[str, str], words: str
) -> None:
    content = b'{"name": "Ann", "consent": "Ann, for herself"}'
    problem(client.post("/v1/persons", content=content, headers=kind), 415, words)


def test_a_training_is_not_given_up_for_its_time(
    serve: Serve, client: httpx.Client, own: Path, astronaut: ImageArray
) -> None:
    """It would be as long the next time; the limit is of pictures."""
    client.post("/v1/persons", json={"name": "Ann", "consent": CONSENT})
    for label in ("joy", "pain"):
        client.post(f"/v1/persons/Ann/samples?label={label}", files=shown(astronaut, label))
    hurried = serve(request_s=0.01)
    problem(hurried.post("/v1/analyze", files=shown(astronaut, "joy")), 503, "longer than 0.01 s")
    assert hurried.post("/v1/persons/Ann/train").status_code == 200
    assert hurried.post("/v1/persons/Ann/test").json()["samples"] == 4


def test_a_body_that_nobody_asked_for_is_bounded(
    serve: Serve, client: httpx.Client, own: Path
) -> None:
    client.post("/v1/persons", json={"name": "Ann", "consent": CONSENT})
    little = serve(most_request_bytes=1000)
    answer = little.post("/v1/persons/Ann/train", content=bytes(3000))
    problem(answer, 413, "send fewer or smaller files")


@pytest.mark.parametrize("name", ["../evil", "a/b", "..", "C:\\x", "", " ", "x" * 101, "a\0b"])
def test_names_that_would_be_paths(client: httpx.Client, own: Path, name: str) -> None:
    problem(client.post("/v1/persons", json={"name": name, "consent": CONSENT}), 422)
    assert not [path for path in own.rglob("*") if path.is_file()]


@pytest.mark.parametrize("at", ["..%2F..%2Fetc", "%2e%2e", "%2Fetc%2Fpasswd", "a%00b"])
def test_addresses_that_would_be_paths(client: httpx.Client, own: Path, at: str) -> None:
    client.post("/v1/persons", json={"name": "Ann", "consent": CONSENT})
    for answer in (client.get(f"/v1/persons/{at}"), client.delete(f"/v1/persons/{at}/")):
        assert answer.status_code in (404, 405)
    assert client.get("/v1/persons/Ann").status_code == 200


def test_pictures_that_give_no_sample(
    client: httpx.Client, own: Path, portrait_jpeg: bytes, empty_jpeg: bytes
) -> None:
    client.post("/v1/persons", json={"name": "Ann", "consent": CONSENT})
    files = [
        ("files", ("a.jpg", portrait_jpeg)),
        ("files", ("wall.jpg", empty_jpeg)),
        ("files", ("notes.txt", b"dear diary")),
        ("files", ("notes.txt", b"")),
    ]
    told = client.post("/v1/persons/Ann/samples?label=joy", files=files).json()
    assert (told["taken"], told["left_out"]) == (1, {"no face": 1})
    assert told["unreadable"]["notes.txt"].startswith("notes.txt is no picture")
    assert told["unreadable"]["notes.txt (2)"] == "notes.txt is empty (0 bytes)"
    (sample,) = people.get("Ann").samples()
    assert sample.stimulus.startswith("joy/a.jpg#")
    problem(client.post("/v1/persons/Ann/train"), 422, "at least two expressions")
    none = client.post("/v1/persons/Ann/samples", files=files)
    problem(none, 422, "label: Field required")
    odd = client.post("/v1/persons/Ann/samples?label=" + "x" * 41, files=files)
    problem(odd, 422, "a label is a word or two")


def test_what_needs_torch_says_so(
    own: Path, astronaut: ImageArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with server.running(ServiceSettings(port=0)) as at, httpx.Client(base_url=at) as client:
        client.post("/v1/persons", json={"name": "Ann", "consent": CONSENT}, timeout=60)
        for label in ("joy", "pain"):
            files = shown(astronaut, label)
            client.post(f"/v1/persons/Ann/samples?label={label}", files=files, timeout=60)
        refused = client.post("/v1/persons/Ann/train?kind=mouth", timeout=60)
    told = problem(refused, 501, "needs torch, which is not installed on this server")
    assert "pip" not in told["detail"]


def test_one_damaged_person_hides_nobody_else_and_can_be_deleted(
    client: httpx.Client, own: Path
) -> None:
    for name in ("Ann", "Bea"):
        client.post("/v1/persons", json={"name": name, "consent": CONSENT})
    (people.get("Ann").folder / "person.json").write_text("{")
    listed = client.get("/v1/persons").json()["persons"]
    assert [person["name"] for person in listed] == ["Bea"]
    assert client.delete("/v1/persons/Ann").status_code == 204
    assert client.delete("/v1/persons/Ann").status_code == 404
    assert [path.name[:3] for path in (own / "people").iterdir()] == ["bea"]
