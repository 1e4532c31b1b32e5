//! An ICE agent as far as it matters here (RFC 8445): one candidate, the proxy; checks, answers, roles, and something like DTLS
//! after them.

use std::time::Duration;

use bitters_machine::time::Instant;
use fastrand::Rng;
use stun_types::{
    attribute::{ErrorCode, Username},
    message::{Message, MessageClass, ShortTermCredentials},
};

use super::stun::{answer, check_as, name};

/// A check is sent again after this, then after twice as long, and so on.
const RTO: Duration = Duration::from_millis(100);

/// While nothing works, another check is begun this often, as Chromium does.
const PACE: Duration = Duration::from_millis(400);

/// DTLS's flights are sent again after this.
const FLIGHT: Duration = Duration::from_millis(200);

#[derive(Clone, Debug)]
pub struct Agent {
    pub local: (String, String),
    pub remote: (String, String),
    controlling: bool,
    tie_breaker: u64,
    /// Transactions under way: when they are sent again, and after which pause.
    checks: Vec<(u128, Instant, Duration)>,
    next_check: Instant,
    /// A check of ours was answered.
    valid: bool,
    /// Sends the first flight.
    active: bool,
    next_flight: Instant,
    /// The other end's data came.
    pub open: bool,
    /// Roles that were given up.
    pub conflicts: usize,
}

impl Agent {
    pub fn new(local: (String, String), remote: (String, String), active: bool, now: Instant, rng: &mut Rng) -> Self {
        Self {
            local,
            remote,
            // Both made an offer.
            controlling: true,
            tie_breaker: rng.u64(..),
            checks: Vec::new(),
            next_check: now,
            valid: false,
            active,
            next_flight: now,
            open: false,
            conflicts: 0,
        }
    }

    /// What is to be sent by now.
    pub fn tick(&mut self, now: Instant, rng: &mut Rng) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        if now >= self.next_check && !(self.valid && self.open) {
            self.next_check = now + PACE;
            self.checks.push((rng.u128(..) >> 32, now, RTO));
        }
        let (username, password) = (name(&self.remote.0, &self.local.0), &self.remote.1);
        for (transaction, at, pause) in &mut self.checks {
            if now >= *at {
                (*at, *pause) = (now + *pause, *pause * 2);
                out.push(check_as(*transaction, &username, password, self.controlling, self.tie_breaker));
            }
        }
        if self.valid && self.active && !self.open && now >= self.next_flight {
            self.next_flight = now + FLIGHT;
            out.push(vec![22; 600]);
            out.push(vec![22; 300]);
        }
        out
    }

    /// What is answered.
    pub fn receive(&mut self, bytes: &[u8], now: Instant) -> Vec<Vec<u8>> {
        if bytes[0] == 22 {
            self.open = true;
            return if self.active { vec![] } else { vec![vec![22; 1200]] };
        }
        let message = Message::from_bytes(bytes).expect("the proxy passes on what is whole");
        let by = |password: &str| {
            message
                .validate_integrity(&ShortTermCredentials::new(password.to_owned()).into())
                .expect("it is signed for us");
        };
        let transaction = u128::from(message.transaction_id());
        match message.class() {
            MessageClass::Request => {
                let username = message.attribute::<Username>().unwrap();
                if username.username() != name(&self.local.0, &self.remote.0) {
                    return vec![]; // A straggler from before a restart.
                }
                by(&self.local.1);
                let controlling = message.has_attribute(0x802a.into());
                let role = if controlling { 0x802a } else { 0x8029 };
                let theirs = message.raw_attribute(u16::into(role)).expect("a check has a role");
                let theirs = u64::from_be_bytes((&*theirs.value).try_into().unwrap());
                if !self.valid {
                    // A triggered check (section 7.3.1.4).
                    self.next_check = self.next_check.min(now);
                }
                // Section 7.3.1.1.
                let conflict = controlling == self.controlling;
                let stays = if self.controlling { self.tie_breaker >= theirs } else { self.tie_breaker < theirs };
                if conflict && !stays {
                    self.controlling = !self.controlling;
                    self.conflicts += 1;
                }
                vec![answer(transaction, &self.local.1, conflict && stays)]
            }
            class => {
                if !self.checks.iter().any(|&(check, ..)| check == transaction) {
                    return vec![];
                }
                by(&self.remote.1);
                self.checks.retain(|&(check, ..)| check != transaction);
                if class == MessageClass::Success {
                    self.valid = true;
                    self.checks.clear();
                } else {
                    assert_eq!(message.attribute::<ErrorCode>().unwrap().code(), 487);
                    self.controlling = !self.controlling;
                    self.conflicts += 1;
                    self.next_check = now;
                }
                vec![]
            }
        }
    }
}
