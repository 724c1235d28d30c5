/** Pictures: dropped, pasted or chosen, one or many, each with its faces. */

import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import * as device from "../device";
import { Drop } from "../drop";
import { Boxes, FaceCard, faceName, inShort, status } from "../faces";
import { namesOf } from "../files";
import { say } from "../live-region";
import { inWords, isStop } from "../problem";
import type { PictureRecord } from "../record";
import * as service from "../service";
import { key, place, whose, type Place } from "../settings";
import { number, t, unit } from "../words";
import { Explanation } from "./explain";

/** A picture on the page. url : of its own bytes, in this browser. */
interface Item {
  id: number;
  file: File;
  url: string;
  /** What the general model was last asked, and where; no failure. */
  asked?: { where: Place; answer: Promise<Answer> };
}

/** ms : how long reading took; what waits for the networks is not counted. */
interface Answer {
  record: PictureRecord;
  ms: number;
}

interface Reading extends Partial<Answer> {
  busy?: boolean;
  problem?: unknown;
}

/** The pictures stay while another view is looked at, until they are removed. */
const items = signal<Item[]>([]);
let last = 0;

async function read(picture: Blob, where: Place, person: string): Promise<Answer> {
  if (where === "device") await device.wake(person);
  const begun = performance.now();
  const record = await (where === "device" ? device.read(picture, person) : service.analyze(picture));
  return { record, ms: performance.now() - begun };
}

/** A picture's answer: the one before, where nothing but the view has changed. */
function answerTo(item: Item, where: Place, person: string): Promise<Answer> {
  if (person) return read(item.file, where, person); // who may have learned anew
  if (item.asked?.where === where) return item.asked.answer;
  const answer = read(item.file, where, "");
  const asked = (item.asked = { where, answer });
  answer.then(
    ({ record }) => {
      const stays = items.value.includes(item);
      if (stays) say(`${item.file.name}: ${described(record) || status(record)}`);
    },
    () => item.asked === asked && delete item.asked,
  );
  return answer;
}

const isPicture = (file: File) => !file.type || file.type.startsWith("image/");

/** Which files hold no picture; all : whether none of them does. */
function LeftOut(props: { files: File[]; all: boolean }) {
  const { files, all } = props;
  if (all) return <p class="problem">{t("picture.none")}</p>;
  return (
    <p class="problem">{t("picture.left", { n: number(files.length), names: namesOf(files) })}</p>
  );
}

export function PictureView() {
  const [left, setLeft] = useState<{ files: File[]; all: boolean } | null>(null);
  const take = (files: Iterable<File>) => {
    const all = [...files];
    const found = all.filter(isPicture);
    const others = all.filter((file) => !isPicture(file));
    setLeft(others.length || !found.length ? { files: others, all: !found.length } : null);
    const added = found.map((file) => ({ id: ++last, file, url: URL.createObjectURL(file) }));
    items.value = [...added, ...items.value];
  };
  const remove = (item: Item) => {
    URL.revokeObjectURL(item.url);
    items.value = items.value.filter((other) => other !== item);
  };
  usePasted(take);
  return (
    <>
      <Drop words={["picture.drop", "picture.choose"]} accept="image/*,.heic,.heif" several take={take} />
      {left && <LeftOut {...left} />}
      {items.value.length === 0 && <p class="hint">{t("picture.hint")}</p>}
      {items.value.map((item) => (
        <Picture key={item.id} item={item} remove={() => remove(item)} />
      ))}
    </>
  );
}

function usePasted(take: (files: Iterable<File>) => void) {
  useEffect(() => {
    const pasted = (event: ClipboardEvent) => {
      const files = event.clipboardData?.files;
      if (files?.length) take(files);
    };
    addEventListener("paste", pasted);
    return () => removeEventListener("paste", pasted);
  });
}

/** A picture's record, read anew where the place of reading, its key or the recogniser changes. */
function useReading(item: Item, where: Place, person: string): Reading {
  const [reading, setReading] = useState<Reading>({ busy: true });
  useEffect(() => {
    let wanted = true;
    // What another place said stays in sight until this one has answered.
    setReading(({ record }) => ({ record, busy: true }));
    answerTo(item, where, person).then(
      (answer) => wanted && setReading(answer),
      (err: unknown) => {
        if (!wanted || isStop(err)) return;
        setReading({ problem: err });
        say(`${item.file.name}: ${inWords(err)}`);
      },
    );
    return () => {
      wanted = false;
    };
  }, [item, where, person, where === "service" && key.value]);
  return reading;
}

function Picture(props: { item: Item; remove: () => void }) {
  const { file, url } = props.item;
  const where = place.value;
  const person = where === "device" ? whose.value : "";
  const { record, problem, ms, busy } = useReading(props.item, where, person);
  const [shows, setShows] = useState(true);
  return (
    <article class="picture card">
      <header>
        <h2>{file.name}</h2>
        {ms !== undefined && <span class="soft">{unit(ms, "millisecond")}</span>}
        <button class="plain" onClick={props.remove} aria-label={`${t("picture.remove")}: ${file.name}`}>
          {t("picture.remove")}
        </button>
      </header>
      <div class="beside">
        <div class="frame">
          {shows ? (
            <img src={url} alt={described(record)} onError={() => setShows(false)} />
          ) : (
            <p class="hint">{t("picture.unshown")}</p>
          )}
          {record && shows && <Boxes record={record} />}
        </div>
        <div class="faces" aria-busy={busy}>
          {busy && <p class="hint">{t("picture.reading")}</p>}
          {problem !== undefined && <Problem text={inWords(problem)} onDevice={where === "device"} />}
          {record && status(record) && <p class="problem">{status(record)}</p>}
          {record?.faces.map((face, i) => <FaceCard key={i} face={face} index={i} />)}
          {record && record.faces.length > 0 && (
            <Explanation file={file} labels={Object.keys(record.faces[0].emotions)} />
          )}
        </div>
      </div>
    </article>
  );
}

const described = (record?: PictureRecord) =>
  record?.faces.map((face, i) => `${faceName(face, i)}: ${inShort(face)}`).join("; ") ?? "";

/** What went wrong, and the other way where this one is closed. */
function Problem(props: { text: string; onDevice: boolean }) {
  return (
    <p class="problem">
      {props.text}{" "}
      {props.onDevice && (
        <button onClick={() => (place.value = "service")}>{t("place.offer")}</button>
      )}
    </p>
  );
}
