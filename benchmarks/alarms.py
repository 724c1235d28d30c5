"""The alarm path while its broker and its web server are stopped, hung, slowed and started again.

A camera's worth of records goes through ``mien.alarms.Runner`` with a webhook on a real HTTP
server and MQTT on a real Mosquitto, both on loopback. Somebody's expression shows and goes all the
time; one rule calls once, the other until it is acknowledged, by MQTT, by the journal (as
``mien act ack`` does) or in the program. Meanwhile the servers fail at random. At the end every
call has to be delivered, or shown as undelivered, and nobody may have heard one twice except as
the policy says: the same id again only after a try that was not confirmed in time.

    python benchmarks/alarms.py               # ten minutes
    python benchmarks/alarms.py --seconds 30
"""

from __future__ import annotations

import datetime
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mien import provenance
from mien.alarms import Runner, journal, rules
from tests.servers import free_port

HOLD_S = 1.0
FPS = 15
LIMIT_S, GIVE_UP_S = 2.0, 8.0
ALLOWED_S = 0.3

RULES = """
[[rule]]
name = "once"
when = "sadness"
above = 0.6
hold_s = {hold}
every_s = 0
to = ["text", "hook", "home"]

[[rule]]
name = "assistant"
when = "fear"
above = 0.6
hold_s = {hold}
every_s = 0
to = ["hook"]
repeat_s = 3
escalate_s = 8
escalate_to = ["home"]

[output.hook]
kind = "webhook"
url = "http://127.0.0.1:{http}/"
limit_s = {limit}
give_up_s = {give_up}

[output.home]
kind = "mqtt"
host = "127.0.0.1"
port = {mqtt}
give_up_s = {give_up}
"""


class Web:
    """The HTTP server. got : (id, when it came, seconds until it was answered; None badly)."""

    def __init__(self) -> None:
        self.port, self.status, self.delay_s = free_port(), 204, 0.0
        self.got: list[tuple[str, float, float | None]] = []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                came, status = time.monotonic(), web.status
                time.sleep(web.delay_s)
                taken = time.monotonic() - came if status < 300 else None
                web.got.append((self.headers["webhook-id"], came, taken))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass  # whoever asked has given up

        self._make: Callable[[], ThreadingHTTPServer] = lambda: Server(
            ("127.0.0.1", self.port), Handler
        )
        self._server: ThreadingHTTPServer | None = None
        self.start()

    def start(self) -> None:
        if self._server is None:
            self._server = self._make()
            threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class Broker:
    """A Mosquitto that keeps its messages over an orderly restart, as any in earnest does."""

    def __init__(self, program: str, folder: Path) -> None:
        self.port = free_port()
        config = folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\n"
            f"persistence true\npersistence_location {folder}/\n"
        )
        self._command = [program, "-c", str(config)]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        if self._process is None:
            self._process = subprocess.Popen(
                self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def hang(self, hung: bool) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP if hung else signal.SIGCONT)


class Carer:
    """Listens at the broker in a session that outlives it, and acknowledges there."""

    def __init__(self, port: int) -> None:
        self.got: list[tuple[str, float]] = []
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id="carer", clean_session=False
        )
        self.client.on_message = self._take
        self.client.on_connect = lambda client, *_: client.subscribe("mien/alarm", qos=1)
        self.client.reconnect_delay_set(1, 1)
        self.client.connect_async("127.0.0.1", port)
        self.client.loop_start()

    def _take(self, client: Any, userdata: Any, message: paho.MQTTMessage) -> None:
        self.got.append((json.loads(message.payload)["id"], time.monotonic()))


def faults(
    web: Web, broker: Broker, chance: random.Random, stop: threading.Event, told: Counter[str]
) -> None:
    """One server after the other fails in some way for a while; some outages outlast patience."""

    def web_down() -> Iterator[None]:
        web.stop()
        yield
        web.start()

    def web_500() -> Iterator[None]:
        web.status = 500
        yield
        web.status = 204

    def web_slow() -> Iterator[None]:
        web.delay_s = chance.uniform(0.3, 2 * LIMIT_S)
        yield
        web.delay_s = 0.0

    def broker_restarted() -> Iterator[None]:
        broker.stop()
        yield
        broker.start()

    def broker_hung() -> Iterator[None]:
        broker.hang(True)
        yield
        broker.hang(False)

    kinds = (web_down, web_500, web_slow, broker_restarted, broker_hung)
    while not stop.is_set():
        kind = chance.choice(kinds)
        told[kind.__name__] += 1
        steps = kind()
        next(steps)
        stop.wait(chance.choice((chance.uniform(0.5, 4), chance.uniform(0.5, 4), GIVE_UP_S + 4)))
        next(steps, None)
        stop.wait(chance.uniform(1, 5))


