"""A real Mosquitto: delivered, acknowledged, announced, killed and started again."""

from __future__ import annotations

import gc
import json
import re
import shutil
import ssl
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from mien.alarms import places, rules
from mien.alarms.mqtt import Mqtt
from mien.alarms.output import Context, Undelivered, outputs
from mien.alarms.runner import Runner, send_test
from mien.alarms.tls import why
from mien.alarms.watch import Alarm, Call
from mien.errors import ConfigError
from tests.servers import MOSQUITTO, Broker, free_port, until

needs_broker = pytest.mark.skipif(
    not MOSQUITTO, reason="no mosquitto on this machine: apt-get install mosquitto"
)
RULES = rules.parse(
    {
        "rule": [
            {"name": n, "when": "fear", "above": 0.6, "to": [to]}
            for n, to in (("pain", "home"), ("große Not", "home"), ("other", "text"))
        ]
    }
)


def call(number: int = 0, key: str = "abc", rule: str = "pain") -> Call:
    return Call(Alarm(key, rule, "Hilfe!", None, 0.8, "2026-11-25T12:00:00+01:00"), number, ())


class Listener:
    """Somebody at the broker who hears everything, and comes back when it does."""

    def __init__(self, port: int) -> None:
        self.heard: list[tuple[str, str, bool]] = []
        self.client = paho.Client(CallbackAPIVersion.VERSION2)
        self.client.on_message = self._take
        self.client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self.subscribed = threading.Event()
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self.subscribed.wait(5)

    def _take(self, client: Any, userdata: Any, message: paho.MQTTMessage) -> None:
        self.heard.append((message.topic, message.payload.decode(errors="replace"), message.retain))

    def on(self, topic: str) -> list[str]:
        return [text for heard, text, _ in list(self.heard) if heard == topic]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path) as made:
        yield made


@pytest.fixture
def listener(broker: Broker) -> Iterator[Listener]:
    made = Listener(broker.port)
    yield made
    made.close()


def started(
    port: int,
    answers: list[tuple[str | None, str]] | None = None,
    found: rules.Rules = RULES,
    shown: list[str] | None = None,
    kept: Path | None = None,
    **more: Any,
) -> Mqtt:
    answers = [] if answers is None else answers
    show = (lambda line: None) if shown is None else shown.append
    made = outputs.build("mqtt", "home", {"host": "127.0.0.1", "port": port} | more)
    assert isinstance(made, Mqtt)
    made.start(Context(found, show, lambda key, by: answers.append((key, by)), kept=kept))
    return made


def deliver(output: Mqtt, what: Call) -> None:
    """As the courier does: again until it has arrived."""

    def arrived() -> bool:
        try:
            output.deliver(what)
        except Undelivered:
            return False
        return True

    until(arrived, 20)


@needs_broker
def test_an_alarm_and_its_end(broker: Broker, listener: Listener) -> None:
    output = started(broker.port)
    deliver(output, call())
    until(lambda: listener.on("mien/rule/pain") == ["OFF", "ON"])
    output.ended("pain")
    until(lambda: listener.on("mien/rule/pain") == ["OFF", "ON", "OFF"])
    output.close()
    until(lambda: listener.on("mien/status") == ["online", "offline"])
    (sent,) = listener.on("mien/alarm")
    content = json.loads(sent)
    assert (content["id"], content["rule"], content["text"]) == ("abc.0", "pain", "Hilfe!")


@needs_broker
def test_home_assistant_finds_it(broker: Broker, listener: Listener) -> None:
    """What it asks of a binary sensor and a button; nothing of other outputs' rules."""
    output = started(broker.port, topic="mien/bedroom")
    until(lambda: len([t for t, *_ in listener.heard if t.startswith("homeassistant/")]) == 3)
    output.close()
    found = {t: json.loads(text) for t, text, _ in listener.heard if t.endswith("/config")}
    sensors = [c for t, c in found.items() if "/binary_sensor/" in t]
    assert {s["name"] for s in sensors} == {"pain", "große Not"}
    assert {s["state_topic"] for s in sensors} == {
        "mien/bedroom/rule/pain",
        "mien/bedroom/rule/große Not",
    }
    (button,) = (c for t, c in found.items() if "/button/" in t)
    assert (button["command_topic"], button["payload_press"]) == ("mien/bedroom/ack", "all")
    entities = [*sensors, button]
    assert len({e["unique_id"] for e in entities}) == 3
    assert {e["device"]["identifiers"][0] for e in entities} == {button["device"]["identifiers"][0]}
    assert {e["availability_topic"] for e in entities} == {"mien/bedroom/status"}
    assert all(t.isascii() and len(t.split("/")) == 5 for t in found)


@needs_broker
def test_no_discovery_where_none_is_wanted(broker: Broker, listener: Listener) -> None:
    output = started(broker.port, discovery="")
    deliver(output, call())
    output.close()
    assert not [t for t, *_ in listener.heard if t.startswith("homeassistant/")]


