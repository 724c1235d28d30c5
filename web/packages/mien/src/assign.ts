/** Which of these is which of those, at the least cost in all; `mien.tracking.assign`. */

/**
 * (row, column) pairs of the cheapest assignment, rows rising; none that costs over `most`.
 *
 * Being left over costs a row or a column half of `most`, so that as many are paired as `most`
 * allows, and of those pairings the cheapest is taken (Kuhn 1955; Jonker and Volgenant 1987).
 */
export function pairs(costs: readonly (readonly number[])[], most: number): [number, number][] {
  const rows = costs.length;
  const columns = costs[0]?.length ?? 0;
  const side = rows + columns;
  const cost = (r: number, c: number): number => {
    if (r >= rows) return c >= columns ? 0 : most / 2;
    return c >= columns ? most / 2 : Math.min(costs[r][c], 2 * most + 1);
  };
  const square = Array.from({ length: side }, (_, r) => Array.from({ length: side }, (_, c) => cost(r, c)));
  return cheapest(square)
    .slice(0, rows)
    .map((c, r): [number, number] => [r, c])
    .filter(([r, c]) => c < columns && costs[r][c] <= most);
}

/** The column of each row of a square matrix, so that their sum is the least. */
function cheapest(costs: readonly (readonly number[])[]): number[] {
  const side = costs.length;
  const rowOf = new Array<number>(side + 1).fill(-1); // of each column; the last is where a path begins
  const byRow = new Array<number>(side).fill(0);
  const byColumn = new Array<number>(side + 1).fill(0);
  for (let row = 0; row < side; row++) {
    rowOf[side] = row;
    const before = shortestPath(costs, rowOf, byRow, byColumn);
    let column = before.end;
    while (column !== side) {
      rowOf[column] = rowOf[before.of[column]];
      column = before.of[column];
    }
    rowOf[side] = -1;
  }
  const chosen = new Array<number>(side).fill(0);
  for (let column = 0; column < side; column++) chosen[rowOf[column]] = column;
  return chosen;
}

/** The shortest path to a free column, and which column came before each on it. */
function shortestPath(
  costs: readonly (readonly number[])[],
  rowOf: readonly number[],
  byRow: number[],
  byColumn: number[],
): { end: number; of: number[] } {
  const side = costs.length;
  const least = new Array<number>(side).fill(Infinity);
  const before = new Array<number>(side).fill(side);
  const reached = new Array<boolean>(side + 1).fill(false);
  let column = side;
  while (rowOf[column] >= 0) {
    reached[column] = true;
    const here = rowOf[column];
    let next = -1;
    for (let j = 0; j < side; j++) {
      if (reached[j]) continue;
      const reduced = costs[here][j] - byRow[here] - byColumn[j];
      if (reduced < least[j]) {
        least[j] = reduced;
        before[j] = column;
      }
      if (next < 0 || least[j] < least[next]) next = j;
    }
    const step = least[next];
    for (let j = 0; j <= side; j++) {
      if (reached[j]) {
        byRow[rowOf[j]] += step;
        byColumn[j] -= step;
      } else if (j < side) {
        least[j] -= step;
      }
    }
    column = next;
  }
  return { end: column, of: before };
}
