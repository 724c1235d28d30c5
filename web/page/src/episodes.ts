/** Episodes: from when to when a face showed an expression; `mien.results.summary` in a browser. */

import numbers from "../../packages/mien/models/numbers.json";
import type { PictureRecord } from "./record";
import type { Point } from "./timeline";

/** from onset to offset, in seconds of the film; peak : the highest probability. */
export interface Episode {
  label: string;
  onsetS: number;
  offsetS: number;
  peak: number;
}

const RULE = numbers.episodes;

/** The usual distance of two records, in seconds: how a film was sampled. */
export function usualStep(records: PictureRecord[]): number {
  const steps = records.slice(1).map((record, i) => record.time_s - records[i].time_s);
  steps.sort((a, b) => a - b);
  const middle = steps.length >> 1;
  if (!steps.length) return 0;
  return steps.length % 2 ? steps[middle] : (steps[middle - 1] + steps[middle]) / 2;
}

/** A face's episodes in the order of their onsets. times : of every record, seen or not. */
export function episodes(points: Point[], labels: string[], records: PictureRecord[]): Episode[] {
  const step = usualStep(records);
  const longest = RULE.longest * RULE.slack * step;
  const gap = Math.max(RULE.gap_s, longest);
  const ends = new Map(
    records.map((record, i) => {
      const next = i + 1 < records.length ? records[i + 1].time_s - record.time_s : step;
      return [record.time_s, record.time_s + (next > longest ? step : next)];
    }),
  );
  const found = labels
    .filter((label) => label !== "neutral")
    .flatMap((label) =>
      runs(points, label, gap).map((run) => ({
        label,
        onsetS: run[0].timeS,
        offsetS: ends.get(run[run.length - 1].timeS)!,
        peak: Math.max(...run.map((point) => point.values[label])),
      })),
    );
  return found
    .filter(({ onsetS, offsetS }) => Number((offsetS - onsetS).toFixed(6)) >= RULE.shortest_s)
    .sort((a, b) => a.onsetS - b.onsetS || (a.label < b.label ? -1 : 1));
}

/** The stretches that are one episode each. */
function runs(points: Point[], label: string, gap: number): Point[][] {
  const found: Point[][] = [];
  let run: Point[] | null = null;
  points.forEach((point, i) => {
    const lost = i > 0 && point.timeS - points[i - 1].timeS > gap;
    if (run && (point.values[label] < RULE.leave || lost)) run = null;
    if (!run && point.values[label] >= RULE.enter) found.push((run = []));
    run?.push(point);
  });
  return found;
}
