/** Where in a picture faces might be, by a small network; `mien.faces.proposals`. */

import type { Box, Picture } from "./face.js";
import { box32, byScore, clamp, holds, iou, middle, roundHalfEven } from "./geometry.js";
import { floats, type Network } from "./network.js";
import type { ProposalNumbers } from "./numbers.js";
import { halve, halvings, part, type Raster, resizeLinear } from "./raster.js";

const f = Math.fround; // kept in single precision, as in Python: a crop's pixels follow

/** Where a face might be. turn : how far it is turned, in radians, clockwise. */
export interface Proposal {
  readonly box: Box;
  readonly turn: number;
  readonly score: number;
}

/** What one of the network's maps says; (6, rows, columns). */
export interface AnswerMap {
  readonly said: Float32Array;
  readonly rows: number;
  readonly columns: number;
  readonly stride: number;
}

export class Proposer {
  constructor(
    private readonly network: Network,
    private readonly numbers: ProposalNumbers,
  ) {}

  /** What scores at `least` so much, likeliest first, in pixels of the picture; searched in `longest`. */
  async propose(
    picture: Picture,
    least: number,
    longest: number = this.numbers.longest,
  ): Promise<Proposal[]> {
    const { whole, factor } = searched(picture, this.numbers, longest);
    const input = Float32Array.from(whole.data);
    const answers = await this.network.run(input, [1, 1, whole.height, whole.width]);
    const maps = answers.map((answer, i) => ({
      said: floats(answer),
      rows: answer.dims[2],
      columns: answer.dims[3],
      stride: this.numbers.strides[i],
    }));
    return distinct(decode(maps, least, this.numbers), this.numbers).map(({ box, turn, score }) => {
      const [x0, y0, x1, y1] = box;
      return { box: box32(x0 * factor, y0 * factor, x1 * factor, y1 * factor), turn, score };
    });
  }
}

/** What the network gets of a picture, gray levels, and the factor back. */
export function searched(
  picture: Picture,
  numbers: ProposalNumbers,
  longest: number = numbers.longest,
): { whole: Raster; factor: number } {
  const { small, factor } = shrunk(part(picture, 0, 0, picture.width, picture.height, 1), longest);
  const cell = Math.max(...numbers.strides);
  const width = Math.ceil(small.width / cell) * cell;
  const height = Math.ceil(small.height / cell) * cell;
  const data = new Uint8Array(width * height).fill(numbers.beyond);
  for (let y = 0; y < small.height; y++) {
    data.set(small.data.subarray(y * small.width, (y + 1) * small.width), y * width);
  }
  return { whole: { width, height, channels: 1, data }, factor };
}

function shrunk(gray: Raster, longest: number): { small: Raster; factor: number } {
  const factor = Math.max(gray.width, gray.height) / longest;
  if (factor <= 1) return { small: gray, factor: 1 };
  const width = Math.max(1, roundHalfEven(gray.width / factor));
  const height = Math.max(1, roundHalfEven(gray.height / factor));
  return { small: resizeLinear(halve(gray, halvings(factor)), width, height), factor };
}

/**
 * What the cells of the maps say whose score is at least `least`, likeliest first.
 *
 * The six numbers: log odds of a face; from the cell's middle to the face's, x and y in strides; the
 * logarithm of its side in `sides` strides; sine and cosine of its roll.
 */
export function decode(
  maps: readonly AnswerMap[],
  least: number,
  numbers: ProposalNumbers,
): Proposal[] {
  const found = maps.flatMap((map) => decodeMap(map, Math.log(least / (1 - least)), numbers));
  return byScore(found.map(({ score }) => score)).map((i) => found[i]);
}

function decodeMap(
  { said, rows, columns, stride }: AnswerMap,
  least: number,
  { sides, log_side }: ProposalNumbers,
): Proposal[] {
  const found: Proposal[] = [];
  const cells = rows * columns;
  for (let at = 0; at < cells; at++) {
    if (!(said[at] >= least)) continue;
    const [x, y, size, sine, cosine] = [1, 2, 3, 4, 5].map((k) => said[k * cells + at]);
    const middleX = ((at % columns) + 0.5 + x) * stride;
    const middleY = (Math.floor(at / columns) + 0.5 + y) * stride;
    const half = Math.exp(clamp(size, -log_side, log_side)) * ((sides * stride) / 2);
    found.push({
      box: box32(middleX - half, middleY - half, middleX + half, middleY + half),
      turn: f(Math.atan2(sine, cosine)),
      score: f(1 / (1 + Math.exp(-said[at]))),
    });
  }
  return found;
}

/**
 * Only the likeliest of those that lie alike, and only so many of a picture.
 *
 * Cells of different maps propose the same face in different sizes, or a part of it: what has its
 * middle in a likelier proposal is that one's.
 */
export function distinct(every: readonly Proposal[], numbers: ProposalNumbers): Proposal[] {
  const kept: Proposal[] = [];
  for (const one of every.slice(0, numbers.candidates)) {
    if (!kept.some((other) => iou(one.box, other.box) > numbers.alike)) kept.push(one);
  }
  const first = kept.slice(0, numbers.most);
  return first
    .filter((one, i) => !first.slice(0, i).some((other) => holds(other.box, middle(one.box))))
    .map((one) => ({ ...one, turn: turnOf(one, every, numbers) }));
}

/** How far a face is turned, by all cells nearly as sure of it: one alone errs by a third. */
function turnOf(one: Proposal, every: readonly Proposal[], numbers: ProposalNumbers): number {
  const same = every.filter(
    ({ box, score }) => score >= numbers.as_sure * one.score && iou(one.box, box) > numbers.alike,
  );
  const sine = same.reduce((sum, { turn }) => sum + Math.sin(turn), 0);
  const cosine = same.reduce((sum, { turn }) => sum + Math.cos(turn), 0);
  return f(Math.atan2(sine / same.length, cosine / same.length));
}
