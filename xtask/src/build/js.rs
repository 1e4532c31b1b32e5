//! JavaScript: esbuild for what pages and workers load, and the SDK's own build.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::Mode;
use crate::tree::Tree;
use crate::workspace::Workspace;

/// What scripts import the code made by wasm-bindgen as.
const GLUE: &str = "#glue";

/// A name that esbuild replaces by a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant(String);

impl Constant {
    /// `--define` takes JavaScript; JSON is that.
    pub fn new(name: &str, value: impl Into<serde_json::Value>) -> Self {
        Self(format!("--define:{name}={}", value.into()))
    }
}

/// A script and all that it imports, in one ES module.
pub struct Bundle<'a> {
    entry: &'a str,
    glue: Option<&'a Path>,
    constants: Vec<Constant>,
}

impl<'a> Bundle<'a> {
    /// The bundle of a script in the checkout.
    pub fn new(entry: &'a str) -> Self {
        Self { entry, glue: None, constants: Vec::new() }
    }

    /// Resolves imports of `#glue` to this file.
    pub fn glue(mut self, path: &'a Path) -> Self {
        self.glue = Some(path);
        self
    }

    pub fn constant(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.constants.push(Constant::new(name, value));
        self
    }

    pub fn constants(mut self, constants: &[Constant]) -> Self {
        self.constants.extend_from_slice(constants);
        self
    }

    /// The bundle's content.
    pub fn build(self, workspace: &Workspace, mode: Mode) -> Result<Vec<u8>> {
        let entry = self.entry;
        match self.build_if_there(workspace, mode)? {
            Some(script) => Ok(script),
            None => bail!("{entry} is missing"),
        }
    }

    /// The bundle's content, or nothing where there is no such script.
    pub fn build_if_there(self, workspace: &Workspace, mode: Mode) -> Result<Option<Vec<u8>>> {
        if !workspace.path(self.entry).is_file() {
            return Ok(None);
        }
        let mut esbuild = workspace.npm_bin("esbuild").arg(self.entry);
        esbuild = esbuild.args([
            "--bundle",
            "--format=esm",
            "--target=es2022",
            "--log-level=warning",
            "--legal-comments=none",
        ]);
        esbuild = esbuild.args(self.constants.iter().map(|constant| &constant.0));
        if let Some(glue) = self.glue {
            esbuild = esbuild.arg(format!("--alias:{GLUE}={}", glue.display()));
        }
        if mode == Mode::Release {
            esbuild = esbuild.arg("--minify");
        }
        let script = esbuild.read().with_context(|| format!("the bundle of {}", self.entry))?;
        Ok(Some(script.into_bytes()))
    }
}

/// The SDK, built by its own package.
pub fn sdk(workspace: &Workspace) -> Result<Tree> {
    workspace.command("npm").args(["run", "build", "--silent", "-w", "host-sdk"]).run("build the SDK")?;
    Tree::read(&workspace.path("host-sdk/dist"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_is_javascript() {
        assert_eq!(Constant::new("URL", "/a\"b"), Constant(r#"--define:URL="/a\"b""#.to_owned()));
        let files = serde_json::json!({ "/": "0a" });
        assert_eq!(Constant::new("FILES", files), Constant(r#"--define:FILES={"/":"0a"}"#.to_owned()));
    }
}
