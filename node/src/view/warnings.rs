//! What doesn't work as it should, for people.

use std::collections::VecDeque;

use bitters_wire::id::PersonaId;

/// Warnings kept; the oldest goes first.
const CAPACITY: usize = 16;

/// Characters of one warning.
const MAX_CHARS: usize = 240;

/// Who may read a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Every site: it says nothing that two sites could compare.
    Everyone,
    /// Observers of the whole node: it names peers, or tells what some site asked for.
    Observers,
    /// The site of this persona, whom it concerns, and observers.
    Persona(PersonaId),
}

/// The warnings of one node.
#[derive(Debug, Default)]
pub struct Warnings(VecDeque<(Audience, String)>);

impl Warnings {
    /// Adds a warning that isn't there yet; tells whether there is a change.
    pub fn add(&mut self, audience: Audience, text: &str) -> bool {
        let text: String = text.chars().filter(|c| !c.is_control()).take(MAX_CHARS).collect();
        if self.0.iter().any(|known| *known == (audience, text.clone())) {
            return false;
        }
        self.0.push_back((audience, text));
        if self.0.len() > CAPACITY {
            self.0.pop_front();
        }
        true
    }

    /// Those that a viewer may read, oldest first.
    pub fn texts(&self, viewer: PersonaId, observes: bool) -> Vec<String> {
        let readable = |audience| observes || [Audience::Everyone, Audience::Persona(viewer)].contains(&audience);
        let mut texts = Vec::new();
        for (_, text) in self.0.iter().filter(|(audience, _)| readable(*audience)) {
            if !texts.contains(text) {
                texts.push(text.clone());
            }
        }
        texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_warning_is_kept_once_and_the_oldest_goes() {
        let mut warnings = Warnings::default();
        let added: Vec<bool> = ["a", "b", "a"].into_iter().map(|text| warnings.add(Audience::Everyone, text)).collect();
        assert_eq!(added, [true, true, false]);

        for n in 0..15 {
            warnings.add(Audience::Observers, &n.to_string());
        }
        assert_eq!(warnings.texts(SITE, false), ["b"]);
        assert_eq!(warnings.texts(SITE, true).len(), CAPACITY);
    }

    #[test]
    fn a_warning_is_one_short_line() {
        let mut warnings = Warnings::default();
        warnings.add(Audience::Everyone, &"x\n".repeat(1000));
        assert_eq!(warnings.texts(SITE, false), ["x".repeat(MAX_CHARS)]);
    }

    #[test]
    fn what_concerns_a_site_is_told_to_that_site_and_to_observers() {
        let mut warnings = Warnings::default();
        for site in [SITE, OTHER] {
            assert!(warnings.add(Audience::Persona(site), "no room"));
        }
        assert_eq!(warnings.texts(SITE, false), ["no room"]);
        assert_eq!(warnings.texts(PersonaId([3; 32]), false).len(), 0);
        assert_eq!(warnings.texts(SITE, true), ["no room"]);
    }

    const SITE: PersonaId = PersonaId([1; 32]);
    const OTHER: PersonaId = PersonaId([2; 32]);
}
