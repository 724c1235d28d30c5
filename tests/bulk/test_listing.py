"""What is to be analysed: folders, manifests, and how they are divided."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mien.bulk.listing import Input, Unit, divided, listed
from mien.errors import InputError


def test_a_folder_in_order_without_what_is_hidden_or_no_picture(tmp_path: Path) -> None:
    for name in ("b/2.png", "a.JPG", "b/1.png", ".hidden/3.png", "b/._1.png", "film.mp4", "x.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"12345")
    passed_over = Counter[str]()
    found = listed(str(tmp_path), passed_over)
    assert [each.source[len(str(tmp_path)) + 1 :] for each in found] == [
        "a.JPG",
        "b/1.png",
        "b/2.png",
        "film.mp4",
    ]
    assert [each.number for each in found] == [0, 1, 2, 3]
    assert {each.bytes for each in found} == {5}
    assert passed_over == {".txt": 1}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_manifest_names_files_as_from_its_own_folder(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"list.{ending}"
    names = ["A.png", "a.png", "/elsewhere/b.png", "s3://bucket/c.png", "A.png"]
    if ending == "csv":
        path.write_text("who,source\n" + "".join(f"1,{name}\n" for name in names))
    else:
        pq.write_table(pa.table({"source": names}), path)
    found = listed(str(path))
    assert [each.source for each in found] == [
        f"{tmp_path}/A.png",
        f"{tmp_path}/a.png",
        "/elsewhere/b.png",
        "s3://bucket/c.png",
        f"{tmp_path}/A.png",
    ]
    assert len({each.number for each in found}) == 5, "names that differ in case, or not at all"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("list.csv", "path,who\na.png,1\n", "no column 'source', .* it has 'path', 'who'"),
        ("list.csv", "source\n", "no picture or recording in"),
        ("list.csv", "source,a\n1,2,3\n", "cannot read the manifest"),
        ("list.parquet", "no parquet", "cannot read the manifest"),
        ("a.png", "x", "single file; mien bulk takes a folder, or a manifest"),
    ],
)
def test_what_is_no_source_is_told(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=said):
        listed(str(tmp_path / name))


def test_no_folder_an_empty_one_and_no_such_protocol(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        listed(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="there is no picture or recording in"):
        listed(str(tmp_path))
    with pytest.raises(InputError, match="cannot reach nobody://here"):
        listed("nobody://here/pictures")


def test_units_are_the_same_of_the_same_inputs() -> None:
    inputs = [Input(n, f"{n}.mp4" if n % 50 == 7 else f"{n}.png", 1) for n in range(300)]
    units = list(divided(inputs))
    assert units == list(divided(inputs))
    assert sorted(i.number for unit in units for i in unit.inputs) == list(range(300))
    assert [unit.number for unit in units] == list(range(len(units)))
    assert {len(unit.inputs) for unit in units if unit.inputs[0].is_recording} == {1}
    assert max(len(unit.inputs) for unit in units) == 294 // 64
    assert Unit(12345, ()).name == "part=00012/00012345"
