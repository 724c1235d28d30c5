"""What a ``rules.toml`` says: when an expression is an alarm, and whom it calls.

::

    [[rule]]
    name = "pain"
    when = "sadness"              # an emotion, or uncertain, no_face, no_data
    above = 0.6
    hold_s = 2
    to = ["text", "speech"]

Only the text and its checks are here; ``mien.alarms.watch`` carries the rules out. Neither opens a
file (but ``read``), nor looks at a clock.
"""

from __future__ import annotations

import datetime
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import labels as vocabulary
from ..config import from_dict, read_toml
from ..errors import ConfigError, UnknownName

UNCERTAIN, NO_FACE, NO_DATA = "uncertain", "no_face", "no_data"
CONDITIONS = (UNCERTAIN, NO_FACE, NO_DATA)
"""What a rule may ask for besides an emotion.

uncertain : a face well enough seen whose expression the model cannot tell.
no_face : a picture with nobody in it.
no_data : nothing to go by: no frames, frames that cannot be read, faces of low quality.
"""
MEASURES = ("probability", "intensity")
SUBJECTS = ("any", "track")
_BAND = 0.1  # hysteresis, where the rule does not say
_GAP_S, _FORGET_S = 0.5, 5.0  # where the rule does not say, and frames come often
_GAP, _FORGET = 1.5, 5.0  # times the usual distance of frames, where they are rare
_DAY_S = 86_400.0
_LONGEST = 500  # characters of a text: more is not read out in time
_NAME = re.compile(r"(?!\s*\Z)[^\x00-\x1f\x7f-\x9f/+#]{1,64}")  # more than blanks
_OUTPUT = re.compile(r"(?!\s*\Z)[^\x00-\x1f\x7f-\x9f]+")

Span = tuple[datetime.time, datetime.time]


@dataclass(frozen=True, slots=True)
class Rule:
    """One alarm. Times are seconds, levels in (0, 1).

    name : unique; part of MQTT topics, so without / + #.
    when : a label, or one of ``CONDITIONS``.
    to : the outputs it is sent to, all at once.
    say : the text that is shown and spoken; without one it is made from the rule.
    measure : of the label, "probability" or "intensity".
    above, below : the level from which on it shows; one of the two.
    release : the level at which it is over, on the quiet side of that: in between, what was stays.
    hold_s : how long it has to show.
    per : "any" face, or each "track" by itself.
    every_s : least time between two alarms of it, for any face or per track.
    quiet : times of the day without new alarms, "22:00-07:00", by this machine's clock.
    gap_s : what a gap between two usable looks counts for at most, towards ``hold_s``; see ``gap``.
    forget_s : after as long without a usable look it begins anew; see ``forget``.
    repeat_s : call again this often until somebody acknowledges it; None calls once.
    escalate_s, escalate_to : call these too, when nobody has acknowledged it for so long.
    """

    name: str
    when: str
    to: tuple[str, ...]
    say: str = ""
    measure: str = "probability"
    above: float | None = None
    below: float | None = None
    release: float | None = None
    hold_s: float = 1.0
    per: str = "any"
    every_s: float = 60.0
    quiet: tuple[str, ...] = ()
    gap_s: float | None = None
    forget_s: float | None = None
    repeat_s: float | None = None
    escalate_s: float | None = None
    escalate_to: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for problem in _problems(self):
            raise ConfigError(f"rule '{self.name}': {problem}")

    @property
    def level(self) -> float:
        """``above`` or ``below``; only an emotion has one."""
        level = self.below if self.above is None else self.above
        assert level is not None
        return level

    @property
    def released_at(self) -> float:
        """Where it is over again: at or under it for ``above``, at or over it for ``below``."""
        if self.release is not None:
            return self.release
        if self.above is not None:
            return max(self.above - _BAND, self.above / 2)
        return min(self.level + _BAND, (1 + self.level) / 2)

    @property
    def text(self) -> str:
        return self.say or f"{self.name}: {self.condition}"

    @property
    def condition(self) -> str:
        """What it waits for, in words.

        >>> Rule("pain", "sadness", ("text",), above=0.6, hold_s=2).condition
        'sadness above 0.6 for 2 s'
        """
        what = {UNCERTAIN: "an uncertain face", NO_FACE: "no face", NO_DATA: "no usable picture"}
        text = what.get(self.when, "")
        if not text:
            side = "above" if self.above is not None else "below"
            kind = "" if self.measure == "probability" else f" {self.measure}"
            text = f"{self.when}{kind} {side} {self.level:g}"
        return f"{text} for {self.hold_s:g} s"

    @property
    def outputs(self) -> tuple[str, ...]:
        """Every output it may call."""
        return tuple(dict.fromkeys((*self.to, *self.escalate_to)))

    def gap(self, spacing_s: float = 0.0) -> float:
        """``gap_s``; without it half a second, or what lies between two frames of a slow source.

        >>> Rule("pain", "fear", ("text",), above=0.6).gap(10.0)
        15.0
        """
        return max(_GAP_S, _GAP * spacing_s) if self.gap_s is None else self.gap_s

    def forget(self, spacing_s: float = 0.0) -> float:
        """``forget_s``; without it five seconds, or five frames of a slow source."""
        if self.forget_s is None:
            return max(_FORGET_S, _FORGET * spacing_s, self.gap_s or 0.0)
        return self.forget_s

    def is_quiet(self, wall: datetime.datetime | None) -> bool:
        """Whether new alarms wait at this time of the day; never where nobody knows the time.

        A time with a zone is turned to this machine's, whose clock the rule's author looked at.

        >>> rule = Rule("pain", "fear", ("text",), above=0.6, quiet=("22:00-07:00",))
        >>> [rule.is_quiet(datetime.datetime(2026, 1, 1, hour)) for hour in (21, 22, 3, 7)]
        [False, True, True, False]
        """
        if wall is None:
            return False
        now = _by_this_clock(wall)
        return any(
            begin <= now < end if begin < end else now >= begin or now < end
            for begin, end in map(_span, self.quiet)
        )

    def quiet_ends_s(self, wall: datetime.datetime) -> float:
        """Seconds until a span of ``quiet`` ends, the next one that does."""
        now = _seconds(_by_this_clock(wall))
        left = [(_seconds(end) - now) % _DAY_S for _, end in map(_span, self.quiet)]
        return min(left, default=math.inf)


