//! What goes into a [`Node`](crate::Node) and what comes out.

use bitters_wire::{
    address::Owner,
    announce::LeaderKind,
    id::{Boot, Epoch, FrameId, PersonaId},
    keys::NodeSecret,
    local::{ServiceReply, ToFrame, ToLeader},
    name::Name,
    permission::Permissions,
    rendezvous::{ToNode, ToServer},
};

use crate::{
    server::addresses::Kept,
    server::seeds::{Seed, SeedId},
    sites::KnownSite,
};

/// What a node is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's secret, from the store.
    pub secret: NodeSecret,
    /// This leadership; higher than all before it.
    pub epoch: Epoch,
    /// This boot of the worker.
    pub boot: Boot,
    /// What leads.
    pub kind: LeaderKind,
    /// The worker's build.
    pub build: String,
    /// Origins whose sites may see the whole node, unless the person said no.
    pub observe: Vec<String>,
    /// The node's own origin: its own page sees the whole node, too.
    pub page_origin: String,
    /// Stored and shipped seeds, merged (see [`merge`](crate::server::seeds::merge)).
    pub seeds: Vec<Seed>,
    /// What is known of sites, as it was stored.
    pub sites: Vec<KnownSite>,
    /// Certificates that the node's frames keep for its addresses, as they were stored.
    pub certificates: Vec<(Owner, Kept)>,
    /// What went wrong before the node was started; shown in its status.
    pub warnings: Vec<String>,
    /// For the node's dice: jitter and the numbers of links.
    pub seed: u64,
}

/// A fact, in the order of names.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A worker of this build waits to lead.
    Candidate {
        /// Its build.
        build: String,
    },
    /// A frame says this. A frame's first message is its hello; what others say before theirs is ignored.
    Frame(FrameId, ToLeader),
    /// The frame is gone: the lock named by its id was granted to us.
    FrameGone(FrameId),
    /// The frame's lock was free as soon as it was asked for. That proves nothing: the frame is asked whether it is there.
    FrameUnseen(FrameId),
    /// A leadership of this epoch and boot says that it leads.
    LeaderUp(Epoch, Boot),
    /// A service replies to [`Output::Service`].
    ServiceReply {
        /// Who asked.
        frame: FrameId,
        /// The frame's request.
        request: u32,
        /// One of a sequence; ends with anything but [`ServiceReply::Next`].
        reply: ServiceReply,
    },
    /// It is as late as [`poll_timeout`](crate::Node::poll_timeout) said.
    Timeout,
    /// Of the socket to the rendezvous.
    Uplink(UplinkEvent),
    /// Something doesn't work as it should: the store, a seed file. Shown in the node's status.
    Warning(String),
    /// The time of day in milliseconds since 1970, told once in a while, to date what is learned of seeds.
    WallClock(u64),
}

/// An act for the shell, in the order of names.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// The frame's port may be closed: the frame is gone or refused. What was said to it before is delivered first.
    ForgetFrame(FrameId),
    /// Store nothing of this seed any longer.
    ForgetSeed(SeedId),
    /// Store nothing of the site at this origin any longer.
    ForgetSite(String),
    /// Tell a frame.
    Frame(FrameId, ToFrame),
    /// The leadership is over by our own will: close the frames' ports, once what was said to them is on its way, and give the locks
    /// back. Nothing follows.
    HandOver,
    /// Store that the node's frames keep this certificate for an owner's addresses, beside those stored before.
    SaveCertificate(Owner, Kept),
    /// Store what is known of a seed, in place of what was stored of it.
    SaveSeed(Seed),
    /// Store what is known of a site, in place of what was stored of its origin.
    SaveSite(KnownSite),
    /// Run a node author's service; answered with [`Input::ServiceReply`].
    Service {
        /// Who asks.
        frame: FrameId,
        /// The frame's request.
        request: u32,
        /// The asking site.
        origin: String,
        /// The asking site's persona.
        persona: PersonaId,
        /// What the person lets the asking site do.
        permissions: Permissions,
        /// Which service.
        name: Name,
        /// Which method.
        method: Name,
        /// The arguments: a JSON array.
        args: String,
    },
    /// Nobody waits for this service's replies any longer.
    ServiceCancel {
        /// Who asked.
        frame: FrameId,
        /// The frame's request.
        request: u32,
    },
    /// For the socket to the rendezvous.
    Uplink(UplinkCommand),
    /// Ask for the lock named by the frame's id, and report it with [`Input::FrameGone`] or [`Input::FrameUnseen`].
    WatchFrame(FrameId),
}

/// What a shell reports of the socket to the rendezvous.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UplinkEvent {
    /// It is closed, or could not be opened. Follows each [`UplinkCommand::Connect`] once, sooner or later.
    Closed,
    /// It is open.
    Open {
        /// The server by its name: host, and port unless it is the scheme's own, as the browser says it to the server.
        server: String,
    },
    /// The server says this.
    Received(ToNode),
}

/// What a shell does with the socket to the rendezvous; there is one at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UplinkCommand {
    /// Close it. Ends with [`UplinkEvent::Closed`].
    Close,
    /// Open one to this URL, from a seed.
    Connect(String),
    /// Tell the server.
    Send(ToServer),
}
