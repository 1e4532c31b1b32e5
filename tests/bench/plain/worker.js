// The SharedWorker: answers each question with the answer that it was told to give.
let answer;

addEventListener("connect", ({ ports: [port] }) => {
  port.onmessage = ({ data: { id, ask } }) => {
    if (ask !== "status") answer = ask.learn;
    port.postMessage({ id, tell: { status: answer } });
  };
});
