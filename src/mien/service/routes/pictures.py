"""Pictures: their records, and pictures of where the model looked."""

from __future__ import annotations

import json
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from ...analysis.pipeline import Analyzer, Settings
from ...expression.baserates import asked
from ...results import schema
from ...weights.catalogue import DEFAULT_MODEL
from ..engine import Engine
from ..intake import FIELD, Direct, left, pictures
from ..notice import NOTICE
from ..problems import Refused

router = APIRouter(tags=["pictures"], route_class=Direct)

_BINARY = {"type": "string", "format": "binary"}
_RAW = ("image/jpeg", "image/png", "image/webp", "application/octet-stream")
_PHOTO = {"photo": {"summary": "A photograph", "externalValue": "photo.jpg"}}
ONE: dict[str, Any] = {
    kind: {"schema": _BINARY} | ({"examples": _PHOTO} if kind == "image/jpeg" else {})
    for kind in _RAW
}
SEVERAL: dict[str, Any] = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "required": [FIELD],
            "additionalProperties": False,
            "properties": {FIELD: {"type": "array", "minItems": 1, "items": _BINARY}},
        },
        "examples": _PHOTO,
    }
}


MODEL = "A name of GET /v1/models."
DETECTOR = "What finds the faces: mien, yunet, haar, or auto (yunet if it is there, else mien)."
CROPS = "Each picture is a face already: do not search for one."
ALIGN = "How faces are cut out: box, similarity, xu2019 or mouth. Else as the model was trained."


class Png(Response):
    """A picture."""

    media_type = "image/png"


class Options(BaseModel):
    """How pictures are read, as on the command line."""

    model: str = Field(DEFAULT_MODEL, description=MODEL, examples=["mien-tiny"])
    detector: str = Field("auto", description=DETECTOR, examples=["haar"])
    crops: bool = Field(False, description=CROPS, examples=[True])
    align: str | None = Field(None, description=ALIGN, examples=["box"])
    person: str | None = Field(None, description="Read with this person's recogniser.")
    base_rates: Literal["training", "equal"] | None = Field(
        None, description="How common each expression is taken to be.", examples=["training"]
    )
    strength: float | None = Field(
        None,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="How far to go to those rates: 0 to 1.",
        examples=[0.5],
    )
    coverage: float | None = Field(
        None,
        allow_inf_nan=False,
        description="With each face the smallest set of expressions that holds the raters' answer "
        "with this probability.",
        examples=[0.9],
    )

    @property
    def settings(self) -> Settings:
        """What an analysis is made with; raises ConfigError."""
        rates = asked(self.base_rates, self.strength)
        return Settings(
            self.model,
            self.detector,
            rates,
            self.crops,
            self.align,
            threads=1,  # the engine's threads take the cores
            person=self.person,
            coverage=self.coverage,
        )


class Explain(BaseModel):
    """Which expressions are explained."""

    explain: str | None = Field(
        None,
        description="With each face what speaks for its answer (top), for every expression (all), "
        "or for one by its name.",
        examples=["top", "all", "happiness"],
    )


class Wanted(Options, Explain):
    """The options of an analysis."""


class Map(BaseModel):
    """What speaks for one expression of a face."""

    model_config = ConfigDict(extra="forbid")

    label: str
    probability: float
    hottest: str | None = Field(description="The part of the face with most heat for its area.")
    peak: list[float] | None = Field(description="x y of the hottest place, 0 to 1 of the crop.")
    shares: dict[str, float] | None = Field(description="Of the heat, by part; they sum to 1.")
    areas: dict[str, float] | None = Field(description="Of the crop, by part; they sum to 1.")


class Face(schema.Face):
    """A face of a record, explained where that was asked for."""

    explanation: list[Map] | None = Field(default=None, description="With the option `explain`.")


class Record(schema.Record):
    """A record whose faces may be explained."""

    faces: list[Face]  # type: ignore[assignment]


class Model(BaseModel):
    """What read the faces."""

    model_config = ConfigDict(extra="forbid")

    name: str
    sha256: str
    base_rates: str = Field(examples=["equal (strength 0.75)"])


def told_of(analyzer: Analyzer) -> dict[str, Any]:
    """What is told of whoever read the faces, as ``Model`` has it."""
    info = analyzer.recognizer.info
    return {"name": info.name, "sha256": info.sha256, "base_rates": str(analyzer.base_rates)}


class Analysis(BaseModel):
    """A record for each picture, in the order they came."""

    model_config = ConfigDict(extra="forbid")

    records: list[Record]
    model: Model
    notice: str = Field(examples=[NOTICE])


@router.post(
    "/v1/analyze",
    summary="Read the expressions in pictures",
    response_model=Analysis,
    openapi_extra={"requestBody": {"required": True, "content": SEVERAL | ONE}},
)
async def analyze(request: Request, options: Annotated[Wanted, Query()]) -> Response:
    """One picture as the body, or several as `files` of a multipart form.

    A picture that cannot be read is a record with `status` "error" and its `reason`; it never ends
    the others. Where it is the only one, as the body, it is a problem with that reason.
    """
    engine: Engine = request.app.state.engine
    settings, explain = options.settings, options.explain
    with engine.room() as take:
        uploads, alone = await pictures(request, take)
        works = [partial(engine.record, upload, settings, explain) for upload in uploads]
        records = await engine.run(works, lambda: left(request))
    if alone and records[0]["status"] == "error":
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, records[0]["reason"])
    answer = {"records": records, "model": told_of(engine.analyzer(settings)), "notice": NOTICE}
    return Response(json.dumps(answer, allow_nan=False), media_type="application/json")


class Explained(BaseModel):
    """How a picture is explained, as on the command line."""

    emotion: str = Field(
        "top",
        description="The answered one (top), every one (all), or a name.",
        examples=["all", "sadness"],
    )
    model: str = Field(DEFAULT_MODEL, description=MODEL, examples=["mien-tiny"])
    detector: str = Field("auto", description=DETECTOR, examples=["haar"])
    crops: bool = Field(False, description=CROPS, examples=[True])
    align: str | None = Field(None, description=ALIGN, examples=["box"])

    @property
    def settings(self) -> Settings:
        """What the faces are read with."""
        return Settings(self.model, self.detector, None, self.crops, self.align, threads=1)


@router.post(
    "/v1/explain",
    summary="Show where the model looked",
    response_class=Png,
    responses={200: {"description": "A row for each face, an overlay for each expression."}},
    openapi_extra={"requestBody": {"required": True, "content": ONE}},
)
async def explain(request: Request, options: Annotated[Explained, Query()]) -> Response:
    """One picture as the body; the answer shows its faces, and over them what spoke for an
    expression (Grad-CAM)."""
    engine: Engine = request.app.state.engine
    settings = options.settings
    with engine.room() as take:
        uploads, alone = await pictures(request, take)
        if not alone:
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "this takes one picture, as the body")
        works = [partial(engine.explained, uploads[0], settings, options.emotion)]
        (drawn,) = await engine.run(works, lambda: left(request))
    return Png(drawn)
