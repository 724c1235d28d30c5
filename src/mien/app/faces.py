"""The faces in labelled pictures, as verbs that score or fit a model on such take them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .analysis import MOST_REASONS
from .terminal import say

if TYPE_CHECKING:
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
