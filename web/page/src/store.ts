/**
 * What is kept of people in this browser: consents, samples, recognisers. Nothing of it is sent.
 *
 * Each change is one transaction: it is kept whole, or not at all and told.
 */

import type { Sample, Tested } from "mien-web";
import { Told } from "./problem";

export interface Kept {
  name: string;
  consents: { text: string; date: string }[];
}

/** picture : a PNG of what is around the face. */
export interface KeptSample {
  id: string;
  name: string;
  sample: Sample;
  picture: ArrayBuffer;
}

/** file : the model, as `mien person train` writes head.onnx. */
export interface KeptRecogniser {
  name: string;
  file: ArrayBuffer;
  tested: Tested | null;
  date: string;
}

const [PERSONS, SAMPLES, RECOGNISERS] = ["persons", "samples", "recognisers"] as const;
const ALL = [PERSONS, SAMPLES, RECOGNISERS];
const BY_NAME = "name";

let opened: Promise<IDBDatabase> | null = null;

function open(): Promise<IDBDatabase> {
  opened ??= opening().catch((err: unknown) => {
    opened = null; // it may be allowed by the next time
    throw err;
  });
  return opened;
}

function opening(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const refused = (err: unknown) => reject(inStore(err));
    try {
      const request = indexedDB.open("mien", 1);
      request.onupgradeneeded = () => {
        const made = request.result;
        made.createObjectStore(PERSONS, { keyPath: "name" });
        made.createObjectStore(SAMPLES, { keyPath: "id" }).createIndex(BY_NAME, "name");
        made.createObjectStore(RECOGNISERS, { keyPath: "name" });
      };
      request.onerror = () => refused(request.error);
      request.onsuccess = () => {
        request.result.onclose = () => (opened = null);
        resolve(request.result);
      };
    } catch (err) {
      refused(err); // storage is switched off altogether
    }
  });
}

/** What a browser says of its storage, in words. */
function inStore(err: unknown): Told {
  const name = err instanceof DOMException ? err.name : "";
  return name === "QuotaExceededError" ? new Told("store.full") : new Told("store.refused", name);
}

type Stores = Record<(typeof ALL)[number], IDBObjectStore>;

/** One transaction; its answer once all of it is on the disk. refuse : takes all of it back. */
async function run<T>(
  mode: IDBTransactionMode,
  work: (stores: Stores, give: (found: T) => void, refuse: (why: Told) => void) => void,
): Promise<T> {
  const transaction = (await open()).transaction(ALL, mode);
  return new Promise((resolve, reject) => {
    let given: T;
    let refusal: Told | null = null;
    transaction.oncomplete = () => resolve(given);
    transaction.onabort = () => reject(refusal ?? inStore(transaction.error));
    const stores = Object.fromEntries(ALL.map((name) => [name, transaction.objectStore(name)]));
    const refuse = (why: Told) => {
      refusal = why;
      transaction.abort();
    };
    work(stores as Stores, (found) => (given = found), refuse);
  });
}

/** Change what is kept of a person who is still there; raises Told where they were deleted meanwhile. */
function whileThere(name: string, change: (stores: Stores) => void): Promise<void> {
  return run<void>("readwrite", (stores, _, refuse) => {
    const known = stores.persons.get(name);
    known.onsuccess = () => (known.result ? change(stores) : refuse(new Told("store.gone", name)));
  });
}

const answer = <T>(request: IDBRequest, give: (found: T) => void) => {
  request.onsuccess = () => give(request.result as T);
};

export const persons = () => run<Kept[]>("readonly", ({ persons }, give) => answer(persons.getAll(), give));

/** Note a person's consent, who is new or known. */
export function agree(name: string, consent: Kept["consents"][number]): Promise<void> {
  return run<void>("readwrite", ({ persons }) => {
    const known = persons.get(name);
    known.onsuccess = () => {
      const consents = [...((known.result as Kept | undefined)?.consents ?? []), consent];
      persons.put({ name, consents });
    };
  });
}

/** A person's samples, oldest first. */
export async function samples(name: string): Promise<KeptSample[]> {
  const found = await run<KeptSample[]>("readonly", ({ samples }, give) =>
    answer(samples.index(BY_NAME).getAll(name), give),
  );
  const key = ({ sample: { date, id } }: KeptSample) => `${date} ${id}`;
  return found.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** Keep samples of a person, all or none. */
export const addSamples = (name: string, added: KeptSample[]) =>
  whileThere(name, ({ samples }) => {
    for (const one of added) samples.put(one);
  });

export const recogniser = (name: string) =>
  run<KeptRecogniser | undefined>("readonly", ({ recognisers }, give) => answer(recognisers.get(name), give));

export const recogniserNames = () =>
  run<string[]>("readonly", ({ recognisers }, give) => answer(recognisers.getAllKeys(), give));

export const keepRecogniser = (kept: KeptRecogniser) =>
  whileThere(kept.name, ({ recognisers }) => void recognisers.put(kept));

/** Take away all that is kept of a person. */
export const remove = (name: string) =>
  run<void>("readwrite", ({ persons, samples, recognisers }) => {
    persons.delete(name);
    recognisers.delete(name);
    const keys = samples.index(BY_NAME).getAllKeys(name);
    keys.onsuccess = () => keys.result.forEach((key) => samples.delete(key));
  });
