"""What docs/actions.md says is read and run."""

from __future__ import annotations

import json
import re
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from mien import alarms
from mien.alarms import rules
from mien.alarms.output import Context, Settings, outputs
from mien.alarms.watch import Alarm, Call
from mien.app import verbs
from mien.face import Face
from tests.alarms.test_runner import face
from tests.servers import Receiver

TEXT = (Path(__file__).parents[1] / "docs" / "actions.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("text", blocks("toml"))
def test_every_rules_file_is_one(text: str, tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(text, encoding="utf-8")
    found = alarms.read(tmp_path / "rules.toml")
    assert set(alarms.build(found)) >= set(found.named_outputs)


def test_the_tables_name_all_there_is() -> None:
    for setting in rules.Rule.__slots__:
        assert f"`{setting}`" in TEXT, setting
    for kind in outputs:
        assert f"| `{kind}` |" in TEXT, kind
    for condition in rules.CONDITIONS:
        assert f"`{condition}`" in TEXT
    assert f"`give_up_s` ({Settings().give_up_s:g})" in TEXT


@pytest.mark.parametrize(
    "command", [c for b in blocks("bash") for c in b.splitlines() if c.startswith("mien act test")]
)
def test_the_commands(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    Path("rules.toml").write_text(blocks("toml")[0], encoding="utf-8")
    seen = {"emotions": {"happiness": 0.9}, "picture_quality": 0.9, "uncertain": False}
    smile = {"schema": "mien/2", "source": "a.mp4", "status": "ok"}
    smile["faces"] = [seen | {"intensity": None, "track": 1}]  # type: ignore[assignment]
    lines = [json.dumps(smile | {"time_s": s / 10}) for s in range(20)]
    Path("records.jsonl").write_text("\n".join(lines))
    words = shlex.split(command.split("#")[0])
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as end:
        verbs.main()
    assert not end.value.code
    assert json.loads(capsys.readouterr().out)["text"] == "She is smiling"


def test_what_a_webhook_receives(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its shape, and the code that checks the signature and drops a second one."""
    monkeypatch.setenv("WARD_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    server = Receiver()
    hook = outputs.build("webhook", "x", {"url": server.url, "secret_env": "WARD_SECRET"})
    hook.start(Context(rules.Rules((), {}), print, lambda key, by: None))
    call = Call(Alarm("9f86d081884c", "pain", "Ich habe Schmerzen"), 0, (), waits=True)
    for _ in range(2):
        hook.deliver(call)
    hook.close()
    server.stop()
    code: dict[str, Any] = {}
    exec(compile(blocks("python")[0], "docs/actions.md", "exec"), code)
    for headers, body in server.got:
        code["receive"](headers, body)
    assert capsys.readouterr().out == "Ich habe Schmerzen\n"
    shown, sent = json.loads(blocks("json")[0]), json.loads(server.got[0][1])
    assert shown.keys() == sent.keys()
    assert shown["data"].keys() == sent["data"].keys()


def test_the_python_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIEN_HOME", str(tmp_path))
    text = '[[rule]]\nname = "a"\nwhen = "sadness"\nabove = 0.5\nhold_s = 0\nto = ["overlay"]\n'
    Path("rules.toml").write_text(text)
    drawn: list[str] = []

    def frames() -> Any:
        while not drawn:
            yield [face()]

    def draw(faces: list[Face], messages: tuple[str, ...]) -> None:
        drawn.extend(messages)

    code = {"recognised_frames": frames, "draw": draw}
    exec(compile(blocks("python")[1], "docs/actions.md", "exec"), code)
    assert drawn == ["a: sadness above 0.5 for 0 s"]
