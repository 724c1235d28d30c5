/**
 * The same number for the same face in every frame of a stream; `mien.tracking.tracks`.
 *
 * Who a face is, nobody asks: a face is the same as one before because it lies where that one was to
 * be expected. Between searches of the whole frame the landmark network follows each face from where
 * it was last.
 */

import { pairs } from "./assign.js";
import { Cuts } from "./cuts.js";
import type { Box, Face, Picture } from "./face.js";
import { alike, box32, clamp, clip, hasPixels, iou, longerSide, middle } from "./geometry.js";
import type { Placed } from "./landmarker.js";
import { faceBox, type Leveled, leveledBox } from "./landmarks.js";
import type { Numbers, TrackNumbers } from "./numbers.js";

/** What finds faces and places landmarks. */
export interface Finds {
  find(picture: Picture, known: readonly Face[]): Promise<Face[]>;
  findAgain(picture: Picture, expected: readonly Leveled[]): Promise<Placed[]>;
}

/** How a detector's box lies on `faceBox`: the shift of its middle in sides, and its growth. */
type Fit = readonly [number, number, number, number];

/** A face over time. doubts : searches in a row that have not seen it. */
class Track {
  velocity: readonly [number, number] = [0, 0]; // pixels a second
  fit: Fit | null = null; // null while nobody knows: as `faceBox`
  missed = 0; // frames since it was seen
  doubts = 0;

  constructor(
    readonly number: number,
    public points: Float32Array | null,
    public box: Box, // before it was clipped
    public seenS: number,
  ) {}

  /** How far it has moved since it was seen, if it went on as it did. */
  shift(timeS: number, aheadS: number): [number, number] {
    const ahead = clamp(timeS - this.seenS, 0, aheadS);
    return [this.velocity[0] * ahead, this.velocity[1] * ahead];
  }

  /** Its box then. */
  expected(timeS: number, aheadS: number): Box {
    return shifted(this.box, this.shift(timeS, aheadS), 1);
  }
}

/** A face that is followed in this frame. */
interface Followed {
  readonly track: Track;
  readonly box: Box;
  readonly placed: Placed;
  readonly off: number;
}

/** Follows the faces of one stream; its frames are to come in order. */
export class Tracker {
  private tracks: Track[] = [];
  private given = 0;
  private searchedS: number | null = null;
  private size: readonly [number, number] | null = null; // of the last frame
  private readonly cuts: Cuts;
  private readonly own: TrackNumbers;

  constructor(
    private readonly finder: Finds,
    private readonly numbers: Numbers,
  ) {
    this.cuts = new Cuts(numbers.cuts);
    this.own = numbers.tracks;
  }

  /** The faces of the next frame with landmarks and track, in the order of their tracks. */
  async follow(frame: Picture, timeS: number): Promise<Face[]> {
    if (this.cuts.at(frame)) {
      this.tracks = [];
      this.searchedS = null;
    }
    this.scaleTo(frame);
    const seen = await this.carry(frame, timeS);
    if (this.searchIsDue(timeS, seen)) await this.search(frame, timeS, seen);
    this.forget(timeS, seen);
    return [...seen.entries()].sort(([a], [b]) => a - b).map(([, face]) => face);
  }

  /** What is known of the faces in pixels of this frame, where its size is another's. */
  private scaleTo({ width, height }: Picture): void {
    if (this.size && (this.size[0] !== width || this.size[1] !== height)) {
      const [x, y] = [width / this.size[0], height / this.size[1]];
      for (const track of this.tracks) {
        const [x0, y0, x1, y1] = track.box;
        track.box = box32(x0 * x, y0 * y, x1 * x, y1 * y);
        track.velocity = [track.velocity[0] * x, track.velocity[1] * y];
        track.points = track.points && track.points.map((v, i) => (v + 0.5) * (i % 2 ? y : x) - 0.5);
      }
    }
    this.size = [width, height];
  }

  // -- from frame to frame ----------------------------------------------------------------------

