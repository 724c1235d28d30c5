"""Records that other people's tools have opened and saved say what they said before."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mien.errors import DataError
from mien.results import reading, summary
from tests.results.test_summary import face, film, record, saved

Rows = list[dict[str, str]]


def rows_of(path: Path) -> Rows:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def as_text(rows: Rows, delimiter: str = ",") -> str:
    text = io.StringIO(newline="")
    out = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator="\n")
    out.writeheader()
    out.writerows(rows)
    return text.getvalue()


def told(path: Path) -> list[Any]:
    """What the summary says of a file, but for its name."""
    found: list[Any] = []
    for recording in summary.read(path):
        found.append((list(recording.times), dict(recording.statuses)))
        for _, track in sorted(recording.tracks.items()):
            shares = summary.shares(recording, track)
            found.append({k: shares[k] for k in sorted(shares)})
            found.append(summary.episodes(recording, track))
    return found


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return saved(tmp_path / "plain.csv", film())


def floats(rows: Rows) -> Rows:
    """As pandas has whole numbers in a column with empty cells."""
    return [
        row | {k: row[k] and f"{row[k]}.0" for k in ("face", "track")} | {"reason": "NaN"}
        for row in rows
    ]


def in_r(rows: Rows) -> Rows:
    def cell(value: str) -> str:
        return "NA" if value == "" else value

    return [{"": str(i)} | {k: cell(v) for k, v in row.items()} for i, row in enumerate(rows, 1)]


def with_comma(rows: Rows) -> Rows:
    numbers = {k for k in rows[0] if k not in ("source", "status", "reason", "top")}
    german = {"TRUE": "WAHR", "FALSE": "FALSCH"}
    return [
        {k: german.get(v, v.replace(".", ",") if k in numbers else v) for k, v in row.items()}
        for row in rows
    ]


def upside_down(rows: Rows) -> Rows:
    return [dict(reversed([*row.items(), ("note", "mine"), ("2x", "7")])) for row in rows]


TOUCHED: dict[str, Callable[[Rows], str]] = {
    "whole numbers as floats": lambda rows: as_text(floats(rows)),
    "R": lambda rows: as_text(in_r(rows)),
    "a mark": lambda rows: "\ufeff" + as_text(rows),
    "semicolons": lambda rows: as_text(rows, ";"),
    "decimal commas": lambda rows: as_text(with_comma(rows), ";"),
    "tabs": lambda rows: as_text(rows, "\t"),
    "blank lines": lambda rows: as_text(rows).replace("\n", "\n\n") + ",,,\n",
    "line ends": lambda rows: as_text(rows).replace("\n", "\r\n"),
    "line ends of old Macs": lambda rows: as_text(rows).replace("\n", "\r"),
    "columns in another order, and more": lambda rows: as_text(upside_down(rows)),
    "sep=": lambda rows: "sep=,\n" + as_text(rows),
    "spaces in the head": lambda rows: as_text(rows).replace(",", ", ", 5),
    "by face": lambda rows: as_text(sorted(rows, key=lambda row: row["track"])),
    "true as 1": lambda rows: as_text(rows).replace("TRUE", "1").replace("FALSE", "0"),
    "true in small letters": lambda rows: as_text(rows).replace("TRUE", "true"),
    "as JSON": lambda rows: "".join(json.dumps(row) + "\n" for row in floats(rows)),
}


@pytest.mark.parametrize("how", TOUCHED)
def test_a_table_that_another_tool_saved(plain: Path, tmp_path: Path, how: str) -> None:
    name = "touched.jsonl" if how == "as JSON" else "touched.csv"
    touched = tmp_path / name
    touched.write_text(TOUCHED[how](rows_of(plain)), encoding="utf-8", newline="")
    assert told(touched) == told(plain)


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_a_table_in_another_encoding(tmp_path: Path, encoding: str) -> None:
    plain = saved(tmp_path / "a.csv", [r | {"source": "Gespräch.mp4"} for r in film()])
    touched = tmp_path / "b.csv"
    touched.write_text(plain.read_text(encoding="utf-8-sig"), encoding=encoding)
    assert told(touched) == told(plain)
    assert summary.read(touched)[0].source == "Gespräch.mp4"


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_pandas(tmp_path: Path, kind: str) -> None:
    """Opened and saved in every format, whatever it was before."""
    pd = pytest.importorskip("pandas")
    before = saved(tmp_path / f"before.{kind}", film())
    if kind == "jsonl":
        pd.read_json(before, lines=True).to_json(
            tmp_path / "after.jsonl", orient="records", lines=True
        )
        assert told(tmp_path / "after.jsonl") == told(before)
        return
    table = pd.read_csv(before) if kind == "csv" else pd.read_parquet(before)
    table.to_parquet(tmp_path / "after.parquet", index=False)
    table.to_csv(tmp_path / "after.csv", index=True)
    table.to_json(tmp_path / "after.jsonl", orient="records", lines=True)
    table.sample(frac=1.0, random_state=0).to_csv(tmp_path / "mixed.csv", index=False)
    for name in ("after.parquet", "after.csv", "after.jsonl", "mixed.csv"):
        assert told(tmp_path / name) == told(before), name


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: "\ufeff" + "".join(lines),
        lambda lines: "".join(lines).rstrip("\n"),
        lambda lines: "\n".join(lines) + "\n",
        lambda lines: "".join(lines).replace("\n", "\r\n"),
        lambda lines: "[" + ",".join(lines) + "]",
        lambda lines: "".join(json.dumps(json.loads(x), sort_keys=True) + "\n" for x in lines),
        lambda lines: "".join(lines).replace('"faces": []', '"faces": {}'),
    ],
    ids=["mark", "no last end", "blank lines", "line ends", "one list", "sorted keys", "R"],
)
def test_json_lines_that_another_tool_saved(
    tmp_path: Path, change: Callable[[list[str]], str]
) -> None:
    plain = saved(tmp_path / "a.jsonl", film())
    touched = tmp_path / "b.jsonl"
    text = change(plain.read_text().splitlines(keepends=True))
    touched.write_text(text, encoding="utf-8", newline="")
    assert told(touched) == told(plain)


def of_mien_1(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same records, as a mien before schema mien/2 wrote them."""
    old = json.loads(json.dumps(records).replace('"picture_quality"', '"confidence"'))
    return [record | {"schema": "mien/1"} for record in old]


