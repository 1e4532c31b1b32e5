//! The node's own files: what its operator configured and the seeds that it ships.

use std::time::Duration;

use bitters_node::{Seed, SeedId};
use bitters_web::{clock, error::WebError, global};
use bitters_wire::address::Address;
use serde::{Deserialize, de::DeserializeOwned};
use wasm_bindgen::JsValue;

/// A server that takes a request and doesn't answer would keep the node from starting.
const PATIENCE: Duration = Duration::from_secs(3);

/// `config.json`.
#[derive(Debug, Default, Deserialize)]
pub struct Config {
    /// Origins whose sites may see the whole node.
    #[serde(default)]
    pub observe: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Seeds {
    seeds: Vec<Shipped>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Shipped {
    Address(Address),
    Server(String),
}

/// Reads `/config.json`; without it nobody has permissions.
///
/// # Errors
/// A warning for people.
pub async fn config() -> Result<Config, String> {
    json("/config.json").await
}

/// Reads `/seeds.json`: servers, as URLs that may be relative to the node's origin, and addresses.
///
/// # Errors
/// A warning for people.
pub async fn seeds() -> Result<Vec<Seed>, String> {
    let shipped: Seeds = json("/seeds.json").await?;
    let seed = |shipped| match shipped {
        Shipped::Address(address) => Seed::at(address),
        Shipped::Server(url) => Seed::new(SeedId::Server(url)),
    };
    Ok(shipped.seeds.into_iter().map(seed).collect())
}

async fn json<T: DeserializeOwned>(path: &str) -> Result<T, String> {
    let fetched = clock::within(PATIENCE, fetch(path)).await;
    let fetched = fetched.ok_or_else(|| format!("{path} can't be read (the server doesn't answer)"))?;
    let value = fetched.map_err(|error| format!("{path} can't be read ({error})"))?;
    serde_wasm_bindgen::from_value(value).map_err(|error| format!("{path} isn't what it should be ({error})"))
}

async fn fetch(path: &str) -> Result<JsValue, WebError> {
    let response = global::call_async(&js_sys::global(), "fetch", &path.into()).await?;
    global::call_async(&response, "json", &JsValue::UNDEFINED).await
}
