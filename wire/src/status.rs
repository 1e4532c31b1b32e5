//! What `status()` and `watch()` give. A site sees its own part; with the `observe` permission the whole node.

use serde::{Deserialize, Serialize};

use crate::{
    announce::LeaderKind,
    id::{Boot, Epoch, FrameId},
};

/// The node, as its viewer may see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// One node for all sites or one for this site.
    pub scope: Scope,
    /// The leader; only with `observe`.
    pub leader: Option<LeaderStatus>,
    /// Frames, oldest first.
    pub frames: Vec<FrameStatus>,
    /// To an observer the peers that each persona of the node is linked to, to a site the personas that it talks with.
    pub peers: Vec<PeerStatus>,
    /// Seeds known; only with `observe`, else 0.
    pub seeds: u32,
    /// Topics joined, by the viewer or (with `observe`) by anyone: ids on the wire.
    pub topics: Vec<String>,
    /// What doesn't work as it should, for people.
    pub warnings: Vec<String>,
}

/// How much one node covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// One node for all sites in this browser.
    Browser,
    /// One node for this site.
    Site,
}

/// The leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaderStatus {
    /// Its leadership.
    pub epoch: Epoch,
    /// Its worker's boot.
    pub boot: Boot,
    /// What leads.
    pub kind: LeaderKind,
    /// Its build.
    pub build: String,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrameStatus {
    /// Which.
    pub id: FrameId,
    /// The embedding page's origin; the node's own for its own page.
    pub origin: String,
    /// The persona of its site; only with `observe`.
    pub persona: Option<String>,
    /// Links that it holds; only with `observe`, else 0.
    pub links: u32,
    /// Whether its page is visible.
    pub visible: bool,
}

/// One peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerStatus {
    /// The peer's persona.
    pub id: String,
    /// The persona of this node that is linked to it; only with `observe`.
    pub persona: Option<String>,
    /// Links to it.
    pub links: u32,
    /// Round trip in milliseconds; only with `observe`.
    pub rtt: Option<f64>,
    /// How it is reached.
    pub path: Path,
    /// The frames that hold the links; only with `observe`.
    pub frames: Vec<FrameId>,
}

/// How a peer is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Path {
    /// Browser to browser.
    Direct,
    /// Through the revproxy that the connection was opened at: for seconds, until a direct path is found; or for as long as one of the ends has
    /// no reason to connect directly.
    Proxied,
    /// Through a revproxy for as long as its budget lasts: no direct path was found.
    Relayed,
}
