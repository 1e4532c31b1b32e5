//! The crates of Cargo.lock that are built for any target.

use std::collections::BTreeSet;

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
    let mut metadata: Metadata = serde_json::from_str(&metadata).context("cargo metadata")?;
    let built = built(workspace)?;
    metadata.packages.retain(|package| built.contains(&(package.name.clone(), package.version.to_string())));
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

/// Names and versions. Cargo.lock also has what only a feature would bring that nobody asks for (`other?/feature`); cargo's metadata
/// names that too, cargo's tree doesn't.
fn built(workspace: &Workspace) -> Result<BTreeSet<(String, String)>> {
    let tree = ["tree", "--locked", "--workspace", "--target", "all", "--prefix", "none", "--format", "{p}"];
    let tree = workspace.cargo().args(tree).read()?;
    Ok(tree.lines().filter_map(name_and_version).collect())
}

/// Of `name v1.2.3`, whatever follows.
fn name_and_version(line: &str) -> Option<(String, String)> {
    let (name, rest) = line.split_once(" v")?;
    Some((name.to_owned(), rest.split(' ').next()?.to_owned()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_tree_is_read() {
        let read = |line| name_and_version(line).map(|(name, version)| format!("{name} {version}"));

        assert_eq!(read("serde v1.0.229").as_deref(), Some("serde 1.0.229"));
        assert_eq!(read("serde_derive v1.0.229 (proc-macro) (*)").as_deref(), Some("serde_derive 1.0.229"));
        assert_eq!(read("toml v1.2.1+spec-1.1.0").as_deref(), Some("toml 1.2.1+spec-1.1.0"));
        assert_eq!(read("xtask v0.1.0 (/somewhere/v2 there)").as_deref(), Some("xtask 0.1.0"));
        assert_eq!(read(""), None);
    }
}
