"""The record as a model that checks it: what ``records`` makes, for OpenAPI and its readers.

Beside ``records``, which makes them without it: pydantic comes with the extra ``serve``.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Number = float | None
"""None where there was nothing to measure."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Quality(_Strict):
    """What can be said of a face's picture before asking what it shows."""

    size_px: Number = Field(description="Side of what the model saw, in pixels of the picture.")
    sharpness: Number = Field(description="Standard deviation of the Laplacian at 48 x 48.")
    brightness: Number = Field(description="Mean gray level, 0 to 1.")
    contrast: Number = Field(description="Standard deviation of the gray levels, 0 to 1.")
    inside: Number = Field(description="Share of what the model saw that is in the picture.")
    yaw_rad: Number = Field(description="To the subject's left, in radians.")
    pitch_rad: Number = Field(description="Upwards, in radians.")
    roll_rad: Number = Field(description="Clockwise, in radians.")
    tilt_rad: Number = Field(description="The roll that is left in what the model saw.")


class Face(_Strict):
    """One face, and what it shows."""

    track: int | None = Field(description="Of a recording: the same number for the same face.")
    box: list[Number] = Field(
        description="x0 y0 x1 y1 in pixels, origin top left.", min_length=4, max_length=4
    )
    score: Number = Field(description="How sure the detector is, 0 to 1.")
    landmarks: list[list[Number]] | None = Field(description="68 x y in pixels, iBUG's order.")
    emotions: dict[str, Number] = Field(description="Probabilities that sum to 1.")
    top: str = Field(description="The likeliest expression.")
    picture_quality: Number = Field(description="How good the picture of this face is, 0 to 1.")
    uncertain: bool = Field(description="Take it for no answer.")
    intensity: dict[str, Number] | None = Field(description="How strongly each shows, 0 to 1.")
    quality: Quality
    prediction_set: list[str] | None = Field(
        description="What the answer is among, with the coverage asked for; likeliest first."
    )


class Record(_Strict):
    """What was found in one picture, or one frame; docs/results.md tells what each means."""

    schema_: Literal["mien/2"] = Field(alias="schema")
    source: str = Field(description="The picture's name, as its owner calls it.")
    frame: int = Field(description="Of a recording, from 0.")
    time_s: float = Field(description="Of a recording, in seconds.")
    status: Literal["ok", "no_face", "low_quality", "error"]
    reason: str | None = Field(default=None, description="Of an error: what is wrong.")
    width: int | None = Field(description="Of the picture, in pixels.")
    height: int | None = Field(description="Of the picture, in pixels.")
    faces: list[Face]
