//! What the contexts of one island tell all others over BroadcastChannel.

use serde::{Deserialize, Serialize};

use crate::id::{Boot, Epoch, FrameId};

/// What leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LeaderKind {
    /// A dedicated worker of one frame, reached over BroadcastChannel.
    Dedicated,
    /// The SharedWorker.
    Shared,
}

/// One announcement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Announcement {
    /// A worker of this build waits to lead.
    Candidate {
        /// Its build.
        build: String,
    },
    /// A frame looks for its leader.
    FrameUp {
        /// Which frame.
        frame: FrameId,
        /// It can't reach a SharedWorker: the leader opens the BroadcastChannel of the frame's own, named by
        /// [`frame_channel`].
        channel: bool,
    },
    /// The browser lets frames of this island into that of all sites: those that hear it follow.
    Granted,
    /// This leader leads from now on; or says so again because a frame asked.
    LeaderUp {
        /// Its leadership.
        epoch: Epoch,
        /// Its worker's boot.
        boot: Boot,
        /// Its build, part of its worker's name.
        build: String,
        /// The URL of its worker, for frames of another build.
        worker: String,
        /// The name of its worker.
        name: String,
        /// What leads.
        kind: LeaderKind,
        /// The frame whose announcement this answers: its channel is open now, if it wanted one.
        heard: Option<FrameId>,
    },
}

/// The BroadcastChannel of announcements, and what other names begin with.
pub const CHANNEL: &str = "bitters/2";

/// The Web Lock that the leader holds.
pub const LEADER_LOCK: &str = "bitters/2/leader";

/// The Web Lock of the frame whose dedicated worker waits for [`LEADER_LOCK`], where there is no SharedWorker: one such worker is
/// enough.
pub const CONTENDER_LOCK: &str = "bitters/2/contender";

/// The Web Lock that a frame holds as long as it lives.
#[must_use]
pub fn frame_lock(frame: FrameId) -> String {
    format!("bitters/2/frame/{frame}")
}

/// The BroadcastChannel between a frame and a leader that it can't reach by a port.
#[must_use]
pub fn frame_channel(frame: FrameId) -> String {
    format!("bitters/2/to/{frame}")
}

/// The name of the SharedWorker of a build.
#[must_use]
pub fn worker_name(build: &str) -> String {
    format!("bitters/2/{build}")
}

/// The name of the SharedWorker of a build that takes over from a leader that doesn't answer any longer: under its own name the
/// browser would give us that very worker. `after` is the silent leadership; zero if it was never heard of.
#[must_use]
pub fn successor_name(build: &str, after: Epoch) -> String {
    format!("bitters/2/{build}/after/{}", after.0)
}

/// The silent leadership that a worker of this name takes over from, if it is a successor.
#[must_use]
pub fn predecessor(name: &str) -> Option<Epoch> {
    let (_, after) = name.strip_prefix("bitters/2/")?.rsplit_once("/after/")?;
    after.parse().ok().map(Epoch)
}

/// The Web Lock that a leader holds for as long as it lives. Frames wait for it to learn of the leader's death; were they to wait
/// for [`LEADER_LOCK`], one that is frozen when its turn comes would keep everybody from leading.
#[must_use]
pub fn life_lock(boot: Boot) -> String {
    format!("bitters/2/leader/{boot}")
}