def record(showing: str | None) -> dict[str, Any]:
    emotions = dict.fromkeys(("neutral", "sadness", "fear"), 0.05)
    emotions[showing or "neutral"] = 0.9
    face = {"emotions": emotions, "picture_quality": 0.9, "uncertain": False}
    faces = [face | {"intensity": None, "track": None}]
    return {"schema": "mien/2", "source": "camera", "status": "ok", "faces": faces}


def acknowledge(runner: Runner, carer: Carer, path: Path, chance: random.Random) -> str | None:
    """Answer the alarms that wait, by one way or another; which, if there was any."""
    waiting = runner.open
    if not waiting:
        return None
    key, way = waiting[0].alarm.key, chance.choice(("mqtt", "journal", "program"))
    if way == "mqtt":
        carer.client.publish("mien/ack", key, qos=1)
    elif way == "journal":
        journal.append(path, journal.acknowledged(key, "mien act ack"))
    else:
        runner.acknowledge(key, "the program")
    return way


def camera(
    runner: Runner, carer: Carer, path: Path, seconds: float, chance: random.Random
) -> tuple[list[float], Counter[str], list[float]]:
    """Frames for so long: when an expression began to show, who acknowledged how often, and how
    late each frame came: what the machine's other work costs anyone on it.
    """
    began: list[float] = []
    late: list[float] = []
    answers: Counter[str] = Counter()
    frame, period = record(None), HOLD_S + 1.0
    started = time.monotonic()
    next_answer, shows = started + 6, False
    while (now := time.monotonic()) - started < seconds:
        cycle, phase = divmod(now - started, period)
        if phase < HOLD_S + 0.5:
            if not shows:
                frame = record("fear" if int(cycle) % 8 == 7 else "sadness")
                if int(cycle) % 8 != 7:
                    began.append(now)
            shows = True
        elif shows:
            frame, shows = record(None), False
        runner.see_record(frame | {"time_s": now - started})
        if now > next_answer:
            way = acknowledge(runner, carer, path, chance)
            answers[way or "nobody waited"] += 1
            next_answer = now + chance.uniform(4, 14)
        time.sleep(max(0.0, 1 / FPS - (time.monotonic() - now)))
        late.append(time.monotonic() - now - 1 / FPS)
    return began, answers, late


def reactions(path: Path, began: list[float], came: dict[str, float]) -> list[float]:
    """Per call of the first rule that came: seconds since its expression began to show.

    came : when, by the clock of ``began``, by the call's id.
    """
    to_monotonic = time.monotonic() - time.time()
    found = []
    for line in journal.read(path):
        if line["event"] == "call" and line["alarm"]["rule"] == "once":
            raised = datetime.datetime.fromisoformat(line["alarm"]["time"]).timestamp()
            begin = max(t for t in began if t <= raised + to_monotonic)
            arrived = came.get(f"{line['alarm']['key']}.{line['call']}")
            if arrived is not None:
                found.append(arrived - begin)
    return found


def firsts(got: Iterable[tuple[str, float]]) -> dict[str, float]:
    """The first time that each id came."""
    return dict(sorted(got, key=lambda entry: -entry[1]))


def texts_of(path: Path, texts: list[float]) -> dict[str, float]:
    """The lines on the terminal by their calls, which came in the same order."""
    calls = [
        f"{line['alarm']['key']}.{line['call']}"
        for line in journal.read(path)
        if line["event"] == "call" and "text" in line["to"]
    ]
    return dict(zip(calls, texts, strict=True))


def spread(values: list[float]) -> dict[str, Any]:
    if not values:
        return {"n": 0}
    shares = {f"p{p}_s": round(float(np.percentile(values, p)), 4) for p in (50, 95, 99)}
    return {"n": len(values)} | shares | {"max_s": round(max(values), 4)}


def verdict(
    path: Path, shown: list[str], web: Web, carer: Carer, failed: Counter[str]
) -> tuple[dict[str, Any], list[str]]:
    """What became of every call, and every breach of what is promised."""
    ends: dict[tuple[str, str], str] = {}
    for line in journal.read(path):
        if line["event"] == "call":
            for output in line["to"]:
                ends[f"{line['alarm']['key']}.{line['call']}", output] = "pending"
        elif line["event"] in ("delivered", "undelivered"):
            ends[f"{line['key']}.{line['call']}", line["output"]] = line["event"]
    breaches = [
        f"{call} to {output} is pending" for (call, output), end in ends.items() if end == "pending"
    ]
    undelivered = sum(end == "undelivered" for end in ends.values())
    shown_as = sum("UNDELIVERED to" in line for line in shown)
    if shown_as != undelivered:
        breaches.append(f"{undelivered} undelivered, {shown_as} shown")
    heard = {"hook": [i for i, _, _ in web.got], "home": [i for i, _ in carer.got]}
    for (call, output), end in ends.items():
        if end == "delivered" and output in heard and call not in heard[output]:
            breaches.append(f"{call} to {output} is delivered by the journal alone")
    breaches += twice(web.got, failed)
    ends_by = Counter(f"{output} {end}" for (_, output), end in ends.items())
    again = {name: len(ids) - len(set(ids)) for name, ids in heard.items()}
    late = sum(
        end == "undelivered" and call in heard.get(output, ())
        for (call, output), end in ends.items()
    )
    result = {
        "calls": len(ends),
        "ends": dict(sorted(ends_by.items())),
        "undelivered_and_shown": shown_as,
        "not_spoken_either": sum(line.startswith("not spoken") for line in shown),
        "tries_that_failed": failed.total(),
        "same_id_again": again,
        "shown_as_undelivered_and_heard_all_the_same": late,
    }
    return result, breaches


