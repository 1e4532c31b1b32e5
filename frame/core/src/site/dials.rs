//! Peers that the leader was asked to reach, once for all streams and calls that wait for the same. A site's own dials are each asked for, and
//! bounded, by themselves.

use bitters_machine::{map::Map, time::Instant};
use bitters_wire::{failure::Failure, id::PersonaId, local::ToLeader};

use super::{
    Site,
    requests::{CallState, Pending, StreamState},
};

impl Pending {
    /// The peer that is to be reached first.
    const fn needs(&self) -> Option<PersonaId> {
        match self {
            Self::Call(CallState::Dialling { peer, .. }) | Self::Stream(StreamState::Dialling { peer, .. }) => {
                Some(*peer)
            }
            _ => None,
        }
    }
}

impl Site {
    /// The request waits until its peer is reached.
    pub(super) fn wait_for(&mut self, id: u32, pending: Pending) {
        let dial = ask(&mut self.dialled, id, &pending);
        self.requests.insert(id, pending);
        if let Some(dial) = dial {
            self.send(dial);
        }
    }

    /// A new leader is asked what waits still.
    pub(super) fn dials_again(&mut self) -> Vec<ToLeader> {
        self.dialled.clear();
        self.requests.iter().filter_map(|(id, pending)| ask(&mut self.dialled, *id, pending)).collect()
    }

    /// The leader answered a request: all requests that the answer is for. Where there is no way to the peer, sessions with it that were opened
    /// meanwhile and that it never answered are over, too.
    pub(super) fn dial_ended(&mut self, id: u32, outcome: &Result<(), Failure>, now: Instant) -> Vec<u32> {
        let Some(peer) = self.dialled.iter().find_map(|(peer, asked)| (*asked == id).then_some(*peer)) else {
            return vec![id];
        };
        self.dialled.remove(&peer);
        if let Err(failure) = outcome {
            self.reachable.remove(&peer);
            self.endpoint_input(bitters_session::Input::Unreachable(peer, failure.clone()), now);
        }
        self.waiting_for(peer)
    }

    /// The leader has a way for what is said to a peer first, while it is being dialled: nothing waits for that.
    pub(super) fn on_early(&mut self, peer: PersonaId, now: Instant) {
        if self.dialled.contains_key(&peer) {
            for id in self.waiting_for(peer) {
                self.on_answer(id, Ok(()), now);
            }
        }
    }

    fn waiting_for(&self, peer: PersonaId) -> Vec<u32> {
        let waits = |pending: &Pending| pending.needs() == Some(peer);
        self.requests.iter().filter(|(_, pending)| waits(pending)).map(|(id, _)| *id).collect()
    }
}

/// What the leader is to be asked, unless another request has asked the same.
fn ask(dialled: &mut Map<PersonaId, u32>, request: u32, pending: &Pending) -> Option<ToLeader> {
    if let Pending::Dial(peer, address) = pending {
        return Some(ToLeader::Dial { request, peer: *peer, address: address.as_deref().cloned() });
    }
    let peer = pending.needs().filter(|peer| !dialled.contains_key(peer))?;
    dialled.insert(peer, request);
    Some(ToLeader::Dial { request, peer, address: None })
}