def _problems(rule: Rule) -> Iterator[str]:
    """What cannot be meant, in words."""
    if not _NAME.fullmatch(rule.name):
        yield "a name has 1 to 64 characters, not only blanks; none is / + # or a control one"
    if not rule.to:
        yield 'to names nobody; for example to = ["text"]'
    for name in ("to", "escalate_to"):
        if twice := [k for k, count in Counter(getattr(rule, name)).items() if count > 1]:
            yield f"{name} names {twice[0]} twice; each output is called once"
    if rule.escalate_to and set(rule.escalate_to) <= set(rule.to):
        yield "escalate_to names nobody whom to does not call already: who is the second contact?"
    if len(rule.say) > _LONGEST:
        yield f"say has {len(rule.say)} characters; {_LONGEST} is the most"
    for name, names in (("measure", MEASURES), ("per", SUBJECTS)):
        if (value := getattr(rule, name)) not in names:
            yield f"{name} is one of {', '.join(names)}, got '{value}'"
    yield from _bad_levels(rule)
    yield from _bad_times(rule)
    for text in rule.quiet:
        try:
            _span(text)
        except ValueError:
            yield f"quiet holds spans such as 22:00-07:00, got '{text}'"
            return
    if rule.quiet and _all_day(rule):
        yield "quiet leaves no time of the day: it would never call anybody"


def _all_day(rule: Rule) -> bool:
    """Whether it is always quiet: where a span ends, another one has begun."""
    today = datetime.date.min
    ends = [datetime.datetime.combine(today, end) for _, end in map(_span, rule.quiet)]
    return all(rule.is_quiet(end) for end in ends)


def _bad_levels(rule: Rule) -> Iterator[str]:
    levels = {k: getattr(rule, k) for k in ("above", "below", "release")}
    given = {k: v for k, v in levels.items() if v is not None}
    if rule.when in CONDITIONS:
        if given or rule.measure != "probability":
            yield f"{rule.when} has no level: leave out {', '.join(given) or 'measure'}"
        if rule.when in (NO_FACE, NO_DATA) and rule.per != "any":
            yield f'{rule.when} is nobody\'s: per = "any"'
        return
    if (rule.above is None) == (rule.below is None):
        yield f"{rule.when} needs above or below, one of the two; for example above = 0.6"
        return
    for name, value in given.items():
        if not 0 < value < 1:
            percent = f"; {value:g} percent is {value / 100:g}" if 1 < value <= 100 else ""
            yield f"{name} lies between 0 and 1, and is neither of them, got {value:g}{percent}"
    if rule.release is not None:
        if rule.above is not None and rule.release > rule.above:
            yield f"release {rule.release:g} lies over above {rule.above:g}: it would never rest"
        if rule.below is not None and rule.release < rule.below:
            yield f"release {rule.release:g} lies under below {rule.below:g}: it would never rest"


def _bad_times(rule: Rule) -> Iterator[str]:
    for name in ("hold_s", "every_s", "gap_s", "forget_s", "repeat_s", "escalate_s"):
        value = getattr(rule, name)
        if value is not None and not (math.isfinite(value) and value >= 0):
            yield f"{name} is a number of seconds, zero or more, got {value:g}"
    if rule.gap_s == 0 and rule.hold_s > 0:
        yield "gap_s of 0 lets no time pass, and hold_s would never be reached"
    if rule.forget() < rule.gap():
        yield f"forget_s {rule.forget():g} is shorter than gap_s {rule.gap():g}"
    if rule.repeat_s is not None and rule.repeat_s < 1:
        yield f"repeat_s is one second or more, got {rule.repeat_s:g}"
    if (rule.escalate_s is None) != (not rule.escalate_to):
        yield "escalate_s and escalate_to go together: when to call a second contact, and whom"
    if rule.escalate_to and rule.repeat_s is None:
        yield "escalate_to needs repeat_s: only an alarm that waits for an answer goes further"


