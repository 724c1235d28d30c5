/** Which view is shown: what stands behind the # of the address. */

import { signal } from "@preact/signals";

export const VIEWS = ["picture", "live", "film", "person", "rules", "models", "about"] as const;
export type View = (typeof VIEWS)[number];

const shown = (): View => {
  const asked = location.hash.replace(/^#\/?/, "") as View;
  return VIEWS.includes(asked) ? asked : "picture";
};

export const view = signal<View>(shown());
addEventListener("hashchange", () => {
  view.value = shown();
});
