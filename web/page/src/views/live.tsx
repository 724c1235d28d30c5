/** The camera, live: boxes, bars, the last minute, and how late an answer is. */

import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { cameraIsMute, cameraIsOn, cameras, useCamera } from "../camera";
import { usualStep } from "../episodes";
import { Bars, Boxes, faceName, inShort, status, Trust } from "../faces";
import { csv, jsonLines, saveText } from "../files";
import { say } from "../live-region";
import { inWords, isStop, Told } from "../problem";
import type { Face, PictureRecord } from "../record";
import { place, whose } from "../settings";
import { pause, reader, type FrameReader } from "../stream";
import { Legend, Timeline, type Point } from "../timeline";
import { label, number, percent, t, unit } from "../words";

const KEPT_S = 60;
const HOLDS_S = 1; // how long an expression shows before it is said
const AGAIN_MS = [1000, 2000, 4000, 8000];

interface Shown {
  record: PictureRecord | null;
  ms: number;
  fps: number;
}

const shown = signal<Shown>({ record: null, ms: 0, fps: 0 });
const problem = signal<unknown>(null);

export const LiveView = () => <Live person={place.value === "device" ? whose.value : ""} />;

function tell(err: unknown): void {
  problem.value = err;
  say(inWords(err));
}

interface LiveProps {
  /** Whose own recogniser reads; "" for the general model. */
  person: string;
  /** Is told each record. */
  heard?: (record: PictureRecord) => void;
}

export function Live(props: LiveProps) {
  const video = useRef<HTMLVideoElement>(null);
  const records = useRef<PictureRecord[]>([]);
  const heard = useRef(props.heard);
  heard.current = props.heard;
  const { camera, open, close } = useCamera(() => tell(new Told("camera.unplugged")));
  const [device, setDevice] = useState("");
  const [mirrored, setMirrored] = useState(true);
  const [smooth, setSmooth] = useState(true);
  const { person } = props;
  const where = place.value;

  const stop = () => {
    problem.value = null;
    close();
  };
  const start = async (which = device) => {
    problem.value = null;
    try {
      await open(which);
    } catch (err) {
      if (isStop(err)) return;
      // The one that was chosen is gone: the next try takes whichever there is.
      if (err instanceof Told && err.word === "camera.missing") setDevice("");
      tell(err);
    }
  };
  useEffect(() => () => void (problem.value = null), []); // another view has its own
  useEffect(() => {
    if (!camera) return;
    const shows = video.current!;
    shows.srcObject = camera.stream;
    void shows.play().catch(() => undefined);
    return () => {
      shows.srcObject = null;
      shown.value = { record: null, ms: 0, fps: 0 };
    };
  }, [camera]);
  useEffect(() => {
    if (!camera) return;
    const stopped = new AbortController();
    records.current = [];
    problem.value = null;
    const frames = () => reader(where, smooth, person);
    void watch(video.current!, frames, records.current, stopped.signal, (record) =>
      heard.current?.(record),
    );
    return () => stopped.abort();
  }, [camera, smooth, where, person]);

  return (
    <>
      <div class="row">
        {camera ? (
          <button onClick={stop}>{t("live.stop")}</button>
        ) : (
          <button class="main" onClick={() => void start()}>
            {t("live.start")}
          </button>
        )}
        <Toggle word="live.mirrored" on={mirrored} set={setMirrored} />
        <Toggle word="live.smooth" on={smooth} set={setSmooth} />
        {camera && (
          <WhichCamera
            chosen={camera.id}
            choose={(id) => {
              setDevice(id);
              void start(id);
            }}
          />
        )}
      </div>
      {problem.value !== null && <p class="problem">{inWords(problem.value)}</p>}
      {cameraIsMute.value && <MuteCamera />}
      {!camera && problem.value === null && <p class="hint">{t("live.hint")}</p>}
      <div class="beside live" hidden={!camera}>
        <div class="seen">
          <div class="frame">
            <video ref={video} muted playsInline class={mirrored ? "mirrored" : ""} />
            {shown.value.record && <Boxes record={shown.value.record} mirrored={mirrored} />}
          </div>
          <Latency />
        </div>
        {camera && <Figures />}
        {camera && <LastMinute records={records.current} />}
      </div>
    </>
  );
}

export const MuteCamera = () => (
  <p class="problem" role="alert">
    {t("camera.mute")}
  </p>
);

function Toggle(props: { word: "live.mirrored" | "live.smooth"; on: boolean; set: (on: boolean) => void }) {
  return (
    <label class="toggle">
      <input type="checkbox" checked={props.on} onChange={() => props.set(!props.on)} />
      <span>{t(props.word)}</span>
    </label>
  );
}

function WhichCamera(props: { chosen: string; choose: (id: string) => void }) {
  const [found, setFound] = useState<{ id: string; name: string }[]>([]);
  useEffect(() => {
    const look = () => void cameras().then(setFound);
    look();
    navigator.mediaDevices.addEventListener("devicechange", look);
    return () => navigator.mediaDevices.removeEventListener("devicechange", look);
  }, []);
  if (found.length < 2) return null;
  return (
    <label class="field">
      {t("live.which")}{" "}
      <select value={props.chosen} onChange={(event) => props.choose(event.currentTarget.value)}>
        {found.map((one) => (
          <option key={one.id} value={one.id}>
            {one.name}
          </option>
        ))}
      </select>
    </label>
  );
}

