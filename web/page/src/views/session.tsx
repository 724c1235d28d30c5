/** The session itself: words or one's own pictures and films are shown while the camera looks. */

import { useEffect, useRef, useState } from "preact/hooks";
import { cameraIsMute, useCamera, type Camera } from "../camera";
import { say } from "../live-region";
import { inWords, isStop, Told } from "../problem";
import { forget, ofFolder, ofWords, shoot, unkept, type Shot, type Stimulus } from "../session";
import { place } from "../settings";
import { pause } from "../stream";
import { label, number, t } from "../words";
import { MuteCamera } from "./live";

const READY_S = 2;
const SECONDS = 6; // as long as mien person record shows a picture
const TIMES = [2, 3, 5];

/** whose : as `unkept` calls them. keep : has what was kept learned from; tells whether that went well. */
export function Session(props: { whose: string; keep: (shots: Shot[]) => Promise<boolean> }) {
  const { whose } = props;
  const [words, setWords] = useState("");
  const [times, setTimes] = useState(3);
  const [folder, setFolder] = useState<File[]>([]);
  const [stimuli, setStimuli] = useState<Stimulus[]>([]);
  const shots = unkept.value[whose] ?? [];
  const setShots = (all: Shot[]) => (unkept.value = { ...unkept.value, [whose]: all });
  const [problem, setProblem] = useState<Told | null>(null);
  const { camera, open, close } = useCamera(() => setProblem(new Told("camera.unplugged")));
  const picked = useRef<HTMLInputElement>(null);

  const begin = async (event: Event) => {
    event.preventDefault();
    setProblem(null);
    const said = words.split(/[,،;\n]/).map((word) => word.trim()).filter(Boolean);
    const all = folder.length ? ofFolder(folder) : ofWords(said, times, new Date().toISOString());
    if (!all.length) {
      setProblem(new Told(folder.length ? "session.folder.none" : "session.words.none"));
      return;
    }
    setStimuli(all);
    try {
      await open();
    } catch (err) {
      if (!isStop(err)) setProblem(err as Told);
    }
  };
  const ended = (found: Shot[]) => {
    close();
    setShots([...(unkept.value[whose] ?? []), ...found]);
    const over = new Told("session.over", "", { n: number(found.length) });
    if (!found.length) setProblem((told) => told ?? over);
    say(inWords(over));
  };
  const trouble = problem && <p class="problem">{inWords(problem)}</p>;

  if (camera) return <Showing camera={camera} stimuli={stimuli} ended={ended} />;
  if (shots.length) {
    return (
      <>
        {trouble}
        <Sheet
          shots={shots}
          change={setShots}
          keep={async () => {
            if (await props.keep(shots.filter((shot) => shot.kept))) forget(whose);
          }}
          drop={() => forget(whose)}
        />
      </>
    );
  }
  return (
    <>
      <h3>{t("session.title")}</h3>
      <form class="form" onSubmit={(event) => void begin(event)}>
        <p class="hint">{t("session.hint")}</p>
        <label>
          {t("session.words")}
          <input
            autocomplete="off"
            value={words}
            disabled={folder.length > 0}
            placeholder={t("session.words.example")}
            onInput={(event) => setWords(event.currentTarget.value)}
          />
        </label>
        <div class="row">
          <label class="field">
            {t("session.times")}{" "}
            <select value={times} onChange={(event) => setTimes(Number(event.currentTarget.value))}>
              {TIMES.map((one) => (
                <option key={one} value={one}>
                  {number(one)}
                </option>
              ))}
            </select>
          </label>
          <button type="button" onClick={() => picked.current!.click()}>
            {t("session.folder")}
          </button>
          <input
            ref={picked}
            type="file"
            multiple
            {...{ webkitdirectory: "" }}
            hidden
            onChange={(event) => setFolder([...(event.currentTarget.files ?? [])])}
          />
          {folder.length > 0 && (
            <span>
              {t("session.folder.chosen", { n: number(ofFolder(folder).length) })}{" "}
              <button type="button" class="plain" onClick={() => setFolder([])}>
                {t("picture.remove")}
              </button>
            </span>
          )}
        </div>
        {trouble}
        <button class="main">{t("session.begin")}</button>
      </form>
    </>
  );
}

