"""A program's side of the service: the nouns of ``mien.Analyzer``, for a service elsewhere."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..errors import ConfigError, ImageError, InputError, MissingExtra, ServiceError
from ..face import RecognizedFace
from ..files import replacing
from ..labels import own
from ..media import image
from ..results.records import Record

if TYPE_CHECKING:
    import httpx

    from ..media.image import Picture

_TRIES = 6
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 60.0
_AGAIN = (429, 502, 503, 504)  # what a service, or a proxy before it, says that has no time
_LOOK_S = 1.0
_OVER = ("done", "failed", "cancelled")


class Client:
    """A service of ``mien serve``; a context manager.

    Threads may share one. What a service has no time for is tried again, with pauses; so is, where
    the connection breaks, all but the handing in of a recording, which might be there twice.

    Parameters
    ----------
    address
        As "http://127.0.0.1:8000"; behind a proxy with its path.
    key
        What ``mien serve keys add`` showed; None takes ``MIEN_KEY`` of the environment, if set.
    timeout_s
        How long the service may be silent, in seconds.

    Examples
    --------
    >>> with Client("http://127.0.0.1:8000") as client:  # doctest: +SKIP
    ...     client.analyze("portrait.jpg")[0].emotions.top
    ('happiness', 0.98)
    """

    def __init__(
        self, address: str = "http://127.0.0.1:8000", key: str | None = None, timeout_s: float = 90
    ) -> None:
        try:
            import httpx
        except ImportError:
            raise MissingExtra("httpx", "serve", "mien.Client") from None
        key = (key or os.environ.get("MIEN_KEY") or "").strip()
        if not (key.isascii() and key.isprintable()):
            raise ConfigError("a key is what mien serve keys add showed, and this one cannot be")
        headers = {"authorization": f"Bearer {key}"} if key else {}
        try:
            parts = urlsplit(address)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("one is like http://127.0.0.1:8000")
            self._http = httpx.Client(base_url=address, headers=headers, timeout=timeout_s)
        except (httpx.InvalidURL, ValueError) as err:
            raise ConfigError(f"'{address}' is no address of a service: {err}") from None
        self._address = address
        self._faults, self._not_begun = httpx.TransportError, httpx.ConnectError

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connections."""
        self._http.close()

    def analyze(self, picture: Picture, **options: Any) -> list[RecognizedFace]:
        """The faces of a file, its bytes, or an RGB array, best found first; [] for none.

        options : of ``POST /v1/analyze``: model, detector, person, base_rates, strength, ... Raises
        ImageError for a picture that cannot be read, ServiceError.
        """
        (record,) = self.records([picture], **options)
        if record["status"] == "error":
            raise ImageError(record["reason"])
        faces = record["faces"]
        labels = own(tuple(faces[0]["emotions"]), "service") if faces else None
        return [RecognizedFace.from_dict(face, labels) for face in faces if labels]

    def records(self, pictures: Sequence[Picture], **options: Any) -> list[Record]:
        """The records of several pictures, in their order; one that cannot be read is an error's.

        The options are those of ``analyze``. Raises ServiceError.
        """
        files = [
            ("files", (_name(picture, i), _bytes(picture))) for i, picture in enumerate(pictures)
        ]
        if not files:
            return []
        answer = self._ask("POST", "/v1/analyze", files=files, params=_plain(options))
        records: list[Record] = _of(answer, "records")
        return records

    def analyze_video(
        self,
        path: str | os.PathLike[str],
        progress: Callable[[int, int], None] | None = None,
        **options: Any,
    ) -> Job:
        """Hand in a recording, and get its job.

        progress : is told how many bytes are sent, and of how many. options : of
        ``POST /v1/videos``: fps, every, start, end, smooth, ... Raises InputError where there is no
        such file, ServiceError where it is refused.
        """
        path = Path(path)
        try:
            stream = path.open("rb")
        except OSError as err:
            raise InputError(f"cannot read {path}: {err.strerror}") from err
        with stream:
            size = path.stat().st_size

            def body() -> Iterator[bytes]:
                stream.seek(0)
                yield from _pieces(stream, size, progress)

            answer = self._ask(
                "POST",
                "/v1/videos",
                body=body,
                headers={"content-type": "application/octet-stream", "content-length": str(size)},
                params=_plain({"name": path.name, **options}),
            )
        return Job(self, _of(answer, "id"))

    def jobs(self) -> list[Job]:
        """This key's recordings, the latest first."""
        return [Job(self, told["id"]) for told in _of(self._ask("GET", "/v1/videos"), "jobs")]

    def models(self) -> list[dict[str, Any]]:
        """The models that the service knows."""
        models: list[dict[str, Any]] = _of(self._ask("GET", "/v1/models"), "models")
        return models

    def _ask(
        self,
        method: str,
        path: str,
        body: Callable[[], Iterator[bytes]] | None = None,
        **of: Any,
    ) -> httpx.Response:
        """The service's answer; raises ServiceError once trying again has not helped.

        body : makes the body anew for each try.
        """
        return self._tried(
            lambda: self._http.request(method, path, content=body and body(), **of),
            may_be_twice=body is None,
        )

    def _tried(self, ask: Callable[[], httpx.Response], *, may_be_twice: bool) -> httpx.Response:
        pause_s, fault = _FIRST_PAUSE_S, ServiceError(f"{self._address} does not answer")
        for tried in range(_TRIES):
            if tried:
                time.sleep(min(pause_s, _LONGEST_PAUSE_S))
            pause_s = _FIRST_PAUSE_S * 2**tried
            try:
                answer = ask()
            except self._faults as err:
                fault = ServiceError(f"{self._address} does not answer: {err}")
                if not (may_be_twice or isinstance(err, self._not_begun)):
                    raise fault from err  # it may have been taken, and would be there twice
                continue
            if answer.status_code not in _AGAIN:
                return _checked(answer)
            fault = _refusal(answer)
            pause_s = _told_pause(answer, pause_s)
        raise fault

    def _save(self, path: str, params: dict[str, Any], out: Path) -> None:
        """Write an answer's body to a file, piece by piece; raises ServiceError, OSError."""

        def once() -> httpx.Response:
            with self._http.stream("GET", path, params=params) as answer:
                if not answer.is_success:
                    answer.read()
                    return answer
                with replacing(out) as stream:
                    for piece in answer.iter_bytes():
                        stream.write(piece)
                return answer

        self._tried(once, may_be_twice=True)


