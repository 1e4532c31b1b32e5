//! Two machines, two simulated browsers and the ways between them, on simulated time.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use bitters_machine::{Machine, time::Instant};
use bitters_wire::{address::Token, id::PersonaId, keys::PersonaSecret, local::Door, rendezvous::IceEnds};
use fastrand::Rng;

use super::address::PROXY;
use crate::{
    Config, Input, Output, Peercon,
    packed::{PASSWORD, Packed},
    paths::proxy_candidates,
    sdp::{self, Setup},
    signal::Signal,
};

pub struct World {
    ends: [End; 2],
    now: Instant,
    rng: Rng,
    /// Inputs under way; the counter keeps equal times in sending order.
    in_flight: BTreeMap<(Instant, usize), (usize, Event)>,
    sent: usize,
    connected: bool,
    /// The two are at a proxy, where 0 dials an address of 1's.
    proxy: Option<Proxy>,
    pub trace: Vec<(Instant, usize, Output)>,
}

/// The server between them, and what the network allows.
#[derive(Clone, Copy, Debug, Default)]
struct Proxy {
    /// The listener told its credentials.
    answered: bool,
    /// When a direct path works; never, if none does.
    direct_at: Option<Instant>,
    /// Since when a restart finds one; never, if none does.
    direct_from: Option<Instant>,
    /// It forwards for the new username fragments.
    forwards: bool,
}

/// One end: its machine, its key and what its browser knows.
struct End {
    peercon: Peercon,
    secret: PersonaSecret,
    offer: String,
    remote: Option<Setup>,
    /// How many descriptions of the other were set.
    answers: usize,
    /// ICE made it the controlled one, and its browser answers when ICE is restarted.
    is_controlled: bool,
    /// The browser knows a place where the other can be reached.
    reaches_peer: bool,
    /// When the last message on each channel arrives; order is kept.
    control_at: Instant,
    data_at: Instant,
}

