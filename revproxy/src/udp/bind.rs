//! Binding UDP sockets, several to each address.

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    num::NonZeroUsize,
    thread::available_parallelism,
};

use bitters_wire::address::stun_of;
use quinn_udp::UdpSocketState;
use socket2::{Domain, Protocol, Type};

use crate::config::ServeError;

/// Sockets of one address. More don't help: they share the machine.
const MAX_WORKERS: usize = 4;

/// Free ports that are tried for a pair.
const TRIES: usize = 32;

/// What the kernel holds for a socket while its task is busy: a tenth of a second at the default rate of all sessions together.
const BUFFER: usize = 2 * 1024 * 1024;

/// One address and its sockets.
#[derive(Debug)]
pub(super) struct Address {
    /// With the real port.
    pub(super) addr: SocketAddr,
    /// At least one.
    pub(super) workers: Vec<Worker>,
}

/// One socket.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) socket: UdpSocket,
    pub(super) state: UdpSocketState,
}

impl Address {
    /// Binds `addr`, and the port after it, where a browser asks how the world sees it ([`stun_of`]).
    pub(super) fn bind_pair(addr: SocketAddr, all: &[SocketAddr]) -> Result<(Self, Self), ServeError> {
        let next: Vec<SocketAddr> = all.iter().copied().map(stun_of).collect();
        for _ in 1..TRIES {
            let told = Self::bind(addr, all)?;
            match Self::bind(stun_of(told.addr), &next) {
                Ok(stun) => return Ok((told, stun)),
                // Any free port will do; so will another.
                Err(_) if addr.port() == 0 => {}
                Err(error) => return Err(error),
            }
        }
        let told = Self::bind(addr, all)?;
        let stun = Self::bind(stun_of(told.addr), &next)?;
        Ok((told, stun))
    }

    /// Binds `addr`, one of `all` that are bound.
    pub(super) fn bind(addr: SocketAddr, all: &[SocketAddr]) -> Result<Self, ServeError> {
        let failed = |source: io::Error| ServeError::BindUdp { addr, source };
        // IPv4's own socket takes its packets where there is one.
        let v4 = all.iter().any(|other| other.is_ipv4() && other.port() == addr.port());
        let only_v6 = v4 || !addr.ip().is_unspecified();
        // Sharing is for our own sockets: the first one finds out whether somebody else listens.
        let alone = bound(addr, only_v6, false).map_err(failed)?;
        let real = alone
            .local_addr()
            .and_then(|real| real.as_socket().ok_or(io::ErrorKind::Unsupported.into()))
            .map_err(failed)?;
        let count = available_parallelism().map_or(1, NonZeroUsize::get).min(MAX_WORKERS);
        let sockets = if cfg!(target_os = "linux") && count > 1 {
            drop(alone);
            (0..count).map(|_| bound(real, only_v6, true)).collect::<io::Result<Vec<_>>>().map_err(failed)?
        } else {
            vec![alone]
        };
        let workers = sockets.into_iter().map(Worker::new).collect::<io::Result<_>>().map_err(failed)?;
        Ok(Self { addr: real, workers })
    }

    /// The peer's address as this socket takes it: one that IPv4 comes to, too, takes it as IPv6.
    pub(super) fn written(&self, peer: SocketAddr) -> SocketAddr {
        match peer.ip() {
            IpAddr::V4(ip) if self.addr.is_ipv6() => SocketAddr::new(ip.to_ipv6_mapped().into(), peer.port()),
            _ => peer,
        }
    }
}

impl Worker {
    fn new(socket: socket2::Socket) -> io::Result<Self> {
        let state = UdpSocketState::new((&socket).into())?;
        // The system may allow less.
        let _ = socket.set_recv_buffer_size(BUFFER);
        let _ = socket.set_send_buffer_size(BUFFER);
        Ok(Self { socket: socket.into(), state })
    }
}

fn bound(addr: SocketAddr, only_v6: bool, shared: bool) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    #[cfg(target_os = "linux")]
    socket.set_reuse_port(shared)?;
    #[cfg(not(target_os = "linux"))]
    let _ = shared;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}
