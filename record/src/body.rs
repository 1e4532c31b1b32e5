//! What a record says: where its persona can be reached.

use bitters_wire::{
    address::{Address, Owner},
    codec,
    id::{NodeId, PersonaId},
};
use serde::{Deserialize, Serialize};

/// Doors of one record, at most.
pub const MAX_DOORS: usize = 2;
/// Introduction points of one record, at most.
pub const MAX_INTRODUCTIONS: usize = 3;

/// Bytes of every encoded body. All bodies have the same length, so the length doesn't tell what they say. The
/// longest body takes 712: 2 for its length, 565 for doors with four proxies each, 145 for introduction points.
pub const PLAIN: usize = 720;

/// What a record says of its persona. A body may be empty. Then the persona can't be reached any longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    doors: Vec<Address>,
    introductions: Vec<Introduction>,
}

/// A node that passes offers on to the persona, without knowing which persona that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introduction {
    /// Which node.
    pub node: NodeId,
    /// 16 random bytes. The node knows by them which link leads to the persona.
    pub token: [u8; 16],
}

/// Why something is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBody {
    /// A door of somebody else.
    #[error("a door isn't the persona's own")]
    ForeignDoor,
    /// A door with a grant. That would show the persona's network addresses to whoever knows its id.
    #[error("a door has a grant")]
    Granting,
    /// The bytes are no body, or one that is written in other bytes.
    #[error("not the body of a record")]
    Malformed,
    /// More than [`MAX_DOORS`] doors, or more than [`MAX_INTRODUCTIONS`] introduction points.
    #[error("a record has at most {MAX_DOORS} doors and {MAX_INTRODUCTIONS} introduction points")]
    TooMany,
}

impl Body {
    /// The body of a persona's record: at most [`MAX_DOORS`] doors, which are the persona's own addresses without a
    /// grant, and at most [`MAX_INTRODUCTIONS`] introduction points.
    ///
    /// # Errors
    /// [`BadBody`] for other doors, and for too many of either.
    pub fn new(persona: PersonaId, doors: Vec<Address>, introductions: Vec<Introduction>) -> Result<Self, BadBody> {
        if doors.len() > MAX_DOORS || introductions.len() > MAX_INTRODUCTIONS {
            Err(BadBody::TooMany)
        } else if doors.iter().any(|door| door.owner() != Owner::Persona(persona)) {
            Err(BadBody::ForeignDoor)
        } else if doors.iter().any(|door| door.grant().is_some()) {
            Err(BadBody::Granting)
        } else {
            Ok(Self { doors, introductions })
        }
    }

    /// Where the persona may be dialled.
    #[must_use]
    pub fn doors(&self) -> &[Address] {
        &self.doors
    }

    /// Who passes an offer on to the persona.
    #[must_use]
    pub fn introductions(&self) -> &[Introduction] {
        &self.introductions
    }

    /// The body's bytes: the length of its postcard (2 bytes, high byte first), the postcard, and zeros up to
    /// [`PLAIN`] bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; PLAIN] {
        let said = codec::encode(&(&self.doors, &self.introductions));
        let len = u16::try_from(said.len()).expect("doors and introduction points are bounded");
        let mut plain = [0; PLAIN];
        plain[..2].copy_from_slice(&len.to_be_bytes());
        plain[2..2 + said.len()].copy_from_slice(&said);
        plain
    }

    /// Reads what [`encode`](Self::encode) wrote, of the persona's record.
    ///
    /// # Errors
    /// [`BadBody`] for anything else.
    pub fn decode(persona: PersonaId, plain: &[u8]) -> Result<Self, BadBody> {
        let (len, rest) = plain.split_first_chunk().ok_or(BadBody::Malformed)?;
        let len = usize::from(u16::from_be_bytes(*len));
        let (said, padding) = rest.split_at_checked(len).ok_or(BadBody::Malformed)?;
        if plain.len() != PLAIN || padding.iter().any(|byte| *byte != 0) {
            return Err(BadBody::Malformed);
        }
        let (doors, introductions) = codec::decode_foreign(said, PLAIN).map_err(|_| BadBody::Malformed)?;
        Self::new(persona, doors, introductions)
    }
}

