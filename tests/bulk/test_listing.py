"""What is to be analysed: folders, manifests, and how they are divided."""

from __future__ import annotations

import errno
import os
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


def test_a_loop_of_links_ends_and_what_cannot_be_read_is_listed(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.png").write_bytes(b"12345")
    (tmp_path / "sub" / "loop").symlink_to(tmp_path)
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    os.mkfifo(tmp_path / "pipe.png")
    found = listed(str(tmp_path))
    names = [each.source[len(str(tmp_path)) + 1 :] for each in found]
    assert names == ["gone.png", "pipe.png", "sub/a.png"]
    assert [each.bytes for each in found] == [None, 0, 5]


def test_a_folder_that_cannot_be_listed_is_told_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As a disk's ``lost+found``."""
    (tmp_path / "a.png").write_bytes(b"12345")
    (tmp_path / "lost+found").mkdir()
    scandir = os.scandir

    def scans(path: str) -> object:
        if os.fspath(path).endswith("lost+found"):
            raise PermissionError(errno.EACCES, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scans)
    assert [Path(each.source).name for each in listed(str(tmp_path))] == ["a.png"]
    (told,) = caplog.messages
    assert told.startswith(f"cannot list folder {tmp_path}/lost+found: Permission denied")


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
        ("list.csv", "source,source\na.png,b.png\n", "more than one column 'source'"),
        ("list.csv", "source\nm\udcfcller.png\n", "cannot read the manifest .* 'CSV UTF-8'"),
        ("list.csv", "\udcff\udcfes\0o\0u\0r\0c\0e\0\n\0a\0", "not UTF-8; save it as 'CSV UTF-8'"),
        ("a.png", "x", "single file; mien bulk takes a folder, or a manifest"),
    ],
)
def test_what_is_no_source_is_told(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_bytes(os.fsencode(content))
    with pytest.raises(InputError, match=said):
        listed(str(tmp_path / name))


def test_rows_that_name_no_file_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Quoted names may hold the end of a line, and a manifest other columns of any kind."""
    path = tmp_path / "list.csv"
    path.write_text('\ufeffsource,who\r\n,1\r\n"two\nlines.png",2\r\n\r\n,3\r\n')
    assert [each.source for each in listed(str(path))] == [f"{tmp_path}/two\nlines.png"]
    assert caplog.messages == [f"2 of the 3 rows of {path} name no file; they are passed over"]


def test_a_manifest_of_numbers_names_files_by_them(tmp_path: Path) -> None:
    path = tmp_path / "list.parquet"
    pq.write_table(pa.table({"source": [1, 2], "vector": [[0.0], [1.0]]}), path)
    assert [each.source for each in listed(str(path))] == [f"{tmp_path}/1", f"{tmp_path}/2"]


def test_no_folder_an_empty_one_and_no_such_protocol(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        listed(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="there is no picture or recording in"):
        listed(str(tmp_path))
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(InputError, match=r"no picture or recording in .*; there are 1 other file"):
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
