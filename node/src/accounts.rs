//! What each site spends of the node. All frames of one origin share one account, and it outlives them: a page that is loaded again is
//! no richer for it.

use bitters_wire::{map::Map, time::Instant};

use crate::quotas::{
    Bucket, DIALS, HELLOS, JOINS, PACKETS_KIB, PERMITS, PUBLISHED_KIB, PUBLISHES, Rate, SERVICES, STATUSES,
};

/// Accounts kept: those of all sites that are here, and as many again of sites that were.
const CAPACITY: usize = 512;

/// What costs something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spend {
    /// A persona is dialled, or an address asked for.
    Dial,
    /// A frame comes.
    Hello,
    /// A topic is joined.
    Join,
    /// A packet is passed on, which costs so many bytes.
    Packet(usize),
    /// An answer of the person's.
    Permit,
    /// A message of so many bytes is published.
    Publish(usize),
    /// A service is called.
    Service,
    /// A status is asked for.
    Status,
}

/// One site's.
#[derive(Debug)]
struct Account {
    dials: Bucket,
    hellos: Bucket,
    joins: Bucket,
    packets: Bucket,
    permits: Bucket,
    publishes: Bucket,
    published: Bucket,
    services: Bucket,
    statuses: Bucket,
    refused: u32,
    used: Instant,
}

impl Account {
    fn new(now: Instant) -> Self {
        let full = |rate: Rate| Bucket::new(rate, now);
        Self {
            dials: full(DIALS),
            hellos: full(HELLOS),
            joins: full(JOINS),
            packets: full(PACKETS_KIB),
            permits: full(PERMITS),
            publishes: full(PUBLISHES),
            published: full(PUBLISHED_KIB),
            services: full(SERVICES),
            statuses: full(STATUSES),
            refused: 0,
            used: now,
        }
    }

    fn spend(&mut self, what: Spend, now: Instant) -> bool {
        self.used = now;
        match what {
            Spend::Dial => self.dials.take(now),
            Spend::Hello => self.hellos.take(now),
            Spend::Join => self.joins.take(now),
            Spend::Packet(cost) => self.packets.take_many(kib(cost), now),
            Spend::Permit => self.permits.take(now),
            Spend::Publish(bytes) => self.publishes.take(now) && self.published.take_many(kib(bytes), now),
            Spend::Service => self.services.take(now),
            Spend::Status => self.statuses.take(now),
        }
    }
}

/// All sites'.
#[derive(Debug, Default)]
pub struct Accounts(Map<String, Account>);

impl Accounts {
    /// Spends if there is enough left.
    #[must_use]
    pub fn spend(&mut self, origin: &str, what: Spend, now: Instant) -> bool {
        self.account(origin, now).spend(what, now)
    }

    /// A site was refused something that it has too much of.
    pub fn refuse(&mut self, origin: &str, now: Instant) {
        let account = self.account(origin, now);
        account.refused = account.refused.saturating_add(1);
    }

    /// How often a site was refused something.
    pub fn refused(&self, origin: &str) -> u32 {
        self.0.get(origin).map_or(0, |account| account.refused)
    }

    fn account(&mut self, origin: &str, now: Instant) -> &mut Account {
        if self.0.len() >= CAPACITY && !self.0.contains_key(origin) {
            let idle = self.0.iter().min_by_key(|(_, account)| account.used).map(|(origin, _)| origin.clone());
            idle.and_then(|origin| self.0.remove(&origin));
        }
        self.0.entry(origin.to_owned()).or_insert_with(|| Account::new(now))
    }
}

/// Begun kibibytes.
fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_site_spends_its_own() {
        let mut accounts = Accounts::default();
        let dials = |accounts: &mut Accounts, origin: &str| {
            (0..1000).filter(|_| accounts.spend(origin, Spend::Dial, Instant::START)).count()
        };
        let burst = DIALS.burst as usize;
        assert_eq!(dials(&mut accounts, A), burst);
        assert_eq!(dials(&mut accounts, A), 0);
        assert_eq!(dials(&mut accounts, B), burst);
    }

    #[test]
    fn large_messages_are_fewer() {
        let published = |bytes: usize| {
            let mut accounts = Accounts::default();
            (0..1000).filter(|_| accounts.spend(A, Spend::Publish(bytes), Instant::START)).count()
        };
        assert_eq!(published(1), PUBLISHES.burst as usize);
        assert_eq!(published(256 * 1024), PUBLISHED_KIB.burst as usize / 256);
    }

    #[test]
    fn the_account_longest_unused_goes() {
        let mut accounts = Accounts::default();
        accounts.refuse(A, Instant::START);
        for n in 1..=CAPACITY {
            let at = Instant::from_millis(u64::try_from(n).unwrap());
            accounts.refuse(&format!("https://{n}.example"), at);
        }
        assert_eq!((accounts.refused(A), accounts.refused("https://1.example")), (0, 1));
    }

    const A: &str = "https://a.example";
    const B: &str = "https://b.example";
}
