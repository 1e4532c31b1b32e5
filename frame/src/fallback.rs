//! Where there is no SharedWorker, the frame that holds the leader lock leads from a dedicated worker of its own. The code for
//! that is a module of its own, loaded only there.

use bitters_web::{error::WebError, global, island::Island, lock};
use bitters_wire::announce::LEADER_LOCK;
use js_sys::{Function, Promise};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::shell::Urls;

/// Waits for the leader lock and leads from then on, until this frame is gone.
///
/// # Errors
/// What the browser threw.
pub async fn contend(island: Island, urls: Urls) -> Result<(), WebError> {
    const CALL: &str = "lead";
    let held = lock::acquire(island.locks(), LEADER_LOCK).await?;
    let loading: Promise =
        urls.dedicated.call0(&JsValue::UNDEFINED).map_err(WebError::calling("import"))?.unchecked_into();
    let module = JsFuture::from(loading).await.map_err(WebError::calling("import"))?;
    let lead: Function = global::property(&module, CALL)
        .ok_or_else(|| WebError::missing(CALL))?
        .dyn_into()
        .map_err(WebError::calling(CALL))?;
    let leading: Promise = lead
        .call2(&JsValue::UNDEFINED, &urls.build.into(), &urls.dedicated_worker.into())
        .map_err(WebError::calling(CALL))?
        .unchecked_into();
    // It ends when the worker failed: then another frame may lead.
    JsFuture::from(leading).await.map_err(WebError::calling(CALL))?;
    drop(held);
    Ok(())
}
