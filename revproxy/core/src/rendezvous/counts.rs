//! How much there is, and what was said since the start, for those who operate a server.

use std::collections::HashMap;

use bitters_wire::{
    failure::Code,
    rendezvous::{ToNode, ToServer},
};

/// The question whether we are there, and its answer.
const ALIVE: &str = "alive";

/// How much the machine holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Connections, entered or not.
    pub connections: usize,
    /// Introductions remembered.
    pub introductions: usize,
    /// Keys that can be looked up.
    pub keys: usize,
    /// Connections whose node entered.
    pub nodes: usize,
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
    /// From a node. Whoever only asks whether we are there looks nobody up.
    pub(super) fn received(&mut self, message: &ToServer) {
        let kind = match message {
            message if *message == ToServer::ARE_YOU_THERE => ALIVE,
            ToServer::Advertise { .. } => "advertise",
            ToServer::Answer { .. } => "answer",
            ToServer::Discover { .. } => "discover",
            ToServer::Door { .. } => "door",
            ToServer::Enter(_) => "enter",
            ToServer::Forward { .. } => "forward",
            ToServer::Listen { .. } => "listen",
            ToServer::Lookup(_) => "lookup",
            ToServer::Register { .. } => "register",
            ToServer::Gone(_) => "gone",
            ToServer::Signal { .. } => "signal",
            ToServer::Unlisten(_) => "unlisten",
            ToServer::Unregister(_) => "unregister",
            ToServer::Withdraw { .. } => "withdraw",
        };
        *self.received.entry(kind).or_default() += 1;
    }

    /// To a node.
    pub(super) fn sent(&mut self, message: &ToNode) {
        let kind = match message {
            message if *message == ToNode::HERE_I_AM => ALIVE,
            ToNode::Challenge { .. } => "challenge",
            ToNode::Dialled { .. } => "dialled",
            ToNode::Door(_) => "door",
            ToNode::Entered { .. } => "entered",
            ToNode::Here(_) => "here",
            ToNode::Listening(_) => "listening",
            ToNode::Members { .. } => "members",
            ToNode::Missing(_) => "missing",
            ToNode::Refused { code, .. } => {
                *self.refused.entry(*code).or_default() += 1;
                "refused"
            }
            ToNode::Gone(_) => "gone",
            ToNode::Signal { .. } => "signal",
            ToNode::Unreachable { .. } => "unreachable",
        };
        *self.sent.entry(kind).or_default() += 1;
    }
}
