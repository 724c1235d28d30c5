/** The service worker: after the first visit the page works without a network. And which page is newest. */

import { signal } from "@preact/signals";

/** The service gives another page by now, which is shown after a reload. */
export const newer = signal(false);
export const offline = signal(!navigator.onLine);
addEventListener("online", () => (offline.value = false));
addEventListener("offline", () => (offline.value = true));

/** A page's script, whose name tells what is in it. */
const SCRIPT = /index-[\w-]+\.js/;
const own = SCRIPT.exec(import.meta.url)?.[0];

/** Ask which page the service gives: it may have been renewed, or put back, under a page that is open. */
export async function lookForNewer(): Promise<void> {
  try {
    const given = SCRIPT.exec(await (await fetch("./", { cache: "no-store" })).text())?.[0];
    newer.value = given !== undefined && given !== own;
  } catch {
    // Nobody answers: this page is the newest there is.
  }
}
addEventListener("visibilitychange", () => document.hidden || void lookForNewer());

export function keepOffline(): void {
  if (!("serviceWorker" in navigator)) return; // an address that is neither https nor this machine
  navigator.serviceWorker.addEventListener("controllerchange", () => void lookForNewer());
  navigator.serviceWorker.register("./sw.js").catch(() => {
    // Storage is refused, in a private window say: the page works as long as it is open.
  });
}
