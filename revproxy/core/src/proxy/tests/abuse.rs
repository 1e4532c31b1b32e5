//! Strangers at their worst: nobody is flooded by way of us, and nothing grows.

use std::collections::BTreeMap;

use bitters_peercon::{Credentials, packed::PASSWORD};
use bitters_wire::address::Token;
use proptest::{collection::vec, prelude::*};

use super::{
    super::{Config, Input, Outgoing, Path},
    world::*,
};

#[test]
fn a_flood_of_what_is_not_authentic_leaves_nothing_and_holds_up_nobody() {
    let mut world = World::opened(Config::default());
    let before = world.load();
    let mut rng = fastrand::Rng::with_seed(1);
    let mut passed = 0;

    for round in 0..20_000_u32 {
        let from = Path { peer: (std::net::Ipv4Addr::from_bits(rng.u32(..)), rng.u16(1..)).into(), ..DIALLER };
        let bytes = match round % 8 {
            0 => (0..rng.usize(0..1500)).map(|_| rng.u8(..)).collect(),
            1 => check(rng.u32(..4), &name(&packed().to_ufrag(), DIALLER_UFRAG), "not the password that it is"),
            2 => check(rng.u32(..4), &name(&packed_of(Token([9; 6]), rng.u8(..)).to_ufrag(), DIALLER_UFRAG), PASSWORD),
            3 => response(rng.u32(..4), LISTENER_PASSWORD),
            4 => data(rng.usize(1..1500)),
            5 => check(rng.u32(..4), &name(DIALLER_UFRAG, LISTENER_UFRAG), "not the password that it is"),
            6 => binding(rng.u32(..4), 12),
            _ => mangled(&dialler_check(1), &mut rng),
        };
        world.datagram(from, &bytes);
        if round % 1000 == 0 {
            passed += world.datagram(DIALLER, &data(500)).len() + world.datagram(LISTENER, &data(500)).len();
        }
    }

    assert_eq!((world.load(), passed), (before, 40));
    assert!(world.counts().bindings > 2000, "{:?}", world.counts());
}

/// With a byte changed, which the fingerprint notices.
fn mangled(bytes: &[u8], rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = rng.usize(..bytes.len());
    bytes[at] ^= rng.u8(1..);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_panic(packets in vec(vec(any::<u8>(), 0..700), 0..20), first in 0..4_u8) {
        let mut world = World::opened(Config::default());
        for mut bytes in packets {
            if let Some(byte) = bytes.first_mut() {
                *byte = first;
            }
            world.datagram(path(5, 5), &bytes);
            world.datagram(DIALLER, &bytes);
        }
    }

    /// Everything that two dishonest browsers can do from a few places, and in the name of another place where they receive nothing:
    /// whoever hasn't answered a request that went there is sent no more than came from there. Nothing that is bounded exceeds its bound,
    /// and everything ends.
    #[test]
    fn nobody_is_sent_more_than_came_from_there(acts in vec(act(), 1..120)) {
        let config = Config {
            ghosts: 3,
            pending: 3,
            passages: 4,
            opening_bytes: 20_000,
            ..Config::default()
        };
        let mut world = World::with(config);
        let mut ledger = Ledger::default();
        for act in acts {
            perform(&mut world, &mut ledger, act);
            let load = world.load();
            prop_assert!(load.passages <= 4 && load.pending <= 3 && load.ghosts <= 3 && load.legs <= 8 * load.passages);
            for (place, account) in &ledger.0 {
                prop_assert!(account.proven || account.sent <= account.came, "{place:?}: {account:?}");
            }
        }
        world.rest();
        prop_assert_eq!(world.load(), LISTENING);
    }
}

/// What came from each place and went there, and whether it has proven itself; and the requests that the attackers have received.
#[derive(Default)]
struct Ledger(BTreeMap<Path, Account>, Vec<Vec<u8>>);

#[derive(Debug, Default)]
struct Account {
    came: usize,
    sent: usize,
    proven: bool,
    /// Transactions of requests that it was sent.
    asked: Vec<[u8; 12]>,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Answer(u8),
    Binding { from: u8, padding: usize },
    Check { from: u8, dial: u8, listener: bool, transaction: u8 },
    Data { from: u8, len: usize },
    Forward { passage: u8, restarted: bool },
    Pass(u16),
    Relayed { from: u8, dial: u8, listener: bool, transaction: u8 },
    Respond { from: u8, transaction: u8, listener: bool },
    RespondSeen { from: u8, back: u8, listener: bool },
}

