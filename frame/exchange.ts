// A SharedWorker of the site's partition, in which a frame that has a bridge gives others ports of it. Ports travel by workers only.

/** Givers that are kept: a node takes no more frames of one site. */
const MAX_GIVERS = 64;

/** A taker waits that long (`take` in consent.ts). */
const WAITS_MS = 3000;

/** Those that gave last come last: whoever is gone answers nothing, and no browser tells. */
const givers = new Set<MessagePort>();
const takers = new Map<number, MessagePort>();
let next = 0;

addEventListener("connect", (event) => {
  for (const port of (event as MessageEvent).ports) port.onmessage = (message) => hear(port, message);
});

/** `take`: a port is wanted; `give`: ports can be had; `given`: here is one. All are the node's own frames. */
function hear(port: MessagePort, { data, ports }: MessageEvent): void {
  if (data?.give) keep(port);
  if (data?.take) {
    const taker = ++next;
    takers.set(taker, port);
    setTimeout(() => takers.delete(taker), WAITS_MS);
    // The first answer is taken.
    for (const giver of givers) giver.postMessage({ wanted: taker });
  }
  if (data?.given && ports[0]) {
    keep(port);
    takers.get(data.given)?.postMessage({ given: true }, [ports[0]]);
    takers.delete(data.given);
  }
}

function keep(giver: MessagePort): void {
  givers.delete(giver);
  givers.add(giver);
  for (const longest of givers) {
    if (givers.size <= MAX_GIVERS) return;
    givers.delete(longest);
  }
}
