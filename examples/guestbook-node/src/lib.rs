//! A node with an API of its own: a guestbook that all sites of this person share.
//!
//! ```js
//! const book = node.service("guestbook");
//! const count = await book.sign("hello");              // a value
//! for await (const { from, text } of book.entries()) show(from, text);   // a sequence
//! ```

#![cfg(target_arch = "wasm32")]

use bitters_dedicated as _; // the service is there without SharedWorker, too
use bitters_leader::{Call, Reply, Served, Service, register};
use bitters_wire::failure::{Code, Failure};
use futures::{StreamExt, stream};
use rexie::{ObjectStore, Rexie, TransactionMode};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::wasm_bindgen;

const ENTRIES: &str = "entries";
const MAX_CHARS: usize = 500;

struct Guestbook;

#[derive(Serialize, Deserialize)]
struct Entry {
    from: String,
    text: String,
    at: f64,
}

impl Service for Guestbook {
    fn call(&self, call: Call) -> Served {
        Box::pin(async move {
            match call.method.as_str() {
                "entries" => entries().await,
                "sign" => sign(&call).await,
                _ => Err(call.unknown_method()),
            }
        })
    }
}

/// `sign(text)`: adds an entry; returns how many there are.
async fn sign(call: &Call) -> Result<Reply, Failure> {
    let (text,): (String,) = call.args()?;
    if text.is_empty() || text.chars().count() > MAX_CHARS {
        return Err(Failure::new(Code::BadArgument, format!("an entry has 1 to {MAX_CHARS} characters")));
    }
    let entry = Entry { from: call.origin.clone(), text, at: js_sys::Date::now() };
    let entry = serde_wasm_bindgen::to_value(&entry).map_err(broken)?;
    let book = open().await?;
    let transaction = book.transaction(&[ENTRIES], TransactionMode::ReadWrite).map_err(broken)?;
    let store = transaction.store(ENTRIES).map_err(broken)?;
    store.add(&entry, None).await.map_err(broken)?;
    let count = store.count(None).await.map_err(broken)?;
    transaction.done().await.map_err(broken)?;
    book.close();
    Reply::value(&count)
}

/// `entries()`: all entries, oldest first, one at a time.
async fn entries() -> Result<Reply, Failure> {
    let book = open().await?;
    let transaction = book.transaction(&[ENTRIES], TransactionMode::ReadOnly).map_err(broken)?;
    let entries = transaction.store(ENTRIES).map_err(broken)?.get_all(None, None).await.map_err(broken)?;
    book.close();
    Ok(Reply::sequence(
        stream::iter(entries).map(|entry| serde_wasm_bindgen::from_value::<Entry>(entry).map_err(broken)),
    ))
}

async fn open() -> Result<Rexie, Failure> {
    let entries = ObjectStore::new(ENTRIES).auto_increment(true);
    Rexie::builder("guestbook").version(1).add_object_store(entries).build().await.map_err(broken)
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::new(Code::Remote, format!("the guestbook's database failed: {error}"))
}

#[wasm_bindgen(start)]
fn main() {
    register("guestbook", Guestbook);
}
