//! Datagrams to be sent, in one buffer that is used again and again: forwarding a packet allocates nothing.

use std::net::{IpAddr, SocketAddr};

use crate::source::Source;

/// One of the shell's sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Socket {
    /// Its number, given by the shell.
    pub index: u16,
    /// The machine's own address in use, where the socket is bound to all of them.
    pub ip: Option<IpAddr>,
}

/// Both ends of a way of datagrams: what RFC 8445 calls a five-tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    /// Here.
    pub socket: Socket,
    /// There. An IPv4 address is never written as an IPv6 one.
    pub peer: SocketAddr,
}

impl Path {
    pub(super) fn source(&self) -> Source {
        self.peer.ip().into()
    }
}

/// What is to be sent. The shell sends it all and [`clear`](Self::clear)s it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    bytes: Vec<u8>,
    /// Where each goes, and where its bytes end.
    datagrams: Vec<(Path, usize)>,
}

impl Outgoing {
    /// Nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), datagrams: Vec::new() }
    }

    /// All datagrams, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Path, &[u8])> {
        let starts = std::iter::once(0).chain(self.datagrams.iter().map(|&(_, end)| end));
        self.datagrams.iter().zip(starts).map(|(&(path, end), start)| (path, &self.bytes[start..end]))
    }

    /// Runs of datagrams to one place that follow one another and are equally long, but for a last one that may be shorter: what
    /// a kernel that segments takes at once. Each comes with the length of its datagrams.
    pub fn runs(&self) -> impl Iterator<Item = (Path, usize, &[u8])> {
        let mut next = 0;
        let mut start = 0;
        std::iter::from_fn(move || {
            let &(path, mut end) = self.datagrams.get(next)?;
            let (begun, size) = (start, end - start);
            next += 1;
            let mut last = size;
            while let Some(&(to, further)) = self.datagrams.get(next)
                && to == path
                && last == size
                && further - end <= size
                && further - begun <= MAX_RUN
            {
                last = further - end;
                end = further;
                next += 1;
            }
            start = end;
            Some((path, size, &self.bytes[begun..end]))
        })
    }

    /// Forgets what was sent.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.datagrams.clear();
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    pub(super) fn push(&mut self, path: Path, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.datagrams.push((path, self.bytes.len()));
    }
}

/// Bytes of a run: a UDP datagram's, which the kernel takes it for, and below the segments that any kernel takes (64).
const MAX_RUN: usize = 60 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_to_one_place_and_of_one_size() {
        let mut outgoing = Outgoing::new();
        for (peer, len) in [(1, 5), (1, 5), (1, 3), (1, 5), (2, 5), (2, 6), (1, 6)] {
            outgoing.push(path(peer), &vec![peer; len]);
        }

        let runs: Vec<_> = outgoing.runs().map(|(path, size, bytes)| (path, size, bytes.len())).collect();

        assert_eq!(runs, [(path(1), 5, 13), (path(1), 5, 5), (path(2), 5, 5), (path(2), 6, 6), (path(1), 6, 6)]);
        assert!(outgoing.iter().all(|(to, bytes)| bytes.iter().all(|&byte| to == path(byte))));
        assert_eq!(outgoing.iter().count(), 7);
    }

    #[test]
    fn a_run_is_bounded() {
        let mut outgoing = Outgoing::new();
        (0..100).for_each(|_| outgoing.push(path(1), &[1; 1200]));

        let runs: Vec<_> = outgoing.runs().map(|(_, _, bytes)| bytes.len() / 1200).collect();

        assert_eq!(runs, [51, 49]);
    }

    fn path(peer: u8) -> Path {
        Path { socket: Socket { index: 0, ip: None }, peer: ([192, 0, 2, peer], 9).into() }
    }
}
