//! Shelves that are put what strangers like.

use std::{collections::BTreeMap, sync::LazyLock};

use bitters_wire::{codec::encode, keys::PersonaSecret};
use proptest::prelude::*;

use super::*;
use crate::{
    blind::{BlindedSecret, Unproven},
    body::Body,
    day::Day,
    record::TTL_SECS,
    samples::{NOON, alice, bob, record},
};

#[test]
fn a_record_is_kept_until_it_expires() {
    let mut shelf = Shelf::new();
    let (first, end) = (record(&alice(), 1), NOON + TTL_SECS);
    assert_eq!(shelf.next_expiry(), None);
    assert_eq!(put(&mut shelf, &first, 1, 5), Ok(Put::New));
    assert_eq!(shelf.get(first.key(), first.salt(), end - 1), Some(&first));
    assert_eq!(shelf.get(first.key(), Salt::ALL[1], NOON), None);
    assert_eq!(shelf.next_expiry(), Some(end));

    assert_eq!(shelf.get(first.key(), first.salt(), end), None);
    assert_eq!(shelf.records(end).count(), 0);
    shelf.forget(end - 1);
    assert_eq!(shelf.records(NOON).collect::<Vec<_>>(), [&first]);
    shelf.forget(end);
    assert_eq!(shelf.records(NOON).count(), 0);
}

#[test]
fn the_newest_record_wins() {
    let mut shelf = Shelf::new();
    let [old, new] = [1, 2].map(|seq| record(&alice(), seq));
    assert_eq!(put(&mut shelf, &old, 1, 5), Ok(Put::New));
    assert_eq!(put(&mut shelf, &old, 2, 5), Ok(Put::Known));
    assert_eq!(put(&mut shelf, &new, 2, 5), Ok(Put::Renewed));
    assert_eq!(put(&mut shelf, &old, 3, 5), Ok(Put::Stale(Box::new(new.clone()))));
    assert_eq!(shelf.records(NOON).collect::<Vec<_>>(), [&new]);
}

#[test]
fn of_two_that_differ_in_all_but_their_number_the_first_stays() {
    let mut shelf = Shelf::new();
    let (first, secret) = (record(&alice(), 1), BlindedSecret::of(&alice(), Day::of(NOON)));
    let body = Body::new(alice().id(), vec![], vec![]).unwrap();
    let second = Record::seal(&secret, first.salt(), 1, first.until(), &body, [6; 16]);
    assert_eq!(put(&mut shelf, &first, 1, 5), Ok(Put::New));
    assert_eq!(put(&mut shelf, &second, 1, 0), Err(Refusal::Conflict));
    assert_eq!(shelf.get(first.key(), first.salt(), NOON), Some(&first));
}

#[test]
fn what_is_no_good_record_is_refused_and_changes_nothing() {
    let mut shelf = Shelf::new();
    let good = record(&alice(), 1);
    assert_eq!(put(&mut shelf, &good, 1, 5), Ok(Put::New));
    let mut forged = encode(&record(&alice(), 2));
    *forged.last_mut().unwrap() ^= 1;
    let forged: Record = bitters_wire::codec::decode_foreign(&forged, MAX_RECORD).unwrap();
    let refused = put(&mut shelf, &forged, 1, 0);
    assert!(matches!(refused, Err(Refusal::Bad(BadRecord::Unproven(Unproven::Signature(_))))), "{refused:?}");
    let late = shelf.put(record(&bob(), 1), NodeId([1; 32]), 0, NOON + TTL_SECS, Instant::START);
    assert_eq!(late, Err(Refusal::Bad(BadRecord::Expired)));
    assert_eq!(shelf.get(good.key(), good.salt(), NOON), Some(&good));
}

#[test]
fn a_link_puts_no_more_than_its_rate() {
    let mut shelf = Shelf::new();
    let mut puts = |link, ms| {
        let put = |_: &u32| {
            shelf.put(record(&alice(), 1), NodeId([link; 32]), 0, NOON, Instant::from_millis(ms)) != Err(Refusal::Rate)
        };
        (0..100).filter(put).count()
    };
    assert_eq!([puts(1, 0), puts(2, 0), puts(1, 60_000)], [32; 3]);
}

/// The worst that one link can do: records of invented personas, all as near as can be.
#[test]
fn one_link_pushes_out_no_more_than_its_part() {
    let mut shelf = Shelf::new();
    let honest = fill(&mut shelf);
    for (n, record) in (0..).zip(&records()[PLACES..RECORDS]) {
        let put = slowly(&mut shelf, record, 200, 0, n);
        assert_eq!(put, if n < LINK_PLACES as u64 { Ok(Put::New) } else { Err(Refusal::LinkFull) });
    }
    let left = honest.iter().filter(|record| shelf.get(record.key(), record.salt(), NOON).is_some()).count();
    assert_eq!((left, shelf.records(NOON).count()), (PLACES - LINK_PLACES, PLACES));
}

#[test]
fn far_records_push_out_nothing() {
    let mut shelf = Shelf::new();
    let honest = fill(&mut shelf);
    for (n, record) in (0..).zip(&records()[PLACES..RECORDS]) {
        assert_eq!(slowly(&mut shelf, record, 200, PLACES as u64, n), Err(Refusal::Full));
    }
    assert!(honest.iter().all(|record| shelf.get(record.key(), record.salt(), NOON).is_some()));
}

