"""The mien table: what goes in comes out, and what is none of ours is refused."""

from __future__ import annotations

import errno
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mien.data import table as tables
from mien.data.table import Row, Table, file_sha256, pixel_hash
from mien.errors import DataError, ImageError, OutputError
from mien.labels import label_set, subset
from mien.media.preprocess import Preprocess

THREE = ("neutral", "happiness", "anger")


def png(level: int, side: int = 8) -> bytes:
    return cv2.imencode(".png", np.full((side, side), level, np.uint8))[1].tobytes()


def row(i: int, split: str = "Training", label: str = "anger", **more: Any) -> Row:
    return Row(f"made/{i:05d}", split, label, png(i), 8, 8, **more)


def voted(*votes: tuple[float, ...] | None, labels: tuple[str, ...] = THREE) -> Table:
    return Table("made", [row(i, votes=v) for i, v in enumerate(votes)], labels)


MADE = Table(
    "made",
    [
        row(0, votes=(1.0, 0.0, 9.0), subject="Ann", source="a/0.png"),
        row(1, "PublicTest", "unknown"),
        row(2, "PrivateTest", "happiness", votes=(0.0, 10.0, 0.0)),
        row(3, "PublicTest", "not_a_face", subject="Øyvind 笑"),
    ],
    THREE,
    {"terms": "none", "left_out": 3, "unreadable": {"x.jpg": "empty"}},
)


# --- Files ----------------------------------------------------------------------------------


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "made.parquet"
    tables.write(MADE, path)
    back = tables.read(path)
    assert back == Table(MADE.name, list(MADE.rows), MADE.vote_labels, MADE.notes)
    assert [p.name for p in path.parent.iterdir()] == ["made.parquet"]  # no .part left


PLACED = tuple(float(np.float32(0.1 * i)) for i in range(136))


def test_landmarks_round_trip(tmp_path: Path) -> None:
    """With and without them in one table, to the last bit of a float32."""
    made = Table("made", [row(0, landmarks=PLACED), row(1), row(2, landmarks=PLACED[::-1])])
    tables.write(made, tmp_path / "made.parquet")
    back = tables.read(tmp_path / "made.parquet")
    assert [r.landmarks for r in back.rows] == [PLACED, None, PLACED[::-1]]
    assert back == made


def test_a_table_from_before_there_were_landmarks(tmp_path: Path) -> None:
    path = tmp_path / "made.parquet"
    tables.write(MADE, path)
    pq.write_table(pq.read_table(path).drop_columns(["landmarks"]), path)
    assert tables.read(path) == MADE
    assert {r.landmarks for r in tables.read(path).rows} == {None}


def test_round_trip_of_nothing(tmp_path: Path) -> None:
    tables.write(Table("none", []), tmp_path / "none.parquet")
    assert tables.read(tmp_path / "none.parquet") == Table("none", [])


