//! Frame and leader. Data goes over MessagePorts (or, with a dedicated leader, a BroadcastChannel of the frame's own).
//!
//! Each message is in an [`Envelope`] that names the leadership. A frame drops what comes from a lower epoch and registers
//! again when the boot changes; a leader drops what was meant for another.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    VersionRange,
    address::{Address, Fingerprint, Owner, Token},
    failure::Failure,
    id::{Boot, Epoch, FrameId, LinkId, PersonaId, Tag, TopicId},
    keys::{GrantProof, PersonaSecret, Signature},
    name::Name,
    packet::Packet,
    permission::{Answer, Permission, Permissions, SiteStatus},
    rendezvous::IceEnds,
    rpc::Identity,
    status::{Path, Scope, Status},
    topic::{HeardOf, MatchKey, MessageName},
};

/// A message with the leadership it belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// The leadership; zero from a frame that hasn't been welcomed.
    pub epoch: Epoch,
    /// The worker's boot; zero likewise.
    pub boot: Boot,
    /// What is said.
    pub message: T,
}

/// From a frame to its leader.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToLeader {
    /// First, and again after each change of leader or boot: everything the leader must know of the frame.
    Hello(Hello),
    /// The site accepted a stream or a call of a peer, or the peer one of the site's: it may know the network addresses of this browser.
    Accepted {
        /// Whom.
        peer: PersonaId,
        /// How many milliseconds ago.
        ago_ms: u64,
    },
    /// An address for the site's persona is wanted; answered with [`ToFrame::Address`].
    Address {
        /// The frame's request.
        request: u32,
    },
    /// The person blocks a peer for a site, or no longer does. From the node's own page.
    Block {
        /// For which site.
        origin: String,
        /// Whom.
        peer: PersonaId,
        /// Whether it is blocked from now on.
        blocked: bool,
    },
    /// The answer to [`ToFrame::Certify`].
    Certified {
        /// Whose certificate it is.
        owner: Owner,
        /// The certificate, or for people why there is none.
        outcome: Result<Certificate, String>,
    },
    /// A persona is to be made reachable; answered with [`ToFrame::Asked`].
    Dial {
        /// The frame's request.
        request: u32,
        /// Whom.
        peer: PersonaId,
        /// An address of theirs, verified, if the site has one.
        address: Option<Address>,
    },
    /// The site wants no sessions with a peer any longer, and no link; answered with [`ToFrame::Asked`].
    HangUp {
        /// The frame's request.
        request: u32,
        /// Whom.
        peer: PersonaId,
    },
    /// The site is in a topic from now on; answered with [`ToFrame::Asked`].
    Join {
        /// The frame's request.
        request: u32,
        /// Which topic.
        topic: TopicId,
        /// What other members are shown.
        matching: MatchKey,
    },
    /// The page is frozen (`freeze`) or thawed (`resume`). A frozen one carries no links.
    Frozen(bool),
    /// The frame leaves.
    Leaving {
        /// Whether it goes into another island, where its sessions go on; else its page goes away (`pagehide`).
        moves: bool,
    },
    /// The site left a topic.
    Leave(TopicId),
    /// Of a link that the frame holds.
    Link(LinkId, LinkEvent),
    /// The answer to [`ToFrame::HandingOver`]: the last word to this leader.
    LastWord,
    /// The network came back (`online`).
    Online,
    /// For a session elsewhere.
    Packet(Packet),
    /// The person lets no peer know the network addresses of this browser, or does again. Heard from the node's own page.
    Hide(bool),
    /// The person answered for a site. Heard from the node's own page, and from frames of that site itself.
    Permit {
        /// The site.
        origin: String,
        /// What it may do or not.
        permission: Permission,
        /// What the person answered.
        answer: Answer,
    },
    /// Is the leader there? Answered with [`ToFrame::Pong`].
    Ping,
    /// The answer to [`ToFrame::Ping`].
    Pong,
    /// For a topic that the frame is in; answered with [`ToFrame::Asked`].
    Publish {
        /// The frame's request.
        request: u32,
        /// Which topic.
        topic: TopicId,
        /// What the message is called: the same when it is said again.
        name: MessageName,
        /// What is said, sealed.
        #[serde(with = "serde_bytes")]
        body: Vec<u8>,
    },
    /// The site serves this from now on.
    Serve(Tag),
    /// A node author's own API; answered with [`ToFrame::Service`].
    Service {
        /// The frame's request.
        request: u32,
        /// Which service.
        name: Name,
        /// Which method.
        method: Name,
        /// The arguments: a JSON array.
        args: String,
    },
    /// The request's asker doesn't wait any longer.
    ServiceCancel {
        /// The frame's request.
        request: u32,
    },
    /// What the page shows of its persona in a topic that it is in.
    Show {
        /// Which topic.
        topic: TopicId,
        /// Since how many milliseconds.
        since_ms: u64,
        /// What, sealed: at most [`MAX_SHOWN`](crate::topic::MAX_SHOWN) bytes; none: nothing.
        #[serde(with = "serde_bytes")]
        what: Vec<u8>,
    },
    /// One status is wanted now.
    Status,
    /// The site doesn't serve this any longer.
    Unserve(Tag),
    /// The page was shown or hidden.
    Visible(bool),
    /// Statuses are wanted after each change, or not any longer.
    Watch(bool),
}

