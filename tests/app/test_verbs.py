"""Verbs found and built, misuse, and what all verbs share."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import pytest
import typer

import mien
from mien.analysis.pipeline import Settings
from mien.app import analysis, console, verbs
from mien.app.analyze import analyze
from mien.app.bench import bench
from mien.app.models import models_card
from mien.app.options import Strength
from mien.expression.baserates import DEFAULT_STRENGTH
from mien.weights import catalogue
from tests.app.running import MIEN, Call, Ended, on_terminal, run

ROOT = Path(__file__).parents[2]

MISUSES = [
    (["analyze", "missing.jpg"], "no such file or folder: missing.jpg"),
    (["analyze", "SMILE", "missing.jpg"], "no such file or folder: missing.jpg"),
    (["analyze", "missing*.jpg"], "no picture or recording matches missing*.jpg"),
    (["analyze", "."], "no picture or recording in folder ."),
    (["analyze", "SMILE", "-m", "resnet10-ferpuls"], "did you mean resnet10-ferplus?"),
    (["analyze", "SMILE", "-d", "harr"], "no detector called 'harr'; did you mean haar?"),
    (["analyze", "SMILE", "-f", "cvs"], "no format called 'cvs'; did you mean csv?"),
    (
        ["analyze", "SMILE", "-o", "out.json"],
        "give the file one of .csv, .xlsx, .jsonl, .parquet (out.jsonl)",
    ),
    (["analyze", "SMILE", "-o", "out1"], "out1: no ending says the format"),
    (["analyze", "SMILE", "-o", "a.csv", "-f", "jsonl"], "name it a.jsonl, or leave --format out"),
    (["live", "SMILE", "--record", "out1"], "out1: no ending says the format"),
    (["data", "stats", "t.parquet", "-o", "a.csv"], "a.csv is to be .json; name it a.json"),
    (["data", "align", "t.parquet", "--align", "box", "-o", "u.csv"], "name it u.parquet"),
    (["data", "sheet", "t.parquet", "-o", "a"], "a is to be .png; name it a.png"),
    (["analyze", "SMILE", "-f", "parquet"], "--out FILE.parquet"),
    (["analyze", "SMILE", "--base-rates", "no.json"], "no file 'no.json'"),
    (["analyze", "SMILE", "--strength", "2"], "--strength"),
    (["analyze", "SMILE", "--processes", "0"], "--processes"),
    (["analyze", "SMILE", "--align", "simlarity"], "did you mean similarity?"),
    (["analyze", "SMILE", "--draw", "landmarks"], "name a folder with --annotate"),
    (["analyze", "SMILE", "--draw", "landmark"], "did you mean landmarks?"),
    (["analyze", "SMILE", "--draw", "foo", "--annotate", "out"], "no drawing called 'foo'"),
    (["analyze"], "INPUT"),
    (["analyse", "SMILE"], "analyse"),
    (["data", "import", "300v", ".", "-o", "t.parquet"], "did you mean 300w?"),
    (["data", "align", "t.parquet", "--align", "box", "-o", "u.parquet"], "no such table"),
    (["data", "join", "-o", "u.parquet"], "TABLE"),
    (["models", "card", "yunnet"], "yunet"),
    (["models", "pull", "nothing"], "no model called 'nothing'"),
    (["bench", "--repeat", "0"], "--repeat"),
    (["bench", "--picture", "no.jpg"], "no such file: no.jpg"),
]


@pytest.mark.parametrize(("words", "said"), MISUSES, ids=lambda value: str(value)[:60])
def test_misuse_is_2_and_nothing_is_done(
    call: Call,
    smile: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: Sequence[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(*[str(smile) if word == "SMILE" else word for word in words])
    assert (done.status, done.out) == (2, "")
    assert said in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk(smile: Path) -> None:
    done = run("analyze", smile, "-o", "/dev/full")
    assert done.status == 1
    assert done.err.startswith("mien: cannot write /dev/full: No space left on device")
    for words in (["analyze", smile], ["models", "list"]):
        with open("/dev/full", "wb") as full:
            ended = subprocess.run([*MIEN, *words], stdout=full, stderr=subprocess.PIPE, text=True)
        assert ended.returncode == 1
        assert re.fullmatch(r"mien: .*No space left on device\n", ended.stderr), ended.stderr


@pytest.mark.parametrize(
    "words", [["--help"], ["analyze", "--help"], ["models", "list"], ["models", "card"]], ids=str
)
def test_what_one_reads_fits_80_columns(words: list[str]) -> None:
    done = on_terminal(*words, columns=80)
    assert done.status == 0
    assert max(map(len, done.out.splitlines())) <= 80
    assert "…" not in done.out  # nothing is cut


def test_version(call: Call) -> None:
    assert call("--version") == Ended(0, f"mien {mien.__version__}\n", "")


def test_a_verb_built_alone_is_the_one_among_all() -> None:
    every = commands_for()
    assert list(every) == [*verbs.COMMANDS, *verbs.GROUPS]
    for verb, command in every.items():
        alone = commands_for(verb, "--help")
        assert list(alone) == [verb]
        assert outline(alone[verb]) == outline(command)
    for words in ([], ["--help"], ["analyse"], ["--version", "analyze"]):
        assert list(commands_for(*words)) == list(every)


def commands_for(*words: str) -> dict[str, Any]:
    """What the command line that is built for these words knows, by name."""
    command = typer.main.get_command(verbs.made_for(words))
    assert isinstance(command, typer.core.TyperGroup)
    return dict(command.commands)


def test_no_verb_is_imported_but_the_one_that_is_asked_for() -> None:
    for verb in (*verbs.COMMANDS, *verbs.GROUPS):
        code = f"""
