//! The order to stop, and knowing when it has been followed.

use std::{convert::Infallible, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

/// How far a stop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Nobody has asked for it.
    Serving,
    /// Nothing new is taken; what is under way ends.
    Stopping,
    /// Nobody is served any longer.
    Ended,
}

/// Hears the order. As long as one is held, its holder is waited for.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    phase: watch::Receiver<Phase>,
    at: Phase,
    _alive: mpsc::Sender<Infallible>,
}

/// Gives the order: by [`stop`](Self::stop), or by being dropped.
#[derive(Debug)]
pub(crate) struct Stopper {
    phase: watch::Sender<Phase>,
    /// Ends when all that serve are gone.
    serving: mpsc::Receiver<Infallible>,
    /// Ends when those are gone too that tell operators of the stop.
    telling: mpsc::Receiver<Infallible>,
}

/// Who gives the order, who stops at it, and who stops only when all those have.
pub(crate) fn stops() -> (Stopper, Stop, Stop) {
    let (phase, seen) = watch::channel(Phase::Serving);
    let (serving_alive, serving) = mpsc::channel(1);
    let (telling_alive, telling) = mpsc::channel(1);
    let first = Stop { phase: seen.clone(), at: Phase::Stopping, _alive: serving_alive };
    let last = Stop { phase: seen, at: Phase::Ended, _alive: telling_alive };
    (Stopper { phase, serving, telling }, first, last)
}

impl Stop {
    /// Returns when the holder is to stop.
    pub(crate) async fn wait(&mut self) {
        // An error says that the stopper is gone, which means the same.
        let at = self.at;
        let _ = self.phase.wait_for(|&phase| phase >= at).await;
    }

    /// Works until the holder is to stop.
    pub(crate) async fn interrupt(mut self, work: impl Future<Output = ()>) {
        tokio::select! {
            () = self.wait() => {}
            () = work => {}
        }
    }

    /// How far the stop is.
    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }
}

impl Stopper {
    /// Returns when all have stopped, or after twice `patience`.
    pub(crate) async fn stop(mut self, patience: Duration) {
        self.phase.send_replace(Phase::Stopping);
        if timeout(patience, gone(&mut self.serving)).await.is_err() {
            tracing::warn!("something did not end in time and is left");
        }
        self.phase.send_replace(Phase::Ended);
        let _ = timeout(patience, gone(&mut self.telling)).await;
    }
}

async fn gone(alive: &mut mpsc::Receiver<Infallible>) {
    while alive.recv().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn those_who_tell_of_it_stop_last() {
        let (stopper, mut first, mut last) = stops();
        let (said, mut heard) = mpsc::unbounded_channel();
        let word = said.clone();
        tokio::spawn(async move {
            first.wait().await;
            tokio::time::sleep(Duration::from_secs(3)).await;
            word.send(("serving", first.phase())).unwrap();
        });
        tokio::spawn(async move {
            last.wait().await;
            said.send(("telling", last.phase())).unwrap();
        });

        stopper.stop(Duration::from_secs(10)).await;

        assert_eq!(heard.recv().await, Some(("serving", Phase::Stopping)));
        assert_eq!(heard.recv().await, Some(("telling", Phase::Ended)));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_holds_it_up_for_ever() {
        let (stopper, first, last) = stops();
        let begun = tokio::time::Instant::now();

        stopper.stop(Duration::from_secs(10)).await;

        assert_eq!(begun.elapsed(), Duration::from_secs(20));
        drop((first, last));
    }
}
