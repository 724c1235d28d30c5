/** Steady answers over time, for faces that are followed; `causal` of `mien.tracking.smooth`. */

import { clamp } from "./geometry.js";
import type { SmoothNumbers } from "./numbers.js";

/** Probabilities by label, and intensities where there are any. */
export interface Values {
  readonly probs: readonly number[];
  readonly intensity: readonly number[] | null;
}

/** What was read of one face at a time, and the mean that came out. */
interface Sample {
  readonly timeS: number;
  readonly read: Values;
  readonly mean: Values;
}

/**
 * An exponential mean that lets go where the expression changes: a change comes through about one
 * frame late. What lasts a single frame of 1/20 s or less does not get through at once.
 */
export class Causal {
  private readonly last = new Map<number, Sample>();

  constructor(private readonly numbers: SmoothNumbers) {}

  /** What comes out for the faces of the next frame, by track. */
  push(timeS: number, faces: ReadonlyMap<number, Values>): Map<number, Values> {
    const smoothed = new Map<number, Values>();
    for (const [track, read] of faces) {
      const mean = this.mean(this.last.get(track), timeS, read);
      this.last.set(track, { timeS, read, mean });
      smoothed.set(track, mean);
    }
    for (const [track, sample] of this.last) {
      if (!this.isNear(timeS - sample.timeS)) this.last.delete(track);
    }
    return smoothed;
  }

  private isNear(passed: number): boolean {
    return passed >= 0 && passed <= this.numbers.reach_s;
  }

  private mean(last: Sample | undefined, timeS: number, now: Values): Values {
    if (last === undefined || !this.isNear(timeS - last.timeS)) return now;
    const passed = timeS - last.timeS;
    const { steady_s, calm, change } = this.numbers;
    const steady = 1 - clamp((this.moved(last, passed, now) - calm) / (change - calm), 0, 1);
    const kept = steady === 0 ? 0 : Math.exp(-passed / (steady_s * steady));
    return {
      probs: blended(kept, last.mean.probs, now.probs),
      intensity:
        now.intensity && last.mean.intensity
          ? blended(kept, last.mean.intensity, now.intensity)
          : now.intensity,
    };
  }

  /** How much of the probability moved; of a blink, only what the frame before says, too. */
  private moved(last: Sample, passed: number, now: Values): number {
    const mean = last.mean.probs;
    const moved = distance(now.probs, mean);
    if (passed > this.numbers.blink_s) return moved;
    const alike = now.probs.reduce((sum, p, k) => sum + (p - mean[k]) * (last.read.probs[k] - mean[k]), 0);
    return alike > 0 ? Math.min(moved, distance(last.read.probs, mean)) : 0;
  }
}

function blended(kept: number, mean: readonly number[], now: readonly number[]): number[] {
  return mean.map((v, k) => kept * v + (1 - kept) * now[k]);
}

/** The total variation distance of two faces' probabilities, in [0, 1]. */
function distance(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, p, k) => sum + Math.abs(p - b[k]), 0) / 2;
}