/** One stimulus after the other, each announced; Escape or the button ends it, what was taken stays. */
function Showing(props: { camera: Camera; stimuli: Stimulus[]; ended: (shots: Shot[]) => void }) {
  const { camera, stimuli, ended } = props;
  const video = useRef<HTMLVideoElement>(null);
  const stop = useRef<HTMLButtonElement>(null);
  const [at, setAt] = useState(0);
  const [ready, setReady] = useState(false);
  const stopping = useRef(new AbortController());
  useEffect(() => {
    let found: Shot[] = [];
    const stopped = stopping.current.signal;
    stop.current?.focus();
    const run = async () => {
      const shows = video.current!;
      shows.srcObject = camera.stream;
      void shows.play().catch(() => undefined);
      for (const [i, stimulus] of stimuli.entries()) {
        if (stopped.aborted || !camera.stream.active) break;
        setAt(i);
        setReady(false);
        say(label(stimulus.label));
        await pause(READY_S * 1000, stopped);
        setReady(true);
        found = [...found, ...(await shoot(shows, camera, stimulus, SECONDS, stopped))];
      }
      ended(found);
    };
    void run();
    return () => stopping.current.abort();
  }, []);
  const stimulus = stimuli[at];
  return (
    <div class="showing" onKeyDown={(event) => event.key === "Escape" && stopping.current.abort()}>
      <p class="word">{label(stimulus.label)}</p>
      <div class="stimulus">{ready && stimulus.file && <Shown file={stimulus.file} />}</div>
      <p>{ready ? t("session.looking") : t("session.ready")}</p>
      {cameraIsMute.value && <MuteCamera />}
      <p class="lasting" aria-hidden="true">
        {ready && <span key={at} style={{ animationDuration: `${SECONDS}s` }} />}
      </p>
      <p class="soft">{t("session.place", { n: number(at + 1), of: number(stimuli.length) })}</p>
      <video ref={video} muted playsInline class="mirrored small" />
      <button ref={stop} onClick={() => stopping.current.abort()}>
        {t("session.stop")}
      </button>
    </div>
  );
}

function Shown(props: { file: File }) {
  const [url, setUrl] = useState("");
  useEffect(() => {
    const made = URL.createObjectURL(props.file);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [props.file]);
  if (!url) return null;
  return props.file.type.startsWith("video/") ? (
    <video src={url} autoplay muted playsInline />
  ) : (
    <img src={url} alt="" />
  );
}

interface SheetProps {
  shots: Shot[];
  change: (shots: Shot[]) => void;
  keep: () => Promise<void>;
  drop: () => void;
}

/** Everything that was taken: what is to be learned from is ticked, and may get another word. */
function Sheet(props: SheetProps) {
  const { shots, change, keep, drop } = props;
  const [busy, setBusy] = useState(false);
  const onDevice = place.value === "device";
  const words = [...new Set(shots.map((shot) => shot.label))];
  const set = (shot: Shot, changes: Partial<Shot>) =>
    change(shots.map((one) => (one === shot ? { ...one, ...changes } : one)));
  return (
    <>
      <h3>{t("session.sheet")}</h3>
      <p class="hint">{t(onDevice ? "session.sheet.hint.device" : "session.sheet.hint")}</p>
      <ul class="sheet">
        {shots.map((shot, i) => (
          <li key={shot.url} class={shot.kept ? "" : "dropped"}>
            <label>
              <img src={shot.url} alt="" />
              <input type="checkbox" checked={shot.kept} onChange={() => set(shot, { kept: !shot.kept })} />
              <span>{t("session.keep.one", { n: number(i + 1), word: label(shot.label) })}</span>
            </label>
            <select
              aria-label={t("session.word.of", { n: number(i + 1) })}
              value={shot.label}
              onChange={(event) => set(shot, { label: event.currentTarget.value })}
            >
              {words.map((word) => (
                <option key={word} value={word}>
                  {label(word)}
                </option>
              ))}
            </select>
          </li>
        ))}
      </ul>
      <div class="row">
        <button
          class="main"
          disabled={busy || !shots.some((shot) => shot.kept)}
          onClick={() => {
            setBusy(true);
            void keep().finally(() => setBusy(false));
          }}
        >
          {t(onDevice ? "session.keep.device" : "session.keep", { n: number(shots.filter((shot) => shot.kept).length) })}
        </button>
        <button onClick={drop}>{t("session.drop")}</button>
      </div>
    </>
  );
}
