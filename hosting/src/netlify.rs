//! `_headers`, which Netlify and Cloudflare Pages read in the folder that they serve. All rules that fit a path count, and values of
//! the same name are joined, so no two rules that fit the same path name the same header. Rules count for what isn't there, too, so how
//! long a file may be kept is said by its whole path.

use std::fmt::Write;

use crate::{ALWAYS, Header, own_headers};

pub fn file<'a>(paths: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    rule(&mut text, "/*", ALWAYS);
    for path in paths {
        rule(&mut text, path, own_headers(path));
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
    fn what_isn_t_there_may_not_be_kept() {
        let text = file(PATHS.into_iter());
        let rules: Vec<_> = text.lines().filter(|line| !line.starts_with(' ')).collect();
        assert_eq!(rules, ["/*"].into_iter().chain(PATHS).collect::<Vec<_>>());
        let (all, _) = text.split_once("\n/\n").expect("the page has a rule");
        assert!(!all.contains("cache-control"), "{all}");
    }

    #[test]
    fn lines_are_as_long_as_cloudflare_reads() {
        assert!(file(PATHS.into_iter()).lines().all(|line| line.len() <= 2000));
    }
}
