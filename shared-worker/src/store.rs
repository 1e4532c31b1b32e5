//! What the leader keeps in IndexedDB: the node's secret, the last epoch, whether that was stolen from, certificates
//! of its addresses, seeds, and sites.
//!
//! Sites lie beside the secret, each under a key of its own, and not in a store of theirs: that would take a later version of the
//! database, which leaders of builds before couldn't open; they would forget who they are.
//!
//! The leader alone writes, as it holds the island's lock; but for claims to steal that lock, which are one transaction each. A
//! database that can't be opened in time, is broken or refuses to write costs a warning: the node goes on in memory, and is
//! another node after the next start. It is then never written: what is stored is the identity that the next start finds.
//!
//! A connection may be lost: the browser closes it when its disk fails or the person clears its data, and `rexie` when anybody deletes
//! the database or wants a later version of it (`versionchange`), so that nobody is blocked by us. It is opened again at the next
//! write, and told who the node is if it doesn't know.

use std::{cell::RefCell, error::Error as _, fmt::Display, rc::Rc, time::Duration};

use bitters_node::{Kept, KnownSite, MAX_CERTIFICATES, Seed, SeedId};
use bitters_web::{clock, random};
use bitters_wire::{address::Owner, id::Epoch, keys::NodeSecret};
use futures::{channel::oneshot, join};
use js_sys::Uint8Array;
use rexie::{KeyRange, ObjectStore, Rexie, Transaction, TransactionMode};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::spawn_local;

/// An open that is blocked by another connection stays so until a person acts.
const OPEN_PATIENCE: Duration = Duration::from_secs(3);

const DATABASE: &str = "bitters";
const NODE: &str = "node";
const SEEDS: &str = "seeds";
const SECRET: &str = "secret";
const EPOCH: &str = "epoch";
const STOLEN: &str = "stolen";
const CERTIFICATES: &str = "certificates";

/// Before a site's origin. No other key begins like that.
const SITE: &str = "site/";

/// The first key after those of all sites: `0` follows `/`.
const AFTER_SITES: &str = "site0";

/// The database, if there is one.
#[derive(Clone, Debug)]
pub struct Store(Rc<RefCell<State>>);

#[derive(Debug)]
enum State {
    /// Nothing is kept.
    Memory,
    /// What a database that lost everything is to be told.
    Open { database: Rc<Rexie>, secret: [u8; 32], epoch: Epoch },
}

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
    /// What is known of sites.
    pub sites: Vec<KnownSite>,
    /// Certificates that the node's frames keep for its addresses.
    pub certificates: Vec<(Owner, Kept)>,
    /// What went wrong.
    pub warnings: Vec<String>,
}

/// Opens the database, reads what is in it, and writes the new epoch, which is later than `after`.
pub async fn load(after: Epoch) -> Loaded {
    let mut warnings = Vec::new();
    let database = open().await.map_err(|warning| warnings.push(warning)).ok().map(Rc::new);
    let database = database.as_ref();
    let secret = load_secret(database, &mut warnings).await;
    let epoch = next_epoch(database, after, &mut warnings).await;
    let seeds = load_seeds(database, &mut warnings).await;
    let sites = load_sites(database, &mut warnings).await;
    let certificates = load_certificates(database, &mut warnings).await;
    let state = match database {
        Some(database) => State::Open { database: Rc::clone(database), secret, epoch },
        None => State::Memory,
    };
    let store = Store(Rc::new(RefCell::new(state)));
    Loaded { store, secret: NodeSecret::new(secret), epoch, seeds, sites, certificates, warnings }
}

/// The stored epoch: that of the present leader or the last; zero if there was none. `None` if it can't be read.
pub async fn stored_epoch() -> Option<Epoch> {
    let database = open().await.ok()?;
    let transaction = database.transaction(&[NODE], TransactionMode::ReadOnly).ok()?;
    let stored = number(&transaction, EPOCH).await.ok()?;
    database.close();
    Some(epoch_of(stored))
}

/// Claims the one steal of the stored leadership; no if that is later than `limit`, if somebody claimed it before, or if the
/// database can't tell.
pub async fn claim_steal(limit: Epoch) -> bool {
    let Ok(database) = open().await else { return false };
    let claimed = claim(&database, limit).await.unwrap_or(false);
    database.close();
    claimed
}