#[test]
fn a_persona_takes_four_places_at_most() {
    let (mut shelf, secret) = (Shelf::new(), BlindedSecret::of(&alice(), Day::of(NOON)));
    let body = Body::new(alice().id(), vec![], vec![]).unwrap();
    for n in 0..64 {
        let salt = Salt::ALL[usize::from(n % 4)];
        let record = Record::seal(&secret, salt, n.into(), NOON + TTL_SECS, &body, [n; 16]);
        let put = put(&mut shelf, &record, n, 0);
        assert_eq!(put, Ok(if n < 4 { Put::New } else { Put::Renewed }));
    }
    assert_eq!(shelf.records(NOON).count(), 4);
}

/// A renewed record is counted against the link that renewed it, but stays with the link before if that one has no
/// room.
#[test]
fn a_renewed_record_is_counted_against_a_link_with_room() {
    let mut shelf = Shelf::new();
    let renewed = [1, 2, 3].map(|seq| record(&alice(), seq));
    assert_eq!(put(&mut shelf, &renewed[0], 1, 0), Ok(Put::New));
    assert_eq!(slowly(&mut shelf, &renewed[1], 2, 0, 0), Ok(Put::Renewed));
    assert_eq!([1, 2].map(|link| shelf.of_link(NodeId([link; 32]))), [0, 1]);
    for (n, record) in (0..).zip(&records()[..LINK_PLACES]) {
        assert_eq!(slowly(&mut shelf, record, 3, 0, n), Ok(Put::New));
    }
    assert_eq!(slowly(&mut shelf, &renewed[2], 3, 0, 1000), Ok(Put::Renewed));
    assert_eq!([2, 3].map(|link| shelf.of_link(NodeId([link; 32]))), [1, LINK_PLACES]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Many links, few of them alike, put records near and far, again and again.
    #[test]
    fn no_bound_is_ever_passed(
        steps in prop::collection::vec((0..RECORDS + NEWER, 0..6_u8, 0..8_u64, 0..4000_u64), 1500),
        forgets in prop::option::of(0..TTL_SECS),
    ) {
        let (mut shelf, mut ms) = (Shelf::new(), 0);
        let mut taken = BTreeMap::<u8, u64>::new();
        for (record, link, distance, wait) in steps {
            ms += wait;
            let record = &records()[record];
            let before = kept(&shelf);
            let put = shelf.put(record.clone(), NodeId([link; 32]), distance, NOON, Instant::from_millis(ms));
            let after = kept(&shelf);
            let left = before.iter().filter(|(name, _)| !after.contains_key(*name)).collect::<Vec<_>>();
            prop_assert!(left.len() <= usize::from(put == Ok(Put::New)), "{left:?} {put:?}");
            prop_assert!(left.iter().all(|(_, had)| **had > distance), "{left:?} for {distance}");
            let has = after.contains_key(&(record.key(), record.salt()));
            prop_assert_eq!(put.is_ok(), has && put != Err(Refusal::Rate));
            let taken = taken.entry(link).or_default();
            *taken += u64::from(put.is_ok());
            prop_assert!(*taken <= 32 + ms * 32 / 60_000);
            prop_assert!((0..6).all(|link| shelf.of_link(NodeId([link; 32])) <= LINK_PLACES));
        }
        let bytes: usize = shelf.records(NOON).map(|record| encode(record).len()).sum();
        prop_assert!(bytes <= QUOTA && shelf.records(NOON).count() <= PLACES);
        prop_assert!(shelf.records(NOON).count() > LINK_PLACES, "too few were put to show anything");
        if let Some(after) = forgets {
            shelf.forget(NOON + after);
            prop_assert!(shelf.next_expiry().is_none_or(|end| end > NOON + after));
        }
    }
}

/// More than a shelf and a link's part have places for.
const RECORDS: usize = PLACES + LINK_PLACES + 10;

/// Newer records of some of their personas.
const NEWER: usize = 100;

/// Records of [`RECORDS`] personas, then newer ones of the first [`NEWER`]. They take a while to sign.
fn records() -> &'static [Record] {
    static RECORDS_MADE: LazyLock<Vec<Record>> = LazyLock::new(|| {
        let seed = |n: u64| [n.to_be_bytes(); 4].concat().try_into().expect("32 bytes");
        let newer = (0..NEWER as u64).map(|n| (n, 2));
        let all = (0..RECORDS as u64).map(|n| (n, 1)).chain(newer);
        all.map(|(n, seq)| record(&PersonaSecret::new(seed(n)), seq)).collect()
    });
    &RECORDS_MADE
}

/// A full shelf of what ten links put, each in another distance.
fn fill(shelf: &mut Shelf) -> &'static [Record] {
    let honest = &records()[..PLACES];
    for (n, record) in (0..).zip(honest) {
        assert_eq!(slowly(shelf, record, u8::try_from(n % 10).unwrap(), n, n), Ok(Put::New));
    }
    honest
}

fn put(shelf: &mut Shelf, record: &Record, link: u8, distance: u64) -> Result<Put, Refusal> {
    slowly(shelf, record, link, distance, 0)
}

/// The `n`-th put, so late that no link is too fast.
fn slowly(shelf: &mut Shelf, record: &Record, link: u8, distance: u64, n: u64) -> Result<Put, Refusal> {
    shelf.put(record.clone(), NodeId([link; 32]), distance, NOON, Instant::from_millis(n * 2000))
}

/// What is kept, and how far it is.
fn kept(shelf: &Shelf) -> BTreeMap<(BlindedKey, Salt), u64> {
    shelf.kept.iter().map(|(name, kept)| (*name, kept.distance)).collect()
}
