//! What comes in datagrams: the part of the machine that runs for every packet, and so allocates nothing for those it passes on.

use bitters_machine::time::Instant;
use bitters_peercon::{Credentials, packed::Packed};
use bitters_wire::address::Token;

use super::{
    Admission, Dropped, End, Ended, Limits, Outgoing, Passage, Path, Phase, Proxy, Route,
    passage::Passing,
    side::{Asked, Cargo},
    stun,
    stun::{Again, Kind, MAX_STUN, Stun},
};
use crate::source::Source;

/// A datagram on its way through the machine.
#[derive(Clone, Copy)]
struct Came<'a> {
    path: Path,
    bytes: &'a [u8],
    now: Instant,
}

impl Proxy {
    /// Takes in a datagram. What is to be sent is added to `out`; what is to be told, if anything, comes out of
    /// [`poll_output`](Self::poll_output).
    pub fn handle_datagram(&mut self, path: Path, bytes: &[u8], now: Instant, out: &mut Outgoing) {
        let came = Came { path, bytes, now };
        // RFC 7983, section 7.
        let done = match bytes.first() {
            Some(0..=3) => self.on_stun(came, out),
            Some(20..=63) => self.on_data(came, out),
            _ => Err(Dropped::Strange),
        };
        if let Err(reason) = done {
            self.counts.count_dropped(reason);
        }
    }

    fn on_data(&mut self, came: Came, out: &mut Outgoing) -> Result<(), Dropped> {
        let Came { path, bytes, now } = came;
        let &(id, end) = self.paths.get(&path).ok_or(Dropped::UnknownPath)?;
        let passage = self.passages.get_mut(&id).expect("a path is a passage's");
        passage.hear(end, path, bytes.len(), now, out);
        passage.side(end).speaks(path);
        if let Err(reason) = self.limits.charge(&self.config, passage, path, bytes.len(), now) {
            return self.uncharged(id, reason, now);
        }
        let leg = passage.side(end.other()).current(bytes.len()).ok_or(Dropped::Nowhere)?;
        leg.send(bytes, Cargo::Other, out)?;
        self.counts.passed(end.other(), bytes.len());
        Ok(())
    }

    fn on_stun(&mut self, came: Came, out: &mut Outgoing) -> Result<(), Dropped> {
        let stun = Stun::read(came.bytes)?;
        match stun.kind {
            Kind::Plain => self.on_binding(came, &stun, out),
            Kind::Request(name) => match self.names.get(name) {
                Some(&route) => self.on_check(came, route, &stun, out),
                None => self.on_dial(came, name, &stun, out),
            },
            Kind::Response => self.on_response(came, &stun, out),
        }
    }

    /// Browsers ask with 20 bytes and are answered with 32 or 44, so they are answered the second or third time they ask, a fraction
    /// of a second later. Whoever asks with more, padded, is answered at once.
    fn on_binding(&mut self, came: Came, request: &Stun, out: &mut Outgoing) -> Result<(), Dropped> {
        let Came { path, bytes, now } = came;
        let Limits { bindings, credits, .. } = &mut self.limits;
        if !bindings.take(path.source(), 1, self.config.bindings, now) {
            return Err(Dropped::Rate);
        }
        let mut buffer = [0; MAX_STUN];
        let answer = stun::binding(request, path.peer, &mut buffer);
        if !credits.exchange(path.peer, bytes.len(), answer.len()) {
            return Err(Dropped::Unverified);
        }
        out.push(path, answer);
        self.counts.bindings += 1;
        Ok(())
    }