@dataclass(frozen=True, slots=True)
class Job:
    """A recording that a service analyses, or has."""

    client: Client
    id: str

    @property
    def _path(self) -> str:
        return f"/v1/videos/{self.id}"

    def state(self) -> dict[str, Any]:
        """Where it stands: ``state``, ``progress``, ``counts``, ``reason``, ..."""
        told: dict[str, Any] = _told(self.client._ask("GET", self._path))
        return told

    def wait(
        self,
        timeout_s: float = float("inf"),
        progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> Job:
        """Come back when it is done.

        progress : is told its ``progress`` every second. Raises ServiceError where it failed or was
        cancelled, TimeoutError.
        """
        end = time.monotonic() + timeout_s
        while (told := self.state())["state"] not in _OVER:
            if progress:
                progress(told["progress"])
            if time.monotonic() > end:
                raise TimeoutError(f"{told['name']} is {told['state']} after {timeout_s:g} s")
            time.sleep(_LOOK_S)
        if told["state"] != "done":
            why = f": {told['reason']}" if told["reason"] else ""
            raise ServiceError(f"{told['name']} is {told['state']}{why}")
        return self

    def save(self, out: str | os.PathLike[str], form: str = "jsonl") -> Path:
        """Write its records to a file in a format of ``mien analyze``; raises ServiceError."""
        self.client._save(f"{self._path}/result", {"format": form}, Path(out))
        return Path(out)

    def summary(self) -> list[dict[str, Any]]:
        """What each face showed: shares of its time, and its episodes."""
        faces: list[dict[str, Any]] = _of(self.client._ask("GET", f"{self._path}/summary"), "faces")
        return faces

    def cancel(self) -> None:
        """Stop it."""
        self.client._ask("POST", f"{self._path}/cancel")

    def delete(self) -> None:
        """Delete it, with the recording and all that came of it."""
        self.client._ask("DELETE", self._path)


def _name(picture: Picture, number: int) -> str:
    if isinstance(picture, str | os.PathLike):
        return Path(picture).name
    return f"picture-{number}"


def _bytes(picture: Picture) -> bytes:
    """A picture as a request takes it; raises ImageError, ShapeError."""
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, str | os.PathLike):
        return image.file_bytes(Path(picture))
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(image.read(picture)).save(out, "PNG")
    return out.getvalue()


_PIECE = 1 << 18


def _pieces(
    stream: IO[bytes], size: int, progress: Callable[[int, int], None] | None
) -> Iterator[bytes]:
    sent = 0
    while piece := stream.read(_PIECE):
        yield piece
        sent += len(piece)
        if progress:
            progress(sent, size)


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _checked(answer: httpx.Response) -> httpx.Response:
    if not answer.is_success:
        raise _refusal(answer)
    return answer


def _told(answer: httpx.Response) -> dict[str, Any]:
    """What an answer says; raises ServiceError where something else than a service gave it."""
    try:
        told = answer.json()
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise _foreign(answer)
    return told


def _of(answer: httpx.Response, name: str) -> Any:
    """One thing of what an answer says; raises ServiceError."""
    told = _told(answer)
    if name not in told:
        raise _foreign(answer)
    return told[name]


def _foreign(answer: httpx.Response) -> ServiceError:
    detail = f"it answers {answer.status_code}, and not as a service of mien does"
    return ServiceError(detail, answer.status_code)


def _refusal(answer: httpx.Response) -> ServiceError:
    """What the service says is wrong, in the words of its problem."""
    try:
        detail = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return _foreign(answer)
    return ServiceError(detail, answer.status_code)


def _told_pause(answer: httpx.Response, otherwise: float) -> float:
    """How long the service asks to wait, in seconds."""
    try:
        return float(answer.headers["retry-after"])
    except (KeyError, ValueError):
        return otherwise
