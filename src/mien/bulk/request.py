"""What a run asks for, as plain values: they travel to other processes and machines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..analysis import kept
from ..analysis.pipeline import Analyzer, Settings
from ..analysis.ranges import LENGTH_S
from ..analysis.recording import Options
from .store import keepable


@dataclass(frozen=True, slots=True)
class Request:
    """How every input is analysed, and where to.

    settings : of each analyzer. options : of recordings. length_s : of a range of a recording.
    tries : of an input that cannot be fetched, or that ends its worker each time.
    """

    source: str
    out: str
    settings: Settings = field(default_factory=Settings)
    options: Options = field(default_factory=Options)
    length_s: float = LENGTH_S
    tries: int = 3

    def told(self, analyzer: Analyzer) -> dict[str, Any]:
        """All that the results depend on, which a run that goes on must ask for, too."""
        asked = {"source": keepable(self.source), "range_s": self.length_s}
        return asked | kept.made_with(analyzer, self.options)

    def analyzer(self, expected: dict[str, Any] | None = None) -> Analyzer:
        """What reads the pictures here; raises ConfigError where it is not what was asked for.

        expected : as ``told`` says it where the run was begun: a machine may have another mien.
        """
        made = Analyzer(self.settings)
        if self.options.smooth != "none":
            made.check_unsmoothed()
        if expected:
            kept.check(self.told(made), expected)
        return made
