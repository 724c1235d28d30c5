/** Where one scene ends and the next begins; `mien.media.cuts`. */

import type { Picture } from "./face.js";
import type { CutNumbers } from "./numbers.js";
import { picked, resizeArea } from "./raster.js";

/**
 * Says of each frame, in order, whether a new scene begins with it.
 *
 * Frames are compared as thumbnails freed of brightness and contrast. A cut differs from the frame
 * before it, and by much more than the frames before did from one another.
 */
export class Cuts {
  private last: Float32Array | null = null;
  private usual = 0;

  constructor(private readonly numbers: CutNumbers) {}

  /** Whether the scene of the frame before has ended; true for the first frame. */
  at(frame: Picture): boolean {
    const now = thumbnail(frame, this.numbers);
    if (now === null) return false;
    const last = this.last;
    this.last = now;
    if (last === null) return true;
    const { least, times, recent } = this.numbers;
    const change = 1 - last.reduce((sum, v, i) => sum + v * now[i], 0) / last.length;
    const cut = change > Math.max(least, times * this.usual);
    this.usual = recent * this.usual + (1 - recent) * change;
    return cut;
  }
}

/** Gray levels of mean 0 and deviation 1; null of a picture that shows nothing. */
function thumbnail(frame: Picture, { size: [width, height], sampled, flat }: CutNumbers): Float32Array | null {
  const columns = sampledOf(frame.width, width * sampled);
  const rows = sampledOf(frame.height, height * sampled);
  const gray = resizeArea(picked(frame, columns, rows, 1), width, height).data;
  const mean = gray.reduce((sum, v) => sum + v, 0) / gray.length;
  const spread = Math.sqrt(gray.reduce((sum, v) => sum + (v - mean) ** 2, 0) / gray.length);
  return spread >= flat ? Float32Array.from(gray, (v) => (v - mean) / spread) : null;
}

function sampledOf(length: number, wanted: number): number[] {
  const step = Math.max(1, Math.floor(length / wanted));
  return Array.from({ length: Math.ceil(length / step) }, (_, i) => i * step);
}
