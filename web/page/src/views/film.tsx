/** A film: its player, what a face showed over time, episodes, and files of it all. */

import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { Drop } from "../drop";
import { episodes, usualStep } from "../episodes";
import { Bars, Boxes, inShort } from "../faces";
import { csv, jsonLines, namesOf, save, saveText } from "../files";
import * as films from "../film";
import { say } from "../live-region";
import { inWords, isStop } from "../problem";
import type { PictureRecord } from "../record";
import * as service from "../service";
import { key, place, whose } from "../settings";
import { Legend, Timeline } from "../timeline";
import { clock, label, number, percent, t, unit } from "../words";
import { pointsOf } from "./live";

const RATES = [2, 5, 10, 25];
const AGAIN_MS = 2000; // between two questions what the service is reading still

/** What is read, and what came of it: it goes on and stays while another view is looked at. */
const film = signal<File | null>(null);
const records = signal<PictureRecord[]>([]);
const job = signal<service.Job | null>(null);
const progress = signal<films.Progress | null>(null);
const problem = signal<unknown>(null);
/** What was dropped with the film and is not read. */
const left = signal<File[]>([]);
let stopping = new AbortController();

type Tell = (progress: films.Progress, records?: PictureRecord[]) => void;

async function run(work: (tell: Tell, stopped: AbortSignal) => Promise<PictureRecord[]>): Promise<void> {
  clear();
  const mine = stopping;
  const isMine = () => !mine.signal.aborted;
  progress.value = { share: 0, word: "film.reading", leftS: null };
  try {
    const done = await work((told, seen) => {
      if (!isMine()) return;
      progress.value = told;
      if (seen) records.value = seen;
    }, mine.signal);
    if (!isMine()) return;
    records.value = done;
    say(t("film.done", { n: number(done.length) }));
  } catch (err) {
    if (!isMine() || isStop(err)) return;
    problem.value = err;
    say(inWords(err));
  } finally {
    if (isMine()) progress.value = null;
  }
}

/** Nothing is read any more, and nothing is shown; a job of the service's goes on. */
function clear(): void {
  stopping.abort();
  stopping = new AbortController();
  records.value = [];
  progress.value = null;
  problem.value = null;
}

function choose([chosen, ...others]: File[]): void {
  if (!chosen) return;
  clear();
  film.value = chosen;
  job.value = null;
  left.value = others;
}

function open(one: service.Job): void {
  film.value = null;
  job.value = one;
  left.value = [];
  void run((tell, stopped) => films.watched(one, tell, stopped));
}

/** What was read so far stays; a job of the service's ends, too. */
async function stop(): Promise<void> {
  const stopped = stopping;
  stopped.abort();
  const failed = job.value && (await service.cancel(job.value.id).then(() => null, (err: unknown) => err));
  if (stopping !== stopped) return; // another film was chosen meanwhile
  problem.value = failed;
  progress.value = null;
}

export function FilmView() {
  const [wanted, setWanted] = useState({ fps: 5, smooth: false });
  const where = place.value;
  const file = film.value;
  const stem = (file?.name ?? job.value?.name ?? "film").replace(/\.\w+$/, "");
  const begin = () => {
    job.value = null;
    void run((tell, stopped) =>
      where === "device"
        ? films.onDevice(file!, { ...wanted, person: whose.value }, tell, stopped)
        : films.byService(file!, { ...wanted, person: "" }, tell, stopped, (begun) => (job.value = begun)),
    );
  };

  return (
    <>
      <Drop words={["film.drop", "film.choose"]} accept="video/*,.mkv,.avi" take={choose} />
      {left.value.length > 0 && (
        <p class="problem">{t("film.one", { n: number(left.value.length), names: namesOf(left.value) })}</p>
      )}
      {file && (
        <form
          class="row"
          onSubmit={(event) => {
            event.preventDefault();
            begin();
          }}
        >
          <label class="field">
            {t("film.rate")}{" "}
            <select
              value={wanted.fps}
              onChange={(event) => setWanted({ ...wanted, fps: Number(event.currentTarget.value) })}
            >
              {RATES.map((rate) => (
                <option key={rate} value={rate}>
                  {number(rate)}
                </option>
              ))}
            </select>
          </label>
          <label class="toggle">
            <input
              type="checkbox"
              checked={wanted.smooth}
              onChange={() => setWanted({ ...wanted, smooth: !wanted.smooth })}
            />
            <span>{t("live.smooth")}</span>
          </label>
          <button class="main" disabled={progress.value !== null}>
            {t("film.begin")}
          </button>
        </form>
      )}
      {file && where === "service" && <p class="hint">{t("film.kept")}</p>}
      {progress.value && <Far progress={progress.value} />}
      {problem.value !== null && (
        <p class="problem">
          {inWords(problem.value)}{" "}
          {where === "device" && (
            <button onClick={() => (place.value = "service")}>{t("place.offer")}</button>
          )}
        </p>
      )}
      {(file || records.value.length > 0) && <Film file={file} records={records.value} />}
      {records.value.length > 0 && !progress.value && (
        <Exports records={records.value} job={job.value} stem={stem} />
      )}
      {where === "service" && <Jobs open={open} changed={job.value?.id + String(progress.value === null)} />}
    </>
  );
}

