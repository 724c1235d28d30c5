/** Films: read in this browser frame by frame, or by the service as a job that outlasts the page. */

import * as device from "./device";
import { Told } from "./problem";
import type { PictureRecord } from "./record";
import * as service from "./service";
import { pause } from "./stream";
import { clock } from "./words";

export interface Progress {
  /** 0 to 1; null where nobody knows. */
  share: number | null;
  word: "film.sending" | "film.waiting" | "film.reading";
  leftS: number | null;
}

export interface Wanted {
  fps: number;
  smooth: boolean;
  /** Whose own recogniser reads on this device; "" for nobody's. */
  person: string;
}

type Tell = (progress: Progress, records?: PictureRecord[]) => void;

const SEEN_MS = 400; // between two sights of what was read so far
const LOOK_MS = 700; // between two questions where a job stands
const FAR_S = 1e7;
const SHORT_S = 1; // how much a film may be shorter than it says
const SHOWN_MS = 100; // how long a player may show the frame before, once it has sought another

/**
 * In this browser. tell : hears how far it is, with the records until then.
 *
 * Raises Told where the browser cannot decode the film, or not all of it: until where was told then.
 */
export async function onDevice(
  file: File,
  { fps, smooth, person }: Wanted,
  tell: Tell,
  stopped: AbortSignal,
): Promise<PictureRecord[]> {
  const video = document.createElement("video");
  const stream = new device.Stream(smooth, person);
  const records: PictureRecord[] = [];
  const begun = performance.now();
  let toldAt = 0;
  video.muted = true;
  video.src = URL.createObjectURL(file);
  const sofar = (share: number) => {
    toldAt = performance.now();
    const leftS = ((toldAt - begun) / 1000) * (1 / share - 1);
    tell({ share, word: "film.reading", leftS }, [...records]);
  };
  try {
    const lastsS = await duration(video);
    for await (const picture of pictures(video, fps, lastsS)) {
      stopped.throwIfAborted();
      const frame = records.length;
      const record = await stream.next(picture, frame / fps);
      records.push({ ...record, frame, source: file.name });
      if (performance.now() - toldAt > SEEN_MS) sofar(Math.min(1, (frame + 1) / (fps * lastsS)));
    }
    if (lastsS - records.length / fps > SHORT_S) throw new Told("film.undecodable");
  } catch (err) {
    if (!(err instanceof Told && err.word === "film.undecodable" && records.length)) throw err;
    sofar(1);
    throw new Told("film.broken", "", { at: clock(records.length / fps) });
  } finally {
    stream.end();
    URL.revokeObjectURL(video.src);
    video.removeAttribute("src");
  }
  return records;
}

/** How long a film is, in seconds; raises Told where this browser cannot decode it. */
async function duration(video: HTMLVideoElement): Promise<number> {
  await happens(video, "loadeddata");
  if (!video.videoWidth) throw new Told("film.undecodable");
  if (Number.isFinite(video.duration)) return video.duration;
  video.currentTime = FAR_S; // a recording of a browser's own does not say how long it is
  await happens(video, "seeked");
  return video.duration;
}

/** What a film shows, so many times a second; as far as there is something in its file. */
async function* pictures(
  video: HTMLVideoElement,
  fps: number,
  lastsS: number,
): AsyncGenerator<ImageBitmap> {
  let before = -1;
  for (let frame = 0; frame / fps < lastsS; frame++) {
    const there = happens(video, "seeked");
    video.currentTime = frame / fps;
    await there;
    if (video.ended) return;
    const shown = await another(video, before);
    before = shown.timestamp;
    yield picture(shown);
  }
}

/** A frame as it is to be seen: a telephone held upright films lying, and says how to turn that. */
function picture(shown: VideoFrame): ImageBitmap {
  const canvas = new OffscreenCanvas(shown.displayWidth, shown.displayHeight);
  canvas.getContext("2d")!.drawImage(shown, 0, 0, canvas.width, canvas.height);
  shown.close();
  return canvas.transferToImageBitmap();
}

/** What is shown: not the frame before, unless a film has no other for this moment. */
async function another(video: HTMLVideoElement, before: number): Promise<VideoFrame> {
  const latest = performance.now() + SHOWN_MS;
  let shown = new VideoFrame(video);
  while (shown.timestamp === before && performance.now() < latest) {
    shown.close();
    await new Promise((resolve) => setTimeout(resolve, 5));
    shown = new VideoFrame(video);
  }
  return shown;
}

function happens(video: HTMLVideoElement, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    video.addEventListener(event, () => resolve(), { once: true });
    video.addEventListener("error", () => reject(new Told("film.undecodable")), { once: true });
  });
}

/** By the service: handed in, watched, and its records fetched. begun : is told the job. */
export async function byService(
  file: File,
  { fps, smooth }: Wanted,
  tell: Tell,
  stopped: AbortSignal,
  begun: (job: service.Job) => void,
): Promise<PictureRecord[]> {
  const sent = (share: number) => tell({ share, word: "film.sending", leftS: null });
  sent(0);
  const options = { fps, smooth: smooth ? "two-sided" : "none" };
  const job = await service.handIn(file, options, sent, stopped);
  begun(job);
  return watched(job, tell, stopped);
}

/** The records of a job, once it is done; raises Told where it failed. It goes on when this is stopped. */
export async function watched(
  job: service.Job,
  tell: Tell,
  stopped: AbortSignal,
): Promise<PictureRecord[]> {
  let now = job;
  while (now.state === "queued" || now.state === "running") {
    const { share, left_s: leftS } = now.progress;
    tell({ share, word: now.state === "queued" ? "film.waiting" : "film.reading", leftS });
    await pause(LOOK_MS, stopped);
    stopped.throwIfAborted();
    now = await service.job(job.id).catch((err: unknown) => {
      if (service.away.peek()) return now; // it goes on without us: we ask again
      throw err;
    });
  }
  if (now.state !== "done") throw new Told("film.failed", now.reason);
  const { content } = await service.result(job.id, "jsonl");
  const lines = (await content.text()).split("\n").filter(Boolean);
  return lines.map((text) => service.known(JSON.parse(text) as PictureRecord));
}