@needs_broker
def test_answers_come_back(broker: Broker, listener: Listener) -> None:
    """A key, all, and nothing for a retained one from an hour ago."""
    listener.client.publish("mien/ack", "old", qos=1, retain=True).wait_for_publish(5)
    answers: list[tuple[str | None, str]] = []
    output = started(broker.port, answers)
    deliver(output, call())
    for text in ("abc", "all", b"\xff\xfe"):
        listener.client.publish("mien/ack", text, qos=1)
    until(lambda: len(answers) == 3)
    output.close()
    assert answers[:2] == [("abc", "MQTT home"), (None, "MQTT home")]


@needs_broker
def test_the_last_will_tells_of_a_kill(broker: Broker, listener: Listener) -> None:
    code = f"""
import time
import warnings
from mien.alarms import rules
from mien.alarms.output import Context, outputs
output = outputs.build("mqtt", "home", {{"host": "127.0.0.1", "port": {broker.port}}})
output.start(Context(rules.Rules((), {{}}), print, print))
time.sleep(60)
"""
    victim = subprocess.Popen([sys.executable, "-c", code])
    until(lambda: listener.on("mien/status") == ["online"], 20)
    victim.kill()
    victim.wait()
    until(lambda: listener.on("mien/status") == ["online", "offline"])


@needs_broker
def test_the_broker_is_restarted_in_the_middle(broker: Broker, listener: Listener) -> None:
    """Before, while it is down, and after: all arrive, each once."""
    output = started(broker.port)
    deliver(output, call(0))
    until(lambda: len(listener.on("mien/alarm")) == 1)
    broker.stop()
    until(lambda: not output._client.is_connected())
    with pytest.raises(Undelivered, match=r"connection lost|cannot be reached") as caught:
        output.deliver(call(1))
    assert caught.value.again
    listener.subscribed.clear()
    broker.start()
    assert listener.subscribed.wait(10)
    deliver(output, call(1))
    until(lambda: len(listener.on("mien/alarm")) == 2)
    output.close()
    assert [json.loads(t)["id"] for t in listener.on("mien/alarm")] == ["abc.0", "abc.1"]
    assert listener.on("mien/rule/pain")[-1] == "ON"  # said again: the broker has forgotten it


@needs_broker
def test_a_broker_that_wants_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(tmp_path)
    passwords = tmp_path / "passwords"
    passwords.write_text("mien:secret\n")
    passwords.chmod(0o600)
    tool = Path(str(MOSQUITTO)).parents[1] / "bin" / "mosquitto_passwd"
    if not tool.exists():
        pytest.skip("no mosquitto_passwd")
    subprocess.run([tool, "-U", passwords], check=True)
    text = f"listener {broker.port} 127.0.0.1\npassword_file {passwords}\nuser root\n"
    broker._config.write_text(text)
    with broker:
        output = started(broker.port)
        until(lambda: "Not authorized" in output._trouble, 5)
        output.close()
        monkeypatch.setenv("BROKER", "secret")
        output = started(broker.port, user="mien", password_env="BROKER")
        deliver(output, call())
        output.close()


def test_no_broker_at_all() -> None:
    output = started(free_port())
    with pytest.raises(Undelivered, match=r"MQTT broker 127.0.0.1:\d+") as caught:
        output.deliver(call())
    assert caught.value.again
    until(lambda: output._trouble.startswith("cannot be reached: connection refused"))
    output.close()
    output = started(free_port(), host="nowhere.invalid")
    until(lambda: output._trouble.endswith("there is no host of that name"))
    output.close()


# -- what it leaves at the broker ----------------------------------------------------------------


def kept(port: int) -> dict[str, str]:
    """What the broker gives to whoever comes now."""
    listener = Listener(port)
    time.sleep(0.4)
    listener.close()
    return {topic: text for topic, text, retain in listener.heard if retain}


def of(*names: str) -> rules.Rules:
    table = {"when": "fear", "above": 0.6, "to": ["home"]}
    return rules.parse({"rule": [table | {"name": name} for name in names]})


def states(port: int) -> dict[str, str]:
    return {t.rpartition("/")[2]: text for t, text in kept(port).items() if "/rule/" in t}


def entities(port: int) -> set[str]:
    return {t.split("/")[3] for t in kept(port) if t.endswith("/config")}


