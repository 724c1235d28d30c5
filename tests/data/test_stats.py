"""Statistics of a table, against numpy on made pictures."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from mien.data.stats import Spread, channel_stats, label_order
from mien.data.table import Row, Table
from mien.errors import DataError
from mien.face import ImageArray


def row(picture: ImageArray, split: str, label: str, subject: str | None = None) -> Row:
    png = cv2.imencode(".png", picture[:, :, ::-1])[1].tobytes()
    height, width = picture.shape[:2]
    return Row("made/1", split, label, png, width, height, subject=subject)


def noise(height: int, width: int, top: int, seed: int = 0) -> ImageArray:
    return np.random.default_rng(seed).integers(0, top, (height, width, 3), np.uint8)


def test_mean_and_deviation_are_those_of_all_pixels_together() -> None:
    pictures = [noise(5, 7, 256, 1), noise(60, 40, 40, 2), noise(1, 3, 200, 3)]
    stats = channel_stats(Table("made", [row(p, "train", "fear") for p in pictures]))

    pixels = np.concatenate([p.reshape(-1, 3) for p in pictures]).astype(np.float64)
    assert stats.pixels == len(pixels) == 35 + 2400 + 3
    np.testing.assert_allclose(stats.mean, pixels.mean(0), rtol=1e-14)
    np.testing.assert_allclose(stats.std, pixels.std(0), rtol=1e-13)
    np.testing.assert_allclose(stats.unit_mean, (pixels / 255).mean(0), rtol=1e-13)
    np.testing.assert_allclose(stats.unit_std, (pixels / 255).std(0), rtol=1e-13)

    mean_of_means = np.mean([p.reshape(-1, 3).mean(0) for p in pictures], axis=0)
    assert np.abs(mean_of_means - stats.mean).min() > 10


def test_channels_are_red_green_blue() -> None:
    picture = np.zeros((2, 2, 3), np.uint8)
    picture[:] = (10, 20, 30)
    picture[0, 0] = (14, 20, 30)
    stats = channel_stats(Table("made", [row(picture, "train", "fear")]))
    assert stats.mean == (11.0, 20.0, 30.0)
    assert stats.std == (3**0.5, 0.0, 0.0)


@pytest.mark.parametrize("colored", [False, True])
def test_gray_means_every_pixel_of_every_picture(colored: bool) -> None:
    pictures = [noise(8, 8, 256, seed)[:, :, :1].repeat(3, axis=2) for seed in range(3)]
    pictures[1][7, 7, 2] ^= np.uint8(colored)
    stats = channel_stats(Table("made", [row(p, "train", "fear") for p in pictures]))
    assert stats.gray is not colored


def test_counts_sizes_and_people() -> None:
    rows = [
        row(noise(10, 20, 9), "train", "not_a_face"),
        row(noise(10, 30, 9), "train", "fear", "ann"),
        row(noise(12, 60, 9), "test", "neutral", "bob"),
        row(noise(90, 10, 9), "test", "fear", "ann"),
    ]
    stats = channel_stats(Table("made", rows))
    assert stats.counts == {
        "train": {"neutral": 0, "fear": 1, "not_a_face": 1},
        "test": {"neutral": 1, "fear": 1, "not_a_face": 0},
    }
    assert list(stats.counts["train"]) == ["neutral", "fear", "not_a_face"]
    assert stats.width == Spread(10, 25.0, 60)
    assert stats.height == Spread(10, 11.0, 90)
    assert (stats.rows, stats.subjects, stats.subject_rows) == (4, 2, 3)


def test_no_names_means_an_unknown_number_of_people() -> None:
    stats = channel_stats(Table("made", [row(noise(4, 4, 9), "train", "fear")]))
    assert stats.subjects is None
    assert json.loads(json.dumps(stats.as_dict()))["subjects"] is None


def test_labels_come_in_mien_s_order_and_foreign_ones_last() -> None:
    labels = ["zeal", "unknown", "contempt", "awe", "neutral", "unknown"]
    table = Table("made", [row(noise(4, 4, 9), "train", label) for label in labels])
    assert label_order(table) == ("neutral", "contempt", "unknown", "awe", "zeal")


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(DataError, match="made holds no pictures"):
        channel_stats(Table("made", []))


def test_fer2013(fer2013_table: Table) -> None:
    """The mean and deviation of Training are the 0.5077 and 0.2550 others report for it."""
    stats = channel_stats(fer2013_table.of_split("Training"))
    assert stats.gray
    assert stats.pixels == 28709 * 48 * 48
    assert stats.unit_mean[0] == pytest.approx(0.5077, abs=5e-5)
    assert stats.unit_std[0] == pytest.approx(0.2550, abs=5e-5)
    assert stats.counts["Training"]["disgust"] == 436
