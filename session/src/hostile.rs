//! A peer that is who it says, has the keys, and means no good.

use std::iter;

use bitters_machine::{Machine, time::Instant};
use bitters_wire::{
    codec,
    failure::Code,
    id::{FrameId, PersonaId, SessionId},
    keys::PersonaSecret,
    limits::{MAX_STREAMS, MAX_STREAMS_PER_FRAME, STREAM_WINDOW},
    name::Name,
    packet::{Body, Packet, Refusal, Service},
};
use proptest::prelude::*;

use crate::{
    Config, Endpoint, Input, OpenError, Output, StreamKey,
    message::{Act, MAX_SEALED, Message, Plain, Reason, Say},
    noise::{self, Binding, Transport},
};

#[test]
fn bytes_beyond_the_credit_reset_the_stream() {
    let (mut alice, mut mallory) = (alice(), Mallory::new());
    mallory.meet(&mut alice);
    let stream = mallory.stream(&mut alice);
    alice.credit(stream, 2);
    mallory.read(&mut alice);

    mallory.say(&mut alice, 0, Act::Data(b"abc".to_vec()));

    assert_eq!(mallory.read(&mut alice), [reset(0)]);
    assert!(matches!(&mallory.told[..], [Output::Reset { failure, .. }] if failure.code == Code::Remote));
}

#[test]
fn more_streams_than_may_be_are_refused() {
    let (mut alice, mut mallory) = (alice(), Mallory::new());
    mallory.meet(&mut alice);

    for n in 0..1000 {
        mallory.say(&mut alice, 2 * n, Act::Open(chat()));
    }

    let said = mallory.read(&mut alice);
    assert_eq!(said.iter().filter(|message| message.act == Act::Accept).count(), MAX_STREAMS);
    assert_eq!(mallory.told.len(), MAX_STREAMS);
}

#[test]
fn more_streams_than_a_frame_may_have_are_refused_whoever_opens_them() {
    let mut alice = alice();
    let mut told = 0;
    for n in 0..32 {
        let mut mallory = Mallory { who: 20 + n / 2, ..Mallory::nth(n) };
        mallory.meet(&mut alice);
        for stream in 0..MAX_STREAMS as u64 {
            mallory.say(&mut alice, 2 * stream, Act::Open(chat()));
        }
        mallory.read(&mut alice);
        told += mallory.told.len();
    }
    // The first four have all that anybody may have, and each of the others its part.
    assert_eq!(told, MAX_STREAMS_PER_FRAME + 12 * 32);
    // Those are others' doing: what the site itself opens is counted for itself.
    assert!(alice.open(mallory_id(), chat(), Instant::START).is_ok());

    alice.close();
    while alice.poll_output().is_some() {}
    let mut mallory = Mallory::nth(99);
    mallory.meet(&mut alice);
    mallory.stream(&mut alice);
}

#[test]
fn one_peer_that_has_all_of_a_frames_streams_leaves_others_some() {
    let mut alice = alice();
    let mut opens = |who, sessions: std::ops::Range<u8>| -> usize {
        let opened = sessions.map(|n| {
            let mut mallory = Mallory { who, ..Mallory::nth(n) };
            mallory.meet(&mut alice);
            for stream in 0..MAX_STREAMS as u64 {
                mallory.say(&mut alice, 2 * stream, Act::Open(chat()));
            }
            mallory.read(&mut alice);
            mallory.told.len()
        });
        opened.sum()
    };
    assert_eq!(opens(20, 0..16), MAX_STREAMS_PER_FRAME);
    assert_eq!(opens(21, 16..17), 32);
}

#[test]
fn peers_that_use_all_sessions_make_room_for_one_that_has_none() {
    let mut alice = alice();
    let mut peers = Vec::new();
    for n in 0..128 {
        let now = Instant::from_millis(100 * u64::from(n));
        let mut mallory = Mallory { who: 20 + n / 32, now, ..Mallory::nth(n) };
        mallory.meet(&mut alice);
        mallory.stream(&mut alice);
        peers.push(mallory);
    }
    let now = Instant::from_millis(20_000);
    let mut bob = Mallory { who: 99, now, ..Mallory::nth(130) };
    bob.meet(&mut alice);
    bob.stream(&mut alice);
    let is_over = |mallory: &mut Mallory, alice: &mut Endpoint| {
        mallory.now = now;
        mallory.say(alice, 2, Act::Open(chat()));
        std::iter::from_fn(|| alice.poll_output()).any(|it| {
            matches!(it, Output::Packet(Packet { body: Body::Refused { reason: Refusal::UnknownSession }, .. }))
        })
    };
    let over = peers.iter_mut().filter(|it| it.session != bob.session).map(|it| is_over(it, &mut alice));
    assert_eq!(over.filter(|it| *it).count(), 1, "one of those who have 32");
}

