//! From sources to `dist/`: modules, bundles, pages, sites.
//!
//! Order matters, since assets name each other by the hash of their content: a leader's module, then the leader that loads it, the
//! dedicated worker, the frame that names both, and at last the pages that name the frame.

pub mod hosts;
mod js;
mod node;
mod pages;
pub mod precache;
mod wasm;

use anyhow::{Context, Result};

use crate::step::step;
use crate::tools;
use crate::tree::Tree;
use crate::workspace::Workspace;

use node::NODES;
use wasm::Modules;

/// How a build is meant to be used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// Quick to build and readable.
    Work,
    /// As people load it.
    Release,
}

impl Mode {
    /// Cargo's profile for browser modules.
    pub fn wasm_profile(self) -> &'static str {
        match self {
            Self::Release => "wasm",
            Self::Work => "wasm-dev",
        }
    }

    /// Cargo's profile for native programs, as the name of its folder.
    pub fn native_dir(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Work => "debug",
        }
    }
}

/// Builds everything that is served.
pub fn build(workspace: &Workspace, release: bool) -> Result<()> {
    let mode = if release { Mode::Release } else { Mode::Work };
    tools::ensure_target(workspace, tools::WASM_TARGET)?;
    tools::ensure_npm(workspace)?;

    let modules = Modules::build(workspace, mode)?;
    let sdk = js::sdk(workspace)?;
    for node in &NODES {
        let mut tree = node::tree(workspace, mode, node, &modules).with_context(|| format!("dist/{}", node.dir))?;
        tree.graft("sdk/", sdk.clone());
        hosts::add_to(&mut tree);
        finish(workspace, mode, tree, node.dir)?;
    }
    hosts::beside().write(&workspace.dist("hosting"))?;
    finish(workspace, mode, sdk, "sdk")?;
    finish(workspace, mode, pages::sites(workspace, mode)?, "sites")
}

/// Builds the server, and returns the path of its program.
pub fn server(workspace: &Workspace, release: bool) -> Result<std::path::PathBuf> {
    let mode = if release { Mode::Release } else { Mode::Work };
    let cargo = workspace.cargo().args(["build", "--locked", "--package", "bitters-revproxy", "--bin", "revproxy"]);
    let cargo = if release { cargo.arg("--release") } else { cargo };
    cargo.run("build revproxy")?;
    Ok(workspace.target(mode.native_dir()).join("revproxy"))
}

fn finish(workspace: &Workspace, mode: Mode, mut tree: Tree, dir: &str) -> Result<()> {
    if mode == Mode::Release {
        step(&format!("compress dist/{dir}"), || tree.add_brotli(&workspace.scratch("brotli")))?;
    }
    tree.write(&workspace.dist(dir))
}
