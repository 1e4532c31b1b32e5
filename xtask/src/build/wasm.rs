//! Browser modules: cargo, then wasm-bindgen, then wasm-opt for a release.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

use super::Mode;
use super::node::CRATES;
use crate::hash::digest;
use crate::step::{at_once, cores, step};
use crate::tools::WASM_TARGET;
use crate::tree::{Tree, cached};
use crate::workspace::Workspace;

/// The built modules, by their crates' names.
pub struct Modules(BTreeMap<&'static str, Module>);

/// A module and the JavaScript that loads it.
pub struct Module {
    /// The module's bytes.
    pub wasm: Vec<u8>,
    /// The path of the JavaScript module made by wasm-bindgen.
    pub glue: PathBuf,
    /// The hash of module and JavaScript together.
    pub digest: String,
}

impl Modules {
    /// Builds all of them in one run of cargo.
    pub fn build(workspace: &Workspace, mode: Mode) -> Result<Self> {
        let profile = mode.wasm_profile();
        let packages = CRATES.iter().flat_map(|name| ["--package", name]);
        workspace
            .cargo()
            .args([
                "build",
                "--locked",
                "--lib",
                "--target",
                WASM_TARGET,
                "--profile",
                profile,
                "--config",
                &remap(workspace)?,
            ])
            .args(packages)
            .run(&format!("build modules ({profile})"))?;
        let bind = |name: &&'static str| {
            let module = Module::bind(workspace, mode, name).with_context(|| format!("the module of {name}"))?;
            Ok((*name, module))
        };
        let modules = step("bind and optimise modules", || at_once(cores(), &CRATES, bind))?;
        Ok(Self(modules.into_iter().collect()))
    }

    /// The module of a crate in [`CRATES`].
    pub fn of(&self, name: &str) -> &Module {
        self.0.get(name).expect("every crate of CRATES is built")
    }
}

impl Module {
    fn bind(workspace: &Workspace, mode: Mode, name: &str) -> Result<Self> {
        let file = format!("{}.wasm", name.replace('-', "_"));
        let input = workspace.target(WASM_TARGET).join(mode.wasm_profile()).join(file);
        let Ok(content) = fs::read(&input) else {
            bail!("cargo made no {}: its Cargo.toml needs crate-type = [\"cdylib\"]", input.display());
        };
        let dir = workspace.scratch("glue").join(mode.wasm_profile()).join(name);
        let key = digest([content.as_slice()]); // names wasm-bindgen's version too, which must be ours
        if fs::read_to_string(dir.join("key")).ok().as_deref() != Some(key.as_str()) {
            bindgen(&input, &dir, mode)?;
            fs::write(dir.join("key"), &key)?;
        }
        let glue = Tree::read(&dir)?;
        let wasm = fs::read(dir.join("glue_bg.wasm"))?;
        let wasm = match mode {
            Mode::Release => optimised(workspace, name, &wasm)?,
            Mode::Work => wasm,
        };
        Ok(Self { digest: digest([glue.digest().as_bytes(), &wasm]), glue: dir.join("glue.js"), wasm })
    }
}

/// The loader gets the module's URL from the bundle that calls it, so the one that wasm-bindgen guesses is left out.
fn bindgen(input: &Path, dir: &Path, mode: Mode) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir)?; // snippets of an earlier build
    }
    Bindgen::new()
        .input_path(input)
        .out_name("glue")
        .web(true)?
        .typescript(false)
        .omit_default_module_path(true)
        .remove_name_section(mode == Mode::Release)
        .remove_producers_section(mode == Mode::Release)
        .generate(dir)
}

/// Control flow made anew packs better, and `-Os` twice better than `-Oz`. The lowest 1024 bytes of memory are the far end of the stack, so that
/// no address of anything is as low.
const SMALLER: [&str; 5] = ["--flatten", "--rereloop", "-Os", "-Os", "--low-memory-unused"];

fn optimised(workspace: &Workspace, name: &str, wasm: &[u8]) -> Result<Vec<u8>> {
    let cache = workspace.scratch("wasm-opt");
    fs::create_dir_all(&cache)?;
    let lock = fs::read(workspace.path("package-lock.json"))?; // pins the optimiser
    let key = digest([wasm, &lock, SMALLER.join(" ").as_bytes()]);
    cached(&cache.join(&key), || {
        let (input, output) = (cache.join(format!("{key}.{name}.in")), cache.join(format!("{key}.{name}.out")));
        fs::write(&input, wasm)?;
        workspace.npm_bin("wasm-opt").args(SMALLER).arg(&input).arg("-o").arg(&output).read()?;
        let optimised = fs::read(&output)?;
        fs::remove_file(&input)?;
        fs::remove_file(&output)?;
        Ok(optimised)
    })
}

/// Panics name source files: by their crate, not by the folders of the machine that built them.
fn remap(workspace: &Workspace) -> Result<String> {
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home =
        cargo_home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).context("there is no home directory")?;
    let flags = [(cargo_home.as_path(), "cargo"), (workspace.root(), ".")]
        .map(|(from, to)| serde_json::Value::from(format!("--remap-path-prefix={}={to}", from.display())));
    Ok(format!("target.{WASM_TARGET}.rustflags=[{},{}]", flags[0], flags[1]))
}
