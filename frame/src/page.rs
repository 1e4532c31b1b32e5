//! What people see: the badge, or the node's own page. The markup names its places by `data-text` and `data-list`.

use bitters_frame_core::site::{Badge, Card, Click, Elsewhere, Question};
use bitters_wire::{
    permission::{Answer, Permission},
    status::{FrameStatus, PeerStatus, Scope, Status},
};
use gloo_events::{EventListener, EventListenerOptions};
use wasm_bindgen::JsCast;
use web_sys::{Document, Element};

use crate::host::window;

/// This document, as far as it shows the node.
#[derive(Clone, Debug)]
pub struct Page {
    document: Option<Document>,
}

impl Page {
    /// This document.
    #[must_use]
    pub fn of_document() -> Self {
        Self { document: window().document() }
    }

    /// The node doesn't run here.
    pub fn show_failure(&self, why: &str) {
        self.show(&Badge::Failed(why.to_owned()));
    }

    /// The badge's part.
    pub fn show(&self, badge: &Badge) {
        match badge {
            Badge::Asking(question) => {
                self.mark("question", Some(question_name(*question)));
                self.state("asking");
            }
            Badge::Failed(why) => {
                self.state("failed");
                self.text("warning", why);
            }
            Badge::Ready { id, peers, scope, offers } => {
                self.state("ready");
                self.mark("offer", offers.then_some(""));
                self.mark("scope", Some(scope_name(*scope)));
                self.text("id", id);
                self.text("peers", &counted(*peers as usize, "peer"));
                self.text("scope", scope_text(*scope));
                self.text("origin", &bitters_web::global::origin());
            }
            Badge::Waiting(elsewhere) => {
                self.mark("question", Some(elsewhere_name(*elsewhere)));
                self.state("waiting");
            }
        }
    }

    /// The node's own page.
    pub fn show_status(&self, status: &Status) {
        self.text("frames", &counted(status.frames.len(), "frame"));
        self.text("seeds", &counted(status.seeds as usize, "seed"));
        let leader = status.leader.as_ref().map(|leader| format!("{:?} worker, epoch {}", leader.kind, leader.epoch.0));
        self.text("leader", &leader.unwrap_or_default());
        self.text("warning", &status.warnings.join(" · "));
        self.list("frames", &status.frames.iter().map(frame_text).collect::<Vec<_>>());
        self.text("linked", &counted(status.peers.len(), "peer"));
        self.show_peers(&whose(status));
    }

    /// What a badge that opened the node's own page asks for.
    pub fn show_card(&self, card: &Card) {
        let (Card::Asking { site, .. } | Card::Lost { site } | Card::Settled { site, .. }) = card;
        self.name_petitioner(site);
        self.mark("petition", Some(card_name(card)));
    }

    /// Calls back when a button is clicked. The offer is a link where there is nothing to offer.
    pub fn on_click(&self, clicked: impl Fn(Click) + 'static) {
        let Some(document) = &self.document else { return };
        let page = self.clone();
        let options = EventListenerOptions::enable_prevent_default();
        let listener = EventListener::new_with_options(document, "click", options, move |event| {
            let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
            let button = target.and_then(|target| target.closest("[data-act]").ok().flatten());
            let click = button.and_then(|button| click_of(&button.get_attribute("data-act")?));
            if let Some(click) = click.filter(|click| *click != Click::Offer || page.offers()) {
                event.prevent_default();
                clicked(click);
            }
        });
        // As long as the document.
        listener.forget();
    }

    /// Where a click must be meant: the badge's question, or the own page's card.
    #[must_use]
    pub fn guarded(&self, top_level: bool) -> Option<Element> {
        let selector = if top_level { "[data-card]" } else { ".ask" };
        self.document.as_ref()?.query_selector(selector).ok()?
    }

    /// Names the site that a question is about.
    pub fn name_petitioner(&self, site: &str) {
        self.text("petitioner", site);
    }

    fn root(&self) -> Option<Element> {
        self.document.as_ref()?.document_element()
    }

    fn offers(&self) -> bool {
        self.root().is_some_and(|root| root.has_attribute("data-offer"))
    }

    fn state(&self, state: &str) {
        self.mark("state", Some(state));
    }

    fn mark(&self, name: &str, value: Option<&str>) {
        let Some(root) = self.root() else { return };
        drop(match value {
            Some(value) => root.set_attribute(&format!("data-{name}"), value),
            None => root.remove_attribute(&format!("data-{name}")),
        });
    }

