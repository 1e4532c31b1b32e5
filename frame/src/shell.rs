//! The loop around the machine: facts in, acts out. It has no opinions.

mod asking;
mod moving;

use std::{
    cell::{Cell, OnceCell, RefCell},
    rc::Rc,
    time::Duration,
};

use bitters_frame_core::site::{Config, Input, Line, Output, Site};
use bitters_machine::map::Map;
use bitters_web::{
    announcer::Announcer,
    clock,
    driver::Driver,
    error::WebError,
    island::Island,
    lock::{Fate, Held},
};
use bitters_wire::{
    address::Owner,
    announce::life_lock,
    id::{Boot, Epoch, FrameId, LinkId},
    local::{Dial, Door, DownReason, LinkCommand, LinkEvent},
};
use futures::future::{AbortHandle, abortable};
use gloo_events::EventListener;
use wasm_bindgen_futures::spawn_local;
use web_sys::{EventTarget, MessagePort, RtcConfiguration, SharedWorker, console};

use crate::{
    addresses::Addresses,
    consent::Consent,
    fallback::{Contenders, Fallback},
    host::{self, Heard, Host},
    leader::LeaderLine,
    module::Module,
    page::Page,
    rtc::{self, Connection},
};

/// A document that was asked for again has come from the service worker by then.
const RELOAD: Duration = Duration::from_secs(2);

/// Before a document that comes back is loaded anew: one that is loaded at once sometimes goes no further than its script (docs/browser-facts.md).
const THAW: Duration = Duration::from_millis(300);

/// What the build put beside this module.
#[derive(Clone, Debug)]
pub struct Urls {
    /// The build.
    pub build: String,
    /// The SharedWorker.
    pub leader: String,
    /// What connections without signals need.
    pub addresses: Addresses,
    /// What asks the person.
    pub consent: Module,
    /// The worker by which frames of one site share a bridge.
    pub exchange: String,
    /// What takes the SharedWorker's place where there is none.
    pub fallback: Fallback,
    /// What the node's own page has and badges don't.
    pub own_page: Module,
}

/// The frame's shell.
pub struct Shell {
    site: Driver<Site>,
    frame: FrameId,
    island: RefCell<Island>,
    urls: Urls,
    page: Page,
    consent: Rc<Consent>,
    /// Counts ways that were asked for: one that comes late is not the latest.
    lines: Cell<u32>,
    seat: RefCell<Option<Held>>,
    announcer: RefCell<Option<Announcer>>,
    /// That of the site's own island, while the frame is beyond a bridge.
    home: RefCell<Option<Announcer>>,
    contenders: RefCell<Contenders>,
    /// The wait for the leader's life lock.
    watch: RefCell<Option<AbortHandle>>,
    /// Our own build's worker, which waits to lead while another leads: a browser may end one that nobody refers to.
    candidate: RefCell<Option<SharedWorker>>,
    leader: RefCell<Option<LeaderLine>>,
    host: RefCell<Option<Host>>,
    links: RefCell<Map<LinkId, Carried>>,
    listeners: OnceCell<[EventListener; 6]>,
}

/// A link in this frame.
enum Carried {
    Open(Rc<Connection>),
    /// Its certificate is on the way; what it is to do then.
    Opening(Vec<LinkCommand>),
}

impl Shell {
    /// A frame that holds its lock and isn't heard of yet.
    ///
    /// # Errors
    /// [`WebError`] where there is no BroadcastChannel.
    pub fn new(config: Config, island: Island, seat: Held, urls: Urls, page: Page) -> Result<Rc<Self>, WebError> {
        let shell = Rc::new(Self {
            frame: config.frame,
            site: Driver::new(Site::new(config)),
            island: RefCell::new(island),
            consent: Rc::new(Consent::new(urls.consent.clone(), urls.exchange.clone())),
            lines: Cell::default(),
            urls,
            page,
            seat: RefCell::new(Some(seat)),
            announcer: RefCell::default(),
            home: RefCell::default(),
            contenders: RefCell::default(),
            watch: RefCell::default(),
            candidate: RefCell::default(),
            leader: RefCell::default(),
            host: RefCell::default(),
            links: RefCell::default(),
            listeners: OnceCell::new(),
        });
        shell.open_announcer()?;
        let this = Rc::clone(&shell);
        shell.site.wake_by(move || this.on_timer());
        shell.listeners.get_or_init(|| shell.listen());
        shell.hear_clicks();
        Ok(shell)
    }

    /// The site's port is there.
    pub fn attach_host(self: &Rc<Self>, port: MessagePort) {
        let this = Rc::clone(self);
        let host = Host::open(port, move |heard| match heard {
            Heard::Nonsense(id) => this.handle(Input::Nonsense(id)),
            Heard::Request(request) => this.handle(Input::Ask(request)),
            Heard::TooLarge { id, bytes } => this.handle(Input::TooLarge { id, bytes }),
        });
        self.host.replace(Some(host));
    }