def test_json_lines_of_mien_1(tmp_path: Path) -> None:
    old = of_mien_1(film())
    assert "picture_quality" not in json.dumps(old)
    (tmp_path / "old.jsonl").write_text("".join(json.dumps(then) + "\n" for then in old))
    assert told(tmp_path / "old.jsonl") == told(saved(tmp_path / "new.jsonl", film()))
    for then, now in zip(old, film(), strict=True):
        assert reading.of_plain(then) == reading.of_plain(now)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_of_mien_1(plain: Path, tmp_path: Path, kind: str) -> None:
    rows = [
        {"confidence" if k == "picture_quality" else k: v for k, v in row.items()}
        for row in rows_of(plain)
    ]
    path = tmp_path / f"old.{kind}"
    if kind == "csv":
        path.write_text(as_text(rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    assert "confidence" in rows[0]
    assert told(path) == told(plain)


def test_tables_of_both_miens_put_together(plain: Path, tmp_path: Path) -> None:
    """As pandas.concat does it: each row has one of the two columns."""
    rows = rows_of(plain)
    for row in rows:
        row["confidence"] = ""
    for row in rows[: len(rows) // 2]:
        row["confidence"], row["picture_quality"] = row["picture_quality"], ""
    (tmp_path / "b.csv").write_text(as_text(rows))
    assert told(tmp_path / "b.csv") == told(plain)


def test_a_record_says_its_picture_quality_by_the_name_of_its_schema() -> None:
    (old,) = of_mien_1(film()[:1])
    with pytest.raises(DataError, match="no 'picture_quality'"):
        reading.of_plain(old | {"schema": "mien/2"})
    with pytest.raises(DataError, match="no 'confidence'"):
        reading.of_plain(film()[0] | {"schema": "mien/1"})


def test_a_filtered_table_keeps_its_frames_apart(plain: Path, tmp_path: Path) -> None:
    """Of the second face alone, whose number in each frame is 1."""
    rows = [row for row in rows_of(plain) if row["track"] == "2"]
    assert {row["face"] for row in rows} == {"1"}
    (tmp_path / "b.csv").write_text(as_text(rows))
    (recording,) = summary.read(tmp_path / "b.csv")
    assert len(recording.times) == 30
    (episode,) = summary.episodes(recording, recording.tracks[2])
    assert episode.label == "sadness"
    assert episode.onset_s == pytest.approx(1.0)


def test_two_runs_in_one_table_are_told(plain: Path, tmp_path: Path) -> None:
    rows = rows_of(plain)
    (tmp_path / "b.csv").write_text(as_text(rows + rows))
    with pytest.raises(DataError, match="face 1 is there twice in one frame"):
        summary.read(tmp_path / "b.csv")


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("time_s", "soon", "line 2 is no record of mien: time_s is a number, got 'soon'"),
        ("time_s", "inf", "time_s is a number of seconds"),
        ("time_s", "", "time_s is a number of seconds"),
        ("track", "1.5", "track is a whole number, got '1.5'"),
        ("track", "1e300", "track is a whole number"),
        ("happiness", "70", "happiness lies between 0 and 1, got '70'"),
        ("uncertain", "maybe", "uncertain is true or false, got 'maybe'"),
        ("picture_quality", "high", "picture_quality is a number, got 'high'"),
    ],
)
def test_a_cell_that_cannot_be_meant_is_told(
    plain: Path, tmp_path: Path, column: str, value: str, says: str
) -> None:
    rows = rows_of(plain)
    rows[0][column] = value
    (tmp_path / "b.csv").write_text(as_text(rows))
    with pytest.raises(DataError, match=says):
        summary.read(tmp_path / "b.csv")


def test_a_column_that_is_gone_is_told(plain: Path, tmp_path: Path) -> None:
    rows = [{k: v for k, v in row.items() if k != "uncertain"} for row in rows_of(plain)]
    (tmp_path / "b.csv").write_text(as_text(rows))
    with pytest.raises(DataError, match="it has no column uncertain"):
        summary.read(tmp_path / "b.csv")


def test_a_table_without_a_picture_quality_is_told(plain: Path, tmp_path: Path) -> None:
    rows = [{k: v for k, v in row.items() if k != "picture_quality"} for row in rows_of(plain)]
    (tmp_path / "b.csv").write_text(as_text(rows))
    with pytest.raises(DataError, match="it has no column picture_quality"):
        summary.read(tmp_path / "b.csv")


ODD: list[Any] = [None, True, 5, 1.5, "x", [], {}, [[]], "\0", float("nan"), 10**400, -1, [1, 2]]


def test_odd_types_anywhere_are_told_and_end_in_no_other_error(tmp_path: Path) -> None:
    """Each value of a record in turn as each odd value: read, or a DataError."""
    good = json.loads(json.dumps(film()[0]))
    places = [(good, key) for key in good]
    places += [(good["faces"][0], key) for key in good["faces"][0]]
    places += [(good["faces"][0]["emotions"], "happiness"), (good["faces"], 0)]
    for holder, key in places:
        kept = holder[key]
        for odd in ODD:
            holder[key] = odd
            with suppress(DataError):
                reading.of_plain(json.loads(json.dumps(good)))
        holder[key] = kept
    assert reading.of_plain(good).faces[0].track == 1


@pytest.mark.parametrize(
    "line",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"schema": ' + "1" * 5000 + "}",
        json.dumps(film()[0]).replace('"frame": 0', '"frame": ' + "1" * 4000),
        json.dumps(film()[0]).replace('"time_s": 0.0', '"time_s": ' + "9" * 4000),
        "x" * 17_000_000,
    ],
    ids=["deep list", "deep object", "5000 digits", "a frame", "a time", "no end"],
)
def test_a_line_that_no_reader_likes(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line + "\n" + json.dumps(record(1.0)) + "\n")
    with pytest.raises(DataError, match=r"line 1 is no (JSON|record of mien)"):
        summary.read(path)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "rows"])