function Far(props: { progress: films.Progress }) {
  const { share, word, leftS } = props.progress;
  return (
    <p class="row">
      <label class="field">
        {t(word)} <progress max={1} {...(share === null ? {} : { value: share })} />
      </label>
      {share !== null && <span class="figure">{percent(share)}</span>}
      {leftS !== null && <span class="soft">{t("film.left", { s: unit(leftS, "second") })}</span>}
      <button onClick={() => void stop()}>{t("film.stop")}</button>
    </p>
  );
}

/** The last record up to a moment. Records are in the order of their times. */
function recordAt(records: PictureRecord[], timeS: number, stepS: number): PictureRecord | undefined {
  const next = records.findIndex((record) => record.time_s > timeS + 1e-3);
  const found = records[(next < 0 ? records.length : next) - 1];
  return found && timeS - found.time_s <= 2 * stepS ? found : undefined;
}

function Film(props: { file: File | null; records: PictureRecord[] }) {
  const { file, records } = props;
  const video = useRef<HTMLVideoElement>(null);
  const [url, setUrl] = useState("");
  const [atS, setAtS] = useState(0);
  const [shows, setShows] = useState(true);
  useEffect(() => {
    if (!file) return;
    const made = URL.createObjectURL(file);
    setUrl(made);
    setShows(true);
    setAtS(0);
    return () => URL.revokeObjectURL(made);
  }, [file]);
  useEffect(() => {
    // As often as the player shows a picture: timeupdate comes four times a second.
    let going = true;
    const seen = () => {
      if (!going || !video.current) return;
      setAtS(video.current.currentTime);
      video.current.requestVideoFrameCallback(seen);
    };
    video.current?.requestVideoFrameCallback(seen);
    return () => {
      going = false;
    };
  }, [url]);
  const seek = (timeS: number) => {
    setAtS(timeS);
    if (video.current && shows) video.current.currentTime = timeS;
  };
  const stepS = usualStep(records);
  const record = recordAt(records, atS, stepS);
  return (
    <div class="beside">
      <div>
        {file && url && shows && (
          <div class="frame">
            <video
              ref={video}
              src={url}
              controls
              playsInline
              onTimeUpdate={(event) => setAtS(event.currentTarget.currentTime)}
              onSeeking={(event) => setAtS(event.currentTarget.currentTime)}
              onError={() => setShows(false)}
            />
            {record && <Boxes record={record} />}
          </div>
        )}
        {file && !shows && <p class="problem">{t("film.unshown")}</p>}
      </div>
      {records.length > 0 && (
        <OverTime records={records} record={record} atS={atS} stepS={stepS} seek={seek} />
      )}
    </div>
  );
}

interface OverTimeProps {
  records: PictureRecord[];
  record: PictureRecord | undefined;
  atS: number;
  stepS: number;
  seek: (timeS: number) => void;
}

function OverTime(props: OverTimeProps) {
  const { records, record, atS, stepS, seek } = props;
  const [what, setWhat] = useState<"emotions" | "intensity">("emotions");
  const [chosen, setChosen] = useState<number | null>(null);
  const tracks = [...new Set(records.flatMap((one) => one.faces.map((face) => face.track)))];
  const track = tracks.includes(chosen) ? chosen : (tracks[0] ?? null);
  const face = record?.faces.find((one) => one.track === track);
  const first = records.flatMap((one) => one.faces)[0];
  if (!first) return <p class="hint">{t("record.noface")}</p>;
  const labels = Object.keys(first.emotions);
  const name = `${t("film.over")}: ${face ? inShort(face) : t("record.noface")}`;
  return (
    <div class="faces">
      <section class="card">
        <div class="row">
          {tracks.length > 1 && (
            <label class="field">
              {t("film.face")}{" "}
              <select
                value={String(track)}
                onChange={(event) => setChosen(Number(event.currentTarget.value))}
              >
                {tracks.map((one) => (
                  <option key={one} value={String(one)}>
                    {t("face.name", { n: number(one ?? 1) })}
                  </option>
                ))}
              </select>
            </label>
          )}
          {first.intensity && (
            <label class="field">
              {t("film.what")}{" "}
              <select
                value={what}
                onChange={(event) => setWhat(event.currentTarget.value as "emotions" | "intensity")}
              >
                <option value="emotions">{t("face.probability")}</option>
                <option value="intensity">{t("face.intensity")}</option>
              </select>
            </label>
          )}
          <span class="figure">{clock(atS)}</span>
        </div>
        <Timeline
          name={name}
          points={pointsOf(records, track, what)}
          labels={labels}
          fromS={0}
          toS={records[records.length - 1].time_s + stepS}
          stepS={stepS}
          atS={atS}
          seek={seek}
        />
        <Legend labels={labels} />
        {face && <Bars face={face} />}
      </section>
      <Episodes records={records} track={track} labels={labels} seek={seek} />
    </div>
  );
}

