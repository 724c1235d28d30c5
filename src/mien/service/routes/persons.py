"""People with a recogniser of their own: what ``mien person`` does, of pictures that are sent."""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from ...analysis.pipeline import Settings
from ...errors import ConfigError, DataError, ImageError
from ...names import is_plain
from ...person import people, train
from ...person.people import Person
from ...person.samples import Taker, from_pictures
from ..document import json_body
from ..engine import Engine, Upload
from ..intake import EngineOf, json_of, left, pictures
from ..problems import Refused, told
from .pictures import CROPS, ONE, SEVERAL

log = logging.getLogger(__name__)

router = APIRouter(tags=["persons"])

Name = Annotated[str, InPath(description="As they were recorded; URL-encoded.", examples=["Ann"])]
Kind = Annotated[
    Literal["head", "mouth", "both"],
    Query(description="head: a new last layer. mouth, both: need the extra train on the server."),
]


class Consent(BaseModel):
    """Who agreed to what, and when (ISO 8601, UTC)."""

    text: str
    date: str


class Known(BaseModel):
    """What is kept of a person."""

    name: str
    samples: dict[str, int] = Field(description="How many of each label.")
    recogniser: list[str] = Field(description="What was trained: head, mouth, both, or nothing.")
    consents: list[Consent]


class People(BaseModel):
    """Everybody of whom anything is kept."""

    persons: list[Known]


class NewPerson(BaseModel):
    """A person, and their consent: without one nothing of them is kept."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="Any name without /, \\ and :.", examples=["Ann"], max_length=100)
    consent: str = Field(
        description="Who consents, in words; it is kept with the date.",
        examples=["Ann, for herself"],
        max_length=1000,
    )


class SampleOptions(BaseModel):
    """What the pictures show, and what they are."""

    label: str = Field(
        description="The expression, or a word of the person's own.", examples=["joy"]
    )
    crops: bool = Field(False, description=CROPS)
    shown: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="What they looked at while all these pictures were taken: one stimulus, which "
        "a test holds out as a whole. Without it each picture is one.",
        examples=["a cat, the second time"],
    )


class Taken(BaseModel):
    """What came of pictures."""

    taken: int
    left_out: dict[str, int] = Field(description="How many gave no sample, by reason.")
    unreadable: dict[str, str] = Field(description="By name, why it cannot be read.")
    person: Known


class Trained(BaseModel):
    """A recogniser that was made: the option `person` reads with it."""

    labels: dict[str, int]
    stimuli: int
    general: bool = Field(description="The samples say nothing plain against the general model.")
    seconds: float
    bytes: int


class Zip(Response):
    """Files in one."""

    media_type = "application/zip"


def _known(person: Person) -> Known:
    return Known(
        name=person.name,
        samples=dict(person.counts()),
        recogniser=train.kinds(person),
        consents=[Consent(text=c.text, date=c.date) for c in person.consents],
    )


def _get(name: str, get: Callable[[str], Person] = people.get) -> Person:
    """The person of that name; Refused where there is none."""
    try:
        return get(name)
    except ConfigError as err:
        raise Refused(HTTPStatus.NOT_FOUND, told(err)) from err


@router.get("/v1/persons", summary="List the people")
def persons() -> People:
    """Who is known, with how many samples, which recogniser, and whose consent."""
    found, damaged = list[Known](), list[DataError]()
    for person in people.everyone(damaged):
        try:
            found.append(_known(person))
        except DataError as err:
            damaged.append(err)
    if damaged:  # no names in a log
        log.warning("%d people cannot be read; mien person list tells why", len(damaged))
    return People(persons=found)


async def new_person(request: Request) -> NewPerson:
    """The person that a body tells of."""
    return await json_of(request, NewPerson)


@router.post(
    "/v1/persons",
    summary="Begin with a person",
    status_code=HTTPStatus.CREATED,
    openapi_extra={"requestBody": json_body(NewPerson)},
)
def begin(new: Annotated[NewPerson, Depends(new_person)]) -> Known:
    """Note a consent. Of somebody known it is one more, with today's date."""
    if new.name.strip() and not is_plain(new.name.strip()):
        raise ConfigError(
            "a name that goes into an address has no /, \\ or : and is not . or .., got "
            f"{new.name!r}"
        )
    return _known(people.get_or_make(new.name, new.consent))


