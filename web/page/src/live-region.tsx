/** Says aloud what changed, for those who do not see it: once, and no more often than one hears. */

import { signal } from "@preact/signals";

const EVERY_MS = 2500;
const said = signal("");
let next = "";
let timer = 0;
let lastAt = 0;

/** Have a screen reader say this as soon as it may; what waited before is passed over. */
export function say(text: string): void {
  next = text;
  window.clearTimeout(timer);
  timer = window.setTimeout(speak, Math.max(100, lastAt + EVERY_MS - performance.now()));
}

function speak(): void {
  lastAt = performance.now();
  said.value = next;
}

export const LiveRegion = () => (
  <div class="unseen" role="status" aria-live="polite" data-testid="said">
    {said.value}
  </div>
);
