/** The camera: opened when it is asked for, closed as soon as it is not needed. */

import { signal } from "@preact/signals";
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

/** Pictures of a camera. ended : is called where it goes away by itself. */
export class Camera {
  private constructor(readonly stream: MediaStream) {}

  /** Raises Told: refused, missing, taken, or an address that may have none. */
  static async open(deviceId: string, ended: () => void): Promise<Camera> {
    if (!navigator.mediaDevices?.getUserMedia) throw new Told("camera.insecure");
    const size = { width: { ideal: 640 }, height: { ideal: 480 } };
    const which = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "user" };
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: { ...size, ...which } });
      const camera = new Camera(stream);
      const [track] = stream.getVideoTracks();
      track.addEventListener("ended", () => {
        camera.close();
        ended();
      });
      track.addEventListener("mute", () => (cameraIsMute.value = camera.stream.active));
      track.addEventListener("unmute", () => (cameraIsMute.value = false));
      cameraIsOn.value = true;
      cameraIsMute.value = track.muted;
      return camera;
    } catch (err) {
      const name = err instanceof DOMException ? err.name : "";
      throw new Told(WORDS[name] ?? "camera.failed", WORDS[name] ? "" : String(err));
    }
  }

  close(): void {
    for (const track of this.stream.getTracks()) track.stop();
    cameraIsOn.value = false;
    cameraIsMute.value = false;
  }
}

/** The cameras there are. Their names are told only once one was allowed. */
export async function cameras(): Promise<{ id: string; name: string }[]> {
  const found = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return found
    .filter((one) => one.kind === "videoinput" && one.deviceId)
    .map((one, i) => ({ id: one.deviceId, name: one.label || String(i + 1) }));
}
