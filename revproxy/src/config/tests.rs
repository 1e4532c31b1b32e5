use super::*;

#[test]
fn a_host_is_a_name_without_a_port() {
    assert!(["node.localhost", "a-b.example", "127.0.0.1", "[::1]"].into_iter().all(is_host));
    assert!(!["", "a:80", "a/b", "a b", "u@a", "http://a"].into_iter().any(is_host));
}

#[test]
fn an_origin_is_scheme_host_and_port() {
    assert!(["http://a.localhost:8787", "https://a.example", "http://[::1]:80"].into_iter().all(is_origin));
    assert!(!["a.example", "http://a.example/", "http://A.example", "http://u@a", "*", ""].into_iter().any(is_origin));
}

#[test]
fn a_host_has_one_set_of_files() {
    let host = |name: &str| Host { name: name.into(), dir: ".".into(), kind: HostKind::Site };
    let config = Config { hosts: vec![host("a.localhost"), host("A.localhost")], ..Config::default() };

    assert!(matches!(config.check(), Err(ServeError::HostTwice { name }) if name == "A.localhost"));
}

#[test]
fn a_setting_that_does_not_go_with_the_others_is_named() {
    for (text, expected) in [
        ("redirect = ['0.0.0.0:80']", "redirect: there is no HTTPS to redirect to"),
        ("public = ['0.0.0.0:443']", "public: an address and a port that browsers reach"),
        ("public = ['192.0.2.1:443']\nudp = []", "public: the proxy is switched off"),
        ("http.connections = 0", "http.connections: at least 1, also of one source"),
        ("tls.cert = 'cert.pem'", "tls.key: it is missing, and tls.cert is there"),
        ("tls.key = 'key.pem'", "tls.cert: it is missing, and tls.key is there"),
        (
            "tls = { cert = 'c', key = 'k' }\nacme.domains = ['a.example']",
            "acme.domains: certificates come from files already (tls.cert)",
        ),
        ("acme.domains = ['a.example']", "acme.cache: a directory to keep the account and the certificate in"),
        ("acme = { domains = ['192.0.2.1'], cache = '.' }", "acme.domains: names of hosts, without ports"),
        ("acme = { domains = ['a.b'], cache = '.', directory = 'http://c' }", "acme.directory: an https URL"),
        ("acme = { domains = ['a.b'], cache = '.', root = '/nowhere' }", "acme.root: a file that can be read"),
    ] {
        let config: Config = toml::from_str(text).unwrap();
        assert_eq!(config.check().unwrap_err().to_string(), expected, "{text}");
    }
}

#[test]
fn the_example_says_every_default() {
    let example = include_str!("../../deploy/revproxy.toml");

    assert_eq!(toml::from_str::<Config>(example).unwrap(), Config::default());
    assert_eq!(example.parse::<toml::Table>().unwrap(), toml::Table::try_from(Config::default()).unwrap());
}

#[test]
fn what_the_example_shows_of_the_rest_can_be_read_too() {
    let example = include_str!("../../deploy/revproxy.toml");

    let all: String = example.lines().flat_map(|line| [line.strip_prefix("#: ").unwrap_or(line), "\n"]).collect();
    let all: Config = toml::from_str(&all).unwrap();

    assert!(all.admin.is_some() && all.sdk.is_some() && all.udp.is_some() && all.hosts.len() == 2);
    assert!(all.tls.cert.is_some() && all.tls.key.is_some());
    assert!(all.acme.email.is_some() && all.acme.cache.is_some() && all.acme.root.is_some());
}

#[test]
fn what_the_manual_shows_can_be_read() {
    let manual = include_str!("../../../docs/operating.md");
    let (_, rest) = manual.split_once("```toml\n").unwrap();
    let (shown, _) = rest.split_once("```").unwrap();

    let config: Config = toml::from_str(shown).unwrap();

    assert_eq!((config.listen.len(), config.redirect.len(), config.public.len(), config.hosts.len()), (1, 1, 2, 1));
    assert!(matches!(config.certificates(), Ok(Some(Source::Acme { .. }))));
}

#[test]
fn what_is_shown_can_be_read_again() {
    let config = Config {
        admin: Some(([127, 0, 0, 1], 9090).into()),
        hosts: vec![Host { name: "a.example".into(), dir: "/srv/a".into(), kind: HostKind::Node }],
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        udp: Some(Vec::new()),
        ..Config::default()
    };

    assert_eq!(toml::from_str::<Config>(&toml::to_string(&config).unwrap()).unwrap(), config);
}
