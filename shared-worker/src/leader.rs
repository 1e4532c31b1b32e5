//! The loop around the machine: facts in, acts out. It has no opinions.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use bitters_machine::{map::Map, time::Instant};
use bitters_node::{Input, Node, Output, UplinkCommand, UplinkEvent};
use bitters_web::{
    clock,
    driver::Driver,
    island::Island,
    lock::{self, Fate, Held},
    pipe::Pipe,
};
use bitters_wire::{
    announce::{Announcement, LeaderKind, frame_channel, frame_lock},
    codec,
    id::{Boot, Epoch, FrameId},
    limits::MAX_LOCAL,
    local::{Envelope, ToFrame, ToLeader},
};
use futures::future::{AbortHandle, abortable};
use wasm_bindgen_futures::spawn_local;
use web_sys::MessagePort;

use crate::{
    guests::{GuestId, Guests},
    service::{self, Call},
    store::Store,
    uplink::Uplink,
};

/// What a leadership is known by.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The leadership.
    pub epoch: Epoch,
    /// The worker's boot.
    pub boot: Boot,
    /// What leads.
    pub kind: LeaderKind,
    /// Its build.
    pub build: String,
    /// The URL of its worker.
    pub worker: String,
    /// The name of its worker.
    pub name: String,
}

impl Standing {
    fn announcement(&self, heard: Option<FrameId>) -> Announcement {
        let Self { epoch, boot, kind, build, worker, name } = self.clone();
        Announcement::LeaderUp { epoch, boot, build, worker, name, kind, heard }
    }
}

/// A frame that speaks to the leadership before us, or to another, is told of ours; many frames do that at once.
const REMINDER_PACE: Duration = Duration::from_millis(250);

/// The leader's shell.
pub struct Leader {
    node: Driver<Node>,
    standing: Standing,
    island: Island,
    store: Store,
    life: RefCell<Option<Held>>,
    announce: Box<dyn Fn(&Announcement)>,
    /// Ends the worker.
    end: Box<dyn Fn()>,
    reminded: Cell<Option<Instant>>,
    guests: RefCell<Guests>,
    uplink: RefCell<Option<Uplink>>,
    running: RefCell<Map<(FrameId, u32), AbortHandle>>,
}

impl Leader {
    /// Starts to lead. `life` is held as long as it does; `end` is called when it doesn't want to any more.
    pub fn new(
        node: Node,
        standing: Standing,
        life: Held,
        island: Island,
        store: Store,
        announce: impl Fn(&Announcement) + 'static,
        end: impl Fn() + 'static,
    ) -> Rc<Self> {
        let leader = Rc::new(Self {
            node: Driver::new(node),
            standing,
            island,
            store,
            life: RefCell::new(Some(life)),
            announce: Box::new(announce),
            end: Box::new(end),
            reminded: Cell::default(),
            guests: RefCell::default(),
            uplink: RefCell::default(),
            running: RefCell::default(),
        });
        let this = Rc::downgrade(&leader);
        leader.node.wake_by(move || {
            if let Some(leader) = this.upgrade() {
                leader.on_timer();
            }
        });
        leader.handle(Input::WallClock(clock::unix_ms()));
        leader
    }

    /// Announces the leadership; `heard` is whose announcement that answers.
    pub fn announce(&self, heard: Option<FrameId>) {
        (self.announce)(&self.standing.announcement(heard));
    }

    /// Another context announced something. Whoever asks is answered: a leader that says a word isn't replaced.
    pub fn on_announcement(self: &Rc<Self>, announcement: &Announcement) {
        match announcement {
            Announcement::Candidate { build } => {
                self.announce(None);
                self.handle(Input::Candidate { build: build.clone() });
            }
            Announcement::FrameUp { frame, channel } => {
                if *channel && !self.guests.borrow().knows(*frame) {
                    self.open_channel(*frame);
                }
                self.announce(Some(*frame));
            }
            Announcement::Granted => {}
            Announcement::LeaderUp { epoch, boot, .. } => self.handle(Input::LeaderUp(*epoch, *boot)),
        }
    }

    /// Closes the ways to the frames and to the rendezvous, stops what runs, and gives the life lock back.
    pub fn close(&self) {
        self.guests.take();
        self.uplink.take();
        self.running.take().into_values().for_each(|running| running.abort());
        self.node.rest();
        self.life.take();
    }

    /// A frame came in by its port.
    pub fn on_port(self: &Rc<Self>, port: MessagePort) {
        let id = self.guests.borrow_mut().name();
        let pipe = Pipe::over_port(port, self.hears(id));
        self.guests.borrow_mut().enter(id, pipe);
    }

    fn open_channel(self: &Rc<Self>, frame: FrameId) {
        let id = self.guests.borrow_mut().name();
        match self.island.channel(&frame_channel(frame)) {
            Ok(channel) => {
                let pipe = Pipe::over_channel(channel, self.hears(id));
                let mut guests = self.guests.borrow_mut();
                guests.enter(id, pipe);
                // Known from now on, or a second announcement would open the channel twice.
                guests.introduce(id, frame);
            }
            Err(error) => self.handle(Input::Warning(error.to_string())),
        }
    }

