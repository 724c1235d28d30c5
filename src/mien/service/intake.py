"""What a request brings: pictures as bytes, and options by their names.

No path and no address in a request is ever opened; a file's name is only what its record says.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Iterator
from http import HTTPStatus
from typing import Annotated, Any, TypeVar, get_type_hints

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import HTTPConnection
from starlette.responses import Response

from ..errors import ConfigError, UnknownName
from .engine import Engine, Upload
from .problems import Refused, of_invalid
from .settings import ServiceSettings

Model = TypeVar("Model", bound=BaseModel)
FIELD = "files"
BODY = "body"
"""What a picture is called that came without a name."""
_RAW = re.compile(r"image/[\w.+-]+|application/octet-stream")
_LONGEST_NAME = 255
_JSON = "application/json"
_TAKEN = f"multipart/form-data with pictures as '{FIELD}', image/*, or application/octet-stream"


async def engine_of(request: Request) -> Engine:
    """The service's engine."""
    engine: Engine = request.app.state.engine
    return engine


EngineOf = Annotated[Engine, Depends(engine_of)]


async def known_options(request: HTTPConnection) -> None:
    """Raises UnknownName for an option in the query that the route does not have, and for twins.

    A misspelt option that is passed over is an answer to another question.
    """
    route = request.scope.get("route")
    if isinstance(route, APIRoute) and request.scope["query_string"]:
        _check_names(request, list(_names(route.dependant)))


def _check_names(request: HTTPConnection, known: list[str]) -> None:
    for name in request.query_params:
        if name not in known:
            raise UnknownName("option", name, known)
        if len(request.query_params.getlist(name)) > 1:
            raise ConfigError(f"{name} is given twice")


def _names(of: Dependant) -> Iterator[str]:
    """What a route, or one of its dependencies, takes in its query."""
    for field in of.query_params:
        kind = field.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from kind.model_fields
        else:
            yield field.alias
    for inner in of.dependencies:
        yield from _names(inner)


def options_of(request: HTTPConnection, kind: type[Model], but: Collection[str] = ()) -> Model:
    """The options in an address, as ``kind`` has them; raises UnknownName, ConfigError, Refused.

    but : names that it has and that cannot be given.
    """
    _check_names(request, [name for name in kind.model_fields if name not in but])
    try:
        return kind.model_validate(dict(request.query_params))
    except ValidationError as err:
        raise of_invalid([{**e, "loc": ("query", *e["loc"])} for e in err.errors()]) from None


class Direct(APIRoute):
    """A route called with a request and its options, past what FastAPI does to find them.

    That is made for any signature, and every picture would pay for it (ADR 28); the document is
    made from the signature all the same.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        kind: type[BaseModel] = get_type_hints(self.endpoint)["options"]

        async def handle(request: Request) -> Response:
            answer: Response = await self.endpoint(request, options_of(request, kind))
            return answer

        return handle


async def json_of(request: Request, kind: type[Model]) -> Model:
    """What a body of JSON says, as ``kind`` has it; raises Refused.

    What is said twice is refused: a reader of JSON takes the last of the two, and says nothing.
    """
    if (came := _media(request)) != _JSON:
        raise _other_media(came, _JSON)
    try:
        told = json.loads(await request.body(), object_pairs_hook=_once)
    except RecursionError:
        raise _no_json("nested too deeply") from None
    except ValueError as err:
        raise _no_json(str(err)) from None
    try:
        return kind.model_validate(told)
    except ValidationError as err:
        raise of_invalid([{**e, "loc": ("body", *e["loc"])} for e in err.errors()]) from None


def _no_json(why: str) -> Refused:
    return Refused(HTTPStatus.UNPROCESSABLE_ENTITY, f"the body cannot be read as JSON: {why}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name, value in pairs:
        if name in told:
            raise ConfigError(f"{name} is given twice")
        told[name] = value
    return told


async def left(request: Request) -> None:
    """Come back when the client has gone. For after its whole body was read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def pictures(request: Request, take: Callable[[int], None]) -> tuple[list[Upload], bool]:
    """The pictures of a request's body, and whether it is one picture and nothing else.

    take : is told of each piece's bytes before they are kept, see ``Engine.room``. Raises Refused.
    """
    kind = _media(request)
    if kind == "multipart/form-data":
        return await _parts(request, take), False
    if _RAW.fullmatch(kind):
        return [Upload(BODY, b"".join([piece async for piece in _stream(request, take)]))], True
    raise _other_media(kind, _TAKEN)


def _media(request: Request) -> str:
    """The kind of a body; "" where the request does not say."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _other_media(came: str, taken: str) -> Refused:
    why = f"this takes {taken}; got '{came}'" if came else f"say the Content-Type: {taken}"
    return Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, why)


async def _stream(request: Request, take: Callable[[int], None]) -> AsyncGenerator[bytes, None]:
    async for piece in request.stream():
        take(len(piece))
        yield piece


class _InMemory(MultiPartParser):
    """Keeps every file in memory: nothing of a picture is ever on the disk.

    A body that is cut short is an error here; by itself the parser passes over what was cut.
    """

    def __init__(
        self, request: Request, take: Callable[[int], None], settings: ServiceSettings
    ) -> None:
        stream = self._checked(_stream(request, take))
        super().__init__(request.headers, stream, max_files=settings.most_pictures, max_fields=0)
        self.spool_max_size = settings.most_request_bytes
        self._whole = False

    def on_end(self) -> None:
        self._whole = True

    async def _checked(self, stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async for piece in stream:
            yield piece
        if not self._whole:
            raise MultiPartException("it is cut short")


async def _parts(request: Request, take: Callable[[int], None]) -> list[Upload]:
    settings: ServiceSettings = request.app.state.settings
    try:
        form = await _InMemory(request, take, settings).parse()
    except MultiPartException as err:
        why = _of_multipart(err, settings.most_pictures)
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, why) from err
    try:
        uploads = [await _upload(name, part) for name, part in form.multi_items()]
    finally:
        await form.close()
    if not uploads:
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, f"the multipart body has no '{FIELD}'")
    return uploads


async def _upload(name: str, part: UploadFile | str) -> Upload:
    if name != FIELD:
        raise UnknownName("field", name, [FIELD])
    assert isinstance(part, UploadFile), "fields without a file are none"
    return Upload(base_name(part.filename or BODY), await part.read())


def _of_multipart(err: MultiPartException, most: int) -> str:
    if "Too many files" in err.message:
        return f"a request has up to {most} pictures; send the others in another"
    if "Too many fields" in err.message:
        return f"each part is a picture with a file name, under the name '{FIELD}'"
    return f"the multipart body cannot be read: {err.message}"


def base_name(told: str) -> str:
    r"""A client's name of a file, without its folders.

    >>> base_name("..\\..\\me/photo.jpg"), base_name("/")
    ('photo.jpg', 'body')
    """
    return re.split(r"[/\\]", told)[-1][-_LONGEST_NAME:] or BODY
