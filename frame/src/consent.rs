//! Between the person and the machine: clicks that count, pages that ask, and the bridge; by a module that is loaded when the badge
//! asks first, or when the node's own page was opened by a badge.

use std::{cell::RefCell, rc::Rc};

use bitters_frame_core::site::{Input, Outcome};
use bitters_web::{error::WebError, global, island::Island};
use bitters_wire::{announce::CHANNEL, permission::Permission};
use js_sys::Function;
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::Element;

use crate::module::Module;

/// The module `frame/consent.ts`, and what it gave.
#[derive(Debug)]
pub struct Consent {
    module: Module,
    /// The URL of the worker by which frames of one site share a bridge.
    exchange: String,
    /// Tells whether a click counts now.
    guard: RefCell<Option<Function>>,
    /// Closes the page that was opened with a petition.
    close: RefCell<Option<Function>>,
    /// Answers the petition that this page was opened with.
    answer: RefCell<Option<Function>>,
    /// The island that was granted or bridged.
    island: RefCell<Option<Island>>,
}

/// Takes facts.
pub type Sink = Rc<dyn Fn(Input)>;

impl Consent {
    /// Nothing is loaded yet.
    pub fn new(module: Module, exchange: String) -> Self {
        Self {
            module,
            exchange,
            guard: RefCell::default(),
            close: RefCell::default(),
            answer: RefCell::default(),
            island: RefCell::default(),
        }
    }

    /// Loads the module; clicks on what is inside `root` count from a moment later.
    ///
    /// # Errors
    /// What the browser threw.
    pub async fn prepare(&self, root: &Element) -> Result<(), WebError> {
        self.module.load().await?;
        if self.guard.borrow().is_none() {
            let guard = self.module.call("guard", &[root.into()])?;
            self.guard.replace(Some(guard.unchecked_into()));
        }
        Ok(())
    }

    /// Whether a click counts.
    pub fn counts(&self) -> bool {
        let guard = self.guard.borrow();
        guard.as_ref().is_some_and(|guard| guard.call0(&JsValue::UNDEFINED).is_ok_and(|counts| counts.is_truthy()))
    }

    /// Opens the node's own page with a petition.
    ///
    /// # Errors
    /// What the browser threw.
    pub fn open(self: &Rc<Self>, permission: Permission, site: &str, sink: Sink) -> Result<(), WebError> {
        let this = Rc::clone(self);
        let tell = listener(move |outcome, bridge, _| match outcome.as_str() {
            "yes" => {
                this.bridge(bridge, &sink);
                sink(Input::PetitionOver(Outcome::Yes));
            }
            "no" => sink(Input::PetitionOver(Outcome::No)),
            "unopened" => sink(Input::PetitionOver(Outcome::Unopened)),
            _ => sink(Input::PetitionOver(Outcome::Closed)),
        });
        let url = format!("{}/", global::origin());
        let args = [url.into(), self.exchange.as_str().into(), name_of(permission).into(), site.into(), tell];
        let close = self.module.call("petition", &args)?;
        self.close.replace(close.dyn_into().ok());
        Ok(())
    }

    /// Closes the page that asks: nobody waits for its answer any longer.
    pub fn close_page(&self) {
        if let Some(close) = self.close.take() {
            drop(close.call0(&JsValue::UNDEFINED));
        }
    }

    /// Hears what the badge that opened this page asks for, if one did.
    ///
    /// # Errors
    /// What the browser threw.
    pub fn hear(self: &Rc<Self>, sink: Sink) -> Result<(), WebError> {
        let tell = listener(move |what, permission, site| match (what.as_str(), site.as_string()) {
            ("asked", Some(site)) => {
                let person = permission.as_string().as_deref() == Some(name_of(Permission::Person));
                let permission = if person { Permission::Person } else { Permission::Join };
                sink(Input::Petition { site, permission });
            }
            _ => sink(Input::PetitionerGone),
        });
        let answer = self.module.call("hear", &[CHANNEL.into(), tell])?;
        self.answer.replace(Some(answer.unchecked_into()));
        Ok(())
    }

    /// Answers it.
    pub fn answer(&self, yes: bool) {
        if let Some(answer) = &*self.answer.borrow() {
            drop(answer.call1(&JsValue::UNDEFINED, &yes.into()));
        }
    }

    /// Gets a bridge that another frame of this site has, if one has it.
    pub async fn share(self: &Rc<Self>, sink: Sink) -> bool {
        let taken = self.module.call_async("take", &[self.exchange.as_str().into()]).await;
        let bridge = taken.ok().filter(|bridge| !bridge.is_undefined());
        if let Some(bridge) = bridge {
            self.bridge(bridge, &sink);
        }
        self.island.borrow().is_some()
    }

    /// Keeps the island that the browser granted.
    pub fn grant(&self, island: Island) {
        self.island.replace(Some(island));
    }

    /// The island that was granted or bridged last.
    pub fn take_island(&self) -> Option<Island> {
        self.island.take()
    }

    fn bridge(&self, bridge: JsValue, sink: &Sink) {
        let sink = Rc::clone(sink);
        let closed = listener(move |_, _, _| sink(Input::BridgeClosed));
        let watch = global::property(&bridge, "watch").and_then(|watch| watch.dyn_into::<Function>().ok());
        if let Some(watch) = watch {
            drop(watch.call1(&bridge, &closed));
            self.island.replace(Island::bridged(bridge).ok());
        }
    }
}

fn listener(heard: impl Fn(String, JsValue, JsValue) + 'static) -> JsValue {
    let closure: Closure<dyn Fn(JsValue, JsValue, JsValue)> =
        Closure::new(move |what: JsValue, one: JsValue, other: JsValue| {
            heard(what.as_string().unwrap_or_default(), one, other);
        });
    // The browser frees it with the module's last reference.
    closure.into_js_value()
}

const fn name_of(permission: Permission) -> &'static str {
    match permission {
        Permission::Join => "join",
        Permission::Observe => "observe",
        Permission::Person => "person",
    }
}
