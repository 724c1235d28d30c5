/** People with a recogniser of their own in this browser: the same as the service does, and nothing is sent. */

import { labelsOf, wordOf, type Numbers } from "mien-web";
import { strToU8, zipSync, type Zippable } from "fflate";
import numbers from "../../packages/mien/models/numbers.json";
import * as device from "./device";
import { Told } from "./problem";
import type { PictureRecord } from "./record";
import type { Person, Taken, Tested, Trained } from "./service";
import * as store from "./store";

const all = numbers as unknown as Numbers; // JSON knows no tuples
const { files, kind, schema, longest_name, samples: sampling } = numbers.person;

/** Everybody of whom something is kept, by name. */
export async function persons(): Promise<Person[]> {
  const [known, learned] = [await store.persons(), await store.recogniserNames()];
  const found = await Promise.all(known.map((one) => told(one, learned.includes(one.name))));
  return found.sort((a, b) => a.name.localeCompare(b.name));
}

async function told({ name, consents }: store.Kept, learned: boolean): Promise<Person> {
  const labels = (await store.samples(name)).map(({ sample }) => sample.label);
  const counts = labelsOf(labels, all.labels).map(
    (label) => [label, labels.filter((one) => one === label).length] as const,
  );
  return { name, samples: Object.fromEntries(counts), recogniser: learned ? [kind] : [], consents };
}

async function one(name: string): Promise<Person> {
  const known = (await store.persons()).find((person) => person.name === name);
  if (!known) throw new Told("store.gone", name);
  return told(known, (await store.recogniserNames()).includes(name));
}

/** Note a consent; of somebody known it is one more. The browser is asked not to clear what is kept. */
export async function begin(name: string, consent: string): Promise<Person> {
  const plain = inOneLine(name).normalize("NFC");
  if (!plain || plain.length > longest_name) throw new Told("own.name", "", { n: longest_name });
  if (!inOneLine(consent)) throw new Told("own.consent");
  await digest(new Uint8Array()); // where that is refused, no sample could be kept
  await store.agree(plain, { text: inOneLine(consent), date: now() });
  void navigator.storage?.persist?.().catch(() => false); // it may ask, and need not be waited for
  return one(plain);
}

const inOneLine = (text: string) => text.trim().split(/\s+/).join(" ");
const now = () => `${new Date().toISOString().slice(0, 19)}+00:00`;

/** What they showed: `label`. shown : what they looked at meanwhile, one stimulus; "" for none. */
export async function addSamples(
  name: string,
  label: string,
  pictures: Blob[],
  shown = "",
): Promise<Taken> {
  checked(label);
  const stimuli = (await store.samples(name)).map(({ sample }) => sample.stimulus);
  const known = new Set(stimuli.map(content));
  const looked = shown && `${label}/${shown}#${await digest(strToU8(shown))}`;
  const before = stimuli.includes(looked);
  const left: Record<string, number> = {};
  const unreadable: Record<string, string> = {};
  const added: store.KeptSample[] = [];
  const leave = (why: string) => (left[why] = (left[why] ?? 0) + 1);
  for (const [i, picture] of pictures.entries()) {
    const itself = await digest(await picture.arrayBuffer());
    if (before || known.has(itself)) {
      leave("before");
      continue;
    }
    known.add(itself);
    const called = picture instanceof File ? picture.name : String(i + 1);
    const stimulus = looked || `${label}/${called}#${itself}`;
    try {
      const found = await device.sample(picture, { label, stimulus });
      if (typeof found === "string") leave(found);
      else added.push({ id: found.sample.id, name, ...found });
    } catch (err) {
      if (!(err instanceof Told && err.word.startsWith("picture."))) throw err;
      unreadable[called] = err.message;
    }
  }
  await store.addSamples(name, added);
  return { taken: added.length, left_out: left, unreadable, person: await one(name) };
}

/** Raises Told for what can be no label. */
function checked(label: string): void {
  try {
    wordOf(label, all);
  } catch (err) {
    throw new Told("own.word", err instanceof Error ? err.message : "");
  }
}

/** What tells a stimulus from others wherever it lies. */
const content = (stimulus: string) => stimulus.slice(stimulus.lastIndexOf("#") + 1);

async function digest(bytes: ArrayBuffer | Uint8Array): Promise<string> {
  if (!globalThis.crypto?.subtle) throw new Told("own.insecure");
  const found = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as BufferSource));
  const hex = Array.from(found, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.slice(0, sampling.digits);
}

/** Learn from all samples, and try it on those it did not learn from: both are kept. */
export async function train(name: string): Promise<Trained> {
  const begun = performance.now();
  const { file, labels, general, tested } = await device.learn(await store.samples(name));
  await store.keepRecogniser({ name, file: file.slice().buffer, tested, date: now() });
  await device.forget(name);
  return { labels, general, seconds: (performance.now() - begun) / 1000 };
}

/** What the recogniser is worth; raises Told where each word was shown once only. */
export async function test(name: string): Promise<Tested> {
  const kept = await store.recogniser(name);
  if (!kept?.tested) throw new Told("own.once");
  return kept.tested;
}

export const lastTest = async (name: string): Promise<Tested | null> =>
  (await store.recogniser(name))?.tested ?? null;

export async function removePerson(name: string): Promise<void> {
  await store.remove(name);
  await device.forget(name);
}

/** All that is kept of a person in one ZIP file, as `mien person export` writes it. */
export async function exportPerson(name: string): Promise<Blob> {
  const known = (await store.persons()).find((person) => person.name === name);
  if (!known) throw new Told("store.gone", name);
  const [samples, learned] = [await store.samples(name), await store.recogniser(name)];
  const inside: Zippable = { [files.person]: text({ schema, name, consents: known.consents, seen: [] }, 2) };
  for (const { id, sample, picture } of samples) {
    inside[`${files.samples}/${id}.png`] = [new Uint8Array(picture), { level: 0 }];
    inside[`${files.samples}/${id}.json`] = text(sample);
  }
  if (learned) {
    inside[files.head] = new Uint8Array(learned.file);
    if (learned.tested) inside[files.test] = text({ date: learned.date, ...learned.tested }, 2);
  }
  return new Blob([zipSync(inside) as Uint8Array<ArrayBuffer>], { type: "application/zip" });
}

const text = (value: unknown, indent?: number) => strToU8(`${JSON.stringify(value, null, indent)}\n`);

export const analyze = (picture: Blob, person: string): Promise<PictureRecord> =>
  device.read(picture, person);
