//! Packets through a server, both ways between the sockets of each pair.

use std::{
    io,
    net::UdpSocket,
    time::{Duration, Instant},
};

use crate::process::Process;

/// Two sockets whose packets a server passes on, and what comes before the payload on either's side.
pub struct Pair {
    pub one: End,
    pub other: End,
}

pub struct End {
    /// Connected to where its packets go.
    pub socket: UdpSocket,
    /// What a packet begins with when it is sent here.
    pub head: Head,
}

pub enum Head {
    /// A channel's number and the length (RFC 8656, section 12.4).
    Channel(u16),
    Nothing,
}

/// What was measured.
pub struct Run {
    cpu: Duration,
    time: Duration,
    packets: u64,
}

impl Run {
    /// Microseconds.
    pub fn cpu_per_packet(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.packets as f64
    }

    /// A second.
    pub fn rate(&self) -> f64 {
        self.packets as f64 / self.time.as_secs_f64()
    }
}

/// Packets under way at once in a pair, each way.
const WINDOW: u64 = 8;

/// Passes packets of `size` bytes for `time`: as many a second as `pace` says, or as many as come through.
pub fn run(server: &Process, pairs: &[Pair], size: usize, pace: Option<u32>, time: Duration) -> Run {
    let mut flows: Vec<_> = pairs
        .iter()
        .flat_map(|Pair { one, other }| [Flow::new(one, other, size), Flow::new(other, one, size)])
        .collect();
    // Until all ways are warm.
    drive(&mut flows, pace, Duration::from_millis(300));
    let (cpu, begun) = (server.cpu(), Instant::now());
    let before: u64 = flows.iter().map(|flow| flow.received).sum();
    drive(&mut flows, pace, time);
    let packets = flows.iter().map(|flow| flow.received).sum::<u64>() - before;
    Run { cpu: server.cpu() - cpu, time: begun.elapsed(), packets }
}

struct Flow<'a> {
    from: &'a UdpSocket,
    to: &'a UdpSocket,
    packet: Vec<u8>,
    expected: usize,
    sent: u64,
    received: u64,
    /// When something last came: a window that was lost is given up.
    heard: Instant,
}

impl<'a> Flow<'a> {
    fn new(from: &'a End, to: &'a End, size: usize) -> Self {
        let mut packet = from.head.bytes(size);
        packet.push(22);
        packet.resize(packet.len() + size - 1, 0xee);
        let expected = to.head.bytes(size).len() + size;
        Self { from: &from.socket, to: &to.socket, packet, expected, sent: 0, received: 0, heard: Instant::now() }
    }

    fn send(&mut self) {
        match self.from.send(&self.packet) {
            Ok(_) => self.sent += 1,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }

    fn receive(&mut self) {
        let mut buffer = [0; 2048];
        while let Ok(len) = self.to.recv(&mut buffer) {
            // What comes besides are answers to checks.
            if len == self.expected {
                self.received += 1;
                self.heard = Instant::now();
            }
        }
        if self.heard.elapsed() > Duration::from_millis(50) {
            self.sent = self.received;
            self.heard = Instant::now();
        }
    }
}

impl Head {
    fn bytes(&self, size: usize) -> Vec<u8> {
        match self {
            Self::Channel(number) => {
                let [[a, b], [c, d]] = [number.to_be_bytes(), u16::try_from(size).unwrap().to_be_bytes()];
                vec![a, b, c, d]
            }
            Self::Nothing => vec![],
        }
    }
}

fn drive(flows: &mut [Flow], pace: Option<u32>, time: Duration) {
    let begun = Instant::now();
    let mut sent = 0_u64;
    while begun.elapsed() < time {
        for flow in flows.iter_mut() {
            flow.receive();
            while flow.sent.saturating_sub(flow.received) < WINDOW {
                let due = pace.map(|pace| (begun.elapsed().as_secs_f64() * f64::from(pace)) as u64);
                if due.is_some_and(|due| sent >= due) {
                    break;
                }
                flow.send();
                sent += 1;
                if pace.is_some() {
                    break;
                }
            }
        }
    }
}
