//! What the node knows of the sites that it met: what the person answered for each, the persona that it brought along, and when it was
//! here last.
//!
//! A site that was never here may bring the persona that it had on another island; one that was here keeps the one it has. So the
//! node remembers whom it met, within a bound.

pub mod accounts;
pub mod acquaintances;
pub mod blocks;
mod holds;
pub mod traffic;

use std::cmp::Reverse;

use bitters_machine::map::{Map, Set};
use bitters_wire::{
    id::PersonaId,
    keys::{NodeSecret, PersonaSecret},
    limits::MAX_BLOCKED,
    local::{Blocked, Hiding},
    permission::{Answer, Permission, Permissions},
};
use serde::{Deserialize, Serialize};

use self::acquaintances::{Acquaintance, note};

/// Sites kept. The longest absent goes first; one with an answer or a persona of its own goes after all others, and the node's own page never.
pub const MAX_SITES: usize = 1024;

/// Bytes of an origin: a scheme, a host of at most 253 (RFC 1035, section 2.3.4), and a port.
pub const MAX_ORIGIN: usize = 300;

/// A visit is noted that often, in milliseconds: nothing is written for each page.
const NOTE_EVERY_MS: u64 = 60 * 60 * 1000;

/// One site, as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownSite {
    /// Its origin.
    pub origin: String,
    /// What the person answered.
    #[serde(default)]
    pub permissions: Permissions,
    /// The secret of the persona that it brought. Else its persona is derived from the node's secret.
    #[serde(default)]
    pub brought: Option<PersonaSecret>,
    /// When it was here last, in milliseconds since 1970; `None` if it never was.
    #[serde(default)]
    pub visited: Option<u64>,
    /// Peers that it accepted, at most [`MAX_ACCEPTED`](acquaintances::MAX_ACCEPTED), the latest last.
    #[serde(default)]
    pub accepted: Vec<Acquaintance>,
    /// Of the node's own page: what the person decided of the network addresses of this browser.
    #[serde(default)]
    pub hiding: Hiding,
    /// Peers that the person blocked for it.
    #[serde(default)]
    pub blocked: Blocked,
}

impl KnownSite {
    fn new(origin: &str) -> Self {
        Self { origin: origin.to_owned(), ..Self::default() }
    }

    /// Whether something would be lost with it that can't be had again.
    fn is_dear(&self) -> bool {
        self.brought.is_some() || !self.blocked.peers.is_empty() || self.permissions != Permissions::default()
    }
}

/// What is to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing of this origin any longer.
    Forget(String),
    /// This, in place of what was stored of its origin.
    Save(KnownSite),
}

/// All sites.
#[derive(Debug)]
pub struct Sites {
    secret: NodeSecret,
    known: Map<String, KnownSite>,
    observers: Set<String>,
    page: String,
    changes: Vec<Change>,
}

impl Sites {
    /// With what was stored. `observers` see the whole node unless the person said no; `page` is the node's own page, which always does.
    pub fn new(secret: NodeSecret, stored: Vec<KnownSite>, observers: Vec<String>, page: String) -> Self {
        let observers = Set::from_iter(observers);
        let mut sites = Self { secret, known: Map::new(), observers, page, changes: Vec::new() };
        for site in stored.into_iter().filter(|site| site.origin.len() <= MAX_ORIGIN) {
            sites.known.insert(site.origin.clone(), site);
            sites.forget_surplus();
        }
        sites
    }

    /// The persona that is the person's own, for all sites that may have it.
    pub fn person(&self) -> PersonaSecret {
        self.secret.person()
    }

    /// Whether this is the node's own page.
    pub fn is_page(&self, origin: &str) -> bool {
        self.page == origin
    }

    /// A site is here.
    pub fn visit(&mut self, origin: &str, unix_ms: u64) {
        let noted = self.known.get(origin).and_then(|site| site.visited);
        if self.is_page(origin) || noted.is_some_and(|at| unix_ms.saturating_sub(at) < NOTE_EVERY_MS) {
            return;
        }
        self.change(origin, |site| site.visited = Some(unix_ms));
    }