@pytest.mark.parametrize("at", [0, 1, -1])
def test_a_line_that_is_no_record_costs_no_other(tmp_path: Path, kind: str, at: int) -> None:
    """It is counted where somebody counts, and refused where nobody does."""
    made = [record(i / 10, face(1, 0.9)) for i in range(5)]
    path = tmp_path / f"a.{kind.replace('rows', 'json')}"
    rows = rows_of(saved(tmp_path / "all.csv", made))
    rows[at]["happiness"] = "70"
    if kind == "jsonl":
        lines = list(map(json.dumps, made))
        lines[at] = '{"half'
        path.write_text("\n".join(lines) + "\n")
    elif kind == "csv":
        path.write_text(as_text(rows))
    elif kind == "rows":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    damage = reading.Damage()
    assert len([*reading.read(path, damage)]) == 4
    assert damage.count == 1
    number = [1, 2, 5][at] + (kind == "csv")
    assert damage.first is not None
    assert damage.first.why.startswith(f"line {number} is no ")
    with pytest.raises(DataError, match=f"line {number} is no "):
        list(reading.read(path))


@pytest.mark.parametrize("text", ["no json\n", "{}\n[1]\n5\n", '{"schema": "mien/9"}\n'])
def test_where_no_line_is_a_record_it_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.jsonl").write_text(text)
    with pytest.raises(DataError, match=r"line 1 is no .* as mien analyze writes them"):
        list(reading.read(tmp_path / "a.jsonl", reading.Damage()))


@pytest.mark.parametrize(
    "content",
    [
        "a\0b,c\n\0,\n",
        "source,time_s\n" + "x" * 200_000 + ",1\n",
        "source,time_s,picture_quality,uncertain,joy,intensity_joy\n" + "x" * 17_000_000,
    ],
    ids=["zeros", "a long cell", "no end"],
)
def test_a_table_that_no_reader_likes(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(DataError, match="is no record of mien"):
        summary.read(tmp_path / "a.csv")
