//! The proxy machine among its UDP sockets.
//!
//! Each address has a socket for each core (`SO_REUSEPORT`; the kernel keeps the packets of one sender in one of them), each with a
//! thread that takes what the kernel has in one call, gives it to the machine under one lock, and sends what comes out. `quinn-udp` knows
//! what the kernel can take at once: many datagrams, and runs of equally long ones to one place. The threads have runtimes of their
//! own: one that shares its work wakes a second thread for each packet that comes alone.

mod bind;

use std::{
    array,
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    thread,
    time::Duration,
};

use bind::{Address, Worker};
use bitters_machine::Machine;
use bitters_wire::address::{MAX_PROXIES, is_proxy};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit};
use tokio::{io::Interest, net::UdpSocket, runtime, time};

use crate::{
    config::{Config, ServeError},
    core::proxy::{Counts, Input, Load, Outgoing, Output, Path, Proxy, Socket},
    driver::Driver,
    stop::Stop,
    switchboard::Switchboard,
};

/// Bytes taken from the kernel in one piece: runs of datagrams, or one.
const MAX_PIECE: usize = 64 * 1024;

/// Before reading again when reading failed for a reason of the system's.
const READ_PAUSE: Duration = Duration::from_millis(100);

/// The machine and its sockets.
#[derive(Debug)]
pub(crate) struct Udp {
    machine: Driver<Proxy>,
    /// Those that are told, then the next port of each, where STUN is answered.
    addresses: Vec<Address>,
    public: Vec<SocketAddr>,
    switchboard: Arc<Switchboard>,
}

impl Udp {
    /// Listens where the configuration says. The machine's seed is fresh from a cryptographic generator.
    pub(crate) fn bind(
        config: &Config,
        seed: [u8; 32],
        switchboard: Arc<Switchboard>,
        tcp: &[SocketAddr],
    ) -> Result<Self, ServeError> {
        let addrs = match &config.udp {
            Some(addrs) => addrs.clone(),
            // Nobody knows a port that was drawn before it is told: UDP's may be another.
            None => config
                .listen
                .iter()
                .zip(tcp)
                .map(|(asked, real)| if asked.port() == 0 { *asked } else { *real })
                .collect(),
        };
        let pairs = addrs.iter().map(|&addr| Address::bind_pair(addr, &addrs)).collect::<Result<Vec<_>, _>>()?;
        let (told, stun): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let addresses = told.into_iter().chain(stun).collect();
        let machine = Proxy::new(config.proxy, seed);
        Ok(Self { addresses, public: config.public.clone(), ..Self::with(machine, switchboard) })
    }

    /// No sockets.
    #[cfg(test)]
    pub(crate) fn none(switchboard: Arc<Switchboard>) -> Self {
        Self::with(Proxy::new(crate::core::proxy::Config::default(), [1; 32]), switchboard)
    }

    fn with(machine: Proxy, switchboard: Arc<Switchboard>) -> Self {
        Self { machine: Driver::new(machine), addresses: Vec::new(), public: Vec::new(), switchboard }
    }

    /// Where it listens, with the real ports.
    pub(crate) fn addrs(&self) -> Vec<SocketAddr> {
        self.told().iter().map(|address| address.addr).collect()
    }

    fn told(&self) -> &[Address] {
        &self.addresses[..self.addresses.len() / 2]
    }