/// A certificate that the node's frames keep in their database, and what they can tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Its SHA-256.
    pub fingerprint: Fingerprint,
    /// When it expires, in milliseconds since 1970.
    pub expires: u64,
}

/// A frame introduces itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// This incarnation; the lock of the same name dies with it.
    pub frame: FrameId,
    /// The embedding page's origin, from the browser; for the node's own page its own.
    pub origin: String,
    /// What the frame got from the browser.
    pub scope: Scope,
    /// Which id the site wants. [`Identity::Person`] is granted with the permission only.
    pub identity: Identity,
    /// The persona that the site had in the island that the frame comes from, if it comes from one.
    pub brings: Option<PersonaSecret>,
    /// Whether the frame is in another partition, and reaches the leader over a bridge: the leader can't ask for its lock.
    pub remote: bool,
    /// Versions that the frame speaks.
    pub wire: VersionRange,
    /// The frame's build.
    pub build: String,
    /// Whether an earlier leader took it in.
    pub known: bool,
    /// By how many milliseconds a server's clock is ahead of the browser's, as an earlier leader told ([`ToFrame::Clock`]).
    pub ahead_ms: i64,
    /// Whether the page is visible.
    pub visible: bool,
    /// Whether the site wants statuses.
    pub watching: bool,
    /// What the site serves.
    pub serves: Vec<Tag>,
    /// Topics that the site is in.
    pub joined: Vec<Membership>,
    /// Personas that the site's sessions talk with.
    pub talks: Vec<PersonaId>,
    /// Links that the frame holds and that are up.
    pub links: Vec<HeldLink>,
    /// What the frame was told last, in whichever island that was.
    pub hiding: Hiding,
    /// The same of its site.
    pub blocked: Blocked,
}

/// A topic that a frame is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Which.
    pub topic: TopicId,
    /// What other members are shown.
    pub matching: MatchKey,
    /// Since how many milliseconds.
    pub since_ms: u64,
    /// What the page shows there.
    pub shows: Option<Showing>,
    /// What the frame heard there lately: of all its topics at most [`MAX_HEARD`](crate::limits::MAX_HEARD) messages.
    pub heard: Vec<(PersonaId, HeardOf)>,
}

/// What a page shows of its persona in a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Showing {
    /// Of which one: another's would have its peers see that the two are one.
    pub of: PersonaId,
    /// Since how many milliseconds.
    pub since_ms: u64,
    /// What, sealed: at most [`MAX_SHOWN`](crate::topic::MAX_SHOWN) bytes; none: nothing.
    #[serde(with = "serde_bytes")]
    pub what: Vec<u8>,
}

