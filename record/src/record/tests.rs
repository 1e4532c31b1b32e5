//! Each sentence of the crate's docs about records, attacked.

use std::collections::HashSet;

use bitters_wire::{
    codec::{decode_foreign, encode},
    keys::{BadSignature, PersonaSecret},
};
use curve25519_dalek::{constants::EIGHT_TORSION, edwards::CompressedEdwardsY};
use ed25519_dalek::{
    Signature as DalekSignature, VerifyingKey,
    hazmat::{ExpandedSecretKey, raw_sign},
};
use proptest::prelude::*;
use sha2::Sha512;

use super::*;
use crate::samples::{NOON, alice, any_body, bob, door, record};

const TODAY: Day = Day(20_454);

#[test]
fn bounds_of_time_are_exact() {
    let record = record(&alice(), 1);
    let end = record.until();
    assert_eq!(end, NOON + TTL_SECS);
    assert_eq!(record.check(end), Err(BadRecord::Expired));
    assert_eq!(record.check(end - 1), Ok(()));
    assert_eq!(record.check(end - TTL_SECS - AHEAD_SECS), Ok(()));
    assert_eq!(record.check(end - TTL_SECS - AHEAD_SECS - 1), Err(BadRecord::TooLasting));
    assert_eq!(record.check(0), Err(BadRecord::TooLasting));
    assert_eq!(record.check(u64::MAX), Err(BadRecord::Expired));
}

#[test]
fn the_end_shows_no_seconds() {
    let at = |until| Record::seal(&todays(&alice()), Salt::ALL[0], 1, until, &empty(&alice()), [5; 16]);
    assert_eq!(at(NOON), at(NOON + 59));
    assert_eq!(at(u64::MAX).until(), u64::from(u32::MAX) * 60);
}

#[test]
fn a_sealed_body_has_a_bound() {
    let mut record = record(&alice(), 1);
    for (len, checked) in [(MAX_SEALED, Ok(())), (MAX_SEALED + 1, Err(BadRecord::TooLong))] {
        record.sealed = vec![1; len];
        record.signature = todays(&alice()).sign(&record.text());
        assert_eq!(record.check(NOON), checked);
        assert_eq!(record.open(alice().id(), TODAY), Err(OpenError::Sealed));
    }
    (record.seq, record.until, record.sealed) = (u64::MAX, u32::MAX, vec![1; MAX_SEALED]);
    assert_eq!(encode(&record).len(), MAX_RECORD);
    record.sealed = vec![1; SEALED];
    assert_eq!(encode(&record).len(), 867);
    for len in 0..RANDOM + TAG {
        record.sealed = vec![1; len];
        record.signature = todays(&alice()).sign(&record.text());
        assert_eq!(record.open(alice().id(), TODAY), Err(OpenError::Sealed));
    }
}

#[test]
fn a_changed_bit_anywhere_is_noticed() {
    let written = encode(&record(&alice(), 1));
    let mut read = 0;
    for (at, bit) in (0..written.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        // The sealed body is one field: one bit of each of its bytes is enough.
        let is_in_body = (60..written.len() - 80).contains(&at);
        if is_in_body && bit != at % 8 {
            continue;
        }
        let mut changed = written.clone();
        changed[at] ^= 1 << bit;
        if let Ok(changed) = decode_foreign::<Record>(&changed, MAX_RECORD) {
            read += 1;
            assert!(changed.check(NOON).is_err(), "bit {bit} of byte {at}");
            assert!(changed.open(alice().id(), TODAY).is_err(), "bit {bit} of byte {at}");
        }
    }
    assert!(read > 1000, "too few are records at all to show anything: {read}");
}

#[test]
fn a_changed_field_is_noticed() {
    let good = record(&alice(), 1);
    let changed = [
        Record { key: BlindedSecret::of(&alice(), TODAY.after()).key(), ..good.clone() },
        Record { key: BlindedSecret::of(&bob(), TODAY).key(), ..good.clone() },
        Record { salt: Salt::ALL[1], ..good.clone() },
        Record { seq: 2, ..good.clone() },
        Record { until: good.until - 1, ..good.clone() },
        Record { sealed: record(&bob(), 1).sealed, ..good.clone() },
        Record { signature: record(&alice(), 2).signature, ..good.clone() },
    ];
    for changed in changed {
        assert_eq!(changed.check(NOON), Err(Unproven::from(BadSignature).into()), "{changed:?}");
    }
}

