//! What happens to an overlay, and what it does.

use bitters_wire::id::NodeId;

use crate::{
    message::{Card, Message, Reach, Secret, Target, Token},
    neighbours::Network,
    position::Position,
};

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Replies to a question that was [delivered](Output::Deliver).
    Answer {
        /// The question's name.
        id: u64,
        /// The reply, at most [`MAX_WORD`](crate::message::MAX_WORD) bytes. A longer one is none.
        word: Vec<u8>,
    },
    /// Asks something. It is answered once, with [`Output::Answered`].
    Ask {
        /// Chosen by whoever asks.
        token: u64,
        /// Of whom.
        to: Target,
        /// The question, at most [`MAX_WORD`](crate::message::MAX_WORD) bytes. A longer one isn't asked, and has no reply.
        word: Vec<u8>,
        /// Whether nobody may see that it began here.
        is_hidden: bool,
        /// Attempts at most, from 1 to 3: the last one takes three ways at once.
        attempts: u8,
    },
    /// Others that may be in the overlay, as a seed or a peer says.
    Candidates(Vec<Card>),
    /// A dial came to nothing.
    DialFailed(NodeId),
    /// What this node can give has changed.
    Own {
        /// Whom it can link with.
        reach: Reach,
        /// Whether it keeps near links only.
        light: bool,
    },
    /// A link is over.
    PeerDown(NodeId),
    /// A link is up, and its key proven.
    PeerUp {
        /// With whom.
        node: NodeId,
        /// Where its packets come from, if that is known.
        network: Option<Network>,
        /// Whether this node dialled.
        is_dialler: bool,
    },
    /// A neighbour says something.
    Received(NodeId, Message),
    /// Has somebody introduce this node without knowing it. Answered once, with [`Output::Registered`].
    Register {
        /// Chosen by whoever asks.
        token: u64,
        /// Where the introduction point is to stand.
        at: Position,
        /// New for each point; the same if the way there was [lost](Output::WayLost), or is to be renewed before it is [old](crate::ways::LIFE).
        secret: Secret,
    },
    /// The time that the overlay named has come.
    Timeout,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A question's outcome.
    Answered {
        /// As the question was asked with.
        token: u64,
        /// The reply. None: nobody was reached, or nobody replied, at any attempt.
        word: Option<Vec<u8>>,
        /// The attempt that was answered, from 1.
        attempt: u8,
    },
    /// A question for this node, to be [answered](Input::Answer) within a second: if it can't be read, with an empty reply, as it may be a test
    /// of who passed it on.
    Deliver {
        /// Its name.
        id: u64,
        /// For whom it was.
        to: Target,
        /// The neighbour that it came by. None: it began here.
        from: Option<NodeId>,
        /// The question.
        word: Vec<u8>,
    },
    /// Open a link: by an offer that is [asked](Input::Ask) of the node, or at its address. Ends with [`Input::PeerUp`] or
    /// [`Input::DialFailed`].
    Dial(NodeId),
    /// End a link.
    Drop(NodeId),
    /// A registration's outcome.
    Registered {
        /// As it was asked with.
        token: u64,
        /// The introduction point. None: there is none, and it may be asked for again.
        point: Option<NodeId>,
    },
    /// This node may be cut off from the others: link it with somebody from outside, a seed or a server.
    Seek,
    /// Say something to a neighbour.
    Send(NodeId, Message),
    /// The way from an introduction point is broken. It is to be [registered](Input::Register) again.
    WayLost(Token),
}
