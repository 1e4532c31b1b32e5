//! A node author's own API.
//!
//! Arguments and values cross as JSON text, bounded before anything parses it. Errors are [`Failure`]s and reach the site as
//! `BittersError`s.

use std::{cell::RefCell, rc::Rc};

use bitters_machine::map::Map;
use bitters_wire::{
    failure::{Code, Failure},
    id::PersonaId,
    limits::MAX_SERVICE_JSON,
    local::ServiceReply,
    name::Name,
    permission::Permissions,
};
use futures::{
    StreamExt,
    future::LocalBoxFuture,
    stream::{LocalBoxStream, Stream},
};
use js_sys::JSON;
use serde::{Serialize, de::DeserializeOwned};
use wasm_bindgen::JsValue;

/// An API that sites call.
pub trait Service {
    /// Answers one call. What this returns is dropped when the caller doesn't wait any longer, or is gone.
    fn call(&self, call: Call) -> Served;
}

/// What a service returns.
pub type Served = LocalBoxFuture<'static, Result<Reply, Failure>>;

/// One call of a service.
#[derive(Clone, Debug)]
pub struct Call {
    /// The calling site's origin, as the browser tells it.
    pub origin: String,
    /// The calling site's persona.
    pub persona: PersonaId,
    /// What the person lets that site do: services hold to it, too.
    pub permissions: Permissions,
    /// The method's name.
    pub method: Name,
    args: String,
}

/// What a call comes to.
pub struct Reply(Kind);

enum Kind {
    Sequence(LocalBoxStream<'static, Result<String, Failure>>),
    Value(String),
}

impl Call {
    /// The arguments, as a tuple: `let (text, count): (String, u32) = call.args()?`.
    ///
    /// # Errors
    /// [`Code::BadArgument`] if they are too few or of other types. More than are asked for are passed over, as in JavaScript.
    pub fn args<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let bad = |why: String| Failure::new(Code::BadArgument, format!("{}: {why}", self.method));
        let value = JSON::parse(&self.args).map_err(|_| bad("the arguments are no JSON".into()))?;
        serde_wasm_bindgen::from_value(value).map_err(|error| bad(error.to_string()))
    }

    /// The failure for a method that the service doesn't have.
    #[must_use]
    pub fn unknown_method(&self) -> Failure {
        Failure::new(Code::NotFound, format!("the service has no method '{}'", self.method))
    }
}

impl Reply {
    /// Nothing: the site gets `undefined`.
    #[must_use]
    pub const fn none() -> Self {
        Self(Kind::Value(String::new()))
    }

    /// One value.
    ///
    /// # Errors
    /// [`Code::Remote`] if it has no JSON form, [`Code::TooLarge`] if that is longer than 256 KiB.
    pub fn value<T: Serialize>(value: &T) -> Result<Self, Failure> {
        Ok(Self(Kind::Value(to_json(value)?)))
    }

    /// A sequence: the site gets an async iterable.
    #[must_use]
    pub fn sequence<T: Serialize + 'static>(values: impl Stream<Item = Result<T, Failure>> + 'static) -> Self {
        let texts = values.map(|value| value.and_then(|value| to_json(&value)));
        Self(Kind::Sequence(texts.boxed_local()))
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Kind::Sequence(_) => "Reply::sequence(..)",
            Kind::Value(_) => "Reply::value(..)",
        })
    }
}

fn to_json<T: Serialize>(value: &T) -> Result<String, Failure> {
    let unserialisable = |_| Failure::new(Code::Remote, "the service's value has no JSON form");
    let value = value
        .serialize(&serde_wasm_bindgen::Serializer::json_compatible())
        .map_err(|error| unserialisable(JsValue::from(error)))?;
    let text = JSON::stringify(&value).map_err(unserialisable)?.as_string().unwrap_or_default();
    if text.len() > MAX_SERVICE_JSON {
        return Err(Failure::new(Code::TooLarge, format!("the service's value is {} bytes of JSON", text.len())));
    }
    Ok(text)
}

thread_local! {
    static REGISTRY: RefCell<Map<String, Rc<dyn Service>>> = RefCell::default();
}

/// Adds a service, or replaces the one of that name. Sites find it as soon as the leader leads.
pub fn register(name: impl Into<String>, service: impl Service + 'static) {
    REGISTRY.with_borrow_mut(|registry| registry.insert(name.into(), Rc::new(service)));
}

/// Runs one call and tells its replies, the last of which is no [`ServiceReply::Next`].
pub(crate) async fn run(name: &Name, call: Call, mut tell: impl FnMut(ServiceReply)) {
    let service = REGISTRY.with_borrow(|registry| registry.get(name.as_str()).cloned());
    let Some(service) = service else {
        let failure = Failure::new(Code::NotFound, format!("this node has no service '{name}'"));
        return tell(ServiceReply::Failed(failure));
    };
    match service.call(call).await {
        Err(failure) => tell(ServiceReply::Failed(failure)),
        Ok(Reply(Kind::Value(text))) => tell(ServiceReply::Value(text)),
        Ok(Reply(Kind::Sequence(mut values))) => {
            while let Some(value) = values.next().await {
                match value {
                    Ok(text) => tell(ServiceReply::Next(text)),
                    Err(failure) => return tell(ServiceReply::Failed(failure)),
                }
            }
            tell(ServiceReply::End);
        }
    }
}

impl Call {
    pub(crate) const fn new(
        origin: String,
        persona: PersonaId,
        permissions: Permissions,
        method: Name,
        args: String,
    ) -> Self {
        Self { origin, persona, permissions, method, args }
    }
}
