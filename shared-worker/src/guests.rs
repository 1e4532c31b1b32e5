//! The ways to the frames: who came in by which port.

use bitters_machine::map::Map;
use bitters_web::pipe::Pipe;
use bitters_wire::id::FrameId;

/// One way in, numbered as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GuestId(u32);

/// All ways in. A guest becomes a frame by its hello.
#[derive(Debug, Default)]
pub struct Guests {
    next: u32,
    guests: Map<GuestId, Guest>,
    frames: Map<FrameId, GuestId>,
}

#[derive(Debug)]
struct Guest {
    pipe: Pipe,
    frame: Option<FrameId>,
    nonsense: u32,
}

/// A guest of our own code never says anything undecodable; a few may come from a build that is being replaced.
const MAX_NONSENSE: u32 = 16;

impl Guests {
    /// A name for a guest that is about to come in.
    pub const fn name(&mut self) -> GuestId {
        self.next += 1;
        GuestId(self.next)
    }

    /// Lets a guest in.
    pub fn enter(&mut self, id: GuestId, pipe: Pipe) {
        self.guests.insert(id, Guest { pipe, frame: None, nonsense: 0 });
    }

    /// The frame that the guest introduced itself as.
    pub fn frame(&self, id: GuestId) -> Option<FrameId> {
        self.guests.get(&id)?.frame
    }

    /// The guest said who it is. If that frame came in another way before, that way is closed.
    pub fn introduce(&mut self, id: GuestId, frame: FrameId) {
        let Some(guest) = self.guests.get_mut(&id) else { return };
        if let Some(before) = guest.frame.replace(frame).filter(|before| *before != frame) {
            self.frames.remove(&before);
        }
        if let Some(other) = self.frames.insert(frame, id).filter(|other| *other != id) {
            self.guests.remove(&other);
        }
    }

    /// The guest said something undecodable. Too much of that, and it is shown out.
    pub fn nonsense(&mut self, id: GuestId) {
        let Some(guest) = self.guests.get_mut(&id) else { return };
        guest.nonsense += 1;
        if guest.nonsense > MAX_NONSENSE
            && let Some(guest) = self.guests.remove(&id)
            && let Some(frame) = guest.frame
        {
            self.frames.remove(&frame);
        }
    }

    /// Whether a frame came in.
    pub fn knows(&self, frame: FrameId) -> bool {
        self.frames.contains_key(&frame)
    }

    /// Sends to a frame; one that is gone loses nothing.
    pub fn send(&self, frame: FrameId, bytes: &[u8]) {
        if let Some(guest) = self.frames.get(&frame).and_then(|id| self.guests.get(id)) {
            drop(guest.pipe.send(bytes));
        }
    }

    /// Closes the way to a frame.
    pub fn forget(&mut self, frame: FrameId) {
        if let Some(id) = self.frames.remove(&frame) {
            self.guests.remove(&id);
        }
    }
}
