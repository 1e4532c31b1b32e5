//! Between the person and the machine.

use std::rc::Rc;

use bitters_frame_core::site::{Badge, Click, Input};
use bitters_web::{error::WebError, global, island::Island};
use bitters_wire::permission::{Answer, Permission, SiteStatus};
use serde::Deserialize;
use wasm_bindgen::{JsValue, closure::Closure};
use wasm_bindgen_futures::spawn_local;
use web_sys::console;

use super::Shell;
use crate::consent::Sink;

/// What the person changed in the list of sites.
#[derive(Deserialize)]
struct Choice {
    origin: String,
    permission: Permission,
    answer: Answer,
}

impl Shell {
    /// A badge that asks needs what tells whether a click on it counts.
    pub(super) fn show_badge(self: &Rc<Self>, badge: &Badge) {
        if matches!(badge, Badge::Asking(_)) {
            self.page.name_petitioner(self.site.machine().origin());
            self.prepare();
        }
        self.page.show(badge);
    }

    /// Clicks on buttons are the machine's. The offer leads to a question only; all others must count.
    pub(super) fn hear_clicks(self: &Rc<Self>) {
        let this = Rc::clone(self);
        self.page.on_click(move |click| {
            if click == Click::Offer || this.consent.counts() {
                this.handle(Input::Clicked(click));
            }
        });
    }

    pub(super) fn open_page(self: &Rc<Self>, permission: Permission) {
        let site = self.site.machine().origin().to_owned();
        report(self.consent.open(permission, &site, self.sink()));
    }

    /// In the click that led here: the browser asks within one only.
    pub(super) fn request_access(self: &Rc<Self>) {
        let request = Island::unpartitioned();
        let this = Rc::clone(self);
        spawn_local(async move {
            let granted = request.await.map(|island| this.consent.grant(island)).is_some();
            this.handle(Input::Access(granted));
        });
    }

    /// Without a click: by the handle, or over the bridge of another frame.
    pub(super) fn follow(self: &Rc<Self>) {
        let request = Island::unpartitioned();
        let this = Rc::clone(self);
        spawn_local(async move {
            let found = match request.await {
                Some(island) => {
                    this.consent.grant(island);
                    true
                }
                None => this.consent.share(this.sink()).await,
            };
            this.handle(Input::Followed(found));
        });
    }

    /// On the node's own page: what was it opened for?
    pub fn hear_petition(self: &Rc<Self>) {
        if global::global("opener").is_none() {
            return;
        }
        let this = Rc::clone(self);
        spawn_local(async move {
            if let Some(root) = this.page.guarded(true) {
                report(this.consent.prepare(&root).await.and_then(|()| this.consent.hear(this.sink())));
            }
        });
    }

    pub(super) fn show_sites(self: &Rc<Self>, sites: &[SiteStatus]) {
        let Ok(sites) = serde_wasm_bindgen::to_value(sites) else { return };
        let this = Rc::clone(self);
        let chosen: Closure<dyn Fn(JsValue)> = Closure::new(move |choice| {
            if let Ok(Choice { origin, permission, answer }) = serde_wasm_bindgen::from_value(choice) {
                this.handle(Input::Permit { origin, permission, answer });
            }
        });
        let this = Rc::clone(self);
        let blocked: Closure<dyn Fn(String, String, bool)> =
            Closure::new(move |origin, peer, blocked| this.handle(Input::Block { origin, peer, blocked }));
        let module = self.urls.own_page.clone();
        spawn_local(async move {
            let heard = [sites, chosen.into_js_value(), blocked.into_js_value()];
            report(module.call_async("showSites", &heard).await.map(drop));
        });
    }

    pub(super) fn show_hides(self: &Rc<Self>, hides: bool) {
        let this = Rc::clone(self);
        let chosen: Closure<dyn Fn(bool)> = Closure::new(move |hides| this.handle(Input::Hide(hides)));
        let module = self.urls.own_page.clone();
        spawn_local(async move {
            report(module.call_async("showHides", &[hides.into(), chosen.into_js_value()]).await.map(drop));
        });
    }

    fn prepare(self: &Rc<Self>) {
        let this = Rc::clone(self);
        spawn_local(async move {
            if let Some(root) = this.page.guarded(false) {
                report(this.consent.prepare(&root).await);
            }
        });
    }

    fn sink(self: &Rc<Self>) -> Sink {
        let this = Rc::clone(self);
        Rc::new(move |input| this.handle(input))
    }
}

fn report(outcome: Result<(), WebError>) {
    if let Err(error) = outcome {
        console::warn_1(&format!("bitters: the person can't be asked: {error}").into());
    }
}