function Episodes(props: {
  records: PictureRecord[];
  track: number | null;
  labels: string[];
  seek: (timeS: number) => void;
}) {
  const { records, track, labels, seek } = props;
  const found = episodes(pointsOf(records, track), labels, records);
  return (
    <section class="card">
      <h2>{t("film.episodes")}</h2>
      {found.length === 0 && <p class="hint">{t("film.episodes.none")}</p>}
      {found.length > 0 && (
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">{t("face.expression")}</th>
              <th scope="col">{t("film.from")}</th>
              <th scope="col">{t("film.to")}</th>
              <th scope="col">{t("film.peak")}</th>
            </tr>
          </thead>
          <tbody>
            {found.map((one) => (
              <tr key={`${one.label}${one.onsetS}`}>
                <th scope="row">{label(one.label)}</th>
                <td>
                  <button class="plain figure" onClick={() => seek(one.onsetS)}>
                    {clock(one.onsetS)}
                  </button>
                </td>
                <td class="figure">{clock(one.offsetS)}</td>
                <td class="figure">{percent(one.peak)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function Exports(props: { records: PictureRecord[]; job: service.Job | null; stem: string }) {
  const { records, job, stem } = props;
  const [format, setFormat] = useState("csv");
  const [problem, setProblem] = useState<unknown>(null);
  const fetched = async () => {
    setProblem(null);
    try {
      const { content, name } = await service.result(job!.id, format);
      save(content, name);
    } catch (err) {
      setProblem(err);
    }
  };
  const made = () =>
    format === "jsonl"
      ? saveText(jsonLines(records), `${stem}.jsonl`, "application/x-ndjson")
      : saveText(csv(records), `${stem}.csv`, "text/csv");
  return (
    <section class="card row">
      <label class="field">
        {t("film.format")}{" "}
        <select value={format} onChange={(event) => setFormat(event.currentTarget.value)}>
          {(job ? service.FORMATS : ["csv", "jsonl"]).map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
      <button onClick={() => (job ? void fetched() : made())}>{t("film.save")}</button>
      {problem !== null && <p class="problem">{inWords(problem)}</p>}
    </section>
  );
}

/** What the service keeps of films that were handed in. */
function Jobs(props: { open: (job: service.Job) => void; changed: string }) {
  const [jobs, setJobs] = useState<service.Job[]>([]);
  const [problem, setProblem] = useState<unknown>(null);
  const look = () =>
    void service.jobs().then((found) => {
      setJobs(found);
      setProblem(null);
    }, setProblem);
  const remove = (job: service.Job) => void service.removeJob(job.id).then(look, setProblem);
  // A service that comes back, or is given a key, is asked again.
  useEffect(look, [props.changed, service.away.value, key.value]);
  useEffect(() => {
    if (!jobs.some(({ state }) => state === "queued" || state === "running")) return;
    const again = setTimeout(look, AGAIN_MS);
    return () => clearTimeout(again);
  }, [jobs]);
  if (problem !== null) return <p class="problem">{inWords(problem)}</p>;
  if (!jobs.length) return null;
  return (
    <section class="card">
      <h2>{t("film.jobs")}</h2>
      <table class="plain">
        <thead>
          <tr>
            <th scope="col">{t("film.name")}</th>
            <th scope="col">{t("film.state")}</th>
            <th scope="col">{t("film.actions")}</th>
          </tr>
        </thead>
        <tbody>
          {jobs.map((job) => (
            <tr key={job.id}>
              <th scope="row">{job.name}</th>
              <td>{t(`state.${job.state}`)}</td>
              <td class="row">
                {job.state !== "failed" && job.state !== "cancelled" && (
                  <button onClick={() => props.open(job)}>{t("film.open")}</button>
                )}
                <button class="grave" onClick={() => remove(job)}>
                  {t("film.delete")}
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
