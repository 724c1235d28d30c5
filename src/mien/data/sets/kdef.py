"""KDEF (Lundqvist, Flykt and Öhman 1998): seventy people, seven expressions, five sides, twice.

``AF01ANS.JPG`` is session A, female, person 01, angry, straight. Two traps: ``AF`` means afraid
as an expression but session A and female in front, and ``BF01`` is the same woman as ``AF01``.
"""

from __future__ import annotations

import re
from pathlib import Path

from ...labels import canonical
from ..table import Table
from . import Importer
from .collection import Collection

LAYOUT = "AF01/AF01ANS.JPG and so on: session, sex, person, expression, side"
TERMS = "non-commercial research only, no redistribution; cite Lundqvist et al. 1998"
_NAME = re.compile(r"([AB])([FM]\d\d)(AF|AN|DI|HA|NE|SA|SU)(FL|HL|S|HR|FR)", re.IGNORECASE)


def read_kdef(path: Path) -> Table:
    """Every picture in the owners' naming; ``camera`` is the side it is seen from, S in front."""
    collection = Collection("kdef", path)
    for file, named in collection.named(_NAME, "AF01ANS.JPG"):
        session, subject, code, side = (part.upper() for part in named.groups())
        label = "fear" if code == "AF" else canonical(code)
        name, sequence = file.stem.upper(), session + code  # one pose, seen from five sides
        seen = {"subject": subject, "sequence": sequence, "more": {"camera": side}}
        collection.add(file, name, "all", label, **seen)
    return collection.table("files named like AF01ANS.JPG")


def kdef() -> Importer:
    return Importer(read_kdef, LAYOUT, TERMS)
