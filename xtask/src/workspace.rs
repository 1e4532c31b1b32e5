//! Where things are.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cmd::Cmd;

/// The folders of one checkout.
pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Finds the checkout that this tool was built from, and asks cargo where it builds to.
    pub fn find() -> Result<Self> {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the checkout").to_path_buf();
        let metadata = cargo(&root).args(["metadata", "--no-deps", "--format-version", "1"]).read()?;
        let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata isn't JSON")?;
        let target = metadata["target_directory"].as_str().context("cargo metadata names no target directory")?.into();
        Ok(Self { root, target })
    }

    /// The checkout.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path inside the checkout.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.join(path)
    }

    /// A path inside the build's results.
    pub fn dist(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.join("dist").join(path)
    }

    /// A path inside cargo's target directory.
    pub fn target(&self, path: impl AsRef<Path>) -> PathBuf {
        self.target.join(path)
    }

    /// A path inside this tool's own folder for intermediate results.
    pub fn scratch(&self, path: impl AsRef<Path>) -> PathBuf {
        self.target.join("xtask").join(path)
    }

    /// Cargo, run in the checkout.
    pub fn cargo(&self) -> Cmd {
        cargo(&self.root)
    }

    /// Any program, run in the checkout.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Cmd {
        Cmd::new(program).dir(&self.root)
    }

    /// A program that an npm package brings.
    pub fn npm_bin(&self, name: &str) -> Cmd {
        self.command(self.path("node_modules/.bin").join(name))
    }
}

/// What the cargo that runs this tool says of it is kept from others: build scripts that look at it would run again, and much be built again.
const OURS: [&str; 5] = ["CARGO_BIN_", "CARGO_CRATE_", "CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_PRIMARY_"];

fn cargo(root: &Path) -> Cmd {
    Cmd::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).without_env(&OURS).dir(root)
}
