//! Measuring: in real browsers, and the server alone; and how Playwright is run.

use std::path::Path;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::build;
use crate::cmd::Cmd;
use crate::tools;
use crate::workspace::Workspace;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Part {
    /// Everything, in real browsers.
    Browsers,
    /// The server's forwarding against coturn's, and what waiting costs it.
    Relay,
    /// What a topic's message costs the leader of a member, as WebAssembly.
    Topics,
}

/// Builds as people load it, then measures one part, or all; the report goes to stdout.
pub fn bench(workspace: &Workspace, part: Option<Part>) -> Result<()> {
    let measures = |one: Part| part.is_none_or(|part| part == one);
    if measures(Part::Browsers) {
        browsers(workspace)?;
    }
    if measures(Part::Topics) {
        topics(workspace)?;
    }
    if measures(Part::Relay) {
        tools::ensure_coturn(workspace)?;
        workspace
            .cargo()
            .args(["bench", "-p", "bitters-revproxy", "--bench", "relay"])
            .run("the relay's measurements")?;
    }
    Ok(())
}

/// A measurement among the machine's tests, built as people load it and run by the engine of Chromium.
fn topics(workspace: &Workspace) -> Result<()> {
    tools::ensure_target(workspace, tools::WASI_TARGET)?;
    tools::ensure_npm(workspace)?;
    let runner = "CARGO_TARGET_WASM32_WASIP1_RUNNER";
    let engine = tools::wasi_runner(workspace).join(" ");
    let built =
        ["test", "--locked", "--package", "bitters-node", "--lib", "--target", tools::WASI_TARGET, "--profile", "wasm"];
    let cargo = workspace.cargo().args(built).args(["--", "--ignored", "--nocapture", "messages_that_a_leader"]);
    if !cargo.env(runner, engine).show()?.success {
        bail!("the measurement of topics failed");
    }
    Ok(())
}

fn browsers(workspace: &Workspace) -> Result<()> {
    if !workspace.path("tests/bench").is_dir() {
        bail!("tests/bench is missing");
    }
    let server = build::server(workspace, true)?;
    if !playwright(workspace, "tests/bench", &server)?.inherit()?.success() {
        bail!("the measurements failed");
    }
    Ok(())
}

/// Playwright with the suite in `dir`, after a release build of what is served. The suite finds the `server`'s program in `REVPROXY`, what
/// it serves in `DIST`, and the browser in `CHROMIUM`.
pub fn playwright(workspace: &Workspace, dir: &str, server: &Path) -> Result<Cmd> {
    build::build(workspace, true)?;
    let chromium = tools::ensure_chromium(workspace)?;
    let playwright = workspace.npm_bin("playwright").args(["test", "-c", dir]);
    Ok(playwright
        .env("CHROMIUM", chromium)
        .env("DIST", workspace.dist(""))
        .env("NO_COLOR", "1")
        .env("REVPROXY", server))
}