def test_round_trip_beyond_one_row_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_ROWS_PER_GROUP", 3)
    many = Table("many", [row(i) for i in range(10)])
    tables.write(many, tmp_path / "many.parquet")
    assert pq.ParquetFile(tmp_path / "many.parquet").num_row_groups == 4
    assert list(tables.read(tmp_path / "many.parquet").rows) == list(many.rows)


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "made.parquet"
    tables.write(MADE, path)
    before = path.read_bytes()
    broken = replace(MADE, rows=[*MADE.rows, replace(row(9), width="wide")])  # type: ignore[arg-type]
    with pytest.raises(pa.ArrowException):
        tables.write(broken, path)
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write .*file/made\.parquet"):
        tables.write(MADE, tmp_path / "file" / "made.parquet")


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), SystemExit(143)]
)
def test_a_table_that_is_cut_off_leaves_nothing(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No half of it on a disk that is full, and the old one as it was."""
    path = tmp_path / "made.parquet"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(pq.ParquetWriter, "write_table", fail)
    with pytest.raises((OutputError, SystemExit)) as caught:
        tables.write(MADE, path)
    if isinstance(error, OSError):
        assert str(caught.value) == f"cannot write {path}: No space left on device"
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


def test_missing_table(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"no such table: .*gone.*; make one with: mien data import"
    ):
        tables.read(tmp_path / "gone.parquet")
    with pytest.raises(DataError, match="is a folder, and a table is wanted"):
        tables.read(tmp_path)


@pytest.mark.parametrize("kept", [0, 3, 50, 0.5, 0.9, -1, -20])
def test_a_cut_table(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "made.parquet"
    tables.write(MADE, path)
    content = path.read_bytes()
    length = kept if isinstance(kept, int) else int(len(content) * kept)
    path.write_bytes(content[:length])
    with pytest.raises(DataError, match=r"made\.parquet is not a Parquet file: "):
        tables.read(path)


def test_a_table_with_damaged_pages(tmp_path: Path) -> None:
    path = tmp_path / "made.parquet"
    noise = np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8)
    content = cv2.imencode(".png", noise)[1].tobytes()
    tables.write(Table("made", [replace(row(i), image=content) for i in range(50)]), path)
    damaged = bytearray(path.read_bytes())
    damaged[100 : len(damaged) // 2] = bytes(len(damaged) // 2 - 100)
    path.write_bytes(damaged)
    with pytest.raises(DataError, match="is not a Parquet file: "):
        tables.read(path)


def test_somebody_else_s_parquet(tmp_path: Path) -> None:
    path = tmp_path / "theirs.parquet"
    pq.write_table(pa.table({"id": ["a"], "label": ["sad"]}), path)
    with pytest.raises(DataError, match=r"theirs\.parquet is not a mien table; make one with"):
        tables.read(path)


@pytest.mark.parametrize("meta", [b"not json", b"[1]", b'{"schema": "mien-table/99"}'])
def test_a_table_of_another_schema(tmp_path: Path, meta: bytes) -> None:
    path = tmp_path / "made.parquet"
    tables.write(MADE, path)
    pq.write_table(pq.read_table(path).replace_schema_metadata({"mien": meta}), path)
    with pytest.raises(DataError, match="is not a mien table"):
        tables.read(path)


def test_a_table_somebody_changed(tmp_path: Path) -> None:
    path = tmp_path / "made.parquet"
    tables.write(MADE, path)
    arrow = pq.read_table(path)
    pq.write_table(arrow.append_column("mine", pa.array(range(4))), path)
    read = tables.read(path)  # a column more is kept, and does no harm
    assert [replace(row, more={}) for row in read.rows] == list(MADE.rows)
    assert read.column("mine") == ["0", "1", "2", "3"]
    pq.write_table(arrow.drop_columns(["subject", "image"]), path)
    with pytest.raises(DataError, match=r"lacks the columns \['image', 'subject'\]"):
        tables.read(path)


def by_hand(path: Path, **columns: Any) -> Path:
    """The made table with some columns as somebody's own program wrote them."""
    tables.write(MADE, path)
    arrow = pq.read_table(path)
    for name, values in columns.items():
        arrow = arrow.set_column(arrow.schema.get_field_index(name), name, values)
    pq.write_table(arrow, path)
    return path


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"id": pa.array([1, 2, 3, 4])}, "'id' holds int64; text is what it has to hold"),
        ({"label": pa.array([0, 1, 2, 3])}, "'label' holds int64; text is"),
        ({"label": pa.array(["anger", None, "sad", "sad"])}, "'label' has 1 rows without a value"),
        ({"label": pa.nulls(4)}, "'label' has 4 rows without a value"),
        ({"split": pa.array([None, "a", None, "a"])}, "'split' has 2 rows without a value"),
        ({"split": pa.array([True, True, False, True])}, "'split' holds bool"),
        ({"subject": pa.array([1.0, 2.0, 3.0, 4.0])}, "'subject' holds double; text is"),
        ({"image": pa.array(["a", "b", "c", "d"])}, "'image' holds string; bytes is"),
        ({"width": pa.array(["8", "8", "8", "8"])}, "'width' holds string; whole numbers is"),
        ({"width": pa.array([8.0, 8.0, 8.0, 8.0])}, "'width' holds double; whole numbers is"),
        ({"votes": pa.array([1.0, 2.0, 3.0, 4.0])}, "'votes' holds double; lists of numbers is"),
        ({"votes": pa.array([["a"]] * 4)}, "lists of numbers is"),
        ({"votes": pa.array([[1.0, 2.0]] * 4)}, r"row 'made/00000' has 2 votes, expected 3"),
        ({"votes": pa.array([[1.0, 2.0, None]] * 4)}, "has votes that are no numbers"),
        ({"votes": pa.array([[1.0, 2.0, float("nan")]] * 4)}, "has votes that are no numbers"),
        ({"landmarks": pa.array([[1.0] * 10] * 4)}, "has 10 landmarks, expected 136"),
        ({"intensity": pa.array([[1.0]] * 4)}, "has 1 intensity, expected 0"),
    ],
)
def test_columns_of_a_table_made_by_hand(
    tmp_path: Path, columns: dict[str, Any], reason: str
) -> None:
    path = by_hand(tmp_path / "hand.parquet", **columns)
    with pytest.raises(DataError, match=reason) as caught:
        tables.read(path)
    assert "hand.parquet" in str(caught.value)


