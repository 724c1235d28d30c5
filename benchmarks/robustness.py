"""Files of others, changed at random: nothing that mien reads may end it with a traceback.

Pictures, recordings, models, rules, recipes, base rates, records, journals and tables, whole at
first, are damaged: bytes changed, cut and repeated; values replaced by others of odd types; lines
and words mixed up. Each is read as a user's would be. It may be read, or refused with an error of
mien's own; anything else counts against it: a traceback, the end of the process, a minute without
an end. Each kind works in a process of its own, whose peak memory is told.

The seed of an input is the seed, the kind and its number, so that any can be made again:

    python benchmarks/robustness.py                         # 20,000 and more
    python benchmarks/robustness.py --share 0.05 --kind models
    python benchmarks/robustness.py --kind rules --only 123 --keep odd
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from PIL import Image

from mien import provenance
from mien.errors import MienError

SEED = 17
LIMIT_S = 60
MOST_MEMORY = 6 << 30
"""What a process may take: a file that wants more fails there and not the machine."""

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 0.0, -0.5, 1.5, 1e308, float("nan")),
    *(float("inf"), "", "a", "1", "face", "\x1b[2J", "\u202e", "\ud800", "a" * 5000, [], {}, [[]]),
    *([None], {"a": None}, [1, "a"], {"": 0}),
)
WORDS = (
    *(
        "nan",
        "inf",
        "-1",
        "1e400",
        "true",
        '""',
        "[]",
        "{}",
        "[[",
        "]]",
        "=",
        "\0",
        "\x1b",
        "\ufeff",
    ),
    *(
        "99999999999999999999",
        "'''",
        "\\u0000",
        "2026-13-40",
        "face",
        "../x",
        "[" * 3000,
        "9" * 5000,
    ),
)


# -- ways to damage -----------------------------------------------------------------------------


def damaged(rng: random.Random, content: bytes, first: int = 0) -> bytes:
    """Bytes with one to eight faults, from ``first`` on."""
    found = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        if len(found) <= first + 1:
            break
        at = rng.randrange(first, len(found))
        length = rng.choice((1, 2, 4, 4, 16, 200))
        match rng.randrange(8):
            case 0:
                found[at] ^= 1 << rng.randrange(8)
            case 1:
                found[at : at + length] = bytes([rng.choice((0, 255))]) * length
            case 2:
                found[at : at + length] = rng.randbytes(length)
            case 3:
                del found[at:]
            case 4:
                del found[at : at + length]
            case 5:
                found[at:at] = rng.randbytes(length)
            case 6:
                part = found[at : at + length]
                found[at:at] = part * rng.choice((1, 50))
            case _:
                number = rng.choice((0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF))
                found[at : at + 4] = number.to_bytes(4, rng.choice(("big", "little")))
    return bytes(found)


def misspelt(rng: random.Random, text: str) -> str:
    """A text with one to four faults in its lines and words."""
    lines = text.split("\n")
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(lines))
        words = lines[at].split(" ")
        match rng.randrange(6):
            case 0:
                del lines[at]
            case 1:
                lines.insert(rng.randrange(len(lines)), lines[at])
            case 2:
                words[rng.randrange(len(words))] = rng.choice(WORDS)
                lines[at] = " ".join(words)
            case 3:
                before, equals, _ = lines[at].partition("=")
                lines[at] = before + equals + " " + rng.choice(WORDS)
            case 4:
                part = rng.randrange(len(lines[at]) + 1)
                lines[at] = lines[at][:part] + rng.choice(WORDS) + lines[at][part:]
            case _:
                part = rng.randrange(len(lines[at]) + 1)
                lines[at] = lines[at][:part] + lines[at][part + 1 :]
        lines = lines or [""]
    return "\n".join(lines)


def _odd(rng: random.Random) -> Any:
    """One of ``ODD``, of its own: a list put into itself by a later change would have no end."""
    return copy.deepcopy(rng.choice(ODD))


def changed(rng: random.Random, value: Any) -> Any:
    """A value of JSON in which one to three parts are gone, odd, or elsewhere."""
    found = json.loads(json.dumps(value))
    for _ in range(rng.choice((1, 1, 2, 3))):
        places = list(_places(found))
        if not places:
            return _odd(rng)
        holder, key = rng.choice(places)
        match rng.randrange(5):
            case 0:
                del holder[key]
            case 1:
                other, there = rng.choice(places)
                with contextlib.suppress(LookupError):
                    holder[key] = json.loads(json.dumps(other[there]))
            case 2 if isinstance(holder, list):
                holder.insert(key, _odd(rng))
            case _:
                holder[key] = _odd(rng)
    return found


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every part of a value, as what holds it and its key."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def _as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _as_toml(values: Any) -> bytes:
    """A table as TOML, each value on one line; what TOML cannot say is a text."""
    if not isinstance(values, dict):
        return _inline(values).encode()
    return "".join(f"{json.dumps(k)} = {_inline(v)}\n" for k, v in values.items()).encode()


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps("none" if value is None else value)


# -- whole files --------------------------------------------------------------------------------


@cache
def _picture() -> Image.Image:
    y, x = np.mgrid[:96, :120]
    rings = 127 + 120 * np.sin(np.hypot(x - 60, y - 48) / 4)
    return Image.fromarray(np.stack([rings, x * 2, y * 2], axis=2).astype(np.uint8))


@cache
def _pictures() -> list[tuple[str, bytes]]:
    whole = _picture()
    gray16 = Image.fromarray(np.asarray(whole.convert("L"), np.uint16) * 256)
    turned = Image.Exif()
    turned[0x0112] = 6
    made: list[tuple[str, Image.Image, dict[str, Any]]] = [
        (".png", whole, {}),
        (".png", gray16, {}),
        (".png", whole.convert("P"), {}),
        (".png", whole.convert("RGBA"), {}),
        (".jpg", whole, {"exif": turned}),
        (".jpg", whole.convert("CMYK"), {}),
        (".jpg", whole, {"progressive": True}),
        (".webp", whole, {}),
        (".webp", whole.convert("RGBA"), {"lossless": True}),
        (".gif", whole, {"save_all": True, "append_images": [whole.rotate(90)]}),
        (".bmp", whole, {}),
        (".tif", whole, {}),
        (".tif", whole, {"compression": "tiff_lzw"}),
    ]
    found = []
    for suffix, picture, options in made:
        stream = io.BytesIO()
        picture.save(stream, Image.registered_extensions()[suffix], **options)
        found.append((suffix, stream.getvalue()))
    return found


@cache
def _recordings() -> list[tuple[str, bytes]]:
    import av

    found = []
    kinds = ((".mp4", "mpeg4"), (".mkv", "libx264"), (".avi", "mjpeg"), (".ts", "mpeg2video"))
    for suffix, codec in kinds:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"whole{suffix}"
            with av.open(str(path), "w") as out:
                stream: Any = out.add_stream(codec, rate=10)
                stream.width, stream.height = 64, 48
                stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
                for i in range(12):
                    pixels = np.asarray(_picture().resize((64, 48)).rotate(10 * i))
                    out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
                out.mux(stream.encode(None))
            found.append((suffix, path.read_bytes()))
    return found


@cache
def _model() -> tuple[bytes, dict[str, Any], Any, Any]:
    """The shipped model's bytes, metadata and last layer."""
    from mien.weights import catalogue, graph
    from mien.weights.session import METADATA_KEY, Session

    content = catalogue.read(catalogue.spec(catalogue.DEFAULT_MODEL))[1]
    head = graph.head(content)
    meta = json.loads(Session(content, "shipped", 1).metadata[METADATA_KEY])
    return content, meta, head.weights, head.bias


