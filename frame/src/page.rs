//! What people see: the badge, or the node's own page. The markup names its places by `data-text` and `data-list`.

use bitters_wire::status::{FrameStatus, PeerStatus, Scope, Status};
use wasm_bindgen::JsCast;
use web_sys::{Document, Element, HtmlElement};

use crate::{host::window, site::Badge};

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
            Badge::Failed(why) => {
                self.state("failed");
                self.text("warning", why);
            }
            Badge::Ready { id, peers, scope } => {
                self.state("ready");
                self.text("id", id);
                self.text("peers", &counted(*peers as usize, "peer"));
                self.text("scope", scope_text(*scope));
                self.text("origin", &bitters_web::global::origin());
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
        self.list("peers", &status.peers.iter().map(peer_text).collect::<Vec<_>>());
    }

    fn state(&self, state: &str) {
        let root = self.document.as_ref().and_then(Document::document_element);
        if let Some(root) = root.and_then(|root| root.dyn_into::<HtmlElement>().ok()) {
            drop(root.dataset().set("state", state));
        }
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
        let Some(document) = &self.document else { return };
        for place in self.places(&format!("[data-list={name}]")) {
            place.set_text_content(None);
            for item in items {
                if let Ok(line) = document.create_element("li") {
                    line.set_text_content(Some(item));
                    drop(place.append_child(&line));
                }
            }
        }
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

fn peer_text(peer: &PeerStatus) -> String {
    let rtt = peer.rtt.map(|rtt| format!(" · {rtt:.1} ms")).unwrap_or_default();
    format!("{} · {}{rtt}", peer.id, counted(peer.links as usize, "link"))
}

const fn scope_text(scope: Scope) -> &'static str {
    match scope {
        Scope::Browser => "all sites in this browser",
        Scope::Site => "this site",
    }
}
