//! Hostile members of a topic. Each is a browser with a page, whose node does what nodes do; but they know the topic's name, so they read and
//! write on their links what they like. Of what they should pass on they keep back all or some. What they heard they say again, as it was or
//! spelled anew. They speak as others, without their keys; as authors that they make up; and themselves, more than anybody asked for.

use std::collections::{BTreeMap, BTreeSet};

use bitters_machine::time::Instant;
use bitters_wire::{
    codec,
    data::Data,
    id::{FrameId, PersonaId, TopicId},
    keys::PersonaSecret,
    limits::MAX_LINK,
    link::LinkMessage,
    topic::{MessageName, Published, Signed, TopicMessage},
};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::Aead};
use hkdf::Hkdf;
use sha2::Sha256;

use crate::{
    World,
    connection::{End, Phase},
    event::{Event, Turn},
    host,
    stranger::lobby,
};

/// All hostile members, and what they know. They work together: what one heard all know.
#[derive(Debug, Default)]
pub struct Insiders {
    /// Their browsers, and how many of a hundred messages each keeps back.
    pub keep_back: BTreeMap<usize, u8>,
    /// What they heard.
    heard: Vec<Published>,
    /// What they said that may be heard: who, and what.
    said: BTreeSet<(String, String)>,
}

/// Messages that are remembered, to be said again.
const REMEMBERED: usize = 512;

/// Messages that are said again at a time.
const REPLAYED: usize = 8;

/// What was said so long before a page joined it doesn't hear.
const LATELY_MS: u64 = 10_000;

/// Messages that one says at once.
const FLOOD: usize = 4;

/// By how many milliseconds what made-up authors say is dated wrongly, and still heard.
const MISDATED_MS: u64 = 110_000;

impl Insiders {
    /// Whether one of them said that, by that name.
    pub fn may_have_said(&self, from: &str, text: &str) -> bool {
        self.said.contains(&(from.to_owned(), text.to_owned()))
    }
}

impl World {
    /// The browser's page is a hostile member's, which passes so many of a hundred messages not on.
    pub(crate) fn subvert(&mut self, browser: usize, keeps_back: u8) {
        self.insiders.keep_back.insert(browser, keeps_back);
        self.later(1000, 4000, Event::Turn(Turn::Intrigues(browser)));
    }

    /// Whether a hostile member keeps back what its node would send there. What it says itself it sends.
    pub(crate) fn keeps_back(&mut self, end: End, bytes: &[u8]) -> bool {
        let Some((own, percent)) = self.insider_at(end) else { return false };
        let is_of_others = match codec::decode(bytes, MAX_LINK) {
            Ok(LinkMessage::Topic(TopicMessage::Publish { topic, published })) => {
                author(&published, topic) != Some(own)
            }
            Ok(LinkMessage::Topic(TopicMessage::Here { words, .. })) => words.iter().any(|word| word.from != own),
            _ => false,
        };
        let keeps = is_of_others && self.chance(percent);
        self.evidence.insiders_kept_back += usize::from(keeps);
        keeps
    }

    /// What comes to a hostile member's page it remembers.
    pub(crate) fn remember_as(&mut self, end: End, bytes: &[u8]) {
        if self.insider_at(end).is_none() {
            return;
        }
        let Ok(LinkMessage::Topic(TopicMessage::Publish { published, .. })) = codec::decode(bytes, MAX_LINK) else {
            return;
        };
        if self.insiders.heard.len() < REMEMBERED {
            self.insiders.heard.push(published);
        } else {
            let at = self.rng.usize(0..REMEMBERED);
            self.insiders.heard[at] = published;
        }
    }

    fn insider_at(&self, end: End) -> Option<(PersonaId, u8)> {
        if self.insiders.keep_back.is_empty() {
            return None;
        }
        let percent = *self.insiders.keep_back.get(&self.tabs.get(&end.0)?.browser)?;
        Some((self.end(end)?.own, percent))
    }

    /// It is a hostile member's turn.
    pub(crate) fn intrigue(&mut self, browser: usize) {
        self.later(500, 3000, Event::Turn(Turn::Intrigues(browser)));
        let ends = self.ends_up(browser);
        let Some(secret) = ends.first().and_then(|end| self.browsers[browser].secret_of(self.end(*end)?.own)) else {
            return;
        };
        match self.rng.u8(0..100) {
            0..50 => self.replay(&ends),
            50..85 => self.respell(&ends),
            85..94 => self.forge(&ends, &secret),
            94..98 => self.invent(&ends),
            _ => self.flood_lobby(&ends, &secret),
        }
    }

    fn ends_up(&self, browser: usize) -> Vec<End> {
        let tabs = self.tabs.iter().filter(|(_, tab)| tab.browser == browser);
        let ends = tabs.flat_map(|(frame, tab)| tab.links.iter().map(|(link, it)| ((*frame, *link), it.phase)));
        ends.filter(|(_, phase)| *phase == Phase::Up).map(|(end, _)| end).collect()
    }

