/** Heat drawn over a face, in the colours of `mien explain`: each as much lighter as it is hotter. */

import type { Square } from "mien-web";
import numbers from "../../packages/mien/models/numbers.json";

const { colors, most_hidden } = numbers.explain;
const COLOURS = Uint8Array.from(colors.match(/../g)!, (hex) => parseInt(hex, 16));
const SCALE = { width: 96, height: 8 };

/** The face in gray, and heat over it; where there is none it is bare. */
export function heated(portrait: ImageData, heat: Square): ImageData {
  const { width, height, data } = portrait;
  const image = new ImageData(width, height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = 4 * (y * width + x);
      const gray = 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2];
      const hot = valueAt(heat, (x + 0.5) / width, (y + 0.5) / height);
      const hidden = most_hidden * hot;
      colourOf(hot).forEach((level, k) => (image.data[at + k] = gray * (1 - hidden) + level * hidden));
      image.data[at + 3] = 255;
    }
  }
  return image;
}

/** All colours, from cold to hot. */
export function scale(): ImageData {
  const image = new ImageData(SCALE.width, SCALE.height);
  for (let i = 0; i < SCALE.width * SCALE.height; i++) {
    const hot = (i % SCALE.width) / (SCALE.width - 1);
    image.data.set([...colourOf(hot), 255], 4 * i);
  }
  return image;
}

function colourOf(hot: number): Uint8Array {
  const at = 3 * Math.round(255 * hot);
  return COLOURS.subarray(at, at + 3);
}

/** A value between a square's middles; x and y from 0 to 1. */
function valueAt({ side, values }: Square, x: number, y: number): number {
  const [left, right, far] = between(x, side);
  const [above, below, low] = between(y, side);
  const upper = values[above * side + left] * (1 - far) + values[above * side + right] * far;
  const lower = values[below * side + left] * (1 - far) + values[below * side + right] * far;
  return upper * (1 - low) + lower * low;
}

function between(share: number, side: number): [number, number, number] {
  const place = Math.min(Math.max(share * side - 0.5, 0), side - 1);
  const first = Math.floor(place);
  return [first, Math.min(first + 1, side - 1), place - first];
}