RULES = """labels = ["neutral", "happiness", "sadness", "anger", "pain"]

[[rule]]
name = "pain"
when = "pain"
above = 0.6
hold_s = 0.4
every_s = 30
per = "track"
to = ["text", "loud"]
quiet = ["22:00-06:00"]

[[rule]]
name = "gone"
when = "no_face"
hold_s = 10
to = ["text"]
repeat_s = 60
escalate_s = 120
escalate_to = ["hook"]
say = "{rule}: nobody for {hold_s} s"

[output.loud]
kind = "program"
command = ["true"]

[output.hook]
kind = "webhook"
url = "http://127.0.0.1:9/alarm"
"""


@cache
def _recipes() -> list[bytes]:
    from mien.training import recipes

    return [path.read_bytes() for path in recipes.shipped().values()]


RATES = {
    ".json": json.dumps({"neutral": 0.4, "happy": 0.3, "surprise": 0.1, "sad": 0.1, "angry": 0.05})
    + "\n",
    ".toml": "neutral = 0.4\nhappiness = 3\nsurprise = 0.1\nsadness = 0.1\nanger = 0.05\n",
}


@cache
def _record() -> dict[str, Any]:
    """A record of one frame, as mien writes it."""
    from mien.analysis.pipeline import Analyzer
    from mien.face import Frame
    from mien.results.records import record_of
    from mien.testing import FakeDetector, FakeRecognizer

    pixels = np.asarray(_picture().convert("RGB"))
    frame = Frame(pixels, source="made.mp4")
    analyzer = Analyzer(recognizer=FakeRecognizer(), detector=FakeDetector((20, 10, 90, 80)))
    record: dict[str, Any] = record_of(frame, analyzer.analyze_frame(frame))
    record["faces"][0]["track"] = 1
    return record


