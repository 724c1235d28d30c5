/** One network proposes, the landmark network decides and places; `mien.faces.detectors.mien`. */

import type { Face, Picture } from "./face.js";
import { alike, clip, hasPixels, suppress } from "./geometry.js";
import type { Landmarker } from "./landmarker.js";
import { faceBox } from "./landmarks.js";
import type { Numbers } from "./numbers.js";
import type { Proposal, Proposer } from "./proposals.js";

export class Detector {
  constructor(
    private readonly proposer: Proposer,
    private readonly landmarker: Landmarker,
    private readonly numbers: Numbers,
  ) {}

  /**
   * Faces with landmarks, best score first; [] for none.
   *
   * known : faces that somebody has placed in this picture: where one is proposed, it is found.
   */
  async detect(picture: Picture, known: readonly Face[]): Promise<Face[]> {
    const { longest, fine } = this.numbers.proposals;
    const before = known.filter(
      ({ score, landmarks }) => score >= this.numbers.detector.face && landmarks !== null,
    );
    const faces = await this.search(picture, longest, [], before);
    return this.areFar(picture, faces) ? this.search(picture, fine, faces, before) : faces;
  }

  /** The faces found before, and those seen in a picture of `longest` pixels; best first. */
  private async search(
    picture: Picture,
    longest: number,
    found: readonly Face[],
    known: readonly Face[],
  ): Promise<Face[]> {
    const { least, face: sure, maybe } = this.numbers.detector;
    const proposed = await this.proposer.propose(picture, least, longest);
    const looked = proposed.slice(0, this.looks(proposed.map(({ score }) => score)));
    const { met, rest } = this.met([...found, ...known], looked);
    const faces = [...found, ...met];
    const placed = await this.landmarker.place(picture, rest, maybe);
    const seen = placed.filter(({ score }) => score >= sure);
    const points = [...faces.map((face) => face.landmarks as Float32Array), ...seen.map((p) => p.points)];
    const scores = [...faces.map((face) => face.score), ...seen.map((p) => p.score)];
    return this.bestFirst(picture, points, scores);
  }

  /** Whether there may be faces in a picture that are too small to be found in a small one. */
  private areFar({ width, height }: Picture, faces: readonly Face[]): boolean {
    const side = Math.max(width, height);
    if (side <= this.numbers.proposals.longest) return false;
    const least = Math.fround(this.numbers.detector.far * side);
    return faces.length === 0 || faces.some(({ box: [x0, , x1] }) => Math.fround(x1 - x0) < least);
  }

  /** How many proposals are worth a look, by their scores, the highest first. */
  private looks(scores: readonly number[]): number {
    const { likely, times, near, near_least, few } = this.numbers.detector;
    const least = Math.max(near_least, near * scores[0]);
    const from = (limit: number): number => scores.filter((score) => score >= limit).length;
    return from(likely) > 0 ? Math.max(Math.ceil(times * from(likely)), from(least)) : few;
  }

  /** The known faces that something was proposed for, and the proposals for others. */
  private met(known: readonly Face[], proposed: readonly Proposal[]): { met: Face[]; rest: Proposal[] } {
    const overlap = this.numbers.detector.alike;
    const same = (face: Face, { box }: Proposal): boolean => alike(face.box, box, overlap);
    return {
      met: known.filter((face) => proposed.some((proposal) => same(face, proposal))),
      rest: proposed.filter((proposal) => !known.some((face) => same(face, proposal))),
    };
  }

  /** Faces of their landmarks: overlaps suppressed, boxes clipped. */
  private bestFirst(
    { width, height }: Picture,
    points: readonly Float32Array[],
    scores: readonly number[],
  ): Face[] {
    const boxes = points.map((p) => faceBox(p, this.numbers.landmarks));
    return suppress(boxes, scores, this.numbers.detector.overlap)
      .map((i) => ({
        box: clip(boxes[i], width, height),
        score: scores[i],
        landmarks: points[i],
        track: null,
      }))
      .filter(({ box }) => hasPixels(box));
  }
}
