//! One machine whose browser and peer are a script.

use bitters_machine::{Machine, time::Instant};
use bitters_wire::{
    VersionRange, WIRE,
    id::PersonaId,
    keys::{PersonaSecret, Signature},
    local::{Door, IdentityEnd, IdentityText},
};

use crate::{Config, Fingerprint, Input, Output, Peercon, control::Control, sdp};

pub const OFFER: &str = include_str!("../../tests/sdp/chromium.sdp");
pub const PEERS_OFFER: &str = include_str!("../../tests/sdp/firefox.sdp");
pub const NOW: Instant = Instant::START;
pub const NONCE: [u8; 16] = [0x0a; 16];
pub const PEERS_NONCE: [u8; 16] = [0x0b; 16];

pub fn us() -> PersonaSecret {
    PersonaSecret::new([1; 32])
}

pub fn peer() -> PersonaSecret {
    PersonaSecret::new([2; 32])
}

pub fn stranger() -> PersonaSecret {
    PersonaSecret::new([3; 32])
}

/// A machine that has done nothing yet.
pub fn new() -> Peercon {
    dialling(Some(peer().id()), Door::Signals)
}

/// A machine that comes through a door, and is willing to be shown.
pub fn dialling(peer: Option<PersonaId>, door: Door) -> Peercon {
    beginning(peer, door, true)
}

/// A machine that comes through a door, willing to be shown or not.
pub fn beginning(peer: Option<PersonaId>, door: Door, direct: bool) -> Peercon {
    Peercon::new(Config { own: us().id(), peer, door, direct, nonce: NONCE }, NOW)
}

/// Both channels are open, and nobody has said who they are.
pub fn open() -> Peercon {
    let mut peercon = new();
    feed(
        &mut peercon,
        [
            Input::LocalDescription(OFFER.to_owned()),
            Input::GatheringDone,
            Input::Signal(peers_signal()),
            Input::ControlOpen,
            Input::DataOpen,
        ],
    );
    peercon
}

/// The peer said hello and we proved ourselves; its proof is missing.
pub fn greeted() -> Peercon {
    let mut peercon = open();
    let signature = us().sign(&our_text().to_bytes());
    feed(&mut peercon, [said(&hello()), Input::Signed(signature)]);
    peercon
}

/// The connection is up and its first ping answered.
pub fn up() -> Peercon {
    let mut peercon = greeted();
    feed(&mut peercon, [said(&Control::Identity(peers_proof())), said(&Control::Pong(0))]);
    peercon
}

pub fn peers_signal() -> Vec<u8> {
    sdp::read_offer(PEERS_OFFER).unwrap().encode()
}

pub fn hello() -> Control {
    hello_of(peer().id(), PEERS_NONCE, WIRE)
}

pub fn hello_of(key: PersonaId, nonce: [u8; 16], wire: VersionRange) -> Control {
    Control::Hello { key, nonce, wire, proof: None }
}

pub fn peers_proof() -> Signature {
    peer().sign(&peers_text().to_bytes())
}

/// What we sign: our fingerprint is the lower one.
pub fn our_text() -> IdentityText {
    IdentityText {
        signer_is_a: true,
        a: IdentityEnd { id: us().id(), fingerprint: fingerprint(OFFER), nonce: NONCE },
        b: IdentityEnd { id: peer().id(), fingerprint: fingerprint(PEERS_OFFER), nonce: PEERS_NONCE },
    }
}

/// Has us sign that.
pub fn asks_to_sign() -> Output {
    Output::Sign { text: our_text(), proof: None }
}

/// Our signature of that.
pub fn our_proof() -> Signature {
    us().sign(&our_text().to_bytes())
}

/// What the peer signs.
pub fn peers_text() -> IdentityText {
    IdentityText { signer_is_a: false, ..our_text() }
}

pub fn fingerprint(offer: &str) -> Fingerprint {
    sdp::read_offer(offer).unwrap().fingerprint
}

/// A message of the peer's on the control channel.
pub fn said(message: &Control) -> Input {
    Input::Control(message.encode())
}

/// What we say on the control channel.
pub fn say(message: &Control) -> Output {
    Output::SendControl(message.encode())
}

/// Hands over the inputs and returns all outputs.
pub fn feed(peercon: &mut Peercon, inputs: impl IntoIterator<Item = Input>) -> Vec<Output> {
    feed_at(peercon, inputs, NOW)
}

pub fn feed_at(peercon: &mut Peercon, inputs: impl IntoIterator<Item = Input>, now: Instant) -> Vec<Output> {
    for input in inputs {
        peercon.handle_input(input, now);
    }
    drain(peercon)
}

pub fn drain(peercon: &mut Peercon) -> Vec<Output> {
    std::iter::from_fn(|| peercon.poll_output()).collect()
}
