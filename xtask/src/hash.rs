//! Content hashes: the names of immutable assets, and the keys of what was built before.

use sha2::{Digest, Sha256};

/// The SHA-256 of some parts, each told apart from the next by its length; as hexadecimal digits.
pub fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hex(&hasher.finalize())
}

/// The content's SHA-256, as hexadecimal digits.
pub fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

/// The first eight hexadecimal digits of the content's SHA-256.
pub fn short(content: &[u8]) -> String {
    let mut digits = sha256(content);
    digits.truncate(8);
    digits
}

/// The URL path of an immutable asset: `/assets/<name>.<hash>.<extension>`.
pub fn asset_url(name: &str, extension: &str, content: &[u8]) -> String {
    format!("/assets/{name}.{}.{extension}", short(content))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asset_is_named_by_its_content() {
        assert_eq!(asset_url("leader", "js", b"abc"), "/assets/leader.ba7816bf.js");
    }

    #[test]
    fn parts_that_join_alike_differ() {
        assert_ne!(digest([b"ab".as_slice(), b"c"]), digest([b"a".as_slice(), b"bc"]));
    }
}
