/** The service that gave the page: every request that leaves this browser is made here. */

import { signal } from "@preact/signals";
import { lookForNewer } from "./offline";
import { Told } from "./problem";
import { SCHEMA, type PictureRecord, type Values } from "./record";
import { key, keyNeeded, place } from "./settings";
import type { Word } from "./words";

export const away = signal(false);

const WORDS: Record<number, Word> = {
  401: "service.key",
  403: "service.refused",
  404: "service.gone",
  408: "service.slow",
  413: "service.large",
  421: "service.refused",
  422: "service.unreadable",
  429: "service.often",
  501: "service.lacks",
  503: "service.busy",
  507: "service.full",
};

/** The address of a route, under whatever path the page was given. */
export function address(path: string): string {
  return new URL(path, document.baseURI.replace(/[#?].*$/, "")).href;
}

/** Aborted while faces are read on this device only: what is on its way stops, and nothing follows. */
let leaving = new AbortController();
place.subscribe((where) => {
  if (where === "device") leaving.abort();
  else leaving = new AbortController();
});

/** Stops what carries something of a person to the service, where that is no longer wanted. */
const wanted = (signal?: AbortSignal | null) =>
  signal ? AbortSignal.any([leaving.signal, signal]) : leaving.signal;

async function ask(path: string, asked: RequestInit = {}): Promise<Response> {
  const init = asked.body ? { ...asked, signal: wanted(asked.signal) } : asked;
  const headers = new Headers(init.headers);
  if (key.value) headers.set("Authorization", `Bearer ${key.value}`);
  let answer: Response;
  try {
    answer = await fetch(address(path), { ...init, headers });
  } catch (err) {
    if (init.signal?.aborted) throw err;
    throw gone();
  }
  return heard(answer);
}

function gone(): Told {
  away.value = true;
  return new Told("service.away");
}

/** It answers. One that was away may be another by now than the one that gave this page. */
export function isBack(): void {
  if (away.peek()) void lookForNewer();
  away.value = false;
}

/** An answer that is what was asked for; raises Told for a refusal. */
async function heard(answer: Response): Promise<Response> {
  isBack();
  if (answer.ok) return answer;
  throw await refused(answer);
}

async function refused(answer: Response): Promise<Told> {
  if (answer.status === 401) keyNeeded.value = true;
  const isProblem = answer.headers.get("content-type")?.includes("problem+json");
  if (!isProblem) void lookForNewer();
  const detail = isProblem ? String((await answer.json()).detail) : String(answer.status);
  return new Told(WORDS[answer.status] ?? "service.failed", detail);
}

async function json<T>(path: string, init?: RequestInit): Promise<T> {
  return parsed(await ask(path, init));
}

async function parsed<T>(answer: Response): Promise<T> {
  try {
    return (await answer.json()) as T;
  } catch {
    throw new Told("service.other");
  }
}

/** A record of the schema that this page reads. */
export function known(record: PictureRecord): PictureRecord {
  if (record?.schema === SCHEMA) return record;
  void lookForNewer();
  throw new Told("service.other");
}

const post = (body?: BodyInit, kind = "application/octet-stream", signal?: AbortSignal) => ({
  method: "POST",
  signal: signal ?? null,
  ...(body === undefined ? {} : { body, headers: { "Content-Type": kind } }),
});

const query = (options: Record<string, string | number | undefined>) => {
  const said = Object.entries(options).filter(([, value]) => value !== undefined && value !== "");
  return said.length ? `?${new URLSearchParams(said.map(([k, v]) => [k, String(v)]))}` : "";
};

// -- pictures -----------------------------------------------------------------------------------

/** A picture's record. person : whose own recogniser reads it. */
export async function analyze(picture: Blob, person = ""): Promise<PictureRecord> {
  type Answer = { records: PictureRecord[] };
  const { records } = await json<Answer>(`v1/analyze${query({ person })}`, post(picture));
  return known(records?.[0]);
}

/** A picture of where the model looked: a row for each face. */
export async function explain(picture: Blob, emotion: string): Promise<Blob> {
  return (await ask(`v1/explain${query({ emotion })}`, post(picture))).blob();
}

// -- recordings ---------------------------------------------------------------------------------

export interface Job {
  id: string;
  name: string;
  state: "queued" | "running" | "done" | "failed" | "cancelled";
  ahead: number;
  created: string;
  kept_until: string | null;
  progress: { frames: number; share: number | null; left_s: number | null };
  reason: string;
}

export const FORMATS = [
  "csv",
  "csv-semicolon",
  "xlsx",
  "jsonl",
  "parquet",
  "pyfeat",
  "openface",
  "deepface",
  "bids",
] as const;

/** Hand a film in. sent : is told which share of it has gone. */
export function handIn(
  film: File,
  options: { fps?: number; smooth?: string; person?: string },
  sent: (share: number) => void,
  signal: AbortSignal,
): Promise<Job> {
  const answer = new Promise<Response>((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not tell how much of a body has gone
    request.open("POST", address(`v1/videos${query({ ...options, name: film.name })}`));
    request.setRequestHeader("Content-Type", "application/octet-stream");
    if (key.value) request.setRequestHeader("Authorization", `Bearer ${key.value}`);
    request.upload.onprogress = (event) => event.total && sent(event.loaded / event.total);
    request.onerror = () => reject(gone());
    request.onabort = () => reject(new DOMException("stopped", "AbortError"));
    request.onload = () => {
      const headers = { "Content-Type": request.getResponseHeader("Content-Type") ?? "" };
      resolve(new Response(request.responseText, { status: request.status, headers }));
    };
    const stops = wanted(signal);
    stops.addEventListener("abort", () => request.abort());
    if (stops.aborted) request.onabort(new ProgressEvent("abort"));
    else request.send(film);
  });
  return answer.then(heard).then((found) => parsed<Job>(found));
}

export const job = (id: string) => json<Job>(`v1/videos/${id}`);
export const jobs = async () => (await json<{ jobs: Job[] }>("v1/videos?most=20")).jobs;
export const cancel = (id: string) => json<Job>(`v1/videos/${id}/cancel`, post());
export const removeJob = (id: string) => ask(`v1/videos/${id}`, { method: "DELETE" });
export const result = async (id: string, format: string) => {
  const answer = await ask(`v1/videos/${id}/result${query({ format })}`);
  const named = /filename="?([^";]+)"?/.exec(answer.headers.get("content-disposition") ?? "");
  return { content: await answer.blob(), name: named ? named[1] : `records.${format}` };
};

// -- models and persons -------------------------------------------------------------------------

export interface Model {
  name: string;
  kind: string;
  about: string;
  licence: string | null;
  trained_on: string | null;
  commercial: string;
  here: boolean;
}

export const models = async () => (await json<{ models: Model[] }>("v1/models")).models;
export const card = async (name: string) =>
  (await json<{ card: string }>(`v1/models/${encodeURIComponent(name)}`)).card;

export interface Person {
  name: string;
  samples: Values;
  recogniser: string[];
  consents: { text: string; date: string }[];
}

export interface Taken {
  taken: number;
  left_out: Values;
  unreadable: Record<string, string>;
  person: Person;
}

export interface Trained {
  labels: Values;
  general: boolean;
  seconds: number;
}

interface Figures {
  accuracy: number;
  accuracy_ci95: readonly [number, number];
}

export interface Tested {
  samples: number;
  stimuli: number;
  majority_baseline: number;
  results: { general: Figures; personal: Figures };
}

const of = (name: string, what = "") => `v1/persons/${encodeURIComponent(name)}${what}`;

export const persons = async () => (await json<{ persons: Person[] }>("v1/persons")).persons;
export const begin = (name: string, consent: string) =>
  json<Person>("v1/persons", post(JSON.stringify({ name, consent }), "application/json"));
export const train = (name: string) => json<Trained>(of(name, "/train"), post());
export const test = (name: string) => json<Tested>(of(name, "/test"), post());
export const lastTest = (name: string) =>
  json<Tested>(of(name, "/test")).catch(() => null); // none; an older service has no answer to it
export const removePerson = (name: string) => ask(of(name), { method: "DELETE" });
export const exportPerson = async (name: string) => (await ask(of(name, "/export"))).blob();

/** What they showed: `label`. shown : what they looked at meanwhile, one stimulus; "" for none. */
export function addSamples(
  name: string,
  label: string,
  pictures: Blob[],
  shown = "",
): Promise<Taken> {
  const form = new FormData();
  pictures.forEach((picture, i) => form.append("files", picture, `${i + 1}.jpg`));
  return json<Taken>(of(name, `/samples${query({ label, shown })}`), { method: "POST", body: form });
}

export const version = async () => (await json<{ version: string }>("healthz")).version;
