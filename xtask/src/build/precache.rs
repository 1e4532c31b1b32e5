//! What the service worker keeps for offline use.

use std::collections::BTreeMap;

use super::hosts;
use crate::hash::{digest, sha256};
use crate::tree::Tree;

/// The operator's own: they change without a new build.
const DATA: [&str; 2] = ["config.json", "seeds.json"];

/// All files of one build, by their URL paths, with their SHA-256.
#[derive(Clone, Debug, PartialEq)]
pub struct Precache(BTreeMap<String, String>);

impl Precache {
    /// What a browser loads from a node's files to show and run it. The SDK belongs to sites, which load it from wherever they like.
    pub fn of(node: &Tree) -> Self {
        let files = node.files().filter(|(path, _)| is_kept(path));
        Self(files.map(|(path, content)| (url_path(path), sha256(content))).collect())
    }

    /// As the service worker has them.
    pub fn files(&self) -> serde_json::Value {
        serde_json::json!(self.0)
    }

    /// Names exactly these files with these contents.
    pub fn id(&self) -> String {
        let mut id = digest(self.0.iter().flat_map(|(path, hash)| [path.as_bytes(), hash.as_bytes()]));
        id.truncate(16);
        id
    }
}

/// Whether the service worker keeps the file at this path below the node's folder.
pub fn is_kept(path: &str) -> bool {
    !(hosts::is_theirs(path)
        || path.starts_with("sdk/")
        || path.ends_with(".br")
        || path == "sw.js"
        || DATA.contains(&path))
}

/// By its one name: static hosts send `/index.html` elsewhere, to `/`.
fn url_path(path: &str) -> String {
    format!("/{}", if path == "index.html" { "" } else { path })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_whole_build_is_kept_and_nothing_else() {
        let node = tree(&[
            ("index.html", "abc"),
            ("assets/frame.1.js", ""),
            ("style.css.br", "packed"),
            ("sdk/bitters.js", "sdk"),
            ("config.json", "{}"),
            ("seeds.json", "{}"),
            ("sw.js", "old"),
            ("404.html", "nothing"),
            ("_headers", "/*"),
            (".htaccess", "Header"),
        ]);

        let files = json!({
            "/": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "/assets/frame.1.js": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        });
        assert_eq!(Precache::of(&node).files(), files);
    }

    #[test]
    fn any_difference_is_another_precache() {
        let ids = [
            &[("index.html", "abc"), ("a.css", "x")][..],
            &[("index.html", "abd"), ("a.css", "x")],
            &[("index.html", "abc"), ("b.css", "x")],
            &[("index.html", "abc")],
        ]
        .map(|files| Precache::of(&tree(files)).id());

        assert!(ids.iter().all(|id| id.len() == 16), "{ids:?}");
        let different: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(different.len(), ids.len());
    }

    fn tree(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (path, content) in files {
            tree.insert(*path, *content);
        }
        tree
    }
}