/// A signature that dalek finds good even by its strict rules: the part of small order cancels out in every few
/// texts.
#[test]
fn a_blinded_key_with_a_part_of_small_order_is_refused() {
    let secret = ExpandedSecretKey::from(&[0xa1; 32]);
    let good = CompressedEdwardsY(VerifyingKey::from(&secret).to_bytes()).decompress().unwrap();
    let key = VerifyingKey::from(good + EIGHT_TORSION[1]);
    let signed = (0..1000).find_map(|seq| {
        let mut record = Record { key: BlindedKey(key.to_bytes()), seq, ..record(&alice(), 1) };
        let signature = raw_sign::<Sha512>(&secret, &record.text(), &key);
        record.signature = Signature(signature.to_bytes());
        key.verify_strict(&record.text(), &DalekSignature::from_bytes(&record.signature.0)).is_ok().then_some(record)
    });
    assert_eq!(signed.unwrap().check(NOON), Err(Unproven::from(BadKey::Torsioned).into()));
}

/// Bob keeps Alice's record, and says that its body is his own.
#[test]
fn a_body_cannot_be_carried_to_another_persona_day_or_salt() {
    let good = record(&alice(), 1);
    let carry = |to: &PersonaSecret, day, salt| {
        let secret = BlindedSecret::of(to, day);
        let mut record = Record { key: secret.key(), salt, ..good.clone() };
        record.signature = secret.sign(&record.text());
        assert_eq!(record.check(NOON), Ok(()));
        record.open(to.id(), day).map(drop)
    };
    assert_eq!(carry(&alice(), TODAY, Salt::ALL[0]), Ok(()));
    assert_eq!(carry(&bob(), TODAY, Salt::ALL[0]), Err(OpenError::Sealed));
    assert_eq!(carry(&alice(), TODAY.after(), Salt::ALL[0]), Err(OpenError::Sealed));
    assert_eq!(carry(&alice(), TODAY, Salt::ALL[1]), Err(OpenError::Sealed));
}

#[test]
fn what_a_persona_sealed_wrongly_is_no_body() {
    let secret = todays(&alice());
    let bobs = Body::new(bob().id(), vec![door(&bob(), 1)], vec![]).unwrap();
    let record = Record::seal(&secret, Salt::ALL[0], 1, NOON + 60, &bobs, [5; 16]);
    assert_eq!(record.open(alice().id(), TODAY), Err(OpenError::Body(BadBody::ForeignDoor)));
}

#[test]
fn an_id_that_is_no_key_opens_nothing() {
    assert_eq!(record(&alice(), 1).open(PersonaId([0; 32]), TODAY), Err(OpenError::Persona(BadKey::SmallOrder)));
}

#[test]
fn there_are_four_salts() {
    let salts: Vec<_> = (0..=u8::MAX).filter_map(|number| Salt::try_from(number).ok()).collect();
    assert_eq!(salts, Salt::ALL);
    assert_eq!(decode_foreign::<Salt>(&[3], 1), Ok(Salt::ALL[3]));
    assert!(decode_foreign::<Salt>(&[4], 1).is_err());
}

