//! Our server in a process of its own, and nodes that listen there.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, UdpSocket},
    process::{Command, Stdio},
    time::Duration,
};

use bitters_peercon::{
    Credentials,
    packed::{PASSWORD, Packed},
    signal::Signal,
};
use bitters_revproxy::{Config, core::rendezvous::Rate, serve};
use bitters_wire::{
    WIRE,
    address::{Owner, Token},
    codec::{decode, encode},
    keys::PersonaSecret,
    limits::MAX_RENDEZVOUS,
    rendezvous::{ToNode, ToServer, listen_text, register_text},
};
use futures::{SinkExt, StreamExt};
use tokio::{net::TcpStream, runtime::Runtime};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

use crate::{
    load::{End, Head, Pair},
    process::Process,
    stun::{check, name, reply},
};

const CHILD: &str = "BITTERS_BENCH_SERVER";
const HOST: &str = "bench.localhost";
const DIALLER: (&str, &str) = ("9+Ab", "9D6dHIIUkqbay+yDVZGxRxWt");
const LISTENER_PASSWORD: &str = "N6WOK8l/xhXmKbJ7712zNdfe";

pub fn is_child() -> bool {
    env::var_os(CHILD).is_some()
}

/// Serves without bounds that one address would meet, until it is killed.
pub fn serve_forever() {
    let much = Rate { burst: u32::MAX, per_second: u32::MAX };
    let mut config = Config { listen: vec![([127, 0, 0, 1], 0).into()], ..Config::default() };
    config.rendezvous.connections = 20_000;
    config.rendezvous.connections_per_source = 20_000;
    config.rendezvous.source_opens = much;
    config.rendezvous.source_messages = much;
    config.rendezvous.source_messages_of_keys = much;
    let proxy = &mut config.proxy;
    (proxy.bytes, proxy.source_bytes, proxy.dials) = (much, much, much);
    (proxy.listener_dials, proxy.listener_source_dials) = (much, much);
    proxy.told_per_listener = 20_000;
    (proxy.pending, proxy.pending_per_source, proxy.passages) = (20_000, 20_000, 64_000);
    (proxy.pending_per_listener, proxy.pending_per_listener_and_source) = (40_000, 20_000);
    proxy.opening_bytes = u64::MAX;
    (proxy.opening_time, proxy.opening_idle) = (Duration::from_secs(600), Duration::from_secs(600));
    proxy.pending_time = Duration::from_secs(600);
    Runtime::new().unwrap().block_on(async {
        let running = serve(config).await.unwrap();
        println!("{} {}", running.addrs[0], running.udp[0]);
        std::io::stdout().flush().unwrap();
        std::future::pending::<()>().await;
    });
}

pub struct Server {
    pub process: Process,
    pub tcp: SocketAddr,
    pub udp: SocketAddr,
    pub runtime: Runtime,
}

/// A node that listens at one address.
pub struct Node {
    socket: WebSocketStream<TcpStream>,
    pub token: Token,
}

impl Server {
    pub fn start() -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        let mut process = Process::spawn(command.env(CHILD, "1").stdout(Stdio::piped()));
        let mut line = String::new();
        BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (tcp, udp) = line.trim().split_once(' ').unwrap();
        let (tcp, udp) = (tcp.parse().unwrap(), udp.parse().unwrap());
        Self { process, tcp, udp, runtime: Runtime::new().unwrap() }
    }

    /// So many pairs that are open.
    pub fn pairs(&self, count: usize) -> Vec<Pair> {
        self.runtime.block_on(async {
            let mut node = Node::listening(self.tcp, 0).await;
            let mut pairs = Vec::new();
            for n in 0..count {
                pairs.push(self.pair(&mut node, u32::try_from(n).unwrap()).await);
            }
            pairs
        })
    }

    async fn pair(&self, node: &mut Node, n: u32) -> Pair {
        let (dialler, listener) = (self.connected(), self.connected());
        let packed = packed(node.token, n);
        dialler.send(&check(1, &name(&packed.to_ufrag(), DIALLER.0), PASSWORD)).unwrap();
        let ToNode::Dialled { passage, .. } = node.hear().await else { panic!("no dial") };
        let ufrag = format!("lis{n}");
        let credentials = Credentials::new(&ufrag, LISTENER_PASSWORD).unwrap();
        let signal = Signal { credentials, fingerprint: [7; 32], candidates: vec![] }.encode();
        node.say(&ToServer::Answer { passage, signal }).await;
        listener.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut buffer = [0; 2048];
        let len = loop {
            listener.send(&check(2, &name(DIALLER.0, &ufrag), DIALLER.1)).unwrap();
            if let Ok(len) = listener.recv(&mut buffer) {
                break len;
            }
        };
        listener.send(&reply(&buffer[..len], LISTENER_PASSWORD)).unwrap();
        let len = dialler.recv(&mut buffer).unwrap();
        dialler.send(&reply(&buffer[..len], DIALLER.1)).unwrap();
        for socket in [&dialler, &listener] {
            socket.set_nonblocking(true).unwrap();
        }
        let end = |socket| End { socket, head: Head::Nothing };
        Pair { one: end(dialler), other: end(listener) }
    }

    fn connected(&self) -> UdpSocket {
        self.connected_from(1)
    }

    /// From the machine's loopback address of this number: there are more of them than of ports.
    pub fn connected_from(&self, host: u8) -> UdpSocket {
        let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, host], 0))).unwrap();
        socket.connect(self.udp).unwrap();
        socket
    }
}

/// The dialler number `n`'s, of an address.
pub fn packed(token: Token, n: u32) -> Packed {
    let mut fingerprint = [0x5a; 32];
    fingerprint[..4].copy_from_slice(&n.to_be_bytes());
    Packed { token, fingerprint, password: DIALLER.1.into() }
}

/// Its first check.
pub fn dial(token: Token, n: u32) -> Vec<u8> {
    check(1, &name(&packed(token, n).to_ufrag(), DIALLER.0), PASSWORD)
}

impl Node {
    /// The node number `n`, with one key, listening.
    pub async fn listening(server: SocketAddr, n: u32) -> Self {
        let stream = TcpStream::connect(server).await.unwrap();
        let (socket, _) = client_async(format!("ws://{HOST}/rendezvous"), stream).await.unwrap();
        let mut seed = [1; 32];
        seed[..4].copy_from_slice(&n.to_be_bytes());
        let secret = PersonaSecret::new(seed);
        let (key, fingerprint) = (secret.id(), [7; 32]);
        let owner = Owner::Persona(key);
        let token = Token::of(owner, &fingerprint);
        let mut this = Self { socket, token };
        let ToNode::Challenge { nonce, .. } = this.hear().await else { panic!("no challenge") };
        this.say(&ToServer::Enter(WIRE)).await;
        assert!(matches!(this.hear().await, ToNode::Entered { .. }));
        let signature = secret.sign(&register_text(&nonce, HOST, key));
        this.say(&ToServer::Register { key, signature }).await;
        let signature = secret.sign(&listen_text(&nonce, HOST, token));
        this.say(&ToServer::Listen { owner, fingerprint, signature }).await;
        assert_eq!(this.hear().await, ToNode::Listening(token));
        this
    }

    async fn say(&mut self, message: &ToServer) {
        self.socket.send(Message::binary(encode(message))).await.unwrap();
    }

    pub async fn hear(&mut self) -> ToNode {
        loop {
            if let Message::Binary(bytes) = self.socket.next().await.unwrap().unwrap() {
                return decode(&bytes, MAX_RENDEZVOUS).unwrap();
            }
        }
    }
}
