//! coturn's relay (RFC 8656): one end of a pair has an allocation and a channel to the other.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use stun_types::{
    attribute::{AttributeWrite, RawAttribute, XorMappedAddress},
    message::{Message, MessageClass, MessageType, MessageWrite, MessageWriteExt, MessageWriteVec, Method},
};
use tempfile::TempDir;

use crate::{
    load::{End, Head, Pair},
    process::Process,
};

pub struct Server {
    pub process: Process,
    addr: SocketAddr,
    _files: TempDir,
}

impl Server {
    pub fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = |name: &str| files.path().join(name).display().to_string();
        let config = format!(
            "listening-ip=127.0.0.1\nrelay-ip=127.0.0.1\nlistening-port={port}\nmin-port=40000\nmax-port=48000\n\
             realm=bench.example\nno-auth\nno-cli\nno-tls\nno-dtls\nno-tcp\nno-rfc5780\nallow-loopback-peers\n\
             no-multicast-peers\nlog-file={}\nsimple-log\npidfile={}\nuserdb={}\n",
            at("log"),
            at("pid"),
            at("db")
        );
        let path = files.path().join("turnserver.conf");
        fs::write(&path, config).unwrap();
        let mut command = Command::new("turnserver");
        command.arg("-c").arg(&path).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Process::spawn(&mut command);
        Self { process, addr: ([127, 0, 0, 1], port).into(), _files: files }
    }

    pub fn pair(&self, number: usize) -> Pair {
        let (one, other) = (bound(), bound());
        one.connect(self.addr).unwrap();
        let relayed = self.allocate(&one);
        other.connect(relayed).unwrap();
        let channel = 0x4000 + u16::try_from(number).unwrap();
        let number = [channel.to_be_bytes(), [0; 2]].concat();
        let peer = other.local_addr().unwrap();
        ask(&one, 9, &[(0x000c, &|_| number.clone()), (0x0012, &|transaction| xored(peer, transaction))]);
        one.set_nonblocking(true).unwrap();
        other.set_nonblocking(true).unwrap();
        Pair {
            one: End { socket: one, head: Head::Channel(channel) },
            other: End { socket: other, head: Head::Nothing },
        }
    }

    fn allocate(&self, socket: &UdpSocket) -> SocketAddr {
        // REQUESTED-TRANSPORT: UDP.
        let answer = ask(socket, 3, &[(0x0019, &|_| vec![17, 0, 0, 0])]);
        let message = Message::from_bytes(&answer).unwrap();
        let relayed = message.raw_attribute(0x0016.into()).expect("an allocation has an address");
        let port = u16::from_be_bytes([relayed.value[2], relayed.value[3]]) ^ 0x2112;
        SocketAddr::new(self.addr.ip(), port)
    }
}

type Value<'a> = &'a dyn Fn(u128) -> Vec<u8>;

/// Asks until it is answered, as the server may still be starting.
fn ask(socket: &UdpSocket, method: u16, attributes: &[(u16, Value)]) -> Vec<u8> {
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let begun = Instant::now();
    // One for all: it is one request, however often it is sent.
    let transaction = 1;
    while begun.elapsed() < Duration::from_secs(10) {
        let kind = MessageType::from_class_method(MessageClass::Request, Method::new(method));
        let mut message = Message::builder(kind, transaction.into(), MessageWriteVec::new());
        for (kind, value) in attributes {
            message.add_attribute(&RawAttribute::new((*kind).into(), &value(transaction))).unwrap();
        }
        let mut buffer = [0; 1500];
        if socket.send(&message.finish()).is_ok()
            && let Ok(len) = socket.recv(&mut buffer)
        {
            let answer = Message::from_bytes(&buffer[..len]).unwrap();
            assert!(answer.has_class(MessageClass::Success), "coturn refuses: {answer}");
            return buffer[..len].to_vec();
        }
        // Refused at once while nobody listens.
        thread::sleep(Duration::from_millis(10));
    }
    panic!("coturn doesn't answer")
}

fn xored(addr: SocketAddr, transaction: u128) -> Vec<u8> {
    XorMappedAddress::new(addr, transaction.into()).to_raw().value.to_vec()
}

fn bound() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").unwrap()
}
