//! Starting, and stopping.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};

use prometheus_client::{collector::Collector, registry::Registry};
use tokio::{net::TcpListener, sync::Semaphore};

use crate::{
    accept::{Door, accept_all},
    admin,
    certificates::Certificates,
    config::{Config, ServeError},
    core::proxy::{Counts, Load},
    crowd::Crowd,
    hosts::Hosts,
    hub::Hub,
    listeners::listen,
    metrics::{Metrics, OfCertificate, OfProxy, OfRendezvous},
    names::Names,
    routes,
    socket::GOODBYE,
    stop::{Stop, Stopper, stops},
    switchboard::Switchboard,
    tls::Tls,
    trust::Trust,
    udp::Udp,
};

/// A server that runs. It stops when this is dropped; [`shutdown`](Self::shutdown) also waits until it has.
#[derive(Debug)]
pub struct Running {
    /// Where it listens, in the order of [`Config::listen`], with the real ports.
    pub addrs: Vec<SocketAddr>,
    /// Where it answers STUN and dials, over UDP, in the order of [`Config::udp`], with the real ports.
    pub udp: Vec<SocketAddr>,
    /// Where plain HTTP is sent to HTTPS, in the order of [`Config::redirect`], with the real ports.
    pub redirects: Vec<SocketAddr>,
    /// Where operators ask, with the real port.
    pub admin: Option<SocketAddr>,
    proxy: Arc<Udp>,
    names: Vec<String>,
    certificates: Option<Certificates>,
    grace: Duration,
    stopper: Stopper,
}

/// A listener, and the address that it really has.
type Listener = (TcpListener, SocketAddr);

/// All of them, opened before anything else is done.
struct Listeners {
    public: Vec<Listener>,
    redirects: Vec<Listener>,
    admin: Vec<Listener>,
}

/// Starts to serve; what is returned accepts connections.
///
/// # Errors
/// [`ServeError`] says which address, host name, directory, origin, file or setting is wrong.
pub async fn serve(config: Config) -> Result<Running, ServeError> {
    config.check()?;
    let certificates = config.certificates()?.map(Certificates::new).transpose()?;
    let listeners = Listeners::open(&config)?;
    let (stopper, stop, last_stop) = stops();
    let metrics = Metrics::default();
    let switchboard = Arc::<Switchboard>::default();
    let tcp: Vec<_> = listeners.public.iter().map(|&(_, addr)| addr).collect();
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|source| ServeError::NoRandom { source })?;
    let udp = Arc::new(Udp::bind(&config, seed, Arc::clone(&switchboard), &tcp)?);
    let hub = Arc::new(Hub::new(config.rendezvous, fastrand::u64(..), switchboard, Arc::clone(&udp)));
    let registry = metrics.registry(collectors(&hub, &udp, certificates.as_ref()));

    keep(&hub, &udp, &stop)?;
    if let Some(certificates) = certificates.clone() {
        tokio::spawn(stop.clone().interrupt(certificates.keep()));
    }

    let hosts = Arc::new(Hosts::new(&config));
    let port = listeners.public.first().map_or(443, |(_, addr)| addr.port());
    let redirect = routes::redirect(Arc::clone(&hosts), port);
    let router = routes::public(hosts, hub, Names::new(&config, &tcp), stop.clone());
    let public = public_door(&config, router, certificates.as_ref(), metrics, stop);
    let redirect = Door { router: redirect, tls: None, ..public.clone() };
    let desk = desk(&config, registry, last_stop);
    let addrs = open("listening", listeners.public, public);
    for addr in udp.addrs() {
        tracing::info!(%addr, "listening over UDP");
    }
    Ok(Running {
        addrs,
        udp: udp.addrs(),
        proxy: udp,
        redirects: open("redirecting to HTTPS", listeners.redirects, redirect),
        admin: open("telling metrics and health", listeners.admin, desk).pop(),
        names: config.hosts.into_iter().map(|host| host.name.to_ascii_lowercase()).collect(),
        certificates,
        grace: config.grace,
        stopper,
    })
}

