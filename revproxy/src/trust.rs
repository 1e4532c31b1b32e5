//! Who is at the other end, behind the HTTP proxies that are trusted.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header::HOST};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The proxies that are believed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust(Vec<IpNet>);

impl Trust {
    pub(crate) const fn new(proxies: Vec<IpNet>) -> Self {
        Self(proxies)
    }

    /// Where a request really comes from. `Host` becomes the name that the client asked for; what only a trusted proxy may say is
    /// taken out, so that nothing behind this believes it of anybody else.
    pub(crate) fn client(&self, peer: IpAddr, headers: &mut HeaderMap) -> IpAddr {
        let client = if self.trusts(peer) { self.behind(peer, headers) } else { peer.to_canonical() };
        let host = last(headers, &FORWARDED_HOST).filter(|_| self.trusts(peer));
        if let Some(host) = host.and_then(|host| HeaderValue::from_str(host).ok()) {
            headers.insert(HOST, host);
        }
        headers.remove(FORWARDED_FOR);
        headers.remove(FORWARDED_HOST);
        client
    }

    /// Each proxy appends whom it heard, so the list is read from its end, and only as far as those who wrote it are trusted.
    fn behind(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let values: Vec<_> = headers.get_all(FORWARDED_FOR).iter().map(|value| value.to_str().unwrap_or("")).collect();
        for entry in values.iter().rev().flat_map(|value| value.rsplit(',')) {
            let Some(addr) = address(entry.trim()) else { return client };
            client = addr;
            if !self.trusts(addr) {
                return client;
            }
        }
        client
    }

    /// Whether this is one of them.
    pub(crate) fn trusts(&self, addr: IpAddr) -> bool {
        let addr = addr.to_canonical();
        self.0.iter().any(|net| net.contains(&addr))
    }
}

/// The entry that the nearest proxy wrote.
fn last<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    value.rsplit(',').next().map(str::trim)
}

/// An address as proxies write it: plain, in brackets, or with a port.
fn address(text: &str) -> Option<IpAddr> {
    let plain = || text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|addr| addr.ip());
    plain().or_else(with_port).map(|addr| addr.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_is_not_believed() {
        let mut headers = headers(&[("x-forwarded-for", "192.0.2.7"), ("x-forwarded-host", "evil"), ("host", "real")]);

        assert_eq!(trust().client(ip("192.0.2.1"), &mut headers), ip("192.0.2.1"));
        assert_eq!(headers, self::headers(&[("host", "real")]));
    }

    #[test]
    fn a_proxy_says_for_whom_and_for_which_host_it_asks() {
        let mut headers = headers(&[
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-host", "guessed.example, node.example"),
            ("host", "inside:8787"),
        ]);

        assert_eq!(trust().client(ip("::ffff:10.1.2.3"), &mut headers), ip("192.0.2.7"));
        assert_eq!(headers, self::headers(&[("host", "node.example")]));
    }

    #[test]
    fn a_list_is_believed_from_its_end_and_as_far_as_its_writers() {
        for (lines, expected) in [
            (&["192.0.2.66, 192.0.2.7, 10.0.0.2"][..], "192.0.2.7"),
            (&["192.0.2.66", "192.0.2.7", "10.0.0.2"], "192.0.2.7"),
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (&["192.0.2.7:4711"], "192.0.2.7"),
            (&["[2001:db8::7]:4711"], "2001:db8::7"),
            (&["[2001:db8::7]"], "2001:db8::7"),
            (&["2001:db8::7"], "2001:db8::7"),
            (&["192.0.2.7, unknown"], "10.0.0.1"),
            (&[""], "10.0.0.1"),
            (&[], "10.0.0.1"),
        ] {
            let lines: Vec<_> = lines.iter().map(|&line| ("x-forwarded-for", line)).collect();
            assert_eq!(trust().client(ip("10.0.0.1"), &mut headers(&lines)), ip(expected), "{lines:?}");
        }
    }

    fn trust() -> Trust {
        Trust::new(vec!["10.0.0.0/8".parse().unwrap()])
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        lines.iter().map(line).fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(name, value);
            headers
        })
    }
}