def test_what_pandas_makes_of_a_table_is_the_same_table(tmp_path: Path) -> None:
    """Words that repeat are numbered, texts are large, a column without values has no type."""
    labels = pa.array([r.label for r in MADE.rows])
    path = by_hand(
        tmp_path / "hand.parquet",
        label=labels.dictionary_encode(),
        split=pa.array([r.split for r in MADE.rows], pa.large_string()),
        landmarks=pa.nulls(4),
        width=pa.array([8] * 4, pa.int64()),
    )
    assert list(tables.read(path).rows) == list(MADE.rows)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"name": 3}, "its name is a text, got 3"),
        ({"vote_labels": 3}, "vote_labels is a list, got 3"),
        ({"vote_labels": [1, 2, 3]}, "vote_labels is a text, got 1"),
        ({"notes": []}, r"notes is a table of values by name, got \[\]"),
        ({"intensity_labels": None}, "intensity_labels is a list, got None"),
        ({"notes": ...}, "no 'notes' in its metadata"),
    ],
)
def test_a_table_s_metadata_of_odd_types(
    tmp_path: Path, changed: dict[str, Any], reason: str
) -> None:
    path = tmp_path / "made.parquet"
    tables.write(MADE, path)
    arrow = pq.read_table(path)
    meta = json.loads(arrow.schema.metadata[b"mien"]) | changed
    said = {key: value for key, value in meta.items() if value is not ...}
    pq.write_table(arrow.replace_schema_metadata({"mien": json.dumps(said)}), path)
    with pytest.raises(DataError, match=reason):
        tables.read(path)


