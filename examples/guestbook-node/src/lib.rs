//! A node with an API of its own: a guestbook, with a page for each site.
//!
//! ```js
//! const book = node.service("guestbook");
//! const count = await book.sign("hello");              // a value
//! for await (const { from, text } of book.entries()) show(from, text);   // a sequence
//! ```
//!
//! A service runs for sites that know nothing of each other, and keeps what they say in the person's browser. So a site reads its own
//! page only, unless the person lets it see the whole node; and pages and book are bounded.

#![cfg(target_arch = "wasm32")]

use bitters_dedicated as _; // the service is there without SharedWorker, too
use bitters_leader::{Call, Reply, Served, Service, register};
use bitters_wire::{
    failure::{Code, Failure},
    permission::Answer,
};
use futures::{StreamExt, TryStreamExt, stream};
use rexie::{ObjectStore, Rexie, TransactionMode};
use serde::{Deserialize, Serialize};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

/// A page is a record, under its site's origin.
const PAGES: &str = "pages";
const MAX_PAGES: u32 = 256;
/// Entries on one page: the next takes the place of the oldest.
const MAX_ENTRIES: usize = 100;
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
                "entries" => entries(call).await,
                "sign" => sign(&call).await,
                _ => Err(call.unknown_method()),
            }
        })
    }
}

/// `sign(text)`: adds an entry to the site's page; returns how many are on it.
async fn sign(call: &Call) -> Result<Reply, Failure> {
    let (text,): (String,) = call.args()?;
    if text.is_empty() || text.chars().count() > MAX_CHARS {
        return Err(Failure::new(Code::BadArgument, format!("an entry has 1 to {MAX_CHARS} characters")));
    }
    let book = open().await?;
    let count = add(&book, Entry { from: call.origin.clone(), text, at: js_sys::Date::now() }).await;
    book.close();
    Reply::value(&count?)
}

async fn add(book: &Rexie, entry: Entry) -> Result<usize, Failure> {
    let transaction = book.transaction(&[PAGES], TransactionMode::ReadWrite).map_err(broken)?;
    let pages = transaction.store(PAGES).map_err(broken)?;
    let site = JsValue::from(&entry.from);
    let mut page = match pages.get(site.clone()).await.map_err(broken)? {
        Some(page) => entries_of(page)?,
        None if pages.count(None).await.map_err(broken)? < MAX_PAGES => Vec::new(),
        None => return Err(Failure::new(Code::Quota, format!("the guestbook has no more than {MAX_PAGES} pages"))),
    };
    page.drain(..(page.len() + 1).saturating_sub(MAX_ENTRIES));
    page.push(entry);
    let written = serde_wasm_bindgen::to_value(&page).map_err(broken)?;
    pages.put(&written, Some(&site)).await.map_err(broken)?;
    transaction.done().await.map_err(broken)?;
    Ok(page.len())
}

/// `entries()`: what is on the site's page, oldest first, one at a time; then the other pages, if the person lets the site see them.
async fn entries(call: Call) -> Result<Reply, Failure> {
    let mut sites = vec![JsValue::from(&call.origin)];
    if call.permissions.observe == Answer::Yes {
        let book = open().await?;
        let transaction = book.transaction(&[PAGES], TransactionMode::ReadOnly).map_err(broken)?;
        let all = transaction.store(PAGES).map_err(broken)?.get_all_keys(None, None).await.map_err(broken)?;
        sites.extend(all.into_iter().filter(|site| site.as_string().as_ref() != Some(&call.origin)));
        book.close();
    }
    // One page is in memory at a time.
    Ok(Reply::sequence(stream::iter(sites).then(page).map_ok(|page| stream::iter(page).map(Ok)).try_flatten()))
}

async fn page(site: JsValue) -> Result<Vec<Entry>, Failure> {
    let book = open().await?;
    let transaction = book.transaction(&[PAGES], TransactionMode::ReadOnly).map_err(broken)?;
    let page = transaction.store(PAGES).map_err(broken)?.get(site).await.map_err(broken)?;
    book.close();
    page.map_or(Ok(Vec::new()), entries_of)
}

fn entries_of(page: JsValue) -> Result<Vec<Entry>, Failure> {
    serde_wasm_bindgen::from_value(page).map_err(broken)
}

async fn open() -> Result<Rexie, Failure> {
    Rexie::builder("guestbook").version(2).add_object_store(ObjectStore::new(PAGES)).build().await.map_err(broken)
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::new(Code::Remote, format!("the guestbook's database failed: {error}"))
}

#[wasm_bindgen(start)]
fn main() {
    register("guestbook", Guestbook);
}
