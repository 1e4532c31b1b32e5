//! What neighbours say to each other.
//!
//! Bounds are part of the types' docs, and [`Message::decode`] refuses what exceeds them.

use std::fmt;

use bitters_wire::{
    codec::{self, DecodeError},
    id::NodeId,
};
use serde::{Deserialize, Serialize};

use crate::position::Position;

/// Bytes of a question or a reply, at most.
pub const MAX_WORD: usize = 900;
/// Nodes in a list, at most.
pub const MAX_LIST: usize = 32;
/// Hops of a route, at most: those into dead ends count.
pub const MAX_HOPS: u8 = 24;
/// Nodes in a trail, at most.
pub const MAX_TRAIL: usize = 16;
/// Bytes of any message, at most: a full list, or a route with its trail.
pub const MAX_MESSAGE: usize = 2048;

/// Who a node's network lets it link with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reach {
    /// It can link with everybody: no NAT, or one that gives a port the same address whoever is spoken with (RFC 4787, section 4.1).
    Easy,
    /// It can link with easy nodes only. So is who doesn't know.
    Hard,
}

impl Reach {
    /// Whether two nodes can link.
    #[must_use]
    pub fn links_with(self, other: Self) -> bool {
        self == Self::Easy || other == Self::Easy
    }
}

/// A node, as others speak of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Its key.
    pub node: NodeId,
    /// Whom it can link with.
    pub reach: Reach,
    /// Whether it keeps near links only, and passes nothing on that it can avoid: in the background, or on a metered connection.
    pub light: bool,
}

/// By what a node that registered is reached at its introduction point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Token(pub [u8; 16]);

/// By what it registers, and registers again: random bytes, of which the [token](Token::of) is made.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(pub [u8; 16]);

/// For whom a route is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// Whoever registered by this token at that introduction point.
    Introduced {
        /// The introduction point.
        at: NodeId,
        /// The token.
        token: Token,
    },
    /// Whoever stands nearest.
    Nearest(Position),
    /// This node and nobody else.
    Node(NodeId),
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// Who stands near the target? The overlay itself replies with [`Reply::Found`].
    Find,
    /// Be the introduction point of who sends this, which nobody sees. The overlay itself replies with [`Reply::Registered`].
    Register(Secret),
    /// Bytes for whoever runs the overlay there, at most [`MAX_WORD`].
    Word(#[serde(with = "serde_bytes")] Vec<u8>),
}

/// What is replied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Who stands near the target, nearest first: at most [`MAX_LIST`].
    Found(Vec<Card>),
    /// This node is the introduction point now.
    Registered(NodeId),
    /// Bytes, at most [`MAX_WORD`].
    Word(#[serde(with = "serde_bytes")] Vec<u8>),
}

/// A question under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Its random name. Each attempt has another.
    pub id: u64,
    /// For whom it is.
    pub to: Target,
    /// How many hops it may still take, those into dead ends too: at most [`MAX_HOPS`].
    pub hops: u8,
    /// Whether it goes anywhere, so that nobody sees where it began. As long as it does, it has no trail, and no hop is counted.
    pub walks: bool,
    /// Who has passed it on, by the upper half of their positions: at most [`MAX_TRAIL`].
    pub trail: Vec<u32>,
    /// What is asked.
    pub question: Question,
}

/// Why a route came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// The sender passes too much on already.
    Busy,
    /// The sender knows no way on.
    DeadEnd,
    /// The sender had the route before, or it took too many hops.
    Loop,
}

/// One message between two neighbours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Who the sender is: the first message on a link, and again when it changes.
    About {
        /// Whom it can link with.
        reach: Reach,
        /// Whether it is light.
        light: bool,
    },
    /// The way by which somebody registered is over: it is broken beyond the sender, or there is another.
    Lost(Token),
    /// Whom the sender is linked with, besides the receiver.
    Near {
        /// Whether `add` is the whole list, in place of what was said before.
        full: bool,
        /// Who came, at most [`MAX_LIST`].
        add: Vec<Card>,
        /// Who went, at most [`MAX_LIST`].
        drop: Vec<NodeId>,
    },
    /// A question to pass on, or for the receiver.
    Route(Route),
    /// The sender has the route, and sees to it.
    RouteAck {
        /// Its name.
        id: u64,
    },
    /// The reply to a route, on its way back.
    RouteBack {
        /// The route's name.
        id: u64,
        /// What was replied.
        reply: Reply,
    },
    /// A route came to nothing here. The receiver looks for another way.
    RouteEnd {
        /// Its name.
        id: u64,
        /// Why.
        why: End,
        /// How many hops it may still take, at most [`MAX_HOPS`].
        hops: u8,
    },
    /// Whether the sender wants this link for itself. It ends when neither end does. Who dialled does at first; who was dialled doesn't.
    Want(bool),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Message {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads a message that a neighbour wrote.
    ///
    /// # Errors
    /// If it isn't one, isn't written in the one way in which [`encode`](Self::encode) does, or exceeds a bound.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let message: Self = codec::decode_foreign(bytes, MAX_MESSAGE)?;
        if message.is_bounded() { Ok(message) } else { Err(DecodeError::Malformed { what: "Message" }) }
    }

    fn is_bounded(&self) -> bool {
        match self {
            Self::Near { add, drop, .. } => add.len() <= MAX_LIST && drop.len() <= MAX_LIST,
            Self::Route(route) => route.is_bounded(),
            Self::RouteBack { reply: Reply::Found(cards), .. } => cards.len() <= MAX_LIST,
            Self::RouteBack { reply: Reply::Word(word), .. } => word.len() <= MAX_WORD,
            Self::RouteBack { reply: Reply::Registered(_), .. } | Self::Lost(_) => true,
            Self::RouteEnd { hops, .. } => *hops <= MAX_HOPS,
            Self::About { .. } | Self::RouteAck { .. } | Self::Want(_) => true,
        }
    }
}

impl Route {
    fn is_bounded(&self) -> bool {
        let is_word_bounded = match &self.question {
            Question::Find | Question::Register(_) => true,
            Question::Word(word) => word.len() <= MAX_WORD,
        };
        is_word_bounded && self.hops <= MAX_HOPS && self.trail.len() <= MAX_TRAIL
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_exceeds_a_bound_is_no_message() {
        let card = |byte| Card { node: NodeId([byte; 32]), reach: Reach::Hard, light: true };
        let near = |count: usize| Message::Near { full: true, add: vec![card(1); count], drop: vec![] };
        let word = |len| Message::RouteBack { id: 1, reply: Reply::Word(vec![7; len]) };
        let route = |hops| Message::Route(Route { hops, ..route() });
        for (message, is_bounded) in [
            (near(MAX_LIST), true),
            (near(MAX_LIST + 1), false),
            (word(MAX_WORD), true),
            (word(MAX_WORD + 1), false),
            (route(MAX_HOPS), true),
            (route(MAX_HOPS + 1), false),
        ] {
            assert_eq!(Message::decode(&message.encode()).is_ok(), is_bounded, "{message:?}");
        }
    }

    proptest! {
        #[test]
        fn a_message_has_one_spelling(bytes in prop::collection::vec(prop_oneof![0..7_u8, any::<u8>()], 0..120)) {
            if let Ok(message) = Message::decode(&bytes) {
                prop_assert_eq!(message.encode(), bytes);
            }
        }
    }

    fn route() -> Route {
        let to = Target::Nearest(Position(9));
        Route { id: 7, to, hops: 4, walks: true, trail: vec![1, 2], question: Question::Word(vec![0; MAX_WORD]) }
    }
}