def test_file_sha256(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert file_sha256(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()


# --- Rows -----------------------------------------------------------------------------------


def test_splits_in_order_of_appearance() -> None:
    assert MADE.splits == ("Training", "PublicTest", "PrivateTest")
    assert [r.id for r in MADE.of_split("PublicTest").rows] == ["made/00001", "made/00003"]
    both = MADE.of_split("PrivateTest", "Training")
    assert [r.id for r in both.rows] == ["made/00000", "made/00002"]  # the owner's order
    assert both.vote_labels == THREE
    assert both.notes == MADE.notes


def test_an_unknown_split_lists_those_there_are() -> None:
    with pytest.raises(DataError, match=r"made has no split 'test', only \['Training', 'Pub"):
        MADE.of_split("test")


def test_keep_wants_a_mask_of_the_same_length() -> None:
    assert [r.id for r in MADE.keep([True, False, False, True]).rows] == [
        "made/00000",
        "made/00003",
    ]
    with pytest.raises(ValueError, match="zip"):
        MADE.keep([True])


def test_pictures_and_planes() -> None:
    first, *_ = MADE.pictures()
    assert first.shape == (8, 8, 3)
    planes = MADE.planes(Preprocess(8, "gray"))
    assert planes.shape == (4, 1, 8, 8)
    assert planes[:, 0, 0, 0].tolist() == [0, 1, 2, 3]


def test_a_damaged_picture_is_named() -> None:
    broken = Table("made", [replace(row(7), image=b"\xff\xd8\xff")])
    with pytest.raises(ImageError, match="made/00007"):
        list(broken.pictures())


def test_targets_are_minus_one_outside_the_set() -> None:
    assert MADE.targets(label_set("fer2013")).tolist() == [0, -1, 3, -1]
    assert MADE.targets(label_set("ferplus")).tolist() == [4, -1, 1, -1]


# --- Joined ---------------------------------------------------------------------------------


def test_join_keeps_everything_but_the_votes() -> None:
    """Two sets were not asked the same question, so their votes do not add up."""
    other = Table("other", [replace(row(9, "taught", "fear"), landmarks=PLACED, subject="Bo")])
    both = tables.join([other, MADE], "both")
    assert (both.name, both.vote_labels, both.notes) == ("both", (), {"of": ["other", "made"]})
    assert [r.id for r in both.rows] == ["made/00009", *(f"made/0000{i}" for i in range(4))]
    assert both.rows[0] == other.rows[0]
    assert list(both.rows[1:]) == [replace(r, votes=None) for r in MADE.rows]
    assert both.splits == ("taught", "Training", "PublicTest", "PrivateTest")
    assert MADE.rows[0].votes == (1.0, 0.0, 9.0)


def test_join_keeps_intensities_of_the_same_labels() -> None:
    """The wild and the studio together, as Xu et al. train on both."""
    wild = Table(
        "wild",
        [replace(row(5), intensity=(0.25, 0.75)), replace(row(6), intensity=None)],
        intensity_labels=("anger", "fear"),
    )
    posed = Table(
        "posed", [replace(row(7), intensity=(1.0, 0.0))], intensity_labels=("fear", "anger")
    )
    both = tables.join([wild, posed], "both")
    assert both.intensity_labels == ("anger", "fear")
    assert [r.intensity for r in both.rows] == [(0.25, 0.75), None, (0.0, 1.0)]
    other = replace(posed, intensity_labels=("fear", "disgust"))
    apart = tables.join([wild, other], "apart")
    assert apart.intensity_labels == ()
    assert [r.intensity for r in apart.rows] == [None, None, None]


def test_join_keeps_how_faces_were_cut() -> None:
    """They are crops still, and nothing cuts them again; whole pictures do not go among them."""
    cut = replace(MADE, notes={"align": "similarity"})
    others = replace(cut, name="others", rows=[row(9)])
    both = tables.join([cut, others], "both")
    assert both.are_crops
    assert both.notes == {"of": ["made", "others"], "align": "similarity"}
    with pytest.raises(DataError, match=r"cut all tables alike first.*made: similarity, made: not"):
        tables.join([cut, replace(MADE, rows=[row(9)])], "both")
    with pytest.raises(DataError, match="they are made: similarity, made: mouth"):
        tables.join([cut, replace(MADE, rows=[row(9)], notes={"align": "mouth"})], "both")


def test_join_refuses_a_row_twice() -> None:
    other = Table("other", [row(7), row(2)])
    with pytest.raises(DataError, match="share rows, 'made/00002' for one; join each only once"):
        tables.join([MADE, other], "both")
    with pytest.raises(DataError, match="'made/00000' for one"):
        tables.join([MADE, MADE], "both")


# --- Votes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("min_votes", "shares"),
    [
        (1, [[0.1, 0.6, 0.3], [0.5, 0.5, 0.0], [0.0, 0.0, 0.0], [0.2, 0.4, 0.4]]),
        # One vote is dropped, and the rest is shared anew: 6 and 3 of 9; 2 and 2 of 4.
        (2, [[0, 6 / 9, 3 / 9], [0.5, 0.5, 0.0], [0.0, 0.0, 0.0], [0.0, 0.5, 0.5]]),
        # Nothing would be left of the second and the fourth: they stay as they were.
        (4, [[0.0, 1.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 0.0], [0.2, 0.4, 0.4]]),
    ],
)
def test_vote_shares(min_votes: int, shares: list[list[float]]) -> None:
    made = voted((1, 6, 3), (1, 1, 0), (0, 0, 0), (1, 2, 2))
    if min_votes == 2:  # 1 and 1: both are dropped, so both stay
        assert made.vote_shares(subset(THREE), 2)[1].tolist() == [0.5, 0.5, 0.0]
    result = made.vote_shares(subset(THREE), min_votes)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, shares, atol=1e-6)


