//! What the node's own page was opened for, by a link of the overlay's scheme.

use bitters_web::error::WebError;
use bitters_wire::uri::{BadUri, OverlayUri};
use js_sys::{Object, Reflect};
use wasm_bindgen::JsValue;
use web_sys::console;

use crate::{host::window, module::Module};

/// Shows it, by a module that is loaded for that. A page that was opened for nothing, or for the node itself, is what it is.
pub async fn show(module: Module) {
    let search = window().location().search().unwrap_or_default();
    let Some(link) = OverlayUri::in_query(&search).and_then(|uri| place_of(&uri)) else { return };
    if let Err(error) = show_place(&module, &link).await {
        console::warn_1(&format!("bitters: the link can't be shown: {error}").into());
    }
}

/// The module's kind of place and which: only what was understood gets that far, never the link's own text.
fn place_of(uri: &Result<OverlayUri, BadUri>) -> Option<(&'static str, String)> {
    match uri {
        Ok(OverlayUri::Address(address)) => Some(("address", address.to_string())),
        Ok(OverlayUri::Connect) => None,
        Ok(OverlayUri::Persona(persona)) => Some(("persona", persona.to_string())),
        Ok(OverlayUri::Topic(name)) => Some(("topic", name.to_string())),
        Err(why) => Some(("unknown", why.to_string())),
    }
}

async fn show_place(module: &Module, (kind, value): &(&'static str, String)) -> Result<(), WebError> {
    let place = Object::new();
    for (name, value) in [("kind", *kind), ("value", value)] {
        Reflect::set(&place, &name.into(), &value.into()).map_err(WebError::calling("Reflect.set"))?;
    }
    module.call_async("show", &[JsValue::from(place)]).await.map(drop)
}