#[test]
fn a_frame_opens_a_thousand_streams() {
    let mut alice = alice();
    let opened = (0..16_u8).flat_map(|n| {
        let peer = PersonaSecret::new([100 + n; 32]).id();
        (0..MAX_STREAMS).map(|_| alice.open(peer, chat(), Instant::START)).collect::<Vec<_>>()
    });
    let (opened, refused): (Vec<_>, Vec<_>) = opened.partition(Result::is_ok);
    assert_eq!((opened.len(), refused[0]), (MAX_STREAMS_PER_FRAME, Err(OpenError::Quota)));
}

#[test]
fn a_peer_that_makes_us_speak_and_never_listens_is_left() {
    let (mut alice, mut mallory) = (alice(), Mallory::new());
    mallory.meet(&mut alice);

    for n in 0..5000 {
        mallory.say(&mut alice, 2 * n, Act::Open(chat()));
        mallory.say(&mut alice, 2 * n, Act::Reset(Reason::Cancelled));
        assert!(alice.kept() <= 4 * 1024 + 1);
    }

    assert_eq!(alice.kept(), 0);
    assert_eq!(alice.poll_timeout(), None);
}

#[test]
fn unlimited_credit_does_not_unlimit_what_is_kept() {
    let (mut alice, mut mallory) = (alice(), Mallory::new());
    mallory.meet(&mut alice);
    let stream = mallory.stream(&mut alice);

    let mut written = 0;
    for _ in 0..100 {
        mallory.say(&mut alice, 0, Act::Credit(u64::MAX));
        while alice.write(stream, &[7; 1024]).is_ok() {
            written += 1024;
        }
        mallory.read(&mut alice);
    }

    assert_eq!(written, STREAM_WINDOW);
}

#[test]
fn questions_and_answers_are_not_amplified() {
    let (mut alice, mut mallory) = (alice(), Mallory::new());
    mallory.meet(&mut alice);
    let stream = mallory.stream(&mut alice);
    mallory.say(&mut alice, 0, Act::Credit(u64::MAX));
    alice.write(stream, &vec![7; usize::try_from(STREAM_WINDOW).unwrap()]).unwrap();
    mallory.read(&mut alice);

    let mut packets = 0;
    for _ in 0..1000 {
        mallory.seal(&mut alice, 0, Say::Ask { sent: 0, mutual: true });
        mallory.seal(&mut alice, 0, Say::Answer { sent: 35 });
        packets += iter::from_fn(|| alice.poll_output()).count();
    }

    assert!(packets <= 1000 + 2 * 40, "an answer for each question and the window once: {packets}");
}

#[test]
fn what_breaks_the_protocol_ends_the_session() {
    let open = |stream| Say::Numbered { number: 1, message: Message { stream, act: Act::Open(chat()) } };
    for (acked, say) in [(1, Say::Ack), (u64::MAX, Say::Ack), (0, open(1)), (0, open(2)), (0, open(u64::MAX))] {
        let (mut alice, mut mallory) = (alice(), Mallory::new());
        mallory.meet(&mut alice);

        mallory.seal(&mut alice, acked, say.clone());

        assert_eq!(alice.poll_timeout(), None, "{say:?}");
        assert_eq!(mallory.read(&mut alice), []);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn sealed_rubbish_never_panics(rubbish in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..8)) {
        let (mut alice, mut mallory) = (alice(), Mallory::new());
        mallory.meet(&mut alice);
        for plain in rubbish {
            mallory.send_plain(&mut alice, &plain);
        }
        prop_assert!(mallory.read(&mut alice).len() <= 16);
    }

    #[test]
    fn acts_in_any_order_never_panic(acts in proptest::collection::vec((0..6_u64, act()), 1..60)) {
        let (mut alice, mut mallory) = (alice(), Mallory::new());
        mallory.meet(&mut alice);
        for (stream, act) in acts {
            mallory.say(&mut alice, stream, act);
        }
        mallory.read(&mut alice);
        let resets = mallory.told.iter().filter(|told| matches!(told, Output::Reset { .. })).count();
        let streams = mallory.told.iter().filter(|told| matches!(told, Output::IncomingStream { .. })).count();
        prop_assert!(resets <= streams);
    }
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        Just(Act::Accept),
        any::<u64>().prop_map(Act::Credit),
        (0..20_000_usize).prop_map(|len| Act::Data(vec![1; len])),
        Just(Act::Finish),
        Just(Act::Open(chat())),
        Just(Act::Reset(Reason::TooLarge)),
        Just(Act::Stop),
    ]
}

