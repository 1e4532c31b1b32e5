//! Cargo's own copy of the registry's index, which says what was yanked when cargo last asked.
//!
//! A file for each crate holds, apart from a header, pairs of a version and a JSON object, each ended by a zero byte.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use semver::Version;
use serde::Deserialize;

/// What the index says of a version.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Listed {
    /// It is there.
    Fine,
    /// There is no copy that has it.
    Unknown,
    /// It was taken back.
    Yanked,
}

/// The folders that hold copies, one for each registry or mirror.
pub struct Index(Vec<PathBuf>);

#[derive(Deserialize)]
struct Entry {
    vers: Version,
    yanked: bool,
}

impl Index {
    /// The copies in cargo's home; none is not an error.
    pub fn of_cargo() -> Result<Self> {
        let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).context("there is no home directory")?;
        let Ok(registries) = fs::read_dir(home.join("registry/index")) else {
            return Ok(Self(Vec::new()));
        };
        let dirs = registries.map(|registry| Ok(registry?.path().join(".cache")));
        Ok(Self(dirs.collect::<Result<_>>()?))
    }

    /// What the copies say; one that says yanked is enough.
    pub fn listed(&self, name: &str, version: &Version) -> Result<Listed> {
        let mut listed = Listed::Unknown;
        for dir in &self.0 {
            let path = dir.join(file_of(name));
            if !path.is_file() {
                continue;
            }
            let content = fs::read(&path).with_context(|| format!("{} can't be read", path.display()))?;
            match entry(&content, version) {
                Some(Entry { yanked: true, .. }) => return Ok(Listed::Yanked),
                Some(_) => listed = Listed::Fine,
                None => {}
            }
        }
        Ok(listed)
    }
}

/// The entry of a version. Pieces that aren't entries are the header and the versions between.
fn entry(content: &[u8], version: &Version) -> Option<Entry> {
    let objects = content.split(|byte| *byte == 0).filter(|piece| piece.starts_with(b"{"));
    objects.filter_map(|piece| serde_json::from_slice::<Entry>(piece).ok()).find(|entry| entry.vers == *version)
}

/// The index's layout: `1/a`, `2/ab`, `3/a/abc`, `se/rd/serde`, in lower case.
fn file_of(name: &str) -> PathBuf {
    let name = name.to_lowercase();
    match name.len() {
        1 | 2 => Path::new(&name.len().to_string()).join(&name),
        3 => Path::new("3").join(&name[..1]).join(&name),
        _ => Path::new(&name[..2]).join(&name[2..4]).join(&name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_lie_by_their_names() {
        let paths = ["a", "ab", "Abc", "Serde"].map(file_of);
        assert_eq!(paths, ["1/a", "2/ab", "3/a/abc", "se/rd/serde"].map(PathBuf::from));
    }

    #[test]
    fn a_copy_says_what_was_yanked() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join("se/rd")).unwrap();
        let content = b"\x03\x02\0\0\0etag\x001.0.0\0{\"vers\":\"1.0.0\",\"yanked\":true}\x001.0.1\0{\"vers\":\"1.0.1\",\"yanked\":false}\0";
        fs::write(home.path().join("se/rd/serde"), content).unwrap();
        let index = Index(vec![home.path().join("missing"), home.path().to_path_buf()]);

        let said = ["1.0.0", "1.0.1", "1.0.2"].map(|version| index.listed("serde", &version.parse().unwrap()).unwrap());

        assert_eq!(said, [Listed::Yanked, Listed::Fine, Listed::Unknown]);
        assert_eq!(index.listed("toml", &Version::new(1, 0, 0)).unwrap(), Listed::Unknown);
    }
}