@needs_broker
def test_a_rule_that_is_gone_is_gone_at_the_broker(broker: Broker) -> None:
    """It was on when its mien ended; the other one stays, and so does what is not mien's."""
    stranger = Listener(broker.port)
    for topic in ("home/rule/pain", "homeassistant/sensor/other/x/config", "mien2/rule/pain"):
        stranger.client.publish(topic, "mine", qos=1, retain=True).wait_for_publish(5)
    stranger.close()
    output = started(broker.port, found=of("pain", "old"))
    deliver(output, call(rule="old"))
    until(lambda: states(broker.port) == {"pain": "OFF", "old": "ON"})
    output.close()
    assert {"mien_pain", "mien_old", "ack"} <= entities(broker.port)
    output = started(broker.port, found=of("pain"))
    until(lambda: set(states(broker.port)) == {"pain"})
    output.close()
    left = kept(broker.port)
    assert not [topic for topic in left if "old" in topic]
    assert {t for t, text in left.items() if text == "mine"} == {
        *("home/rule/pain", "homeassistant/sensor/other/x/config", "mien2/rule/pain")
    }
    output = started(broker.port, found=of("pain"), discovery="")
    until(lambda: entities(broker.port) == {"x"})
    output.close()


@needs_broker
def test_what_was_under_a_topic_of_before_is_gone(broker: Broker, tmp_path: Path) -> None:
    """The topic changes, and the prefix; of two outputs at a broker each keeps its own."""
    told = tmp_path / "a.mqtt.json"

    def run(found: rules.Rules, rule: str = "pain", **more: Any) -> None:
        table = {"kind": "mqtt", "host": "127.0.0.1", "port": broker.port} | more
        found = rules.Rules(found.rules, {"home": table})
        output = started(broker.port, found=found, kept=told, **more)
        deliver(output, call(rule=rule))
        until(lambda: f"{more.get('topic', 'mien')}/rule/{rule}" in kept(broker.port))
        until(lambda: output._looked_through)
        output.close()

    run(of("pain"), topic="mien/old", discovery="ha")
    assert kept(broker.port)["mien/old/rule/pain"] == "ON"
    run(of("pain"), topic="mien/new", discovery="ha")
    left = kept(broker.port)
    assert not [topic for topic in left if "old" in topic]
    assert {"mien/new/status", "mien/new/rule/pain"} <= set(left)
    run(of("pain"), topic="mien/new")
    left = kept(broker.port)
    assert not [topic for topic in left if topic.startswith("ha/")]
    assert [topic for topic in left if topic.startswith("homeassistant/")]
    (place,) = places.read(told)
    assert (place.topic, place.discovery) == ("mien/new", "homeassistant")


def test_what_stays_at_another_broker_is_told_once(tmp_path: Path) -> None:
    told, shown = places.path_beside(tmp_path / "a.jsonl"), list[str]()
    places.change(told, more=[places.Place("gone.example", 1883, "mien", "homeassistant")])
    found = rules.parse({"rule": [{"name": "a", "when": "no_face", "to": ["text"]}]})
    for _ in range(2):
        with Runner(found, tmp_path / "a.jsonl", shown.append):
            pass
    assert [line for line in shown if "gone.example:1883 keeps what mien left" in line] == shown
    assert len(shown) == 1
    for odd in (b"[" * 100_000, b"{}", b'[5, {"host": 5}, {"host": "a", "port": "b"}]', b"\xff"):
        told.write_bytes(odd)
        assert places.read(told) == []


@needs_broker
def test_a_test_alarm_leaves_nothing_and_changes_nothing(broker: Broker) -> None:
    """While another mien is running, with an alarm."""
    output = started(broker.port, found=of("pain"))
    deliver(output, call())
    until(lambda: kept(broker.port).get("mien/rule/pain") == "ON")
    before = kept(broker.port)
    listener = Listener(broker.port)
    found = rules.Rules(
        of("pain", "new").rules,
        {"home": {"kind": "mqtt", "host": "127.0.0.1", "port": broker.port}},
    )
    assert send_test(found, print) == {"home": None}
    until(lambda: listener.on("mien/alarm"))
    time.sleep(0.3)
    assert not [
        text for topic, text, retain in listener.heard if not retain and "alarm" not in topic
    ]
    listener.close()
    assert kept(broker.port) == before
    output.close()


@needs_broker
def test_an_alarm_of_a_rule_that_is_gone_has_no_state(broker: Broker) -> None:
    output = started(broker.port, found=of("pain"))
    deliver(output, call(rule="gone"))
    output.ended("gone")
    output.close()
    assert states(broker.port) == {"pain": "OFF"}


@needs_broker
def test_another_mien_under_the_same_topic_keeps_its_own(broker: Broker) -> None:
    one = started(broker.port, found=of("pain"))
    until(lambda: kept(broker.port).get("mien/status") == "online")
    shown: list[str] = []
    other = started(broker.port, found=of("joy"), shown=shown)
    until(lambda: shown)
    assert "another mien is online under topic mien" in shown[0]
    assert set(states(broker.port)) == {"pain", "joy"}
    other.close()
    one.close()


# -- TLS -------------------------------------------------------------------------------------------