  /** The faces that the landmark network still sees, by track. */
  private async carry(frame: Picture, now: number): Promise<Map<number, Face>> {
    const going = this.tracks.filter((t) => t.points !== null && t.doubts < this.own.doubts);
    if (going.length === 0) return new Map();
    const placed = await this.finder.findAgain(frame, going.map((t) => this.expectedPlace(t, now)));
    const kept: Followed[] = [];
    for (const candidate of this.followed(frame, now, going, placed)) {
      if (!kept.some((other) => this.same(candidate.box, other.box))) kept.push(candidate);
    }
    for (const { track, box, placed: p } of kept) this.see(track, box, p.points, now);
    return new Map(kept.map((found) => [found.track.number, faceOf(found, frame)]));
  }

  private expectedPlace(track: Track, now: number): Leveled {
    const shift = track.shift(now, this.own.ahead_s);
    const points = (track.points as Float32Array).map((v, i) => v + shift[i % 2]);
    return leveledBox(points, this.numbers.landmarks);
  }

  /** Those that may be where they are seen; first the one seen last, then the nearer. */
  private followed(
    frame: Picture,
    now: number,
    going: readonly Track[],
    placed: readonly Placed[],
  ): Followed[] {
    const found = going.map((track, i) => {
      const box = fitted(faceBox(placed[i].points, this.numbers.landmarks), track.fit);
      return { track, box, placed: placed[i], off: offOf(box, track.expected(now, this.own.ahead_s)) };
    });
    return found
      .filter((f) => f.placed.score >= this.own.face && this.follows(f, now) && isVisible(f.box, frame))
      .sort((a, b) => a.track.missed - b.track.missed || a.off - b.off || a.track.number - b.track.number);
  }

  /** Whether a box may be a face's a frame later. */
  private follows({ track, box, off }: Followed, now: number): boolean {
    const ratio = longerSide(box) / longerSide(track.expected(now, this.own.ahead_s));
    return off <= this.own.jump && ratio >= 1 / this.own.growth && ratio <= this.own.growth;
  }

  /** A track has been seen in a box. */
  private see(track: Track, box: Box, points: Float32Array | null, now: number): void {
    const passed = now - track.seenS;
    if (passed > 0 && !this.isTouched(track, box, now)) {
      const kept = Math.exp(-passed / this.own.motion_s);
      const [x, y] = middle(box);
      const [fromX, fromY] = middle(track.box);
      track.velocity = [
        kept * track.velocity[0] + ((1 - kept) * (x - fromX)) / passed,
        kept * track.velocity[1] + ((1 - kept) * (y - fromY)) / passed,
      ];
    }
    track.points = points;
    track.box = box;
    track.seenS = now;
    track.missed = 0;
  }

  /** Whether another face is so near that half of what is seen may be of that one. */
  private isTouched(track: Track, box: Box, now: number): boolean {
    return this.tracks.some((t) => t !== track && iou(box, t.expected(now, this.own.ahead_s)) > this.own.touch);
  }

  private forget(now: number, seen: ReadonlyMap<number, Face>): void {
    const here = [...seen.values()].map((face) => face.box);
    this.tracks = this.tracks.filter((track) => {
      if (!seen.has(track.number)) track.missed++;
      const places = [track.box, track.expected(now, this.own.ahead_s)];
      const isBehind = places.some((place) => here.some((box) => iou(place, box) > this.own.touch));
      const memory = isBehind ? this.own.behind_s : this.own.memory_s;
      return track.missed < this.own.fewest || now - track.seenS <= memory;
    });
  }

  private same(a: Box, b: Box): boolean {
    return alike(a, b, this.own.apart);
  }

  // -- over the whole frame ---------------------------------------------------------------------

  private searchIsDue(now: number, seen: ReadonlyMap<number, Face>): boolean {
    if (this.searchedS === null || seen.size === 0) return true;
    const missing = this.tracks.filter((t) => !seen.has(t.number));
    if (missing.some((t) => t.missed === 0)) return true;
    const passed = now - this.searchedS;
    return !(passed >= 0 && passed < (missing.length ? this.own.missed_s : this.own.search_s));
  }

  /** Adds the faces that nobody follows: those found again, and new ones. */
  private async search(frame: Picture, now: number, seen: Map<number, Face>): Promise<void> {
    this.searchedS = now;
    const followed = this.tracks.filter((t) => seen.has(t.number));
    const missing = this.tracks.filter((t) => !seen.has(t.number));
    for (const track of followed) track.doubts++;
    const fresh: Face[] = [];
    for (const face of await this.finder.find(frame, [...seen.values()])) {
      const here = followed.filter((t) => this.same(face.box, t.box));
      for (const track of here) this.confirm(track, face, frame);
      if (here.length === 0) fresh.push(face);
    }
    const costs = missing.map((track) => fresh.map((face) => this.cost(track, face, now)));
    const again = new Map(pairs(costs, 1).map(([row, column]) => [column, missing[row]]));
    fresh.forEach((face, column) => {
      const found = this.found(frame, now, face, again.get(column));
      seen.set(found.track as number, found);
    });
  }

