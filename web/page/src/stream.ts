/** Frames of a camera, read one after the other: in this browser, or by the service. */

import * as device from "./device";
import { Told } from "./problem";
import type { PictureRecord } from "./record";
import { address, isBack, known, models } from "./service";
import { key, type Place } from "./settings";

export interface FrameReader {
  /** Comes back when frames can be read: what waits for networks is late by no fault of a frame. */
  ready(): Promise<unknown>;
  /** The record of what the video shows now. */
  next(video: HTMLVideoElement, timeS: number): Promise<PictureRecord>;
  close(): void;
}

/** What reads a camera's frames. person : whose own recogniser, which the place of reading has. */
export function reader(where: Place, smooth: boolean, person = ""): FrameReader {
  return where === "device" ? new OnDevice(smooth, person) : new ByService(smooth, person);
}

class OnDevice implements FrameReader {
  private readonly stream: device.Stream;

  constructor(
    smooth: boolean,
    private readonly person: string,
  ) {
    this.stream = new device.Stream(smooth, person);
  }

  ready = () => device.wake(this.person);

  async next(video: HTMLVideoElement, timeS: number): Promise<PictureRecord> {
    return this.stream.next(await createImageBitmap(video), timeS);
  }

  close(): void {
    this.stream.end();
  }
}

const WIDEST = 640; // what is sent is no larger: a face needs no more, and the line may be slow
const JPEG_QUALITY = 0.9;

/** A WebSocket of the service's. One frame is under way at a time: the newest, always. */
class ByService implements FrameReader {
  private readonly socket: WebSocket;
  private readonly opened: Promise<void>;
  private readonly canvas = document.createElement("canvas");
  private waiting: { resolve(record: PictureRecord): void; reject(err: Error): void } | null = null;

  constructor(smooth: boolean, person: string) {
    const options = new URLSearchParams({ smooth: smooth ? "causal" : "none" });
    if (person) options.set("person", person);
    const at = address(`v1/stream?${options}`).replace(/^http/, "ws");
    // A script sets no header of a WebSocket: the key goes as a protocol behind this one.
    this.socket = new WebSocket(at, key.value ? ["mien.bearer", key.value] : []);
    this.opened = new Promise((resolve, reject) => {
      this.socket.onclose = (event) => {
        // It does not tell a script why it was refused; a question does, and asks for a key.
        if (!event.wasClean) void models().catch(() => undefined);
        const gone = new Told("service.away");
        reject(gone);
        this.waiting?.reject(gone);
      };
      this.socket.onmessage = (event) => {
        isBack();
        const said = JSON.parse(event.data);
        if ("problem" in said) {
          const err = new Told("service.failed", said.problem.detail);
          reject(err);
          this.waiting?.reject(err);
        } else if ("record" in said) {
          this.take(said.record);
        } else {
          resolve();
        }
      };
    });
    this.opened.catch(() => undefined); // told to whoever asks for a frame
  }

  ready = () => this.opened;

  async next(video: HTMLVideoElement, timeS: number): Promise<PictureRecord> {
    const picture = await this.encoded(video);
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      if (this.socket.readyState !== WebSocket.OPEN) {
        reject(new Told("service.away"));
        return;
      }
      this.socket.send(JSON.stringify({ time_s: timeS }));
      this.socket.send(picture);
    });
  }

  close(): void {
    this.socket.close();
  }

  private take(record: PictureRecord): void {
    try {
      this.waiting?.resolve(known(record));
    } catch (err) {
      this.waiting?.reject(err as Error);
    }
  }

  private encoded(video: HTMLVideoElement): Promise<Blob> {
    const scale = Math.min(1, WIDEST / video.videoWidth);
    this.canvas.width = Math.round(video.videoWidth * scale);
    this.canvas.height = Math.round(video.videoHeight * scale);
    const context = this.canvas.getContext("2d")!;
    context.drawImage(video, 0, 0, this.canvas.width, this.canvas.height);
    return jpeg(this.canvas);
  }
}

/** What a canvas shows, as a JPEG. */
export function jpeg(canvas: HTMLCanvasElement): Promise<Blob> {
  return new Promise((resolve, reject) => {
    const made = (blob: Blob | null) => (blob ? resolve(blob) : reject(new Told("device.failed")));
    canvas.toBlob(made, "image/jpeg", JPEG_QUALITY);
  });
}

/** So long, or until it is stopped. */
export const pause = (ms: number, stopped: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (stopped.aborted) resolve();
    setTimeout(resolve, ms);
    stopped.addEventListener("abort", () => resolve(), { once: true });
  });
