//! What happens next, and to whom.

use bitters_revproxy_core::rendezvous::ConnId;
use bitters_wire::{
    address::Owner,
    announce::Announcement,
    id::{Boot, FrameId, LinkId},
    local::{Certificate, Envelope, ToFrame, ToLeader},
    rendezvous::ToNode,
    rpc::Request,
};

use crate::{browser::WorkerId, connection::End, fault::Pair};

/// What becomes known, and to whom.
#[derive(Clone, Debug)]
pub enum Event {
    /// A check of a browser's that dials an address arrives at the proxy: which dial.
    Check(usize),
    /// A check of the browser that answered that arrives there.
    CheckBack(usize),
    /// A frame takes something in.
    Frame(FrameId, Fact),
    /// The rendezvous hears something.
    Server(ConnId, Vec<u8>),
    /// The world changes.
    Turn(Turn),
    /// A worker takes something in.
    Worker(usize, WorkerId, News),
}

/// What a frame takes in, in the order of names.
#[derive(Clone, Debug)]
pub enum Fact {
    Announced(Announcement),
    Asked(Request),
    /// The connection's other end closed it.
    Bye(LinkId, End),
    Certified(Owner, Result<Certificate, String>),
    Connected,
    Data(LinkId, Vec<u8>),
    /// The connection has had its time to stand.
    Deadline(LinkId),
    /// Said by a leader through the port of this number.
    Heard(u64, Envelope<ToFrame>),
    /// A leader's life lock was granted.
    LeaderGone(Boot),
    /// A leader's life lock was free as soon as it was asked for.
    LeaderUnseen(Boot),
    /// ICE gives up, if the other end still can't be reached.
    Lost(LinkId),
    /// The page's reader has room again.
    Reads(u32),
    Replies(u32),
    Signal(LinkId),
    Stands(LinkId),
}

/// What a worker takes in, in the order of names.
#[derive(Clone, Debug)]
pub enum News {
    Announced(Announcement),
    FrameGone(FrameId),
    FrameUnseen(FrameId),
    /// Said by a frame through the port of this number.
    Heard(FrameId, u64, Envelope<ToLeader>),
    /// Its turn to lead may have come.
    Leads,
    SocketCloses(ConnId),
    SocketOpens(ConnId),
    SocketRefused,
    SocketSays(ConnId, ToNode),
}

/// How the world changes by itself.
#[derive(Clone, Copy, Debug)]
pub enum Turn {
    /// A hostile member does something.
    Intrigues(usize),
    /// The server has pinged a socket in vain.
    Missed(ConnId),
    /// Browsers that were apart meet again.
    Repaired(Pair),
    /// The server, that fell silent at the silence of this number.
    Speaks(usize),
    /// A hostile node does something.
    Strikes(usize),
    Thaws(FrameId),
    Wakes(usize),
}

/// What keeps its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pipe {
    Broadcast(FrameId),
    Channel(End),
    Host(FrameId),
    PortDown(FrameId, u64),
    PortUp(FrameId, u64),
    SocketDown(u64),
    SocketUp(u64),
}
