/** The camera: opened when it is asked for, closed as soon as it is not needed. */

import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { Told } from "./problem";
import type { Word } from "./words";

export const cameraIsOn = signal(false);
/** Whether it is on and sends nothing: its cover is shut, or the system took it for a call. */
export const cameraIsMute = signal(false);

const WORDS: Record<string, Word> = {
  NotAllowedError: "camera.refused",
  SecurityError: "camera.refused",
  NotFoundError: "camera.missing",
  OverconstrainedError: "camera.missing",
  NotReadableError: "camera.taken",
  AbortError: "camera.taken",
};

const on = new Set<Camera>();

function tell(): void {
  const cameras = [...on];
  cameraIsOn.value = cameras.length > 0;
  cameraIsMute.value = cameras.some((camera) => camera.isMute);
}

/** Pictures of a camera, until it is closed. */
export class Camera {
  isMute: boolean;
  private readonly track: MediaStreamTrack;

  private constructor(readonly stream: MediaStream) {
    [this.track] = stream.getVideoTracks();
    this.isMute = this.track.muted;
  }

  /**
   * wanted : closes it once aborted, and what is given after that. ended : is called where it goes
   * away by itself. Raises Told: refused, missing, taken, or an address that may have none.
   */
  static async open(deviceId: string, wanted: AbortSignal, ended: () => void): Promise<Camera> {
    const stream = await given(deviceId).catch((err: unknown) => {
      wanted.throwIfAborted();
      throw err;
    });
    const camera = new Camera(stream);
    if (wanted.aborted) camera.close(); // whoever asked for it left before it was allowed
    wanted.throwIfAborted();
    wanted.addEventListener("abort", () => camera.close());
    camera.track.addEventListener("ended", () => {
      camera.close();
      ended();
    });
    for (const event of ["mute", "unmute"]) {
      camera.track.addEventListener(event, () => {
        camera.isMute = event === "mute";
        tell();
      });
    }
    on.add(camera);
    tell();
    return camera;
  }

  /** Which of `cameras` it is. */
  get id(): string {
    return this.track.getSettings().deviceId ?? "";
  }

  close(): void {
    for (const track of this.stream.getTracks()) track.stop();
    on.delete(this);
    tell();
  }
}

async function given(deviceId: string): Promise<MediaStream> {
  if (!navigator.mediaDevices?.getUserMedia) throw new Told("camera.insecure");
  const size = { width: { ideal: 640 }, height: { ideal: 480 } };
  const which = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "user" };
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { ...size, ...which } });
  } catch (err) {
    const name = err instanceof DOMException ? err.name : "";
    throw new Told(WORDS[name] ?? "camera.failed", WORDS[name] ? "" : String(err));
  }
}

interface OwnCamera {
  camera: Camera | null;
  /** Raises as `Camera.open` does; AbortError where another was opened meanwhile, or the view left. */
  open: (deviceId?: string) => Promise<void>;
  close: () => void;
}

/** A view's camera: one at most, and none once the view is left. lost : it went away by itself. */
export function useCamera(lost: () => void): OwnCamera {
  const [camera, setCamera] = useState<Camera | null>(null);
  const wanted = useRef(new AbortController());
  const close = () => {
    wanted.current.abort();
    setCamera(null);
  };
  const open = async (deviceId = "") => {
    close();
    const mine = (wanted.current = new AbortController());
    const ended = () => {
      setCamera(null);
      lost();
    };
    setCamera(await Camera.open(deviceId, mine.signal, ended));
  };
  useEffect(() => () => wanted.current.abort(), []);
  return { camera, open, close };
}

/** The cameras there are. Their names are told only once one was allowed. */
export async function cameras(): Promise<{ id: string; name: string }[]> {
  const found = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return found
    .filter((one) => one.kind === "videoinput" && one.deviceId)
    .map((one, i) => ({ id: one.deviceId, name: one.label || String(i + 1) }));
}
