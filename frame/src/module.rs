//! Modules that the build puts beside this one, loaded when they are wanted first.

use std::{cell::RefCell, rc::Rc};

use bitters_web::{error::WebError, global};
use js_sys::{Array, Function, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// A module that is loaded once.
#[derive(Clone, Debug)]
pub struct Module {
    load: Function,
    loaded: Rc<RefCell<Option<JsValue>>>,
}

impl Module {
    /// The module that a function of `options` loads: it returns a promise of the module's namespace.
    ///
    /// # Errors
    /// There is no such function.
    pub fn of(options: &JsValue, name: &str) -> Result<Self, JsValue> {
        let load = Reflect::get(options, &name.into())?.dyn_into()?;
        Ok(Self { load, loaded: Rc::default() })
    }

    /// Loads it, unless it is loaded.
    ///
    /// # Errors
    /// What the browser threw: it can't be fetched, for example.
    pub async fn load(&self) -> Result<JsValue, WebError> {
        const CALL: &str = "import";
        if let Some(loaded) = self.loaded.borrow().clone() {
            return Ok(loaded);
        }
        let loading: Promise = self.load.call0(&JsValue::UNDEFINED).map_err(WebError::calling(CALL))?.unchecked_into();
        let module = JsFuture::from(loading).await.map_err(WebError::calling(CALL))?;
        self.loaded.replace(Some(module.clone()));
        Ok(module)
    }

    /// Calls one of its functions at once; an error if it isn't loaded.
    ///
    /// # Errors
    /// What the function threw, or that it isn't there yet.
    pub fn call(&self, name: &'static str, args: &[JsValue]) -> Result<JsValue, WebError> {
        let module = self.loaded.borrow().clone().ok_or_else(|| WebError::missing(name))?;
        call(&module, name, args)
    }

    /// Loads it and calls one of its functions, and waits for what that returns.
    ///
    /// # Errors
    /// What the browser or the function threw.
    pub async fn call_async(&self, name: &'static str, args: &[JsValue]) -> Result<JsValue, WebError> {
        let result = call(&self.load().await?, name, args)?;
        JsFuture::from(Promise::resolve(&result)).await.map_err(WebError::calling(name))
    }
}

fn call(module: &JsValue, name: &'static str, args: &[JsValue]) -> Result<JsValue, WebError> {
    let function: Function = global::property(module, name).ok_or_else(|| WebError::missing(name))?.unchecked_into();
    let args: Array = args.iter().collect();
    function.apply(module, &args).map_err(WebError::calling(name))
}
