// The iframe: passes on what the host and the worker say to each other.
const { port } = new SharedWorker("worker.js", { type: "module" });

addEventListener("message", ({ data, ports: [host] }) => {
  if (data !== "hello" || !host) return;
  host.onmessage = ({ data }) => port.postMessage(data);
  port.onmessage = ({ data }) => host.postMessage(data);
});
parent.postMessage("ready", "*");
