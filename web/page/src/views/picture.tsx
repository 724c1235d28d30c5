/** Pictures: dropped, pasted or chosen, one or many, each with its faces. */

import { useEffect, useState } from "preact/hooks";
import * as device from "../device";
import { Drop } from "../drop";
import { Boxes, FaceCard, faceName, inShort, status } from "../faces";
import { say } from "../live-region";
import { inWords } from "../problem";
import type { PictureRecord } from "../record";
import * as service from "../service";
import { place, whose, type Place } from "../settings";
import { t, unit } from "../words";
import { Explanation } from "./explain";

/** A picture on the page. url : of its own bytes, in this browser. */
interface Item {
  id: number;
  file: File;
  url: string;
}

interface Reading {
  busy?: boolean;
  record?: PictureRecord;
  problem?: string;
  ms?: number;
}

let last = 0;

/** A picture's record, and how long reading it took: what waits for the networks is not counted. */
async function read(
  picture: Blob,
  where: Place,
  person: string,
): Promise<{ record: PictureRecord; ms: number }> {
  if (where === "device") await device.wake(person);
  const begun = performance.now();
  const record = await (where === "device" ? device.read(picture, person) : service.analyze(picture));
  return { record, ms: performance.now() - begun };
}

const pictured = (files: Iterable<File>) =>
  [...files].filter((file) => !file.type || file.type.startsWith("image/"));

export function PictureView() {
  const [items, setItems] = useState<Item[]>([]);
  const [problem, setProblem] = useState("");
  const take = (files: Iterable<File>) => {
    const found = pictured(files);
    setProblem(found.length ? "" : t("picture.none"));
    const added = found.map((file) => ({ id: ++last, file, url: URL.createObjectURL(file) }));
    setItems((before) => [...added, ...before]);
  };
  const remove = (item: Item) => {
    URL.revokeObjectURL(item.url);
    setItems((before) => before.filter((other) => other !== item));
  };
  usePasted(take);
  return (
    <>
      <Drop words={["picture.drop", "picture.choose"]} accept="image/*,.heic,.heif" several take={take} />
      {problem && <p class="problem">{problem}</p>}
      {items.length === 0 && <p class="hint">{t("picture.hint")}</p>}
      {items.map((item) => (
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

/** A picture's record, read anew where the place of reading or the recogniser there changes. */
function useReading(file: File, where: Place, person: string): Reading {
  const [reading, setReading] = useState<Reading>({ busy: true });
  useEffect(() => {
    let wanted = true;
    // What another place said stays in sight until this one has answered.
    setReading(({ record }) => ({ record, busy: true }));
    read(file, where, person).then(
      ({ record, ms }) => {
        if (!wanted) return;
        setReading({ record, ms });
        const faces = record.faces.map((face, i) => `${faceName(face, i)}: ${inShort(face)}`);
        say(`${file.name}: ${faces.join("; ") || status(record)}`);
      },
      (err: unknown) => {
        if (!wanted) return;
        setReading({ problem: inWords(err) });
        say(`${file.name}: ${inWords(err)}`);
      },
    );
    return () => {
      wanted = false;
    };
  }, [file, where, person]);
  return reading;
}

function Picture(props: { item: Item; remove: () => void }) {
  const { file, url } = props.item;
  const where = place.value;
  const { record, problem, ms, busy } = useReading(file, where, whose.value);
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
          {problem && <Problem text={problem} onDevice={where === "device"} />}
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