function Latency() {
  const { record, ms, fps } = shown.value;
  return (
    <p class="soft figure" data-testid="latency">
      {record && t("live.latency", { ms: unit(ms, "millisecond"), fps: number(fps, 1) })}
    </p>
  );
}

/** The face that was there first: the one whose minute is drawn. */
const oldest = (record: PictureRecord | null): Face | undefined =>
  record?.faces.reduce<Face | undefined>(
    (found, face) => (!found || (face.track ?? 0) < (found.track ?? 0) ? face : found),
    undefined,
  );

function Figures() {
  const { record } = shown.value;
  return (
    <div class="faces">
      {record && status(record) && <p class="hint">{status(record)}</p>}
      {record?.faces.map((one, i) => (
        <section class="card face" key={one.track ?? i}>
          <h2>
            <span class="number">{faceName(one, i)}</span> {label(one.top)}{" "}
            <span class="figure">{percent(one.emotions[one.top])}</span>
          </h2>
          <Trust face={one} />
          <Bars face={one} />
        </section>
      ))}
    </div>
  );
}

function LastMinute(props: { records: PictureRecord[] }) {
  const { records } = props;
  const { record } = shown.value;
  const face = oldest(record);
  const seen = face ?? records.find((one) => one.faces.length)?.faces[0];
  if (!seen) return null;
  const stem = `mien-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}`;
  const toS = Math.max(record?.time_s ?? 0, 10);
  const labels = Object.keys(seen.emotions);
  return (
    <section class="card">
      <h2>{t("live.minute")}</h2>
      <Timeline
        name={face ? `${t("live.minute")}: ${inShort(face)}` : t("live.minute")}
        points={face ? pointsOf(records, face.track) : []}
        labels={labels}
        fromS={Math.max(0, toS - KEPT_S)}
        toS={toS}
        stepS={usualStep(records)}
      />
      <Legend labels={labels} />
      <div class="row">
        <button onClick={() => saveText(csv(records), `${stem}.csv`, "text/csv")}>
          {t("live.save.csv")}
        </button>
        <button
          onClick={() => saveText(jsonLines(records), `${stem}.jsonl`, "application/x-ndjson")}
        >
          {t("live.save.jsonl")}
        </button>
      </div>
    </section>
  );
}

export function pointsOf(
  records: PictureRecord[],
  track: number | null,
  what: "emotions" | "intensity" = "emotions",
): Point[] {
  return records.flatMap((record) => {
    const face = record.faces.find((one) => one.track === track);
    return face ? [{ timeS: record.time_s, values: face[what] ?? {} }] : [];
  });
}

/** Read what the camera shows until it is stopped; told again and again where the service is away. */
async function watch(
  video: HTMLVideoElement,
  open: () => FrameReader,
  records: PictureRecord[],
  stopped: AbortSignal,
  heard: (record: PictureRecord) => void,
): Promise<void> {
  let begun = 0;
  let failures = 0;
  while (!stopped.aborted) {
    const frames = open();
    stopped.addEventListener("abort", () => frames.close(), { once: true }); // not one frame more
    try {
      const teller = new Teller();
      await frames.ready();
      begun ||= performance.now();
      for (let frame = records.length; !stopped.aborted; frame++) {
        await nextFrame(video, stopped);
        if (stopped.aborted) break;
        const timeS = (performance.now() - begun) / 1000;
        const asked = performance.now();
        const record = { ...(await frames.next(video, timeS)), frame, source: "camera" };
        if (stopped.aborted) break;
        problem.value = null;
        failures = 0;
        keep(records, record);
        shown.value = { record, ms: performance.now() - asked, fps: rate(records) };
        teller.hear(record);
        heard(record);
      }
    } catch (err) {
      if (stopped.aborted || !cameraIsOn.peek()) break;
      problem.value = err;
      if (!failures) say(inWords(err));
      await pause(AGAIN_MS[Math.min(failures++, AGAIN_MS.length - 1)], stopped);
    } finally {
      frames.close();
    }
  }
}

function keep(records: PictureRecord[], record: PictureRecord): void {
  records.push(record);
  const old = records.findIndex((one) => one.time_s >= record.time_s - KEPT_S);
  records.splice(0, old);
}

/** Answers a second, of the last two seconds. */
function rate(records: PictureRecord[]): number {
  const toS = records[records.length - 1].time_s;
  const recent = records.filter((record) => record.time_s > toS - 2);
  const spanS = toS - recent[0].time_s;
  return spanS > 0 ? (recent.length - 1) / spanS : 0;
}

/** The next picture of the camera's; a page that nobody sees waits until it is looked at. */
function nextFrame(video: HTMLVideoElement, stopped: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    video.requestVideoFrameCallback(() => resolve());
    stopped.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Says what a face shows once it has shown it for a while: not every frame. */
class Teller {
  private said = "";
  private now = "";
  private sinceS = 0;

  hear(record: PictureRecord): void {
    const face = oldest(record);
    const now = face ? (face.uncertain ? t("face.uncertain") : label(face.top)) : t("record.noface");
    if (now !== this.now) {
      this.now = now;
      this.sinceS = record.time_s;
    }
    if (now !== this.said && record.time_s - this.sinceS >= HOLDS_S) {
      this.said = now;
      say(now);
    }
  }
}