/// Peers that the person blocked for a site. The latest decision counts, and goes where the site's frames go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// Whom, at most [`MAX_BLOCKED`](crate::limits::MAX_BLOCKED).
    pub peers: Vec<PersonaId>,
    /// When that was decided, in milliseconds since 1970; 0 if it never was.
    pub decided: u64,
}

/// Whether the person lets peers know the network addresses of this browser. The latest decision counts, and goes where frames go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hiding {
    /// Whether no peer may know them.
    pub hides: bool,
    /// When that was decided, in milliseconds since 1970; 0 if it never was.
    pub decided: u64,
}

/// A link that is up in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldLink {
    /// Which.
    pub link: LinkId,
    /// The persona at this end, which was the frame's own when the link was made.
    pub own: PersonaId,
    /// The persona at the other end.
    pub peer: PersonaId,
    /// Whether anything was said on it; a standby is silent.
    pub used: bool,
    /// How the peer is reached on it.
    pub path: Path,
    /// Whether the peer may know our network addresses.
    pub direct: bool,
    /// Its two ends.
    pub bond: Bond,
}

/// From the leader to a frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToFrame {
    /// The answer to [`ToLeader::Address`].
    Address {
        /// The frame's request.
        request: u32,
        /// The address as text, or why there is none.
        outcome: Result<String, Failure>,
    },
    /// The answer to [`ToLeader::Dial`], [`ToLeader::Join`] or [`ToLeader::Publish`].
    Asked {
        /// The frame's request.
        request: u32,
        /// Whether it is done: there is a way to the persona now, the topic is joined, the message is on its way.
        outcome: Result<(), Failure>,
    },
    /// Whom the person blocked for the site; after each change.
    Blocked(Blocked),
    /// A new certificate for addresses is to be made and kept; answered with [`ToLeader::Certified`]. What expired may go.
    Certify {
        /// Who is to answer with it.
        owner: Owner,
    },
    /// By how many milliseconds a server's clock is ahead of the browser's. The next leader learns it from the frame's hello.
    Clock(i64),
    /// A frame of a persona that the site talks with is gone, and its sessions with it.
    FrameGone {
        /// Whose.
        persona: PersonaId,
        /// Which.
        frame: FrameId,
    },
    /// Another page of the site hung up on this peer: all sessions with it are over.
    HangUp(PersonaId),
    /// This peer hung up: all sessions with it are over.
    HungUp(PersonaId),
    /// For a link in this frame.
    Link(LinkId, LinkCommand),
    /// The leader hands over to the next: nothing is to be said until that welcomes the frame. Answered with
    /// [`ToLeader::LastWord`].
    HandingOver,
    /// For a session of the frame's site.
    Packet(Packet),
    /// What the person lets the frame's site do; after each change.
    Permissions(Permissions),
    /// There is a way again to this persona, which the site talks with: what was under way when the last broke may be lost.
    PathRestored(PersonaId),
    /// Peers that the frame's persona is linked to, for the badge; after each change.
    Peers(u32),
    /// Is the frame there? Answered with [`ToLeader::Pong`].
    Ping,
    /// The answer to [`ToLeader::Ping`].
    Pong,
    /// The hello is refused; nothing more follows.
    Rejected(Failure),
    /// The answer to [`ToLeader::Service`].
    Service {
        /// The frame's request.
        request: u32,
        /// One of a sequence; ends with anything but [`ServiceReply::Next`].
        reply: ServiceReply,
    },
    /// A peer that is being dialled can be spoken with already: what is said goes by others until there is a link. If the dial fails, it is over.
    Early(PersonaId),
    /// Whether the person lets peers know the network addresses of this browser; after each change to all frames, and to those of the node's own
    /// page when they begin to watch.
    Hides(Hiding),
    /// All sites that the node knows, by their origins; to frames of the node's own page that watch, one now and one after each change.
    Sites(Vec<SiteStatus>),
    /// What a member of a topic shows: one that the frame was told of, or its own persona; after each change.
    Shown {
        /// Which topic.
        topic: TopicId,
        /// Who.
        from: PersonaId,
        /// What, sealed; none: nothing.
        #[serde(with = "serde_bytes")]
        shows: Vec<u8>,
    },
    /// The answer to [`ToLeader::Status`] and [`ToLeader::Watch`].
    Status(Status),
    /// A message of a topic that the frame is in. Who says it is verified.
    Topic {
        /// Which topic.
        topic: TopicId,
        /// The author.
        from: PersonaId,
        /// What the author calls it.
        name: MessageName,
        /// When it was said, in milliseconds since 1970, by the author's clock.
        time: u64,
        /// How many milliseconds ago that is, as far as the clocks agree.
        ago_ms: u32,
        /// What is said, sealed.
        #[serde(with = "serde_bytes")]
        body: Vec<u8>,
    },
    /// Who else is in a topic: the whole list, after each change.
    TopicPeers {
        /// Which topic.
        topic: TopicId,
        /// Personas other than the frame's own, in order of their keys: at most [`MAX_PEERS_TOLD`](crate::limits::MAX_PEERS_TOLD).
        peers: Vec<PersonaId>,
        /// Whether there are more.
        more: bool,
    },
    /// The answer to [`Hello`].
    Welcome(Welcome),
}