    /// Takes a fact and performs what follows.
    pub fn handle(self: &Rc<Self>, input: Input) {
        self.site.handle_input(input, |output| self.perform(output));
    }

    fn perform(self: &Rc<Self>, output: Output) {
        match output {
            Output::Announce(announcement) => {
                if let Some(announcer) = &*self.announcer.borrow() {
                    announcer.announce(&announcement);
                }
            }
            Output::AnnounceAtHome(announcement) => {
                if let Some(home) = &*self.home.borrow() {
                    home.announce(&announcement);
                }
            }
            Output::Badge(badge) => self.show_badge(&badge),
            Output::Card(card) => self.page.show_card(&card),
            Output::Certify(owner) => self.certify(owner),
            Output::CloseHost => drop(self.host.borrow_mut().take()),
            Output::ClosePage => self.consent.close_page(),
            Output::Connect(line) => self.connect(&line),
            Output::Contend { after } => self.contend(after),
            Output::Enter => self.enter(),
            Output::Follow => self.follow(),
            Output::Leader(envelope) => {
                if let Some(leader) = &*self.leader.borrow() {
                    leader.send(&envelope);
                }
            }
            Output::Link(link, command) => self.link(link, command),
            Output::Hides(hides) => self.show_hides(hides),
            Output::OpenPage(permission) => self.open_page(permission),
            Output::RequestAccess => self.request_access(),
            Output::Return => self.go_back(),
            Output::Settle(yes) => self.consent.answer(yes),
            Output::Sites(sites) => self.show_sites(&sites),
            Output::Status(status) => self.page.show_status(&status),
            Output::Tell(event) => {
                if let Some(host) = &*self.host.borrow() {
                    host.tell(&event);
                }
            }
            Output::WatchLeader(boot) => self.watch(boot),
        }
    }

    fn connect(self: &Rc<Self>, line: &Line) {
        let (this, line, number) = (Rc::clone(self), line.clone(), self.lines.get() + 1);
        self.lines.set(number);
        spawn_local(async move {
            let (hearer, failing, island) = (Rc::clone(&this), Rc::clone(&this), this.island());
            let hear = move |envelope| hearer.handle(Input::Leader(envelope));
            let load = this.when_worker_loads();
            let fail = move || failing.handle(Input::WorkerFailed);
            let opened = LeaderLine::open(&island, &line, this.frame, hear, load, fail).await;
            if this.lines.get() == number {
                this.on_line(&line, opened);
            }
        });
    }

    fn on_line(self: &Rc<Self>, line: &Line, opened: Result<LeaderLine, WebError>) {
        match opened {
            Ok(leader) => {
                if matches!(line, Line::Port { worker, .. } if *worker == self.urls.leader) {
                    self.candidate.replace(leader.worker());
                }
                self.leader.replace(Some(leader));
                self.handle(Input::Connected);
            }
            Err(_) if self.island.borrow().is_remote() => self.handle(Input::IslandLost),
            Err(error) => {
                console::error_1(&format!("bitters: no leader from here: {error}").into());
                self.handle(Input::WorkerFailed);
            }
        }
    }

    fn contend(self: &Rc<Self>, after: Option<Epoch>) {
        let mut contenders = self.contenders.borrow_mut();
        let (fallback, failing) = (self.urls.fallback.clone(), Rc::clone(self));
        let (load, fail) = (self.when_worker_loads(), move || failing.handle(Input::WorkerFailed));
        match after {
            None => contenders.wait(self.island(), fallback, load, fail),
            Some(after) => contenders.succeed(fallback, after, load, fail),
        }
    }

