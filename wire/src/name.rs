//! Names that sites give: of topics, protocols, methods and services.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::MAX_NAME_CHARS;

/// 1 to 128 characters (Unicode scalar values), none of them a control character.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Text that is not a [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to {MAX_NAME_CHARS} characters and no control characters")]
pub struct BadName;

impl Name {
    /// The name's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        let chars = text.chars().take(MAX_NAME_CHARS + 1).count();
        if (1..=MAX_NAME_CHARS).contains(&chars) && !text.chars().any(char::is_control) {
            Ok(Self(text))
        } else {
            Err(BadName)
        }
    }
}

impl TryFrom<&str> for Name {
    type Error = BadName;

    fn try_from(text: &str) -> Result<Self, BadName> {
        text.to_owned().try_into()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_in_characters_not_bytes() {
        assert!(Name::try_from("ß".repeat(128)).is_ok());
        assert_eq!(Name::try_from("ß".repeat(129)), Err(BadName));
        assert_eq!(Name::try_from(""), Err(BadName));
        assert_eq!(Name::try_from("a\nb"), Err(BadName));
    }
}