def _by_this_clock(wall: datetime.datetime) -> datetime.time:
    return (wall.astimezone() if wall.tzinfo else wall).time()


def _seconds(time: datetime.time) -> float:
    """Since midnight."""
    return time.hour * 3600 + time.minute * 60 + time.second + time.microsecond / 1e6


def _span(text: str) -> Span:
    """The two times of "22:00-07:00"; raises ValueError."""
    begin, end = (datetime.time.fromisoformat(part.strip()) for part in text.split("-"))
    if begin == end or begin.tzinfo or end.tzinfo:
        raise ValueError(text)
    return begin, end


@dataclass(frozen=True, slots=True)
class Rules:
    """A whole ``rules.toml``.

    rules : at least one, in the file's order.
    outputs : the tables ``[output.NAME]`` as they stand; ``mien.alarms`` reads them.
    """

    rules: tuple[Rule, ...]
    outputs: Mapping[str, Mapping[str, Any]]

    def rule(self, name: str) -> Rule | None:
        return next((rule for rule in self.rules if rule.name == name), None)

    @property
    def named_outputs(self) -> tuple[str, ...]:
        """Every output that some rule may call, in order."""
        return tuple(dict.fromkeys(name for rule in self.rules for name in rule.outputs))


def read(path: Path, labels: Sequence[str] | None = None, intensities: bool = True) -> Rules:
    """The rules of a file; raises ConfigError. For ``labels`` and ``intensities`` see ``parse``."""
    try:
        return parse(read_toml(path), labels, intensities)
    except UnknownName as err:
        err.args = (f"{path}: {err}",)
        raise
    except ConfigError as err:
        told = str(err)
        raise ConfigError(told if str(path) in told else f"{path}: {told}") from err


def parse(
    values: Mapping[str, Any], labels: Sequence[str] | None = None, intensities: bool = True
) -> Rules:
    """The rules of a TOML file's tables; raises ConfigError, UnknownName for a misspelt name.

    labels : what the model in use can say. Without them the file's own ``labels`` count (a
    personal recogniser has words of its own), and without those mien's eight.
    """
    top = ("labels", "rule", "output")
    for key in values:
        if key not in top:
            raise UnknownName("table", key, top)
    known = tuple(labels) if labels is not None else _own_labels(values.get("labels"))
    tables = values.get("rule", [])
    if not isinstance(tables, list) or not tables:
        raise ConfigError("no rules: each begins with a line [[rule]]")
    rules = tuple(_rule(table, number, known) for number, table in enumerate(tables, 1))
    names = [rule.name for rule in rules]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"rule '{name}' is there twice; every rule has a name of its own")
    for rule in rules:
        if rule.measure == "intensity" and not intensities:
            raise ConfigError(
                f"rule '{rule.name}' waits for an intensity, and the recogniser in use tells "
                "probabilities only, as a person's own does; leave measure out, or use the "
                "default model"
            )
    return Rules(rules, _output_tables(values.get("output", {})))


def _own_labels(value: Any) -> tuple[str, ...]:
    if value is None:
        return vocabulary.CANONICAL
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        raise ConfigError(f'labels is a list of names (labels = ["pain", "yes"]), got {value!r}')
    for told in value:
        vocabulary.check_word(told)
    return tuple(value)


def _rule(table: Any, number: int, labels: Sequence[str]) -> Rule:
    if not isinstance(table, Mapping):
        raise ConfigError(f"rule {number} is no table: each begins with a line [[rule]]")
    name = table.get("name", number)
    values = dict(table)
    if "labels" in values:  # TOML counts what stands under [[rule]] to the rule
        raise ConfigError("labels stands at the top of the file, before the first [[rule]]")
    if isinstance(values.get("when"), str):
        values["when"] = _known(values["when"], labels, f"rule '{name}': ")
    return from_dict(Rule, values, f"rule.{name}.")


def _known(name: str, labels: Sequence[str], where: str) -> str:
    """A condition or a label, under the name that records give it; raises UnknownName."""
    if name in labels or name in CONDITIONS:
        return name
    try:
        alias = vocabulary.canonical(name)
    except UnknownName:
        alias = name
    if alias in labels:
        return alias
    if alias in vocabulary.CANONICAL:
        raise ConfigError(
            f"{where}the recogniser in use does not tell {alias}; it tells {', '.join(labels)}"
        )
    err = UnknownName("emotion", name, (*labels, *CONDITIONS))
    err.args = (f"{where}{err}",)
    raise err


def _output_tables(value: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(value, Mapping):
        raise ConfigError("outputs are tables: each begins with a line [output.NAME]")
    for name, table in value.items():
        if not _OUTPUT.fullmatch(name):
            raise ConfigError(f"an output has a name, without control characters, got {name!r}")
        if not isinstance(table, Mapping):
            raise ConfigError(f"output.{name} is a table of settings, got {table!r}")
    return {name: dict(table) for name, table in value.items()}
