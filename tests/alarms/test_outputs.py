"""Programs, loudspeakers, desktops, pictures: delivered, or said to be undelivered, and no hang."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mien.alarms import player, rules, speak
from mien.alarms.output import Context, Output, Undelivered, outputs
from mien.alarms.overlay import Overlay
from mien.alarms.sound import write_tones
from mien.alarms.watch import Alarm, Call
from mien.errors import ConfigError
from tests.servers import until

CALL = Call(Alarm("abc", "pain", "Ich brauche Hilfe", 2, 0.8, ""), 1, ("x",), waits=True)

needs_voice = pytest.mark.skipif(
    not shutil.which("espeak-ng"), reason="no espeak-ng on this machine: apt-get install espeak-ng"
)
needs_alsa = pytest.mark.skipif(
    not shutil.which("aplay"), reason="no aplay on this machine: apt-get install alsa-utils"
)


def started(kind: str, shown: list[str] | None = None, **table: Any) -> Output:
    show = (shown if shown is not None else []).append
    made = outputs.build(kind, "it", table)
    made.start(Context(rules.Rules((), {}), show, lambda key, by: None))
    return made


def failure(output: Output) -> Undelivered:
    with pytest.raises(Undelivered) as caught:
        output.deliver(CALL)
    output.close()
    return caught.value


def script(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


# -- text, and what every kind has in common ----------------------------------------------------


def test_a_line_of_text_says_how_to_answer() -> None:
    shown: list[str] = []
    started("text", shown, bell=True).deliver(CALL)
    assert shown == [
        "\aALARM Ich brauche Hilfe (face 2), call 2 - to acknowledge: mien act ack abc"
    ]


@pytest.mark.parametrize("kind", list(outputs))
def test_every_kind_refuses_what_it_does_not_know(kind: str) -> None:
    with pytest.raises(ConfigError, match=r"output\.it\.colour"):
        outputs.build(kind, "it", {"colour": "red"})


# -- a program ----------------------------------------------------------------------------------


def test_a_program_gets_words_without_a_shell_and_json(tmp_path: Path) -> None:
    tool = script(tmp_path, "tool", 'printf "%s|" "$@" > args; cat > alarm.json')
    alarm = Alarm("abc", "pain", "$(touch hacked); `id`", None, 0.5, "")
    command = ["sh", "-c", f'cd {tmp_path}; exec {tool} "$@"', "sh", "say: {text}", "{id}"]
    output = started("program", command=command)
    output.deliver(Call(alarm, 3, ()))
    assert (tmp_path / "args").read_text() == "say: $(touch hacked); `id`|abc.3|"
    assert not (tmp_path / "hacked").exists()
    assert json.loads((tmp_path / "alarm.json").read_text())["call"] == 3


def test_a_program_that_fails_says_why(tmp_path: Path) -> None:
    tool = script(tmp_path, "tool", "echo no modem >&2; exit 3")
    err = failure(started("program", command=[str(tool)]))
    assert str(err) == f"{tool} ended with status 3: no modem"
    assert err.again


def test_a_program_that_leaves_a_child_with_its_output_has_ended(tmp_path: Path) -> None:
    """Status 0 is delivered, at once; the child lives on, and may say what it likes."""
    go_on = f"sleep 1; echo late >&2; sleep 1; touch {tmp_path}/late"
    tool = script(tmp_path, "tool", f"({go_on}) & echo $! > {tmp_path}/child; exit 0")
    output = started("program", command=[str(tool)], limit_s=20)
    began = time.monotonic()
    output.deliver(CALL)
    assert time.monotonic() - began < 1.0
    assert is_running(int((tmp_path / "child").read_text()))
    until((tmp_path / "late").exists)
    bad = script(tmp_path, "bad", "sleep 5 & echo no modem >&2; exit 3")
    began = time.monotonic()
    assert str(failure(started("program", command=[str(bad)]))).endswith("status 3: no modem")
    assert time.monotonic() - began < 3


def test_a_program_that_reads_nothing_and_says_a_lot(tmp_path: Path) -> None:
    tool = script(tmp_path, "tool", "head -c 9000000 /dev/zero >&2; echo >&2; echo end >&2; exit 1")
    assert str(failure(started("program", command=[str(tool)]))).endswith("status 1: end")


def test_a_program_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    tool = script(tmp_path, "tool", f"sleep 60 & echo $! > {tmp_path}/child; wait")
    began = time.monotonic()
    err = failure(started("program", command=[str(tool)], limit_s=0.4))
    assert time.monotonic() - began < 3
    assert "took over 0.4 s" in str(err)
    child = int((tmp_path / "child").read_text())
    until(lambda: not is_running(child))


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, "missing setting: output.it.command"),
        ({"command": []}, "command is empty"),
        ({"command": "notify me"}, "command is a list"),
        ({"command": ["notify", "{txt}"]}, "did you mean output.it.command text"),
        ({"command": ["notify"], "limit_s": 0}, "limit_s is over zero"),
    ],
)
def test_commands_that_cannot_be_meant(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        outputs.build("program", "it", table)


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no program mien-nowhere here"):
        started("program", command=["mien-nowhere"])
    tool = script(tmp_path, "tool", "exit 0")
    output = started("program", command=[str(tool)])
    tool.unlink()
    assert not failure(output).again


# -- sound and speech ---------------------------------------------------------------------------


@pytest.fixture
def loudspeaker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ALSA with a device that takes everything and plays it to nobody."""
    config = tmp_path / "asound.conf"
    config.write_text("pcm.!default { type null }\n")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(config))
    monkeypatch.setattr(player, "_PLAYERS", (["aplay", "-q"],))