  /** A face of the detector's, in its old track or in a new one. */
  private found(frame: Picture, now: number, face: Face, old: Track | undefined): Face {
    let track = old;
    if (track === undefined) {
      this.given++;
      track = new Track(this.given, face.landmarks, face.box, now);
      this.tracks.push(track);
    }
    this.confirm(track, face, frame);
    const box = face.landmarks
      ? fitted(faceBox(face.landmarks, this.numbers.landmarks), track.fit)
      : face.box;
    this.see(track, box, face.landmarks, now);
    return { ...face, track: track.number };
  }

  /** The detector sees it too, and says how it draws its boxes. */
  private confirm(track: Track, face: Face, frame: Picture): void {
    track.doubts = 0;
    const [x0, y0, x1, y1] = face.box;
    if (face.landmarks === null || !(x0 > 0 && y0 > 0 && x1 < frame.width && y1 < frame.height)) return;
    const now = fitOf(face.box, faceBox(face.landmarks, this.numbers.landmarks));
    const share = this.own.fit_share;
    const [a, b, c, d] = now.map((v, i) => (track.fit ? track.fit[i] + share * (v - track.fit[i]) : v));
    track.fit = [a, b, c, d];
  }

  /** How unlikely a face is a track's, from 0; over 1 it is not. */
  private cost(track: Track, face: Face, now: number): number {
    const { reach, reach_per_s, farthest, turns_back, ahead_s, places } = this.own;
    const within = Math.min(reach + reach_per_s * Math.max(now - track.seenS, 0), farthest);
    const growth = Math.abs(Math.log2(longerSide(face.box) / longerSide(track.box)));
    const shift = track.shift(now, ahead_s);
    const onItsWay = Array.from({ length: places }, (_, i) => shifted(track.box, shift, i / (places - 1)));
    const nearest = Math.min(...onItsWay.map((place) => offOf(face.box, place)));
    const expected = offOf(face.box, track.expected(now, ahead_s));
    return (turns_back * nearest + (1 - turns_back) * expected) / within + growth / 2;
  }
}

function shifted([x0, y0, x1, y1]: Box, [x, y]: readonly [number, number], share: number): Box {
  return box32(x0 + share * x, y0 + share * y, x1 + share * x, y1 + share * y);
}

/** How far a box lies from where it was expected, in sides. */
function offOf(box: Box, expected: Box): number {
  const [x, y] = middle(box);
  const [fromX, fromY] = middle(expected);
  return Math.hypot(x - fromX, y - fromY) / longerSide(expected);
}

function isVisible(box: Box, frame: Picture): boolean {
  return hasPixels(clip(box, frame.width, frame.height));
}

function faceOf({ track, box, placed }: Followed, frame: Picture): Face {
  const inside = clip(box, frame.width, frame.height);
  return { box: inside, score: Math.min(placed.score, 1), landmarks: placed.points, track: track.number };
}

/** How a detector's box lies on the box of the face's landmarks. */
function fitOf(box: Box, base: Box): Fit {
  const [x, y] = middle(box);
  const [fromX, fromY] = middle(base);
  const side = longerSide(base);
  return [
    (x - fromX) / side,
    (y - fromY) / side,
    (box[2] - box[0]) / (base[2] - base[0]),
    (box[3] - box[1]) / (base[3] - base[1]),
  ];
}

/** The detector's box for the box of a face's landmarks. */
function fitted(base: Box, fit: Fit | null): Box {
  if (fit === null) return base;
  const side = longerSide(base);
  const [fromX, fromY] = middle(base);
  const [x, y] = [fromX + fit[0] * side, fromY + fit[1] * side];
  const [halfWidth, halfHeight] = [((base[2] - base[0]) * fit[2]) / 2, ((base[3] - base[1]) * fit[3]) / 2];
  return box32(x - halfWidth, y - halfHeight, x + halfWidth, y + halfHeight);
}
