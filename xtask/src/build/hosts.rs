//! The headers of a node's files, in the words of hosts that aren't ours.

use bitters_hosting::{MISSING, Path, static_files};

use crate::tree::Tree;

/// Puts what hosts look for in the node's folder there, once all that they serve is in it.
pub fn add_to(node: &mut Tree) {
    let paths: Vec<_> = node.files().map(|(path, _)| format!("/{path}")).chain(["/".to_owned()]).collect();
    for file in static_files(paths.iter().map(String::as_str)) {
        if let Path::Within(path) = file.path {
            node.insert(path, file.text);
        }
    }
}

/// What belongs into the configuration of a server.
pub fn beside() -> Tree {
    let mut tree = Tree::default();
    for file in static_files([].into_iter()) {
        if let Path::Beside(path) = file.path {
            tree.insert(path, file.text);
        }
    }
    tree
}

/// Whether a file of the node's folder is for hosts: it tells them what to say, or is what they send where there is none.
pub fn is_theirs(path: &str) -> bool {
    path == MISSING
        || static_files([].into_iter()).iter().any(|file| matches!(file.path, Path::Within(theirs) if theirs == path))
}
