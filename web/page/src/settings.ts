/** What the person at the page has chosen; kept in this browser. */

import { effect, signal } from "@preact/signals";

/** Where faces are read: in this browser, or by the service that gave the page. */
export type Place = "device" | "service";

/** What was kept under a name; `otherwise` where nothing was, or nothing may be kept. */
function kept(name: string, otherwise: string): string {
  try {
    return localStorage.getItem(`mien.${name}`) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** A choice that outlives the page, where the browser lets it. */
export function choice<T extends string>(name: string, otherwise: T, allowed?: readonly T[]) {
  const found = kept(name, otherwise) as T;
  const chosen = signal<T>(allowed?.includes(found) === false ? otherwise : found);
  effect(() => {
    const value = chosen.value;
    try {
      localStorage.setItem(`mien.${name}`, value);
    } catch {
      // Storage is full or refused: the choice holds until the page is closed.
    }
  });
  return chosen;
}

export const place = choice<Place>("place", "device", ["device", "service"]);

/** Whose own recogniser reads pictures, films and the camera on this device; "" for the general model. */
export const whose = choice<string>("whose", "");

/** The service's key, where it needs one: for this visit alone, and never on the disk. */
export const key = signal("");
export const keyNeeded = signal(false);
