"""Where at MQTT brokers mien has left something, beside its journal: it is to be found again.

A broker keeps states and announcements under a topic for ever. Once the rules name another topic,
nobody else knows of the old one.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import threading
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..jsontext import parse

log = logging.getLogger(__name__)

_writing = threading.Lock()  # outputs have a thread each


@dataclass(frozen=True, slots=True)
class Place:
    """A topic at a broker, and Home Assistant's prefix there."""

    host: str
    port: int
    topic: str
    discovery: str

    @property
    def broker(self) -> tuple[str, int]:
        return self.host, self.port


def path_beside(journal: Path) -> Path:
    return journal.with_name(journal.name + ".mqtt.json")


def read(path: Path) -> list[Place]:
    """The places that are remembered; what is none of them is passed over."""
    try:
        told = parse(path.read_bytes())
    except (OSError, ValueError):
        return []
    return [place for one in (told if isinstance(told, list) else ()) if (place := _place(one))]


def _place(told: Any) -> Place | None:
    if not isinstance(told, Mapping):
        return None
    try:
        place = Place(**told)
    except TypeError:
        return None
    texts = (place.host, place.topic, place.discovery)
    fits = all(isinstance(text, str) for text in texts) and isinstance(place.port, int)
    return place if fits else None


def change(path: Path, more: Collection[Place] = (), less: Collection[Place] = ()) -> None:
    """Remember some places, forget others; a full disk stops no alarm."""
    with _writing:
        before = read(path)
        after = [p for p in dict.fromkeys([*before, *more]) if p not in less]
        if after == before:
            return
        new = path.with_name(f".{path.name}.new")
        try:
            new.write_text(json.dumps([dataclasses.asdict(p) for p in after]), encoding="utf-8")
            os.replace(new, path)
        except OSError as err:
            log.info("cannot remember where alarms went: %s", err)
            with suppress(OSError):
                new.unlink()
