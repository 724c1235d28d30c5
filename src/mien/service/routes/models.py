"""Models: which there are, and what each says of itself."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from ...errors import ModelError, UnknownName
from ...evaluation import cards
from ...weights import catalogue
from ..engine import checked_model
from ..problems import Refused, told

router = APIRouter(tags=["models"])


class Model(BaseModel):
    """A model that mien knows, or one of the operator's own."""

    name: str
    kind: str = Field(description="recognizer: the option `model` takes it. Else what it does.")
    about: str
    licence: str | None
    trained_on: str | None
    commercial: str = Field(description="Whether its terms allow it: yes, no or unknown.")
    sha256: str | None = Field(description="None of the operator's own.")
    here: bool = Field(description="Whether its file is on this server.")


class Models(BaseModel):
    """Every model, the catalogue's first."""

    models: list[Model]


class Card(BaseModel):
    """What a model says of itself."""

    name: str
    card: str = Field(description="Markdown: what it learnt from, how good it is, and where not.")


@router.get("/v1/models", summary="List the models")
def models() -> Models:
    """What `mien models list` shows."""
    known = [
        Model(
            name=row.name,
            kind=row.kind,
            about=row.about,
            licence=row.licence,
            trained_on=row.trained_on,
            commercial=row.commercial,
            sha256=row.sha256,
            here=catalogue.locate(row) is not None,
        )
        for row in catalogue.CATALOGUE.values()
    ]
    own = [
        Model(
            name=name,
            kind="recognizer",
            about="the operator's own",
            licence=None,
            trained_on=None,
            commercial="unknown",
            sha256=None,
            here=True,
        )
        for name in catalogue.own()
    ]
    return Models(models=[*known, *own])


@router.get("/v1/models/{name}", summary="Show a model's card")
def card(name: Annotated[str, Path(examples=["mien", "landmarks68"])]) -> Card:
    """What `mien models card` shows."""
    try:
        return Card(name=name, card=cards.of(checked_model(name)))
    except (UnknownName, ModelError) as err:
        raise Refused(HTTPStatus.NOT_FOUND, told(err)) from err