async fn claim(database: &Rexie, limit: Epoch) -> rexie::Result<bool> {
    let transaction = database.transaction(&[NODE], TransactionMode::ReadWrite)?;
    let stored = epoch_of(number(&transaction, EPOCH).await?);
    let stolen = number(&transaction, STOLEN).await?;
    let allowed = stored <= limit && stolen.is_none_or(|stolen| epoch_of(Some(stolen)) != stored);
    if allowed {
        transaction.store(NODE)?.put(&value_of(stored), Some(&STOLEN.into())).await?;
    }
    transaction.done().await?;
    Ok(allowed)
}

async fn number(transaction: &Transaction, key: &str) -> rexie::Result<Option<f64>> {
    Ok(transaction.store(NODE)?.get(key.into()).await?.and_then(|value| value.as_f64()))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "nonsense saturates")]
fn epoch_of(stored: Option<f64>) -> Epoch {
    Epoch(stored.unwrap_or(0.0) as u64)
}

#[expect(clippy::cast_precision_loss, reason = "epochs are below 2^53")]
fn value_of(epoch: Epoch) -> JsValue {
    JsValue::from(epoch.0 as f64)
}

fn in_memory(error: impl Display) -> String {
    format!("nothing is kept after this session: the database can't be used ({error})")
}

/// Rexie's own text says no more than which crate failed.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn broken(error: rexie::Error) -> String {
    in_memory(error.source().map_or_else(|| error.to_string(), ToString::to_string))
}

/// Opens the database. One that opens too late is closed, or it would block others in our name.
async fn open() -> Result<Rexie, String> {
    let (opened, opening) = oneshot::channel();
    spawn_local(async move {
        let database = Rexie::builder(DATABASE)
            .version(1)
            .add_object_store(ObjectStore::new(NODE))
            .add_object_store(ObjectStore::new(SEEDS))
            .build()
            .await;
        if let Err(Ok(late)) = opened.send(database) {
            late.close();
        }
    });
    match clock::within(OPEN_PATIENCE, opening).await {
        Some(Ok(opened)) => opened.map_err(broken),
        Some(Err(_)) => Err(in_memory("it says nothing")),
        None => Err(in_memory("another tab blocks it")),
    }
}

impl Store {
    /// Keeps what is known of a seed.
    ///
    /// # Errors
    /// A warning for people.
    pub async fn save_seed(&self, seed: Seed) -> Result<(), String> {
        let value = serde_wasm_bindgen::to_value(&seed).map_err(in_memory)?;
        let key = seed_key(&seed.id);
        self.write(async |database: &Rexie| put(database, SEEDS, &key, &value).await).await
    }

    /// Keeps what is known of a site.
    ///
    /// # Errors
    /// A warning for people.
    pub async fn save_site(&self, site: KnownSite) -> Result<(), String> {
        let value = serde_wasm_bindgen::to_value(&site).map_err(in_memory)?;
        let key = site_key(&site.origin);
        self.write(async |database: &Rexie| put(database, NODE, &key, &value).await).await
    }

    /// Keeps nothing of a seed.
    ///
    /// # Errors
    /// A warning for people.
    pub async fn forget_seed(&self, id: SeedId) -> Result<(), String> {
        let key = seed_key(&id);
        self.write(async |database: &Rexie| delete(database, SEEDS, &key).await).await
    }

    /// Keeps nothing of a site.
    ///
    /// # Errors
    /// A warning for people.
    pub async fn forget_site(&self, origin: &str) -> Result<(), String> {
        let key = site_key(origin);
        self.write(async |database: &Rexie| delete(database, NODE, &key).await).await
    }

    /// Keeps that the node's frames have a certificate for an owner's addresses. Those that have expired are forgotten.
    ///
    /// # Errors
    /// A warning for people.
    pub async fn save_certificate(&self, owner: Owner, certificate: Kept) -> Result<(), String> {
        let saved = self.write(async |database: &Rexie| keep(database, owner, certificate).await.map_err(broken));
        saved.await.map_err(|warning| format!("an address won't outlive this session: {warning}"))
    }

