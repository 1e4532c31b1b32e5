//! From a document's load to a frame of the node.

use std::rc::Rc;

use bitters_frame_core::{
    embedding::Embedding,
    site::{Config, Input, Means},
};
use bitters_web::{
    error::WebError,
    global,
    island::Island,
    lock::{self, How},
    random,
};
use bitters_wire::{
    announce::frame_lock,
    failure::{Code, Failure},
    id::FrameId,
    rpc::Identity,
};
use futures::join;
use js_sys::Reflect;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::spawn_local;
use web_sys::console;

use crate::{
    addresses::Addresses,
    fallback::Fallback,
    host::{self, Greeting},
    module::Module,
    page::Page,
    shell::{Shell, Urls},
    uri_page,
};

/// Starts the frame. `options` are `{ build, leader, addresses, consent, dedicated, dedicatedWorker, exchange, link, page }`: the build, the
/// URL of its SharedWorker, functions that load the modules of connections without signals, of what asks the person, of the fallback
/// for browsers without the SharedWorker, of what links lead to, and of the node's own page; and the URLs of the fallback's worker and of
/// that by which frames share a bridge.
///
/// # Errors
/// A missing option.
#[wasm_bindgen]
pub fn start(options: &JsValue) -> Result<(), JsValue> {
    console_error_panic_hook::set_once();
    let text = |name: &str| Reflect::get(options, &name.into())?.as_string().ok_or_else(|| JsValue::from(name));
    let fallback =
        Fallback { build: text("build")?, module: Module::of(options, "dedicated")?, url: text("dedicatedWorker")? };
    let urls = Urls {
        build: text("build")?,
        leader: text("leader")?,
        addresses: Addresses(Module::of(options, "addresses")?),
        consent: Module::of(options, "consent")?,
        exchange: text("exchange")?,
        fallback,
        own_page: Module::of(options, "page")?,
    };
    let link = Module::of(options, "link")?;
    spawn_local(async move {
        let page = Page::of_document();
        if host::is_top_level() {
            spawn_local(uri_page::show(link));
        }
        if let Err(error) = run(urls, page.clone()).await {
            console::error_1(&format!("bitters: the node can't run here: {error}").into());
            page.show_failure(&error.to_string());
        }
    });
    Ok(())
}

async fn run(urls: Urls, page: Page) -> Result<(), WebError> {
    let embedding = host::embedding();
    let frame = FrameId::from_random(random::bytes());
    let (seat, greeting) = join!(take_seat(embedding, frame), host::greeting());
    let (island, held) = match (seat, &greeting) {
        (Ok(seat), _) => seat,
        (Err(error), Some(greeting)) => {
            host::refuse(&greeting.port, Failure::new(Code::Unsupported, error.to_string()));
            return Err(error);
        }
        (Err(error), None) => return Err(error),
    };
    let config = Config {
        frame,
        origin: greeting.as_ref().map_or_else(global::origin, |greeting| greeting.origin.clone()),
        scope: island.scope(),
        means: means(embedding),
        build: urls.build.clone(),
        worker: Island::has_shared_worker().then(|| urls.leader.clone()),
        visible: host::is_visible(),
        watching: embedding == Embedding::TopLevel,
        seed: random::bytes(),
    };
    let shell = Shell::new(config, island, held, urls, page)?;
    if let Some(greeting) = greeting {
        welcome(&shell, greeting);
    }
    shell.handle(Input::Started);
    if embedding == Embedding::TopLevel {
        shell.hear_petition();
    }
    Ok(())
}

/// The leader of all sites can be reached by a port of its SharedWorker only.
fn means(embedding: Embedding) -> Means {
    let leads = embedding == Embedding::Site && Island::has_shared_worker();
    Means { bridge: leads, handle: leads && Island::knows_handle() }
}

/// The frame holds its lock before anyone hears of it: whoever asks for that lock learns of its death.
async fn take_seat(embedding: Embedding, frame: FrameId) -> Result<(Island, lock::Held), WebError> {
    let island = match embedding {
        Embedding::Nested => Island::own(false)?,
        Embedding::Site => Island::widest().await?,
        Embedding::TopLevel => Island::own(true)?,
    };
    let held = lock::acquire(island.locks(), &frame_lock(frame), How::Queued).await?;
    Ok((island, held))
}

fn welcome(shell: &Rc<Shell>, greeting: Greeting) {
    let Greeting { port, hello, .. } = greeting;
    shell.attach_host(port);
    match hello {
        Some(hello) => shell.handle(Input::Host { versions: hello.versions, identity: hello.identity }),
        // Not a hello that we understand, hence of no version that we speak.
        None => shell.handle(Input::Host { versions: host::NO_VERSION, identity: Identity::Site }),
    }
}
