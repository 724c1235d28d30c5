/** Reads faces in this browser: the networks run in a worker, and no picture leaves it. */

import { signal } from "@preact/signals";
import type { Asked, Answer } from "./device.worker";
import { Told } from "./problem";
import type { PictureRecord } from "./record";

export type State = "asleep" | "loading" | "ready" | "failed";
export const state = signal<State>("asleep");

interface Waiting {
  resolve: (record: PictureRecord | null) => void;
  reject: (err: Error) => void;
}

let worker: Worker | null = null;
let last = 0;
const waiting = new Map<number, Waiting>();

/** The worker; a new one where the last one was lost. */
function running(): Worker {
  if (worker) return worker;
  state.value = "loading";
  worker = new Worker(new URL("./device.worker.ts", import.meta.url), { type: "module" });
  worker.onmessage = (event: MessageEvent<Answer>) => take(event.data);
  worker.onerror = (event) => lose(event.message);
  return worker;
}

function take(answer: Answer): void {
  const waits = waiting.get(answer.id);
  waiting.delete(answer.id);
  if ("record" in answer) {
    state.value = "ready";
    waits?.resolve(answer.record);
  } else if (answer.why === "load") {
    lose(answer.detail, waits);
  } else {
    waits?.reject(new Told(answer.why, answer.detail, answer.filled));
  }
}

/** The networks cannot be had, or are gone with their memory; the next question starts anew. */
function lose(detail: string, first?: Waiting): void {
  worker?.terminate();
  worker = null;
  state.value = "failed";
  const err = new Told(navigator.onLine ? "device.lost" : "device.offline", detail);
  for (const waits of [first, ...waiting.values()]) waits?.reject(err);
  waiting.clear();
}

function ask(asked: Asked, moved: Transferable[] = []): Promise<PictureRecord | null> {
  const id = ++last;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    running().postMessage({ ...asked, id }, moved);
  });
}

/** Have the networks ready before the first picture comes. */
export const wake = () => ask({ kind: "wake" });

/** The record of a picture's file. */
export async function read(picture: Blob): Promise<PictureRecord> {
  return (await ask({ kind: "picture", picture })) as PictureRecord;
}

/** Frames of a camera or a film, in order: a face keeps its number, and what trembles is evened. */
export class Stream {
  private readonly stream = ++last;

  constructor(readonly smooth: boolean) {}

  /** The record of the next frame, which is the worker's from then on. */
  async next(frame: ImageBitmap, timeS: number): Promise<PictureRecord> {
    const { stream, smooth } = this;
    const asked: Asked = { kind: "frame", stream, smooth, frame, timeS };
    return (await ask(asked, [frame])) as PictureRecord;
  }

  end(): void {
    if (worker) void ask({ kind: "end", stream: this.stream });
  }
}