/// The peer's own ends of the cipher, with none of our machinery behind it.
struct Mallory {
    /// Which persona it is.
    who: u8,
    now: Instant,
    session: SessionId,
    transport: Option<Transport>,
    counter: u64,
    number: u64,
    told: Vec<Output>,
}

impl Mallory {
    fn new() -> Self {
        Self {
            who: 9,
            now: Instant::START,
            session: session(),
            transport: None,
            counter: 0,
            number: 0,
            told: Vec::new(),
        }
    }

    /// In a session of its own.
    fn nth(n: u8) -> Self {
        Self { session: SessionId(frame(100 + n).0), ..Self::new() }
    }

    fn meet(&mut self, alice: &mut Endpoint) {
        let (persona, key) = (PersonaSecret::new([self.who; 32]), alice_id().noise_key().unwrap());
        let (secret, opener, listener) = (persona.noise_secret(), persona.id(), alice_id());
        let binding = Binding { opener, opener_frame: frame(9), listener, session: self.session, tag: chat().tag() };
        let (opener, handshake) = noise::open(&secret, &key, &binding, [8; 32]);
        self.send(alice, Body::Open { tag: chat().tag(), handshake });
        // Another session may have made room, and says so.
        let accepted = std::iter::from_fn(|| alice.poll_output()).find_map(|it| match it {
            Output::Packet(Packet { body: Body::Accept { handshake }, .. }) => Some(handshake),
            _ => None,
        });
        self.transport = opener.finish(&accepted.expect("accepted")).ok();
    }

    fn stream(&mut self, alice: &mut Endpoint) -> StreamKey {
        self.say(alice, 0, Act::Open(chat()));
        self.read(alice);
        let Some(Output::IncomingStream { stream, .. }) = self.told.pop() else { panic!("a stream") };
        stream
    }

    /// The next message in order. What we said is never acknowledged.
    fn say(&mut self, alice: &mut Endpoint, stream: u64, act: Act) {
        self.number += 1;
        self.seal(alice, 0, Say::Numbered { number: self.number, message: Message { stream, act } });
    }

    fn seal(&mut self, alice: &mut Endpoint, acked: u64, say: Say<Message>) {
        self.send_plain(alice, &codec::encode(&Plain { acked, say }));
    }

    fn send_plain(&mut self, alice: &mut Endpoint, plain: &[u8]) {
        let (counter, transport) = (self.counter, self.transport.as_ref().unwrap());
        let sealed = transport.seal(counter, plain);
        self.counter += 2;
        self.send(alice, Body::Sealed { counter, sealed });
    }

    fn send(&self, alice: &mut Endpoint, body: Body) {
        let (to, from, from_frame) = (alice_id(), PersonaSecret::new([self.who; 32]).id(), frame(9));
        let packet = Packet { to, to_frame: Some(frame(1)), from, from_frame, session: self.session, body };
        alice.handle_input(Input::Packet(packet), self.now);
    }

    /// The messages that alice sent; what her shell was told is kept.
    fn read(&mut self, alice: &mut Endpoint) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(output) = alice.poll_output() {
            match output {
                Output::Packet(Packet { body: Body::Sealed { counter, sealed }, .. }) => {
                    let plain = self.transport.as_ref().unwrap().open(counter, &sealed).unwrap();
                    let plain: Plain<Message> = codec::decode(&plain, MAX_SEALED).unwrap();
                    if let Say::Numbered { message, .. } = plain.say {
                        messages.push(message);
                    }
                }
                Output::Packet(_) => {}
                told => self.told.push(told),
            }
        }
        messages
    }
}

fn alice() -> Endpoint {
    let config = Config { persona: PersonaSecret::new([1; 32]), frame: frame(1), seed: [1; 32] };
    let mut alice = Endpoint::new(config);
    alice.serve(chat());
    alice
}

fn reset(stream: u64) -> Message {
    Message { stream, act: Act::Reset(Reason::Protocol) }
}

fn alice_id() -> PersonaId {
    PersonaSecret::new([1; 32]).id()
}

fn mallory_id() -> PersonaId {
    PersonaSecret::new([9; 32]).id()
}

fn frame(n: u8) -> FrameId {
    FrameId::from_random([n; 16])
}

fn session() -> SessionId {
    SessionId(frame(7).0)
}

fn chat() -> Service {
    Service::Protocol(Name::try_from("chat").unwrap())
}
