/**
 * The service worker. It keeps the page, its networks and nothing else: no answer of the service,
 * and nothing of a picture.
 *
 * Files whose address says what is in them come from what is kept. The page itself and the list of
 * networks are asked for first, so that a new service is met by its own page.
 */

export {}; // a module, whose self is its own
declare const self: ServiceWorkerGlobalScope;
declare const __FILES__: string[];

const FILES = __FILES__;
const CACHE = `mien-${FILES.join()}`; // another for every build
const FRESH = ["./", "weights.json"];
const OTHERS = ["icon.svg", "manifest.webmanifest"];
const PATIENCE_MS = 3000;

const path = (url: string) => url.slice(self.registration.scope.length).replace(/[?#].*$/, "");

async function fill(): Promise<void> {
  const cache = await caches.open(CACHE);
  await cache.addAll([...FRESH, ...OTHERS, ...FILES]);
  const listed = await cache.match("weights.json");
  await cache.addAll(Object.values((await listed!.json()) as Record<string, string>));
}

async function clear(): Promise<void> {
  for (const name of await caches.keys()) if (name !== CACHE) await caches.delete(name);
  await self.clients.claim();
}

/** Keep an answer, where there is room for it; what cannot be kept is given all the same. */
async function keep(as: RequestInfo, answer: Response): Promise<void> {
  if (!answer.ok) return;
  const cache = await caches.open(CACHE);
  await cache.put(as, answer).catch(() => undefined);
}

async function kept(request: Request): Promise<Response> {
  const found = await (await caches.open(CACHE)).match(request);
  if (found) return found;
  const answer = await fetch(request);
  await keep(request, answer.clone());
  return answer;
}

async function fresh(request: Request, as: string): Promise<Response> {
  try {
    const answer = await fetch(request, { signal: AbortSignal.timeout(PATIENCE_MS) });
    await keep(as, answer.clone());
    if (answer.ok) return answer;
  } catch {
    // Neither network nor service: what was kept.
  }
  return (await (await caches.open(CACHE)).match(as)) ?? Response.error();
}

self.addEventListener("install", (event) => {
  event.waitUntil(fill().then(() => self.skipWaiting()));
});
self.addEventListener("activate", (event) => event.waitUntil(clear()));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || !request.url.startsWith(self.registration.scope)) return;
  const at = path(request.url);
  if (at === "" || at === "weights.json") event.respondWith(fresh(request, at || "./"));
  else if (/^(assets|weights)\//.test(at) || OTHERS.includes(at)) event.respondWith(kept(request));
});