    /// It says again what was said, to the neighbour whose page joined last: that must not hear what is old.
    fn replay(&mut self, ends: &[End]) {
        let Some((end, since)) =
            ends.iter().filter_map(|end| Some((*end, self.joined_beyond(*end)?))).max_by_key(|it| it.1)
        else {
            return;
        };
        for _ in 0..REPLAYED {
            let Some(published) = self.rng.choice(&self.insiders.heard).cloned() else { return };
            let date = published.open((lobby().id(), &lobby().matching())).map_or(0, |it| it.header.time);
            let is_late = date + LATELY_MS < Self::unix_ms_at(since);
            self.evidence.insiders_replayed += 1;
            self.evidence.insiders_replayed_late += usize::from(is_late);
            self.say_in_lobby(end, published);
        }
    }

    /// When the page at the other end joined.
    fn joined_beyond(&self, end: End) -> Option<Instant> {
        let there = self.end(end)?.remote?.0;
        self.tabs.get(&there)?.host.since
    }

    /// It says what was said, spelled in another way, to all its neighbours.
    fn respell(&mut self, ends: &[End]) {
        let Some(published) = self.rng.choice(&self.insiders.heard).cloned() else { return };
        let Some(signed) = open(&published) else { return };
        let again = seal(&signed, published.body, self.bytes());
        self.evidence.insiders_respelled += 1;
        ends.iter().for_each(|end| self.say_in_lobby(*end, again.clone()));
    }

    /// It speaks as somebody else to a neighbour, who hangs up.
    fn forge(&mut self, ends: &[End], secret: &PersonaSecret) {
        let others = self.tabs.iter().filter(|(_, tab)| !self.insiders.keep_back.contains_key(&tab.browser));
        let pages: Vec<FrameId> = others.map(|(page, _)| *page).collect();
        let (Some(end), Some(page)) = (self.rng.choice(ends).copied(), self.rng.choice(pages)) else { return };
        let tab = &self.tabs[&page];
        let victim = self.browsers[tab.browser].persona(tab.origin);
        let published = self.word_of(secret, &host::said(page, usize::MAX), self.unix_ms());
        let mut signed = open(&published).expect("it was just sealed");
        signed.header.from = victim;
        let forged = seal(&signed, published.body, self.bytes());
        self.evidence.insiders_forged += 1;
        self.say_in_lobby(end, forged);
    }

    /// It makes up an author.
    fn invent(&mut self, ends: &[End]) {
        let secret = PersonaSecret::new(self.bytes());
        let date = self.unix_ms() - MISDATED_MS + self.rng.u64(0..2 * MISDATED_MS);
        self.evidence.insiders_invented += 1;
        self.say_as_member(ends, &secret, date);
    }

    /// It says much at once.
    fn flood_lobby(&mut self, ends: &[End], secret: &PersonaSecret) {
        for _ in 0..FLOOD {
            let date = self.unix_ms();
            self.evidence.insiders_flooded += 1;
            self.say_as_member(ends, secret, date);
        }
    }

    fn say_as_member(&mut self, ends: &[End], secret: &PersonaSecret, date: u64) {
        let text = format!("hostile {}", self.insiders.said.len());
        self.insiders.said.insert((secret.id().to_string(), text.clone()));
        let published = self.word_of(secret, &text, date);
        ends.iter().for_each(|end| self.say_in_lobby(*end, published.clone()));
    }

    fn word_of(&mut self, secret: &PersonaSecret, text: &str, date: u64) -> Published {
        let body = lobby().seal(&Data::Text(text.to_owned()), None, self.bytes());
        Published::new((lobby().id(), &lobby().matching()), secret, (date, MessageName(self.bytes())), body)
    }

    fn say_in_lobby(&mut self, end: End, published: Published) {
        let message = LinkMessage::Topic(TopicMessage::Publish { topic: lobby().id(), published });
        self.send(end, codec::encode(&message));
    }
}

fn author(published: &Published, topic: TopicId) -> Option<PersonaId> {
    published.open((topic, &lobby().matching())).ok().map(|signed| signed.header.from)
}

fn open(published: &Published) -> Option<Signed> {
    published.open((lobby().id(), &lobby().matching())).ok()
}

/// Seals a header with a nonce of one's own choice, as `bitters_wire::topic::Published` tells.
fn seal(signed: &Signed, body: Vec<u8>, nonce: [u8; 16]) -> Published {
    let encoded = codec::encode(&lobby().matching());
    let matching = encoded.last_chunk::<32>().expect("it is a length and the key");
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(Some(b"bitters/topic/match/1"), matching)
        .expand_multi_info(&[b"header", &lobby().id().0, &nonce], &mut key)
        .expect("32 bytes are within HKDF's bound");
    let cipher = ChaCha20Poly1305::new(&key.into());
    let sealed = cipher.encrypt(&[0; 12].into(), codec::encode(signed).as_slice()).expect("a header is short");
    let header = [nonce.as_slice(), &sealed].concat();
    codec::decode(&codec::encode(&(header, body)), MAX_LINK).expect("a message is a header and a body")
}
