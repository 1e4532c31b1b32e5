//! Whether a licence expression leaves a choice that is allowed.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use spdx::{Expression, LicenseReq, ParseMode};

/// Evaluates an SPDX expression, in the loose form (`MIT/Apache-2.0`) that older packages use too: of what is joined by OR one must be
/// allowed, of what is joined by AND all. A licence with an exception is another licence, and in no list of ours.
pub fn allows(expression: &str, allowed: &BTreeSet<String>) -> Result<bool> {
    let parsed =
        Expression::parse_mode(expression, ParseMode::LAX).with_context(|| format!("the licence {expression:?}"))?;
    Ok(parsed.evaluate(|licence| is_allowed(licence, allowed)))
}

fn is_allowed(licence: &LicenseReq, allowed: &BTreeSet<String>) -> bool {
    licence.addition.is_none() && licence.license.id().is_some_and(|id| allowed.contains(id.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_alternatives_is_enough() {
        assert!(allowed("MIT OR GPL-3.0-only"));
        assert!(allowed("MIT/Apache-2.0"));
        assert!(allowed("Apache-2.0 WITH LLVM-exception OR MIT"));
        assert!(!allowed("GPL-3.0-only OR MPL-2.0"));
    }

    #[test]
    fn all_that_is_joined_is_needed() {
        assert!(allowed("MIT AND BSD-3-Clause"));
        assert!(!allowed("MIT AND GPL-3.0-only"));
        assert!(allowed("(MIT OR GPL-3.0-only) AND BSD-3-Clause"));
        assert!(!allowed("(MIT OR BSD-3-Clause) AND Unicode-3.0"));
    }

    #[test]
    fn an_exception_makes_another_licence() {
        assert!(!allowed("MIT WITH LLVM-exception"));
    }

    #[test]
    fn what_is_no_licence_is_an_error() {
        let error = allows("see the file", &BTreeSet::new()).unwrap_err();
        assert_eq!(error.to_string(), "the licence \"see the file\"");
    }

    fn allowed(expression: &str) -> bool {
        allows(expression, &["MIT", "BSD-3-Clause"].map(str::to_owned).into()).unwrap()
    }
}
