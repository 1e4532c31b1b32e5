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
    /// A frame looks for its leader.
    FrameUp {
        /// Which frame.
        frame: FrameId,
    },
    /// This leader leads from now on; or says so again because a frame asked.
    LeaderUp {
        /// Its leadership.
        epoch: Epoch,
        /// Its worker's boot.
        boot: Boot,
        /// Its build, part of its worker's URL and name.
        build: String,
        /// What leads.
        kind: LeaderKind,
    },
}