    /// Writes, if need be into the database opened again. What can't be written then is no database of ours.
    async fn write(&self, act: impl AsyncFn(&Rexie) -> Result<(), String>) -> Result<(), String> {
        let Some(database) = self.database() else { return Ok(()) };
        if act(&database).await.is_ok() {
            return Ok(());
        }
        let written = match self.reopen().await {
            Ok(database) => act(&database).await,
            Err(warning) => Err(warning),
        };
        if written.is_err() {
            self.0.replace(State::Memory);
        }
        written
    }

    fn database(&self) -> Option<Rc<Rexie>> {
        match &*self.0.borrow() {
            State::Memory => None,
            State::Open { database, .. } => Some(Rc::clone(database)),
        }
    }

    /// Opens the database again. One that was deleted meanwhile is told who we are; one that is another node's isn't ours.
    async fn reopen(&self) -> Result<Rc<Rexie>, String> {
        let State::Open { secret, epoch, .. } = *self.0.borrow() else { return Err(in_memory("it was given up")) };
        let reopened = Rc::new(open().await?);
        if !settle(&reopened, secret, epoch).await.map_err(broken)? {
            return Err(in_memory("another node's secret is in it"));
        }
        self.0.replace(State::Open { database: Rc::clone(&reopened), secret, epoch });
        Ok(reopened)
    }
}

/// Writes what is missing of a node; tells whether what is there is of the same.
async fn settle(database: &Rexie, secret: [u8; 32], epoch: Epoch) -> rexie::Result<bool> {
    let transaction = database.transaction(&[NODE], TransactionMode::ReadWrite)?;
    let node = transaction.store(NODE)?;
    let stored = node.get(SECRET.into()).await?;
    if stored.as_ref().is_some_and(|stored| secret_of(stored) != Some(secret)) {
        return Ok(false);
    }
    if stored.is_none() {
        node.put(&Uint8Array::from(secret.as_slice()), Some(&SECRET.into())).await?;
        node.put(&value_of(epoch), Some(&EPOCH.into())).await?;
    }
    transaction.done().await?;
    Ok(true)
}

async fn load_secret(database: Option<&Rc<Rexie>>, warnings: &mut Vec<String>) -> [u8; 32] {
    let Some(database) = database else { return random::bytes() };
    match get(database, SECRET).await {
        Ok(Some(stored)) => match secret_of(&stored) {
            Some(secret) => return secret,
            None => warnings.push("the stored secret was damaged: this is a new node".into()),
        },
        Ok(None) => {}
        Err(warning) => {
            // What can't be read may be there all the same.
            warnings.push(warning);
            return random::bytes();
        }
    }
    let secret: [u8; 32] = random::bytes();
    warnings.extend(put(database, NODE, SECRET, &Uint8Array::from(secret.as_slice())).await.err());
    secret
}

/// Later than the stored one, than `after`, and than any leadership before the database was lost.
async fn next_epoch(database: Option<&Rc<Rexie>>, after: Epoch, warnings: &mut Vec<String>) -> Epoch {
    let unix_ms = clock::unix_ms();
    let unstored = Epoch::after(None, unix_ms).beyond(after);
    let Some(database) = database else { return unstored };
    // One transaction: a leader whose lock was stolen while it opens must not name a later leadership than the thief's.
    let next = async {
        let transaction = database.transaction(&[NODE], TransactionMode::ReadWrite)?;
        let epoch = Epoch::after(number(&transaction, EPOCH).await?, unix_ms).beyond(after);
        transaction.store(NODE)?.put(&value_of(epoch), Some(&EPOCH.into())).await?;
        transaction.done().await?;
        Ok(epoch)
    };
    next.await.unwrap_or_else(|error| {
        warnings.push(broken(error));
        unstored
    })
}