def made_certificates(folder: Path) -> None:
    """An authority, a server's and a client's certificate."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=30)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    openssl(
        *("req", "-x509", *new, "-nodes", "-keyout", "ca.key", "-out", "ca.pem"), "-subj", "/CN=a"
    )
    for name, more in (("server", ["-nodes"]), ("client", ["-passout", "pass:s3cret"])):
        openssl(
            "req", *new, *more, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", "/CN=b"
        )
        (folder / "names").write_text("subjectAltName=DNS:localhost")
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names"]
        openssl("x509", "-req", "-in", f"{name}.csr", *signed, "-days", "2", "-out", f"{name}.pem")
    for path in folder.iterdir():
        path.chmod(0o644)
    folder.chmod(0o755)


@pytest.fixture
def collected() -> Iterator[None]:
    """What paho leaves of a connection whose TLS fails, a socket, is swept up here."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def troubled(output: Mqtt, words: str) -> bool:
    return bool(re.search(words, output._trouble))


@needs_broker
@pytest.mark.usefixtures("collected")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl, which makes certificates")
def test_a_broker_with_certificates_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each reason by its name, and the setting that helps."""
    made_certificates(tmp_path)
    broker = Broker(tmp_path)
    text = f"listener {broker.port} 127.0.0.1\nallow_anonymous true\nuser root\n"
    text += (
        f"cafile {tmp_path}/ca.pem\ncertfile {tmp_path}/server.pem\nkeyfile {tmp_path}/server.key\n"
    )
    broker._config.write_text(text)
    ca: dict[str, Any] = {"tls": True, "ca_file": str(tmp_path / "ca.pem")}
    with broker:
        for table, words in (
            ({"tls": True, "host": "localhost"}, "signed by nobody who is trusted here; .*ca_file"),
            (ca, "certificate verify failed: it is for another name"),
            ({}, "it closed the connection before it answered; does it want tls = true"),
        ):
            output = started(broker.port, **table)
            until(partial(troubled, output, words), 8)
            output.close()
        output = started(broker.port, host="localhost", **ca)
        deliver(output, call())
        output.close()
    broker._config.write_text(text + "require_certificate true\n")
    with broker:
        output = started(broker.port, host="localhost", **ca)
        until(lambda: "does it want a certificate of this client (cert_file)" in output._trouble, 8)
        output.close()
        own = ca | {"cert_file": str(tmp_path / "client.pem"), "host": "localhost"}
        own |= {"key_file": str(tmp_path / "client.key")}
        with pytest.raises(ConfigError, match="has the key a password"):
            started(broker.port, **own)
        monkeypatch.setenv("KEY", "s3cret")
        output = started(broker.port, **own, key_password_env="KEY")
        deliver(output, call())
        output.close()


@needs_broker
@pytest.mark.usefixtures("collected")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_broker_without_tls(broker: Broker) -> None:
    output = started(broker.port, tls=True)
    until(
        lambda: "does not speak TLS on that port" in output._trouble or "clos" in output._trouble, 8
    )
    output.close()


@pytest.mark.parametrize(
    ("code", "words"),
    [(10, "it has expired"), (9, "is the clock of this machine right"), (18, "ca_file")],
)
def test_certificates_that_do_not_serve(code: int, words: str) -> None:
    err = ssl.SSLCertVerificationError(1, "certificate verify failed")
    err.verify_code, err.verify_message = code, "x"
    assert words in why(err)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, "missing setting: output.home.host"),
        ({"host": "h", "port": 0}, "port is 1 to 65535"),
        ({"host": "h", "topic": "a/#"}, "topic is a topic such as"),
        ({"host": "h", "topic": ""}, "topic is a topic such as"),
        ({"host": "h", "topic": "/a"}, "topic is a topic such as"),
        ({"host": "h", "topic": "a\nb"}, "topic is a topic such as"),
        ({"host": "h", "topic": "x" * 201}, "topic is a topic such as"),
        ({"host": ""}, "output.home.host is a name or an address alone"),
        ({"host": "mqtt://h"}, "output.home.host is a name or an address alone"),
        ({"host": "h:1883"}, "output.home.host is a name or an address alone"),
        ({"host": "h", "password_env": "BROKER"}, "password_env goes with user"),
        ({"host": "h", "discovery": "+"}, "discovery is a topic"),
        ({"host": "h", "hots": "h"}, "did you mean output.home.host"),
        ({"host": "h", "ca_file": "ca.pem"}, "goes with tls = true"),
        ({"host": "h", "tls": True, "key_file": "k.pem"}, "key_file goes with cert_file"),
    ],
)
def test_settings_that_cannot_be_meant(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        outputs.build("mqtt", "home", table)


def test_a_password_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BROKER", raising=False)
    with pytest.raises(ConfigError, match="BROKER is not set"):
        started(1883, user="mien", password_env="BROKER")
