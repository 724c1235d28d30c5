/** Reads faces in this browser: the networks run in a worker, and no picture leaves it. */

import { signal } from "@preact/signals";
import type { LeftOut, Sample, Shown, Trained } from "mien-web";
import type { Asked, Answer, Explained } from "./device.worker";
import { Told } from "./problem";
import type { PictureRecord } from "./record";
import { recogniser, type KeptSample } from "./store";

export type State = "asleep" | "loading" | "ready" | "failed";
export const state = signal<State>("asleep");

interface Waiting {
  resolve: (found: never) => void;
  reject: (err: Error) => void;
}

let worker: Worker | null = null;
let last = 0;
const waiting = new Map<number, Waiting>();
const given = new Set<string>(); // whose own recognisers the worker has

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
  if ("found" in answer) {
    state.value = "ready";
    waits?.resolve(answer.found as never);
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
  given.clear();
  state.value = "failed";
  const err = new Told(navigator.onLine ? "device.lost" : "device.offline", detail);
  for (const waits of [first, ...waiting.values()]) waits?.reject(err);
  waiting.clear();
}

function ask<T>(asked: Asked, moved: Transferable[] = []): Promise<T> {
  const id = ++last;
  return new Promise<T>((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    running().postMessage({ ...asked, id }, moved);
  });
}

/** Have the networks ready before the first picture comes. person : whose own, "" for nobody's. */
export async function wake(person = ""): Promise<void> {
  await ask<null>({ kind: "wake" });
  if (!person || given.has(person)) return;
  const kept = await recogniser(person);
  if (!kept) throw new Told("own.none");
  await ask<null>({ kind: "use", person, file: new Uint8Array(kept.file) });
  given.add(person);
}

/** A person's recogniser is another by now, or none. */
export async function forget(person: string): Promise<void> {
  if (given.delete(person)) await ask<null>({ kind: "forget", person });
}

/** The record of a picture's file. person : whose own recogniser reads it, "" for nobody's. */
export async function read(picture: Blob, person = ""): Promise<PictureRecord> {
  if (person) await wake(person);
  return ask({ kind: "picture", picture, person });
}

/** Each face of a picture's file, and where it speaks for each expression. */
export async function explain(picture: Blob, person = ""): Promise<Explained[]> {
  if (person) await wake(person);
  return ask({ kind: "explain", picture, person });
}

/** The sample in a picture, with a PNG of what is kept of it, or why there is none. */
export const sample = (picture: Blob, shown: Shown) =>
  ask<{ sample: Sample; picture: ArrayBuffer } | LeftOut>({ kind: "sample", picture, shown });

/** A recogniser of a person's samples. */
export const learn = (samples: KeptSample[]) => ask<Trained>({ kind: "learn", samples });

/** Frames of a camera or a film, in order: a face keeps its number, and what trembles is evened. */
export class Stream {
  private readonly stream = ++last;

  constructor(
    readonly smooth: boolean,
    readonly person = "",
  ) {}

  /** The record of the next frame, which is the worker's from then on. */
  async next(frame: ImageBitmap, timeS: number): Promise<PictureRecord> {
    const { stream, smooth, person } = this;
    if (person) await wake(person);
    return ask({ kind: "frame", stream, smooth, frame, timeS, person }, [frame]);
  }

  end(): void {
    if (worker) void ask({ kind: "end", stream: this.stream });
  }
}