#[derive(Clone, Debug)]
enum Event {
    Input(Input),
    /// The application has something to say.
    Send(Vec<u8>),
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let ends =
            [0, 1].map(|me| End::new(me, offer(&mut rng), Some(secret(1 - me).id()), (Door::Signals, true), &mut rng));
        Self::of(ends, None, rng)
    }

    /// 0 dials an address of 1's, with a direct path between them or without. Each is willing to be shown or not.
    pub fn at_proxy(seed: u64, has_direct: bool, willing: [bool; 2]) -> Self {
        let mut rng = Rng::with_seed(seed);
        let offers = [offer(&mut rng), offer(&mut rng)];
        let fingerprint = sdp::read_offer(&offers[1]).unwrap().fingerprint;
        let doors = [
            Door::Address { fingerprint, token: Token([7; 6]), proxies: vec![PROXY], proof: None },
            Door::Introduced { fingerprint, proxies: vec![PROXY] },
        ];
        let [dialler, listener] = offers;
        let [address, introduced] = doors;
        let ends = [
            End::new(0, dialler, None, (address, willing[0]), &mut rng),
            End::new(1, listener, None, (introduced, willing[1]), &mut rng),
        ];
        let direct_from = has_direct.then_some(Instant::START);
        Self::of(ends, Some(Proxy { direct_from, ..Proxy::default() }), rng)
    }

    fn of(ends: [End; 2], proxy: Option<Proxy>, rng: Rng) -> Self {
        let (now, in_flight, trace) = (Instant::START, BTreeMap::new(), Vec::new());
        let mut world = Self { ends, now, rng, in_flight, sent: 0, connected: false, proxy, trace };
        // Not every browser answers.
        if let Some(end) = world.ends.get_mut(world.rng.usize(0..3)) {
            end.is_controlled = true;
        }
        for me in [0, 1] {
            world.gather(me);
        }
        world
    }

    /// Has `me` send a message at `at`, connected or not.
    pub fn send_at(&mut self, me: usize, message: Vec<u8>, at: Instant) {
        self.schedule(me, Event::Send(message), at);
    }

    /// Has `me` hang up.
    pub fn hang_up_at(&mut self, me: usize, at: Instant) {
        self.schedule(me, Event::Input(Input::HangUp), at);
    }

    /// Has `me` be willing to be shown.
    pub fn go_direct_at(&mut self, me: usize, at: Instant) {
        self.schedule(me, Event::Input(Input::GoDirect), at);
    }

    /// Has `me` look for a better path.
    pub fn restart_at(&mut self, me: usize, at: Instant) {
        self.schedule(me, Event::Input(Input::Restart), at);
    }

    /// There is a direct path from then on. A restart before that finds none.
    pub fn direct_from(&mut self, at: Instant) {
        self.proxy.as_mut().expect("they are at a proxy").direct_from = Some(at);
    }

    /// Has both browsers say that they answer, as where one of them hasn't learned yet that it is the controlling end.
    pub fn control_both(&mut self) {
        for end in &mut self.ends {
            end.is_controlled = true;
        }
    }

    /// Which of the two answers.
    pub fn controlled(&self) -> [bool; 2] {
        self.ends.each_ref().map(|end| end.is_controlled)
    }

    /// How many descriptions of the other `me` was given.
    pub const fn answers(&self, me: usize) -> usize {
        self.ends[me].answers
    }

    /// Lets things happen until `end`.
    pub fn run_until(&mut self, end: Instant) {
        while let Some(next) = self.next_time().filter(|at| *at <= end) {
            self.now = self.now.max(next);
            match self.in_flight.first_entry() {
                Some(first) if first.key().0 <= self.now => {
                    let (me, event) = first.remove();
                    self.happen(me, event);
                }
                _ => self.time_out(),
            }
        }
    }

    /// Everything that `me` did.
    pub fn outputs(&self, me: usize) -> impl Iterator<Item = &Output> {
        self.trace.iter().filter(move |(_, who, _)| *who == me).map(|(_, _, output)| output)
    }

    fn next_time(&self) -> Option<Instant> {
        let arrival = self.in_flight.keys().next().map(|(at, _)| *at);
        let timeouts = self.ends.iter().filter_map(|end| end.peercon.poll_timeout());
        arrival.into_iter().chain(timeouts).min()
    }

    fn time_out(&mut self) {
        for me in [0, 1] {
            if self.ends[me].peercon.poll_timeout().is_some_and(|at| at <= self.now) {
                self.happen(me, Event::Input(Input::Timeout));
            }
        }
    }

    /// A browser makes its offer, then finds candidates, some of them late, and says when there are no more.
    fn gather(&mut self, me: usize) {
        let described = self.now + self.ms(1..20);
        let offer = self.ends[me].offer.clone();
        self.schedule(me, Event::Input(Input::LocalDescription(offer)), described);
        let mut last = described;
        for number in 1..=self.rng.u16(1..5) {
            let text = format!("candidate:9 1 udp 1 192.0.2.{} {} typ host", me + 1, 5000 + number);
            let at = described + self.ms(0..200);
            last = last.max(at);
            self.schedule(me, Event::Input(Input::LocalCandidate(text)), at);
        }
        let done = last + self.ms(0..100);
        self.schedule(me, Event::Input(Input::GatheringDone), done);
    }

    fn happen(&mut self, me: usize, event: Event) {
        let peercon = &mut self.ends[me].peercon;
        match event {
            Event::Input(input) => peercon.handle_input(input, self.now),
            Event::Send(message) => peercon.send(&message),
        }
        while let Some(output) = self.ends[me].peercon.poll_output() {
            self.trace.push((self.now, me, output.clone()));
            self.perform(me, output);
        }
    }

    fn perform(&mut self, me: usize, output: Output) {
        let other = 1 - me;
        match output {
            Output::AddCandidate(_) => self.ends[me].reaches_peer = true,
            Output::Answer(offer) => {
                assert!(offer.contains("a=setup:actpass\r\n"), "the other end leaves it to us, who know");
                self.set_remote(me, &offer);
                self.describe_anew(me);
            }
            Output::Down(_) => {
                // The other browser notices late.
                let at = self.now + Duration::from_secs(15);
                self.schedule(other, Event::Input(Input::ConnectionFailed), at);
            }
            Output::SendControl(bytes) => {
                let at = (self.now + self.ms(1..80)).max(self.ends[other].control_at);
                self.ends[other].control_at = at;
                self.schedule(other, Event::Input(Input::Control(bytes)), at);
            }
            Output::SendData(part) => {
                let at = (self.now + self.ms(1..80)).max(self.ends[other].data_at);
                self.ends[other].data_at = at;
                self.schedule(other, Event::Input(Input::Data(part)), at);
            }
            Output::SetRemoteDescription(answer) => self.set_remote(me, &answer),
            Output::Sign { text, .. } => {
                let signature = self.ends[me].secret.sign(&text.to_bytes());
                let at = self.now + self.ms(0..60);
                self.schedule(me, Event::Input(Input::Signed(signature)), at);
            }
            Output::Forward(ends) => self.forward(me, ends),
            Output::FindPath => {
                let selected = self.selected();
                let at = self.now + self.ms(1..20);
                self.schedule(me, Event::Input(Input::Selected(Some(selected))), at);
            }
            Output::Signal(blob) if self.proxy.is_some() => self.answer(&blob),
            Output::Signal(blob) => {
                for _ in 0..self.rng.u8(1..4) {
                    let at = self.now + self.ms(5..300);
                    self.schedule(other, Event::Input(Input::Signal(blob.clone())), at);
                }
            }
            Output::Restart { may_answer: true } if self.ends[me].is_controlled => {
                let at = self.now + self.ms(1..20);
                self.schedule(me, Event::Input(Input::Controlled), at);
            }
            Output::Restart { .. } => self.describe_anew(me),
            Output::Negotiated(_) | Output::Path(_) | Output::Received(_) | Output::RoundTrip(_) | Output::Up(_) => {}
        }
        self.connect();
    }

    fn describe_anew(&mut self, me: usize) {
        self.ends[me].offer = offer_anew(&self.ends[me].offer, &mut self.rng);
        self.gather(me);
    }

    /// The far end of the path in use: direct, some time after both have set their new descriptions.
    fn selected(&self) -> SocketAddr {
        let direct = self.proxy.and_then(|it| it.direct_at).is_some_and(|at| at <= self.now);
        if direct { "192.0.2.1:5001".parse().unwrap() } else { PROXY }
    }

    fn forward(&mut self, me: usize, ends: Option<IceEnds>) {
        assert_eq!(me, 1, "the listener knows the proxy");
        let Some(IceEnds { ours, theirs }) = ends else { return };
        let credentials = |offer: &str| sdp::read_offer(offer).unwrap().credentials.into();
        assert_eq!([ours, theirs], [credentials(&self.ends[1].offer), credentials(&self.ends[0].offer)]);
        self.proxy.as_mut().unwrap().forwards = true;
    }

    /// What the listener tells the proxy of its own end: all but candidates.
    fn answer(&mut self, blob: &[u8]) {
        let own = sdp::read_offer(&self.ends[1].offer).unwrap();
        assert_eq!(Signal::decode(blob), Ok(Signal { candidates: Vec::new(), ..own }));
        self.proxy.as_mut().unwrap().answered = true;
    }

    /// The dialler's browser sends its first check, by which the proxy introduces it.
    fn introduce(&mut self, invented: &Signal) {
        let own = sdp::read_offer(&self.ends[0].offer).unwrap();
        let packed = Packed::from_ufrag(invented.credentials.ufrag()).unwrap();
        assert_eq!((packed.token, packed.fingerprint), (Token([7; 6]), own.fingerprint));
        assert_eq!((&*packed.password, invented.credentials.password()), (own.credentials.password(), PASSWORD));
        let introduction = Signal { candidates: proxy_candidates(&[PROXY]), ..own };
        let at = self.now + self.ms(5..300);
        self.schedule(1, Event::Input(Input::Signal(introduction.encode())), at);
    }

    fn set_remote(&mut self, me: usize, answer: &str) {
        let theirs = sdp::read_offer(&self.ends[1 - me].offer).unwrap();
        let remote = sdp::read_offer(answer).unwrap();
        if self.proxy.is_some() && me == 0 && self.ends[0].answers == 0 {
            assert_eq!(remote.fingerprint, theirs.fingerprint);
            self.introduce(&remote);
        } else {
            assert_eq!((&remote.credentials, remote.fingerprint), (&theirs.credentials, theirs.fingerprint));
        }
        self.ends[me].answers += 1;
        if !answer.contains("a=setup:actpass\r\n") {
            let setup = if answer.contains("a=setup:active\r\n") { Setup::Active } else { Setup::Passive };
            let before = self.ends[me].remote.replace(setup);
            assert!(before.is_none_or(|before| before == setup), "roles in DTLS stay");
        }
        self.ends[me].reaches_peer |= !remote.candidates.is_empty();
        let answers = self.ends[0].answers;
        let both_restarted = answers > 1 && self.ends.iter().all(|end| end.answers == answers);
        let (now, found) = (self.now, self.now + self.ms(10..800));
        let finds = |it: &&mut Proxy| it.direct_from.is_some_and(|from| from <= now);
        if let Some(proxy) = self.proxy.as_mut().filter(|_| both_restarted).filter(finds) {
            proxy.direct_at = Some(found);
        }
    }

    /// ICE, DTLS and SCTP: the channels open when both descriptions are set and one end reaches the other.
    fn connect(&mut self) {
        let [Some(a), Some(b)] = self.ends.each_ref().map(|end| end.remote) else { return };
        if self.connected || self.proxy.is_some_and(|it| !it.answered) || !self.ends.iter().any(|end| end.reaches_peer)
        {
            return;
        }
        assert_ne!(a, b, "one end is active, the other passive");
        self.connected = true;
        for me in [0, 1] {
            let (control_at, data_at) = (self.now + self.ms(1..100), self.now + self.ms(1..100));
            // Its browser says that a path is in use, long before the two know each other.
            self.schedule(me, Event::Input(Input::PathChanged), self.now);
            self.schedule(me, Event::Input(Input::Selected(Some(PROXY))), self.now);
            self.schedule(me, Event::Input(Input::ControlOpen), control_at);
            self.schedule(me, Event::Input(Input::DataOpen), data_at);
            (self.ends[me].control_at, self.ends[me].data_at) = (control_at, data_at);
        }
    }

    fn schedule(&mut self, me: usize, event: Event, at: Instant) {
        self.sent += 1;
        self.in_flight.insert((at, self.sent), (me, event));
    }

    fn ms(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.rng.u64(range))
    }
}

