//! What doesn't work as it should, for people.

use std::collections::VecDeque;

/// Warnings kept; the oldest goes first.
const CAPACITY: usize = 16;

/// Characters of one warning.
const MAX_CHARS: usize = 240;

/// Who may read a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Every site: it says nothing that two sites could compare.
    Everyone,
    /// Observers of the whole node: it names peers.
    Observers,
}

/// The warnings of one node.
#[derive(Debug, Default)]
pub struct Warnings(VecDeque<(Audience, String)>);

impl Warnings {
    /// Adds a warning that isn't there yet; tells whether there is a change.
    pub fn add(&mut self, audience: Audience, text: &str) -> bool {
        let text: String = text.chars().filter(|c| !c.is_control()).take(MAX_CHARS).collect();
        if self.0.iter().any(|(_, known)| *known == text) {
            return false;
        }
        self.0.push_back((audience, text));
        if self.0.len() > CAPACITY {
            self.0.pop_front();
        }
        true
    }

    /// Those that a viewer may read, oldest first.
    pub fn texts(&self, observes: bool) -> impl Iterator<Item = String> + '_ {
        let readable = move |audience: Audience| observes || audience == Audience::Everyone;
        self.0.iter().filter(move |(audience, _)| readable(*audience)).map(|(_, text)| text.clone())
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
        assert_eq!(warnings.texts(false).collect::<Vec<_>>(), ["b"]);
        assert_eq!(warnings.texts(true).count(), CAPACITY);
    }

    #[test]
    fn a_warning_is_one_short_line() {
        let mut warnings = Warnings::default();
        warnings.add(Audience::Everyone, &"x\n".repeat(1000));
        assert_eq!(warnings.texts(false).collect::<Vec<_>>(), ["x".repeat(MAX_CHARS)]);
    }
}
