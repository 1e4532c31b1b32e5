// A SharedWorker that tells each of its clients who came before.
const roll = [];
addEventListener("connect", ({ ports: [port] }) => {
  port.onmessage = ({ data }) => {
    port.postMessage([...roll]);
    roll.push(data);
  };
});
