"""Name -> factory, with an error that helps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from .errors import UnknownName

T = TypeVar("T")


class Registry(Generic[T]):
    """Factories by name, in order of registration.

    Examples
    --------
    >>> nets: Registry[int] = Registry("network")
    >>> @nets.register("resnet8")
    ... def resnet8() -> int:
    ...     return 8
    >>> nets.build("resnet8")
    8
    >>> nets.build("resnet9")
    Traceback (most recent call last):
    mien.errors.UnknownName: no network called 'resnet9'; did you mean resnet8?
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._factories: dict[str, Callable[..., T]] = {}

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
        return self._factories[name](*args, **kwargs)

    def __iter__(self) -> Iterator[str]:
        return iter(self._factories)
