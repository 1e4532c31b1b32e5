//! Format, lints and types, with nothing let through.

use anyhow::Result;

use crate::imports;
use crate::tools;
use crate::workspace::Workspace;

/// The crates that only make sense in a browser, whose code for wasm32 no native check sees.
const BROWSER: [&str; 8] = [
    "bitters-web",
    "bitters-frame",
    "bitters-frame-module",
    "bitters-leader",
    "bitters-leader-module",
    "bitters-dedicated",
    "bitters-dedicated-module",
    "guestbook-node",
];
/// Type checks: scripts of pages and tests, scripts of workers, and the SDK.
const TSCONFIGS: [&str; 3] = ["tsconfig.json", "tsconfig.worker.json", "host-sdk/tsconfig.json"];

/// Runs all checks, to the first that fails.
pub fn check(workspace: &Workspace) -> Result<()> {
    tools::ensure_components(workspace)?;
    workspace.cargo().args(["fmt", "--all", "--check"]).run("cargo fmt --check")?;
    imports::check(&workspace.root().join("node/src"))?;

    let clippy = || workspace.cargo().args(["clippy", "--locked"]);
    let deny = ["--", "-D", "warnings"];
    clippy().args(["--workspace", "--all-targets"]).args(deny).run("clippy")?;
    tools::ensure_target(workspace, tools::WASM_TARGET)?;
    let packages = BROWSER.iter().flat_map(|name| ["--package", name]);
    clippy().args(["--target", tools::WASM_TARGET]).args(packages).args(deny).run("clippy (wasm32)")?;

    tools::ensure_npm(workspace)?;
    for config in TSCONFIGS {
        workspace.npm_bin("tsc").args(["--noEmit", "-p", config]).run(&format!("tsc -p {config}"))?;
    }
    println!("format, lints and types are in order");
    Ok(())
}