/// The machines' time, and the sockets that feed the proxy, until the server stops.
fn keep(hub: &Arc<Hub>, udp: &Arc<Udp>, stop: &Stop) -> Result<(), ServeError> {
    udp.start(stop)?;
    let (time, dials) = (Arc::clone(hub), Arc::clone(udp));
    tokio::spawn(stop.clone().interrupt(async move { time.keep_time().await }));
    tokio::spawn(stop.clone().interrupt(async move { dials.keep_time().await }));
    Ok(())
}

/// The machines and keepers whose numbers are shown.
fn collectors(hub: &Arc<Hub>, udp: &Arc<Udp>, certificates: Option<&Certificates>) -> Vec<Box<dyn Collector>> {
    let mut collectors: Vec<Box<dyn Collector>> = vec![Box::new(OfRendezvous(Arc::clone(hub)))];
    if !udp.addrs().is_empty() {
        collectors.push(Box::new(OfProxy(Arc::clone(udp))));
    }
    if let Some(Certificates { certs, .. }) = certificates {
        collectors.push(Box::new(OfCertificate(Arc::clone(certs))));
    }
    collectors
}

fn public_door(
    config: &Config,
    router: axum::Router,
    certificates: Option<&Certificates>,
    metrics: Metrics,
    stop: Stop,
) -> Door {
    Door {
        router,
        tls: certificates.map(|found| Tls::new(Arc::clone(&found.certs), config.http.handshake_timeout)),
        trust: Trust::new(config.trusted_proxies.clone()),
        bounds: config.http,
        grace: config.grace,
        slots: Arc::new(Semaphore::new(config.http.connections)),
        crowd: Crowd::new(config.http.connections_per_source),
        metrics,
        stop,
    }
}

/// What operators ask is nobody's traffic, and is answered to the end.
fn desk(config: &Config, registry: Registry, stop: Stop) -> Door {
    Door {
        router: admin::router(registry, stop.clone()),
        tls: None,
        trust: Trust::default(),
        bounds: config.http,
        grace: GOODBYE,
        slots: Arc::new(Semaphore::new(admin::CONNECTIONS)),
        crowd: Crowd::new(admin::CONNECTIONS),
        metrics: Metrics::default(),
        stop,
    }
}

fn open(what: &'static str, listeners: Vec<Listener>, door: Door) -> Vec<SocketAddr> {
    let door = Arc::new(door);
    let open = |(listener, addr)| {
        tracing::info!(%addr, "{what}");
        tokio::spawn(accept_all(listener, Arc::clone(&door)));
        addr
    };
    listeners.into_iter().map(open).collect()
}

impl Listeners {
    fn open(config: &Config) -> Result<Self, ServeError> {
        if let Some(addr) = config.admin.filter(|addr| !addr.ip().is_loopback()) {
            tracing::warn!(%addr, "metrics and health are told to whoever reaches this address");
        }
        Ok(Self {
            public: listen(&config.listen)?,
            redirects: listen(&config.redirect)?,
            admin: listen(config.admin.as_slice())?,
        })
    }
}

impl Running {
    /// The address of each host's front page, hosts in the order of [`Config::hosts`].
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        let ports: BTreeSet<_> = self.addrs.iter().map(SocketAddr::port).collect();
        let (scheme, usual) = if self.certificates.is_some() { ("https", 443) } else { ("http", 80) };
        let url = |name: &String, port: u16| {
            if port == usual { format!("{scheme}://{name}/") } else { format!("{scheme}://{name}:{port}/") }
        };
        self.names.iter().flat_map(|name| ports.iter().map(move |&port| url(name, port))).collect()
    }

    /// What the proxy holds now, and what it has done.
    #[must_use]
    pub fn proxy(&self) -> (Load, Counts) {
        self.proxy.numbers()
    }

    /// Reads the files of certificates again; what can't be used is logged, and the old stays in use. Connections go on as they are.
    pub fn reload(&self) {
        if let Some(certificates) = &self.certificates {
            certificates.reload();
        }
    }

    /// Stops accepting, tells sockets and lets requests end within [`Config::grace`], and returns when all is over. Health is told to
    /// be 503 from the first moment to the last.
    pub async fn shutdown(self) {
        self.stopper.stop(self.grace + 2 * GOODBYE).await;
    }
}
