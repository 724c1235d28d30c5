/** Faces as people read them: where they are, what they show, and how sure that is. */

import numbers from "../../packages/mien/models/numbers.json";
import type { Face, PictureRecord } from "./record";
import { label, number, percent, t, type Word } from "./words";

/** Okabe and Ito's colours, which those tell apart who see fewer; labels always stand beside. */
const COLOURS: Record<string, string> = {
  neutral: "var(--c-neutral)",
  happiness: "var(--c-happiness)",
  surprise: "var(--c-surprise)",
  sadness: "var(--c-sadness)",
  anger: "var(--c-anger)",
  disgust: "var(--c-disgust)",
  fear: "var(--c-fear)",
  contempt: "var(--c-contempt)",
};
const OWN = ["happiness", "surprise", "disgust", "fear", "sadness", "anger", "contempt", "neutral"];

/** The colour of a label; a word of somebody's own has that of its place. */
export function colour(name: string, place: number): string {
  return COLOURS[name] ?? COLOURS[OWN[place % OWN.length]];
}

/** What a face shows, in a few words. */
export function inShort(face: Face): string {
  const top = `${label(face.top)} ${percent(face.emotions[face.top])}`;
  return face.uncertain ? `${top}, ${t("face.uncertain")}` : top;
}

export const faceName = (face: Face, index: number) =>
  t("face.name", { n: number(face.track ?? index + 1) });

/** The faces' boxes over their picture, drawn in the picture's own pixels. */
export function Boxes(props: { record: PictureRecord; mirrored?: boolean }) {
  const { width, height, faces } = props.record;
  if (!width || !height) return null;
  const size = Math.max(width, height) / 28;
  const at = (x: number, w: number) => (props.mirrored ? width - x - w : x);
  return (
    <svg class="boxes" viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      {faces.map((face, i) => {
        const [x0, y0, x1, y1] = face.box;
        const x = at(x0, x1 - x0);
        const shape = { x, y: y0, width: x1 - x0, height: y1 - y0, rx: size / 5 };
        return (
          <g key={face.track ?? i} class={face.uncertain ? "unsure" : ""}>
            <rect class="under" {...shape} />
            <rect class="over" {...shape} />
            <rect class="tag" x={x} y={y0} width={size * 1.3} height={size * 1.3} rx={size / 5} />
            <text x={x + size * 0.65} y={y0 + size} font-size={size} text-anchor="middle">
              {number(face.track ?? i + 1)}
            </text>
          </g>
        );
      })}
    </svg>
  );
}

function Bar(props: { value: number; colour: string }) {
  return (
    <span class="bar" aria-hidden="true">
      <span style={{ width: `${100 * props.value}%`, background: props.colour }} />
    </span>
  );
}

/** Every label's probability and intensity, as a table whose bars can be seen and numbers read. */
export function Bars(props: { face: Face }) {
  const { face } = props;
  return (
    <table class="bars">
      <thead>
        <tr>
          <th scope="col">{t("face.expression")}</th>
          <th scope="col">{t("face.probability")}</th>
          {face.intensity && <th scope="col">{t("face.intensity")}</th>}
        </tr>
      </thead>
      <tbody>
        {Object.keys(face.emotions).map((name, i) => (
          <tr key={name} class={name === face.top ? "top" : ""}>
            <th scope="row">{label(name)}</th>
            <td>
              <Bar value={face.emotions[name]} colour={colour(name, i)} />
              <span class="figure">{percent(face.emotions[name])}</span>
            </td>
            {face.intensity && (
              <td>
                <Bar value={face.intensity[name]} colour="var(--soft)" />
                <span class="figure">{number(face.intensity[name], 2)}</span>
              </td>
            )}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const POOR = 0.5; // of a measure's share in picture quality: what is worth a word

/** What is poor in a face's picture, in words; by the measures that make up its quality. */
function faults(face: Face): string {
  const poor = numbers.quality.factors.filter(([name, worst, best]) => {
    const value = face.quality[name as keyof Face["quality"]];
    const share = (Math.abs(value ?? Number(best)) - Number(worst)) / (Number(best) - Number(worst));
    return share < POOR;
  });
  const words = new Set(poor.map(([name]) => t(`quality.${name}` as Word)));
  return [...words].join(", ");
}

/** How far to trust the answer. */
export function Trust(props: { face: Face }) {
  const { face } = props;
  const poor = faults(face);
  return (
    <p class="trust">
      <span class={face.uncertain ? "chip unsure" : "chip"}>
        {face.uncertain ? t("face.uncertain") : t("face.sure")}
      </span>{" "}
      {t("face.quality", { n: number(face.picture_quality, 2) })}
      {poor && `: ${poor}`}
      {face.uncertain && <small>{t("face.uncertain.why")}</small>}
    </p>
  );
}

export function FaceCard(props: { face: Face; index: number }) {
  const { face, index } = props;
  return (
    <section class="card face">
      <h3>
        <span class="number">{faceName(face, index)}</span> {label(face.top)}{" "}
        <span class="figure">{percent(face.emotions[face.top])}</span>
      </h3>
      <Trust face={face} />
      <Bars face={face} />
    </section>
  );
}

/** What is to be said of a record as a whole; nothing where its faces say it. */
export function status(record: PictureRecord): string {
  if (record.status === "no_face") return t("record.noface");
  if (record.status === "low_quality") return t("record.low");
  if (record.status === "error") return record.reason ?? t("problem.other");
  return "";
}
