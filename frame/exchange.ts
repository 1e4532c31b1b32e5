// A SharedWorker of the site's partition, in which a frame that has a bridge gives others ports of it. Ports travel by workers only.

const givers = new Set<MessagePort>();
const takers = new Map<number, MessagePort>();
let next = 0;

addEventListener("connect", (event) => {
  for (const port of (event as MessageEvent).ports) port.onmessage = (message) => hear(port, message);
});

/** `take`: a port is wanted; `give`: ports can be had; `given`: here is one. All are the node's own frames. */
function hear(port: MessagePort, { data, ports }: MessageEvent): void {
  if (data?.give) givers.add(port);
  if (data?.take) {
    takers.set(++next, port);
    // One that is gone answers nothing, and no browser tells; the first answer is taken.
    for (const giver of givers) giver.postMessage({ wanted: next });
  }
  if (data?.given && ports[0]) {
    takers.get(data.given)?.postMessage({ given: true }, [ports[0]]);
    takers.delete(data.given);
  }
}
