//! The crates of Cargo.lock.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::advisories::Advisories;
use super::index::{Index, Listed};
use super::{Package, Policy, Report};
use crate::workspace::Workspace;

/// The only source that crates may come from, as cargo names it.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What we read of cargo's metadata.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Crate>,
}

#[derive(Deserialize)]
struct Crate {
    name: String,
    version: semver::Version,
    license: Option<String>,
    source: Option<String>,
}

/// Checks licences, sources, yanked versions and advisories.
pub fn check(workspace: &Workspace, policy: &Policy, advisories: &Advisories, report: &mut Report) -> Result<()> {
    let metadata = workspace.cargo().args(["metadata", "--locked", "--format-version", "1"]).read()?;
    let metadata: Metadata = serde_json::from_str(&metadata).context("cargo metadata")?;
    let (ours, theirs): (Vec<_>, Vec<_>) = metadata.packages.into_iter().partition(|package| package.source.is_none());
    report.checked.push(format!("licences and sources of {} crates and of our {}", theirs.len(), ours.len()));
    for package in ours.iter().chain(&theirs) {
        report.check_licence(&package.package(), policy);
        if package.source.as_deref().is_some_and(|source| source != CRATES_IO) {
            report.errors.push(format!("{} {} isn't from crates.io", package.name, package.version));
        }
    }
    check_yanked(&theirs, report)?;
    let packages: Vec<_> = theirs.iter().map(Crate::package).collect();
    advisories.check_crates(&packages, policy, report)
}

fn check_yanked(crates: &[Crate], report: &mut Report) -> Result<()> {
    let index = Index::of_cargo()?;
    let mut unknown = Vec::new();
    for package in crates {
        match index.listed(&package.name, &package.version)? {
            Listed::Fine => {}
            Listed::Unknown => unknown.push(format!("{} {}", package.name, package.version)),
            Listed::Yanked => report.errors.push(format!("{} {} was yanked", package.name, package.version)),
        }
    }
    let known = crates.len() - unknown.len();
    report.checked.push(format!("yanked versions: {known} of {} crates, by cargo's copy of the index", crates.len()));
    if !unknown.is_empty() {
        report.warnings.push(format!("not in cargo's copy of the index: {}", unknown.join(", ")));
    }
    Ok(())
}

impl Crate {
    fn package(&self) -> Package {
        Package { name: self.name.clone(), version: self.version.clone(), licence: self.license.clone() }
    }
}
