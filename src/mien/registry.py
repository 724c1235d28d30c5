"""Name -> factory, with an error that helps."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from .errors import UnknownName

T = TypeVar("T")


class Registry(Generic[T]):
    """Factories by name: those of a table first, then in order of registration.

    places : name -> "module:factory". A module is imported when its name is asked for, so that it
        may import the registry's own, and costs nothing where nobody asks.

    Examples
    --------
    >>> nets: Registry[int] = Registry("network", {"fraction": "fractions:Fraction"})
    >>> @nets.register("resnet8")
    ... def resnet8() -> int:
    ...     return 8
    >>> nets.build("resnet8"), nets.build("fraction", 1, 2)
    (8, Fraction(1, 2))
    >>> nets.build("resnet9")
    Traceback (most recent call last):
    mien.errors.UnknownName: no network called 'resnet9'; did you mean resnet8?
    """

    def __init__(self, kind: str, places: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self._factories: dict[str, Callable[..., T] | str] = {**(places or {})}

    def register(self, name: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
        def add(factory: Callable[..., T]) -> Callable[..., T]:
            assert name not in self._factories, f"{self.kind} {name} registered twice"
            self._factories[name] = factory
            return factory

        return add

    def build(self, name: str, *args: object, **kwargs: object) -> T:
        """What the factory called ``name`` makes; raises UnknownName."""
        if name not in self._factories:
            raise UnknownName(self.kind, name, self._factories)
        factory = self._factories[name]
        if isinstance(factory, str):
            self._factories[name] = factory = _imported(factory)
        return factory(*args, **kwargs)

    def __contains__(self, name: object) -> bool:
        return name in self._factories

    def __iter__(self) -> Iterator[str]:
        return iter(self._factories)


def _imported(place: str) -> Callable[..., Any]:
    module, _, name = place.partition(":")
    factory: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return factory