fn act() -> impl Strategy<Value = Act> {
    let from = 0..PLACES;
    prop_oneof![
        3 => (0..6_u8).prop_map(Act::Answer),
        1 => (from.clone(), 0..20_usize).prop_map(|(from, n)| Act::Binding { from, padding: 4 * n }),
        9 => (from.clone(), 0..3_u8, any::<bool>(), 0..4_u8)
            .prop_map(|(from, dial, listener, transaction)| Act::Check { from, dial, listener, transaction }),
        6 => (from.clone(), 1..1300_usize).prop_map(|(from, len)| Act::Data { from, len }),
        1 => (0..6_u8, any::<bool>()).prop_map(|(passage, restarted)| Act::Forward { passage, restarted }),
        1 => (0..8000_u16).prop_map(Act::Pass),
        4 => (from.clone(), 0..3_u8, any::<bool>(), 0..4_u8)
            .prop_map(|(from, dial, listener, transaction)| Act::Relayed { from, dial, listener, transaction }),
        2 => (from.clone(), 0..4_u8, any::<bool>())
            .prop_map(|(from, transaction, listener)| Act::Respond { from, transaction, listener }),
        6 => (from, 0..6_u8, any::<bool>())
            .prop_map(|(from, back, listener)| Act::RespondSeen { from, back, listener }),
    ]
}

const PLACES: u8 = 6;

/// What is sent there the attackers don't see.
const VICTIM: u8 = 5;

fn place(n: u8) -> Path {
    path(1 + n, 1000)
}

fn perform(world: &mut World, ledger: &mut Ledger, act: Act) {
    match act {
        Act::Answer(passage) => {
            // Each dial's listener has a name of its own.
            let credentials = Credentials::new(&format!("lis{}", passage % 3), LISTENER_PASSWORD).unwrap();
            world.input(Input::Answer { conn: CONN, passage: number(passage), credentials });
        }
        Act::Binding { from, padding } => ledger.datagram(world, place(from), &binding(1, padding)),
        Act::Check { from, dial, listener: false, transaction } => {
            let packed = packed_of(TOKEN, dial).to_ufrag();
            ledger.datagram(world, place(from), &check(transaction.into(), &name(&packed, DIALLER_UFRAG), PASSWORD));
        }
        Act::Check { from, dial, listener: true, transaction } => {
            let username = name(DIALLER_UFRAG, &format!("lis{dial}"));
            ledger.datagram(world, place(from), &check(transaction.into(), &username, DIALLER_PASSWORD));
        }
        Act::Data { from, len } => ledger.datagram(world, place(from), &data(len)),
        Act::Forward { passage, restarted: false } => {
            world.input(forward_by_dial(number(passage)));
        }
        Act::Forward { passage, restarted: true } => {
            let Input::Forward { restart, .. } = forward_between(&format!("ours{}", passage % 3), "theirs") else {
                unreachable!("it is one")
            };
            world.input(Input::Forward { conn: CONN, passage: number(passage), restart });
        }
        Act::Pass(ms) => world.pass(std::time::Duration::from_millis(ms.into())),
        Act::Relayed { from, dial, listener, transaction } => {
            let ours = format!("ours{dial}");
            let (to, from_ufrag) = if listener { ("theirs", &*ours) } else { (&*ours, "theirs") };
            let check = check(transaction.into(), &name(to, from_ufrag), &secret(to));
            ledger.datagram(world, place(from), &check);
        }
        Act::Respond { from, transaction, listener } => {
            let password = if listener { LISTENER_PASSWORD } else { DIALLER_PASSWORD };
            ledger.datagram(world, place(from), &response(transaction.into(), password));
        }
        Act::RespondSeen { from, back, listener } => {
            let password = if listener { LISTENER_PASSWORD } else { DIALLER_PASSWORD };
            if let Some(seen) = ledger.1.iter().rev().nth(back.into()).cloned() {
                ledger.datagram(world, place(from), &reply(&seen, password));
            }
        }
    }
    world.outputs();
}

impl Ledger {
    fn datagram(&mut self, world: &mut World, from: Path, bytes: &[u8]) {
        let account = self.0.entry(from).or_default();
        account.came += bytes.len();
        // An answer to anything that it was ever sent.
        if bytes.first() == Some(&1)
            && from != place(VICTIM)
            && account.asked.iter().any(|asked| asked == &bytes[8..20])
        {
            account.proven = true;
        }
        let mut out = Outgoing::new();
        world.machine.handle_datagram(from, bytes, world.now, &mut out);
        for (to, sent) in out.iter() {
            let account = self.0.entry(to).or_default();
            account.sent += sent.len();
            if sent.starts_with(&[0, 1]) {
                account.asked.push(sent[8..20].try_into().unwrap());
                if to != place(VICTIM) {
                    self.1.push(sent.to_vec());
                }
            }
        }
    }
}
