/** Where the model looked (Grad-CAM): seen in this browser, or drawn by the service. */

import { useEffect, useRef, useState } from "preact/hooks";
import * as device from "../device";
import type { Explained } from "../device.worker";
import { heated, scale } from "../heat";
import { inWords } from "../problem";
import * as service from "../service";
import { key, place, whose } from "../settings";
import { label, number, percent, t } from "../words";

const TOP = "top"; // of each face what it answers

export function Explanation(props: { file: File; labels: string[] }) {
  const [on, setOn] = useState(false);
  const [emotion, setEmotion] = useState(TOP);
  const { file, labels } = props;
  const chosen = labels.includes(emotion) ? emotion : TOP; // another recogniser has other words
  return (
    <section class="explain">
      <div class="row">
        <label class="toggle">
          <input type="checkbox" checked={on} onChange={() => setOn(!on)} />
          <span>{t("explain.switch")}</span>
        </label>
        {on && (
          <label class="field">
            {t("explain.which")}{" "}
            <select value={chosen} onChange={(event) => setEmotion(event.currentTarget.value)}>
              <option value={TOP}>{t("explain.top")}</option>
              {labels.map((name) => (
                <option key={name} value={name}>
                  {label(name)}
                </option>
              ))}
            </select>
          </label>
        )}
      </div>
      {on && (
        <>
          {place.value === "device" ? (
            <Seen file={file} emotion={chosen} person={whose.value} />
          ) : (
            <Drawn file={file} emotion={chosen} />
          )}
          <p class="soft">{t("explain.note")}</p>
        </>
      )}
    </section>
  );
}

/** What came of asking; nothing while it is waited for. */
interface Answered<T> {
  found: T | null;
  problem: unknown;
}

function useAsked<T>(ask: () => Promise<T>, changes: unknown[]): Answered<T> {
  const [answer, setAnswer] = useState<Answered<T>>({ found: null, problem: null });
  useEffect(() => {
    let wanted = true;
    setAnswer({ found: null, problem: null });
    ask().then(
      (found) => wanted && setAnswer({ found, problem: null }),
      (problem: unknown) => wanted && setAnswer({ found: null, problem }),
    );
    return () => {
      wanted = false;
    };
  }, changes);
  return answer;
}

/** In this browser: each face, and beside it the same with its heat. */
function Seen(props: { file: File; emotion: string; person: string }) {
  const { file, emotion, person } = props;
  const { found, problem } = useAsked(() => device.explain(file, person), [file, person]);
  if (problem !== null) return <p class="problem">{inWords(problem)}</p>;
  if (!found) return <p>{t("picture.reading")}</p>;
  return (
    <ul class="heats" aria-label={t("explain.alt")}>
      {found.map((face, i) => (
        <Face key={i} face={face} index={i} name={emotion in face.heats ? emotion : face.top} />
      ))}
    </ul>
  );
}

function Face(props: { face: Explained; index: number; name: string }) {
  const { face, index, name } = props;
  const { portrait, heats } = face;
  const heat = heats[name];
  const nothing = !heat.values.some((v) => v > 0);
  const said = `${label(name)} ${percent(face.emotions[name])}`;
  return (
    <li>
      <Canvas image={portrait} name={t("face.name", { n: number(index + 1) })} />
      <Canvas image={heated(portrait, heat)} name={t("explain.of", { what: said })} />
      <p>
        {said}
        {nothing ? (
          <span class="soft">{t("explain.nothing")}</span>
        ) : (
          <span class="soft scale">
            {t("explain.little")} <Canvas image={scale()} name="" /> {t("explain.much")}
          </span>
        )}
      </p>
    </li>
  );
}

/** Pixels, with a name for those who do not see them; "" for what words beside it tell. */
function Canvas(props: { image: ImageData; name: string }) {
  const { image, name } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => canvas.current!.getContext("2d")!.putImageData(image, 0, 0));
  const told = name ? ({ role: "img", "aria-label": name } as const) : ({ "aria-hidden": true } as const);
  return <canvas ref={canvas} width={image.width} height={image.height} {...told} />;
}

/** By the service: one picture of all faces. */
function Drawn(props: { file: File; emotion: string }) {
  const { file, emotion } = props;
  const { found, problem } = useAsked(() => service.explain(file, emotion), [file, emotion, key.value]);
  const [url, setUrl] = useState("");
  useEffect(() => {
    const made = found ? URL.createObjectURL(found) : "";
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [found]);
  if (problem !== null) return <p class="problem">{inWords(problem)}</p>;
  return url ? <img src={url} alt={t("explain.alt")} /> : <p>{t("picture.reading")}</p>;
}
