//! The node's `config.json`: the file's own fields, and the origins that this server was told may see the whole node.

use std::{collections::BTreeSet, io, path::Path};

use serde_json::{Map, Value, json};

/// Why a node's `config.json` can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigFileError {
    #[error("config.json can't be read: {0}")]
    Io(#[from] io::Error),
    #[error("config.json is not a JSON object: {0}")]
    Json(#[from] serde_json::Error),
    #[error("\"observe\" in config.json is not a list of origins")]
    Observe,
}

/// The file at `path`, if there is one, with `observe` added to its own list.
pub(crate) async fn config_json(path: &Path, observe: &[String]) -> Result<Value, ConfigFileError> {
    let text = match tokio::fs::read(path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => b"{}".into(),
        text => text?,
    };
    merge(serde_json::from_slice(&text)?, observe)
}

fn merge(mut config: Map<String, Value>, observe: &[String]) -> Result<Value, ConfigFileError> {
    let own = match config.remove("observe") {
        None => Vec::new(),
        Some(list) => serde_json::from_value::<Vec<String>>(list).map_err(|_| ConfigFileError::Observe)?,
    };
    let all: BTreeSet<_> = own.iter().chain(observe).collect();
    config.insert("observe".into(), json!(all));
    Ok(config.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_joined_and_other_fields_stay() {
        let file = json!({ "name": "ours", "observe": ["http://b", "http://a"] });
        assert_eq!(merged(file), Some(json!({ "name": "ours", "observe": ["http://a", "http://b", "http://c"] })));
        assert_eq!(merged(json!({})), Some(json!({ "observe": ["http://a", "http://c"] })));
    }

    #[test]
    fn a_list_of_something_else_is_an_error() {
        assert_eq!(merged(json!({ "observe": "*" })), None);
        assert_eq!(merged(json!({ "observe": [1] })), None);
    }

    fn merged(file: Value) -> Option<Value> {
        let Value::Object(file) = file else { unreachable!() };
        merge(file, &["http://c".into(), "http://a".into()]).ok()
    }
}
