/** A face's probabilities or intensities over time. */

import { useEffect, useRef } from "preact/hooks";
import { colour } from "./faces";
import { clock, label, percent, t } from "./words";

/** What was read of one face at a moment. */
export interface Point {
  timeS: number;
  values: Record<string, number>;
}

const GAP_S = 0.6; // between moments that are no longer one line
const DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3]];
const INSET = 4;

/** A colour of the style sheet, as a canvas takes it: light or dark, as the page is. */
function resolved(canvas: HTMLElement, name: string): string {
  canvas.style.color = name;
  const found = getComputedStyle(canvas).color;
  canvas.style.color = "";
  return found;
}

interface Shown {
  points: Point[];
  labels: string[];
  fromS: number;
  toS: number;
  /** Times between which nothing joins: how far apart the frames are that were read. */
  stepS?: number;
  atS?: number;
}

function draw(canvas: HTMLCanvasElement, shown: Shown): void {
  const { points, labels, fromS, toS, stepS = 0, atS } = shown;
  const ratio = devicePixelRatio;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const context = canvas.getContext("2d")!;
  context.scale(ratio, ratio);
  const x = (timeS: number) => ((timeS - fromS) / Math.max(toS - fromS, 1e-6)) * width;
  const y = (value: number) => INSET + (1 - value) * (height - 2 * INSET);
  context.strokeStyle = resolved(canvas, "var(--line)");
  context.fillStyle = resolved(canvas, "var(--soft-ink)");
  context.font = "11px system-ui, sans-serif";
  for (const value of [0, 0.5, 1]) {
    line(context, [0, y(value)], [width, y(value)]);
    if (value) context.fillText(percent(value), 4, y(value) + 13);
  }
  context.lineWidth = 2;
  const gap = Math.max(GAP_S, 3 * stepS);
  labels.forEach((name, i) => {
    context.strokeStyle = resolved(canvas, colour(name, i));
    context.setLineDash(DASHES[i % DASHES.length]);
    context.beginPath();
    points.forEach((point, k) => {
      const joins = k > 0 && point.timeS - points[k - 1].timeS <= gap;
      const to: [number, number] = [x(point.timeS), y(point.values[name] ?? 0)];
      if (joins) context.lineTo(...to);
      else context.moveTo(...to);
    });
    context.stroke();
  });
  context.setLineDash([]);
  if (atS !== undefined) {
    context.strokeStyle = resolved(canvas, "var(--ink)");
    line(context, [x(atS), 0], [x(atS), height]);
  }
}

function line(context: CanvasRenderingContext2D, from: [number, number], to: [number, number]) {
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(...to);
  context.stroke();
}

/** Draw again where a canvas has another size, and where the page is light or dark from now on. */
function whenItLooksOtherwise(canvas: HTMLCanvasElement, again: () => void): () => void {
  const sizes = new ResizeObserver(again);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  sizes.observe(canvas);
  dark.addEventListener("change", again);
  return () => {
    sizes.disconnect();
    dark.removeEventListener("change", again);
  };
}

/** The lines themselves. seek : where given, a click, a drag or the arrow keys go to a moment. */
export function Timeline(props: Shown & { name: string; seek?: (timeS: number) => void }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { seek, fromS, toS, atS = 0 } = props;
  const latest = useRef<Shown>(props);
  latest.current = props;
  useEffect(() => draw(canvas.current!, props));
  useEffect(() => {
    const drawn = canvas.current!;
    return whenItLooksOtherwise(drawn, () => draw(drawn, latest.current));
  }, []);
  const to = (event: PointerEvent) => {
    const box = canvas.current!.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    seek!(fromS + share * (toS - fromS));
  };
  if (!seek) return <canvas ref={canvas} class="timeline" role="img" aria-label={props.name} />;
  const step = Math.max(props.stepS ?? 0, (toS - fromS) / 100);
  const keys: Record<string, number> = {
    ArrowRight: atS + step,
    ArrowLeft: atS - step,
    PageUp: atS + 10 * step,
    PageDown: atS - 10 * step,
    Home: fromS,
    End: toS,
  };
  return (
    <canvas
      ref={canvas}
      class="timeline"
      role="slider"
      tabIndex={0}
      aria-label={props.name}
      aria-valuemin={fromS}
      aria-valuemax={toS}
      aria-valuenow={atS}
      aria-valuetext={clock(atS)}
      onPointerDown={to}
      onPointerMove={(event) => event.buttons && to(event)}
      onKeyDown={(event) => {
        if (!(event.key in keys)) return;
        event.preventDefault();
        seek(Math.min(toS, Math.max(fromS, keys[event.key])));
      }}
    />
  );
}

/** Which line is which: colour and dashes, as they are drawn. */
export function Legend(props: { labels: string[] }) {
  return (
    <ul class="legend" aria-label={t("timeline.legend")}>
      {props.labels.map((name, i) => (
        <li key={name}>
          <svg width="28" height="10" aria-hidden="true">
            <line
              x1="0"
              y1="5"
              x2="28"
              y2="5"
              stroke-width="2.5"
              style={{ stroke: colour(name, i) }}
              stroke-dasharray={DASHES[i % DASHES.length].join(" ")}
            />
          </svg>
          {label(name)}
        </li>
      ))}
    </ul>
  );
}