    fn text(&self, name: &str, text: &str) {
        for place in self.places(&format!("[data-text={name}]")) {
            if place.text_content().as_deref() != Some(text) {
                place.set_text_content(Some(text));
            }
            drop(place.toggle_attribute_with_force("hidden", text.is_empty()));
        }
    }

    fn list(&self, name: &str, items: &[String]) {
        for place in self.places(&format!("[data-list={name}]")) {
            place.set_text_content(None);
            for item in items {
                self.append(&place, "li", item);
            }
        }
    }

    /// Under each heading its peers.
    fn show_peers(&self, groups: &[(String, Vec<String>)]) {
        for place in self.places("[data-list=peers]") {
            place.set_text_content(None);
            for (heading, peers) in groups {
                let Some(group) = self.append(&place, "li", "") else { continue };
                self.append(&group, "p", heading);
                let list = self.append(&group, "ul", "");
                list.into_iter().for_each(|list| peers.iter().for_each(|peer| drop(self.append(&list, "li", peer))));
            }
        }
    }

    fn append(&self, place: &Element, tag: &str, text: &str) -> Option<Element> {
        let element = self.document.as_ref()?.create_element(tag).ok()?;
        element.set_text_content(Some(text));
        place.append_child(&element).ok()?;
        Some(element)
    }

    fn places(&self, selector: &str) -> Vec<Element> {
        let found = self.document.as_ref().and_then(|document| document.query_selector_all(selector).ok());
        let Some(found) = found else { return Vec::new() };
        (0..found.length()).filter_map(|index| found.get(index)?.dyn_into().ok()).collect()
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn frame_text(frame: &FrameStatus) -> String {
    let hidden = if frame.visible { "" } else { " · hidden" };
    format!("{} · {}{hidden}", frame.origin, counted(frame.links as usize, "link"))
}

/// The peers of each persona, under the sites that it is of.
fn whose(status: &Status) -> Vec<(String, Vec<String>)> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for peer in &status.peers {
        let sites = sites_of(status, peer.persona.as_deref());
        match groups.iter_mut().find(|(heading, _)| *heading == sites) {
            Some((_, peers)) => peers.push(peer_text(peer)),
            None => groups.push((sites, vec![peer_text(peer)])),
        }
    }
    groups
}

fn sites_of(status: &Status, persona: Option<&str>) -> String {
    let mut sites = String::new();
    for frame in status.frames.iter().filter(|it| it.persona.as_deref() == persona) {
        if !sites.split(' ').any(|site| site == frame.origin) {
            sites.push_str(if sites.is_empty() { "" } else { " " });
            sites.push_str(&frame.origin);
        }
    }
    sites
}

fn peer_text(peer: &PeerStatus) -> String {
    let rtt = peer.rtt.map(|rtt| format!(" · {rtt:.1} ms")).unwrap_or_default();
    format!("{} · {}{rtt}", peer.id, counted(peer.links as usize, "link"))
}

const fn question_name(question: Question) -> &'static str {
    match question {
        Question::Person => "person",
        Question::Unify => "unify",
        Question::Visit => "visit",
    }
}

const fn elsewhere_name(elsewhere: Elsewhere) -> &'static str {
    match elsewhere {
        Elsewhere::Browser => "browser",
        Elsewhere::Page => "page",
    }
}

const fn card_name(card: &Card) -> &'static str {
    match card {
        Card::Asking { permission: Permission::Person, .. } => "person",
        Card::Asking { .. } => "join",
        Card::Lost { .. } => "lost",
        Card::Settled { answer: Answer::No, .. } => "refused",
        Card::Settled { permission: Permission::Person, .. } => "known",
        Card::Settled { .. } => "joined",
    }
}

fn click_of(act: &str) -> Option<Click> {
    Some(match act {
        "allow" => Click::Allow,
        "cancel" => Click::Cancel,
        "no" => Click::No,
        "offer" => Click::Offer,
        "open" => Click::Open,
        "refuse" => Click::Refuse,
        "yes" => Click::Yes,
        _ => return None,
    })
}

const fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Browser => "browser",
        Scope::Site => "site",
    }
}

const fn scope_text(scope: Scope) -> &'static str {
    match scope {
        Scope::Browser => "all sites in this browser",
        Scope::Site => "this site",
    }
}
