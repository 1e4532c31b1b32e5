// Browsers go on running from test to test: starting one costs a second of work. What a test opens in one is a context of its own, which
// shares no storage, cache, worker or lock with others.

/** A browser, whoever drives it. */
interface Closable {
  close(): Promise<void>;
}

const all = new Map<string, Promise<Closable>>();

/** The browser of this name; the first one who asks starts it, as does the next one after it has ended. */
export function running<B extends Closable>(name: string, start: (ended: () => void) => Promise<B>): Promise<B> {
  const known = all.get(name) as Promise<B> | undefined;
  if (known) return known;
  const starting = start(() => all.delete(name));
  all.set(name, starting);
  // One that couldn't start is tried again.
  starting.catch(() => all.delete(name));
  return starting;
}

/** Ends all of them. */
export async function closeAll(): Promise<void> {
  const browsers = [...all.values()];
  all.clear();
  await Promise.all(browsers.map(async (browser) => (await browser).close()));
}
