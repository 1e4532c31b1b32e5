//! Sites that may be of one hand: where something is scarce, they share as one.
//!
//! An origin costs nothing to whoever has a domain: `a.example.org` and `b.example.org` are two sites, and a thousand are as cheap. Hence the
//! cruder key of a *group*: the last two labels of the host, whatever the scheme and the port. The list of public suffixes, which would
//! tell `example.co.uk` from `another.co.uk` and one user of `github.io` from the next, is too large for a node, and so these are one group. They
//! lose little by it: what a group has is several times what a site has, and bounds hold only where others want some.

/// A group may have of everything that is counted by time as much as so many sites.
pub const SITES_PER_GROUP: u32 = 4;

/// Of `all` that there is, a group leaves a quarter to others.
pub const fn share(all: usize) -> usize {
    all / 4 * 3
}

/// The group of a site.
pub fn group_of(origin: &str) -> &str {
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    // An IPv6 address has colons of its own, and a bracket before its port.
    let host = match host.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => host,
    };
    let is_address = host.ends_with(']') || host.rsplit('.').next().is_some_and(|last| last.parse::<u8>().is_ok());
    let second = host.rmatch_indices('.').nth(1).filter(|_| !is_address);
    second.map_or(host, |(dot, _)| &host[dot + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_the_last_two_labels_of_a_host() {
        let groups = [
            ("https://example.org", "example.org"),
            ("https://a.example.org", "example.org"),
            ("http://a.b.c.example.org:8080", "example.org"),
            ("https://example.co.uk", "co.uk"),
            ("https://one.github.io", "github.io"),
            ("http://a.localhost:8787", "a.localhost"),
            ("http://x.a.localhost:8787", "a.localhost"),
            ("http://localhost:3000", "localhost"),
            ("http://127.0.0.1:3000", "127.0.0.1"),
            ("http://[::1]:3000", "[::1]"),
            ("http://[2001:db8::1.2.3.4]", "[2001:db8::1.2.3.4]"),
            ("chrome-extension://abcdef", "abcdef"),
            ("null", "null"),
            ("", ""),
        ];
        for (origin, group) in groups {
            assert_eq!(group_of(origin), group, "{origin}");
        }
    }
}
