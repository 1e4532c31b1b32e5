//! What each site spends of the node. All frames of one origin share one account, and it outlives them: a page that is loaded again is
//! no richer for it. Sites of one [group](crate::groups) share a larger account besides their own, so that subdomains are no riches either.

use bitters_machine::{
    map::Map,
    rate::{Bucket, Rate},
    time::Instant,
};

use crate::{
    groups::{SITES_PER_GROUP, group_of},
    limits::{DIALS, HELLOS, JOINS, PACKETS_KIB, PERMITS, PUBLISHED_KIB, PUBLISHES, SERVICES, STATUSES},
};

/// Accounts kept of sites, and of groups: those of all that are here, and as many again of those that were. A site whose account was
/// forgotten has a full one again, and no more than its group's.
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

/// One site's, or one group's.
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
    /// As rich as so many sites.
    fn new(sites: u32, now: Instant) -> Self {
        let full = |Rate { per_second, burst }: Rate| {
            Bucket::new(Rate { per_second: sites * per_second, burst: sites * burst }, now)
        };
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

/// All sites', and all groups'.
#[derive(Debug, Default)]
pub struct Accounts {
    sites: Map<String, Account>,
    groups: Map<String, Account>,
}

impl Accounts {
    /// Spends if there is enough left, of the site's and of its group's. What a site hasn't it doesn't spend of its group's.
    #[must_use]
    pub fn spend(&mut self, origin: &str, what: Spend, now: Instant) -> bool {
        account(&mut self.sites, origin, 1, now).spend(what, now)
            && account(&mut self.groups, group_of(origin), SITES_PER_GROUP, now).spend(what, now)
    }

    /// A site was refused something that it has too much of.
    pub fn refuse(&mut self, origin: &str, now: Instant) {
        let account = account(&mut self.sites, origin, 1, now);
        account.refused = account.refused.saturating_add(1);
    }

    /// How often a site was refused something.
    pub fn refused(&self, origin: &str) -> u32 {
        self.sites.get(origin).map_or(0, |account| account.refused)
    }
}

fn account<'a>(accounts: &'a mut Map<String, Account>, name: &str, sites: u32, now: Instant) -> &'a mut Account {
    if !accounts.contains_key(name) {
        if accounts.len() >= CAPACITY {
            let idle = accounts.iter().min_by_key(|(_, account)| account.used).map(|(name, _)| name.clone());
            idle.and_then(|name| accounts.remove(&name));
        }
        accounts.insert(name.to_owned(), Account::new(sites, now));
    }
    accounts.get_mut(name).expect("it was put in")
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
    fn subdomains_spend_what_four_sites_have_however_many_they_are() {
        let mut accounts = Accounts::default();
        let mut dials =
            |origin: &str| (0..1000).filter(|_| accounts.spend(origin, Spend::Dial, Instant::START)).count();
        let burst = DIALS.burst as usize;
        // More than accounts are kept of: the first is forgotten by the end.
        let together: usize = (0..=CAPACITY).map(|n| dials(&format!("https://{n}.greedy.example"))).sum();
        assert_eq!(together, 4 * burst);
        assert_eq!(dials("https://0.greedy.example"), 0, "its account is new, its group's is not");
        assert_eq!(dials(A), burst);
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
