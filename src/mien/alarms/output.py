"""Where alarms go: what every output is, and the registry of their kinds.

An output only tries once; ``courier`` tries again. A new kind is a class with ``deliver`` and a
row in ``outputs``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..config import from_dict
from ..errors import ConfigError
from ..registry import Registry
from ..secrecy import public
from .rules import Rules
from .watch import Alarm, Call

Table = Mapping[str, Any]
S = TypeVar("S", bound="Settings")


class Undelivered(Exception):
    """An alarm that did not arrive; its text says why, without passwords of addresses in it.

    again : another try may help.
    after_s : not before so many seconds, as the other side asks.
    """

    def __init__(self, reason: str, again: bool = True, after_s: float = 0.0) -> None:
        super().__init__(public(reason))
        self.again, self.after_s = again, after_s


@dataclass(frozen=True, slots=True)
class Settings:
    """What every output can be told.

    give_up_s : an alarm that has not arrived after so many seconds is shown as undelivered.
    """

    give_up_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Context:
    """What an output may need of its surroundings.

    show : a line for whoever sits at the terminal; safe from any thread.
    acknowledge : puts to rest the alarm with this key, all of them for None; ``by`` says who did.
    ack : what to type in front of a key to do the same.
    kept : a file in which an output may keep what it has left elsewhere; None keeps nothing.
    test : nothing is delivered but test alarms: states that others look at stay as they are.
    """

    rules: Rules
    show: Callable[[str], None]
    acknowledge: Callable[[str | None, str], None]
    ack: str = "mien act ack"
    kept: Path | None = None
    test: bool = False


class Output:
    """Takes alarms to one place. ``deliver`` runs in a thread of its own, one call at a time.

    reaches_away : it reaches people who are not at this machine. Where none of these could be
        told, the second contact is called at once, whatever was shown or spoken here.
    """

    reaches_away = False

    def __init__(self, settings: Settings) -> None:
        self.give_up_s = settings.give_up_s

    def start(self, context: Context) -> None:
        """Get ready; raises MienError where what it needs is not there."""

    def reach(self) -> None:
        """See whether an alarm could arrive, with nobody called; raises Undelivered."""

    def deliver(self, call: Call) -> None:
        """Back when the alarm has arrived, within some seconds; raises Undelivered."""
        raise NotImplementedError

    def acknowledged(self, alarm: Alarm) -> None:
        """Somebody has answered; must not wait."""

    def ended(self, rule: str) -> None:
        """Nothing of this rule shows any more, or waits to be acknowledged; must not wait."""

    def close(self) -> None:
        """Let go of connections."""


outputs: Registry[Output] = Registry(
    "output",
    {
        "desktop": "mien.alarms.desktop:Desktop",
        "program": "mien.alarms.program:Program",
        "mqtt": "mien.alarms.mqtt:Mqtt",
        "sound": "mien.alarms.sound:Sound",
        "text": "mien.alarms.text:Text",
        "webhook": "mien.alarms.webhook:Webhook",
        "overlay": "mien.alarms.overlay:Overlay",
        "speech": "mien.alarms.speech:Speech",
    },
    group="mien.outputs",
)


def settings(cls: type[S], name: str, table: Table) -> S:
    """The settings of ``[output.NAME]``; raises ConfigError."""
    result = from_dict(cls, table, f"output.{name}.")
    if not (math.isfinite(result.give_up_s) and result.give_up_s > 0):
        raise ConfigError(
            f"output.{name}.give_up_s is a number of seconds over zero, got {result.give_up_s:g}"
        )
    return result


def secret(variable: str, name: str) -> str:
    """A password that lies in an environment variable, not in the file; raises ConfigError."""
    import os

    value = os.environ.get(variable, "")
    if not value:
        raise ConfigError(
            f"output.{name}: the environment variable {variable} is not set; it holds the secret"
        )
    return value