def _frames(count: int) -> list[dict[str, Any]]:
    return [_record() | {"frame": i, "time_s": i / 10} for i in range(count)]


def _journal() -> list[dict[str, Any]]:
    alarm = {
        "key": "20261125T213000-1",
        "rule": "pain",
        "text": "pain for 0.4 s",
        "track": 1,
        "measured": 0.8,
        "time": "2026-11-25T21:30:00+00:00",
    }
    call = {"event": "call", "alarm": alarm, "call": 0, "to": ["text", "hook"]}
    key = {"key": alarm["key"], "call": 0}
    return [
        call | {"escalated": False, "waits": True},
        {"event": "delivered", "output": "text"} | key,
        {"event": "undelivered", "output": "hook", "reason": "refused"} | key,
        {"event": "held_back", "rule": "pain", "track": 1, "why": "quiet hours"},
        {"event": "acknowledged", "key": alarm["key"], "by": "Ann"},
    ]


@cache
def _table() -> bytes:
    from mien.data import table

    png = table.png(np.asarray(_picture()))
    rows = [
        table.Row(
            f"made/{i}",
            ("Training", "PublicTest")[i % 2],
            ("anger", "neutral")[i % 2],
            png,
            120,
            96,
            votes=(1.0, 2.0),
            subject="Ann",
            landmarks=tuple(float(v) for v in range(136)),
            intensity=(0.5, 0.1),
        )
        for i in range(6)
    ]
    made = table.Table("made", rows, ("anger", "neutral"), {}, ("anger", "neutral"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.parquet"
        table.write(made, path)
        return path.read_bytes()


# -- the kinds: how an input is made, and how it is read ----------------------------------------

Made = tuple[str, bytes]
"""A file's suffix and its content."""


def a_picture(rng: random.Random) -> Made:
    suffix, content = rng.choice(_pictures())
    return suffix, damaged(rng, content)


def a_recording(rng: random.Random) -> Made:
    suffix, content = rng.choice(_recordings())
    return suffix, damaged(rng, content)


def a_model(rng: random.Random) -> Made:
    """Half of them with odd metadata, half with other bytes about their graph."""
    from mien.weights import graph
    from mien.weights.session import METADATA_KEY

    content, meta, weights, bias = _model()
    if rng.random() < 0.5:
        said = changed(rng, meta) if rng.random() < 0.8 else {**meta, rng.choice(list(meta)): 3}
        return ".onnx", graph.with_head(content, weights, bias, {METADATA_KEY: json.dumps(said)})
    whole = graph.with_head(content, weights, bias, {METADATA_KEY: json.dumps(meta)})
    # What is before the large tensors and behind them says how the graph hangs together.
    first = rng.choice((0, len(whole) - 60_000))
    part = damaged(rng, whole[first : first + 60_000])
    return ".onnx", whole[:first] + part + whole[first + 60_000 :]


def some_rules(rng: random.Random) -> Made:
    return ".toml", _misread(rng, RULES)


def a_recipe(rng: random.Random) -> Made:
    return ".toml", _misread(rng, rng.choice(_recipes()).decode())


def _misread(rng: random.Random, toml: str) -> bytes:
    """Half the time another text, half other values."""
    if rng.random() < 0.5:
        return misspelt(rng, toml).encode(errors="surrogatepass")
    return _as_toml(changed(rng, tomllib.loads(toml)))


def some_rates(rng: random.Random) -> Made:
    suffix, text = rng.choice(list(RATES.items()))
    if suffix == ".json" and rng.random() < 0.5:
        return suffix, _as_json(changed(rng, json.loads(text)))
    return suffix, misspelt(rng, text).encode(errors="surrogatepass")


def some_lines(rng: random.Random, values: Sequence[Any]) -> bytes:
    """JSON lines of which one or two are odd, or all of them damaged as bytes."""
    lines = [_as_json(value) for value in values]
    if rng.random() < 0.3:
        return damaged(rng, b"\n".join(lines) + b"\n")
    for _ in range(rng.choice((1, 2))):
        at = rng.randrange(len(lines))
        odd = (b"[" * 100_000, b"9" * 5000, b"\xff\xfe", b"", b"null", b"{}")
        lines[at] = _as_json(changed(rng, values[at])) if rng.random() < 0.8 else rng.choice(odd)
    return b"\n".join(lines) + b"\n"


def some_records(rng: random.Random) -> Made:
    return ".jsonl", some_lines(rng, _frames(4))


def a_journal(rng: random.Random) -> Made:
    return ".jsonl", some_lines(rng, _journal())


def a_table(rng: random.Random) -> Made:
    """Half with other bytes, half with a column or the metadata as somebody's program wrote it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if rng.random() < 0.5:
        return ".parquet", damaged(rng, _table())
    arrow = pq.read_table(io.BytesIO(_table()))
    name = rng.choice(arrow.schema.names)
    rows, kinds = len(arrow), (pa.int64(), pa.float64(), pa.string(), pa.bool_(), pa.binary())
    kind = rng.choice(kinds)
    odd = rng.choice(
        [
            pa.nulls(rows, kind),
            pa.nulls(rows),
            pa.array([1, None, 3, 4, 5, 6]),
            pa.array(["a"] * rows),
            pa.array([b"\0"] * rows),
            pa.array([[1.0]] * rows),
            pa.array([[None]] * rows, pa.list_(pa.float32())),
            pa.array([{"a": 1}] * rows),
            pa.array([float("nan")] * rows),
        ]
    )
    arrow = arrow.set_column(arrow.schema.get_field_index(name), name, odd)
    if rng.random() < 0.3:
        said = changed(rng, json.loads(arrow.schema.metadata[b"mien"]))
        arrow = arrow.replace_schema_metadata({"mien": json.dumps(said)})
    stream = io.BytesIO()
    pq.write_table(arrow, stream)
    return ".parquet", stream.getvalue()


class Unexpected(Exception):
    """A record that tells of a bug."""


def _checked(records: Iterator[dict[str, Any]]) -> None:
    for record in records:
        if "please report it" in record.get("reason", ""):
            raise Unexpected(record["reason"])
        if record["status"] == "error":
            raise MienError(record["reason"])


@cache
def _crops() -> Any:
    from mien.analysis.pipeline import Analyzer, Settings

    return Analyzer(Settings(crops=True, align="box"))


def read_picture(path: Path) -> None:
    from mien.analysis import batch

    _checked(iter([batch.run_job(_crops(), batch.Job(path))]))


def read_recording(path: Path) -> None:
    from mien.analysis import batch
    from mien.analysis.pipeline import Analyzer
    from mien.analysis.recording import Options
    from mien.testing import FakeDetector, FakeRecognizer

    analyzer = Analyzer(recognizer=FakeRecognizer(), detector=FakeDetector((8, 8, 40, 40)))
    _checked(batch.analyze_files([batch.Recording(path, Options())], analyzer))


def read_model(path: Path) -> None:
    from mien.evaluation import cards
    from mien.expression.baserates import BaseRates
    from mien.expression.recognize import load_model

    model = load_model(path, 1)
    model.read([np.asarray(_picture())], BaseRates())
    cards.of(str(path))


def read_rules(path: Path) -> None:
    """Rehearsed, as act check would want each output's library and broker to be there."""
    frames = path.with_name("frames.jsonl")
    frames.write_bytes(b"\n".join(_as_json(frame) for frame in _frames(4)) + b"\n")
    command("act", "test", path, frames)


def read_recipe(path: Path) -> None:
    from mien.papers import plans
    from mien.training import recipes

    with contextlib.suppress(MienError):
        plans.read(path)
    recipes.read(path)


def read_rates(path: Path) -> None:
    from mien.expression import baserates
    from mien.labels import subset

    baserates.read_rates(path, subset(["neutral", "happy", "surprise", "sad", "angry"]))


def read_records(path: Path) -> None:
    rules = path.with_name("rules.toml")
    rules.write_text(RULES.split("[output")[0].replace(', "loud"', "").replace('"hook"', '"text"'))
    with contextlib.suppress(MienError):
        command("act", "test", rules, path)
    # The timelines take a hundred times as long as all the rest.
    drawn = ("--out", path.with_name("summary")) if path.stat().st_size % 20 == 0 else ()
    command("summary", path, *drawn)


def read_journal(path: Path) -> None:
    from mien.alarms.journal import Journal

    with contextlib.suppress(MienError):
        command("act", "alarms", "--journal", path)
    Journal(path).close()
    command("act", "ack", "--journal", path)


def read_table(path: Path) -> None:
    from mien.data import stats, table

    stats.channel_stats(table.read(path))


def command(*words: str | Path) -> None:
    """A command line in this process; raises MienError for one that fails as it should."""
    from mien.app import terminal, verbs

    given = [str(word) for word in words]
    told = io.StringIO()
    argv, sys.argv = sys.argv, ["mien", *given]
    try:
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            terminal.run(lambda: verbs.made_for(given)())
    except SystemExit as end:
        if end.code:
            raise MienError(f"status {end.code}: {told.getvalue()[-200:]}") from None
    finally:
        sys.argv = argv


@dataclass(frozen=True, slots=True)
class Kind:
    """How many inputs of a kind there are, how one is made, and how it is read."""

    count: int
    make: Callable[[random.Random], Made]
    read: Callable[[Path], None]


KINDS = {
    "pictures": Kind(6000, a_picture, read_picture),
    "recordings": Kind(1500, a_recording, read_recording),
    "models": Kind(1500, a_model, read_model),
    "rules": Kind(3000, some_rules, read_rules),
    "recipes": Kind(2000, a_recipe, read_recipe),
    "base_rates": Kind(2000, some_rates, read_rates),
    "records": Kind(1500, some_records, read_records),
    "journals": Kind(1500, a_journal, read_journal),
    "tables": Kind(2000, a_table, read_table),
}


# -- counting -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Tally:
    """What became of inputs.

    tracebacks : by where each came from, how many, and the number of the first input. ended : the
    inputs that ended the process; endless : those that took longer than ``LIMIT_S``.
    """

    inputs: int = 0
    read: int = 0
    refused: int = 0
    tracebacks: dict[str, dict[str, int]] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)
    endless: list[int] = field(default_factory=list)
    longest_s: float = 0.0
    longest_input: int = 0
    peak_mib: float = 0.0

    def add(self, number: int, outcome: str, seconds: float) -> None:
        """``outcome``: "read", "refused", or where a traceback came from."""
        self.inputs += 1
        if outcome in ("read", "refused"):
            setattr(self, outcome, getattr(self, outcome) + 1)
        else:
            self.tracebacks.setdefault(outcome, {"count": 0, "first": number})["count"] += 1
        if seconds > self.longest_s:
            self.longest_s, self.longest_input = round(seconds, 2), number

    @property
    def faults(self) -> int:
        told = sum(found["count"] for found in self.tracebacks.values())
        return told + len(self.ended) + len(self.endless)


def made(kind: str, seed: int, number: int) -> Made:
    """An input by its seed."""
    return KINDS[kind].make(random.Random(f"{seed}/{kind}/{number}"))


def outcome_of(kind: str, content: Made, folder: Path) -> str:
    """What became of an input: "read", "refused", or where a traceback came from."""
    path = folder / f"input{content[0]}"
    path.write_bytes(content[1])
    try:
        KINDS[kind].read(path)
    except MienError:
        return "refused"
    except Exception as err:
        return _where(err)
    return "read"


def _where(err: BaseException) -> str:
    """An error's type and words, and the last line of mien's own that it came from."""
    place, trace = "", err.__traceback__
    while trace:
        file = Path(trace.tb_frame.f_code.co_filename)
        if "mien" in file.parts:
            place = f"{file.parent.name}/{file.name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{place} {type(err).__name__}: {str(err)[:80]}"


def hammer(kind: str, numbers: Sequence[int], seed: int = SEED) -> Tally:
    """Inputs of a kind, read in this process."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder, quiet_home(Path(folder)):
        for number in numbers:
            content = made(kind, seed, number)
            started = time.perf_counter()
            outcome = outcome_of(kind, content, Path(folder))
            tally.add(number, outcome, time.perf_counter() - started)
    return tally


@contextlib.contextmanager
def quiet_home(folder: Path) -> Iterator[None]:
    """Nothing is read from, or left in, the user's own."""
    before = os.environ.get("MIEN_HOME")
    os.environ["MIEN_HOME"] = str(folder / "home")
    try:
        yield
    finally:
        os.environ.pop("MIEN_HOME")
        if before is not None:
            os.environ["MIEN_HOME"] = before


def _work(kind: str, seed: int, first: int, count: int) -> None:
    """In a process of its own: a line on standard output before and after each input."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    with tempfile.TemporaryDirectory() as folder, quiet_home(Path(folder)):
        made(kind, seed, first)  # what is cached counts for no input
        for number in range(first, count):
            content = made(kind, seed, number)
            out.write(f"{json.dumps([number])}\n")
            signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
            started = time.perf_counter()
            outcome = outcome_of(kind, content, Path(folder))
            took = time.perf_counter() - started
            signal.setitimer(signal.ITIMER_REAL, 0)
            out.write(f"{json.dumps([number, outcome, took, _peak_mib()])}\n")


def _peak_mib() -> float:
    """What this process has taken at most; ``ru_maxrss`` would count its parent's, too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def counted(kind: str, seed: int, count: int) -> Tally:
    """All inputs of a kind, in as many processes as they end."""
    tally, first = Tally(), 0
    while first < count:
        words = [sys.executable, __file__, "--work", kind, str(seed), str(first), str(count)]
        begun = first - 1
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout
            for line in child.stdout:
                begun, *rest = json.loads(line)
                if rest:
                    outcome, took, peak = rest
                    tally.add(begun, outcome, took)
                    tally.peak_mib = max(tally.peak_mib, round(peak, 1))
                    first = begun + 1
        if first < count and begun >= first:
            ends = tally.endless if child.returncode == -signal.SIGALRM else tally.ended
            ends.append(begun)
            tally.inputs += 1
            first = begun + 1
        elif first < count:
            raise RuntimeError(f"{kind}: the process ended with {child.returncode} before an input")
    return tally


def main(
    kind: Annotated[list[str] | None, typer.Option(help="Only this kind; may be repeated.")] = None,
    share: Annotated[float, typer.Option(help="Of all inputs.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Another seed, other inputs.")] = SEED,
    only: Annotated[int | None, typer.Option(help="Only the input of this number, here.")] = None,
    keep: Annotated[Path | None, typer.Option(help="Keep that input under this name.")] = None,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/robustness.json"),
) -> None:
    """Damage files of every kind and count what becomes of them; status 1 for any fault."""
    if only is not None:
        for name in kind or ():
            suffix, content = made(name, seed, only)
            if keep:
                keep.with_suffix(suffix).write_bytes(content)
            print(json.dumps(asdict(hammer(name, [only], seed)), indent=2))
        return
    found = {}
    for name in kind or KINDS:
        found[name] = counted(name, seed, max(1, round(share * KINDS[name].count)))
        print(name, json.dumps(asdict(found[name])), file=sys.stderr, flush=True)
    totals = Counter[str]()
    for tally in found.values():
        totals.update(inputs=tally.inputs, read=tally.read, refused=tally.refused)
        totals.update(faults=tally.faults)
    report = {
        **provenance.environment(),
        "seed": seed,
        "share": share,
        "limit_s": LIMIT_S,
        "totals": dict(totals),
        "kinds": {name: asdict(tally) for name, tally in found.items()},
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    raise typer.Exit(1 if totals["faults"] else 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        _work(sys.argv[2], *map(int, sys.argv[3:]))
    else:
        typer.run(main)
