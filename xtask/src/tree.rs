//! A folder of results, made in memory and written where it differs.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use anyhow::{Context, Result};

use crate::hash::digest;
use crate::step::{at_once, cores};

/// What is worth compressing ahead: text and modules.
const COMPRESSIBLE: [&str; 10] = ["css", "html", "js", "json", "map", "mjs", "svg", "txt", "wasm", "webmanifest"];

/// Files by their path below the folder, with `/` between names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tree(BTreeMap<String, Vec<u8>>);

impl Tree {
    /// Puts a file, which must be the first of its path.
    pub fn insert(&mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) {
        let path = path.into();
        let previous = self.0.insert(path.trim_start_matches('/').to_owned(), content.into());
        debug_assert!(previous.is_none(), "{path} twice");
    }

    /// All files of a folder and its folders, but those whose names start with a dot.
    pub fn read(dir: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.read_below(dir, "").with_context(|| format!("{} can't be read", dir.display()))?;
        Ok(tree)
    }

    fn read_below(&mut self, dir: &Path, prefix: &str) -> Result<()> {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name().into_string().ok().context("a file's name isn't Unicode")?;
            if name.starts_with('.') {
                continue;
            }
            let path = format!("{prefix}{name}");
            if entry.path().is_dir() {
                self.read_below(&entry.path(), &format!("{path}/"))?;
            } else {
                self.0.insert(path, fs::read(entry.path())?);
            }
        }
        Ok(())
    }

    /// Puts another tree's files below a folder of this one.
    pub fn graft(&mut self, prefix: &str, other: Self) {
        for (path, content) in other.0 {
            self.insert(format!("{prefix}{path}"), content);
        }
    }

    /// Puts another tree's files in the place of those of the same path. One that takes nothing's place is a mistake.
    pub fn replace(&mut self, other: Self) -> Result<()> {
        for (path, content) in other.0 {
            let place = self.0.get_mut(&path).with_context(|| format!("there is no {path} to be replaced"))?;
            *place = content;
        }
        Ok(())
    }

    /// The files, sorted by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(path, content)| (path.as_str(), content.as_slice()))
    }

    /// The file of this path.
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        self.0.get(path).map(Vec::as_slice)
    }

    /// The hash of all paths and contents.
    pub fn digest(&self) -> String {
        digest(self.files().flat_map(|(path, content)| [path.as_bytes(), content]))
    }

    /// Puts a `.br` beside each file that gets smaller by it. What was compressed before is taken from the folder `cache`.
    pub fn add_brotli(&mut self, cache: &Path) -> Result<()> {
        fs::create_dir_all(cache)?;
        let files: Vec<_> = self.files().filter(|(path, _)| is_compressible(path)).collect();
        let packed = at_once(cores(), &files, |(path, content)| {
            let small = cached(&cache.join(digest([*content])), || brotli(content))?;
            Ok((small.len() < content.len()).then(|| (format!("{path}.br"), small)))
        })?;
        self.0.extend(packed.into_iter().flatten());
        Ok(())
    }

    /// Makes the folder hold exactly these files. Files that are the same already aren't touched.
    pub fn write(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir)?;
        for (path, content) in self.files() {
            let path = dir.join(path);
            if fs::read(&path).is_ok_and(|old| old == content) {
                continue;
            }
            let parent = path.parent().expect("a file's path is below the folder");
            fs::create_dir_all(parent).with_context(|| format!("{} can't be made", parent.display()))?;
            fs::write(&path, content).with_context(|| format!("{} can't be written", path.display()))?;
        }
        remove_others(dir, dir, &self.0)
    }
}

/// The content of `path`, which `make` makes when it isn't there. It appears at once and whole.
pub fn cached(path: &Path, make: impl FnOnce() -> Result<Vec<u8>>) -> Result<Vec<u8>> {
    if let Ok(content) = fs::read(path) {
        return Ok(content);
    }
    let content = make()?;
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let call = CALLS.fetch_add(1, Relaxed);
    let partial = PathBuf::from(format!("{}.{}.{call}", path.display(), std::process::id()));
    fs::write(&partial, &content)?;
    fs::rename(&partial, path)?;
    Ok(content)
}

/// Brotli at its smallest.
fn brotli(content: &[u8]) -> Result<Vec<u8>> {
    const QUALITY: u32 = 11;
    const WINDOW: u32 = 22;
    let mut writer = brotli::CompressorWriter::new(Vec::new(), 4096, QUALITY, WINDOW);
    writer.write_all(content)?;
    Ok(writer.into_inner())
}

fn is_compressible(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, extension)| COMPRESSIBLE.contains(&extension))
}

fn remove_others(root: &Path, dir: &Path, keep: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(root, &path, keep)?;
            if fs::read_dir(&path)?.next().is_none() {
                fs::remove_dir(&path)?;
            }
        } else if !path.strip_prefix(root)?.to_str().is_some_and(|name| keep.contains_key(name)) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_holds_exactly_the_tree_after_writing() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("old/older")).unwrap();
        fs::write(dir.path().join("old/older/gone.js"), "gone").unwrap();
        let tree = tree(&[("index.html", "<p>"), ("assets/a.js", "a")]);

        tree.write(dir.path()).unwrap();

        assert_eq!(Tree::read(dir.path()).unwrap(), tree);
        assert!(!dir.path().join("old").exists());
    }

    #[test]
    fn what_is_the_same_is_not_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.js");
        tree(&[("a.js", "a")]).write(dir.path()).unwrap();
        let mut permissions = fs::metadata(&file).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&file, permissions).unwrap();
        let modified = fs::metadata(&file).unwrap().modified().unwrap();

        tree(&[("a.js", "a")]).write(dir.path()).unwrap();

        assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), modified);
    }

    #[test]
    fn what_is_replaced_was_there() {
        let mut nodes = tree(&[("a", "1"), ("b", "2")]);
        nodes.replace(tree(&[("b", "3")])).unwrap();
        assert_eq!(nodes, tree(&[("a", "1"), ("b", "3")]));
        let mistake = nodes.replace(tree(&[("c", "4")])).unwrap_err();
        assert_eq!(mistake.to_string(), "there is no c to be replaced");
    }

    #[test]
    fn only_what_gets_smaller_is_compressed() {
        let cache = tempfile::tempdir().unwrap();
        let mut tree =
            tree(&[("long.js", &"again ".repeat(100)), ("short.js", "a"), ("picture.png", &"again ".repeat(100))]);

        tree.add_brotli(cache.path()).unwrap();

        let names: Vec<_> = tree.files().map(|(path, _)| path).collect();
        assert_eq!(names, ["long.js", "long.js.br", "picture.png", "short.js"]);
    }

    #[test]
    fn what_was_made_before_is_not_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        assert_eq!(cached(&path, || Ok(b"first".to_vec())).unwrap(), b"first");
        assert_eq!(cached(&path, || panic!("made twice")).unwrap(), b"first");
    }

    fn tree(files: &[(&str, &str)]) -> Tree {
        Tree(files.iter().map(|(path, content)| ((*path).to_owned(), content.as_bytes().to_vec())).collect())
    }
}
