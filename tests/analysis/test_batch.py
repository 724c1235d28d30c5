"""Many pictures: in order, none lost, whatever happens to one of them or to a process."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien import later
from mien.analysis import batch
from mien.analysis.batch import Job, Looked
from mien.analysis.pipeline import Analyzer, Settings
from mien.errors import ConfigError, ImageError, ModelError, OutputError
from mien.expression.baserates import BaseRates
from mien.expression.recognize import Reading
from mien.face import Face, Frame, ImageArray
from mien.labels import CANONICAL
from mien.later import Later
from mien.media import image
from mien.results.records import Record
from mien.testing import FakeDetector, FakeRecognizer

needs_posix = pytest.mark.skipif(os.name != "posix", reason="needs signals")


def save(pixels: ImageArray, path: Path) -> Path:
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def face(astronaut: ImageArray) -> ImageArray:
    """The astronaut's face, 140 x 140: found in a few milliseconds."""
    return astronaut[44:184, 154:294]


@pytest.fixture(scope="module")
def pictures(face: ImageArray, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Twelve pictures: faces shifted by a pixel each, one without any, one that is no picture."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = [save(np.roll(face, i, axis=1), folder / f"{i:02d}.png") for i in range(12)]
    save(np.zeros_like(face), paths[3])
    paths[5].write_text("no picture")
    return paths


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer(Settings(detector="haar"))


def fake(*boxes: tuple[float, float, float, float]) -> Analyzer:
    return Analyzer(recognizer=FakeRecognizer(), detector=FakeDetector(*boxes))


def jobs(paths: Sequence[Path]) -> list[Job]:
    return [Job(path) for path in paths]


def sources(records: Sequence[Record]) -> list[str]:
    return [record["source"] for record in records]


# --- Order, and nothing lost --------------------------------------------------------------------


def begun(analyzer: Analyzer, path: Path) -> Later[Looked]:
    return Later(lambda: batch.look(analyzer, path, whole=False))


def test_pictures_already_looked_at_are_not_read_again_nor_kept(
    pictures: list[Path], analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = list(batch.analyze_files(jobs(pictures[3:7]), analyzer))
    assert [record["status"] for record in expected] == ["no_face", "ok", "error", "ok"]
    ahead = []
    for path in pictures[3:6]:
        ahead.append(begun(analyzer, path))
        with suppress(ImageError):
            ahead[-1].get()  # one at a time: OpenCV's cascades bear no second thread
    read: list[Path] = []
    from_disk = image.file_bytes

    def file_bytes(path: Path) -> bytes:
        read.append(path)
        return from_disk(path)

    monkeypatch.setattr(image, "file_bytes", file_bytes)
    assert list(batch.analyze_files(jobs(pictures[3:7]), analyzer, begun=ahead)) == expected
    assert read == [pictures[6]]
    assert ahead == []


def test_two_processes_say_what_one_says_in_the_same_order(
    pictures: list[Path], analyzer: Analyzer
) -> None:
    alone = list(batch.analyze_files(jobs(pictures), analyzer, 1))
    assert sources(alone) == [str(path) for path in pictures]
    statuses = [record["status"] for record in alone]
    assert statuses == ["ok"] * 3 + ["no_face", "ok", "error"] + ["ok"] * 6
    assert {record["faces"][0]["top"] for record in alone if record["faces"]} == {"happiness"}
    assert list(batch.analyze_files(jobs(pictures), analyzer, 2)) == alone
    assert not multiprocessing.active_children()


def test_processes_read_with_the_base_rates_that_the_run_began_with(
    pictures: list[Path], tmp_path: Path
) -> None:
    file = tmp_path / "rates.json"
    file.write_text(json.dumps(dict.fromkeys(CANONICAL, 0) | {"anger": 1}))
    analyzer = Analyzer(Settings(detector="haar", base_rates=BaseRates(str(file), 1)))
    file.unlink()
    found = list(batch.analyze_files(jobs(pictures[:2]), analyzer, 2))
    assert [record["faces"][0]["top"] for record in found] == ["anger"] * 2


@needs_posix
def test_a_killed_worker_costs_no_record(pictures: list[Path], analyzer: Analyzer) -> None:
    found: list[Record] = []
    for record in batch.analyze_files(jobs(pictures), analyzer, 2):
        if not found:
            multiprocessing.active_children()[0].kill()
        found.append(record)
    assert found == list(batch.analyze_files(jobs(pictures), analyzer, 1))


@needs_posix
def test_a_picture_that_kills_its_process_is_an_error_record(
    pictures: list[Path],
    analyzer: Analyzer,
    face: ImageArray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """``sitecustomize`` is what the processes run first: it gives them a deadly decoder."""
    (tmp_path / "sitecustomize.py").write_text(
        textwrap.dedent("""
            import os
            from mien.media import image
            read = image.file_bytes
            def deadly(path):
                if path.name == "deadly.png":
                    os.kill(os.getpid(), 11)
                return read(path)
            image.file_bytes = deadly
        """)
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    paths = [pictures[0], save(face, tmp_path / "deadly.png"), *pictures[1:5]]
    found = list(batch.analyze_files(jobs(paths), analyzer, 2))
    assert sources(found) == [str(path) for path in paths]
    assert [r["status"] for r in found] == ["ok", "error", "ok", "ok", "no_face", "ok"]
    assert "ended the process" in found[1]["reason"]


class Buggy(FakeDetector):
    """A detector that fails as no one foresaw."""

    def detect(self, frame: Frame, known: Sequence[Face] = ()) -> list[Face]:
        raise ZeroDivisionError("division by zero")


def test_a_bug_is_a_record_that_says_where(
    pictures: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    buggy = Analyzer(recognizer=FakeRecognizer(), detector=Buggy())
    found = list(batch.analyze_files(jobs(pictures[:2]), buggy))
    assert [record["status"] for record in found] == ["error", "error"]
    assert found[0]["reason"].startswith(
        "unexpected ZeroDivisionError: division by zero (test_batch.py:"
    )
    assert capsys.readouterr().err == ""


def test_too_little_memory_for_one_is_a_record(
    pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: Path) -> bytes:
        raise MemoryError

    monkeypatch.setattr(image, "file_bytes", read)
    assert "MemoryError" in batch.run_job(fake(), Job(pictures[0]))["reason"]


def test_ctrl_c_is_nobody_s_error_record(
    pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: Path) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(image, "file_bytes", read)
    with pytest.raises(KeyboardInterrupt):
        batch.run_job(fake(), Job(pictures[0]))


def test_a_consumer_that_stops_ends_the_processes(pictures: list[Path], analyzer: Analyzer) -> None:
    found = batch.analyze_files(jobs(pictures * 20), analyzer, 2)
    assert next(found)["source"] == str(pictures[0])
    found.close()
    assert not multiprocessing.active_children()


@needs_posix
def test_processes_end_with_a_parent_that_was_killed(pictures: list[Path], tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent("""
            import multiprocessing, sys
            from pathlib import Path
            from mien import Analyzer
            from mien.analysis import batch
            if __name__ == "__main__":
                jobs = [batch.Job(Path(path)) for path in sys.argv[1:]] * 100
                for _ in batch.analyze_files(jobs, Analyzer(), 2):
                    print(*[child.pid for child in multiprocessing.active_children()], flush=True)
        """)
    )
    parent = subprocess.Popen(
        [sys.executable, script, *pictures], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout
    with parent:
        children = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(children) == 2
        parent.kill()
        parent.stdout.read()  # its end comes when the last process that could write has gone
    deadline = time.monotonic() + 20
    while any(alive(pid) for pid in children):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")  # a zombie that nobody has waited for is dead, too
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


@needs_posix
def test_a_process_started_meanwhile_never_hears_the_terminal() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with batch._terminal_held():
        held = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert held - before == {signal.SIGINT, signal.SIGHUP}
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


# --- The next pictures are read and searched meanwhile -------------------------------------------


def test_pictures_are_read_and_searched_while_one_is_recognised(pictures: list[Path]) -> None:
    """Each stage waits for the next picture in the one before: one by one they would never end."""
    read, searched = threading.Event(), threading.Event()
    from_disk = image.read_ahead

    class Waits(FakeDetector):
        def detect(self, frame: Frame, known: Sequence[Face] = ()) -> list[Face]:
            if frame.source == str(pictures[0]):
                assert read.wait(60)
            else:
                searched.set()
            return super().detect(frame, known)

    class Last(FakeRecognizer):
        def read(self, crops: Sequence[ImageArray], rates: BaseRates) -> Reading:
            if crops:
                assert searched.wait(60)
            return super().read(crops, rates)

    def reading(path: Path, whole: bool) -> Frame | None:
        if path == pictures[1]:
            read.set()
        return from_disk(path, whole)

    analyzer = Analyzer(recognizer=Last(), detector=Waits((20, 20, 110, 110)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image, "read_ahead", reading)
        found = list(batch.analyze_files(jobs(pictures[:3]), analyzer))
    assert [record["status"] for record in found] == ["ok"] * 3
    assert sources(found) == [str(path) for path in pictures[:3]]


@pytest.fixture
def unfit(pictures: list[Path], face: ImageArray, tmp_path: Path) -> list[Path]:
    """Nine files that cannot be read among three that can."""
    bad = [
        tmp_path / name for name in ("gone.jpg", "empty.jpg", "words.jpg", "cut.png", "a\0b.png")
    ]
    bad[1].write_bytes(b"")
    bad[2].write_text("no picture")
    bad[3].write_bytes(pictures[0].read_bytes()[:2000])
    return [*pictures[:1], *bad, *pictures[1:2], *bad[:4], *pictures[2:3]]


def test_bad_files_in_the_middle_end_nothing(unfit: list[Path]) -> None:
    analyzer = fake((20, 20, 110, 110))
    before = threading.active_count()
    found = list(batch.analyze_files(jobs(unfit), analyzer))
    assert [r["status"] for r in found] == ["ok"] + ["error"] * 5 + ["ok"] + ["error"] * 4 + ["ok"]
    assert sources(found) == [str(path) for path in unfit]
    assert found == [batch.run_job(analyzer, Job(path)) for path in unfit]
    assert threading.active_count() == before


def test_what_goes_wrong_in_a_thread_is_its_picture_s_record(
    pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path, whole: bool) -> Frame | None:
        if path == pictures[1]:
            raise MemoryError
        if path == pictures[2]:
            raise ZeroDivisionError("division by zero")
        return image.read_frame(path)

    monkeypatch.setattr(image, "read_ahead", broken)
    given = [*pictures[:3], pictures[4]]
    found = list(batch.analyze_files(jobs(given), fake((20, 20, 110, 110))))
    assert [record["status"] for record in found] == ["ok", "error", "error", "ok"]
    assert sources(found) == [str(path) for path in given]
    assert found[1]["reason"].startswith("unexpected MemoryError")
    assert "division by zero (test_batch.py:" in found[2]["reason"]


def test_a_network_that_fails_in_a_thread_ends_the_run(pictures: list[Path]) -> None:
    class Damaged(FakeDetector):
        def detect(self, frame: Frame, known: Sequence[Face] = ()) -> list[Face]:
            raise ModelError("landmarks68 is damaged")

    damaged = Analyzer(recognizer=FakeRecognizer(), detector=Damaged())
    with pytest.raises(ModelError, match="landmarks68 is damaged"):
        list(batch.analyze_files(jobs(pictures), damaged))


def test_large_pictures_are_read_in_their_turn_and_alone(
    pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No thread decodes one, and never is there a second frame of one beside it."""
    monkeypatch.setattr(image, "AHEAD_BYTES", 1000)
    decoded: list[threading.Thread] = []
    alive: list[weakref.ref[ImageArray]] = []
    most = 0
    load = image._upright

    def upright(picture: Image.Image, orientation: int) -> ImageArray:
        nonlocal most
        decoded.append(threading.current_thread())
        most = max(most, 1 + sum(one() is not None for one in alive))
        rgb = load(picture, orientation)
        alive.append(weakref.ref(rgb))
        return rgb

    monkeypatch.setattr(image, "_upright", upright)
    found = list(batch.analyze_files(jobs(pictures), fake((20, 20, 110, 110))))
    assert [record["status"] for record in found].count("error") == 1
    assert set(decoded) == {threading.main_thread()}
    assert most == 1


def test_few_pictures_wait_however_slow_the_recogniser_is(
    pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[weakref.ref[ImageArray]] = []
    from_disk = image.read_ahead

    def reading(path: Path, whole: bool) -> Frame | None:
        frame = from_disk(path, whole)
        assert frame
        alive.append(weakref.ref(frame.rgb))
        return frame

    monkeypatch.setattr(image, "read_ahead", reading)
    most = 0
    for _ in batch.analyze_files(jobs(pictures[:1] * 40), fake((20, 20, 110, 110))):
        time.sleep(0.005)
        most = max(most, sum(one() is not None for one in alive))
    assert len(alive) == 40
    assert most <= 7


def test_a_consumer_that_stops_ends_the_threads(pictures: list[Path]) -> None:
    before = threading.active_count()
    found = batch.analyze_files(jobs(pictures * 20), fake())
    assert next(found)["source"] == str(pictures[0])
    found.close()
    assert threading.active_count() == before


@needs_posix
@pytest.mark.parametrize("stage", ["read_ahead", "file_bytes"])
def test_ctrl_c_while_a_thread_reads(pictures: list[Path], tmp_path: Path, stage: str) -> None:
    """As from a disk on a network that has gone: the run ends all the same, and soon."""
    script = tmp_path / "slow.py"
    script.write_text(
        textwrap.dedent(f"""
            import sys, time
            from pathlib import Path
            from mien import start
            from mien.media import image
            fast = image.{stage}
            def slow(path, *more):
                if path.name == "02.png":
                    print("reading", file=sys.stderr, flush=True)
                    time.sleep(600)
                return fast(path, *more)
            image.{stage} = slow
            sys.argv = ["mien", "analyze", *sys.argv[1:], "--format", "jsonl"]
            start.run()
        """)
    )
    run = subprocess.Popen(
        [sys.executable, script, *pictures],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with run:
        assert run.stderr
        assert run.stdout
        assert run.stderr.readline() == "reading\n"
        given = [run.stdout.readline() for _ in range(2)]  # all that there can be
        run.send_signal(signal.SIGINT)
        began = time.monotonic()
        said = run.stderr.read()
        assert run.wait(60) == 130
        assert time.monotonic() - began < later._LEAVING_S  # not once more as the program ends
    assert [json.loads(line)["source"] for line in given] == [str(path) for path in pictures[:2]]
    assert "stopped after 2 of 12 pictures: " in said
    assert "Traceback" not in said


def test_pictures_in_a_program(pictures: list[Path], caplog: pytest.LogCaptureFixture) -> None:
    analyzer = fake((20, 20, 110, 110))
    found = list(batch.analyze_pictures((str(path) for path in pictures), analyzer))
    assert [frame.source for frame, _ in found] == [str(p) for p in pictures if p != pictures[5]]
    assert all(len(faces) == 1 for _, faces in found)
    assert caplog.messages == [str(unreadable(pictures[5]))]
    assert list(batch.analyze_pictures([], analyzer)) == []


def test_a_program_may_end_with_its_pictures_left_open(pictures: list[Path]) -> None:
    """A thread that is cut off within ONNX Runtime or OpenCV aborts the process."""
    paths = [str(path) for path in pictures[:5] * 20]
    program = f"import mien; found = mien.analyze_pictures({paths}); next(found)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, b"")


def unreadable(path: Path) -> ImageError:
    with pytest.raises(ImageError) as told:
        image.read_frame(path)
    return told.value


def test_a_large_photograph_of_small_faces_is_read_whole(
    astronaut: ImageArray, tmp_path: Path
) -> None:
    """Its record is the one that is made without threads."""
    path = tmp_path / "large.jpg"
    Image.fromarray(astronaut).resize((2600, 2600)).save(path, quality=90)
    for box in ((100, 100, 1000, 1000), (100, 100, 130, 130)):
        analyzer = fake(box)
        alone = batch.run_job(analyzer, Job(path))
        assert list(batch.analyze_files(jobs([path] * 3), analyzer)) == [alone] * 3


# --- Annotated copies ---------------------------------------------------------------------------


def test_names_of_copies_never_collide(tmp_path: Path) -> None:
    given = [
        *("a/x.jpg", "b/x.jpg", "x-2.png", "x.png", "X.PNG", "c/x-2.jpg"),
        *("ä.png", "a\N{COMBINING DIAERESIS}.png", "no suffix", "dots.in.name.jpg"),
    ]
    planned = batch.plan([Path(name) for name in given], tmp_path / "out")
    names = [job.annotated.name for job in planned if job.annotated]
    assert names[:4] == ["x.png", "x-2.png", "x-2-2.png", "x-3.png"]
    assert names[8:] == ["no suffix.png", "dots.in.name.png"]
    assert len({name.casefold() for name in names}) == len(given)
    assert names[7] == "a\N{COMBINING DIAERESIS}-2.png"  # one name with ä.png on a Mac
    assert [str(job.path) for job in planned] == given


def test_no_copies_no_folder(tmp_path: Path) -> None:
    assert batch.plan([Path("x.jpg")], None) == [Job(Path("x.jpg"), None)]


def test_copies_are_pictures_of_the_same_size(face: ImageArray, tmp_path: Path) -> None:
    path = save(face, tmp_path / "x.png")
    for _ in range(2):  # an older copy of ours is replaced
        [job] = batch.plan([path], tmp_path / "deep" / "out")
        assert batch.run_job(fake((20, 20, 110, 110)), job)["status"] == "ok"
        assert job.annotated
        copy = image.read_file(job.annotated)
        assert copy.shape == face.shape
        assert (copy != face).any()


def test_a_copy_never_replaces_a_picture(face: ImageArray, tmp_path: Path) -> None:
    path = save(face, tmp_path / "x.png")
    with pytest.raises(ConfigError, match=r"x\.png is one of the pictures to analyse"):
        batch.plan([path], tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="one of the pictures"):
        batch.plan([path], tmp_path / "link")
    photo = tmp_path / "x.jpg"  # its copy would be x.png, somebody's own
    with pytest.raises(OutputError, match=r"x\.png is there already"):
        batch.plan([photo], tmp_path)
    np.testing.assert_array_equal(image.read_file(path), face)


def test_copies_beside_their_pictures(face: ImageArray, tmp_path: Path) -> None:
    save(face, tmp_path / "x.jpg")
    for _ in range(2):
        [job] = batch.plan([tmp_path / "x.jpg"], tmp_path)
        assert job.annotated == tmp_path / "x.png"
        assert batch.run_job(fake((20, 20, 110, 110)), job)["status"] == "ok"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(OutputError, match=f"cannot write into {folder}: "):
            batch.plan([Path("x.jpg")], folder)


def test_a_full_disk_ends_the_run(face: ImageArray, tmp_path: Path) -> None:
    path = save(face, tmp_path / "x.png")
    job = Job(path, tmp_path / "gone" / "x.png")
    with pytest.raises(OutputError, match="No such file or directory"):
        batch.run_job(fake(), job)


def test_an_unreadable_picture_has_no_copy(tmp_path: Path) -> None:
    [job] = batch.plan([tmp_path / "missing.jpg"], tmp_path / "out")
    record = batch.run_job(fake(), job)
    assert record["status"] == "error"
    assert record["reason"] == str(ImageError(f"no such file: {tmp_path / 'missing.jpg'}"))
    assert list((tmp_path / "out").iterdir()) == []