#[cfg(test)]
mod tests {
    use bitters_wire::address::MAX_PROXIES;
    use proptest::prelude::*;

    use super::*;
    use crate::samples::{address, alice, any_body, bob, door, introduction};

    #[test]
    fn the_longest_body_fits() {
        let doors = vec![door(&alice(), MAX_PROXIES); MAX_DOORS];
        let body = Body::new(alice().id(), doors, vec![introduction(1); MAX_INTRODUCTIONS]).unwrap();
        let plain = body.encode();
        assert_eq!(plain.len(), PLAIN);
        assert_eq!(plain.iter().rposition(|byte| *byte != 0), Some(711));
        assert_eq!(Body::decode(alice().id(), &plain), Ok(body));
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let new = |doors, points| {
            let doors = vec![door(&alice(), 1); doors];
            Body::new(alice().id(), doors, vec![introduction(1); points]).map(drop)
        };
        assert_eq!(new(MAX_DOORS, MAX_INTRODUCTIONS), Ok(()));
        assert_eq!(new(MAX_DOORS + 1, 0), Err(BadBody::TooMany));
        assert_eq!(new(0, MAX_INTRODUCTIONS + 1), Err(BadBody::TooMany));
        let many = unchecked(&[], &[introduction(1); MAX_INTRODUCTIONS + 1]);
        assert_eq!(Body::decode(alice().id(), &many), Err(BadBody::TooMany));
        let many = unchecked(&[door(&alice(), 1), door(&alice(), 1), door(&alice(), 1)], &[]);
        assert_eq!(Body::decode(alice().id(), &many), Err(BadBody::TooMany));
    }

    #[test]
    fn a_door_is_the_personas_own_and_grants_nothing() {
        let granting = address(&alice(), 1, Some(alice().grant()));
        for (door, why) in [(door(&bob(), 1), BadBody::ForeignDoor), (granting, BadBody::Granting)] {
            assert_eq!(Body::new(alice().id(), vec![door.clone()], vec![]), Err(why));
            assert_eq!(Body::decode(alice().id(), &unchecked(&[door], &[])), Err(why));
        }
    }

    #[test]
    fn a_body_of_another_length_is_refused() {
        let plain = Body::new(alice().id(), vec![], vec![introduction(1)]).unwrap().encode();
        for len in 0..PLAIN {
            assert_eq!(Body::decode(alice().id(), &plain[..len]), Err(BadBody::Malformed), "{len}");
        }
        assert_eq!(Body::decode(alice().id(), &[plain.as_slice(), &[0]].concat()), Err(BadBody::Malformed));
    }

    proptest! {
        #[test]
        fn a_body_is_read_as_it_was_written(body in any_body()) {
            let plain = body.encode();
            prop_assert_eq!(plain.len(), PLAIN);
            prop_assert_eq!(Body::decode(alice().id(), &plain), Ok(body));
        }

        #[test]
        fn a_body_has_one_spelling(body in any_body(), flips in prop::collection::vec((0..PLAIN, any::<u8>()), 0..3)) {
            let mut plain = body.encode();
            for (at, with) in flips {
                plain[at] ^= with;
            }
            if let Ok(read) = Body::decode(alice().id(), &plain) {
                prop_assert_eq!(read.encode(), plain);
            }
        }

        #[test]
        fn nothing_is_too_strange(said in prop::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 0..160)) {
            let mut plain = [0; PLAIN];
            plain[1] = u8::try_from(said.len()).unwrap();
            plain[2..2 + said.len()].copy_from_slice(&said);
            if let Ok(read) = Body::decode(alice().id(), &plain) {
                prop_assert_eq!(read.encode(), plain);
            }
        }
    }

    fn unchecked(doors: &[Address], introductions: &[Introduction]) -> [u8; PLAIN] {
        Body { doors: doors.to_vec(), introductions: introductions.to_vec() }.encode()
    }
}
