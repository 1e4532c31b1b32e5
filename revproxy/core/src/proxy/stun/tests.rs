use proptest::{collection::vec, prelude::*};

use super::*;

/// RFC 5769, section 2.1.
const REQUEST: &[u8] = b"\x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
\x80\x22\x00\x10STUN test client\
\x00\x24\x00\x04\x6e\x00\x01\xff\
\x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36\
\x00\x06\x00\x09evtj:h6vY\x20\x20\x20\
\x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2\
\x80\x28\x00\x04\xe5\x7a\x3b\xcf";

/// RFC 5769, section 2.2: to 192.0.2.1, port 32853.
const RESPONSE: &[u8] = b"\x01\x01\x00\x3c\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
\x80\x22\x00\x0btest vector\x20\
\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43\
\x00\x08\x00\x14\x2b\x91\xf5\x99\xfd\x9e\x90\xc3\x8c\x74\x89\xf9\x2a\xf9\xba\x53\xf0\x6b\xe7\xd7\
\x80\x28\x00\x04\xc0\x7d\x4c\x96";

/// RFC 5769, section 2.3: to an IPv6 address.
const RESPONSE_6: &[u8] = b"\x01\x01\x00\x48\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
\x80\x22\x00\x0btest vector\x20\
\x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9\
\x00\x08\x00\x14\xa3\x82\x95\x4e\x4b\xe6\x7b\xf1\x17\x84\xc9\x7c\x82\x92\xc2\x75\xbf\xe3\xed\x41\
\x80\x28\x00\x04\xc8\xfb\x0b\x4c";

const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

#[test]
fn the_vectors_of_rfc_5769_are_read() {
    let request = Stun::read(REQUEST).unwrap();
    assert_eq!(request.kind, Kind::Request("evtj:h6vY"));
    assert_eq!(request.transaction(), *b"\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae");
    for bytes in [REQUEST, RESPONSE, RESPONSE_6] {
        let stun = Stun::read(bytes).unwrap();
        assert!(stun.is_by(&key(PASSWORD)));
        assert!(!stun.is_by(&key("another password of 26 ch.")));
    }
    assert_eq!(Stun::read(RESPONSE_6).unwrap().kind, Kind::Response);
    // Section 2.4 is signed as no browser does: with a long-term credential, and without a fingerprint.
}

#[test]
fn what_is_written_again_under_its_own_name_and_key_is_the_same() {
    for (bytes, name) in [(REQUEST, Some("evtj:h6vY")), (RESPONSE, None), (RESPONSE_6, None)] {
        let mut out = [0; MAX_STUN];
        let stun = Stun::read(bytes).unwrap();
        let again = stun.write_again(&again(stun.transaction(), name), &mut out).unwrap();
        // But for the padding, which RFC 5769 fills with spaces and we with zeros, as RFC 8489 wants it.
        let stun = Stun::read(again).unwrap();
        assert!(stun.is_by(&key(PASSWORD)));
        assert_eq!((again.len(), stun.kind), (bytes.len(), Stun::read(bytes).unwrap().kind));
        let unlike = again[..again.len() - INTEGRITY - FINGERPRINT].iter().zip(bytes).filter(|(a, b)| a != b);
        assert!(unlike.clone().all(|(&zero, &space)| (zero, space) == (0, b' ')), "{again:x?}");
        assert!(unlike.count() <= 3);
    }
}

#[test]
fn an_answer_with_another_transaction_names_the_same_address() {
    for (bytes, at) in [(RESPONSE, "192.0.2.1:32853"), (RESPONSE_6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853")] {
        let mut out = [0; MAX_STUN];
        let written = Stun::read(bytes).unwrap().write_again(&again([9; 12], None), &mut out).unwrap();

        let stun = Stun::read(written).unwrap();
        assert!(stun.is_by(&key(PASSWORD)));
        assert_eq!((stun.transaction(), written.len()), ([9; 12], bytes.len()));
        let mapped = stun.message.attribute::<XorMappedAddress>().unwrap();
        assert_eq!(mapped.addr(stun.message.transaction_id()), at.parse().unwrap());
    }
}

#[test]
fn a_binding_says_where_it_came_from() {
    let mut request = REQUEST[..20].to_vec();
    request[3] = 0;
    let stun = Stun::read(&request).unwrap();
    assert_eq!(stun.kind, Kind::Plain);
    let mut out = [0; MAX_STUN];
    assert_eq!(binding(&stun, "192.0.2.1:32853".parse().unwrap(), &mut out)[20..], RESPONSE[36..48]);
    let six = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap();
    assert_eq!(binding(&stun, six, &mut out)[20..], RESPONSE_6[36..60]);
}

#[test]
fn what_ice_does_not_send_is_refused() {
    let without = |from: usize, to: usize| {
        let mut bytes = [&REQUEST[..from], &REQUEST[to..]].concat();
        let len = u16::try_from(bytes.len() - 20).unwrap().to_be_bytes();
        bytes[2..4].copy_from_slice(&len);
        bytes
    };
    let len = REQUEST.len();
    for (bytes, what) in [
        (without(len - 8, len), "without a fingerprint"),
        (without(len - 32, len - 8), "without integrity"),
        (without(60, 76), "signed, but without a name"),
        ([REQUEST, &[0; 4]].concat(), "longer than it says"),
        (REQUEST[..len - 4].to_vec(), "shorter than it says"),
        ([&[0, 0x11], &REQUEST[2..]].concat(), "an indication"),
        ([&[0, 3], &REQUEST[2..]].concat(), "of another method"),
        ([&REQUEST[..4], &[0; 4], &REQUEST[8..]].concat(), "without the cookie"),
        (vec![0; 20], "nothing but zeros"),
        (vec![0; 19], "too short"),
        (vec![0; MAX_STUN + 4], "too long"),
    ] {
        assert_eq!(Stun::read(&bytes).map(|_| ()), Err(Dropped::Malformed), "{what}");
    }
}

fn again(transaction: Transaction, username: Option<&str>) -> Again<'_> {
    static KEY: std::sync::LazyLock<IntegrityKey> = std::sync::LazyLock::new(|| key(PASSWORD));
    Again { transaction, username, key: &KEY, lean: false }
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange(mut bytes in vec(any::<u8>(), 0..MAX_STUN + 20), good in any::<bool>()) {
        if good && bytes.len() >= 20 {
            bytes.truncate(bytes.len() & !3);
            let len = u16::try_from(bytes.len() - 20).unwrap().to_be_bytes();
            bytes[..8].copy_from_slice(&[0, 1, len[0], len[1], 0x21, 0x12, 0xa4, 0x42]);
        }
        if let Ok(stun) = Stun::read(&bytes) {
            let _ = stun.is_by(&key(PASSWORD));
            let _ = stun.write_again(&Again { lean: true, ..again([9; 12], Some("a:b")) }, &mut [0; MAX_STUN]);
        }
    }

    #[test]
    fn a_changed_vector_is_no_panic_and_not_authentic(at in 0..REQUEST.len(), to in 1..=u8::MAX) {
        let mut bytes = REQUEST.to_vec();
        bytes[at] ^= to;
        prop_assert!(!Stun::read(&bytes).is_ok_and(|stun| stun.is_by(&key(PASSWORD))));
    }
}