    /// Whether a site was ever here.
    pub fn was_here(&self, origin: &str) -> bool {
        self.known.get(origin).is_some_and(|site| site.visited.is_some())
    }

    /// The person answered for a site; tells whether that is news.
    #[must_use]
    pub fn answer(&mut self, origin: &str, permission: Permission, answer: Answer) -> bool {
        let before = self.known.get(origin).map(|site| site.permissions).unwrap_or_default();
        let after = before.with(permission, answer);
        if before == after || self.is_page(origin) || origin.len() > MAX_ORIGIN {
            return false;
        }
        self.change(origin, |site| site.permissions = after);
        true
    }

    /// A site's persona is the one that it brings, unless another origin has that; tells whether it is now.
    #[must_use]
    pub fn adopt(&mut self, origin: &str, brought: &PersonaSecret) -> bool {
        let has =
            |site: &KnownSite| site.brought.as_ref() == Some(brought) || self.secret.persona(&site.origin) == *brought;
        let is_anothers = self.known.values().any(|site| site.origin != origin && has(site));
        if is_anothers || self.is_page(origin) || self.secret.person() == *brought {
            return false;
        }
        if self.persona(origin) != *brought {
            self.change(origin, |site| site.brought = Some(brought.clone()));
        }
        true
    }

    /// A site accepted a peer.
    pub fn accept(&mut self, origin: &str, peer: PersonaId, unix_ms: u64) {
        let mut accepted = self.known.get(origin).map(|site| site.accepted.clone()).unwrap_or_default();
        if origin.len() <= MAX_ORIGIN && note(&mut accepted, peer, unix_ms) {
            self.change(origin, |site| site.accepted = accepted);
        }
    }

    /// Peers that a site accepted.
    pub fn accepted(&self, origin: &str) -> Vec<Acquaintance> {
        self.known.get(origin).map(|site| site.accepted.clone()).unwrap_or_default()
    }

    /// Whether the person lets peers know the network addresses of this browser.
    pub fn hiding(&self) -> Hiding {
        self.known.get(&self.page).map(|page| page.hiding).unwrap_or_default()
    }

    /// The person decided that, here or where a frame was before. The latest counts. Tells whether it is that.
    #[must_use]
    pub fn decide(&mut self, hiding: Hiding) -> bool {
        let is_news = self.hiding().decided < hiding.decided;
        if is_news {
            let page = self.page.clone();
            self.change(&page, |site| site.hiding = hiding);
        }
        is_news
    }

    /// Peers that the person blocked for a site.
    pub fn blocked(&self, origin: &str) -> Blocked {
        self.known.get(origin).map(|site| site.blocked.clone()).unwrap_or_default()
    }

    /// The person blocked others, here or where a frame of the site was before. The latest counts. Tells whether it is that.
    #[must_use]
    pub fn block(&mut self, origin: &str, blocked: Blocked) -> bool {
        let fits = blocked.peers.len() <= MAX_BLOCKED && origin.len() <= MAX_ORIGIN && !self.is_page(origin);
        let is_news = fits && self.blocked(origin).decided < blocked.decided;
        if is_news {
            self.change(origin, |site| site.blocked = blocked);
        }
        is_news
    }

    /// A site's own persona.
    pub fn persona(&self, origin: &str) -> PersonaSecret {
        let brought = self.known.get(origin).and_then(|site| site.brought.clone());
        brought.unwrap_or_else(|| self.secret.persona(origin))
    }

    /// What a site may do: what the person answered, else what the node's operator configured.
    pub fn permissions(&self, origin: &str) -> Permissions {
        let answers = self.known.get(origin).map(|site| site.permissions).unwrap_or_default();
        let configured = answers.observe == Answer::Ask && self.observers.contains(origin);
        if self.is_page(origin) || configured { answers.with(Permission::Observe, Answer::Yes) } else { answers }
    }

