"""Crops of a table: the face is found, what is not found drops out and is counted."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mien.data.cut import Cut, cut
from mien.data.table import Row, Table, png
from mien.errors import ConfigError, DataError, UnknownName
from mien.face import ImageArray
from mien.training import recipes

LIPS = (223, 145)  # their middle, in pixels of the astronaut's picture
MOUTH = ("mouth", 28)


def pictures(astronaut: ImageArray) -> Table:
    """Two faces and two pictures without one."""
    face = astronaut[60:166, 172:278]
    nobody = np.full((106, 106, 3), 90, np.uint8)
    shown = [("happiness", face), ("happiness", nobody), ("neutral", nobody), ("neutral", face)]
    rows = [
        Row(f"made/{i}", "all", label, png(picture), 106, 106, landmarks=(0.0,) * 136)
        for i, (label, picture) in enumerate(shown)
    ]
    return Table("made", rows)


def test_what_is_not_found_is_counted(astronaut: ImageArray) -> None:
    done = cut(pictures(astronaut), Cut(), *MOUTH)
    assert [row.id for row in done.rows] == ["made/0", "made/3"]
    assert done.notes["cut"] == {
        "by": "landmarks",
        "given": {"happiness": 2, "neutral": 2},
        "cut": {"happiness": 1, "neutral": 1},
    }
    assert done.notes["align"] == "mouth"
    assert all(row.landmarks is None and row.width == row.height == 28 for row in done.rows)


def test_it_is_the_mouth(astronaut: ImageArray) -> None:
    """The crop looks like a part of the picture with her lips in its middle."""
    (crop, _) = cut(pictures(astronaut), Cut(), *MOUTH).pictures()
    best = max(_places(astronaut, crop))
    assert best[0] > 0.7  # she holds her head askew, and the crop is level
    np.testing.assert_allclose(best[1:], LIPS, atol=5)


def _places(picture: ImageArray, crop: ImageArray) -> list[tuple[float, float, float]]:
    """How alike the crop is to squares of the picture, and the middle x y of the best of a size."""
    found = []
    for side in range(30, 60, 3):
        large = np.asarray(cv2.resize(crop, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
        alike = cv2.matchTemplate(picture, large, cv2.TM_CCOEFF_NORMED)
        _, score, _, (x, y) = cv2.minMaxLoc(alike)
        found.append((score, x + side / 2, y + side / 2))
    return found


def test_a_table_is_cut_once(astronaut: ImageArray) -> None:
    done = cut(pictures(astronaut), Cut(), *MOUTH)
    with pytest.raises(DataError, match="cut by 'mouth' already"):
        cut(done, Cut(), *MOUTH)


def test_no_face_at_all(astronaut: ImageArray) -> None:
    nobody = pictures(astronaut).keep([False, True, True, False])
    with pytest.raises(DataError, match="no face was found in any of the 2 pictures"):
        cut(nobody, Cut(), *MOUTH)


def test_wrong_settings() -> None:
    with pytest.raises(UnknownName, match="did you mean cascade"):
        Cut("cascades")


def test_the_cascade_finds_mouths_only() -> None:
    with pytest.raises(ConfigError, match=r'model\.align = "mouth"'):
        recipes.read(recipes.find("biondi2019"), ["cut.by=cascade", "model.align=similarity"])
