//! A Caddyfile. Directives of one kind are sorted by Caddy, so no two of them whose matchers fit the same path name the same header. What
//! isn't there is nobody's to keep: places ask for the file.

use std::fmt::Write;

use crate::{ALWAYS, ELSEWHERE, Header, PLACES};

pub fn file() -> String {
    let mut text =
        "# Set the name and the folder.\nnode.example.org {\n  root * /srv/bitters/node\n  encode zstd gzip\n"
            .to_owned();
    text.push_str("  file_server {\n    precompressed br\n    hide .*\n  }\n");
    headers(&mut text, "", ALWAYS);
    for place in &PLACES {
        let name = place.prefix.trim_matches('/');
        writeln!(text, "  @{name} {{\n    path {}*\n    file\n  }}", place.prefix).expect("strings grow");
        headers(&mut text, &format!("@{name} "), place.headers().into_iter().flatten());
    }
    let elsewhere: Vec<_> = PLACES.iter().map(|place| format!("{}*", place.prefix)).collect();
    writeln!(text, "  @elsewhere not path {}", elsewhere.join(" ")).expect("strings grow");
    headers(&mut text, "@elsewhere ", [ELSEWHERE]);
    text.push_str("}\n");
    text
}

fn headers(text: &mut String, matcher: &str, headers: impl IntoIterator<Item = Header>) {
    writeln!(text, "  header {matcher}{{").expect("strings grow");
    for (name, value) in headers {
        writeln!(text, "    {name} \"{value}\"").expect("strings grow");
    }
    text.push_str("  }\n");
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
            let fits = |pattern: &str| path.starts_with(pattern.trim_end_matches('*'));
            let mut matchers = BTreeMap::from([("", true)]);
            let mut said = Vec::new();
            let (mut matcher, mut counts) = ("", false);
            for line in text.lines().map(str::trim_start) {
                if let Some((name, patterns)) = line.split_once(" not path ") {
                    matchers.insert(name, !patterns.split(' ').any(fits));
                } else if let Some(pattern) = line.strip_prefix("path ") {
                    matchers.insert(matcher, fits(pattern));
                } else if let Some(name) = line.strip_prefix("header ") {
                    counts = matchers[name.trim_end_matches('{').trim_end()];
                } else if line.starts_with('@') {
                    matcher = line.trim_end_matches(" {");
                } else if line == "}" {
                    counts = false;
                } else if let Some((name, value)) = line.split_once(' ').filter(|_| counts) {
                    said.push((name.to_owned(), value.trim_matches('"').to_owned()));
                }
            }
            said
        });
    }
}