def test_more_than_half_of_the_votes_agree_on_a_label() -> None:
    """Single votes are left out first: 5 of 9 agree, 4 of 8 do not, nor a single one."""
    labels = [THREE[0]] * 6 + ["unheard of"]
    votes = [(5, 4, 1), (4, 4, 1), (4, 3, 3), (1, 0, 0), (2, 6, 0), None, (9, 0, 1)]
    rows = [
        row(i, "a", label, votes=v) for i, (label, v) in enumerate(zip(labels, votes, strict=True))
    ]
    assert Table("made", rows, THREE).is_agreed.tolist() == [True] + 6 * [False]
    assert not Table("made", rows[5:]).is_agreed.any()


def test_vote_shares_in_another_order_and_without_some() -> None:
    """What was voted but is not asked for (here neutral) does not count."""
    made = voted((1, 6, 3), (9, 0, 1), (10, 0, 0))
    shares = made.vote_shares(subset(["angry", "joy"]))
    np.testing.assert_allclose(shares, np.array([[3 / 9, 6 / 9], [1, 0], [0, 0]]), atol=1e-6)


def test_a_row_without_votes_is_all_zero() -> None:
    shares = voted((1, 0, 1), None).vote_shares(subset(THREE))
    assert shares.tolist() == [[0.5, 0, 0.5], [0, 0, 0]]
    assert voted().vote_shares(subset(THREE)).shape == (0, 3)


def test_no_votes_at_all() -> None:
    with pytest.raises(DataError, match=r"made has no votes; train on its labels \(data\.target"):
        Table("made", [row(0)]).vote_shares(subset(THREE))


def test_a_label_nobody_could_vote_for() -> None:
    with pytest.raises(DataError, match="made has no votes for surprise, sadness"):
        voted((1, 0, 0)).vote_shares(label_set("ferplus"))


# --- Hashes ---------------------------------------------------------------------------------


def test_pixel_hash_is_of_the_pixels() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    assert pixel_hash(picture) == pixel_hash(picture.copy())
    assert pixel_hash(picture[:, ::2]) == pixel_hash(picture[:, ::2].copy())  # a view is the same
    changed = picture.copy()
    changed[5, 7, 2] ^= 1
    assert pixel_hash(changed) != pixel_hash(picture)
    assert pixel_hash(picture.reshape(8, 6, 3)) != pixel_hash(picture)


def test_pixel_hash_does_not_see_the_format() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    made = Table(
        "made",
        [
            replace(row(i), image=cv2.imencode(suffix, picture)[1].tobytes())
            for i, suffix in enumerate([".png", ".bmp", ".tiff"])
        ],
    )
    assert len({pixel_hash(p) for p in made.pictures()}) == 1


def test_pixel_hash_stays_what_it_was() -> None:
    """blake2b of "(1, 2, 3)" and six bytes; written into audits, so it must never change."""
    expected = hashlib.blake2b(b"(1, 2, 3)" + bytes(range(6)), digest_size=16).hexdigest()
    assert pixel_hash(np.arange(6, dtype=np.uint8).reshape(1, 2, 3)) == expected