    fn when_worker_loads(self: &Rc<Self>) -> impl Fn() + 'static {
        let this = Rc::clone(self);
        move || this.later_or_now(Input::WorkerLoads)
    }

    fn watch(self: &Rc<Self>, boot: Boot) {
        let this = Rc::clone(self);
        let (waiting, handle) = abortable(async move {
            let island = this.island();
            match island.fate(&life_lock(boot)).await {
                Ok(Fate::Gone) => this.handle(Input::LeaderGone(boot)),
                Ok(Fate::Unseen) => this.handle(Input::LeaderUnseen(boot)),
                Err(error) => console::warn_1(&format!("bitters: the leader isn't watched: {error}").into()),
            }
        });
        if let Some(before) = self.watch.replace(Some(handle)) {
            before.abort();
        }
        spawn_local(async move { waiting.await.unwrap_or_default() });
    }

    fn certify(self: &Rc<Self>, owner: Owner) {
        let this = Rc::clone(self);
        spawn_local(async move {
            let made = this.urls.addresses.certify(&this.island()).await;
            this.handle(Input::Certified(owner, made.map_err(|error| error.to_string())));
        });
    }

    fn link(self: &Rc<Self>, link: LinkId, command: LinkCommand) {
        if let LinkCommand::Dial(dial) = command {
            return self.dial(link, dial);
        }
        // Not borrowed any longer when the connection acts.
        let connection = match self.links.borrow_mut().get_mut(&link) {
            Some(Carried::Opening(waiting)) => return waiting.push(command),
            Some(Carried::Open(connection)) => Rc::clone(connection),
            None => return,
        };
        connection.command(command);
    }

    /// A connection that answers at an address waits for its certificate; what is said to it meanwhile waits as well.
    fn dial(self: &Rc<Self>, link: LinkId, dial: Dial) {
        let configuration = rtc::configuration(&dial.stun);
        let Door::Introduced { fingerprint, .. } = dial.door else { return self.open(link, dial, &configuration) };
        self.links.borrow_mut().insert(link, Carried::Opening(Vec::new()));
        let this = Rc::clone(self);
        spawn_local(async move {
            let ready = this.urls.addresses.answer_with(&this.island(), &fingerprint, &configuration).await;
            let carried = this.links.borrow_mut().remove(&link);
            let Some(Carried::Opening(waiting)) = carried else { return };
            match ready {
                Ok(()) => this.open(link, dial, &configuration),
                Err(error) => this.refuse(link, &error),
            }
            waiting.into_iter().for_each(|command| this.link(link, command));
        });
    }

    fn open(self: &Rc<Self>, link: LinkId, dial: Dial, configuration: &RtcConfiguration) {
        let this = Rc::clone(self);
        let on_event = move |event| this.on_link_event(link, event);
        match Connection::open(dial, configuration, self.urls.addresses.clone(), on_event) {
            Ok(connection) => drop(self.links.borrow_mut().insert(link, Carried::Open(connection))),
            Err(error) => self.refuse(link, &error),
        }
    }

    fn refuse(self: &Rc<Self>, link: LinkId, error: &WebError) {
        console::warn_1(&format!("bitters: no connection: {error}").into());
        self.later(Input::Link(link, LinkEvent::Down(DownReason::Platform)));
    }

    fn on_link_event(self: &Rc<Self>, link: LinkId, event: LinkEvent) {
        if matches!(event, LinkEvent::Down(_)) {
            self.links.borrow_mut().remove(&link);
        }
        self.later_or_now(Input::Link(link, event));
    }

    /// Events of a connection may come while an act is performed on it.
    fn later_or_now(self: &Rc<Self>, input: Input) {
        if self.site.is_free() { self.handle(input) } else { self.later(input) }
    }

    /// Inputs that an act causes wait until all acts are done.
    fn later(self: &Rc<Self>, input: Input) {
        let this = Rc::clone(self);
        spawn_local(async move { this.handle(input) });
    }

    fn on_timer(self: &Rc<Self>) {
        self.site.fired();
        self.handle(Input::Timeout);
    }

    /// The page goes away, perhaps into the back/forward cache: there it would keep its locks, those of its workers, and its place
    /// in queues, and others would think it alive.
    fn give_up(&self) {
        if let Some(watch) = self.watch.take() {
            watch.abort();
        }
        self.contenders.take();
        self.seat.take();
        // A page in the cache is thrown out of it when something is announced.
        self.announcer.take();
        self.home.take();
        self.leader.take();
    }

    fn listen(self: &Rc<Self>) -> [EventListener; 6] {
        let window = host::window();
        let document = window.document().expect("a window has a document");
        let tells = |target: &EventTarget, event: &'static str, input: Input| {
            let this = Rc::clone(self);
            EventListener::new(target, event, move |_| this.handle(input.clone()))
        };
        let (shown, hidden) = (Rc::clone(self), Rc::clone(self));
        [
            tells(&document, "freeze", Input::Frozen(true)),
            tells(&document, "resume", Input::Frozen(false)),
            tells(&window, "online", Input::Online),
            EventListener::new(&window, "visibilitychange", move |_| shown.handle(Input::Visible(host::is_visible()))),
            EventListener::new(&window, "pagehide", move |_| {
                hidden.handle(Input::Leaving);
                hidden.give_up();
            }),
            EventListener::new(&window, "pageshow", move |event| {
                let persisted = bitters_web::global::property(event, "persisted");
                if persisted.is_some_and(|persisted| persisted.is_truthy()) {
                    // It was given up when it went; it comes back as a new incarnation.
                    spawn_local(reload());
                }
            }),
        ]
    }
}

/// Loads this document anew. The browser may drop that, as any navigation of a page that it is just bringing back: as long as this runs, it is
/// asked for again, each time after twice as long, for the new document may be slow to come.
async fn reload() {
    clock::sleep(THAW).await;
    let mut pause = RELOAD;
    loop {
        drop(host::window().location().reload());
        clock::sleep(pause).await;
        pause *= 2;
    }
}

impl std::fmt::Debug for Shell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shell").field("frame", &self.frame).finish_non_exhaustive()
    }
}
