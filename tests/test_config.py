"""Strict settings: what is unknown, missing or of another type is named."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mien import config
from mien.errors import ConfigError, UnknownName


@dataclass(frozen=True)
class Net:
    name: str
    width: int = 8
    dropout: float = 0.0


@dataclass(frozen=True)
class Step:
    at: int
    lr: float


@dataclass(frozen=True)
class Run:
    net: Net
    flip: bool = True
    seeds: tuple[int, ...] = (1,)
    steps: tuple[Step, ...] = field(default=())
    note: str | None = None
    teacher: Net | None = None


def test_nested_tables_become_nested_dataclasses() -> None:
    values = {
        "net": {"name": "vgg", "dropout": 1},
        "flip": False,
        "seeds": [1, 2],
        "steps": [{"at": 0, "lr": 0.1}, {"at": 5, "lr": 0}],
        "note": "first",
        "teacher": {"name": "big", "width": 64},
    }
    run = config.from_dict(Run, values)
    assert run == Run(
        Net("vgg", 8, 1.0),
        flip=False,
        seeds=(1, 2),
        steps=(Step(0, 0.1), Step(5, 0.0)),
        note="first",
        teacher=Net("big", 64),
    )
    assert isinstance(run.net.dropout, float)  # 1 is a number too
    assert isinstance(run.steps[1].lr, float)


def test_defaults_stand_where_nothing_is_said() -> None:
    assert config.from_dict(Run, {"net": {"name": "vgg"}}) == Run(Net("vgg"))
    assert config.from_dict(Run, {"net": {"name": "vgg"}, "note": None}).note is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"nett": {}}, "no setting called 'nett'; did you mean net?"),
        ({"net": {"nam": "x"}}, "no setting called 'net.nam'; did you mean net.name?"),
        (
            {"net": {"name": "x", "zzz": 1}},
            "'net.zzz'; there are: net.name, net.width, net.dropout",
        ),
        ({"net": {"name": "x"}, "steps": [{"to": 1}]}, "no setting called 'steps[0].to'"),
        ({"teacher": {"nmae": "x"}}, "did you mean teacher.name?"),
    ],
)
def test_an_unknown_key_names_the_near_miss(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownName) as caught:
        config.from_dict(Run, values)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "missing setting: net"),
        ({"net": {}}, "missing setting: net.name"),
        ({"net": {"name": "x"}, "steps": [{}]}, "missing setting: steps[0].at, steps[0].lr"),
    ],
)
def test_a_missing_setting_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.from_dict(Run, values)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"net": 3}, "net is a table of settings, got 3"),
        ({"net": {"name": 3}}, "net.name is a text, got 3"),
        ({"net": {"name": None}}, "net.name is a text, got None"),
        ({"net": {"name": "x", "width": 1.0}}, "net.width is a whole number, got 1.0"),
        ({"net": {"name": "x", "width": "8"}}, "net.width is a whole number, got '8'"),
        ({"net": {"name": "x", "width": True}}, "net.width is a whole number, got True"),
        ({"net": {"name": "x", "dropout": False}}, "net.dropout is a number, got False"),
        ({"net": {"name": "x", "dropout": ".5"}}, "net.dropout is a number, got '.5'"),
        ({"flip": 1}, "flip is true or false, got 1"),
        ({"flip": "true"}, "flip is true or false, got 'true'"),
        ({"seeds": 1}, "seeds is a list, got 1"),
        ({"seeds": "12"}, "seeds is a list, got '12'"),
        ({"seeds": [1, "2"]}, "seeds[1] is a whole number, got '2'"),
        ({"steps": [{"at": 0, "lr": "x"}]}, "steps[0].lr is a number, got 'x'"),
        ({"note": 5}, "note is a text, got 5"),
        ({"teacher": "big"}, "teacher is a table of settings, got 'big'"),
    ],
)
def test_a_value_of_another_type_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.from_dict(Run, values)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("net.width=64", 64),
        ("net.width = 64", 64),
        ("net.dropout=1e-3", 0.001),
        ("net.flip=true", True),
        ("net.name=resnet8", "resnet8"),
        ('net.name="two words"', "two words"),
        ("net.name=a=b", "a=b"),
        ("net.name=", ""),
        ("net.seeds=[1, 2]", [1, 2]),
        ("net.path=folder/x.toml", "folder/x.toml"),
    ],
)
def test_an_override_is_toml_or_a_bare_word(text: str, value: object) -> None:
    section, _, name = text.partition("=")[0].strip().partition(".")
    assert config.apply_overrides({}, [text]) == {section: {name: value}}


def test_overrides_win_and_the_last_of_them_most() -> None:
    recipe = {"net": {"name": "vgg", "width": 8}, "train": {"batch": 32}}
    result = config.apply_overrides(recipe, ["net.width=16", "net.width=32"])
    assert result == {"net": {"name": "vgg", "width": 32}, "train": {"batch": 32}}
    assert recipe["net"] == {"name": "vgg", "width": 8}  # a copy


@pytest.mark.parametrize(
    "text", ["batch=3", "train.batch", "train.=3", ".batch=3", "a.b.c=3", "=3", ""]
)
def test_an_override_of_another_form_is_shown_the_form(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.apply_overrides({}, [text])
    assert str(caught.value) == f"--set takes section.key=value, got '{text}'"


def test_an_override_into_what_is_no_table() -> None:
    with pytest.raises(ConfigError, match=r"--set flip\.x=1: flip is not a table of settings"):
        config.apply_overrides({"flip": True}, ["flip.x=1"])


def test_a_mistyped_override_names_the_near_miss() -> None:
    values = config.apply_overrides({"net": {"name": "vgg"}}, ["net.widht=3"])
    with pytest.raises(UnknownName, match=r"'net\.widht'; did you mean net\.width\?"):
        config.from_dict(Run, values)


def test_read_toml(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text('[net]\nname = "größer"\n', encoding="utf-8")
    assert config.read_toml(path) == {"net": {"name": "größer"}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[net\nname = 1", "r.toml is not readable TOML: .*line 1"),
        (b"[net]\nname = 1\nname = 2\n", "is not readable TOML: .*line 3"),
        (b"\xff\xfe\x00", "is not readable TOML"),
    ],
)
def test_damaged_toml_names_file_and_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "r.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        config.read_toml(path)


def test_missing_toml(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file: .*gone\.toml"):
        config.read_toml(tmp_path / "gone.toml")
    with pytest.raises(ConfigError, match="cannot read"):
        config.read_toml(tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a = " + "[" * 100_000, "nested too deeply"),
        ("a = " + "1" * 5000, "not readable TOML"),
        ("a = " + "1" * 4000, "more than 64 bits"),
        ("a = [{b = 0x" + "f" * 5000 + "}]", "more than 64 bits"),
        (".".join(["a"] * 50_000) + " = 1", "nested too deeply"),
        ("a = '" + "x" * 10_000_001 + "'", "more than 10000000 bytes"),
        ("\ufeffa = ", "not readable TOML"),
    ],
    ids=["deep", "5000 digits", "4000 digits", "hexadecimal", "dotted", "long", "mark"],
)
def test_a_file_that_no_reader_likes_is_told(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=says):
        config.read_toml(path)
    if path.stat().st_size < 1_000_000:
        assert config.apply_overrides({}, [f"a.b={text[4:]}"])  # a text, as it is no TOML


def test_a_mark_at_the_beginning_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("\ufeffa = 1\n", encoding="utf-8")
    assert config.read_toml(tmp_path / "a.toml") == {"a": 1}
