//! From one island into another: the machine goes on, with its sessions; what belonged to the island is left behind.

use std::rc::Rc;

use bitters_frame_core::site::Input;
use bitters_web::{
    announcer::Announcer,
    error::WebError,
    island::Island,
    lock::{self, Held, How},
};
use bitters_wire::{announce::frame_lock, local::LinkCommand};
use wasm_bindgen_futures::spawn_local;

use super::{Carried, Shell};
use crate::host;

impl Shell {
    pub(super) fn island(&self) -> Island {
        self.island.borrow().clone()
    }

    /// Listens to what is announced in the island.
    pub(super) fn open_announcer(self: &Rc<Self>) -> Result<(), WebError> {
        let this = Rc::clone(self);
        let announcer = Announcer::open(&self.island(), move |heard| this.handle(Input::Announced(heard)))?;
        self.announcer.replace(Some(announcer));
        Ok(())
    }

    /// Into the island that the browser granted, or that a page of the node's own gave a bridge to.
    pub(super) fn enter(self: &Rc<Self>) {
        if let Some(island) = self.consent.take_island() {
            self.go(island);
        }
    }

    /// Back into the island of the site.
    pub(super) fn go_back(self: &Rc<Self>) {
        match Island::own(host::is_top_level()) {
            Ok(island) => self.go(island),
            Err(error) => self.page.show_failure(&error.to_string()),
        }
    }

    fn go(self: &Rc<Self>, island: Island) {
        let this = Rc::clone(self);
        spawn_local(async move {
            let moved = match this.seat_in(&island).await {
                Ok(seat) => {
                    this.leave();
                    this.arrive(island, seat)
                }
                Err(error) => Err(error),
            };
            if let Err(error) = moved {
                this.page.show_failure(&error.to_string());
            }
        });
    }

    /// As ever, the lock is held before anyone there hears of the frame. A bridge leaves the frame in its own partition, with the lock
    /// that it holds there. Where the lock is taken, it is by this very frame: a site of the node's own site has one partition only.
    async fn seat_in(&self, island: &Island) -> Result<Held, WebError> {
        let stays = island.is_remote() || self.island.borrow().is_remote();
        let held = if stays { self.seat.take() } else { None };
        match held {
            Some(held) => Ok(held),
            None => match lock::acquire(island.locks(), &frame_lock(self.frame), How::Free).await {
                Ok(held) => Ok(held),
                Err(error) => self.seat.take().ok_or(error),
            },
        }
    }

    /// Links are of the node whose leader this was.
    fn leave(&self) {
        for carried in self.links.take().into_values() {
            if let Carried::Open(connection) = carried {
                connection.command(LinkCommand::HangUp);
            }
        }
        self.give_up();
        self.candidate.take();
        // No way that is still being opened is wanted.
        self.lines.set(self.lines.get() + 1);
    }

    fn arrive(self: &Rc<Self>, island: Island, seat: Held) -> Result<(), WebError> {
        let (scope, remote) = (island.scope(), island.is_remote());
        let home = self.island.replace(island);
        self.seat.replace(Some(seat));
        self.open_announcer()?;
        if remote {
            let this = Rc::clone(self);
            let announcer = Announcer::open(&home, move |heard| this.handle(Input::AnnouncedAtHome(heard)))?;
            self.home.replace(Some(announcer));
        }
        self.handle(Input::Island { scope, remote });
        Ok(())
    }
}