@pytest.fixture
def silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with players and no sound device."""
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "nothing.conf"))
    monkeypatch.setattr(player, "_PLAYERS", (["aplay", "-q"],))


def test_the_tones_are_a_sound(tmp_path: Path) -> None:
    write_tones(tmp_path / "a.wav")
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert 0.5 < file.getnframes() / file.getframerate() < 2
        samples = memoryview(file.readframes(file.getnframes())).cast("h")
    assert 20_000 < max(samples) < 32_767


@needs_alsa
def test_a_sound_is_played(loudspeaker: None, tmp_path: Path) -> None:
    output = started("sound")
    output.deliver(CALL)
    output.close()
    write_tones(tmp_path / "own.wav")
    started("sound", file=str(tmp_path / "own.wav")).deliver(CALL)


@needs_alsa
def test_without_a_sound_device_nothing_was_played(silence: None) -> None:
    err = failure(started("sound"))
    assert str(err).startswith("no sound: aplay ended with status 1")
    assert not err.again


def test_without_any_player(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert "none of pw-play, paplay, aplay, afplay is installed" in str(failure(started("sound")))


def test_a_player_that_hangs_has_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path, "pw-play", "sleep 60")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(player, "_PLAYERS", (["pw-play"],))
    with pytest.raises(Undelivered, match="pw-play took over"):
        player.play(tmp_path / "x.wav", 0.3)


def test_sound_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no WAV file that can be read"):
        started("sound", file=str(tmp_path / "missing.wav"))
    (tmp_path / "text.wav").write_text("not a sound")
    with pytest.raises(ConfigError, match="no WAV file that can be read"):
        started("sound", file=str(tmp_path / "text.wav"))
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(ConfigError, match="no WAV file that can be read: it is no file"):
        started("sound", file=str(tmp_path / "pipe.wav"))
    with pytest.raises(ConfigError, match="no WAV file that can be read: embedded null"):
        started("sound", file="a\0b.wav")
    write_tones(tmp_path / "rate.wav")
    content = bytearray((tmp_path / "rate.wav").read_bytes())
    content[24:28] = bytes(4)  # samples a second
    (tmp_path / "rate.wav").write_bytes(content)
    with pytest.raises(
        ConfigError, match="no WAV file that can be read: it has no samples a second"
    ):
        started("sound", file=str(tmp_path / "rate.wav"))
    with wave.open(str(tmp_path / "long.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 8000 * 11))
    with pytest.raises(ConfigError, match=r"takes 11 s; an alarm has 10 s at most"):
        started("sound", file=str(tmp_path / "long.wav"))


@needs_voice
@needs_alsa
@pytest.mark.parametrize("voice", ["", "de", "PT_BR"])
def test_words_are_spoken(loudspeaker: None, voice: str) -> None:
    started("speech", voice=voice).deliver(CALL)


@needs_voice
@needs_alsa
def test_words_on_a_machine_without_a_sound_device(silence: None) -> None:
    err = failure(started("speech"))
    assert str(err).startswith("no sound: aplay ended with status 1")


@needs_voice
def test_another_language_is_another_sound(tmp_path: Path) -> None:
    from mien.alarms.speak import synthesize

    for voice in ("en", "de"):
        synthesize("Ich brauche Hilfe", tmp_path / f"{voice}.wav", voice, 160)
    assert (tmp_path / "en.wav").read_bytes() != (tmp_path / "de.wav").read_bytes()
    with wave.open(str(tmp_path / "de.wav")) as file:
        assert 0.5 < file.getnframes() / file.getframerate() < 4


@needs_voice
def test_an_unknown_voice_is_told_at_the_start() -> None:
    with pytest.raises(ConfigError, match=r"output.it: cannot speak: no voice called 'narnian'"):
        started("speech", voice="narnian")


def test_a_speech_engine_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyttsx3.py").write_text("def init(): raise RuntimeError('no libespeak-ng')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    with pytest.raises(ConfigError, match="no speech engine: no libespeak-ng; on Linux: apt-get"):
        started("speech")


def test_a_speech_engine_that_says_too_early_that_it_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As pyttsx3 with espeak on a busy machine: the file comes later, and little by little."""
    (tmp_path / "pyttsx3.py").write_text(
        """
import threading, time

class Engine:
    def setProperty(self, name, value): pass
    def connect(self, topic, callback): self.callback = callback
    def save_to_file(self, text, path): self.path = path
    def runAndWait(self): threading.Thread(target=self.speak).start()
    def speak(self):
        time.sleep(0.2)
        with open(self.path, "wb", buffering=0) as file:
            for _ in range(3):
                file.write(bytes(200))
                time.sleep(0.1)
        self.callback(name=None, completed=True)

def init(): return Engine()
"""
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pyttsx3", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    speak.synthesize("hello", tmp_path / "a.wav", "", 160)
    assert (tmp_path / "a.wav").stat().st_size == 600
    monkeypatch.delitem(sys.modules, "pyttsx3")


@pytest.mark.parametrize("rate", [5, 1000])
def test_a_rate_that_cannot_be_meant(rate: int) -> None:
    with pytest.raises(ConfigError, match="20 to 500 words a minute"):
        outputs.build("speech", "it", {"rate": rate})


# -- the live view ------------------------------------------------------------------------------


def test_a_message_is_shown_for_some_time() -> None:
    with pytest.raises(ConfigError, match="show_s is seconds over zero, got -1"):
        outputs.build("overlay", "it", {"show_s": -1})


def test_a_view_that_draws_makes_it_delivered() -> None:
    output = started("overlay", show_s=0.3)
    assert isinstance(output, Overlay)
    thread = threading.Thread(target=output.deliver, args=(CALL,))
    thread.start()
    until(lambda: output.messages() == ("Ich brauche Hilfe",))
    thread.join(5)
    time.sleep(0.4)
    assert output.messages() == ("Ich brauche Hilfe",)  # it waits for an answer
    output.acknowledged(CALL.alarm)
    assert output.messages() == ()


def test_a_message_that_waits_for_nobody_goes() -> None:
    output = started("overlay", show_s=0.1)
    assert isinstance(output, Overlay)
    plain = Call(CALL.alarm, 0, ())
    thread = threading.Thread(target=output.deliver, args=(plain,))
    thread.start()
    until(output.messages)
    thread.join(5)
    until(lambda: not output.messages())


def test_without_a_view_it_is_undelivered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.alarms.overlay._PATIENCE_S", 0.1)
    assert str(failure(started("overlay"))) == "no live view draws it"


# -- the desktop --------------------------------------------------------------------------------

DESKTOP = """
import asyncio, sys
from dbus_fast.aio import MessageBus
from dbus_fast.service import ServiceInterface, method

class Notifications(ServiceInterface):
    @method()
    def GetCapabilities(self) -> "as":
        return ["body"]
    @method()
    def GetServerInformation(self) -> "ssss":
        return ["test", "mien", "1", "1.2"]
    @method()
    def Notify(self, app: "s", replaces: "u", icon: "s", title: "s", body: "s",
               actions: "as", hints: "a{sv}", timeout: "i") -> "u":
        print(app, title, body, hints["urgency"].value, flush=True)
        return 1

async def main():
    bus = await MessageBus().connect()
    bus.export("/org/freedesktop/Notifications", Notifications("org.freedesktop.Notifications"))
    await bus.request_name("org.freedesktop.Notifications")
    print("ready", flush=True)
    await asyncio.sleep(30)

asyncio.run(main())
"""


leaves_sockets = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""desktop-notifier closes no connection; the operating system does, at mien's end."""


@pytest.fixture
def session_bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A D-Bus of its own, on which nobody listens yet."""
    if not shutil.which("dbus-daemon"):
        pytest.skip("no dbus-daemon on this machine")
    address = f"unix:path={tmp_path}/bus"
    daemon = subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", f"--address={address}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
    until((tmp_path / "bus").exists)
    yield
    gc.collect()
    daemon.kill()
    daemon.wait(5)


@leaves_sockets
def test_a_desktop_shows_it(session_bus: None) -> None:
    server = subprocess.Popen(
        [sys.executable, "-c", DESKTOP], stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    assert server.stdout
    assert server.stdout.readline() == "ready\n"
    output = started("desktop")
    output.deliver(CALL)
    output.close()
    assert server.stdout.readline() == "mien mien: pain Ich brauche Hilfe 2\n"
    server.kill()
    server.wait(5)
    server.stdout.close()


@leaves_sockets
def test_a_bus_without_a_desktop(session_bus: None) -> None:
    assert str(failure(started("desktop"))) == "no desktop here takes notifications"


@leaves_sockets
def test_no_bus_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    assert str(failure(started("desktop"))) == "no desktop here takes notifications"
    gc.collect()


def test_a_desktop_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    import desktop_notifier

    async def hang(*_: Any, **__: Any) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(desktop_notifier.DesktopNotifier, "send", hang)
    monkeypatch.setattr("mien.alarms.desktop._LIMIT_S", 0.2)
    err = failure(started("desktop"))
    assert "did not answer within 0.2 s" in str(err)
    assert err.again
