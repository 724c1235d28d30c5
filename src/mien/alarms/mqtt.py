"""Alarms by MQTT, and answers to them; Home Assistant finds both by itself.

Under ``topic`` ("mien"), all with QoS 1; a broker keeps what is retained, and gives it to whoever
comes later, so what is of no rule any more is taken back:

=================  ============================================================= ========
``/status``        "online"; "offline" when mien ends, or by last will           retained
``/alarm``         each call as JSON; ``id`` is the same for every try at it
``/rule/<name>``   "ON" from an alarm until it is over and acknowledged, "OFF"   retained
``/ack``           to mien: the key of an alarm, or "all"
=================  ============================================================= ========
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import logging
import re
import ssl
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, MissingExtra
from ..secrecy import public
from ..version import __version__
from . import places
from .output import Context, Output, Table, Undelivered, secret, settings
from .places import Place
from .program import content
from .rules import Rule, Rules
from .tls import TlsSettings, check, why
from .tls import context as context_of
from .watch import Call

if TYPE_CHECKING:
    from paho.mqtt import client as paho

log = logging.getLogger(__name__)

_CONFIRM_S = 3.0  # for a broker to confirm a message
_LOOK_S = 0.02  # between two looks at whether there is a connection
_RECONNECT_S = (1, 10)
_KEEPALIVE_S = 15  # a broker that is silent for longer is gone
_WORDS = ("all", "")
_HOME_ASSISTANT = "homeassistant"
_TOPIC = re.compile(r"[^\x00-\x1f\x7f-\x9f+#]{0,200}")  # what any broker takes


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSettings(TlsSettings):
    """host, port : the broker. tls : encrypt, and check the broker's certificate.
    topic : where everything lies; one for each mien at a broker.
    user, password_env : how to log in; the environment variable holds the password.
    discovery : Home Assistant's prefix; "" announces nothing.
    """

    host: str
    port: int = 1883
    tls: bool = False
    topic: str = "mien"
    user: str = ""
    password_env: str = ""
    discovery: str = _HOME_ASSISTANT


class Mqtt(Output):
    """Publishes at a broker; an alarm has arrived when the broker has confirmed it."""

    reaches_away = True

    def __init__(self, name: str, table: Table) -> None:
        chosen = settings(MqttSettings, name, table)
        super().__init__(chosen)
        if not _is_host(chosen.host):
            raise ConfigError(
                f"output.{name}.host is a name or an address alone (homeassistant.local; port and "
                f"tls are settings of their own), got '{public(chosen.host)}'"
            )
        if chosen.password_env and not chosen.user:
            raise ConfigError(f"output.{name}.password_env goes with user: whose password is it?")
        if not 0 < chosen.port < 65_536:
            raise ConfigError(f"output.{name}.port is 1 to 65535, got {chosen.port}")
        for key in ("topic", "discovery"):
            value = getattr(chosen, key)
            if (
                not _TOPIC.fullmatch(value)
                or value != value.strip("/")
                or not (value or key != "topic")
            ):
                raise ConfigError(
                    f"output.{name}.{key} is a topic such as mien/bedroom, got '{value}'"
                )
        check(chosen, f"output.{name}")
        if chosen.is_own and not chosen.tls:
            raise ConfigError(f"output.{name} has a certificate's file, which goes with tls = true")
        self._settings, self._name = chosen, name
        self._client: paho.Client
        self._context: Context
        self._sent: dict[str, paho.MQTTMessageInfo] = {}
        self._on: set[str] = set()
        self._trouble = "no connection yet"
        self._answered = False  # the broker, since it was connected
        self._place = Place(chosen.host, chosen.port, chosen.topic, chosen.discovery)
        self._old: list[Place] = []  # where this mien was at this broker before
        self._kept: set[str] = set()  # topics of an earlier mien that the broker has told of
        self._online: set[str] = set()  # of those the states of miens that are running
        self._looked_through = False

    def start(self, context: Context) -> None:
        if find_spec("paho") is None:
            raise MissingExtra("paho-mqtt", "act", "MQTT")
        from paho.mqtt import client as paho
        from paho.mqtt.enums import CallbackAPIVersion

        self._context, chosen = context, self._settings
        client = paho.Client(CallbackAPIVersion.VERSION2)
        if chosen.user:
            password = secret(chosen.password_env, self._name) if chosen.password_env else None
            client.username_pw_set(chosen.user, password)
        if chosen.tls:
            client.tls_set_context(context_of(chosen, self._name, ssl.create_default_context))
        if not context.test:
            client.will_set(self._topic("status"), "offline", qos=1, retain=True)
            self._remember(context)
        client.reconnect_delay_set(*_RECONNECT_S)
        client.on_connect, client.on_connect_fail = self._connected, self._unconnected
        client.on_message, client.on_disconnect = self._message, self._disconnected
        client.enable_logger(log)
        client.suppress_exceptions = True  # one would end paho's thread, and with it all alarms
        self._client = client
        client.connect_async(chosen.host, chosen.port, _KEEPALIVE_S)
        client.loop_start()  # connects, and connects again, in a thread of its own

    def reach(self) -> None:
        until = time.monotonic() + _CONFIRM_S
        while not self._client.is_connected():
            if time.monotonic() > until:
                raise Undelivered(f"{self._broker}: {self._trouble}")
            time.sleep(_LOOK_S)

    def deliver(self, call: Call) -> None:
        if not self._client.is_connected():
            raise Undelivered(f"{self._broker}: {self._trouble}")
        # Published once: what was not confirmed, paho sends again itself when it is connected anew.
        if call.id not in self._sent:
            self._sent[call.id] = self._publish("alarm", json.dumps(content(call)))
            if self._known(call.alarm.rule):
                self._on.add(call.alarm.rule)
                self._publish_state(call.alarm.rule)
        message = self._sent[call.id]
        try:
            message.wait_for_publish(_CONFIRM_S)
        except (RuntimeError, ValueError) as err:
            self._sent.pop(call.id)
            raise Undelivered(f"{self._broker}: {err}") from None
        if not message.is_published():
            raise Undelivered(f"{self._broker} did not confirm within {_CONFIRM_S:g} s")
        self._sent.pop(call.id)

    def ended(self, rule: str) -> None:
        if self._known(rule):
            self._on.discard(rule)
            self._publish_state(rule)

    def close(self) -> None:
        if self._client.is_connected() and not self._context.test:
            farewell = self._publish("status", "offline", retain=True)
            try:
                farewell.wait_for_publish(1)
            except (RuntimeError, ValueError) as err:
                log.info("%s: no farewell: %s", self._broker, err)
        self._client.disconnect()
        self._client.loop_stop()

    # -- in paho's thread -----------------------------------------------------------------------

    def _connected(
        self, client: paho.Client, userdata: Any, flags: Any, reason: Any, properties: Any
    ) -> None:
        self._answered = True
        if reason.is_failure:
            self._trouble = f"it answers: {reason}"
            return
        self._trouble = "connection lost"  # if it is asked for later
        if self._context.test:
            return  # a mien that runs meanwhile has said how things are
        topics = [self._topic("ack")]
        if not self._looked_through:
            topics += [t for place in (self._place, *self._old) for t in _kept_at(place)]
        client.subscribe([(topic, 1) for topic in dict.fromkeys(topics)])
        self._publish("status", "online", retain=True)
        for rule in self._rules:
            self._publish_state(rule.name)  # the broker may have kept another from before
        if self._settings.discovery:
            for topic, entity in self._entities():
                client.publish(topic, json.dumps(entity), qos=1, retain=True)

    def _unconnected(self, client: paho.Client, userdata: Any) -> None:
        err = sys.exc_info()[1]  # paho calls from where it has caught it
        how = why(err, without="leave tls out") if err else ""
        self._trouble = f"cannot be reached: {how}" if how else "cannot be reached"

    def _disconnected(
        self, client: paho.Client, userdata: Any, flags: Any, reason: Any, properties: Any
    ) -> None:
        if not self._answered:
            wants = (
                "a certificate of this client (cert_file)" if self._settings.tls else "tls = true"
            )
            self._trouble = f"it closed the connection before it answered; does it want {wants}?"
        self._answered = False

    def _message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        if message.topic != self._topic("ack"):
            self._look_through(message)
            return
        if message.retain:
            return  # said to an alarm of earlier
        key = message.payload.decode(errors="replace").strip()
        self._context.acknowledge(None if key in _WORDS else key, f"MQTT {self._name}")

    # -- what an earlier mien left --------------------------------------------------------------

    def _remember(self, context: Context) -> None:
        """Where this mien leaves something, and where it has."""
        if context.kept:
            now = places_of(context.rules)
            before = [p for p in places.read(context.kept) if p.broker == self._place.broker]
            self._old = [place for place in before if place not in now]
            places.change(context.kept, more=[self._place])

    def _look_through(self, message: paho.MQTTMessage) -> None:
        """What the broker has kept; this mien's own "online" comes behind all of it."""
        if self._looked_through:
            return
        if message.retain and message.payload:
            self._kept.add(message.topic)
            if message.payload == b"online":
                self._online.add(message.topic)
        elif message.topic == self._topic("status"):
            self._looked_through = True
            self._take_back()

    def _take_back(self) -> None:
        from paho.mqtt.client import topic_matches_sub

        current = {self._topic("status"), *(self._topic(f"rule/{r.name}") for r in self._rules)}
        if self._settings.discovery:
            current |= {topic for topic, _ in self._entities()}
        for place in (self._place, *self._old):
            if f"{place.topic}/status" in self._online:
                self._context.show(
                    f"{self._broker}: another mien is online under topic {place.topic}, or was a "
                    "moment ago; give each its own"
                )
                continue
            for topic in sorted(self._kept - current):
                if any(topic_matches_sub(pattern, topic) for pattern in _kept_at(place)):
                    log.info("%s: taken back: %s", self._broker, topic)
                    self._client.publish(topic, b"", qos=1, retain=True)
            if place != self._place and self._context.kept:
                places.change(self._context.kept, less=[place])

    # -- topics ---------------------------------------------------------------------------------

    @property
    def _broker(self) -> str:
        return f"MQTT broker {self._settings.host}:{self._settings.port}"

    def _topic(self, name: str) -> str:
        return f"{self._settings.topic}/{name}"

    def _publish(self, name: str, text: str, retain: bool = False) -> paho.MQTTMessageInfo:
        return self._client.publish(self._topic(name), text, qos=1, retain=retain)

    def _known(self, rule: str) -> bool:
        """Whether a rule has a state here: a test alarm, or a rule that is gone, has none."""
        return not self._context.test and any(rule == known.name for known in self._rules)

    def _publish_state(self, rule: str) -> None:
        self._publish(f"rule/{rule}", "ON" if rule in self._on else "OFF", retain=True)

    @property
    def _rules(self) -> list[Rule]:
        """Those that may call here."""
        return [rule for rule in self._context.rules.rules if self._name in rule.outputs]

    def _entities(self) -> list[tuple[str, dict[str, Any]]]:
        """Home Assistant's discovery: a sensor per rule, and a button that acknowledges."""
        topic = self._settings.topic
        node = _identifier(topic)
        common = {
            "availability_topic": self._topic("status"),
            "device": {"identifiers": [node], "name": topic, "manufacturer": "mien"},
            "origin": {"name": "mien", "sw_version": __version__},
        }
        prefix = self._settings.discovery
        sensors = [
            (
                f"{prefix}/binary_sensor/{node}/{_identifier(rule.name)}/config",
                self._sensor(rule, node) | common,
            )
            for rule in self._rules
        ]
        button = {
            "name": "Acknowledge",
            "unique_id": f"{node}_ack",
            "command_topic": self._topic("ack"),
            "payload_press": "all",
            "qos": 1,
        }
        return [*sensors, (f"{prefix}/button/{node}/ack/config", button | common)]

    def _sensor(self, rule: Rule, node: str) -> dict[str, Any]:
        return {
            "name": rule.name,
            "unique_id": f"{node}_{_identifier(rule.name)}",
            "state_topic": self._topic(f"rule/{rule.name}"),
            "device_class": "problem",
            "qos": 1,
        }


