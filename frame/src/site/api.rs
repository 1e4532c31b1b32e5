//! What goes into a [`Site`](super::Site) and what comes out.

use bitters_wire::{
    VersionRange,
    address::Owner,
    announce::Announcement,
    id::{Boot, Epoch, FrameId, LinkId},
    local::{Certificate, Envelope, LinkCommand, LinkEvent, ToFrame, ToLeader},
    rpc::{Event, Identity, Request},
    status::{Scope, Status},
};

/// What a frame is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// This incarnation.
    pub frame: FrameId,
    /// The embedding page's origin, from the browser; for the node's own page its own.
    pub origin: String,
    /// What the frame got from the browser.
    pub scope: Scope,
    /// The frame's build.
    pub build: String,
    /// The URL of the build's SharedWorker; `None` where the browser has none.
    pub worker: Option<String>,
    /// Whether the page is visible.
    pub visible: bool,
    /// Whether the frame itself shows the whole status: the node's own page.
    pub watching: bool,
    /// Random, for sessions and seals.
    pub seed: [u8; 32],
}

/// A fact, in the order of names.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Another context of the island announced something.
    Announced(Announcement),
    /// The site asks.
    Ask(Request),
    /// The certificate that [`Output::Certify`] asked for, or for people why there is none.
    Certified(Owner, Result<Certificate, String>),
    /// The way that [`Output::Connect`] asked for is there: what was said on an earlier one may be lost.
    Connected,
    /// The page was frozen or thawed.
    Frozen(bool),
    /// The site introduced itself.
    Host {
        /// Versions that its SDK speaks.
        versions: VersionRange,
        /// Which id it wants.
        identity: Identity,
    },
    /// The leader says this.
    Leader(Envelope<ToFrame>),
    /// What [`Output::WatchLeader`] waited for: this leader is dead, or handed over.
    LeaderGone(Boot),
    /// The page goes away.
    Leaving,
    /// A link in this frame reports.
    Link(LinkId, LinkEvent),
    /// The site said something that is no request; with the number it bore, or 0.
    Nonsense(u32),
    /// The network came back.
    Online,
    /// The frame has its lock: it may be seen.
    Started,
    /// It is as late as [`poll_timeout`](super::Site::poll_timeout) said.
    Timeout,
    /// The page was shown or hidden.
    Visible(bool),
}

/// An act for the shell, in the order of names.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Tell all contexts of the island.
    Announce(Announcement),
    /// Show this.
    Badge(Badge),
    /// Make a certificate for this owner's addresses, and keep it for all frames of the island; answered with
    /// [`Input::Certified`].
    Certify(Owner),
    /// Close the site's port: it was refused, or says nothing but nonsense.
    CloseHost,
    /// Open this way to a leader, in place of any other; answered with [`Input::Connected`].
    Connect(Line),
    /// Take part in the election from here: there is no SharedWorker that would.
    Contend {
        /// The leadership that is to be taken over, as it doesn't answer; zero if it was never heard of. `None` to wait for
        /// one's turn.
        after: Option<Epoch>,
    },
    /// Tell the leader.
    Leader(Envelope<ToLeader>),
    /// For a link in this frame.
    Link(LinkId, LinkCommand),
    /// Show the node: for its own page.
    Status(Status),
    /// Tell the site.
    Tell(Event),
    /// Wait for this leader's life lock, in place of any other's, and give it back at once; answered with [`Input::LeaderGone`].
    WatchLeader(Boot),
}

/// A way to a leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The BroadcastChannel of the frame's own.
    Channel,
    /// A port of a SharedWorker.
    Port {
        /// The worker's name.
        name: String,
        /// The worker's URL.
        worker: String,
    },
}

/// What the badge shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Badge {
    /// The node doesn't run here, and why.
    Failed(String),
    /// The node runs.
    Ready {
        /// The site's persona.
        id: String,
        /// Linked nodes.
        peers: u32,
        /// How much one node covers.
        scope: Scope,
    },
}
