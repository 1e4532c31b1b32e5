//! Sockets to listen on.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::config::ServeError;

/// Connections that the kernel holds for us before they are accepted.
const BACKLOG: i32 = 1024;

/// Listens on all of `addrs`, or on none.
pub(crate) fn listen(addrs: &[SocketAddr]) -> Result<Vec<(TcpListener, SocketAddr)>, ServeError> {
    addrs.iter().map(|&addr| listen_on(addr, takes_ipv4(addr, addrs)).map_err(|source| failed(addr, source))).collect()
}

/// Whether a socket on `addr` is to take IPv4 too: `[::]` does, unless an IPv4 socket beside it has the same port.
pub(crate) fn takes_ipv4(addr: SocketAddr, all: &[SocketAddr]) -> bool {
    addr.ip() == IpAddr::from([0; 16]) && !all.iter().any(|other| other.is_ipv4() && other.port() == addr.port())
}

fn listen_on(addr: SocketAddr, takes_ipv4: bool) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        // Said either way: what a system does unasked differs.
        socket.set_only_v6(!takes_ipv4)?;
    }
    // So that a server that comes back isn't kept out by connections of the one before. On Windows it would mean something else.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from_std(socket.into())?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

fn failed(addr: SocketAddr, source: io::Error) -> ServeError {
    match source.kind() {
        io::ErrorKind::AddrInUse => ServeError::AddressInUse { addr },
        _ => ServeError::Bind { addr, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_are_taken_by_one_socket_or_by_two() {
        let six = addr("[::]:443");

        assert!(takes_ipv4(six, &[six]));
        assert!(takes_ipv4(six, &[six, addr("0.0.0.0:80")]));
        assert!(!takes_ipv4(six, &[six, addr("0.0.0.0:443")]));
        assert!(!takes_ipv4(six, &[six, addr("127.0.0.1:443")]));
        assert!(!takes_ipv4(addr("[::1]:443"), &[]));
        assert!(!takes_ipv4(addr("0.0.0.0:443"), &[]));
    }

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }
}
