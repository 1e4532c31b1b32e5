//! What can be wrong with a configuration, or with the machine that it is for.

use std::{io, net::SocketAddr, path::PathBuf};

/// Why serving can't start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Somebody else listens there.
    #[error("{addr} is in use already")]
    AddressInUse {
        /// Where.
        addr: SocketAddr,
    },
    /// Not a host name.
    #[error("{name:?} is not a host name")]
    BadHost {
        /// What was given.
        name: String,
    },
    /// Not an origin.
    #[error("{origin:?} is not an origin (scheme://host or scheme://host:port, in lower case)")]
    BadOrigin {
        /// What was given.
        origin: String,
    },
    /// An address can't be listened on.
    #[error("can't listen on {addr}: {source}")]
    Bind {
        /// Where.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// An address can't be listened on over UDP.
    #[error("can't listen on {addr} over UDP: {source}")]
    BindUdp {
        /// Where.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A certificate or key can't be used.
    #[error("{}: {reason}", file.display())]
    Certificate {
        /// Which.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// One host name has two sets of files.
    #[error("{name} was given twice")]
    HostTwice {
        /// Which.
        name: String,
    },
    /// Nothing to listen on.
    #[error("no address to listen on")]
    NoAddress,
    /// The system has no random bytes.
    #[error("no random bytes: {source}")]
    NoRandom {
        /// Why.
        source: getrandom::Error,
    },
    /// Files that aren't there.
    #[error("{} is not a directory", dir.display())]
    NotADirectory {
        /// What was given.
        dir: PathBuf,
    },
    /// A setting that doesn't go with the others.
    #[error("{key}: {wrong}")]
    Setting {
        /// Its key in TOML.
        key: &'static str,
        /// What is wrong, or what is expected.
        wrong: &'static str,
    },
}