    /// A check that nobody is known by: a new dial, or nothing.
    fn on_dial(&mut self, came: Came, name: &str, stun: &Stun, out: &mut Outgoing) -> Result<(), Dropped> {
        let Came { path, bytes, now } = came;
        let (remote, dialler) = name.split_once(':').ok_or(Dropped::UnknownUsername)?;
        let Packed { token, .. } = Packed::from_ufrag(remote).map_err(|_| Dropped::UnknownUsername)?;
        if !Credentials::is_ufrag(dialler) {
            return Err(Dropped::UnknownUsername);
        }
        if !self.listeners.contains_key(&token) {
            return Err(Dropped::UnknownToken);
        }
        if !stun.is_by(&self.public) {
            return Err(Dropped::Forged);
        }
        if self.known.contains(remote) {
            return Err(Dropped::Ghost);
        }
        if self.paths.contains_key(&path) {
            return Err(Dropped::Taken);
        }
        self.admit(token, path.source(), now)?;
        let id = self.draw_number();
        let mut passage = Passage::new(token, (remote, dialler), (path, bytes), now + self.config.pending_time, now);
        passage.hear(End::Dialler, path, bytes.len(), now, out);
        self.pending.insert(token, path.source(), (now, id));
        self.room.insert(id, path.source());
        self.known.insert(remote.into());
        self.names.insert(name.into(), Route { passage: id, end: End::Dialler, restarted: false });
        self.paths.insert(path, (id, End::Dialler));
        self.wakes.insert((passage.wake, id));
        self.passages.insert(id, passage);
        self.counts.dialled += 1;
        self.tell_some(token, now);
        Ok(())
    }

    /// Whether there is room and time for another dial. One that has waited for longer may give way to it.
    fn admit(&mut self, token: Token, source: Source, now: Instant) -> Result<(), Dropped> {
        let admission = self.room.admission(source, &self.config);
        if admission == Admission::No || self.pending.refuses(token, source, &self.config) {
            return Err(Dropped::Full);
        }
        let of_listener = (self.config.listener_source_dials, self.config.listener_dials);
        let listener = self.listeners.get_mut(&token).expect("its name was looked up");
        let within = self.limits.dials.take(source, 1, self.config.dials, now)
            && self.limits.listener_dials.take_of(token, source, 1, of_listener, now)
            && listener.dials.take(1, self.config.listener_dials, now);
        if !within {
            return Err(Dropped::Rate);
        }
        let has_progress = |id| self.passages.get(&id).is_some_and(|passage| passage.keys.is_some());
        let pending = self.pending.gives_way(token, &self.config, has_progress);
        let relayed = match admission {
            // What waits gives room enough.
            Admission::InsteadOf(id) if pending.is_none() => Some(id),
            _ => None,
        };
        for id in pending.into_iter().chain(relayed) {
            self.end(id, Ended::GaveWay, now);
        }
        Ok(())
    }

    /// A check with a passage's username.
    fn on_check(&mut self, came: Came, route: Route, stun: &Stun, out: &mut Outgoing) -> Result<(), Dropped> {
        let Came { path, bytes, now } = came;
        let Route { passage: id, end, restarted } = route;
        let passage = self.passages.get_mut(&id).expect("a name is a passage's");
        if !passage.key_from(end, restarted, &self.public).is_some_and(|key| stun.is_by(key)) {
            return Err(Dropped::Forged);
        }
        self.join(id, end, path, now)?;
        let passage = self.passages.get_mut(&id).expect("it was looked up above");
        passage.hear(end, path, bytes.len(), now, out);
        if restarted == passage.phase.restart().is_some() {
            passage.side(end).leg(path).expect("it joined").refresh();
        }
        if !matches!(passage.phase, Phase::Pending { .. }) {
            return self.pass_check(came, route, stun, out);
        }
        if end == End::Dialler {
            passage.keep(path, bytes);
            return Ok(());
        }
        let (path, bytes) = self.open(id, now);
        let waited = Stun::read(&bytes).expect("it was read when it came");
        let route_waited = Route { end: End::Dialler, ..route };
        // The dialler's goes first: its answer proves the listener's address.
        let passed = self.pass_check(Came { path, bytes: &bytes, now }, route_waited, &waited, out);
        passed.and(self.pass_check(came, route, stun, out))
    }

