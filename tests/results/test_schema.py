"""A record of every kind is what the model of records says."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

import mien
from mien.face import Face, Frame, ImageArray
from mien.results import records
from mien.results.schema import Record


def check(record: dict[str, Any]) -> Record:
    """As a reader gets it: through JSON, and nothing left over."""
    read = Record.model_validate_json(json.dumps(record), strict=True)
    assert read.model_dump(by_alias=True, exclude_unset=True) == record
    return read


def test_of_a_face_with_everything(portrait: Frame) -> None:
    analyzer = mien.Analyzer(mien.Settings(coverage=0.9))
    read = check(mien.record_of(portrait, analyzer.analyze_frame(portrait)))
    assert read.faces[0].prediction_set == ["happiness"]


def test_of_a_frame_of_a_recording(portrait: Frame) -> None:
    frame = replace(portrait, index=7, time_s=0.28)
    faces = [replace(face, track=1) for face in mien.Analyzer().analyze_frame(frame)]
    assert check(mien.record_of(frame, faces)).faces[0].track == 1


def test_of_a_crop_and_of_a_model_without_intensities(astronaut: ImageArray) -> None:
    crop = Frame(np.ascontiguousarray(astronaut[60:180, 170:290]), source="crop.png")
    faces = mien.Analyzer(mien.Settings(crops=True)).analyze_frame(crop)
    bare: list[Face] = [replace(face, intensity=None) for face in faces]
    assert check(mien.record_of(crop, bare)).faces[0].intensity is None


def test_without_a_face_and_of_an_error(portrait: Frame) -> None:
    assert check(mien.record_of(portrait, [])).status == "no_face"
    assert check(records.of_error("a.jpg", "a.jpg is empty (0 bytes)")).status == "error"


def test_of_low_quality(astronaut: ImageArray) -> None:
    dark = Frame(astronaut // 40, source="dark.png")
    faces = mien.Analyzer().analyze_frame(dark)
    poor: list[Face] = [replace(face, picture_quality=0.1) for face in faces]
    if poor:
        assert check(mien.record_of(dark, poor)).status == "low_quality"


def test_what_is_no_record_is_refused() -> None:
    good = records.of_error("a.jpg", "empty")
    for wrong in ({"schema": "mien/1"}, {"status": "fine"}, {"feeling": "good"}, {"faces": None}):
        with pytest.raises(ValidationError):
            Record.model_validate(good | wrong)