@router.get("/v1/persons/{name}", summary="Show what is kept of a person")
def one(name: Name) -> Known:
    """Samples, recogniser and consents."""
    return _known(_get(name))


@router.post(
    "/v1/persons/{name}/samples",
    summary="Add pictures of one expression",
    response_model=Taken,
    openapi_extra={"requestBody": {"required": True, "content": SEVERAL | ONE}},
)
async def samples(
    request: Request, name: Name, options: Annotated[SampleOptions, Query()], engine: EngineOf
) -> Taken:
    """A face is taken where it is well seen and it is clear whose it is; a picture once."""
    with engine.room() as take:
        uploads, _ = await pictures(request, take)
        works = [partial(_take, engine, name, options, uploads)]
        (taken,) = await engine.run(works, lambda: left(request))
    return taken


def _take(engine: Engine, name: str, options: SampleOptions, uploads: list[Upload]) -> Taken:
    analyzer = engine.analyzer(Settings(crops=options.crops, threads=1))
    people.word_of(options.label)  # before a picture is looked at
    with people.recorded(_get(name).name, None) as person:
        taker, fit = Taker(person, analyzer), []
        for upload in uploads:
            try:
                engine.check(upload)
                fit.append((upload.name, upload.content))
            except ImageError as err:
                taker.taken.cannot_read(upload.name, str(err))
        found = from_pictures(taker, options.label, fit, options.shown)
    return Taken(
        taken=len(found.samples),
        left_out=dict(Counter(found.left_out)),
        unreadable=found.unreadable,
        person=_known(person),
    )


@router.post("/v1/persons/{name}/train", summary="Make a person's recogniser")
async def teach(request: Request, name: Name, engine: EngineOf, kind: Kind = "head") -> Trained:
    """From all samples: a last layer in seconds, what reads the mouth in minutes on few cores."""
    works = [lambda: train.train(_get(name), kind)]
    (made,) = await engine.run(works, lambda: left(request), limited=False)
    return Trained(**{field: made[field] for field in Trained.model_fields})


@router.post("/v1/persons/{name}/test", summary="Tell how good a person's recogniser is")
async def compare(
    request: Request, name: Name, engine: EngineOf, kind: Kind = "head"
) -> dict[str, Any]:
    """On stimuli it was not trained on, before and after: what `mien person test --out` writes."""
    works = [lambda: train.tested(_get(name), kind)]
    (result,) = await engine.run(works, lambda: left(request), limited=False)
    return result


@router.get("/v1/persons/{name}/test", summary="Show what the last test told")
def last_test(name: Name) -> dict[str, Any]:
    """Of the recogniser as it is: one that was made anew since has to be tested anew."""
    person = _get(name)
    found = train.last_test(person)
    if found is None:
        raise Refused(
            HTTPStatus.NOT_FOUND,
            f"{person.name}'s recogniser was not tested since it was made; POST here to test it",
        )
    return found


@router.get(
    "/v1/persons/{name}/export",
    summary="Hand out all that is kept of a person",
    response_class=Zip,
)
def export(name: Name) -> Response:
    """One ZIP file."""
    person = _get(name)
    with tempfile.TemporaryDirectory() as folder:
        return Zip(people.export(person, Path(folder) / "person.zip").read_bytes())


@router.delete(
    "/v1/persons/{name}",
    summary="Delete all that is kept of a person",
    status_code=HTTPStatus.NO_CONTENT,
)
def delete(name: Name) -> None:
    """Pictures, recogniser, consents; what was exported before is whoever's who has it."""
    people.delete(_get(name, people.get_to_delete))
