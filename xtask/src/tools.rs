//! The tools that come from elsewhere: installed where that can be done without asking, else named with what to do.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use anyhow::{Context, Result, bail};

use crate::cmd::Cmd;
use crate::workspace::Workspace;

/// Browser modules.
pub const WASM_TARGET: &str = "wasm32-unknown-unknown";
/// The pure crates' tests, run in Node.
pub const WASI_TARGET: &str = "wasm32-wasip1";

const OLDEST_NODE: u32 = 20;
const FIREFOXES: [&str; 2] = ["firefox-esr", "firefox"];
const CHROMIUMS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// What runs a program of [`WASI_TARGET`], by the compiler that browsers use for code that runs often.
pub fn wasi_runner(workspace: &Workspace) -> [String; 5] {
    let wasi = workspace.path("xtask/wasi.mjs").display().to_string();
    ["node", "--no-warnings", "--no-liftoff", "--no-wasm-lazy-compilation", &wasi].map(str::to_owned)
}

/// Sees to it that the active toolchain can build for `target`.
pub fn ensure_target(workspace: &Workspace, target: &str) -> Result<()> {
    let _alone = alone();
    let libraries = workspace.command("rustc").args(["--print", "target-libdir", "--target", target]).read()?;
    if PathBuf::from(libraries.trim_end()).is_dir() {
        return Ok(());
    }
    need_rustup(workspace, &format!("Rust's standard library for {target}"))?;
    workspace.command("rustup").args(["target", "add", target]).run(&format!("install {target}"))
}

/// Sees to it that the active toolchain has rustfmt and clippy.
pub fn ensure_components(workspace: &Workspace) -> Result<()> {
    for (component, subcommand) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if !workspace.cargo().args([subcommand, "--version"]).works() {
            need_rustup(workspace, component)?;
            workspace.command("rustup").args(["component", "add", component]).run(&format!("install {component}"))?;
        }
    }
    Ok(())
}

/// Sees to it that Node is recent and that the packages of package-lock.json are there.
pub fn ensure_npm(workspace: &Workspace) -> Result<()> {
    let _alone = alone();
    let help = "install Node.js 20 or later (https://nodejs.org, or a package named nodejs)";
    let Ok(version) = workspace.command("node").arg("--version").read() else {
        bail!("node is missing: {help}");
    };
    if major(&version).is_none_or(|major| major < OLDEST_NODE) {
        bail!("node {} is too old: {help}", version.trim_end());
    }
    if npm_is_current(workspace) {
        return Ok(());
    }
    if !workspace.command("npm").arg("--version").works() {
        bail!("npm is missing: it comes with Node.js, or as a package named npm");
    }
    workspace.command("npm").args(["ci", "--no-progress"]).run("npm ci")
}

/// Finds Chromium, or installs Debian's; returns its path.
pub fn ensure_chromium(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CHROMIUM").map(PathBuf::from) {
        if !path.is_file() {
            bail!("CHROMIUM names {}, which isn't there", path.display());
        }
        return Ok(path);
    }
    install_chromium(workspace)?;
    match find(&CHROMIUMS) {
        Some(path) => Ok(path),
        None => bail!("chromium was installed but isn't in PATH: name it in the variable CHROMIUM"),
    }
}

/// Firefox, or Debian's long-lived one, where that can be installed without asking. Elsewhere its tests say that they are skipped.
pub fn want_firefox(workspace: &Workspace) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("FIREFOX").map(PathBuf::from) {
        return Some(path);
    }
    let is_there = || find(&FIREFOXES).is_some();
    if let Err(error) = apt_install(workspace, "Firefox", &["firefox-esr"], is_there) {
        eprintln!("warning: tests with Firefox are skipped; name it in the variable FIREFOX: {error:#}");
    }
    find(&FIREFOXES)
}

/// Sees to it that `WebKitWebDriver` and a display for it are there, where that can be installed without asking. Elsewhere its tests say
/// that they are skipped.
pub fn want_webkit(workspace: &Workspace) {
    let is_there = || find(&["WebKitWebDriver"]).is_some() && find(&["Xvfb"]).is_some();
    if let Err(error) = apt_install(workspace, "WebKitGTK", &["webkit2gtk-driver", "xvfb"], is_there) {
        eprintln!("warning: tests with WebKit are skipped: {error:#}");
    }
}

