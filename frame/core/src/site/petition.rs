//! The node's own page answers a badge that opened it: may this site join the node, or know the person by one id?
//!
//! The page is the node's own and stands alone: no site can cover it, and its address bar says whose it is. What was answered before
//! is answered so at once: a way back needs no second yes, and a no is asked for no second time.

use bitters_wire::{
    local::{Blocked, Hiding, ToLeader},
    permission::{Answer, Permission, SiteStatus},
};

use super::{Card, Click, Output, Site};

/// What a badge asks of this page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Petition {
    site: String,
    permission: Permission,
    settled: bool,
}

impl Site {
    /// A frame of this node's, in the page that opened this one, asks for its site.
    pub(super) fn on_petition(&mut self, site: String, permission: Permission) {
        if !self.config.watching || self.petition.is_some() {
            return;
        }
        self.outbox.push_back(Output::Card(Card::Asking { site: site.clone(), permission }));
        self.petition = Some(Petition { site, permission, settled: false });
        self.settle_known();
    }

    pub(super) fn on_sites(&mut self, sites: Vec<SiteStatus>) {
        self.sites.clone_from(&sites);
        self.outbox.push_back(Output::Sites(sites));
        self.settle_known();
    }

    /// A click on the card.
    pub(super) fn on_card_click(&mut self, click: Click) {
        match click {
            Click::Allow => self.settle(Answer::Yes),
            Click::Refuse => self.settle(Answer::No),
            _ => {}
        }
    }

    /// Whoever asked is gone.
    pub(super) fn on_petitioner_gone(&mut self) {
        if let Some(petition) = self.petition.take() {
            self.outbox.push_back(Output::Card(Card::Lost { site: petition.site }));
        }
    }

    /// The person changed a permission on the page.
    pub(super) fn on_permit(&mut self, origin: String, permission: Permission, answer: Answer) {
        if self.config.watching {
            self.send(ToLeader::Permit { origin, permission, answer });
        }
    }

    /// The person decided on the page whether peers may know the network addresses of this browser.
    pub(super) fn on_hide(&mut self, hides: bool) {
        if self.config.watching {
            self.send(ToLeader::Hide(hides));
        }
    }

    /// The leader says what the person decided. Where the frame goes, it brings that along.
    pub(super) fn hear_hiding(&mut self, hiding: Hiding) {
        if self.hiding.decided < hiding.decided {
            self.hiding = hiding;
        }
    }

    /// The person blocked a peer for a site on the page, or no longer does.
    pub(super) fn on_block(&mut self, origin: String, peer: &str, blocked: bool) {
        if let Ok(peer) = peer.parse()
            && self.config.watching
        {
            self.send(ToLeader::Block { origin, peer, blocked });
        }
    }

    /// The leader says whom the person blocked for the site. Where the frame goes, it brings that along.
    pub(super) fn hear_blocked(&mut self, blocked: Blocked) {
        if self.blocked.decided < blocked.decided {
            self.blocked = blocked;
        }
    }

    /// It says so to its page, too, which shows it.
    pub(super) fn on_hiding(&mut self, hiding: Hiding) {
        self.hear_hiding(hiding);
        if self.config.watching {
            self.outbox.push_back(Output::Hides(self.hiding.hides));
        }
    }

    fn settle_known(&mut self) {
        let Some(petition) = &self.petition else { return };
        let known = self.sites.iter().find(|known| known.origin == petition.site);
        let answer = known.map(|known| known.permissions.answer(petition.permission)).unwrap_or_default();
        if answer != Answer::Ask {
            self.settle(answer);
        }
    }

    fn settle(&mut self, answer: Answer) {
        let Some(petition) = self.petition.as_mut().filter(|petition| !petition.settled) else { return };
        petition.settled = true;
        let Petition { site, permission, .. } = petition.clone();
        self.on_permit(site.clone(), permission, answer);
        self.outbox.push_back(Output::Settle(answer == Answer::Yes));
        self.outbox.push_back(Output::Card(Card::Settled { site, permission, answer }));
    }
}
