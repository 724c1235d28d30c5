"""Processes of a training find each other, or say why they do not: threads in their place."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from mien.errors import ConfigError, MienError
from mien.training import launch, meeting

SAME = {"data": {"sha256": "ab"}, "recipe": {"train": {"epochs": 2}}, "versions": {"torch": "2"}}
NAMES = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK")


class Place(launch._ByHand):
    """A process's place among others, told outright."""

    def __init__(self, rank: int, count: int, port: int, address: str = "127.0.0.1") -> None:
        super().__init__()
        self.told = rank, count, address, port

    def global_rank(self) -> int:
        return self.told[0]

    def world_size(self) -> int:
        return self.told[1]

    @property
    def main_address(self) -> str:
        return self.told[2]

    @property
    def main_port(self) -> int:
        return self.told[3]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meeting, "ARRIVAL", timedelta(seconds=3))
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def outcome(place: Place, facts: Mapping[str, Any]) -> str:
    """What a process would say in the end; "" where it goes on."""
    try:
        meeting.meet(place, facts)
    except MienError as err:
        return str(err)
    return ""


def met(port: int, *facts: Mapping[str, Any]) -> list[str]:
    """The outcome for each of several processes that come together."""
    with ThreadPoolExecutor(len(facts)) as pool:
        places = [Place(rank, len(facts), port) for rank in range(len(facts))]
        return list(pool.map(outcome, places, facts))


def test_processes_that_are_about_to_do_the_same_go_on(port: int) -> None:
    assert met(port, SAME, SAME, SAME) == ["", "", ""]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"data": {"sha256": "cd"}}, "data.sha256 is ab and cd"),
        ({"recipe": {"train": {"epochs": 3}}}, "recipe.train.epochs is 2 and 3"),
        ({"versions": {"torch": "3"}}, "versions.torch is 2 and 3"),
        ({"precision": "bf16-mixed"}, "precision is None and bf16-mixed"),
    ],
)
def test_who_is_about_to_do_something_else_is_told_to_all(
    port: int, other: dict[str, Any], said: str
) -> None:
    for words in met(port, SAME, SAME, {**SAME, **other}):
        assert f"processes 0 and 2 are about to do different things: {said}; every" in words


def test_a_process_that_does_not_come(port: int) -> None:
    said = outcome(Place(0, 3, port), SAME)
    assert f"of 3 processes these did not come to 127.0.0.1:{port} within" in said
    assert "minutes: 1, 2; was the command started on every machine" in said


def test_a_first_process_that_does_not_come(port: int) -> None:
    assert f"nobody opens at 127.0.0.1:{port} (Connection refused)" in outcome(
        Place(1, 2, port), SAME
    )
    assert "nobody opens at no.such.machine" in outcome(
        Place(1, 2, port, "no.such.machine.invalid"), SAME
    )


def test_a_number_that_is_given_twice(port: int) -> None:
    found: dict[str, str] = {}

    def come(name: str, rank: int) -> None:
        found[name] = outcome(Place(rank, 3, port), SAME)

    threads = []
    for name, rank in (("first", 0), ("second", 1), ("again", 1)):
        threads.append(threading.Thread(target=come, args=(name, rank)))
        threads[-1].start()
        time.sleep(0.5)
    for thread in threads:
        thread.join()
    assert f"process 1 of 3 is at 127.0.0.1:{port} already: NODE_RANK is given" in found["again"]
    assert "did not come" in found["first"]


def test_two_trainings_on_one_port(port: int) -> None:
    with socket.socket() as other:
        other.bind(("", port))
        other.listen()
        said = outcome(Place(0, 2, port), SAME)
    assert said.startswith(f"port {port} is taken, by another training perhaps")


def test_several_machines_need_somebody_who_starts_them() -> None:
    with pytest.raises(ConfigError, match=r"torchrun --nnodes 2 --node-rank 0 .* or with Slurm"):
        launch.surroundings(1, 2)


@pytest.mark.parametrize("number", ["2", "-1", "first"])
def test_a_number_that_no_machine_has(monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    for name, value in (("MASTER_ADDR", "a"), ("MASTER_PORT", "1"), ("NODE_RANK", number)):
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=f"NODE_RANK is {number}; of --nodes 2 it is 0 to 1"):
        launch.surroundings(1, 2)


@pytest.mark.parametrize(("devices", "nodes"), [(1, 1), (2, 1), (1, 4)])
def test_torchrun_that_started_others_than_the_command_says(
    monkeypatch: pytest.MonkeyPatch, devices: int, nodes: int
) -> None:
    told = {"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=r"torchrun started --nodes 2 --devices 2 .* make both"):
        launch.surroundings(devices, nodes)
    assert type(launch.surroundings(2, 2)).__name__ == "TorchElasticEnvironment"


def test_slurm_that_started_others_than_the_command_says(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2", "SLURM_NTASKS": "4"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match="srun started --nodes 2 --devices 2"):
        launch.surroundings(1, 1)
    with pytest.raises(ConfigError, match="say --ntasks-per-node=2 in place of --ntasks"):
        launch.surroundings(2, 2)
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "2")
    assert type(launch.surroundings(2, 2)).__name__ == "SLURMEnvironment"


def test_a_shell_that_slurm_gave_starts_its_own_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_STEP_NUM_TASKS", "SLURM_STEP_NUM_NODES", "SLURM_NTASKS"):
        monkeypatch.setenv(name, "1")
    assert isinstance(launch.surroundings(2, 1), launch._ByHand)
