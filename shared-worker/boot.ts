// The SharedWorker's first module. Its handler is set before anything is awaited: the first `connect` event would be lost else.
import init, { start } from "#glue";

declare const BUILD: string;
declare const WASM_URL: string;

const waiting: MessagePort[] = [];
let connect = (port: MessagePort): void => {
  waiting.push(port);
  // The frame is patient with a worker that loads.
  port.postMessage(new Uint8Array());
};
addEventListener("connect", (event) => {
  for (const port of (event as MessageEvent).ports) connect(port);
});

await init({ module_or_path: WASM_URL });
const leading = start(BUILD, location.href);
connect = (port) => leading.connect(port);
waiting.splice(0).forEach(connect);
