"""Assignment: what SciPy finds, and who is left over."""

from __future__ import annotations

import numpy as np
import pytest

from mien.tracking import assign


@pytest.mark.parametrize("seed", range(60))
def test_it_is_as_cheap_as_scipys(seed: int) -> None:
    scipy = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(seed)
    costs = rng.random(tuple(rng.integers(1, 8, 2)))
    if seed % 3 == 0:
        costs = np.round(costs * 3)  # ties
    rows, columns = scipy.linear_sum_assignment(costs)
    ours = assign.pairs(costs, most=100.0)
    assert len(ours) == min(costs.shape)
    assert len({c for _, c in ours}) == len(ours)
    assert sum(costs[r, c] for r, c in ours) == pytest.approx(costs[rows, columns].sum())


def test_nobody_is_paired_for_more_than_the_most() -> None:
    costs = np.array([[0.2, 9.0], [9.0, 1.5]])
    assert assign.pairs(costs, most=1.0) == [(0, 0)]


def test_the_nearest_is_not_taken_first_where_that_costs_more_in_all() -> None:
    """Two faces, both shifted: a greedy search pairs the middle ones and loses the others."""
    expected, found = np.array([0.0, 10.0]), np.array([6.0, 16.0])
    costs = np.abs(expected[:, None] - found)
    assert assign.pairs(costs, most=12.0) == [(0, 0), (1, 1)]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_of_nothing_nothing_is_paired(shape: tuple[int, int]) -> None:
    assert assign.pairs(np.zeros(shape), most=1.0) == []
