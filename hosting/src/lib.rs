//! What browsers are told about a node's files, and the same in the words of common hosts. No IO.
//!
//! revproxy says it itself; the build puts [`static_files`] beside the node for those who host it elsewhere. Their tests read each of them
//! as its host does, and find what [`headers`] says.

mod apache;
mod caddy;
mod netlify;
mod nginx;
mod vercel;

/// A header's name, in lower case, and its value.
pub type Header = (&'static str, &'static str);

/// Scripts, styles, workers, frames and connections of the node's own only; sockets go to any server that the person's seeds name; any site
/// may embed the node, that is what it is for. The page has the same in a `<meta>`, but for `frame-ancestors`, which doesn't work there.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self' ws: wss:; worker-src 'self'; frame-src 'self'; manifest-src 'self'; \
                      frame-ancestors *; base-uri 'none'; form-action 'none'";

/// What a node asks of its browser is one storage for all sites, for itself; the rest of what pages can be granted (and Chromium 156
/// knows) is given up, whatever a host page delegates. A host that forbids storage access is obeyed: this can't widen what it gives.
const PERMISSIONS: &str = "accelerometer=(), autoplay=(), browsing-topics=(), camera=(), clipboard-read=(), display-capture=(), \
                           encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), hid=(), idle-detection=(), \
                           keyboard-map=(), local-fonts=(), magnetometer=(), microphone=(), midi=(), otp-credentials=(), \
                           payment=(), picture-in-picture=(), publickey-credentials-create=(), \
                           publickey-credentials-get=(), screen-wake-lock=(), serial=(), storage-access=(self), usb=(), \
                           window-management=(), xr-spatial-tracking=()";

/// Every file has these. The embedder policy matters to documents and workers, the resource policy to host pages that have one.
const ALWAYS: [Header; 7] = [
    ("content-security-policy", POLICY),
    ("cross-origin-embedder-policy", "require-corp"),
    ("cross-origin-resource-policy", "cross-origin"),
    ("origin-agent-cluster", "?1"),
    ("permissions-policy", PERMISSIONS),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
];

/// Files below a folder.
struct Place {
    /// Of the path, from its `/` to the folder's.
    prefix: &'static str,
    /// How long they may be kept without asking.
    cache: &'static str,
    /// Whether pages of any origin may load them as modules.
    open: bool,
}

/// Assets carry a hash of their content in their name. A site should see a new SDK soon, not ask at every page, and start
/// with the last one that it had where no server answers (RFC 5861; measured in Chromium and Firefox).
const PLACES: [Place; 2] = [
    Place { prefix: "/assets/", cache: "public, max-age=31536000, immutable", open: false },
    Place { prefix: "/sdk/", cache: "public, max-age=60, stale-while-revalidate=31536000", open: true },
];

/// Everywhere else: kept, but asked for every time. That goes for the service worker above all.
const ELSEWHERE: Header = ("cache-control", NO_CACHE);

/// What isn't there now may be there soon, wherever it is.
pub const NO_CACHE: &str = "no-cache";

const OPEN: Header = ("access-control-allow-origin", "*");

/// The file that hosts send where there is none. Where it is missing, Cloudflare Pages answers with the node's page and status 200, as if it
/// were what was asked for.
pub const MISSING: &str = "404.html";

/// What is said of the file at this URL path, if it is there.
pub fn headers(path: &str) -> impl Iterator<Item = Header> {
    ALWAYS.into_iter().chain(own_headers(path))
}

/// What is said of it beside what is said of all.
fn own_headers(path: &str) -> impl Iterator<Item = Header> {
    let place = PLACES.iter().find(|place| path.starts_with(place.prefix));
    place.map_or_else(|| [Some(ELSEWHERE), None], Place::headers).into_iter().flatten()
}

impl Place {
    fn headers(&self) -> [Option<Header>; 2] {
        [Some(("cache-control", self.cache)), self.open.then_some(OPEN)]
    }
}

/// A file for one host, or for several that read the same.
#[derive(Clone, Debug, PartialEq)]
pub struct StaticFile {
    /// Its path: below the node's folder, where hosts look for it, or to be included in a configuration elsewhere.
    pub path: Path,
    /// What it says.
    pub text: String,
}

/// Where a file belongs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Path {
    /// Beside the node's folder: the server's own configuration includes it.
    Beside(&'static str),
    /// In the node's folder.
    Within(&'static str),
}

/// The ready files of all hosts, for a node with these files (URL paths).
#[must_use]
pub fn static_files<'a>(paths: impl Iterator<Item = &'a str>) -> [StaticFile; 5] {
    [
        StaticFile { path: Path::Within(".htaccess"), text: apache::file() },
        StaticFile { path: Path::Within("_headers"), text: netlify::file(paths) },
        StaticFile { path: Path::Within("vercel.json"), text: vercel::file() },
        StaticFile { path: Path::Beside("Caddyfile"), text: caddy::file() },
        StaticFile { path: Path::Beside("nginx.conf"), text: nginx::file() },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path of each kind that a node has.
    pub(crate) const PATHS: [&str; 8] = [
        "/",
        "/assets/frame.3f2a9c1d.js",
        "/config.json",
        "/index.html",
        "/sdk/bitters.js",
        "/seeds.json",
        "/style.css",
        "/sw.js",
    ];

    /// What a host that has read its file says of each path, in order, is what we say.
    pub(crate) fn assert_says_the_same(said: impl Fn(&str) -> Vec<(String, String)>) {
        for path in PATHS {
            let mut said = said(path);
            let mut ours: Vec<_> = headers(path).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            said.sort();
            ours.sort();
            assert_eq!(said, ours, "{path}");
        }
    }

    #[test]
    fn what_may_change_is_asked_for_every_time() {
        let cache = |path| headers(path).find(|(name, _)| *name == "cache-control").map(|(_, value)| value);
        assert_eq!(cache("/assets/a.js"), Some("public, max-age=31536000, immutable"));
        assert_eq!(cache("/sdk/bitters.js"), Some("public, max-age=60, stale-while-revalidate=31536000"));
        for path in ["/", "/assets", "/config.json", "/index.html", "/seeds.json", "/sw.js"] {
            assert_eq!(cache(path), Some("no-cache"), "{path}");
        }
    }

    #[test]
    fn only_the_sdk_is_for_other_origins_scripts() {
        let open: Vec<_> = PATHS.into_iter().filter(|path| headers(path).any(|header| header == OPEN)).collect();
        assert_eq!(open, ["/sdk/bitters.js"]);
    }

    #[test]
    fn values_are_lines_without_quotes() {
        for (name, value) in PATHS.into_iter().flat_map(headers) {
            assert!(!value.contains("  ") && !value.contains(['"', '\n', '$', '\\']), "{name}: {value}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name}");
        }
    }

    #[test]
    fn the_page_says_the_same_policy() {
        let page = include_str!("../../static/node/index.html");
        let (_, rest) =
            page.split_once("<meta http-equiv=\"Content-Security-Policy\" content=\"").expect("has a policy");
        let (policy, _) = rest.split_once('"').expect("ends");
        assert_eq!(policy, POLICY.replace(" frame-ancestors *;", ""));
    }
}
