// A server that is far away: what goes to it and comes from it is delayed, over TCP and UDP.
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createConnection, createServer, type Server as TcpServer, type Socket } from "node:net";

const HOST = "127.0.0.1";

/** Ports tried for one whose number, and the next one's, is free for both. */
const TRIES = 20;

/** Forwards to a server on this machine: TCP at `port`, UDP there and at the next port, where it answers STUN. */
export class Far {
  readonly port: number;
  readonly #tcp: TcpServer;
  readonly #udp: UdpSocket[];
  readonly #delay: number;
  readonly #open = new Set<Socket | UdpSocket>();
  #to = 0;

  private constructor(tcp: TcpServer, udp: UdpSocket[], delay: number) {
    this.port = (tcp.address() as AddressInfo).port;
    this.#tcp = tcp;
    this.#udp = udp;
    this.#delay = delay;
    tcp.on("connection", (socket) => this.#connect(socket));
    udp.forEach((socket, at) => this.#forward(socket, at));
  }

  /** Each way takes `delay` milliseconds. */
  static async listen(delay: number): Promise<Far> {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const tcp = createServer().listen(0, HOST);
      await once(tcp, "listening");
      const { port } = tcp.address() as AddressInfo;
      const udp = await Promise.all([bound(port), bound(port + 1)]);
      const [first, second] = udp;
      if (first && second) return new Far(tcp, [first, second], delay);
      for (const socket of [tcp, ...udp]) socket?.close();
    }
    throw new Error("no two free ports");
  }

  /** What the server is told; `PORT` is its own. */
  get extra(): string[] {
    return ["--public", `${HOST}:${this.port}`, "--observe", `http://b.localhost:${this.port}`];
  }

  /** The server's port, once it is known. */
  to(port: number): void {
    this.#to = port;
  }

  /** The URL of `path` on a host, as `Server` has it. */
  url(host: string, path = "/"): string {
    return `http://${host}.localhost:${this.port}${path}`;
  }

  close(): void {
    this.#tcp.close();
    for (const socket of this.#udp) socket.close();
    for (const socket of this.#open) "destroy" in socket ? socket.destroy() : socket.close();
  }

  #connect(socket: Socket): void {
    const server = createConnection(this.#to, HOST);
    for (const [from, to] of [[socket, server], [server, socket]] as const) {
      this.#open.add(from);
      from.setNoDelay();
      from.on("data", (data) => this.#later(() => to.write(data)));
      from.on("end", () => this.#later(() => to.end()));
      from.on("error", () => to.destroy());
      from.on("close", () => this.#open.delete(from));
    }
  }

  /** The server sees another port for each that a browser sends from. */
  #forward(socket: UdpSocket, at: number): void {
    const flows = new Map<string, UdpSocket>();
    socket.on("message", (data, { address, port }) => {
      const key = `${address} ${port}`;
      let flow = flows.get(key);
      if (!flow) {
        flow = createSocket("udp4");
        flow.on("message", (data) => this.#later(() => socket.send(data, port, address)));
        flows.set(key, flow);
        this.#open.add(flow);
      }
      const out = flow;
      this.#later(() => out.send(data, this.#to + at, HOST));
    });
  }

  #later(act: () => void): void {
    if (this.#delay === 0) return act();
    setTimeout(act, this.#delay);
  }
}

/** A UDP socket at a port, if that is free. */
async function bound(port: number): Promise<UdpSocket | undefined> {
  const socket = createSocket("udp4");
  socket.bind(port, HOST);
  return once(socket, "listening").then(() => socket, () => undefined);
}
