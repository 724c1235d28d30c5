/** A guided session: what is shown, one after the other, and the pictures taken meanwhile. */

import { signal } from "@preact/signals";
import type { Camera } from "./camera";
import { jpeg, pause } from "./stream";

/** Something to look at. file : a picture or a film; null where only the word is shown. */
export interface Stimulus {
  label: string;
  file: File | null;
  /** As the samples call it: another for every showing of a word. */
  name: string;
}

/** A picture that was taken. kept : whether it will be learned from. */
export interface Shot {
  label: string;
  shown: string;
  picture: Blob;
  url: string;
  kept: boolean;
}

/** What was taken and is neither kept nor dropped yet, by whose it is: a view may be left meanwhile. */
export const unkept = signal<Record<string, Shot[]>>({});

export function forget(whose: string): void {
  const { [whose]: gone = [], ...others } = unkept.value;
  for (const shot of gone) URL.revokeObjectURL(shot.url);
  unkept.value = others;
}

const A_SECOND = 3; // pictures, as `mien person record` takes them

/** The words, in turn, each so many times. */
export function ofWords(words: string[], times: number, at: string): Stimulus[] {
  return Array.from({ length: times }, (_, i) =>
    words.map((label) => ({ label, file: null, name: `${label} ${i + 1}, ${at}` })),
  ).flat();
}

/** The pictures and films of a folder per expression, in turn; those of other kinds are left out. */
export function ofFolder(files: File[]): Stimulus[] {
  const byLabel = new Map<string, File[]>();
  for (const file of files) {
    const label = file.webkitRelativePath.split("/").at(-2) ?? "";
    if (/^(image|video)\//.test(file.type)) byLabel.set(label, [...(byLabel.get(label) ?? []), file]);
  }
  const most = Math.max(0, ...[...byLabel.values()].map((found) => found.length));
  return Array.from({ length: most }, (_, i) =>
    [...byLabel].flatMap(([label, found]) => {
      const file = found[i];
      return file ? [{ label, file, name: `${file.name}, ${file.size}` }] : [];
    }),
  ).flat();
}

/** Pictures of the camera while a stimulus is shown. */
export async function shoot(
  video: HTMLVideoElement,
  camera: Camera,
  stimulus: Stimulus,
  seconds: number,
  stopped: AbortSignal,
): Promise<Shot[]> {
  const canvas = document.createElement("canvas");
  const shots: Shot[] = [];
  const ends = performance.now() + seconds * 1000;
  while (performance.now() < ends && !stopped.aborted && camera.stream.active) {
    const next = performance.now() + 1000 / A_SECOND;
    // Before its first picture there is none, and a mute one shows what it saw last.
    if (video.videoWidth && !camera.isMute) {
      canvas.width = video.videoWidth;
      canvas.height = video.videoHeight;
      canvas.getContext("2d")!.drawImage(video, 0, 0);
      const picture = await jpeg(canvas);
      const { label, name: shown } = stimulus;
      shots.push({ label, shown, picture, url: URL.createObjectURL(picture), kept: true });
    }
    await pause(Math.max(0, next - performance.now()), stopped);
  }
  return shots;
}
