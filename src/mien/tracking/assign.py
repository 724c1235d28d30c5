"""Which of these is which of those, at the least cost in all."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt


def pairs(costs: npt.NDArray[np.float64], most: float) -> list[tuple[int, int]]:
    """(row, column) pairs of the cheapest assignment, rows rising; none that costs over ``most``.

    costs : (R, C), each finite. Being left over costs a row or a column half of ``most``, so that
    as many are paired as ``most`` allows, and of those pairings the cheapest is taken (Kuhn 1955,
    by shortest augmenting paths: Jonker and Volgenant 1987).

    Examples
    --------
    >>> pairs(np.array([[6.0, 16.0], [4.0, 6.0]]), most=10.0)
    [(0, 0), (1, 1)]
    """
    rows, columns = costs.shape
    side = rows + columns
    square = np.full((side, side), most / 2)
    square[:rows, :columns] = np.minimum(costs, 2 * most + 1)
    square[rows:, columns:] = 0.0
    chosen = _cheapest(square)
    return [(r, c) for r, c in enumerate(chosen[:rows]) if c < columns and costs[r, c] <= most]


def _cheapest(costs: npt.NDArray[np.float64]) -> list[int]:
    """The column of each row of a square matrix, so that their sum is the least."""
    side = len(costs)
    row_of = [-1] * (side + 1)  # of each column; the last is where a path begins
    by_row, by_column = np.zeros(side), np.zeros(side + 1)
    for row in range(side):
        row_of[side] = row
        least, before = np.full(side, math.inf), [side] * side
        reached, column = np.zeros(side + 1, bool), side
        while row_of[column] >= 0:
            reached[column] = True
            here = row_of[column]
            reduced = costs[here] - by_row[here] - by_column[:side]
            nearer = ~reached[:side] & (reduced < least)
            least[nearer] = reduced[nearer]
            for j in np.flatnonzero(nearer):
                before[j] = column
            step = np.where(reached[:side], math.inf, least)
            column = int(step.argmin())
            by_row[[row_of[j] for j in np.flatnonzero(reached)]] += step[column]
            by_column[reached] -= step[column]
            least[~reached[:side]] -= step[column]
        while column != side:
            row_of[column] = row_of[before[column]]
            column = before[column]
        row_of[side] = -1
    chosen = [0] * side
    for column, row in enumerate(row_of[:side]):
        chosen[row] = column
    return chosen
