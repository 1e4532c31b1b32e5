//! The global object, whichever it is: a window's, a worker's, a shared worker's.

use js_sys::{Array, Function, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::error::WebError;

/// A property of an object, `None` if it is `undefined` or `null` or throws.
#[must_use]
pub fn property(object: &JsValue, name: &str) -> Option<JsValue> {
    Reflect::get(object, &name.into()).ok().filter(|value| !value.is_undefined() && !value.is_null())
}

/// A property of the global object, unchecked but for its presence.
#[must_use]
pub fn global(name: &str) -> Option<JsValue> {
    property(&js_sys::global(), name)
}

/// A property of the global object, of the type that it has by its specification.
///
/// # Errors
/// [`WebError`] if this browser doesn't have it.
pub fn required<T: JsCast>(name: &'static str) -> Result<T, WebError> {
    global(name).map(JsCast::unchecked_into).ok_or_else(|| WebError::missing(name))
}

/// Calls a method and waits for its promise.
///
/// # Errors
/// What the method or its promise threw.
pub async fn call_async(object: &JsValue, method: &'static str, arg: &JsValue) -> Result<JsValue, WebError> {
    call(object, method, arg).await
}

/// Calls a method at once; the future waits for its promise.
///
/// # Errors
/// What the method or its promise threw.
pub fn call(
    object: &JsValue,
    method: &'static str,
    arg: &JsValue,
) -> impl Future<Output = Result<JsValue, WebError>> + use<> {
    let called = invoke(object, method, &Array::of1(arg));
    async move { JsFuture::from(Promise::resolve(&called?)).await.map_err(WebError::calling(method)) }
}

/// Calls a method that this browser may lack. Bindings without `catch` would let the exception through Rust's frames, whose
/// destructors then never run.
///
/// # Errors
/// That there is no such method, or what it threw.
pub fn invoke(object: &JsValue, method: &'static str, args: &Array) -> Result<JsValue, WebError> {
    let function = property(object, method).and_then(|function| function.dyn_into::<Function>().ok());
    let function = function.ok_or_else(|| WebError::missing(method))?;
    function.apply(object, args).map_err(WebError::calling(method))
}

/// The origin of this context: a document's or a worker's.
#[must_use]
pub fn origin() -> String {
    global("location").and_then(|location| property(&location, "origin")?.as_string()).unwrap_or_default()
}
