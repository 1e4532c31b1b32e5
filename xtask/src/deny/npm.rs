//! The packages of package-lock.json.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::advisories::Advisories;
use super::{Package, Policy, Report};
use crate::workspace::Workspace;

/// The only registry that a locked address may name. Where none is locked, the integrity pins the content all the same.
const REGISTRY: &str = "https://registry.npmjs.org/";

/// What we read of package-lock.json.
#[derive(Deserialize)]
struct Lock {
    packages: BTreeMap<String, Locked>,
}

#[derive(Deserialize)]
struct Locked {
    integrity: Option<String>,
    license: Option<String>,
    #[serde(default)]
    link: bool,
    resolved: Option<String>,
    version: Option<semver::Version>,
}

/// Checks licences, sources and advisories.
pub fn check(workspace: &Workspace, policy: &Policy, advisories: &Advisories, report: &mut Report) -> Result<()> {
    let lock = fs::read_to_string(workspace.path("package-lock.json")).context("package-lock.json can't be read")?;
    let packages = check_lock(&lock, policy, report)?;
    advisories.check_npm(&packages, policy, report);
    Ok(())
}

fn check_lock(lock: &str, policy: &Policy, report: &mut Report) -> Result<Vec<Package>> {
    let lock: Lock = serde_json::from_str(lock).context("package-lock.json")?;
    let mut packages = Vec::new();
    for (path, locked) in lock.packages.iter().filter(|(_, locked)| !locked.link) {
        // What isn't below node_modules is ours.
        let Some((_, name)) = path.rsplit_once("node_modules/") else { continue };
        let version = locked.version.clone().with_context(|| format!("{path} has no version"))?;
        if locked.integrity.is_none() || locked.resolved.as_ref().is_some_and(|url| !url.starts_with(REGISTRY)) {
            report.errors.push(format!("{name} {version} isn't pinned to content of the npm registry"));
        }
        let package = Package { name: name.to_owned(), version, licence: locked.license.clone() };
        report.check_licence(&package, policy);
        packages.push(package);
    }
    report.checked.push(format!("licences and sources of {} npm packages", packages.len()));
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_below_node_modules_are_checked() {
        let lock = r#"{ "packages": {
            "": { "name": "ours" },
            "host-sdk": { "version": "0.1.0" },
            "node_modules/@ours/host-sdk": { "resolved": "host-sdk", "link": true },
            "node_modules/a": { "version": "1.0.0", "license": "MIT", "integrity": "sha512-x" },
            "node_modules/a/node_modules/@s/b": { "version": "2.0.0", "license": "GPL-3.0-only", "integrity": "sha512-x" },
            "node_modules/c": { "version": "3.0.0", "license": "MIT", "resolved": "git+ssh://example.org/c.git" }
        } }"#;
        let policy = Policy { licences: ["MIT".to_owned()].into(), ignored: Vec::new() };
        let mut report = Report::default();

        let packages = check_lock(lock, &policy, &mut report).unwrap();

        assert_eq!(packages.iter().map(|package| package.name.as_str()).collect::<Vec<_>>(), ["a", "@s/b", "c"]);
        let errors = [
            "@s/b 2.0.0: GPL-3.0-only isn't allowed by deny/policy.toml",
            "c 3.0.0 isn't pinned to content of the npm registry",
        ];
        assert_eq!(report.errors, errors);
    }
}
