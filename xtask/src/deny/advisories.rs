//! Known faults: a reviewed list in `deny/advisories.toml`, and RustSec's database where a copy of it is at hand.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use semver::VersionReq;
use serde::Deserialize;

use super::{Package, Policy, Report};
use crate::workspace::Workspace;

/// All that we know.
pub struct Advisories {
    list: List,
    database: Option<PathBuf>,
}

/// `deny/advisories.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    /// The month in which the list was last gone through.
    reviewed: String,
    crates: Vec<Advisory>,
    npm: Vec<Advisory>,
}

/// One fault of one package.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Advisory {
    id: String,
    package: String,
    title: String,
    /// Nothing that can be exploited: nobody looks after it any more, or a notice.
    #[serde(default)]
    informational: bool,
    /// Versions with the fault repaired; none is repaired where there are none.
    #[serde(default)]
    patched: Vec<VersionReq>,
    /// Versions that never had it.
    #[serde(default)]
    unaffected: Vec<VersionReq>,
}

impl Advisories {
    /// Reads the list, and looks for the database where `RUSTSEC_DB` says, else where cargo-deny and cargo-audit keep theirs.
    pub fn load(workspace: &Workspace) -> Result<Self> {
        let list =
            fs::read_to_string(workspace.path("deny/advisories.toml")).context("deny/advisories.toml can't be read")?;
        let list = toml::from_str(&list).context("deny/advisories.toml")?;
        let database = match std::env::var_os("RUSTSEC_DB").map(PathBuf::from) {
            Some(path) => {
                anyhow::ensure!(
                    path.join("crates").is_dir(),
                    "RUSTSEC_DB names {}, which has no crates",
                    path.display()
                );
                Some(path)
            }
            None => std::env::home_dir()
                .map(|home| home.join(".cargo/advisory-db"))
                .filter(|path| path.join("crates").is_dir()),
        };
        Ok(Self { list, database })
    }

    /// Checks crates against the list and the database.
    pub fn check_crates(&self, crates: &[Package], policy: &Policy, report: &mut Report) -> Result<()> {
        let List { reviewed, crates: known, .. } = &self.list;
        report.checked.push(format!(
            "{} crates against our list of {} advisories of {reviewed}",
            crates.len(),
            known.len()
        ));
        report_matches(known, crates, policy, report);
        let Some(database) = &self.database else {
            report.warnings.push("RustSec's database isn't at hand: name a copy of it in RUSTSEC_DB".to_owned());
            return Ok(());
        };
        let mut of_database = Vec::new();
        let names: BTreeSet<_> = crates.iter().map(|package| package.name.as_str()).collect();
        for name in names {
            of_database.extend(read_database(&database.join("crates").join(name))?);
        }
        of_database.retain(|advisory| !known.iter().any(|own| own.id == advisory.id));
        report.checked.push(format!("{} crates against RustSec's database in {}", crates.len(), database.display()));
        report_matches(&of_database, crates, policy, report);
        Ok(())
    }

    /// Checks npm packages against the list.
    pub fn check_npm(&self, packages: &[Package], policy: &Policy, report: &mut Report) {
        let List { reviewed, npm, .. } = &self.list;
        report.checked.push(format!(
            "{} npm packages against our list of {} advisories of {reviewed}",
            packages.len(),
            npm.len()
        ));
        report_matches(npm, packages, policy, report);
    }
}

impl Advisory {
    fn concerns(&self, package: &Package) -> bool {
        self.package == package.name
            && !self.patched.iter().chain(&self.unaffected).any(|versions| versions.matches(&package.version))
    }
}

fn report_matches(advisories: &[Advisory], packages: &[Package], policy: &Policy, report: &mut Report) {
    for advisory in advisories.iter().filter(|advisory| policy.ignored.iter().all(|ignored| ignored.id != advisory.id))
    {
        for Package { name, version, .. } in packages.iter().filter(|package| advisory.concerns(package)) {
            let line = format!("{name} {version}: {} ({})", advisory.title, advisory.id);
            let lines = if advisory.informational { &mut report.warnings } else { &mut report.errors };
            lines.push(line);
        }
    }
}

/// The front matter of an advisory in RustSec's database, as far as we read it.
#[derive(Deserialize)]
struct FrontMatter {
    advisory: Head,
    versions: Versions,
}

#[derive(Deserialize)]
struct Head {
    id: String,
    package: String,
    informational: Option<String>,
    withdrawn: Option<String>,
}