    /// Takes and sends what comes, in threads of its own, until the server stops.
    pub(crate) fn start(self: &Arc<Self>, stop: &Stop) -> Result<(), ServeError> {
        for (address, index) in self.addresses.iter().zip(0_u16..) {
            let failed = |source| ServeError::BindUdp { addr: address.addr, source };
            for number in 0..address.workers.len() {
                let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
                let (udp, stop) = (Arc::clone(self), stop.clone());
                let work = async move { udp.forward(index, number).await };
                let thread = thread::Builder::new().name("udp".into());
                thread.spawn(move || runtime.block_on(stop.interrupt(work))).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Where the node of a WebSocket that came to `local` reaches the sockets.
    pub(crate) fn reached_from(&self, local: IpAddr) -> Arc<[SocketAddr]> {
        let local = local.to_canonical();
        let named = |addr: SocketAddr| match addr.ip() {
            ip if !ip.is_unspecified() => Some(addr),
            ip if ip.is_ipv4() == local.is_ipv4() => Some(SocketAddr::new(local, addr.port())),
            _ => None,
        };
        let own = self.told().iter().filter_map(|address| named(address.addr));
        let all: Vec<_> = if self.public.is_empty() { own.collect() } else { self.public.clone() };
        let any = if self.addresses.is_empty() { &[][..] } else { &all };
        any.iter().copied().filter(|&addr| is_proxy(addr)).take(MAX_PROXIES).collect()
    }

    /// How much the machine holds, and what it has done, for those who operate the server.
    pub(crate) fn numbers(&self) -> (Load, Counts) {
        let machine = self.machine.lock();
        (machine.load(), *machine.counts())
    }

    /// What the rendezvous hands on.
    pub(crate) fn handle_input(&self, input: Input) {
        self.machine.run(|machine, now| machine.handle_input(input, now), |output| self.perform(output));
    }

    /// Tells the machine when its time has come, forever.
    pub(crate) async fn keep_time(&self) {
        self.machine.keep_time(|| self.handle_input(Input::Timeout)).await;
    }

    /// Takes and sends what comes to one socket, forever.
    async fn forward(&self, index: u16, number: usize) {
        let worker = &self.addresses[usize::from(index)].workers[number];
        let mut out = Outgoing::new();
        let mut batch = match Batch::new(worker) {
            Ok(batch) => batch,
            Err(error) => return tracing::error!("can't listen over UDP: {error}"),
        };
        loop {
            match batch.receive(worker).await {
                Ok(count) => {
                    self.take(index, &batch, count, &mut out);
                    self.send(number, &out);
                    out.clear();
                }
                Err(error) => {
                    tracing::debug!("can't read from UDP: {error}");
                    time::sleep(READ_PAUSE).await;
                }
            }
        }
    }

    /// Gives the machine what came.
    fn take(&self, index: u16, batch: &Batch, count: usize, out: &mut Outgoing) {
        let wildcard = self.addresses[usize::from(index)].addr.ip().is_unspecified();
        let take = |machine: &mut Proxy, now| {
            for (meta, piece) in batch.meta[..count].iter().zip(batch.buffer.chunks(batch.piece)) {
                let ip = meta.dst_ip.map(|ip| ip.to_canonical()).filter(|_| wildcard);
                let peer = SocketAddr::new(meta.addr.ip().to_canonical(), meta.addr.port());
                let path = Path { socket: Socket { index, ip }, peer };
                for datagram in piece[..meta.len].chunks(meta.stride.max(1)) {
                    machine.handle_datagram(path, datagram, now, out);
                }
            }
        };
        self.machine.run(take, |output| self.perform(output));
    }

    /// What can't be sent at once is lost, as datagrams are.
    fn send(&self, number: usize, out: &Outgoing) {
        for (path, size, bytes) in out.runs() {
            let address = &self.addresses[usize::from(path.socket.index)];
            let worker = &address.workers[number % address.workers.len()];
            for part in bytes.chunks(size * worker.state.max_gso_segments()) {
                let transmit = Transmit {
                    destination: address.written(path.peer),
                    ecn: None,
                    contents: part,
                    segment_size: Some(size),
                    src_ip: path.socket.ip,
                };
                if let Err(error) = worker.state.try_send((&worker.socket).into(), &transmit) {
                    tracing::debug!("can't send over UDP: {error}");
                }
            }
        }
    }

    fn perform(&self, output: Output) -> Option<Input> {
        let Output::Send(conn, message) = output;
        // Whoever doesn't read is closed by its socket.
        let _ = self.switchboard.send(conn, message);
        None
    }
}

/// A socket's end in its thread's runtime, and room for what the kernel gives at once.
struct Batch {
    socket: UdpSocket,
    buffer: Vec<u8>,
    piece: usize,
    /// How many pieces are asked for: preparing many costs as much as a packet, where they come alone.
    room: usize,
    meta: [RecvMeta; BATCH_SIZE],
}

impl Batch {
    fn new(worker: &Worker) -> io::Result<Self> {
        let socket = UdpSocket::from_std(worker.socket.try_clone()?)?;
        let piece = if worker.state.gro_segments() > 1 { MAX_PIECE } else { MAX_PIECE / 32 };
        Ok(Self {
            socket,
            buffer: vec![0; piece * BATCH_SIZE],
            piece,
            room: 1,
            meta: [RecvMeta::default(); BATCH_SIZE],
        })
    }

    async fn receive(&mut self, worker: &Worker) -> io::Result<usize> {
        loop {
            self.socket.readable().await?;
            let mut rest = self.buffer.chunks_mut(self.piece);
            let mut pieces = array::from_fn::<_, BATCH_SIZE, _>(|_| IoSliceMut::new(rest.next().unwrap_or_default()));
            let (mut count, room) = (0, self.room);
            let read = || {
                count = worker.state.recv((&self.socket).into(), &mut pieces[..room], &mut self.meta)?;
                // Less than there is room for: there is no more, and no need to ask.
                if count < room { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
            };
            let done = self.socket.try_io(Interest::READABLE, read);
            self.room = if count == room { (2 * room).min(BATCH_SIZE) } else { (count + 1).min(BATCH_SIZE) };
            match done {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ if count > 0 => return Ok(count),
                _ => {}
            }
        }
    }
}
