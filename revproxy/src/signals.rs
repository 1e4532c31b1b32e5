//! What the system says to the process, and what the process says to its service manager.

#[cfg(unix)]
pub(crate) use unix::Signals;
#[cfg(windows)]
pub(crate) use windows::Signals;

/// What somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Certificates are to be read again.
    Reload,
    /// The server is to stop.
    Stop,
}

/// What a service manager is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Connections are accepted.
    Ready,
    /// The end has begun.
    Stopping,
}

/// Tells systemd, if that has started us (`sd_notify(3)`).
pub(crate) fn tell_manager(stage: Stage) {
    #[cfg(unix)]
    {
        let state = match stage {
            Stage::Ready => sd_notify::NotifyState::Ready,
            Stage::Stopping => sd_notify::NotifyState::Stopping,
        };
        if let Err(error) = sd_notify::notify(&[state]) {
            tracing::warn!(%error, ?stage, "the service manager can't be told");
        }
    }
    #[cfg(not(unix))]
    let _ = stage;
}

#[cfg(unix)]
mod unix {
    use std::io;

    use tokio::signal::unix::{Signal, SignalKind, signal};

    use super::Wish;

    /// Those that we listen for.
    pub(crate) struct Signals {
        hangup: Signal,
        interrupt: Signal,
        terminate: Signal,
    }

    impl Signals {
        pub(crate) fn new() -> io::Result<Self> {
            Ok(Self {
                hangup: signal(SignalKind::hangup())?,
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
            })
        }

        pub(crate) async fn next(&mut self) -> Wish {
            tokio::select! {
                _ = self.hangup.recv() => Wish::Reload,
                _ = self.interrupt.recv() => Wish::Stop,
                _ = self.terminate.recv() => Wish::Stop,
            }
        }
    }
}

#[cfg(windows)]
mod windows {
    use std::io;

    use tokio::signal::windows::{CtrlC, ctrl_c};

    use super::Wish;

    /// Those that we listen for.
    pub(crate) struct Signals(CtrlC);

    impl Signals {
        pub(crate) fn new() -> io::Result<Self> {
            ctrl_c().map(Self)
        }

        pub(crate) async fn next(&mut self) -> Wish {
            self.0.recv().await;
            Wish::Stop
        }
    }
}
