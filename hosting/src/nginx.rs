//! For nginx, to be included in `http`: two maps by the path, and the headers, of which an empty one is left out. `add_header` in a
//! `location` would undo those of the `server`, so there is none. Files whose names begin with a dot are the operator's.

use std::fmt::Write;

use crate::{ALWAYS, ELSEWHERE, OPEN, PLACES, Place};

pub fn file() -> String {
    let mut text = "# Included in `http`. Set the name, the certificate and the folder.\n".to_owned();
    map(&mut text, "bitters_cache", ELSEWHERE.1, |place| Some(place.cache));
    map(&mut text, "bitters_open", "", |place| place.open.then_some(OPEN.1));
    text.push_str(
        "server {\n  listen 80;\n  server_name node.example.org;\n  root /srv/bitters/node;\n  charset utf-8;\n",
    );
    for (name, value) in ALWAYS {
        writeln!(text, "  add_header {name} \"{value}\";").expect("strings grow");
    }
    writeln!(text, "  add_header {} $bitters_cache;", ELSEWHERE.0).expect("strings grow");
    writeln!(text, "  add_header {} $bitters_open;", OPEN.0).expect("strings grow");
    text.push_str("  location ~ /\\. {\n    return 404;\n  }\n}\n");
    text
}

fn map(text: &mut String, name: &str, default: &str, value: impl Fn(&Place) -> Option<&'static str>) {
    writeln!(text, "map $uri ${name} {{\n  default \"{default}\";").expect("strings grow");
    for place in &PLACES {
        if let Some(value) = value(place) {
            writeln!(text, "  ~^{} \"{value}\";", place.prefix).expect("strings grow");
        }
    }
    text.push_str("}\n");
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
            let mut variables = BTreeMap::new();
            let mut said = Vec::new();
            let mut map = "";
            for line in text.lines().map(|line| line.trim_start().trim_end_matches(';')) {
                if let Some(rest) = line.strip_prefix("map $uri ") {
                    map = rest.strip_suffix(" {").expect("a map's begin");
                } else if let Some(value) = line.strip_prefix("default ") {
                    variables.entry(map).or_insert(value.trim_matches('"'));
                } else if let Some((pattern, value)) = line.strip_prefix("~^").and_then(|rest| rest.split_once(' ')) {
                    if path.starts_with(pattern) {
                        variables.insert(map, value.trim_matches('"'));
                    }
                } else if let Some((name, value)) =
                    line.strip_prefix("add_header ").and_then(|rest| rest.split_once(' '))
                {
                    let value = if value.starts_with('$') { variables[value] } else { value.trim_matches('"') };
                    if !value.is_empty() {
                        said.push((name.to_owned(), value.to_owned()));
                    }
                }
            }
            said
        });
    }
}
