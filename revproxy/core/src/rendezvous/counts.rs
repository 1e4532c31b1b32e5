//! How much there is, and what was said since the start, for those who operate a server.

use std::collections::HashMap;

use bitters_wire::{
    failure::Code,
    id::NodeId,
    rendezvous::{ToNode, ToServer},
};

/// The question whether we are there, and its answer.
const ALIVE: &str = "alive";

/// How much the machine holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Connections, registered or not.
    pub connections: usize,
    /// Introductions remembered.
    pub introductions: usize,
    /// Registered nodes.
    pub nodes: usize,
    /// Personas that can be looked up.
    pub personas: usize,
    /// Source addresses remembered.
    pub sources: usize,
    /// Addresses that are listened at.
    pub tokens: usize,
    /// Topics with a member.
    pub topics: usize,
}

/// Messages, by kind. They only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// From nodes, as far as they could be decoded and were not too many.
    pub received: HashMap<&'static str, u64>,
    /// Of those sent, the refusals.
    pub refused: HashMap<Code, u64>,
    /// To nodes.
    pub sent: HashMap<&'static str, u64>,
}

impl Counts {
    /// From a registered `node`, or from one that isn't registered. Whoever only asks whether we are there looks nobody up.
    pub(super) fn received(&mut self, message: &ToServer, node: Option<NodeId>) {
        let kind = match message {
            message if node.is_some_and(|node| *message == ToServer::are_you_there(node)) => ALIVE,
            ToServer::Advertise(_) => "advertise",
            ToServer::Answer { .. } => "answer",
            ToServer::Discover(_) => "discover",
            ToServer::Forward { .. } => "forward",
            ToServer::Listen { .. } => "listen",
            ToServer::Lookup(_) => "lookup",
            ToServer::Persona { .. } => "persona",
            ToServer::Register { .. } => "register",
            ToServer::Signal { .. } => "signal",
            ToServer::Unlisten(_) => "unlisten",
            ToServer::Unpersona(_) => "unpersona",
            ToServer::Withdraw(_) => "withdraw",
        };
        *self.received.entry(kind).or_default() += 1;
    }

    /// To a registered `node`, or to one that isn't registered.
    pub(super) fn sent(&mut self, message: &ToNode, node: Option<NodeId>) {
        let kind = match message {
            message if node.is_some_and(|node| message.is_here(node)) => ALIVE,
            ToNode::Challenge { .. } => "challenge",
            ToNode::Dialled { .. } => "dialled",
            ToNode::Found(_) => "found",
            ToNode::Listening(_) => "listening",
            ToNode::Members { .. } => "members",
            ToNode::Missing(_) => "missing",
            ToNode::Refused { code, .. } => {
                *self.refused.entry(*code).or_default() += 1;
                "refused"
            }
            ToNode::Registered { .. } => "registered",
            ToNode::Signal { .. } => "signal",
            ToNode::Unreachable(_) => "unreachable",
        };
        *self.sent.entry(kind).or_default() += 1;
    }
}
