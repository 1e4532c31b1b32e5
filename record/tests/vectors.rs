//! `tests/vectors/record.json`: golden keys, positions, bodies and records. They were computed by a second
//! implementation, in Python, from the formulas in the crate's docs.

use bitters_record::{
    blind::{BlindedKey, BlindedSecret},
    body::{Body, Introduction},
    day::Day,
    place::positions,
    record::{MAX_RECORD, Record, Salt},
};
use bitters_wire::{codec, id::NodeId, keys::PersonaSecret};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    blinded: Vec<Blinded>,
    bodies: Vec<GoldenBody>,
    records: Vec<GoldenRecord>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
struct Blinded {
    name: String,
    seed: String,
    persona: String,
    day: u32,
    key: String,
    /// Of each salt.
    positions: Vec<[String; 2]>,
}

#[derive(Deserialize)]
struct GoldenBody {
    name: String,
    seed: String,
    doors: Vec<String>,
    introductions: Vec<[String; 2]>,
    body: String,
}

#[derive(Deserialize)]
struct GoldenRecord {
    name: String,
    seed: String,
    day: u32,
    salt: u8,
    seq: u64,
    /// Unix seconds.
    until: u64,
    random: String,
    body: String,
    record: String,
}

#[derive(Deserialize)]
struct Refused {
    name: String,
    why: String,
    /// Unix seconds.
    now: u64,
    record: String,
}

#[test]
fn golden_keys_are_blinded_and_have_their_places() {
    for golden in vectors().blinded {
        let (persona, day, name) = (persona(&golden.seed), Day(golden.day), golden.name);
        assert_eq!(hex(&persona.id().0), golden.persona, "{name}");
        let key = BlindedKey::of(persona.id(), day).unwrap();
        assert_eq!(hex(&key.0), golden.key, "{name}");
        assert_eq!(BlindedSecret::of(&persona, day).key(), key, "{name}");
        let places = Salt::ALL.map(|salt| positions(key, salt).map(|position| format!("{position:016x}")));
        assert_eq!(places.to_vec(), golden.positions, "{name}");
    }
}

#[test]
fn golden_bodies_are_read_and_written() {
    for golden in vectors().bodies {
        let body = golden.body();
        assert_eq!(hex(&body.encode()), golden.body, "{}", golden.name);
        let read = Body::decode(persona(&golden.seed).id(), &bytes(&golden.body));
        assert_eq!(read, Ok(body), "{}", golden.name);
    }
}

#[test]
fn golden_records_are_sealed_checked_and_opened() {
    for golden in vectors().records {
        let (persona, day, name) = (persona(&golden.seed), Day(golden.day), &golden.name);
        let body = Body::decode(persona.id(), &bytes(&golden.body)).unwrap();
        let (secret, salt) = (BlindedSecret::of(&persona, day), Salt::try_from(golden.salt).unwrap());
        let random = bytes(&golden.random).try_into().unwrap();
        let record = Record::seal(&secret, salt, golden.seq, golden.until, &body, random);
        assert_eq!(hex(&codec::encode(&record)), golden.record, "{name}");

        let read: Record = codec::decode_foreign(&bytes(&golden.record), MAX_RECORD).unwrap();
        assert_eq!(read.check(golden.until - 60), Ok(()), "{name}");
        assert_eq!(read.open(persona.id(), day), Ok(body), "{name}");
    }
}

#[test]
fn what_is_no_good_record_is_refused() {
    for refused in vectors().refused {
        let why = match codec::decode_foreign::<Record>(&bytes(&refused.record), MAX_RECORD) {
            Ok(record) => format!("{:?}", record.check(refused.now).unwrap_err()),
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(why, refused.why, "{}", refused.name);
    }
}

impl GoldenBody {
    fn body(&self) -> Body {
        let doors = self.doors.iter().map(|door| door.parse().expect("an address")).collect();
        let point = |[node, token]: &[String; 2]| Introduction {
            node: NodeId(bytes(node).try_into().expect("32 bytes")),
            token: bytes(token).try_into().expect("16 bytes"),
        };
        let introductions = self.introductions.iter().map(point).collect();
        Body::new(persona(&self.seed).id(), doors, introductions).expect("a body")
    }
}

fn vectors() -> Vectors {
    let vectors = include_str!("../../tests/vectors/record.json");
    let vectors: Vectors = serde_json::from_str(vectors).expect("the file is JSON");
    assert!(vectors.blinded.len() >= 4 && vectors.bodies.len() >= 3);
    assert!(vectors.records.len() >= 3 && vectors.refused.len() >= 8);
    vectors
}

fn persona(seed: &str) -> PersonaSecret {
    PersonaSecret::new(bytes(seed).try_into().expect("32 bytes"))
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.map(|pair| byte(pair).expect("two digits")).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