async fn load_seeds(database: Option<&Rc<Rexie>>, warnings: &mut Vec<String>) -> Vec<Seed> {
    let Some(database) = database else { return Vec::new() };
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

async fn load_sites(database: Option<&Rc<Rexie>>, warnings: &mut Vec<String>) -> Vec<KnownSite> {
    let Some(database) = database else { return Vec::new() };
    let all = async {
        let keys = KeyRange::bound(&SITE.into(), &AFTER_SITES.into(), None, Some(true))?;
        let transaction = database.transaction(&[NODE], TransactionMode::ReadOnly)?;
        transaction.store(NODE)?.get_all(Some(keys), None).await
    };
    match all.await {
        Ok(values) => values.into_iter().filter_map(|value| serde_wasm_bindgen::from_value(value).ok()).collect(),
        Err(error) => {
            warnings.push(broken(error));
            Vec::new()
        }
    }
}

/// Adds a certificate to those that are kept, without the ones that have expired; beyond the bound the node has forgotten those that expire
/// first.
async fn keep(database: &Rexie, owner: Owner, certificate: Kept) -> rexie::Result<()> {
    let transaction = database.transaction(&[NODE], TransactionMode::ReadWrite)?;
    let node = transaction.store(NODE)?;
    let kept = certificates_of(node.get(CERTIFICATES.into()).await?);
    let mut kept: Vec<_> = kept.into_iter().filter(|(_, kept)| kept.expires > clock::unix_ms()).collect();
    kept.push((owner, certificate));
    while kept.len() > MAX_CERTIFICATES
        && let Some((first, _)) = kept.iter().enumerate().min_by_key(|(_, (_, kept))| kept.expires)
    {
        kept.remove(first);
    }
    let value = serde_wasm_bindgen::to_value(&kept).unwrap_or_default();
    node.put(&value, Some(&CERTIFICATES.into())).await?;
    transaction.done().await.map(drop)
}

async fn load_certificates(database: Option<&Rc<Rexie>>, warnings: &mut Vec<String>) -> Vec<(Owner, Kept)> {
    let Some(database) = database else { return Vec::new() };
    match get(database, CERTIFICATES).await {
        Ok(stored) => certificates_of(stored),
        Err(warning) => {
            warnings.push(warning);
            Vec::new()
        }
    }
}

/// What is stored of certificates; what can't be read is lost, and made anew.
fn certificates_of(stored: Option<JsValue>) -> Vec<(Owner, Kept)> {
    stored.and_then(|stored| serde_wasm_bindgen::from_value(stored).ok()).unwrap_or_default()
}

async fn get(database: &Rexie, key: &str) -> Result<Option<JsValue>, String> {
    let transaction = database.transaction(&[NODE], TransactionMode::ReadOnly).map_err(broken)?;
    transaction.store(NODE).map_err(broken)?.get(key.into()).await.map_err(broken)
}

async fn put(database: &Rexie, store: &str, key: &str, value: &JsValue) -> Result<(), String> {
    let key = JsValue::from(key);
    write_once(database, store, async |store: rexie::Store| store.put(value, Some(&key)).await.map(drop)).await
}

async fn delete(database: &Rexie, store: &str, key: &str) -> Result<(), String> {
    write_once(database, store, async |store: rexie::Store| store.delete(key.into()).await).await
}

/// A transaction of one request, committed with it. One that waits for its worker to hear of the request keeps the store locked for as
/// long as that worker hangs: from its successor, too.
async fn write_once(
    database: &Rexie,
    store: &str,
    request: impl AsyncFnOnce(rexie::Store) -> rexie::Result<()>,
) -> Result<(), String> {
    let transaction = database.transaction(&[store], TransactionMode::ReadWrite).map_err(broken)?;
    let requested = request(transaction.store(store).map_err(broken)?);
    // In this order: the request is made before the commit is asked for.
    let (requested, committed) = join!(requested, transaction.commit());
    requested.and(committed).map_err(broken)
}

fn secret_of(stored: &JsValue) -> Option<[u8; 32]> {
    stored.dyn_ref::<Uint8Array>()?.to_vec().try_into().ok()
}

fn site_key(origin: &str) -> String {
    format!("{SITE}{origin}")
}

fn seed_key(id: &SeedId) -> String {
    match id {
        SeedId::Node(node) => node.to_string(),
        SeedId::Persona(persona) => persona.to_string(),
        SeedId::Server(url) => url.clone(),
    }
}