proptest! {
    #[test]
    fn a_record_is_opened_by_who_knows_its_persona(
        body in any_body(), day: u32, salt in any_salt(), seq: u64, left in 60..=TTL_SECS, random: [u8; 16],
    ) {
        let secret = BlindedSecret::of(&alice(), Day(day));
        let record = Record::seal(&secret, salt, seq, NOON + left, &body, random);
        prop_assert_eq!(record.check(NOON), Ok(()));
        prop_assert_eq!((record.key(), record.salt(), record.seq()), (secret.key(), salt, seq));
        prop_assert_eq!(record.open(alice().id(), Day(day)), Ok(body));
        let written = encode(&record);
        prop_assert_eq!(decode_foreign(&written, MAX_RECORD), Ok(record));
    }

    #[test]
    fn nobody_else_opens_it(body in any_body(), day: u32, other: u32, seed: [u8; 32], random: [u8; 16]) {
        prop_assume!(day != other);
        let [day, other] = [day, other].map(Day);
        let secret = BlindedSecret::of(&alice(), day);
        let record = Record::seal(&secret, Salt::ALL[0], 1, NOON + 60, &body, random);
        let stranger = PersonaSecret::new(seed).id();
        prop_assert_eq!(record.open(stranger, day), Err(OpenError::NotTheirs));
        prop_assert_eq!(record.open(alice().id(), other), Err(OpenError::NotTheirs));
        // The keeper takes what it knows for the id.
        let keeper = PersonaId(record.key().0);
        prop_assert_eq!(record.open(keeper, day), Err(OpenError::NotTheirs));
        for id in [stranger, keeper] {
            let (random, sealed) = record.sealed.split_first_chunk().unwrap();
            prop_assert!(cipher(id, day, record.salt, random).decrypt(&[0; 12].into(), sealed).is_err());
        }
    }

    /// The persona says the same on both days, at the same place in each day.
    #[test]
    fn records_of_two_days_share_nothing(body in any_body(), day in 0..u32::MAX, one: [u8; 16], other: [u8; 16]) {
        prop_assume!(one != other);
        let parts = |day, random| {
            let secret = BlindedSecret::of(&alice(), Day(day));
            let record = Record::seal(&secret, Salt::ALL[0], 1, NOON + 60, &body, random);
            [record.key.0.to_vec(), record.sealed[RANDOM..].to_vec(), record.signature.0.to_vec()]
        };
        let seen = |parts: &[Vec<u8>; 3]| -> HashSet<Vec<u8>> {
            parts.iter().flat_map(|part| part.windows(6)).map(<[u8]>::to_vec).collect()
        };
        let (today, tomorrow) = (seen(&parts(day, one)), seen(&parts(day + 1, other)));
        prop_assert!(today.is_disjoint(&tomorrow));
        let plain = HashSet::from_iter(body.encode().windows(6).chain(alice().id().0.windows(6)).map(<[u8]>::to_vec));
        prop_assert!(today.is_disjoint(&plain));
        // Even if the random bytes came twice, the days have different keys.
        prop_assert!(today.is_disjoint(&seen(&parts(day + 1, one))));
    }

    #[test]
    fn all_records_are_of_one_size(bodies in [any_body(), any_body()], salt in any_salt(), seq: u64, random: [u8; 16]) {
        let sizes = bodies.map(|body| {
            let record = Record::seal(&todays(&alice()), salt, seq, NOON + 60, &body, random);
            (record.sealed.len(), encode(&record).len())
        });
        prop_assert_eq!(sizes[0], sizes[1]);
        prop_assert_eq!(sizes[0].0, SEALED);
    }

    #[test]
    fn nothing_is_too_strange(
        key: [u8; 32], salt in any_salt(), seq: u64, until in 1..=u32::MAX,
        sealed in prop::collection::vec(any::<u8>(), 0..1100),
        signature: ([u8; 32], [u8; 32]), now: u64,
    ) {
        let signature = Signature([signature.0, signature.1].concat().try_into().unwrap());
        for key in [BlindedKey(key), todays(&alice()).key()] {
            let record = Record { key, salt, seq, until, sealed: sealed.clone(), signature };
            prop_assert!(record.check(now).is_err() && record.check(u64::from(until) * 60 - 1).is_err());
            prop_assert!(record.open(alice().id(), TODAY).is_err());
        }
    }
}

fn any_salt() -> impl Strategy<Value = Salt> {
    prop::sample::select(Salt::ALL.to_vec())
}

fn todays(persona: &PersonaSecret) -> BlindedSecret {
    BlindedSecret::of(persona, TODAY)
}

fn empty(persona: &PersonaSecret) -> Body {
    Body::new(persona.id(), vec![], vec![]).unwrap()
}