/// The leader takes a frame in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version both speak.
    pub wire: u16,
    /// The secret of the persona of the frame's own site, and no other.
    pub persona: PersonaSecret,
    /// Whose that is: the site's own, or the person's on all sites.
    pub identity: Identity,
    /// What the person lets the site do.
    pub permissions: Permissions,
    /// Peers that the persona is linked to, for the badge.
    pub peers: u32,
    /// What the person decided last.
    pub hiding: Hiding,
    /// Whom they blocked for the site.
    pub blocked: Blocked,
}

/// A service's reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceReply {
    /// The sequence ended.
    End,
    /// The method failed.
    Failed(Failure),
    /// One value of a sequence, as JSON text.
    Next(String),
    /// The one value, as JSON text; empty for none (`undefined`).
    Value(String),
}

/// What a frame reports of a link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum LinkEvent {
    /// The link is over.
    Down(DownReason),
    /// So many bytes of what was to be sent have gone on since this was told last: at most
    /// [`DRAIN_REPORT`](crate::limits::DRAIN_REPORT) are not told of.
    Drained(u32),
    /// The proxy is to go on forwarding for a peer who dialled an address of ours: between ends with these credentials if no direct path was
    /// found, with those of the dial if none is looked for.
    Forward(Option<IceEnds>),
    /// The path changed.
    Path(Path),
    /// A whole [`LinkMessage`](crate::link::LinkMessage), undecoded.
    Received(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The measured round trip in microseconds.
    RoundTrip(u32),
    /// Bytes that the persona's key is to sign for this link's identity; answered with [`LinkCommand::Signed`].
    Sign {
        /// What is signed.
        text: IdentityText,
        /// That the peer has our grant, as it says.
        proof: Option<GrantProof>,
    },
    /// A compact signal for the peer.
    Signal(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Both identities are verified: application bytes may pass.
    Up(PersonaId),
}

/// What the leader wants of a link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum LinkCommand {
    /// Make a connection.
    Dial(Dial),
    /// The peer may know our network addresses from now on.
    GoDirect,
    /// Close it.
    HangUp,
    /// See whether the peer still answers: if not, the link is over soon.
    Probe,
    /// The network changed: see whether the peer still answers, and look for a better path.
    Restart,
    /// A whole [`LinkMessage`](crate::link::LinkMessage), encoded.
    Send(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The peer's compact signal.
    Signal(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The persona's signature for [`LinkEvent::Sign`].
    Signed(Signature),
}

/// How a connection is made, and to whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dial {
    /// For whom: the frame's own persona.
    pub own: PersonaId,
    /// Whom; any other identity is refused. `None`: whoever dials an address of ours.
    pub peer: Option<PersonaId>,
    /// What is known of the peer.
    pub door: Door,
    /// Whether the peer may know our network addresses from the start, and our browser may try the peer's.
    pub direct: bool,
    /// Servers that tell the browser how the world sees it (STUN), at most [`MAX_PROXIES`](crate::address::MAX_PROXIES).
    pub stun: Vec<SocketAddr>,
}

/// The way into a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Door {
    /// An address: nothing is signalled.
    Address {
        /// Of the certificate that the peer must answer with.
        fingerprint: Fingerprint,
        /// What the proxies know the peer by.
        token: Token,
        /// Where.
        proxies: Vec<SocketAddr>,
        /// That we have the peer's grant.
        proof: Option<GrantProof>,
    },
    /// Somebody dials an address of ours: their signal is on its way, and ours is for the proxy.
    Introduced {
        /// Of the certificate to answer with, which the frames keep.
        fingerprint: Fingerprint,
        /// Where the server said that its proxy is: the browser sends nowhere else, whatever the signal names.
        proxies: Vec<SocketAddr>,
    },
    /// Two messages, on some way that exists.
    Signals,
}

