//! `vercel.json`, in the folder that Vercel deploys. No two sources fit the same path and name the same header.

use serde_json::{Value, json};

use crate::{ALWAYS, ELSEWHERE, Header, PLACES};

pub fn file() -> String {
    let mut rules = vec![rule("/(.*)", ALWAYS)];
    rules.extend(
        PLACES.iter().map(|place| rule(&format!("{}(.*)", place.prefix), place.headers().into_iter().flatten())),
    );
    let elsewhere: Vec<_> = PLACES.iter().map(|place| place.prefix.trim_start_matches('/')).collect();
    rules.push(rule(&format!("/((?!{}).*)", elsewhere.join("|")), [ELSEWHERE]));
    format!("{:#}\n", json!({ "headers": rules }))
}

fn rule(source: &str, headers: impl IntoIterator<Item = Header>) -> Value {
    let headers: Vec<_> = headers.into_iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
    json!({ "source": source, "headers": headers })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::assert_says_the_same;

    #[test]
    fn it_says_the_same() {
        let parsed: Value = serde_json::from_str(&file()).expect("is JSON");
        let rules = parsed["headers"].as_array().expect("is a list");
        assert_says_the_same(|path| {
            let fitting = rules.iter().filter(|rule| fits(rule["source"].as_str().expect("is a text"), path));
            let headers = fitting.flat_map(|rule| rule["headers"].as_array().expect("is a list"));
            let text = |value: &Value| value.as_str().expect("is a text").to_owned();
            headers.map(|header| (text(&header["key"]), text(&header["value"]))).collect()
        });
    }

    /// As much of a regular expression as is in use: `PREFIX(.*)` and `/((?!A|B).*)`.
    fn fits(source: &str, path: &str) -> bool {
        match source.strip_prefix("/((?!").and_then(|rest| rest.strip_suffix(").*)")) {
            Some(others) => !others.split('|').any(|other| path[1..].starts_with(other)),
            None => path.starts_with(source.strip_suffix("(.*)").expect("a prefix")),
        }
    }
}
