"""Records in other tools' formats, read back by those tools' own rules."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pytest

from mien.analysis.pipeline import Analyzer
from mien.errors import ConfigError, OutputError
from mien.face import Emotions, Face, Frame, Quality
from mien.labels import label_set
from mien.results import peers, records
from mien.results.records import Output
from mien.testing import FakeDetector, FakeRecognizer

LABELS = label_set("mien8").labels
POINTS = np.stack([np.arange(68) + 100, np.arange(68) * 2 + 50], axis=1).astype(np.float32)


def face(track: int | None = 2) -> Face:
    """Happy at 0.6, contempt at 0.2, the rest neutral; turned to its left, looking up."""
    probs = np.array([0.2, 0.6, 0, 0, 0, 0, 0, 0.2], np.float32)
    quality = Quality(80.0, 20.0, 0.5, 0.2, 1.0, 0.3, 0.1, -0.2, 0.0)
    box = np.array([10.0, 20.0, 110.0, 170.0], np.float32)
    return Face(
        box,
        0.75,
        POINTS,
        None,
        Emotions(label_set("mien8"), probs),
        quality,
        picture_quality=0.9,
        uncertain=False,
        track=track,
    )


def frame(index: int) -> Frame:
    return Frame(np.zeros((200, 200, 3), np.uint8), index, 65 + index / 25, "film.mp4")


RECORDS = [
    records.record_of(frame(0), [face()]),
    records.record_of(frame(1), []),
    records.of_error("film.mp4", "damaged", 2, 65.08),
    records.record_of(frame(3), [face(1), face(None)]),
]


def written(form: str, stream: IO[bytes] | None = None) -> bytes:
    stream = stream or io.BytesIO()
    writer = records.writers.build(form, LABELS)
    writer.start(stream)
    for record in RECORDS:
        writer.write(record)
    writer.close()
    stream.seek(0)
    return stream.read()


def table(form: str) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(written(form)))


# -- py-feat ---------------------------------------------------------------------------------------

PYFEAT_HEADER = (  # of feat/tests/data/Feat_Test.csv in py-feat's repository
    "frame FaceRectX FaceRectY FaceRectWidth FaceRectHeight FaceScore "
    + " ".join(f"x_{i}" for i in range(68))
    + " "
    + " ".join(f"y_{i}" for i in range(68))
    + " AU01 AU02 AU04 AU05 AU06 AU07 AU09 AU10 AU11 AU12 AU14 AU15 AU17 AU20 AU23 AU24 AU25 AU26"
    + " AU28 AU43 Pitch Roll Yaw anger disgust fear happiness sadness surprise neutral input"
).split()


def as_read_feat(data: pd.DataFrame) -> dict[str, list[str]]:
    """Which columns py-feat's ``read_feat`` takes for what: by name and pattern."""
    columns = list(data.columns)
    return {
        "au": [c for c in columns if c.startswith("AU")],
        "emotion": [c for c in columns if c in set(label_set("pyfeat1").native)],
        "facebox": [c for c in columns if "Face" in c],
        "landmark": [c for c in columns if re.fullmatch(r"[xy]_\d+", c)],
        "facepose": [c for c in columns if c in ("Pitch", "Roll", "Yaw")],
    }


def test_pyfeat_s_columns() -> None:
    data = table("pyfeat")
    assert list(data.columns)[: len(PYFEAT_HEADER)] == PYFEAT_HEADER
    assert list(data.columns)[len(PYFEAT_HEADER) :] == ["approx_time", "Identity"]
    found = as_read_feat(data)
    assert [len(found[k]) for k in ("au", "emotion", "facebox", "landmark", "facepose")] == [
        *(20, 7, 5, 136, 3)
    ]


def test_pyfeat_s_values() -> None:
    data = table("pyfeat")
    assert list(data["frame"]) == [0, 1, 2, 3, 3]
    first = data.iloc[0]
    box = [first[f"FaceRect{k}"] for k in ("X", "Y", "Width", "Height")]
    assert box == [10, 20, 100, 150]
    assert (first["x_5"], first["y_5"]) == (105, 60)
    assert first["happiness"] == pytest.approx(0.75)  # of what is left without contempt
    assert data.loc[0, list(label_set("pyfeat1").native)].sum() == pytest.approx(1)
    assert list(data["Identity"].fillna("")) == ["Person_1", "", "", "Person_0", "Person_1"]
    assert set(data["approx_time"]) == {"01:05"}
    without = data[data["FaceScore"].isna()]
    assert list(without["frame"]) == [1, 2]
    assert without[as_read_feat(data)["landmark"]].isna().all(axis=None)
    assert data[["AU12", "Pitch"]].isna().all(axis=None)


# -- OpenFace --------------------------------------------------------------------------------------


def test_openface_s_columns() -> None:
    """As many as ``FeatureExtraction`` writes, in its order; the model's labels behind them."""
    columns = list(table("openface").columns)
    assert len(columns) == 714 + len(LABELS)
    assert columns[:5] == ["frame", "face_id", "timestamp", "confidence", "success"]
    assert columns[13] == "eye_lmk_x_0"
    assert columns[293:299] == ["pose_Tx", "pose_Ty", "pose_Tz", "pose_Rx", "pose_Ry", "pose_Rz"]
    assert columns[299:301] == ["x_0", "x_1"]
    assert columns[711:714] == ["AU26_c", "AU28_c", "AU45_c"]
    assert columns[714:] == list(LABELS)


