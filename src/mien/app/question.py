"""What ``mien evaluate`` is asked, and what of it goes together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a model in one go; each part as of ``evaluate``."""

    model: str | None
    path: Path | None
    run: Path | None
    by: str | None
    crops: bool
    split: str | None
    base_rates: list[str] | None
    strength: float | None
    detector: str | None
    pad: float
    alignment: str | None
    recipe: str | None
    stress: str | None
    beside: list[str] | None
    panel: bool
    together: bool

    def check(self) -> None:
        """Raises ConfigError where its parts do not go together."""
        for refused, why in (*self._pictures(), *self._measures()):
            if refused:
                raise ConfigError(why)

    @property
    def _is_rated(self) -> bool:
        return bool(self.base_rates) or self.strength is not None

    @property
    def _is_other(self) -> bool:
        """Whether something else than the figures of one data set is asked for."""
        return bool(self.stress or self.panel)

    def _pictures(self) -> Iterator[tuple[object, str]]:
        """Whether they are named, and once."""
        cut = self.detector or self.crops or self.pad
        yield (
            self.run and (self.path or self.split or self.recipe or cut or self._is_other),
            "--run tests on what the run held back, as it cut it: mien evaluate --run runs/mine",
        )
        yield (
            not self.run and not (self.model and self.path),
            "which model, on which pictures? mien evaluate MODEL FOLDER, or mien evaluate --run "
            "DIR",
        )
        yield (
            self.crops and self.detector,
            "--crops does not search, --detector says what to search with: leave one",
        )

    def _measures(self) -> Iterator[tuple[object, str]]:
        """Whether what is measured goes with how."""
        cut = self.crops or self.detector or self.pad or self.alignment
        yield (
            self.beside and not self._is_other,
            "--beside goes with --stress or --panel: mien evaluate MODEL TABLE --stress all",
        )
        yield self.together and not self.panel, "--together goes with --panel and --beside"
        yield (
            self.by and self._is_other,
            "--by goes with the figures of one data set, not with --stress or --panel",
        )
        yield (
            self.panel and (self.split or self._is_rated or cut or self.recipe),
            "--panel reads each set as its file says, at every strength",
        )
        yield (
            self.panel and self.stress,
            "--panel and --stress are two questions: ask one at a time",
        )
        yield (
            self.stress and (self._is_rated or self.detector or self.pad),
            "--stress takes face crops, and a model as it is used by default",
        )
