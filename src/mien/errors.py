"""Every error mien raises on purpose, as one tree.

    MienError
    ├── InputError          what was handed in cannot be used
    │   ├── ImageError      a picture that cannot be read (empty, damaged, too large)
    │   ├── VideoError      a recording that cannot be read, or holds no video
    │   ├── ShapeError      an array of the wrong shape, type or range
    │   ├── DataError       a data set whose layout is not what it should be
    │   └── ConfigError     a recipe, an override or an option that does not fit
    │       └── UnknownName a name no registry knows; carries the nearest one
    ├── ModelError          a model file that is damaged, or not one of mien's
    │   └── WeightsMissing  a weight file that is neither shipped nor found
    ├── TrainingError       a training run that cannot go on
    ├── OutputError         a result that cannot be written
    ├── ServiceError        a service elsewhere that does not answer, or refuses
    └── MissingExtra        an optional library that is not installed

A message says what came, what was expected and what to do. The command line prints it without a
traceback; anything outside this tree is a bug.
"""

from __future__ import annotations

from collections.abc import Iterable


class MienError(Exception):
    """The root of the tree."""


class InputError(MienError):
    """What was handed in cannot be used."""


class ImageError(InputError):
    """A picture that cannot be read."""


class VideoError(InputError):
    """A recording that cannot be read, or holds no video."""


class ShapeError(InputError):
    """An array of the wrong shape, type or range."""


class DataError(InputError):
    """A data set whose layout is not what it should be."""


class ConfigError(InputError):
    """A recipe, an override or an option that does not fit."""


class UnknownName(ConfigError):
    """A name that no registry knows.

    Attributes
    ----------
    name : what came
    known : the names there are
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], where: str = "") -> None:
        import difflib  # here: most runs have no such error

        # ``where`` ("train.") is shown but not compared: it would make any two names look alike.
        names = tuple(known)
        near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
        self.name = where + name
        self.known = tuple(where + n for n in names)
        there = f"there are: {', '.join(self.known)}" if self.known else "there is none"
        hint = f"did you mean {where}{near[0]}?" if near else there
        super().__init__(f"no {kind} called '{self.name}'; {hint}")


class ModelError(MienError):
    """A model file that is damaged, or not one of mien's."""


class WeightsMissing(ModelError):
    """A weight file that is neither shipped with mien nor found on this machine."""


class TrainingError(MienError):
    """A training run that cannot go on."""


class OutputError(MienError):
    """A result that cannot be written."""


class ServiceError(MienError):
    """A service elsewhere does not answer, or refuses.

    Attributes
    ----------
    status : of HTTP; None where there is no answer
    """

    def __init__(self, detail: str, status: int | None = None) -> None:
        super().__init__(detail)
        self.status = status


class MissingExtra(MienError):
    """An optional library that is not installed.

    Attributes
    ----------
    lacking : what is missing for what, for somebody who cannot install it
    """

    def __init__(self, library: str, extra: str, purpose: str) -> None:
        from .install import adding

        self.lacking = f"{purpose} needs {library}, which is not installed"
        super().__init__(f"{self.lacking}: {adding(extra)}")
