//! Whose limits something counts against.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::rate::Rate;

/// Where something comes from, as far as limits go: an IPv4 address, or the /64 that one household or machine is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(IpAddr);

/// A network: a source, or a wider one that it is in. Whoever has many sources next to each other doesn't have all their limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Net {
    addr: IpAddr,
    prefix: u8,
    /// How many sources' limits it has.
    share: u16,
}

/// Prefixes of the networks that a source is in, the narrowest first, and how many sources' limits each of them has. A company or a large
/// household has an IPv6 /56, a company or a small provider a /48 (RFC 6177); 256 IPv4 addresses are the least that is routed.
const PREFIXES_4: [(u8, u16); 2] = [(32, 1), (24, 16)];
const PREFIXES_6: [(u8, u16); 3] = [(64, 1), (56, 4), (48, 16)];

impl Source {
    /// The networks that it is in, the narrowest first: the source itself.
    pub fn nets(self) -> impl DoubleEndedIterator<Item = Net> + Clone {
        let prefixes = if self.0.is_ipv4() { PREFIXES_4.as_slice() } else { PREFIXES_6.as_slice() };
        prefixes.iter().map(move |&(prefix, share)| Net { addr: masked(self.0, prefix), prefix, share })
    }

    /// The widest network that it is in.
    #[must_use]
    pub fn widest(self) -> Net {
        self.nets().next_back().expect("a source is in a network")
    }
}

impl Net {
    /// Whether it is one source.
    #[must_use]
    pub const fn is_source(self) -> bool {
        self.share == 1
    }

    /// How many of something it may have, where a source may have `each`.
    #[must_use]
    pub fn bound(self, each: usize) -> usize {
        each.saturating_mul(self.share.into())
    }

    /// How much may come from it, where so much may come from a source.
    pub(crate) fn rate(self, each: Rate) -> Rate {
        let share = self.share.into();
        Rate { burst: each.burst.saturating_mul(share), per_second: each.per_second.saturating_mul(share) }
    }

    /// Likewise, of something that has a rate for all: at most half of that.
    pub(crate) fn rate_within(self, each: Rate, all: Rate) -> Rate {
        let Rate { burst, per_second } = self.rate(each);
        Rate { burst: burst.min(all.burst.div_ceil(2)), per_second: per_second.min(all.per_second.div_ceil(2)) }
    }
}

impl From<IpAddr> for Source {
    fn from(addr: IpAddr) -> Self {
        let addr = addr.to_canonical();
        Self(masked(addr, if addr.is_ipv4() { PREFIXES_4[0].0 } else { PREFIXES_6[0].0 }))
    }
}

fn masked(addr: IpAddr, prefix: u8) -> IpAddr {
    match addr {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & (u32::MAX << (32 - prefix))).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << (128 - prefix))).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_an_ipv4_address_or_a_64() {
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:0:2"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
    }

    #[test]
    fn neighbours_share_wider_networks() {
        let shared = |one: &str, other: &str| {
            let both = source(one).nets().zip(source(other).nets());
            both.filter(|(one, other)| one == other).map(|(net, _)| net.bound(1)).collect::<Vec<_>>()
        };
        assert_eq!(shared("2001:db8:0:100::1", "2001:db8:0:1ff::1"), [4, 16]);
        assert_eq!(shared("2001:db8:0:100::1", "2001:db8:0:200::1"), [16]);
        assert_eq!(shared("2001:db8:1::1", "2001:db8:2::1"), []);
        assert_eq!(shared("192.0.2.1", "192.0.2.255"), [16]);
        assert_eq!(shared("192.0.2.1", "192.0.3.1"), []);
        assert!(source("192.0.2.1").nets().map(Net::is_source).eq([true, false]));
        assert!(source("2001:db8::1").nets().map(Net::is_source).eq([true, false, false]));
    }

    fn source(text: &str) -> Source {
        text.parse::<IpAddr>().unwrap().into()
    }
}
