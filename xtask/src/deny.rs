//! Licences, sources, yanked versions and known advisories of all that we depend on, without a network.
//!
//! Cargo.lock and package-lock.json say what that is; cargo's and npm's own copies say the rest. What can't be known offline is said to be
//! unknown, never taken to be fine in silence.

mod advisories;
mod crates;
mod index;
mod licence;
mod npm;

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::workspace::Workspace;

use advisories::Advisories;

/// What is allowed: `deny/policy.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    /// SPDX identifiers of the licences that may be chosen.
    licences: BTreeSet<String>,
    /// Advisories that were looked at and don't concern us.
    #[serde(default)]
    ignored: Vec<Ignored>,
}

/// An advisory that is let through.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ignored {
    id: String,
    reason: String,
}

/// A dependency, wherever it comes from.
#[derive(Clone, Debug, PartialEq)]
struct Package {
    name: String,
    version: semver::Version,
    licence: Option<String>,
}

/// What was found.
#[derive(Debug, Default, PartialEq)]
struct Report {
    /// What was looked at, and against what.
    checked: Vec<String>,
    /// Worth knowing.
    warnings: Vec<String>,
    /// Not to be let through.
    errors: Vec<String>,
}

/// Checks everything, then prints what was checked and what was found.
pub fn deny(workspace: &Workspace) -> Result<()> {
    let policy = fs::read_to_string(workspace.path("deny/policy.toml")).context("deny/policy.toml can't be read")?;
    let policy: Policy = toml::from_str(&policy).context("deny/policy.toml")?;
    let advisories = Advisories::load(workspace)?;
    let mut report = Report::default();
    crates::check(workspace, &policy, &advisories, &mut report)?;
    npm::check(workspace, &policy, &advisories, &mut report)?;
    for Ignored { id, reason } in &policy.ignored {
        report.warnings.push(format!("{id} is ignored: {reason}"));
    }
    report.print();
    if !report.errors.is_empty() {
        bail!("{} found that must not be let through", report.errors.len());
    }
    Ok(())
}

impl Report {
    fn print(&self) {
        for (word, lines) in [("checked", &self.checked), ("warning", &self.warnings), ("error", &self.errors)] {
            for line in lines {
                println!("{word}: {line}");
            }
        }
    }

    /// A package's licence must leave a choice that is allowed.
    fn check_licence(&mut self, package: &Package, policy: &Policy) {
        let Package { name, version, licence } = package;
        match licence.as_deref().map(|text| licence::allows(text, &policy.licences)) {
            None => self.errors.push(format!("{name} {version} names no licence")),
            Some(Err(error)) => self.errors.push(format!("{name} {version}: {error:#}")),
            Some(Ok(false)) => {
                let licence = licence.as_deref().unwrap_or_default();
                self.errors.push(format!("{name} {version}: {licence} isn't allowed by deny/policy.toml"));
            }
            Some(Ok(true)) => {}
        }
    }
}
