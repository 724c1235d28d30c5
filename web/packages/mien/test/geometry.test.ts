/** Boxes and transforms with known results; Python's own tests have the same. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { pairs } from "../src/assign.js";
import {
  alike,
  areaInside,
  inverse,
  iou,
  roundHalfEven,
  similarity,
  suppress,
  transformed,
  turnedSquare,
} from "../src/geometry.js";
import { estimate } from "../src/pose.js";
import { numbers } from "./given.js";

test("numbers are rounded as Python rounds", () => {
  const given = [0.5, 1.5, 2.5, -0.5, -1.5, 2.4, -2.6];
  assert.deepEqual(given.map(roundHalfEven).map((v) => v + 0), [0, 2, 2, 0, -2, 2, -3]);
});

test("boxes overlap", () => {
  const box = [0, 0, 10, 10] as const;
  assert.equal(iou(box, box), 1);
  assert.ok(Math.abs(iou(box, [5, 0, 15, 10]) - 1 / 3) < 1e-9);
  assert.equal(iou(box, [20, 20, 30, 30]), 0);
  assert.ok(alike(box, [3, 3, 9, 9], 0.9));
  assert.ok(!alike(box, [6, 6, 30, 30], 0.9));
});

test("of two detections inside one another the better stays", () => {
  const boxes = [[0, 0, 10, 10], [2, 2, 8, 8], [40, 40, 50, 50]] as const;
  assert.deepEqual(suppress(boxes, [0.5, 0.9, 0.7], 0.3), [1, 2]);
});

test("a similarity is found again, and never a mirror image", () => {
  const from = [30, 40, 70, 40, 50, 80];
  const matrix = turnedSquare([50, 50], 90, 0.4, 64);
  const to = [0, 1, 2].flatMap((i) => transformed(matrix, from[2 * i], from[2 * i + 1]));
  const found = similarity(from, to);
  assert.ok(found);
  matrix.forEach((v, i) => assert.ok(Math.abs(v - found[i]) < 1e-9));
  const mirrored = similarity(from, from.map((v, i) => (i % 2 ? v : 100 - v)));
  assert.ok(mirrored && mirrored[0] * mirrored[4] - mirrored[1] * mirrored[3] > 0);
  assert.equal(similarity([5, 5, 5, 5], [1, 2, 3, 4]), null);
});

test("what a matrix does is taken back", () => {
  const matrix = turnedSquare([12, 30], 7, 1.1, 48);
  const back = inverse(matrix);
  assert.ok(back);
  const [x, y] = transformed(back, ...transformed(matrix, 3, -4));
  assert.ok(Math.abs(x - 3) < 1e-9 && Math.abs(y + 4) < 1e-9);
  assert.equal(inverse([0, 0, 1, 0, 0, 1]), null);
});

test("a polygon's part inside a box has its area", () => {
  const diamond = [[5, 0], [10, 5], [5, 10], [0, 5]] as [number, number][];
  assert.equal(areaInside(diamond, [0, 0, 10, 10]), 50);
  assert.equal(areaInside(diamond, [5, 0, 10, 10]), 25);
  assert.equal(areaInside(diamond, [20, 0, 30, 10]), 0);
});

test("the cheapest assignment is that of trying all", () => {
  let seed = 1;
  const random = (): number => (seed = (seed * 16807) % 2147483647) / 2147483647;
  for (let n = 0; n < 60; n++) {
    const [rows, columns] = [1 + (n % 4), 1 + (n % 3)];
    const costs = Array.from({ length: rows }, () => Array.from({ length: columns }, () => 2 * random()));
    const worth = (found: readonly [number, number][]): number =>
      found.reduce((sum, [r, c]) => sum + costs[r][c] - 1, 0);
    assert.ok(Math.abs(worth(pairs(costs, 1)) - bestOf(costs, 0, [])) < 1e-9);
  }
  assert.deepEqual(pairs([[6, 16], [4, 6]], 10), [[0, 0], [1, 1]]);
  assert.deepEqual(pairs([], 1), []);
});

/** The least worth of all pairings in which no pair costs over 1, being left over costing half. */
function bestOf(costs: readonly number[][], row: number, taken: readonly number[]): number {
  if (row === costs.length) return 0;
  let best = bestOf(costs, row + 1, taken);
  costs[row].forEach((cost, c) => {
    if (cost > 1 || taken.includes(c)) return;
    best = Math.min(best, cost - 1 + bestOf(costs, row + 1, [...taken, c]));
  });
  return best;
}

test("points that are no face have no pose", () => {
  assert.equal(estimate(new Float32Array(136), numbers.pose), null);
  assert.equal(estimate(new Float32Array(136).fill(Number.NaN), numbers.pose), null);
});