/// Sees to it that address translators can be made of network namespaces, where that can be installed without asking. Elsewhere tests
/// with them say that they are skipped, as they do where the kernel allows none.
pub fn want_nftables(workspace: &Workspace) {
    let is_there = || workspace.command("nft").arg("--version").works() && workspace.command("ip").arg("-V").works();
    if let Err(error) = apt_install(workspace, "nftables", &["nftables", "iproute2"], is_there) {
        eprintln!("warning: tests with address translators are skipped: {error:#}");
    }
}

/// Sees to it that coturn is there, which our relay is measured against.
pub fn ensure_coturn(workspace: &Workspace) -> Result<()> {
    let is_there = || workspace.command("turnserver").arg("--version").works();
    apt_install(workspace, "coturn", &["coturn"], is_there).context("install it, so that `turnserver` is in PATH")
}

/// Sees to it that revproxy's tests find the authority for certificates that they ask, where that can be installed without asking.
/// Elsewhere those tests say that they are skipped.
pub fn want_pebble(workspace: &Workspace) {
    let is_there = || workspace.command("pebble").arg("-help").works();
    if let Err(error) = apt_install(workspace, "pebble", &["pebble"], is_there) {
        eprintln!("warning: tests with an authority for certificates are skipped: {error:#}");
    }
}

fn install_chromium(workspace: &Workspace) -> Result<()> {
    apt_install(workspace, "Chromium", &["chromium", "fonts-dejavu-core"], || find(&CHROMIUMS).is_some())
        .context("install it, and name it in the variable CHROMIUM unless it is in PATH")
}

/// Steps that run beside each other install nothing at once.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().expect("no thread panics while it holds the lock")
}

/// Installs what tests of all parts want of Debian, in the order in which they want it. What can't be installed is told, and told again to the
/// part that wants it.
pub fn install_all(workspace: &Workspace) {
    want_pebble(workspace);
    if let Err(error) = ensure_chromium(workspace) {
        eprintln!("warning: {error:#}");
    }
    want_nftables(workspace);
    want_webkit(workspace);
    want_firefox(workspace);
}

/// Whether apt-get has been told what there is. Its lock is ours as well: apt-get doesn't wait for another.
static UPDATED: Mutex<bool> = Mutex::new(false);

/// Installs Debian's packages of what is missing; one thing at a time.
fn apt_install(workspace: &Workspace, missing: &str, packages: &[&str], is_there: impl Fn() -> bool) -> Result<()> {
    if is_there() {
        return Ok(());
    }
    let mut updated = UPDATED.lock().expect("no thread panics while it holds the lock");
    if is_there() {
        return Ok(()); // installed while we waited
    }
    if !workspace.command("apt-get").arg("--version").works() {
        bail!("{missing} is missing, and so is apt-get, which would install it");
    }
    let root = rustix::process::geteuid().is_root();
    if !root && !workspace.command("sudo").args(["-n", "true"]).works() {
        bail!("{missing} is missing: run `sudo apt-get install {}`", packages.join(" "));
    }
    let apt_get = || {
        let apt = if root { workspace.command("apt-get") } else { workspace.command("sudo").args(["-n", "apt-get"]) };
        apt.env("DEBIAN_FRONTEND", "noninteractive")
    };
    if !*updated {
        apt_get().arg("update").run("apt-get update")?;
        *updated = true;
    }
    apt_get().args(["install", "-y", "--no-install-recommends"]).args(packages).run(&format!("install {missing}"))
}

/// The first of these programs that is in `PATH`.
fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let dirs: Vec<_> = std::env::split_paths(&path).collect();
    names.iter().flat_map(|name| dirs.iter().map(move |dir| dir.join(name))).find(|path| path.is_file())
}

/// npm notes what it installed in a file of its own.
fn npm_is_current(workspace: &Workspace) -> bool {
    let modified = |path| fs::metadata(workspace.path(path)).and_then(|metadata| metadata.modified()).ok();
    match (modified("node_modules/.package-lock.json"), modified("package-lock.json")) {
        (Some(installed), Some(wanted)) => installed >= wanted,
        _ => false,
    }
}

fn need_rustup(workspace: &Workspace, what: &str) -> Result<()> {
    if !rustup(workspace).works() {
        bail!("{what} is missing, and so is rustup, which would install it: see https://rustup.rs");
    }
    Ok(())
}

fn rustup(workspace: &Workspace) -> Cmd {
    workspace.command("rustup").arg("--version")
}

/// The first number of `v20.1.2`.
fn major(version: &str) -> Option<u32> {
    version.trim_start_matches('v').split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_of_node_is_read() {
        assert_eq!([major("v20.20.2\n"), major("v9.0.0"), major("none")], [Some(20), Some(9), None]);
    }
}