def _is_host(text: str) -> bool:
    """Whether it is a name or an address, and no URL, nor one with a port.

    >>> [_is_host(text) for text in ("homeassistant.local", "::1", "localhost:1883", "")]
    [True, True, False, False]
    """
    if ":" not in text:
        return bool(text) and not set("/@") & set(text) and not any(c.isspace() for c in text)
    try:
        return bool(ipaddress.IPv6Address(text))
    except ValueError:
        return False


def places_of(rules: Rules) -> list[Place]:
    """Where the outputs of some rules leave something."""
    found = []
    for name, table in rules.outputs.items():
        if table.get("kind", name) == "mqtt":
            told = settings(MqttSettings, name, {k: v for k, v in table.items() if k != "kind"})
            found.append(Place(told.host, told.port, told.topic, told.discovery))
    return found


def _kept_at(place: Place) -> list[str]:
    """Topics under which a mien may have left something, as one subscribes to them."""
    prefixes = sorted({place.discovery, _HOME_ASSISTANT} - {""})
    node = _identifier(place.topic)
    configs = [f"{prefix}/+/{node}/+/config" for prefix in prefixes]
    return [f"{place.topic}/status", f"{place.topic}/rule/+", *configs]


def _identifier(name: str) -> str:
    """A name in Home Assistant's letters, the same for the same name alone.

    >>> _identifier("pain"), _identifier("Schmerz, stark")
    ('mien_pain', 'mien_7c7a2765')
    """
    if name.isascii() and name.replace("_", "").replace("-", "").isalnum():
        return f"mien_{name}"
    return f"mien_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