#[derive(Deserialize)]
struct Versions {
    #[serde(default)]
    patched: Vec<VersionReq>,
    #[serde(default)]
    unaffected: Vec<VersionReq>,
}

/// The advisories of one crate, which has a folder only if there are any.
fn read_database(dir: &Path) -> Result<Vec<Advisory>> {
    let mut advisories = Vec::new();
    let Ok(entries) = fs::read_dir(dir) else { return Ok(advisories) };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            advisories.extend(parse(&text).with_context(|| path.display().to_string())?);
        }
    }
    Ok(advisories)
}

/// An advisory is Markdown that starts with a block of TOML; none comes of one that was withdrawn.
fn parse(text: &str) -> Result<Option<Advisory>> {
    let (_, rest) = text.split_once("```toml").context("it has no front matter")?;
    let (front, body) = rest.split_once("```").context("its front matter doesn't end")?;
    let FrontMatter { advisory: Head { id, package, informational, withdrawn }, versions } = toml::from_str(front)?;
    let title = body.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or("no title").to_owned();
    let informational = informational.is_some_and(|kind| kind != "unsound");
    let Versions { patched, unaffected } = versions;
    Ok(withdrawn.is_none().then_some(Advisory { id, package, title, informational, patched, unaffected }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUSTSEC: &str = r##"```toml
[advisory]
id = "RUSTSEC-2024-0344"
package = "curve25519-dalek"
date = "2024-06-18"
categories = ["crypto-failure"]

[versions]
patched = [">= 4.1.3"]
unaffected = ["< 1.0.0"]
```

# Timing variability
"##;

    #[test]
    fn rustsec_is_understood() {
        assert_eq!(parse(RUSTSEC).unwrap(), Some(timing()));
        let withdrawn = RUSTSEC.replace("date =", "withdrawn = \"2024-07-01\"\ndate =");
        assert_eq!(parse(&withdrawn).unwrap(), None);
        let unsound = RUSTSEC.replace("date =", "informational = \"unsound\"\ndate =");
        assert_eq!(parse(&unsound).unwrap(), Some(timing()));
    }

    #[test]
    fn an_advisory_concerns_what_is_neither_patched_nor_unaffected() {
        let versions = ["0.9.0", "3.2.0", "4.1.2", "4.1.3", "5.0.0"];
        let concerned = versions.map(|version| timing().concerns(&package("curve25519-dalek", version)));
        assert_eq!(concerned, [false, true, true, false, false]);
        assert!(!timing().concerns(&package("ed25519-dalek", "4.1.2")));
    }

    #[test]
    fn faults_are_errors_and_notices_are_warnings() {
        let unmaintained = Advisory { id: "B".to_owned(), informational: true, ..timing() };
        let ignored = Advisory { id: "C".to_owned(), ..timing() };
        let reason = "not called".to_owned();
        let policy =
            Policy { licences: [].into(), ignored: vec![super::super::Ignored { id: "C".to_owned(), reason }] };
        let mut report = Report::default();

        report_matches(
            &[timing(), unmaintained, ignored],
            &[package("curve25519-dalek", "4.0.0")],
            &policy,
            &mut report,
        );

        let errors = vec!["curve25519-dalek 4.0.0: Timing variability (RUSTSEC-2024-0344)".to_owned()];
        let warnings = vec!["curve25519-dalek 4.0.0: Timing variability (B)".to_owned()];
        assert_eq!(report, Report { checked: Vec::new(), warnings, errors });
    }

    #[test]
    fn our_own_list_is_sound() {
        let list: List = toml::from_str(include_str!("../../../deny/advisories.toml")).unwrap();
        for advisory in list.crates.iter().chain(&list.npm) {
            assert!(advisory.informational || !advisory.patched.is_empty(), "{} is repaired by nothing", advisory.id);
        }
    }

    fn timing() -> Advisory {
        Advisory {
            id: "RUSTSEC-2024-0344".to_owned(),
            package: "curve25519-dalek".to_owned(),
            title: "Timing variability".to_owned(),
            informational: false,
            patched: vec![">= 4.1.3".parse().unwrap()],
            unaffected: vec!["< 1.0.0".parse().unwrap()],
        }
    }

    fn package(name: &str, version: &str) -> Package {
        Package { name: name.to_owned(), version: version.parse().unwrap(), licence: None }
    }
}