import sys
from mien.app import verbs
verbs.made_for([{verb!r}, "--help"])
modules = {{f"mien.app.{{name}}" for name in (*verbs.COMMANDS, *verbs.GROUPS)}}
print(sorted(modules & set(sys.modules)))
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stdout == f"['mien.app.{verb}']\n", done.stderr


def test_help_tells_an_example_that_parses_and_a_page_that_is_there() -> None:
    every = commands_for()
    for name, told in (verbs.COMMANDS | verbs.GROUPS).items():
        program, verb, *words = shlex.split(told.example)
        assert (program, verb) == ("mien", name)
        command = every[name]
        if name in verbs.GROUPS:
            command, words = command.commands[words[0]], words[1:]
        known = {option for param in command.params for option in param.opts}
        assert {word for word in words if word.startswith("-")} <= known
        for page in told.page.split(", "):
            assert (ROOT / "docs" / page).is_file(), page


def test_no_help_loses_words_in_brackets() -> None:
    """What stands in square brackets is a style to the library that draws the help."""
    for name, command in commands_for().items():
        for verb in (command, *getattr(command, "commands", {}).values()):
            texts = [verb.help, *(getattr(param, "help", None) for param in verb.params)]
            assert not [text for text in texts if text and re.search(r"(?<!\\)\[", text)], name


def test_every_help_shows_every_word(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """On paper, whatever the library that draws it makes of brackets, stars and underscores."""
    monkeypatch.setenv("COLUMNS", "400")
    for name, command in commands_for().items():
        verbs_of = getattr(command, "commands", {})
        for verb, of in {"": command, **verbs_of}.items():
            shown = " ".join(call(name, *verb.split(), "--help").out.replace("│", " ").split())
            texts = [of.help, *(getattr(param, "help", None) for param in of.params)]
            for text in filter(None, texts):
                wanted = " ".join(text.replace("\\[", "[").split())
                assert wanted in shown, (name, verb, text)


def test_a_heading_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    console.key_values([("a [b]", "1")], ("[copies]", "rates[1].json"))
    out = capsys.readouterr().out
    assert all(words in out for words in ("[copies]", "rates[1].json", "a [b]"))


def outline(command: Any) -> list[Any]:
    """A verb's own help, its options, and the verbs under it."""
    verbs = getattr(command, "commands", {}).values()
    return [command.help, [p.opts for p in command.params], [outline(verb) for verb in verbs]]


def test_without_a_verb_the_help_is_shown(call: Call) -> None:
    assert "analyze" in call().out


def test_defaults_are_the_library_s() -> None:
    options = inspect.signature(analyze).parameters
    settings = Settings()
    assert analysis.DEFAULT_MODEL == catalogue.DEFAULT_MODEL == settings.model
    assert options["model"].default == settings.model
    assert options["detector"].default == settings.detector
    assert options["crops"].default == settings.crops
    assert options["base_rates"].default is options["strength"].default is settings.base_rates
    assert f" {DEFAULT_STRENGTH:g} if you do not say" in get_args(Strength)[1].help
    for verb in (bench, models_card):
        assert inspect.signature(verb).parameters["model"].default == settings.model


def test_a_reproduction_that_is_stopped_says_how_to_go_on(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mien.papers.reproduce.reproduce", stopped)
    done = call("reproduce", "iliev2022", "--data", "jaffe=j.parquet", "--out", tmp_path / "p")
    assert done.status == 130
    assert done.err == "stopped; the same command goes on from the last whole epoch\n"


@pytest.mark.parametrize(
    "words",
    [
        ("adapt", "mien", "people", "-o", "ours.onnx", "--fps"),
        ("evaluate", "mien", "faces.parquet", "--pad"),
        ("serve", "--keep-days"),
    ],
)
def test_what_is_no_number_is_refused_before_any_work(call: Call, words: tuple[str, ...]) -> None:
    done = call(*words, "nan")
    assert done.status == 2
    assert done.err == f"mien: {words[-1]} takes a number, got nan\n"