    /// Takes a five-tuple for a passage's side, unless another has it.
    fn join(&mut self, id: u64, end: End, path: Path, now: Instant) -> Result<(), Dropped> {
        match self.paths.get(&path) {
            Some(&theirs) if theirs == (id, end) => return Ok(()),
            Some(_) => return Err(Dropped::Taken),
            None => {}
        }
        let passage = self.passages.get_mut(&id).expect("it was looked up by its check's name");
        if let Some(gone) = passage.side(end).add(path, now) {
            self.paths.remove(&gone);
        }
        self.paths.insert(path, (id, end));
        Ok(())
    }

    fn pass_check(&mut self, came: Came, route: Route, stun: &Stun, out: &mut Outgoing) -> Result<(), Dropped> {
        let Came { path, bytes, now } = came;
        let Route { passage: id, end, restarted } = route;
        let passage = self.passages.get_mut(&id).expect("a route is a passage's");
        if let Err(reason) = self.limits.charge(&self.config, passage, path, bytes.len(), now) {
            return self.uncharged(id, reason, now);
        }
        let (asking, asked, keys) = passage.parts(end, restarted);
        let Passing { renamed, rekey, .. } = keys.ok_or(Dropped::Nowhere)?.from(end);
        let leg = asked.asked_at(path.peer).ok_or(Dropped::Nowhere)?;
        let theirs = stun.transaction();
        let ours = asking.repeated(theirs, path, leg.path).unwrap_or_else(|| self.transactions.bytes());
        let mut buffer = [0; MAX_STUN];
        let as_ours = |lean| Again { transaction: ours, username: Some(renamed), key: rekey, lean };
        let whole = stun.write_again(&as_ours(false), &mut buffer).ok_or(Dropped::Malformed)?.len();
        let passed = if leg.takes(whole) {
            &buffer[..whole]
        } else {
            stun.write_again(&as_ours(true), &mut buffer).ok_or(Dropped::Malformed)?
        };
        let cargo = Cargo::Check(Asked::new((theirs, ours), path, leg.path, restarted));
        if let Some(sent) = leg.send(passed, cargo, out)? {
            asking.asks(sent);
        }
        self.counts.passed(end.other(), passed.len());
        Ok(())
    }

    fn on_response(&mut self, came: Came, stun: &Stun, out: &mut Outgoing) -> Result<(), Dropped> {
        let Came { path, bytes, now } = came;
        let &(id, end) = self.paths.get(&path).ok_or(Dropped::UnknownPath)?;
        let passage = self.passages.get_mut(&id).expect("a path is a passage's");
        let asked = passage.side(end.other()).asked(stun.transaction(), path)?;
        let Asked { theirs, from: asker, restarted, .. } = *asked;
        let (here, there, keys) = passage.parts(end, restarted);
        let Passing { key, rekey, .. } = keys.ok_or(Dropped::Unasked)?.from(end.other());
        if !stun.is_by(rekey) {
            return Err(Dropped::Forged);
        }
        there.asked(stun.transaction(), path)?.answered();
        let mut buffer = [0; MAX_STUN];
        let again = Again { transaction: theirs, username: None, key, lean: false };
        let passed = stun.write_again(&again, &mut buffer).ok_or(Dropped::Malformed)?;
        if let Some(sent) = here.leg(path).expect("a path is a leg's").verify(out) {
            there.asks(sent);
        }
        passage.hear(end, path, bytes.len(), now, out);
        if let Err(reason) = self.limits.charge(&self.config, passage, path, bytes.len(), now) {
            return self.uncharged(id, reason, now);
        }
        let leg = passage.side(end.other()).leg(asker).ok_or(Dropped::Nowhere)?;
        leg.send(passed, Cargo::Other, out)?;
        self.counts.passed(end.other(), passed.len());
        Ok(())
    }

    /// What can't be paid for isn't passed on; a passage that has nothing left is over.
    fn uncharged(&mut self, id: u64, reason: Dropped, now: Instant) -> Result<(), Dropped> {
        if reason == Dropped::Spent {
            self.end(id, Ended::Spent, now);
        }
        Err(reason)
    }
}
