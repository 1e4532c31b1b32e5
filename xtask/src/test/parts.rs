//! How each part is run.

use anyhow::{Result, bail};

use super::Part;
use super::counts::Counts;
use super::durations;
use super::programs::{Built, Program, Run, told};
use crate::bench;
use crate::cmd::Seen;
use crate::step::{at_once, cores};
use crate::times::{note, timed};
use crate::tools;
use crate::workspace::Workspace;

/// The crates that know no platform, whose tests run on wasm32 as well.
const PURE: [&str; 6] =
    ["bitters-machine", "bitters-wire", "bitters-session", "bitters-node", "bitters-peercon", "bitters-record"];
/// Where the simulated worlds are, a part of their own.
const SIM: &str = "tests/sim";

/// Runs a part, in sight.
pub fn run(workspace: &Workspace, part: Part, seed: Option<u64>, extra: &[String]) -> Result<Counts> {
    match part {
        Part::E2e => e2e(workspace, extra),
        Part::Native => native(workspace, extra),
        Part::Sdk => sdk(workspace),
        Part::Sim => sim(workspace, seed, extra),
        Part::Wasm => wasm(workspace, extra),
    }
}

/// All of this machine's programs in one build: whatever part is run, nothing is built with other features than for the next.
fn built(workspace: &Workspace) -> Result<Built> {
    Built::make(workspace.cargo().args(["test", "--locked", "--workspace"]), "build test programs")
}

/// The test programs of the simulated worlds, and all others.
fn simulation_and_others(workspace: &Workspace) -> Result<(Vec<Program>, Vec<Program>)> {
    let sim = workspace.path(SIM);
    Ok(built(workspace)?.tests.into_iter().partition(|program| program.is_of(&sim)))
}

fn native(workspace: &Workspace, extra: &[String]) -> Result<Counts> {
    tools::want_pebble(workspace);
    let (_, programs) = simulation_and_others(workspace)?;
    // One after the other: some watch the clock, and each has a thread for each core.
    let mut counts = Run { name: "run native tests", runner: &[], extra, seed: None, jobs: 1 }.all(&programs)?;
    let doc = workspace.cargo().args(["test", "--locked", "--workspace", "--doc", "--no-fail-fast", "--"]).args(extra);
    let Seen { success, text, .. } = timed("run examples in docs", || doc.show())?;
    counts += told("examples in docs", &text, success);
    Ok(counts)
}

/// A seed's worlds print what led to a failure; `TIMES` in the environment tells more of them.
fn sim(workspace: &Workspace, seed: Option<u64>, extra: &[String]) -> Result<Counts> {
    let (programs, _) = simulation_and_others(workspace)?;
    Run { name: "run the simulation", runner: &[], extra, seed, jobs: 1 }.all(&programs)
}

/// Each test program is run by Node's WASI, all of it compiled before it starts: now and then Node dies where code is replaced while it
/// runs (nodejs/node#64500). A panic ends the whole program there, so `should_panic` tests are left out by rustc.
fn wasm(workspace: &Workspace, extra: &[String]) -> Result<Counts> {
    tools::ensure_target(workspace, tools::WASI_TARGET)?;
    tools::ensure_npm(workspace)?;
    let packages = PURE.iter().flat_map(|name| ["--package", name]);
    let cargo = workspace.cargo().args(["test", "--locked", "--target", tools::WASI_TARGET]);
    let built = Built::make(cargo.args(packages).args(["--lib", "--tests"]), "build test programs (wasm32)")?;
    let runner = tools::wasi_runner(workspace);
    // Captured output would be lost with the program.
    let extra: Vec<_> = ["--nocapture".to_owned()].into_iter().chain(extra.iter().cloned()).collect();
    // Each has one thread.
    Run { name: "run tests in wasm32", runner: &runner, extra: &extra, seed: None, jobs: cores() }.all(&built.tests)
}

/// The build, types and size count as a test each. The tests run on the sources, and on the files that sites load. The service worker's run
/// here, too: the same runner, no browser.
fn sdk(workspace: &Workspace) -> Result<Counts> {
    tools::ensure_npm(workspace)?;
    let mut counts = Counts::default();
    for (name, command) in [
        ("build the SDK", workspace.command("npm").args(["run", "--silent", "-w", "host-sdk", "build"])),
        ("check the SDK's types", workspace.npm_bin("tsc").args(["--noEmit", "-p", "host-sdk"])),
        ("measure the SDK", workspace.command("node").arg("host-sdk/size.js")),
    ] {
        let success = timed(name, || command.env("NO_COLOR", "1").show())?.success;
        counts += Counts { passed: success.into(), failed: (!success).into(), ..Counts::default() };
    }
    // Each keeps one core busy.
    let suites: [&[&str]; 3] = [&["host-sdk"], &["host-sdk", "--mode", "shipped"], &["service-worker"]];
    let run =
        |args: &&[&str]| workspace.npm_bin("vitest").args(["run", "--root"]).args(*args).env("NO_COLOR", "1").watch();
    for Seen { success, text, .. } in timed("test the SDK and the service worker", || at_once(cores(), &suites, run))? {
        print!("{text}");
        note(&durations::of_vitest(&text));
        counts += Counts::of_vitest(&text).checked(success);
    }
    Ok(counts)
}

fn e2e(workspace: &Workspace, extra: &[String]) -> Result<Counts> {
    if !workspace.path("tests/e2e").is_dir() {
        bail!("tests/e2e is missing");
    }
    // The server of the native tests: a build of its own, and of all that it depends on, would show nothing.
    let built = built(workspace)?;
    let playwright = bench::playwright(workspace, "tests/e2e", built.other("revproxy")?)?;
    tools::want_nftables(workspace);
    tools::want_webkit(workspace);
    let playwright = match tools::want_firefox(workspace) {
        Some(firefox) => playwright.env("FIREFOX", firefox),
        None => playwright,
    };
    let Seen { success, text, .. } = timed("run browser tests", || playwright.args(extra).show())?;
    note(&durations::of_playwright(&text));
    Ok(Counts::of_playwright(&text).checked(success))
}
