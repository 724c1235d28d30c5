/** Model files and numbers: where they lie, or what is in them. */

import { ModelError } from "./errors.js";

/** A file: where it lies, or its bytes. */
export type File = string | URL | Uint8Array | ArrayBuffer;

/** The bytes of a file; throws ModelError where it cannot be read. */
export async function bytesOf(file: File): Promise<Uint8Array> {
  if (file instanceof Uint8Array) return file;
  if (file instanceof ArrayBuffer) return new Uint8Array(file);
  try {
    return await fetched(file);
  } catch (error) {
    if (error instanceof ModelError) throw error;
    throw new ModelError(`cannot read ${file}: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
}

async function fetched(place: string | URL): Promise<Uint8Array> {
  if (String(place).startsWith("file:")) {
    // Node fetches no files; a name that bundlers cannot follow, for pages have none to read.
    const name = "node:fs/promises";
    const { readFile } = (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as {
      readFile(place: URL): Promise<Uint8Array>;
    };
    return readFile(new URL(place));
  }
  const answer = await fetch(place);
  if (!answer.ok) throw new ModelError(`cannot read ${place}: ${answer.status} ${answer.statusText}`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** What an error calls a file. */
export function nameOf(file: File, otherwise: string): string {
  return typeof file === "string" || file instanceof URL ? String(file) : otherwise;
}
