//! Golden signals, shared with whoever else reads or writes them.

use proptest::prelude::*;
use serde::Deserialize;

use crate::{Address, Candidate, Credentials, Kind, signal::Signal};

#[derive(Deserialize)]
struct Vectors {
    signals: Vec<Golden>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
struct Golden {
    name: String,
    blob: String,
    ufrag: String,
    password: String,
    fingerprint: String,
    candidates: Vec<GoldenCandidate>,
}

#[derive(Deserialize)]
struct GoldenCandidate {
    kind: String,
    address: String,
    port: u16,
}

#[derive(Deserialize)]
struct Refused {
    why: String,
    blob: String,
}

#[test]
fn golden_signals_are_read_and_written() {
    for golden in vectors().signals {
        let signal = golden.signal();
        assert_eq!(hex(&signal.encode()), golden.blob, "{}", golden.name);
        assert_eq!(Signal::decode(&bytes(&golden.blob)), Ok(signal), "{}", golden.name);
    }
}

#[test]
fn what_is_no_signal_is_refused() {
    for refused in vectors().refused {
        let error = Signal::decode(&bytes(&refused.blob)).unwrap_err();
        assert_eq!(format!("{error:?}"), refused.why);
    }
}

#[test]
fn a_cut_signal_is_refused() {
    for golden in vectors().signals {
        let blob = bytes(&golden.blob);
        for len in 0..blob.len() {
            assert!(Signal::decode(&blob[..len]).is_err(), "{} cut to {len}", golden.name);
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(signal in any_signal()) {
        let blob = signal.encode();
        prop_assert!(blob.len() <= bitters_wire::limits::MAX_SIGNAL);
        prop_assert_eq!(Signal::decode(&blob), Ok(signal));
    }

    #[test]
    fn a_signal_has_one_spelling(mut blob in any_signal().prop_map(|signal| signal.encode()), flips: [(usize, u8); 3]) {
        for (at, with) in flips {
            let at = at % blob.len();
            blob[at] ^= with;
        }
        if let Ok(signal) = Signal::decode(&blob) {
            prop_assert_eq!(signal.encode(), blob);
        }
    }
}

fn any_signal() -> impl Strategy<Value = Signal> {
    let credentials = prop_oneof![
        ("[A-Za-z0-9+/]{4}", "[A-Za-z0-9+/]{24}"),
        ("[0-9a-f]{8}", "[0-9a-f]{32}"),
        ("[A-Za-z0-9+/]{4,64}", "[A-Za-z0-9+/]{22,256}"),
    ];
    let credentials = credentials.prop_map(|(ufrag, password)| Credentials::new(&ufrag, &password).unwrap());
    (credentials, any::<[u8; 32]>(), proptest::collection::vec(any_candidate(), 0..=8))
        .prop_map(|(credentials, fingerprint, candidates)| Signal { credentials, fingerprint, candidates })
}

fn any_candidate() -> impl Strategy<Value = Candidate> {
    let kind = prop_oneof![Just(Kind::Host), Just(Kind::ServerReflexive), Just(Kind::Relayed)];
    let address = prop_oneof![
        any::<[u8; 4]>().prop_map(|ip| Address::Ip(ip.into())),
        any::<[u8; 16]>().prop_map(|ip| Address::Ip(ip.into())),
        any::<[u8; 16]>().prop_map(Address::Mdns),
    ];
    (kind, address, 1..=u16::MAX)
        .prop_filter_map("to somewhere", |(kind, address, port)| Candidate::new(kind, address, port).ok())
}

impl Golden {
    fn signal(&self) -> Signal {
        Signal {
            credentials: Credentials::new(&self.ufrag, &self.password).unwrap(),
            fingerprint: bytes(&self.fingerprint).try_into().unwrap(),
            candidates: self.candidates.iter().map(GoldenCandidate::candidate).collect(),
        }
    }
}

impl GoldenCandidate {
    fn candidate(&self) -> Candidate {
        let Self { kind, address, port } = self;
        Candidate::from_text(&format!("candidate:1 1 udp 1 {address} {port} typ {kind}")).unwrap()
    }
}

fn vectors() -> Vectors {
    let vectors: Vectors = serde_json::from_str(include_str!("../../../tests/vectors/signal.json")).unwrap();
    assert!(vectors.signals.len() >= 4 && vectors.refused.len() >= 8);
    vectors
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
