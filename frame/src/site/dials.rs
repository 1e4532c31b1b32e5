//! Peers that the leader was asked to reach, once for all that wait for the same.

use bitters_wire::{address::Address, id::PersonaId, local::ToLeader, map::Map};

use super::{
    Site,
    requests::{CallState, Pending, StreamState},
};

impl Pending {
    /// The peer that is to be reached first, and at which address, if the site gave one.
    fn dials(&self) -> Option<(PersonaId, Option<&Address>)> {
        match self {
            Self::Dial(peer, address) => Some((*peer, address.as_deref())),
            Self::Call(CallState::Dialling { peer, .. }) | Self::Stream(StreamState::Dialling { peer, .. }) => {
                Some((*peer, None))
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

    /// The leader answered a request: all requests that the answer is for.
    pub(super) fn dial_ended(&mut self, id: u32) -> Vec<u32> {
        let Some(peer) = self.dialled.iter().find_map(|(peer, asked)| (*asked == id).then_some(*peer)) else {
            return vec![id];
        };
        self.dialled.remove(&peer);
        let waits = |pending: &Pending| pending.dials() == Some((peer, None));
        self.requests.iter().filter(|(_, pending)| waits(pending)).map(|(id, _)| *id).collect()
    }
}

/// What the leader is to be asked, unless another request has asked the same.
fn ask(dialled: &mut Map<PersonaId, u32>, request: u32, pending: &Pending) -> Option<ToLeader> {
    let (peer, address) = pending.dials()?;
    if address.is_none() {
        if dialled.contains_key(&peer) {
            return None;
        }
        dialled.insert(peer, request);
    }
    Some(ToLeader::Dial { request, peer, address: address.cloned() })
}
