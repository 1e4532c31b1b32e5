// The node's service worker: keeps one build whole, and answers with it. It never hurries: a new build waits until no page or worker
// runs the old one (no `skipWaiting`).

import { type Build, needed, wayOf } from "./build.ts";
import { Shelf } from "./shelf.ts";

declare const self: ServiceWorkerGlobalScope;
declare const FILES: Build["files"];
declare const ID: string;

// Service workers can't see whether there is a SharedWorker; who registers this one says it.
const build = needed({ id: ID, files: FILES }, { hasSharedWorker: self.location.search === "?shared" });
const shelf = new Shelf({ caches, fetch: (request, init) => fetch(request, init) }, build);

self.addEventListener("install", (event) => event.waitUntil(shelf.fill().then(() => shelf.prime())));

// Pages that loaded before there was a service worker are of this build, or of none that any cache has; what they load later is
// found here even when the server has gone on.
self.addEventListener("activate", (event) => event.waitUntil(shelf.take(isNewerComing).then(() => self.clients.claim())));

self.addEventListener("fetch", (event) => {
  const { way, key } = wayOf(event.request, self.location.origin, build);
  if (event.clientId) lookForUpdate();
  if (way === "build") event.respondWith(found(event.request, key));
  if (way === "data") event.respondWith(shelf.latest(event.request, key, (work) => event.waitUntil(work)));
});

function isNewerComing(): boolean {
  const { installing, waiting } = self.registration;
  return Boolean(installing ?? waiting);
}

/** A cache that can't be read is none. */
async function found(request: Request, key: string): Promise<Response> {
  const kept = await shelf.find(key).catch(() => undefined);
  if (kept) return kept;
  outdated = true;
  return fetch(request);
}

/**
 * Somebody runs another build. In a partition that no page is opened in, whose workers are shared by frames from elsewhere, nothing else
 * tells that there is one.
 */
let outdated = false;

/** Chromium has a service worker that updates itself wait for half a minute, or for ever, unless a page or worker of its own runs. */
function lookForUpdate(): void {
  if (!outdated) return;
  outdated = false;
  self.registration.update().catch(() => {});
}
