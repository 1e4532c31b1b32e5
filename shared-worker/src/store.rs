//! What the leader keeps in IndexedDB: the node's secret, the last epoch, and seeds.
//!
//! The leader alone writes, as it holds the island's lock. A database that can't be opened in time, is broken or refuses to
//! write costs a warning: the node goes on in memory, and is another node after the next start.

use std::{error::Error as _, fmt::Display, rc::Rc, time::Duration};

use bitters_node::{Seed, SeedId};
use bitters_web::{clock, random};
use bitters_wire::{id::Epoch, keys::NodeSecret};
use js_sys::Uint8Array;
use rexie::{ObjectStore, Rexie, TransactionMode};
use wasm_bindgen::{JsCast, JsValue};

/// An open that is blocked by another connection stays so until a person acts.
const OPEN_PATIENCE: Duration = Duration::from_secs(3);

const DATABASE: &str = "bitters";
const NODE: &str = "node";
const SEEDS: &str = "seeds";
const SECRET: &str = "secret";
const EPOCH: &str = "epoch";

/// The database, if there is one.
#[derive(Clone, Debug)]
pub struct Store(Option<Rc<Rexie>>);

/// What was there, or what was made in its place.
#[derive(Debug)]
pub struct Loaded {
    /// Where to write.
    pub store: Store,
    /// The node's secret.
    pub secret: NodeSecret,
    /// This leadership: later than any stored one.
    pub epoch: Epoch,
    /// Seeds learned so far.
    pub seeds: Vec<Seed>,
    /// What went wrong.
    pub warnings: Vec<String>,
}

/// Opens the database, reads what is in it, and writes the new epoch.
pub async fn load() -> Loaded {
    let opened = clock::within(OPEN_PATIENCE, open()).await;
    let (store, warning) = match opened {
        Some(Ok(database)) => (Store(Some(Rc::new(database))), None),
        Some(Err(error)) => (Store(None), Some(broken(error))),
        None => (Store(None), Some(in_memory("another tab blocks it"))),
    };
    let mut warnings = Vec::from_iter(warning);
    let secret = store.secret(&mut warnings).await;
    let epoch = store.next_epoch(&mut warnings).await;
    let seeds = store.seeds(&mut warnings).await;
    Loaded { store, secret, epoch, seeds, warnings }
}

fn in_memory(error: impl Display) -> String {
    format!("nothing is kept after this session: the database can't be used ({error})")
}

/// Rexie's own text says no more than which crate failed.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn broken(error: rexie::Error) -> String {
    in_memory(error.source().map_or_else(|| error.to_string(), ToString::to_string))
}

async fn open() -> rexie::Result<Rexie> {
    Rexie::builder(DATABASE)
        .version(1)
        .add_object_store(ObjectStore::new(NODE))
        .add_object_store(ObjectStore::new(SEEDS))
        .build()
        .await
}

impl Store {
    /// Keeps what is known of a seed.
    ///
    /// # Errors
    /// A warning for people.
    pub async fn save_seed(&self, seed: Seed) -> Result<(), String> {
        let value = serde_wasm_bindgen::to_value(&seed).map_err(in_memory)?;
        self.put(SEEDS, &seed_key(&seed.id), &value).await
    }

    async fn secret(&self, warnings: &mut Vec<String>) -> NodeSecret {
        match self.get(NODE, SECRET).await {
            Ok(Some(stored)) => match secret_of(&stored) {
                Some(secret) => return NodeSecret::new(secret),
                None => warnings.push("the stored secret was damaged: this is a new node".into()),
            },
            Ok(None) => {}
            Err(warning) => warnings.push(warning),
        }
        let secret = random::bytes();
        warnings.extend(self.put(NODE, SECRET, &Uint8Array::from(secret.as_slice())).await.err());
        NodeSecret::new(secret)
    }

    /// Later than the stored one, and than any leadership before the database was lost.
    async fn next_epoch(&self, warnings: &mut Vec<String>) -> Epoch {
        let stored = self.get(NODE, EPOCH).await;
        let stored = stored.ok().flatten().and_then(|value| value.as_f64());
        let epoch = Epoch::after(stored, clock::unix_ms());
        #[expect(clippy::cast_precision_loss, reason = "epochs are below 2^53")]
        let value = JsValue::from(epoch.0 as f64);
        warnings.extend(self.put(NODE, EPOCH, &value).await.err());
        epoch
    }

    async fn seeds(&self, warnings: &mut Vec<String>) -> Vec<Seed> {
        let Some(database) = &self.0 else { return Vec::new() };
        let all = async {
            let transaction = database.transaction(&[SEEDS], TransactionMode::ReadOnly)?;
            transaction.store(SEEDS)?.get_all(None, None).await
        };
        match all.await {
            Ok(values) => values.into_iter().filter_map(|value| serde_wasm_bindgen::from_value(value).ok()).collect(),
            Err(error) => {
                warnings.push(broken(error));
                Vec::new()
            }
        }
    }

    async fn get(&self, store: &str, key: &str) -> Result<Option<JsValue>, String> {
        let Some(database) = &self.0 else { return Ok(None) };
        let transaction = database.transaction(&[store], TransactionMode::ReadOnly).map_err(broken)?;
        transaction.store(store).map_err(broken)?.get(key.into()).await.map_err(broken)
    }

    async fn put(&self, store: &str, key: &str, value: &JsValue) -> Result<(), String> {
        let Some(database) = &self.0 else { return Ok(()) };
        let transaction = database.transaction(&[store], TransactionMode::ReadWrite).map_err(broken)?;
        transaction.store(store).map_err(broken)?.put(value, Some(&key.into())).await.map_err(broken)?;
        transaction.done().await.map(drop).map_err(broken)
    }
}

fn secret_of(stored: &JsValue) -> Option<[u8; 32]> {
    stored.dyn_ref::<Uint8Array>()?.to_vec().try_into().ok()
}

fn seed_key(id: &SeedId) -> String {
    match id {
        SeedId::Node(node) => node.to_string(),
        SeedId::Server(url) => url.clone(),
    }
}
