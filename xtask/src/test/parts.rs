//! How each part is run.

use anyhow::{Result, bail};

use super::Part;
use super::summary::Counts;
use crate::bench;
use crate::build::Mode;
use crate::cmd::Cmd;
use crate::tools;
use crate::workspace::Workspace;

/// The crates that know no platform, whose tests run on wasm32 as well.
const PURE: [&str; 4] = ["bitters-wire", "bitters-session", "bitters-node", "bitters-peercon"];
/// The simulated worlds, a part of their own.
const SIM: &str = "bitters-sim";
/// Optimised, so that thousands of them take a minute.
const SIM_PROFILE: &str = "sim";

/// Runs a part, in sight.
pub fn run(workspace: &Workspace, part: Part, seed: Option<u64>, extra: &[String]) -> Result<Counts> {
    match part {
        Part::E2e => e2e(workspace, extra),
        Part::Native => {
            tools::want_pebble(workspace);
            cargo_test(native(workspace), extra)
        }
        Part::Sdk => sdk(workspace),
        Part::Sim => sim(workspace, seed, extra),
        Part::Wasm => wasm(workspace, extra),
    }
}

/// What the native tests are of.
fn native(workspace: &Workspace) -> Cmd {
    workspace.cargo().args(["test", "--locked", "--workspace", "--exclude", SIM])
}

fn cargo_test(cargo: Cmd, extra: &[String]) -> Result<Counts> {
    let seen = cargo.arg("--no-fail-fast").arg("--").args(extra).show()?;
    Ok(Counts::of_cargo(&seen.text).checked(seen.success))
}

/// A seed's worlds print what led to a failure; `TIMES` in the environment tells more of them.
fn sim(workspace: &Workspace, seed: Option<u64>, extra: &[String]) -> Result<Counts> {
    let cargo = workspace.cargo().args(["test", "--locked", "--profile", SIM_PROFILE, "--package", SIM]);
    cargo_test(if let Some(seed) = seed { cargo.env("SEED", seed.to_string()) } else { cargo }, extra)
}

/// Each test program is run by Node's WASI, all of it compiled before it starts: now and then Node dies where code is replaced while it
/// runs (nodejs/node#64500). A panic ends the whole program there, so `should_panic` tests are left out by rustc.
fn wasm(workspace: &Workspace, extra: &[String]) -> Result<Counts> {
    tools::ensure_target(workspace, tools::WASI_TARGET)?;
    tools::ensure_npm(workspace)?;
    let wasi = workspace.path("xtask/wasi.mjs");
    let runner = serde_json::json!(["node", "--no-warnings", "--no-liftoff", "--no-wasm-lazy-compilation", wasi]);
    let runner = format!("target.{}.runner={runner}", tools::WASI_TARGET);
    let packages = PURE.iter().flat_map(|name| ["--package", name]);
    let cargo = workspace.cargo().args(["test", "--locked", "--target", tools::WASI_TARGET, "--config", &runner]);
    // Captured output would be lost with the program.
    let extra: Vec<_> = ["--nocapture".to_owned()].into_iter().chain(extra.iter().cloned()).collect();
    cargo_test(cargo.args(packages).args(["--lib", "--tests"]), &extra)
}

/// Types and size count as a test each. The service worker's tests run here, too: the same runner, no browser.
fn sdk(workspace: &Workspace) -> Result<Counts> {
    tools::ensure_npm(workspace)?;
    let npm = |script| {
        workspace.command("npm").args(["run", "--silent", "-w", "host-sdk", script]).env("NO_COLOR", "1").show()
    };
    let mut counts = Counts::default();
    for script in ["build", "check", "size"] {
        let success = npm(script)?.success;
        counts += Counts { passed: success.into(), failed: (!success).into(), ..Counts::default() };
    }
    let service_worker = workspace.npm_bin("vitest").args(["run", "--root", "service-worker"]).env("NO_COLOR", "1");
    for seen in [npm("test")?, service_worker.show()?] {
        counts += Counts::of_vitest(&seen.text).checked(seen.success);
    }
    Ok(counts)
}

fn e2e(workspace: &Workspace, extra: &[String]) -> Result<Counts> {
    if !workspace.path("tests/e2e").is_dir() {
        bail!("tests/e2e is missing");
    }
    // The server of the native tests, which one of them runs as a command: another build of it, and of all that it depends on, shows nothing.
    native(workspace).args(["--test", "command", "--no-run"]).run("build revproxy")?;
    let server = workspace.target(Mode::Work.native_dir()).join("revproxy");
    let playwright = bench::playwright(workspace, "tests/e2e", &server)?;
    tools::want_nftables(workspace);
    tools::want_webkit(workspace);
    let playwright = match tools::want_firefox(workspace) {
        Some(firefox) => playwright.env("FIREFOX", firefox),
        None => playwright,
    };
    let seen = playwright.args(extra).show()?;
    Ok(Counts::of_playwright(&seen.text).checked(seen.success))
}