impl End {
    fn new(me: usize, offer: String, peer: Option<PersonaId>, (door, direct): (Door, bool), rng: &mut Rng) -> Self {
        let nonce = std::array::from_fn(|_| rng.u8(..));
        Self {
            peercon: Peercon::new(Config { own: secret(me).id(), peer, door, direct, nonce }, Instant::START),
            secret: secret(me),
            offer,
            remote: None,
            answers: 0,
            is_controlled: false,
            reaches_peer: false,
            control_at: Instant::START,
            data_at: Instant::START,
        }
    }
}

/// The key of an end.
pub fn secret(me: usize) -> PersonaSecret {
    PersonaSecret::new([u8::try_from(me).unwrap() + 1; 32])
}

/// An offer of one browser or the other, with credentials and a certificate of its own and no candidates yet.
fn offer(rng: &mut Rng) -> String {
    let hex: Vec<String> = (0..32).map(|_| format!("{:02X}", rng.u8(..))).collect();
    let (ufrag, password) = if rng.bool() { (4, 24) } else { (8, 32) };
    let mut digits = |len| (0..len).map(|_| rng.digit(16)).collect::<String>();
    format!(
        "v=0\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=fingerprint:sha-256 {}\r\n",
        digits(ufrag),
        digits(password),
        hex.join(":")
    )
}

/// A new offer of the same browser for the same connection: other credentials, the same certificate.
fn offer_anew(before: &str, rng: &mut Rng) -> String {
    let fingerprint = |offer: &str| offer.lines().find(|line| line.starts_with("a=fingerprint")).map(str::to_owned);
    let new = offer(rng);
    new.replace(&fingerprint(&new).expect("an offer has one"), &fingerprint(before).expect("an offer has one"))
}

#[test]
fn an_offer_of_the_world_is_an_offer() {
    let Signal { candidates, .. } = sdp::read_offer(&offer(&mut Rng::with_seed(1))).unwrap();
    assert_eq!(candidates, []);
}
