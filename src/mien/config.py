"""Strict reading of settings into frozen dataclasses.

Precedence: default in the code < recipe file < ``--set train.batch=64``. A key nobody knows is an
error that names the near miss; a value of the wrong type says what was expected.
"""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from . import foreign
from .errors import ConfigError, UnknownName

T = TypeVar("T")
_LONGEST = 10_000_000  # bytes of a TOML file
# For a key of N parts Python's reader takes the square of N in time and memory.
_LONG_KEY = re.compile(rb"(?<![\w\"'.-])(?:[\w\"'-]++[ \t]*+\.[ \t]*+){200}")

Told = typing.Annotated[float, "or nan"]
"""A number that somebody told, or nan where nobody did: no other setting may be nan."""


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; raises ConfigError with file and line."""
    try:
        return parse_toml(foreign.content(path, 2 * _LONGEST))
    except FileNotFoundError:
        raise ConfigError(f"no such file: {path}") from None
    except OSError as err:
        raise ConfigError(f"cannot read {path}: {err.strerror}") from err
    except ValueError as err:
        raise ConfigError(f"{path} is not readable TOML: {err}") from err


def parse_toml(content: bytes) -> dict[str, Any]:
    """The tables of a TOML text; raises ValueError, for what Python's reader takes besides, too.

    Examples
    --------
    >>> parse_toml(b"a = 0x" + b"f" * 17)
    Traceback (most recent call last):
    ValueError: a whole number of more than 64 bits
    """
    if len(content) > _LONGEST:
        raise ValueError(f"it has more than {_LONGEST} bytes")
    if _LONG_KEY.search(content):
        raise ValueError("nested too deeply")
    import tomllib  # here: two milliseconds that a run without TOML is spared

    try:
        found = tomllib.loads(content.decode("utf-8-sig"))
        _check_numbers(found)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return found


def _check_numbers(value: Any) -> None:
    """TOML's whole numbers have 64 bits; longer ones cannot even be shown."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("a whole number of more than 64 bits")
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _check_numbers(inner)


def from_dict(cls: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """An instance of the dataclass ``cls``; nested dataclasses come from nested tables.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True)
    ... class Train:
    ...     batch: int = 32
    ...     lr: float = 0.1
    >>> from_dict(Train, {"lr": 1})
    Train(batch=32, lr=1.0)
    >>> from_dict(Train, {"bach": 64})
    Traceback (most recent call last):
    mien.errors.UnknownName: no setting called 'bach'; did you mean batch?
    """
    assert dataclasses.is_dataclass(cls)
    kinds = typing.get_type_hints(cls, include_extras=True)
    for key in values:
        if key not in kinds:
            raise UnknownName("setting", key, kinds, where)
    given = {k: _convert(v, kinds[k], where + k) for k, v in values.items()}
    missing = [
        f.name
        for f in dataclasses.fields(cls)
        if f.name not in given
        and f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError("missing setting: " + ", ".join(where + m for m in missing))
    return cls(**given)


def _convert(value: Any, kind: Any, where: str) -> Any:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind == Told and isinstance(value, float) and math.isnan(value):
        return value
    if origin is typing.Annotated:
        return _convert(value, args[0], where)
    if origin in (typing.Union, types.UnionType):
        options = [a for a in args if a is not type(None)]
        return None if value is None else _convert(value, options[0], where)
    if origin is tuple:
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise ConfigError(f"{where} is a list, got {foreign.shown(value)}")
        return tuple(_convert(v, args[0], f"{where}[{i}]") for i, v in enumerate(value))
    if origin is Mapping:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} is a table, got {foreign.shown(value)}")
        return {name: _convert(v, args[1], f"{where}.{name}") for name, v in value.items()}
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} is a table of settings, got {foreign.shown(value)}")
        return from_dict(typing.cast(type, kind), value, where + ".")
    try:
        return _CHECKED[kind](value, where)
    except ValueError as err:
        raise ConfigError(str(err)) from None


def _flag(value: object, where: str) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError(f"{where} is true or false, got {foreign.shown(value)}")


_CHECKED: dict[Any, Callable[[object, str], Any]] = {
    int: foreign.whole,
    float: foreign.number,
    str: foreign.word,
    bool: _flag,
}


def apply_overrides(values: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A copy of nested ``values`` with ``section.key=value`` texts applied; values are TOML.

    Examples
    --------
    >>> apply_overrides({"train": {"batch": 32}}, ["train.batch=64", "model.name=resnet8"])
    {'train': {'batch': 64}, 'model': {'name': 'resnet8'}}
    """
    result = {k: dict(v) if isinstance(v, Mapping) else v for k, v in values.items()}
    for text in overrides:
        key, eq, raw = text.partition("=")
        section, dot, name = key.strip().partition(".")
        if not (eq and dot and section and name) or "." in name:
            raise ConfigError(f"--set takes section.key=value, got '{text}'")
        try:
            value = parse_toml(f"v = {raw}".encode(errors="replace"))["v"]
        except ValueError:
            value = raw.strip()  # a bare word is a text: --set model.name=resnet8
        table = result.setdefault(section, {})
        if not isinstance(table, dict):
            raise ConfigError(f"--set {text}: {section} is not a table of settings")
        table[name] = value
    return result
