// What only connections without signals need, loaded when the first one is wanted: certificates that outlive a page, and which path
// a connection has found.

const DATABASE = "bitters-certificates";
const STORE = "certificates";

/** As long as browsers let one live. */
const YEAR = 365 * 24 * 60 * 60 * 1000;

const DAY = 24 * 60 * 60 * 1000;

/** One that takes longer (a database that another tab blocks) doesn't keep the next waiting. */
const PATIENCE = 10_000;

/** As many as a node remembers (`MAX_CERTIFICATES` of its leader). */
const MAX_KEPT = 512;

interface Kept {
  /** SHA-256 in upper-case hexadecimal digits and colons, as descriptions have it. */
  fingerprint: string;
  certificate: RTCCertificate;
}

/** As large as a certificate is in a database, or larger. */
const SIZE = 4096;

/** The key of what is written to see whether anything can be kept. No fingerprint is like it. */
const TRIAL = "trial";

export interface Certified {
  fingerprint: string;
  expires: number;
}

/** What was made and could not be kept: the next that is wanted, so that none is made in vain twice. */
let spare: Kept | undefined;

let last: Promise<unknown> = Promise.resolve();

/**
 * Makes a certificate and keeps it for all frames of the island; those that have expired go, and beyond the bound those that do first.
 * One after the other, and none before it is seen that one can be kept: Chromium counts each against the connections of a process.
 */
export function certify(databases: IDBFactory): Promise<Certified> {
  const certified = last.then(() => makeAndKeep(databases));
  last = Promise.race([certified.catch(() => {}), new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
  return certified;
}

async function makeAndKeep(databases: IDBFactory): Promise<Certified> {
  await within(databases, "readwrite", async (store) => {
    const all: Kept[] = await done(store.getAll());
    all.sort((one, other) => other.certificate.expires - one.certificate.expires);
    const over = all.filter((kept, at) => at >= MAX_KEPT - 1 || kept.certificate.expires <= Date.now());
    for (const kept of over) store.delete(kept.fingerprint);
    // It is gone when the transaction ends, so that no other build finds it.
    await done(store.put({ fingerprint: TRIAL, trial: new Uint8Array(SIZE) }));
    await done(store.delete(TRIAL));
  });
  const kept = spare && spare.certificate.expires > Date.now() + DAY ? spare : await make();
  spare = kept;
  await within(databases, "readwrite", async (store) => done(store.put(kept)));
  spare = undefined;
  return { fingerprint: kept.fingerprint, expires: kept.certificate.expires };
}

async function make(): Promise<Kept> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", expires: YEAR };
  const certificate = await RTCPeerConnection.generateCertificate(algorithm);
  return { fingerprint: await fingerprintOf(certificate), certificate };
}

/** The certificate with this fingerprint. */
export async function certificate(databases: IDBFactory, fingerprint: string): Promise<RTCCertificate> {
  const kept = await within<Kept | undefined>(databases, "readonly", (store) => done(store.get(fingerprint)));
  if (!kept) throw new Error("the certificate is lost");
  return kept.certificate;
}

/**
 * The far end of the path that a connection uses, as `ip:port`; empty where the browser hides it, nothing while there is none. The
 * transport names the pair in use; Firefox marks the pair itself.
 */
export async function farEnd(pc: RTCPeerConnection): Promise<string | undefined> {
  const stats = await statsOf(pc);
  const all = [...stats.values()];
  const named = all.find((it) => it.selectedCandidatePairId)?.selectedCandidatePairId;
  const pair = named ? stats.get(named) : all.find((it) => it.type === "candidate-pair" && it.selected);
  const remote = pair?.remoteCandidateId && stats.get(pair.remoteCandidateId);
  if (!remote) return undefined;
  const { address, port } = remote;
  if (!address || !port) return "";
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/**
 * Whether this end is ICE's controlled one and answers when ICE is restarted. Firefox, which names itself in its descriptions, offers in
 * any case: once it has set an answer of its own, it sends nothing by the old path, by which the peer is told of it.
 */
export async function answers(pc: RTCPeerConnection): Promise<boolean> {
  if (pc.localDescription?.sdp.includes("\no=mozilla")) return false;
  return [...(await statsOf(pc)).values()].some(({ iceRole }) => iceRole === "controlled");
}

async function statsOf(pc: RTCPeerConnection): Promise<Map<string, Stats>> {
  const stats: Map<string, Stats> = new Map();
  (await pc.getStats()).forEach((entry: Stats) => stats.set(entry.id, entry));
  return stats;
}

/** Tells when a connection takes another path, where the browser does. */
export function watch(pc: RTCPeerConnection, onChange: () => void): void {
  pc.sctp?.transport?.iceTransport?.addEventListener?.("selectedcandidatepairchange", onChange);
}

interface Stats {
  id: string;
  type: string;
  iceRole?: string;
  selectedCandidatePairId?: string;
  selected?: boolean;
  remoteCandidateId?: string;
  address?: string | null;
  port?: number | null;
}

/** Not every browser tells it of a certificate; every description does, but costs a connection. */
async function fingerprintOf(certificate: RTCCertificate): Promise<string> {
  const told = certificate.getFingerprints?.().find(({ algorithm }) => algorithm?.toLowerCase() === "sha-256")?.value;
  if (told) return told.toUpperCase();
  const pc = new RTCPeerConnection({ certificates: [certificate] });
  try {
    pc.createDataChannel("");
    const { sdp = "" } = await pc.createOffer();
    const found = /^a=fingerprint:sha-256 ([0-9A-F:]{95})\r?$/im.exec(sdp)?.[1];
    if (!found) throw new Error("this browser's certificates have no SHA-256 fingerprint");
    return found.toUpperCase();
  } finally {
    pc.close();
  }
}

async function within<T>(
  databases: IDBFactory,
  mode: IDBTransactionMode,
  act: (store: IDBObjectStore) => Promise<T>,
): Promise<T> {
  const opening = databases.open(DATABASE, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: "fingerprint" });
  const database = await done(opening);
  // Whoever deletes it, or wants a later version, isn't kept waiting.
  database.onversionchange = () => database.close();
  try {
    const transaction = database.transaction(STORE, mode);
    const finished = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
    });
    const [result] = await Promise.all([act(transaction.objectStore(STORE)), finished]);
    return result;
  } finally {
    database.close();
  }
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