def twice(got: list[tuple[str, float, float | None]], failed: Counter[str]) -> list[str]:
    """Calls that came again although no try at them failed, or one had been answered in good time.

    At the edge of the limit an answer is in time for the server and too late for mien.
    """
    found = []
    for call, times in Counter(call for call, _, _ in got).items():
        if times - 1 > failed[call]:
            found.append(f"{call} came {times} times, and {failed[call]} tries failed")
    answered: set[str] = set()
    for call, _, taken in sorted(got, key=lambda entry: entry[1]):
        if call in answered:
            found.append(f"{call} came again after it was answered in good time")
        if taken is not None and taken < LIMIT_S / 2:
            answered.add(call)
    return found


class Failed(logging.Handler):
    """Counts the tries that mien itself saw fail, by the call's id."""

    def __init__(self) -> None:
        super().__init__()
        self.tries: Counter[str] = Counter()
        logger = logging.getLogger("mien.alarms.courier")
        logger.setLevel(logging.INFO)
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        output, call = record.args[:2] if isinstance(record.args, tuple) else ("", "")
        if output == "hook":
            self.tries[str(call)] += 1


def loudspeaker(folder: Path) -> None:
    """A sound device that plays to nobody, as test machines have none."""
    config = folder / "asound.conf"
    config.write_text("pcm.!default { type null }\n")
    os.environ["ALSA_CONFIG_PATH"] = str(config)


def main(
    seconds: Annotated[float, typer.Option(help="How long the servers fail.")] = 600,
    seed: Annotated[int, typer.Option()] = 1,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/alarms.json"),
) -> None:
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        raise typer.BadParameter("no mosquitto on this machine: apt-get install mosquitto")
    failed = Failed()
    chance, stop, told = random.Random(seed), threading.Event(), Counter[str]()
    shown: list[str] = []
    texts: list[float] = []

    def show(line: str) -> None:
        shown.append(line)
        if line.lstrip("\a").startswith("ALARM"):
            texts.append(time.monotonic())

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        loudspeaker(folder)
        web, broker = Web(), Broker(program, folder)
        carer, path = Carer(broker.port), folder / "alarms.jsonl"
        (folder / "rules.toml").write_text(
            RULES.format(
                hold=HOLD_S, http=web.port, mqtt=broker.port, limit=LIMIT_S, give_up=GIVE_UP_S
            )
        )
        with Runner(rules.read(folder / "rules.toml"), path, show) as runner:
            time.sleep(2)  # both are up before the first one fails
            failing = threading.Thread(target=faults, args=(web, broker, chance, stop, told))
            failing.start()
            began, answers, late = camera(runner, carer, path, seconds, random.Random(seed + 1))
            stop.set()
            failing.join()
            runner.acknowledge(None, "the end")
            runner.settle(GIVE_UP_S + 20)
        time.sleep(3)  # the carer, who connects again
        result, breaches = verdict(path, shown, web, carer, failed.tries)
        carer.client.loop_stop()
        web.stop()
        broker.stop()
        well = ((call, came) for call, came, taken in web.got if taken is not None)
        first, hook, home = (
            reactions(path, began, came)
            for came in (texts_of(path, texts), firsts(well), firsts(carer.got))
        )
    over = [value for value in first if value > HOLD_S + ALLOWED_S]
    if np.percentile(first, 95) > HOLD_S + ALLOWED_S:
        breaches.append("p95 of the first output is over hold time + 300 ms")
    report = {
        **provenance.environment(),
        "seconds": seconds,
        "seed": seed,
        "hold_s": HOLD_S,
        "frames_a_second": FPS,
        "frames_late": spread(late),
        "faults": dict(sorted(told.items())),
        "acknowledged_by": dict(sorted(answers.items())),
        **result,
        "from_expression_to": {
            "first output": spread(first) | {"over_hold_plus_300_ms": len(over)},
            "webhook, outages included": spread(hook),
            "carer by MQTT, outages included": spread(home),
        },
        "breaches": breaches,
    }
    out.write_text(json.dumps(report, indent=2) + "\n")
    typer.echo(json.dumps(report, indent=2))
    if breaches:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