def test_openface_s_values() -> None:
    data = table("openface")
    assert list(data["frame"]) == [1, 2, 3, 4, 4]
    assert list(data["success"]) == [1, 0, 0, 1, 1]
    assert list(data["confidence"]) == [0.9, 0, 0, 0.9, 0.9]
    assert list(data["timestamp"]) == pytest.approx([65, 65.04, 65.08, 65.12, 65.12])
    assert list(data["face_id"]) == [1, 0, 0, 0, 1]
    first = data.iloc[0]
    assert [first[f"pose_R{a}"] for a in "xyz"] == pytest.approx([-0.1, -0.3, -0.2])
    assert (first["x_67"], first["y_67"]) == (167, 184)
    assert first["happiness"] == pytest.approx(0.6)
    assert data[["AU12_r", "gaze_0_x", "X_3"]].isna().all(axis=None)


# -- deepface --------------------------------------------------------------------------------------


def test_deepface_s_lists() -> None:
    lines = [json.loads(line) for line in written("deepface").splitlines()]
    assert [len(faces) for faces in lines] == [1, 0, 0, 2]
    found = lines[0][0]
    assert list(found["emotion"]) == [
        *("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    ]
    assert sum(found["emotion"].values()) == pytest.approx(100)
    assert found["emotion"]["happy"] == pytest.approx(75)
    assert found["dominant_emotion"] == "happy"
    assert found["region"] == {
        **{"x": 10, "y": 20, "w": 100, "h": 150},
        "left_eye": [144, 139],
        "right_eye": [138, 127],
    }
    assert found["face_confidence"] == 0.75


# -- BIDS ------------------------------------------------------------------------------------------


def test_bids_continuous_recording(tmp_path: Path) -> None:
    path = tmp_path / "sub-01_task-talk_recording-face_physio.tsv.gz"
    with path.open("wb+") as stream:
        written("bids", stream)
    said = json.loads((tmp_path / "sub-01_task-talk_recording-face_physio.json").read_text())
    assert said["StartTime"] == 65
    assert said["SamplingFrequency"] == pytest.approx(25)
    with gzip.open(path, "rt") as text:
        data = pd.read_csv(text, sep="\t", names=said["Columns"], na_values="n/a")
    assert list(data["timestamp"]) == pytest.approx([65, 65.04, 65.08, 65.12])
    assert list(data["n_faces"]) == [1, 0, 0, 2]
    assert list(data["happiness"].dropna()) == pytest.approx([0.6, 0.6])
    assert set(said) >= {"happiness", "timestamp", "face", "picture_quality"}


def test_bids_holds_one_recording_under_its_name(tmp_path: Path) -> None:
    analyzer = Analyzer(recognizer=FakeRecognizer(), detector=FakeDetector())
    for path in (None, tmp_path / "a.csv"):
        with pytest.raises(ConfigError, match=r"recording-face_physio\.tsv\.gz"):
            Output(path, "bids", analyzer, io.BytesIO())
    assert not list(tmp_path.iterdir())
    writer = peers.Bids(LABELS)
    writer.start(io.BytesIO())
    writer.write(RECORDS[0])
    with pytest.raises(OutputError, match=r"holds one recording, film\.mp4; give other\.mp4"):
        writer.write(RECORDS[0] | {"source": "other.mp4"})


# -- all of them -----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["pyfeat", "openface", "deepface"])
def test_going_on_writes_the_same(form: str) -> None:
    stream: Any = io.BytesIO()
    first = records.writers.build(form, LABELS)
    first.start(stream)
    first.write(RECORDS[0])
    second = records.writers.build(form, LABELS)
    second.go_on(stream)
    for record in RECORDS[1:]:
        second.write(record)
    assert stream.getvalue() == written(form)


@pytest.mark.parametrize("form", ["pyfeat", "openface"])
def test_every_row_has_every_column(form: str) -> None:
    rows = list(csv.reader(io.StringIO(written(form).decode())))
    assert {len(row) for row in rows} == {len(rows[0])}
    assert len(rows) == 6


def test_the_command_line_knows_them(tmp_path: Path) -> None:
    analyzer = Analyzer(recognizer=FakeRecognizer(), detector=FakeDetector())
    with pytest.raises(ConfigError, match="did you mean pyfeat"):
        Output(tmp_path / "a.csv", "pyfeet", analyzer, io.BytesIO())
    with Output(tmp_path / "a.csv", "openface", analyzer, io.BytesIO()) as out:
        out.write(RECORDS[1])
    assert (tmp_path / "a.csv").read_text().startswith("frame,face_id,")


def test_a_word_that_openface_calls_a_column_is_refused() -> None:
    with pytest.raises(ConfigError, match="a column of its own success"):
        records.writers.build("openface", ("happiness", "success"))