    fn hears(self: &Rc<Self>, id: GuestId) -> impl FnMut(Vec<u8>) + 'static {
        let this = Rc::downgrade(self);
        move |bytes| {
            if let Some(leader) = this.upgrade() {
                leader.on_bytes(id, &bytes);
            }
        }
    }

    fn on_bytes(self: &Rc<Self>, id: GuestId, bytes: &[u8]) {
        let Ok(envelope) = codec::decode::<Envelope<ToLeader>>(bytes, MAX_LOCAL) else {
            return self.guests.borrow_mut().nonsense(id);
        };
        if let ToLeader::Hello(hello) = &envelope.message {
            self.guests.borrow_mut().introduce(id, hello.frame);
        } else if (envelope.epoch, envelope.boot) != (self.standing.epoch, self.standing.boot) {
            return self.remind(); // Meant for another leader; the frame registers again when it hears of us.
        }
        let frame = self.guests.borrow().frame(id);
        if let Some(frame) = frame {
            self.handle(Input::Frame(frame, envelope.message));
        }
    }

    fn remind(&self) {
        let now = clock::now();
        if self.reminded.get().is_none_or(|at| now.since(at) >= REMINDER_PACE) {
            self.reminded.set(Some(now));
            self.announce(None);
        }
    }

    fn on_timer(self: &Rc<Self>) {
        self.node.fired();
        self.handle(Input::WallClock(clock::unix_ms()));
        self.handle(Input::Timeout);
    }

    fn handle(self: &Rc<Self>, input: Input) {
        if self.life.borrow().is_none() {
            return; // It doesn't lead any longer.
        }
        self.node.handle_input(input, |output| self.perform(output));
    }

    fn perform(self: &Rc<Self>, output: Output) {
        match output {
            Output::ForgetFrame(frame) => self.guests.borrow_mut().forget(frame),
            Output::ForgetSeed(seed) => {
                let store = self.store.clone();
                self.spawn(async move { store.forget_seed(seed).await.err().map(Input::Warning) });
            }
            Output::ForgetSite(origin) => {
                let store = self.store.clone();
                self.spawn(async move { store.forget_site(&origin).await.err().map(Input::Warning) });
            }
            Output::Frame(frame, message) => self.send(frame, message),
            Output::HandOver => (self.end)(),
            Output::SaveCertificate(owner, certificate) => {
                let store = self.store.clone();
                let saving = async move { store.save_certificate(owner, certificate).await.err().map(Input::Warning) };
                self.spawn(saving);
            }
            Output::SaveSeed(seed) => {
                let store = self.store.clone();
                self.spawn(async move { store.save_seed(seed).await.err().map(Input::Warning) });
            }
            Output::SaveSite(site) => {
                let store = self.store.clone();
                self.spawn(async move { store.save_site(site).await.err().map(Input::Warning) });
            }
            Output::Service { frame, request, origin, persona, permissions, name, method, args } => {
                self.serve(frame, request, name, Call::new(origin, persona, permissions, method, args));
            }
            Output::ServiceCancel { frame, request } => {
                if let Some(running) = self.running.borrow_mut().remove(&(frame, request)) {
                    running.abort();
                }
            }
            Output::Uplink(command) => self.uplink(command),
            Output::WatchFrame(frame) => {
                let locks = self.island.locks().clone();
                self.spawn(async move {
                    Some(match lock::fate(&locks, &frame_lock(frame)).await {
                        Ok(Fate::Gone) => Input::FrameGone(frame),
                        Ok(Fate::Unseen) => Input::FrameUnseen(frame),
                        Err(error) => Input::Warning(error.to_string()),
                    })
                });
            }
        }
    }

    fn send(&self, frame: FrameId, message: ToFrame) {
        let envelope = Envelope { epoch: self.standing.epoch, boot: self.standing.boot, message };
        self.guests.borrow().send(frame, &codec::encode(&envelope));
    }

    fn serve(self: &Rc<Self>, frame: FrameId, request: u32, name: bitters_wire::name::Name, call: Call) {
        let this = Rc::clone(self);
        let (run, handle) = abortable(async move {
            service::run(&name, call, |reply| this.handle(Input::ServiceReply { frame, request, reply })).await;
            this.running.borrow_mut().remove(&(frame, request));
        });
        self.running.borrow_mut().insert((frame, request), handle);
        spawn_local(async move { run.await.unwrap_or_default() });
    }

    fn uplink(self: &Rc<Self>, command: UplinkCommand) {
        match command {
            UplinkCommand::Close => {
                let open = self.uplink.borrow_mut().take();
                if open.is_some() {
                    self.later(Input::Uplink(UplinkEvent::Closed));
                }
            }
            UplinkCommand::Connect(url) => {
                let this = Rc::downgrade(self);
                let uplink = Uplink::open(&url, move |event| {
                    if let Some(leader) = this.upgrade() {
                        leader.handle(Input::Uplink(event));
                    }
                });
                if uplink.is_none() {
                    self.later(Input::Uplink(UplinkEvent::Closed));
                }
                *self.uplink.borrow_mut() = uplink;
            }
            UplinkCommand::Send(message) => {
                if let Some(uplink) = &*self.uplink.borrow() {
                    uplink.send(&message);
                }
            }
        }
    }

    /// Inputs that an act causes wait until all acts are done.
    fn later(self: &Rc<Self>, input: Input) {
        self.spawn(async move { Some(input) });
    }

    fn spawn(self: &Rc<Self>, work: impl Future<Output = Option<Input>> + 'static) {
        let this = Rc::clone(self);
        spawn_local(async move {
            if let Some(input) = work.await {
                this.handle(input);
            }
        });
    }
}

impl std::fmt::Debug for Leader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leader").field("standing", &self.standing).finish_non_exhaustive()
    }
}
