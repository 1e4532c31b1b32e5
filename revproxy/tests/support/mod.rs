//! A server on a free port with files of its own, and the plainest of clients.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod agent;
pub mod node;
pub mod stun;
pub mod tls;

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
    path::Path,
    process,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use bitters_revproxy::{Config, Host, HostKind, Running, serve};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

pub struct Server {
    pub running: Running,
    pub addr: SocketAddr,
    pub files: TempDir,
}

pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

pub async fn start() -> Server {
    start_with(|_| {}).await
}

pub async fn start_with(change: impl FnOnce(&mut Config)) -> Server {
    let files = files();
    let mut config = config(files.path());
    change(&mut config);
    let running = serve(config).await.unwrap();
    let addr = running.addrs[0];
    Server { running, addr, files }
}

pub fn config(files: &Path) -> Config {
    let host = |name: &str, dir: &str, kind| Host { name: name.into(), dir: files.join(dir), kind };
    Config {
        listen: vec![([127, 0, 0, 1], 0).into()],
        hosts: vec![host("node.localhost", "node", HostKind::Node), host("alice.localhost", "alice", HostKind::Site)],
        observe: vec!["http://alice.localhost:8787".into()],
        ..Config::default()
    }
}

/// A port that nobody has, and that nobody gets by chance: below those that systems choose for sockets that ask for none (from 32768 on
/// Linux), and another one at each call. The one after it, where a server answers STUN, is left for whoever has this one.
pub fn free_port() -> u16 {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    loop {
        let port = 20_000 + 2 * ((process::id() * 37 + CALLS.fetch_add(1, Relaxed)) % 5_000);
        let port = u16::try_from(port).expect("below 30,000");
        let is_free = |ip: IpAddr| {
            let [tcp, udp] = [TcpListener::bind((ip, port)).err(), UdpSocket::bind((ip, port)).err()];
            // A family that isn't there has no port that is taken.
            [tcp, udp].into_iter().flatten().all(|error| error.kind() != ErrorKind::AddrInUse)
        };
        if is_free(Ipv4Addr::UNSPECIFIED.into()) && is_free(Ipv6Addr::UNSPECIFIED.into()) {
            return port;
        }
    }
}

pub fn files() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("secret.txt", "not for you"),
        ("alice/index.html", "<h1>alice"),
        ("alice/.env", "not for you"),
        ("node/index.html", "<h1>node"),
        ("node/config.json", r#"{"observe":["https://own.example"],"x":1}"#),
        ("node/assets/leader.3f2a9c1d.js", "plain script"),
        ("node/assets/leader.3f2a9c1d.js.br", "packed script"),
        ("node/assets/leader.3f2a9c1d.wasm", "\0asm"),
        ("node/sdk/bitters.js", "the node's own sdk"),
        ("sdk/bitters.js", "another sdk"),
        ("sdk/.npmrc", "not for you"),
    ] {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

impl Server {
    pub async fn get(&self, host: &str, path: &str) -> Answer {
        self.request("GET", host, path, &[]).await
    }

    pub async fn request(&self, method: &str, host: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        self.raw(&format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n")).await
    }

    pub async fn raw(&self, request: &str) -> Answer {
        ask(TcpStream::connect(self.addr).await.unwrap(), request).await
    }
}

/// A plain GET.
pub async fn get(addr: SocketAddr, host: &str, path: &str) -> Answer {
    ask(TcpStream::connect(addr).await.unwrap(), &head("GET", host, path)).await
}

/// A request that asks for the connection to be closed.
pub fn head(method: &str, host: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")
}

/// Says all of `request`, and reads to the end.
pub async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Answer {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    Answer::parse(&bytes)
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer has a head");
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let (first, rest) = head.split_once("\r\n").unwrap();
        let headers = rest.lines().map(|line| line.split_once(": ").unwrap());
        Self {
            status: first.split(' ').nth(1).unwrap().parse().unwrap(),
            headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.into())).collect(),
            body: bytes[end + 4..].to_vec(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}
