//! `_headers`, which Netlify and Cloudflare Pages read in the folder that they serve. All rules that fit a path count, and values of
//! the same name are joined, so no two rules that fit the same path name the same header.

use std::fmt::Write;

use crate::{ALWAYS, ELSEWHERE, Header, PLACES};

pub fn file<'a>(paths: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    rule(&mut text, "/*", ALWAYS);
    for place in &PLACES {
        rule(&mut text, &format!("{}*", place.prefix), place.headers().into_iter().flatten());
    }
    for path in paths.filter(|path| PLACES.iter().all(|place| !path.starts_with(place.prefix))) {
        rule(&mut text, path, [ELSEWHERE]);
    }
    text
}

fn rule(text: &mut String, path: &str, headers: impl IntoIterator<Item = Header>) {
    writeln!(text, "{path}").expect("strings grow");
    for (name, value) in headers {
        writeln!(text, "  {name}: {value}").expect("strings grow");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{PATHS, assert_says_the_same};

    #[test]
    fn it_says_the_same() {
        let text = file(PATHS.into_iter());
        let fits = |pattern: &str, path: &str| match pattern.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => path == pattern,
        };
        assert_says_the_same(|path| {
            let mut said = Vec::new();
            let mut counts = false;
            for line in text.lines() {
                match line.strip_prefix("  ").and_then(|header| header.split_once(": ")) {
                    Some((name, value)) if counts => said.push((name.to_owned(), value.to_owned())),
                    Some(_) => {}
                    None => counts = fits(line, path),
                }
            }
            said
        });
    }

    #[test]
    fn lines_are_as_long_as_cloudflare_reads() {
        assert!(file(PATHS.into_iter()).lines().all(|line| line.len() <= 2000));
    }
}
