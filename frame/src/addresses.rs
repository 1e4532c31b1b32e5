//! Certificates that outlive a page, and which path a connection uses: by a module that is loaded when the first is wanted.

use std::net::SocketAddr;

use bitters_web::{error::WebError, global, island::Island};
use bitters_wire::{address::Fingerprint, local::Certificate};
use js_sys::Array;
use wasm_bindgen::JsValue;
use web_sys::{RtcConfiguration, RtcPeerConnection};

use crate::module::Module;

/// The module `frame/addresses.ts`.
#[derive(Clone, Debug)]
pub struct Addresses(pub Module);

impl Addresses {
    /// Makes a certificate and keeps it for all frames of the island.
    ///
    /// # Errors
    /// What the browser threw: no database, for example.
    pub async fn certify(&self, island: &Island) -> Result<Certificate, WebError> {
        let made = self.0.call_async("certify", &[island.databases()?]).await?;
        let text = global::property(&made, "fingerprint").and_then(|it| it.as_string()).unwrap_or_default();
        let expires = global::property(&made, "expires").and_then(|it| it.as_f64()).unwrap_or_default();
        let fingerprint = parse(&text).ok_or_else(|| WebError::missing("fingerprint"))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "nonsense saturates")]
        let expires = expires as u64;
        Ok(Certificate { fingerprint, expires })
    }

    /// Has a connection answer with a certificate that was kept.
    ///
    /// # Errors
    /// What the browser threw, or that the certificate is lost.
    pub async fn answer_with(
        &self,
        island: &Island,
        fingerprint: &Fingerprint,
        configuration: &RtcConfiguration,
    ) -> Result<(), WebError> {
        let certificate = self.0.call_async("certificate", &[island.databases()?, text_of(fingerprint).into()]).await?;
        configuration.set_certificates(&Array::of1(&certificate));
        Ok(())
    }

    /// The far end of the path in use; `None` if the browser hides it. No path in use is an error, too.
    ///
    /// # Errors
    /// What the browser threw.
    pub async fn far_end(&self, pc: &RtcPeerConnection) -> Result<Option<SocketAddr>, WebError> {
        let far = self.0.call_async("farEnd", &[pc.into()]).await?;
        let text = far.as_string().ok_or_else(|| WebError::missing("a path in use"))?;
        Ok(text.parse().ok())
    }

    /// Whether a connection's browser answers when ICE is restarted: it is the controlled end, and sends by the old path meanwhile.
    ///
    /// # Errors
    /// What the browser threw.
    pub async fn answers(&self, pc: &RtcPeerConnection) -> Result<bool, WebError> {
        self.0.call_async("answers", &[pc.into()]).await.map(|answers| answers.is_truthy())
    }

    /// Calls back when a connection takes another path, where the browser tells.
    ///
    /// # Errors
    /// What the browser threw.
    pub async fn watch(&self, pc: &RtcPeerConnection, on_change: &JsValue) -> Result<(), WebError> {
        self.0.call_async("watch", &[pc.into(), on_change.clone()]).await.map(drop)
    }
}

/// `AB:CD:…`, as descriptions have it.
fn text_of(fingerprint: &Fingerprint) -> String {
    let mut text = String::with_capacity(95);
    for byte in fingerprint {
        let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default().to_ascii_uppercase();
        if !text.is_empty() {
            text.push(':');
        }
        text.extend([digit(byte >> 4), digit(byte & 15)]);
    }
    text
}

fn parse(text: &str) -> Option<Fingerprint> {
    let mut fingerprint = [0; 32];
    let mut pairs = text.split(':');
    for byte in &mut fingerprint {
        *byte = u8::from_str_radix(pairs.next()?, 16).ok()?;
    }
    pairs.next().is_none().then_some(fingerprint)
}
