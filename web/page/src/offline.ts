/** The service worker: after the first visit the page works without a network. */

import { signal } from "@preact/signals";

/** A newer page is here, and is shown after a reload. */
export const newer = signal(false);
export const offline = signal(!navigator.onLine);
addEventListener("online", () => (offline.value = false));
addEventListener("offline", () => (offline.value = true));

export function keepOffline(): void {
  if (!("serviceWorker" in navigator)) return; // an address that is neither https nor this machine
  const had = navigator.serviceWorker.controller !== null;
  navigator.serviceWorker.addEventListener("controllerchange", () => (newer.value = had));
  navigator.serviceWorker.register("./sw.js").catch(() => {
    // Storage is refused, in a private window say: the page works as long as it is open.
  });
}
