"""The faces in labelled pictures, as verbs that score or fit a model on such take them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConfigError
from .analysis import MOST_REASONS
from .terminal import say

if TYPE_CHECKING:
    from pathlib import Path

    from ..data.table import Table
    from ..expression.recognize import Recognizer


def faces_in(pictures: Table, crops: bool, alignment: str | None, recognizer: Recognizer) -> Table:
    """The faces in pictures, as `mien train --data` cuts them, where they are not cut already."""
    from ..data.cut import faces_of
    from ..faces import align

    if crops or pictures.are_crops:
        if not crops and "align" not in pictures.notes:
            say("small pictures: each is taken for a face that is cut out already")
        return pictures
    info = recognizer.info
    faces = faces_of(pictures, align.known(alignment) or info.align, info.preprocess.size)
    whole = f", {faces.notes['whole']} of them whole pictures" if faces.notes["whole"] else ""
    say(f"{len(faces)} faces found in {len(pictures)} pictures{whole} (--crops: do not search)")
    none = faces.notes["no_face"]
    for name in none[:MOST_REASONS]:
        say(f"left out {name}: no face found")
    if len(none) > MOST_REASONS:
        say(f"left out {len(none) - MOST_REASONS} more without a face")
    return faces


def cut_for(faces: Table, path: Path, recognizer: Recognizer, model: str) -> Table:
    """The faces of a table as a model takes them; crops that nobody cut by landmarks are cut.

    Raises ConfigError where they were cut in another way.
    """
    from ..data.cut import aligned
    from ..faces import align

    wanted = recognizer.info.align
    cut = faces.notes.get("align", align.DEFAULT)
    if cut == wanted:
        return faces
    if "align" in faces.notes:
        raise ConfigError(
            f"the faces of {path} are cut by '{cut}', and {model} takes '{wanted}'; "
            "give the table that they were cut from, or cut it anew with: mien data align"
        )
    found = aligned(faces, wanted, recognizer.info.preprocess.size)
    whole = found.notes["whole"]
    rest = f"; no face seen in {whole}, which stay whole" if whole else ""
    say(f"{len(found) - whole} faces cut by {wanted}, as {model} takes them{rest}")
    return found