/// Why a link is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum DownReason {
    /// The data channel or the connection closed or failed.
    Closed,
    /// No connection within [`DIAL_TIMEOUT`](crate::limits::DIAL_TIMEOUT).
    DialTimeout,
    /// The frame that held it is gone.
    FrameGone,
    /// The frame that held it says nothing any longer: it is frozen, or stuck.
    FrameSilent,
    /// The leader hung up.
    HungUp,
    /// The peer proved another identity, or none.
    Identity,
    /// The browser refused a step, or has no network path.
    Platform,
    /// The peer broke the protocol.
    Protocol,
    /// The peer's build speaks none of our versions of the wire.
    VersionMismatch,
}

/// What a link's ends sign (peer-protocol: "Who is it"). The leader makes the signed bytes from it, so a frame can have
/// nothing else signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityText {
    /// Whether the signer is A.
    pub signer_is_a: bool,
    /// A is the end with the lower DTLS fingerprint.
    pub a: IdentityEnd,
    /// B is the other.
    pub b: IdentityEnd,
}

/// The SHA-256 of what the ends of one link sign: no other link has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bond(#[serde(with = "serde_bytes")] pub [u8; 32]);

/// One end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityEnd {
    /// The persona.
    pub id: PersonaId,
    /// SHA-256 of its certificate, from the description in force.
    pub fingerprint: [u8; 32],
    /// 16 random bytes of this connection.
    pub nonce: [u8; 16],
}

impl IdentityText {
    /// The bytes that are signed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { signer_is_a, a, b } = self;
        let role: &[u8] = if *signer_is_a { b"A" } else { b"B" };
        let domain: &[u8] = b"bitters/peercon/2";
        [domain, role, &a.id.0, &b.id.0, &a.fingerprint, &b.fingerprint, &a.nonce, &b.nonce].concat()
    }

    /// The two ends and their connection, the same at both.
    #[must_use]
    pub fn bond(&self) -> Bond {
        Bond(Sha256::digest(Self { signer_is_a: true, ..*self }.to_bytes()).into())
    }

    /// The persona that signs.
    #[must_use]
    pub const fn signer(&self) -> PersonaId {
        if self.signer_is_a { self.a.id } else { self.b.id }
    }

    /// The persona at the other end.
    #[must_use]
    pub const fn other(&self) -> PersonaId {
        if self.signer_is_a { self.b.id } else { self.a.id }
    }
}
