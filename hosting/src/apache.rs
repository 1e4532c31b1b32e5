//! `.htaccess`, which Apache reads where `AllowOverride FileInfo` is set; needs `mod_headers`. Expressions are merged after all else, so
//! what they set counts.

use std::fmt::Write;

use crate::{ALWAYS, ELSEWHERE, Header, PLACES};

/// Older lists of types lack the second.
const TYPES: &str = "AddType text/javascript .js\nAddType application/wasm .wasm\n";

pub fn file() -> String {
    let mut text = TYPES.to_owned();
    set(&mut text, "", ALWAYS.into_iter().chain([ELSEWHERE]));
    for place in &PLACES {
        writeln!(text, "<If \"%{{REQUEST_URI}} =~ m#^{}#\">", place.prefix).expect("strings grow");
        set(&mut text, "  ", place.headers().into_iter().flatten());
        text.push_str("</If>\n");
    }
    text
}

fn set(text: &mut String, indent: &str, headers: impl IntoIterator<Item = Header>) {
    for (name, value) in headers {
        writeln!(text, "{indent}Header set {name} \"{value}\"").expect("strings grow");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::tests::assert_says_the_same;

    #[test]
    fn it_says_the_same() {
        let text = file();
        assert_says_the_same(|path| {
            let mut said = BTreeMap::new();
            let mut counts = true;
            for line in text.lines().map(str::trim_start) {
                if let Some(rest) = line.strip_prefix("<If \"%{REQUEST_URI} =~ m#^") {
                    counts = path.starts_with(rest.strip_suffix("#\">").expect("a pattern's end"));
                } else if line == "</If>" {
                    counts = true;
                } else if let Some(header) = line.strip_prefix("Header set ").filter(|_| counts) {
                    let (name, value) = header.split_once(' ').expect("a name and a value");
                    said.insert(name.to_owned(), value.trim_matches('"').to_owned());
                }
            }
            said.into_iter().collect()
        });
    }
}
