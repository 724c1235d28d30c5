"""Name -> factory, with an error that helps."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .errors import ConfigError, UnknownName

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")


class Registry(Generic[T]):
    """Factories by name: those of a table first, then in order of registration, then plug-ins.

    places : name -> "module:factory". A module is imported when its name is asked for, so that it
        may import the registry's own, and costs nothing where nobody asks.
    group : of the entry points by which other packages add factories; they are looked for only
        where a name is none of the registry's own.

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

    def __init__(
        self, kind: str, places: Mapping[str, str] | None = None, group: str | None = None
    ) -> None:
        self.kind, self._group = kind, group
        self._factories: dict[str, Callable[..., T] | str] = {**(places or {})}

    def register(self, name: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
        def add(factory: Callable[..., T]) -> Callable[..., T]:
            assert name not in self._factories, f"{self.kind} {name} registered twice"
            self._factories[name] = factory
            return factory

        return add

    def build(self, name: str, *args: object, **kwargs: object) -> T:
        """What the factory called ``name`` makes; raises UnknownName.

        Raises ConfigError for a plug-in that cannot be loaded.
        """
        if name not in self._factories:
            self._factories[name] = self._plugged_in(name)
        factory = self._factories[name]
        if isinstance(factory, str):
            self._factories[name] = factory = _imported(factory)
        return factory(*args, **kwargs)

    def __contains__(self, name: object) -> bool:
        return name in self._factories or name in self._plugins()

    def __iter__(self) -> Iterator[str]:
        yield from list(self._factories)
        yield from (name for name in self._plugins() if name not in self._factories)

    def _plugged_in(self, name: str) -> Callable[..., T]:
        found = self._plugins().get(name)
        if found is None:
            raise UnknownName(self.kind, name, list(self))
        try:
            factory: Callable[..., T] = found.load()
        except Exception as err:  # whatever another's module does as it is imported
            whose = f" of {found.dist.name}" if found.dist else ""
            raise ConfigError(
                f"the {self.kind} '{name}'{whose} ({found.value}) cannot be loaded: "
                f"{type(err).__name__}: {err}; mend or uninstall that package"
            ) from err
        return factory

    def _plugins(self) -> dict[str, EntryPoint]:
        if self._group is None:
            return {}
        from importlib.metadata import entry_points

        return {entry.name: entry for entry in entry_points(group=self._group)}


def _imported(place: str) -> Callable[..., Any]:
    module, _, name = place.partition(":")
    factory: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return factory
