"""Recordings over HTTP, from the upload to every format."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from mien.service import folders
from mien.service.keys import Keys

from .conftest import Serve, problem
from .recorded import VIDEOS, handed_in, over


@pytest.fixture(scope="module")
def done(client: httpx.Client, clip: Path) -> dict[str, Any]:
    return over(client, handed_in(client, clip, every=2))


def by_command(path: Path, out: Path, *words: str) -> bytes:
    command = [sys.executable, "-m", "mien", "analyze", path.name, "--out", str(out), *words]
    subprocess.run(command, cwd=path.parent, check=True, capture_output=True)
    return out.read_bytes()


def test_a_recording_from_the_upload_to_its_records(
    client: httpx.Client, done: dict[str, Any], clip: Path, tmp_path: Path
) -> None:
    assert (done["state"], done["counts"], done["name"]) == ("done", {"no_face": 10}, "a clip.mp4")
    assert done["options"] == {"every": 2}
    assert done["progress"]["frames"] == 10
    assert done["progress"]["duration_s"] == pytest.approx(2.0)
    assert (done["progress"]["share"], done["progress"]["left_s"]) == (1.0, 0.0)
    assert done["bytes"] == clip.stat().st_size
    assert "not a determination" in done["notice"] or "expression" in done["notice"]
    records = client.get(f"{VIDEOS}/{done['id']}/result")
    assert records.content == by_command(clip, tmp_path / "a.jsonl", "--every", "2")
    meta = client.get(f"{VIDEOS}/{done['id']}/meta").json()
    assert meta["complete"]
    assert str(tmp_path) not in json.dumps(meta)


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("csv", "a.csv"),
        ("csv-semicolon", "a.csv"),
        ("parquet", "a.parquet"),
        ("pyfeat", "a.csv"),
        ("openface", "a.csv"),
        ("deepface", "a.jsonl"),
    ],
)
def test_every_format_is_the_command_lines(
    client: httpx.Client, done: dict[str, Any], clip: Path, tmp_path: Path, form: str, name: str
) -> None:
    answer = client.get(f"{VIDEOS}/{done['id']}/result", params={"format": form})
    ours = by_command(clip, tmp_path / name, "--format", form, "--every", "2")
    assert answer.content == ours
    assert f'filename="a clip{Path(name).suffix}"'.replace(" ", "%20") in (
        answer.headers["content-disposition"].replace("filename*=utf-8''", 'filename="') + '"'
    )


def test_bids_comes_with_its_sidecar(client: httpx.Client, done: dict[str, Any]) -> None:
    answer = client.get(f"{VIDEOS}/{done['id']}/result", params={"format": "bids"})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["a clip_physio.tsv.gz", "a clip_physio.json"]
        assert "Columns" in json.loads(archive.read("a clip_physio.json"))


def test_the_summary_of_a_face(client: httpx.Client, shared: Path) -> None:
    path = next((shared / "data" / "media").rglob("*.mp4"))
    job = over(client, handed_in(client, path, end=1.5, fps=8))
    assert job["state"] == "done"
    told = client.get(f"{VIDEOS}/{job['id']}/summary").json()
    assert told["faces"]
    face = told["faces"][0]
    assert face["seen_s"] > 0
    assert sum(face[label] for label in ("neutral", "happiness", "surprise")) > 0
    drawn = client.get(f"{VIDEOS}/{job['id']}/timeline")
    assert drawn.headers["content-type"] == "image/png"
    assert drawn.content.startswith(b"\x89PNG")


def test_without_a_face_there_is_nothing_to_draw(
    client: httpx.Client, done: dict[str, Any]
) -> None:
    assert client.get(f"{VIDEOS}/{done['id']}/summary").json()["faces"] == []
    problem(client.get(f"{VIDEOS}/{done['id']}/timeline"), 409, "no face was seen")


def test_a_body_that_is_the_recording(client: httpx.Client, clip: Path) -> None:
    def pieces() -> Any:
        content = clip.read_bytes()
        for i in range(0, len(content), 1000):
            yield content[i : i + 1000]

    headers = {"content-type": "video/mp4"}
    answer = client.post(VIDEOS, content=pieces(), headers=headers, params={"name": "../x.mp4"})
    assert answer.status_code == 202
    job = over(client, answer.json())
    assert (job["state"], job["name"]) == ("done", "x.mp4")


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"files": {"file": ("a.mp4", b"no recording")}}, 422, ("a.mp4",)),
        ({"files": {"file": ("a.mp4", b"")}}, 422, ("empty (0 bytes)",)),
        ({"files": {"video": ("a.mp4", b"x")}}, 422, ("the field 'file', got 'video'",)),
        ({"files": [("file", ("a", b"x")), ("file", ("b", b"y"))]}, 422, ("one recording",)),
        ({"content": b"x"}, 415, ("say the Content-Type",)),
        ({"content": b"x", "headers": {"content-type": "text/html"}}, 415, ("got 'text/html'",)),
        (
            {"content": b"--b\r\n", "headers": {"content-type": "multipart/form-data; boundary=b"}},
            422,
            ("cut short",),
        ),
        (
            {"content": b"x", "headers": {"content-type": "multipart/form-data"}},
            422,
            ("multipart",),
        ),
        (
            {"content": b"x", "headers": {"content-type": "video/mp4"}, "params": {"fsp": 5}},
            422,
            ("no option called 'fsp'; did you mean fps?",),
        ),
        (
            {"content": b"x", "headers": {"content-type": "video/mp4"}, "params": {"person": "X"}},
            422,
            ("X",),
        ),
        (
            {"content": b"x", "headers": {"content-type": "video/mp4"}, "params": {"start": 1e308}},
            422,
            ("--start takes up to 1,000,000,000 seconds",),
        ),
        (
            {
                "content": b"x",
                "headers": {"content-type": "video/mp4"},
                "params": {"smooth": "causal", "no_tracks": True},
            },
            422,
            ("cannot be smoothed",),
        ),
    ],
)
def test_what_cannot_be_handed_in(
    client: httpx.Client, asked: dict[str, Any], status: int, words: tuple[str, ...]
) -> None:
    before = len(client.get(VIDEOS).json()["jobs"])
    problem(client.post(VIDEOS, **asked), status, *words)
    assert len(client.get(VIDEOS).json()["jobs"]) == before


def test_nothing_is_kept_of_what_was_refused(serve: Serve, tmp_path: Path, clip: Path) -> None:
    client = serve(home=tmp_path, most_recording_bytes=1000, longest_s=1)
    problem(client.post(VIDEOS, files={"file": ("a.mp4", b"x" * 2000)}), 413)
    problem(client.post(VIDEOS, files={"file": ("a.mp4", b"x" * 500)}), 422)
    assert list((tmp_path / "service" / "jobs").iterdir()) == []


def test_a_recording_that_says_it_is_too_long(serve: Serve, clip: Path) -> None:
    client = serve(longest_s=1)
    problem(client.post(VIDEOS, files={"file": ("a.mp4", clip.read_bytes())}), 422, "lasts 2 s")


def test_so_many_recordings_may_wait(serve: Serve, clip: Path) -> None:
    client = serve(most_recordings=1, recordings=0)  # nobody works on them
    job = handed_in(client, clip)
    assert (job["state"], job["ahead"]) == ("queued", 0)
    refused = client.post(VIDEOS, files={"file": ("b.mp4", clip.read_bytes())})
    problem(refused, 503, "1 recordings wait already")
    assert int(refused.headers["retry-after"]) > 0
    problem(client.get(f"{VIDEOS}/{job['id']}/result"), 409, "the recording is queued")
    cancelled = client.post(f"{VIDEOS}/{job['id']}/cancel").json()
    assert cancelled["state"] == "cancelled"
    assert client.delete(f"{VIDEOS}/{job['id']}").status_code == 204
    problem(client.get(f"{VIDEOS}/{job['id']}"), 404, "no recording of this id")
    assert 'mien_recordings{state="queued"} 0.0' in client.get("/metrics").text


def test_nobody_sees_anothers(serve: Serve, tmp_path: Path, clip: Path) -> None:
    keys = Keys(tmp_path)
    ann, bob = ({"authorization": f"Bearer {keys.add(n, 600, 16)}"} for n in ("ann", "bob"))
    client = serve(home=tmp_path, recordings=0)
    files = {"file": (clip.name, clip.read_bytes())}
    job = client.post(VIDEOS, files=files, headers=ann).json()
    at = f"{VIDEOS}/{job['id']}"
    assert client.get(at, headers=ann).status_code == 200
    for answer in (
        client.get(at, headers=bob),
        client.delete(at, headers=bob),
        client.post(f"{at}/cancel", headers=bob),
        client.get(f"{at}/result", headers=bob),
    ):
        problem(answer, 404, "no recording of this id")
    problem(client.get(at), 401)
    assert client.get(VIDEOS, headers=bob).json()["jobs"] == []


@pytest.mark.parametrize("id", ["..", "..%2f..%2fetc", "%00", "a" * 300])
def test_ids_that_are_none(client: httpx.Client, id: str) -> None:
    answer = client.get(f"{VIDEOS}/{id}/result")
    assert answer.status_code in (404, 422)
    problem(answer, answer.status_code)


def test_the_next_page_after_one_that_is_gone(serve: Serve, clip: Path) -> None:
    """An empty page would say that there are no earlier ones."""
    client = serve(recordings=0)
    first, middle, last = (handed_in(client, clip)["id"] for _ in range(3))
    page = client.get(VIDEOS, params={"before": last, "most": 1}).json()["jobs"]
    assert [job["id"] for job in page] == [middle]
    client.delete(f"{VIDEOS}/{middle}")
    for gone in (middle, "nonsense", "\0", ""):
        problem(client.get(VIDEOS, params={"before": gone}), 422, "before: there is no recording")
    page = client.get(VIDEOS, params={"before": last}).json()["jobs"]
    assert [job["id"] for job in page] == [first]


@pytest.mark.parametrize("gone", ["records.jsonl", "records.jsonl.meta.json", "."])
def test_records_that_somebody_took_away(
    serve: Serve, tmp_path: Path, clip: Path, gone: str
) -> None:
    client = serve(home=tmp_path)
    job = over(client, handed_in(client, clip, end=0.1))
    path = tmp_path / "service" / "jobs" / job["id"] / gone
    path.unlink() if path.is_file() else shutil.rmtree(path)
    for what in ("result", "result?format=csv", "summary", "timeline", "meta"):
        answer = client.get(f"{VIDEOS}/{job['id']}/{what}")
        problem(answer, 409, "not on this server any more; delete it, and hand the recording in")
    assert client.delete(f"{VIDEOS}/{job['id']}").status_code == 204


@pytest.mark.parametrize("days", [float("inf"), 1e9])
def test_what_is_kept_for_ever(serve: Serve, clip: Path, days: float) -> None:
    client = serve(keep_days=days)
    job = over(client, handed_in(client, clip, end=0.1))
    assert (job["state"], job["kept_until"]) == ("done", None)
    assert client.get(VIDEOS).json()["jobs"] == [job]


def test_an_unknown_format(client: httpx.Client, done: dict[str, Any]) -> None:
    answer = client.get(f"{VIDEOS}/{done['id']}/result", params={"format": "../x"})
    problem(answer, 422, "no format called '../x'")


def test_a_system_without_locks_says_so(
    client: httpx.Client, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "HAS_LOCKS", False)
    answer = client.post(VIDEOS, files={"file": (clip.name, clip.read_bytes())})
    problem(answer, 501, "on Linux and macOS")
