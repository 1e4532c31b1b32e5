//! A `JsValue` error stops at the call that threw it and becomes one of these.

use wasm_bindgen::{JsCast, JsValue};

/// What the browser threw.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{call}: {name}: {message}")]
pub struct WebError {
    /// The API that threw.
    pub call: &'static str,
    /// The exception's name, such as `NotAllowedError`.
    pub name: String,
    /// The exception's message.
    pub message: String,
}

impl WebError {
    /// Turns what `call` threw into an error: for `map_err`.
    pub fn calling(call: &'static str) -> impl Fn(JsValue) -> Self {
        move |thrown| match thrown.dyn_ref::<js_sys::Error>() {
            Some(error) => Self { call, name: error.name().into(), message: error.message().into() },
            None => Self { call, name: "Error".into(), message: thrown.as_string().unwrap_or_default() },
        }
    }

    /// The browser lacks `call`.
    #[must_use]
    pub fn missing(call: &'static str) -> Self {
        Self { call, name: "NotSupportedError".into(), message: "this browser doesn't have it".into() }
    }
}