    /// All of them, the one that was here last first.
    pub fn by_recency(&self) -> Vec<&KnownSite> {
        let sites = self.known.values().filter(|site| !self.is_page(&site.origin));
        let sites: Map<(Reverse<Option<u64>>, &str), &KnownSite> =
            sites.map(|site| ((Reverse(site.visited), &*site.origin), site)).collect();
        sites.into_values().collect()
    }

    /// What is to be stored since the last time.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    fn change(&mut self, origin: &str, act: impl FnOnce(&mut KnownSite)) {
        let site = self.known.entry(origin.to_owned()).or_insert_with(|| KnownSite::new(origin));
        act(site);
        self.changes.push(Change::Save(site.clone()));
        let forgotten = self.forget_surplus();
        self.changes.extend(forgotten.map(Change::Forget));
    }

    fn forget_surplus(&mut self) -> Option<String> {
        if self.known.len() <= MAX_SITES {
            return None;
        }
        let sites = self.known.values().filter(|site| !self.is_page(&site.origin));
        let least = sites.min_by_key(|site| (site.is_dear(), site.visited))?.origin.clone();
        self.known.remove(&least).map(|site| site.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visit_is_noted_once_an_hour() {
        let mut sites = sites();
        sites.visit(A, 5);
        sites.visit(A, NOTE_EVERY_MS + 4);
        sites.visit(PAGE, 5);
        assert_eq!(sites.take_changes(), [Change::Save(KnownSite { visited: Some(5), ..KnownSite::new(A) })]);
        sites.visit(A, NOTE_EVERY_MS + 5);
        assert_eq!(sites.take_changes().len(), 1);
        assert!(sites.was_here(A) && !sites.was_here(B) && !sites.was_here(PAGE));
    }

    #[test]
    fn an_answer_wins_over_what_is_configured_and_the_page_always_observes() {
        let mut sites = sites();
        let observes = |sites: &Sites, origin: &str| sites.permissions(origin).observe;
        assert_eq!([A, B, PAGE].map(|it| observes(&sites, it)), [Answer::Ask, Answer::Yes, Answer::Yes]);

        assert!(sites.answer(A, Permission::Observe, Answer::Yes));
        assert!(sites.answer(B, Permission::Observe, Answer::No));
        assert!(!sites.answer(PAGE, Permission::Observe, Answer::No));
        assert!(!sites.answer(&"x".repeat(MAX_ORIGIN + 1), Permission::Observe, Answer::Yes));
        assert_eq!([A, B, PAGE].map(|it| observes(&sites, it)), [Answer::Yes, Answer::No, Answer::Yes]);

        assert!(!sites.answer(A, Permission::Observe, Answer::Yes), "no news");
        assert!(sites.answer(A, Permission::Observe, Answer::Ask), "taken back");
        assert_eq!(observes(&sites, A), Answer::Ask);
        assert!(!sites.was_here(A), "it was answered for, and never came");
    }

    #[test]
    fn what_is_stored_is_what_is_known() {
        let mut sites = sites();
        sites.visit(A, 5);
        assert!(sites.answer(A, Permission::Person, Answer::Yes));
        assert!(sites.adopt(A, &brought()));
        let Some(Change::Save(site)) = sites.take_changes().pop() else { panic!("nothing is to be stored") };
        let again = Sites::new(NODE, vec![site], Vec::new(), PAGE.into());
        assert_eq!(again.persona(A), brought());
        assert_eq!(again.permissions(A), sites.permissions(A));
        assert!(again.was_here(A));
    }

    #[test]
    fn a_persona_of_another_origin_is_not_adopted() {
        let mut sites = sites();
        sites.visit(A, 5);
        let theirs = NODE.persona(A);
        assert!(!sites.adopt(B, &theirs), "derived for another");
        assert!(sites.adopt(A, &theirs), "it is what it has");
        assert!(sites.adopt(A, &brought()));
        assert!(!sites.adopt(B, &brought()), "brought by another");
        assert!(!sites.adopt(B, &NODE.person()), "the person's");
        assert!(!sites.adopt(PAGE, &PersonaSecret::new([8; 32])));
        assert_eq!(sites.persona(B), NODE.persona(B));
    }

    #[test]
    fn what_the_person_hides_and_sites_accepted_is_stored() {
        let mut sites = sites();
        let hides = |decided| Hiding { hides: true, decided };
        assert!(!sites.hiding().hides && sites.decide(hides(7)) && !sites.decide(hides(7)));
        assert!(!sites.decide(Hiding { hides: false, decided: 6 }), "it was decided otherwise since");
        sites.accept(A, PersonaId([9; 32]), 5);
        sites.accept(A, PersonaId([9; 32]), 6);
        let stored: Vec<KnownSite> = sites.take_changes().into_iter().map(saved).collect();
        assert_eq!(stored.len(), 2, "the second time is no news");
        let again = Sites::new(NODE, stored, Vec::new(), PAGE.into());
        assert_eq!(again.hiding(), hides(7));
        assert_eq!(again.accepted(A), [Acquaintance { peer: PersonaId([9; 32]), at: 5 }]);
        assert_eq!(again.by_recency().len(), 1, "the page is no site");
        assert!(again.accepted(B).is_empty() && !again.was_here(A));
    }

    #[test]
    fn whom_the_person_blocked_is_stored_and_the_latest_decision_counts() {
        let mut sites = sites();
        let blocked = |n: u8, decided| Blocked { peers: vec![PersonaId([n; 32])], decided };
        assert!(sites.block(A, blocked(1, 7)) && !sites.block(A, blocked(2, 6)) && !sites.block(PAGE, blocked(2, 9)));
        assert!(!sites.block(A, Blocked { peers: vec![PersonaId([3; 32]); MAX_BLOCKED + 1], decided: 9 }));
        let stored: Vec<KnownSite> = sites.take_changes().into_iter().map(saved).collect();
        let mut again = Sites::new(NODE, stored, Vec::new(), PAGE.into());
        assert_eq!((again.blocked(A), again.blocked(B)), (blocked(1, 7), Blocked::default()));
        assert!(again.block(A, Blocked { peers: Vec::new(), decided: 8 }) && again.blocked(A).peers.is_empty());
    }

    #[test]
    fn the_longest_absent_is_forgotten_and_answers_are_kept() {
        let mut sites = sites();
        sites.visit("kept", 0);
        assert!(sites.answer("kept", Permission::Join, Answer::No));
        for n in 1..=u64::try_from(MAX_SITES).unwrap() {
            sites.visit(&format!("https://{n}.example"), n);
        }
        assert_eq!(sites.take_changes().pop(), Some(Change::Forget("https://1.example".into())));
        let recent = sites.by_recency();
        assert_eq!((recent.len(), recent[0].origin.as_str()), (MAX_SITES, "https://1024.example"));
        assert_eq!(recent.last().map(|site| site.origin.as_str()), Some("kept"));
        assert!(sites.decide(Hiding { hides: true, decided: 1 }));
        for n in 0..MAX_SITES {
            assert!(sites.answer(&format!("https://{n}.example"), Permission::Join, Answer::No));
        }
        assert!(sites.hiding().hides, "what holds for all is forgotten for none");
    }

    const A: &str = "https://a.example";
    const B: &str = "https://b.example";
    const PAGE: &str = "https://node.example";
    const NODE: NodeSecret = NodeSecret::new([7; 32]);

    fn brought() -> PersonaSecret {
        PersonaSecret::new([9; 32])
    }

    fn saved(change: Change) -> KnownSite {
        match change {
            Change::Save(site) => site,
            Change::Forget(origin) => panic!("{origin} is forgotten"),
        }
    }

    /// B may observe.
    fn sites() -> Sites {
        Sites::new(NODE, Vec::new(), vec![B.into()], PAGE.into())
    }
}
