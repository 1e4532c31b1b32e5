//! A node: its leader, its dedicated worker, its frame and its pages.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::js::{Bundle, Constant};
use super::pages::Brand;
use super::precache::Precache;
use super::wasm::Modules;
use super::{Mode, pages};
use crate::hash::{asset_url, digest};
use crate::tree::Tree;
use crate::workspace::Workspace;

/// The crates that become browser modules.
pub const CRATES: [&str; 4] = [FRAME.package, LEADER.package, DEDICATED.package, GUESTBOOK_LEADER.package];

/// The nodes that are built.
pub const NODES: [Node; 2] = [
    Node { dir: "node", brand: Brand { name: "bitters", own: None }, leader: LEADER, dedicated: DEDICATED },
    Node {
        dir: "guestbook",
        brand: Brand { name: "guestbook", own: Some("examples/guestbook-node/static") },
        leader: GUESTBOOK_LEADER,
        dedicated: GUESTBOOK_DEDICATED,
    },
];

const FRAME: Part = Part { name: "frame", package: "bitters-frame-module", boot: "frame/boot.ts" };
const LEADER: Part = Part { name: "leader", package: "bitters-leader-module", boot: "shared-worker/boot.ts" };
const DEDICATED: Part =
    Part { name: "dedicated", package: "bitters-dedicated-module", boot: "shared-worker/dedicated/boot.ts" };
const GUESTBOOK_LEADER: Part = Part { package: "guestbook-node", ..LEADER };
const GUESTBOOK_DEDICATED: Part = Part { package: GUESTBOOK_LEADER.package, ..DEDICATED };

/// What a frame loads when it is wanted: the constant of its URL, its name, and where it is.
const LAZY: [(&str, &str, &str); 5] = [
    ("ADDRESSES_URL", "addresses", "frame/addresses.ts"),
    ("CONSENT_URL", "consent", "frame/consent.ts"),
    ("EXCHANGE_URL", "exchange", "frame/exchange.ts"),
    ("LINK_URL", "link", "static/node/link.ts"),
    ("PAGE_URL", "page", "static/node/page.ts"),
];

/// A node differs from another by its leader, whichever worker that is in, and by its looks.
pub struct Node {
    /// The folder in `dist`.
    pub dir: &'static str,
    brand: Brand,
    leader: Part,
    dedicated: Part,
}

/// A module and the JavaScript that starts it.
struct Part {
    name: &'static str,
    package: &'static str,
    boot: &'static str,
}

/// All files of a node.
pub fn tree(workspace: &Workspace, mode: Mode, node: &Node, modules: &Modules) -> Result<Tree> {
    let mut tree = Tree::default();
    let build = build_id(workspace, node, modules)?;
    let mut known = vec![Constant::new("BUILD", build.as_str())];

    let leader = node.leader.add_to(&mut tree, workspace, mode, modules, &known)?;
    known.push(Constant::new("LEADER_URL", leader.as_str()));
    let dedicated = node.dedicated.add_to(&mut tree, workspace, mode, modules, &known)?;
    known.push(Constant::new("DEDICATED_URL", dedicated.as_str()));
    for (constant, name, path) in LAZY {
        let script = Bundle::new(path).build(workspace, mode)?;
        let url = asset_url(name, "js", &script);
        tree.insert(url.as_str(), script);
        known.push(Constant::new(constant, url.as_str()));
    }
    let frame = FRAME.add_to(&mut tree, workspace, mode, modules, &known)?;

    let wasm = asset_url(FRAME.name, "wasm", &modules.of(FRAME.package).wasm);
    let values = [("BUILD", build.as_str()), ("FRAME_JS", &frame), ("FRAME_WASM", &wasm)];
    tree.graft("", pages::node(workspace, &node.brand, &values)?);
    let worker = service_worker(workspace, mode, &Precache::of(&tree))?;
    tree.insert("sw.js", worker);
    Ok(tree)
}

impl Part {
    /// Adds the module and its bundle; returns the bundle's URL.
    fn add_to(
        &self,
        tree: &mut Tree,
        workspace: &Workspace,
        mode: Mode,
        modules: &Modules,
        known: &[Constant],
    ) -> Result<String> {
        let module = modules.of(self.package);
        let wasm_url = asset_url(self.name, "wasm", &module.wasm);
        let bundle = Bundle::new(self.boot).glue(&module.glue).constants(known).constant("WASM_URL", wasm_url.as_str());
        let script = bundle.build(workspace, mode)?;
        let url = asset_url(self.name, "js", &script);
        tree.insert(wasm_url, module.wasm.as_slice());
        tree.insert(url.as_str(), script);
        Ok(url)
    }
}

/// Different for each set of files: browsers look for another by comparing this script.
fn service_worker(workspace: &Workspace, mode: Mode, precache: &Precache) -> Result<Vec<u8>> {
    let worker = Bundle::new("service-worker/main.ts");
    worker.constant("FILES", precache.files()).constant("ID", precache.id()).build(workspace, mode)
}

/// The hash of all code that must fit together: modules, their glue and the scripts that start them.
fn build_id(workspace: &Workspace, node: &Node, modules: &Modules) -> Result<String> {
    let mut parts = Vec::new();
    for part in [&node.leader, &node.dedicated, &FRAME] {
        parts.push(modules.of(part.package).digest.clone().into_bytes());
        for script in scripts_beside(&workspace.path(part.boot))? {
            parts.push(fs::read(&script).with_context(|| script.display().to_string())?);
        }
    }
    let mut id = digest(parts.iter().map(Vec::as_slice));
    id.truncate(16);
    Ok(id)
}

/// The TypeScript files in a script's folder, sorted.
fn scripts_beside(boot: &std::path::Path) -> Result<Vec<PathBuf>> {
    let dir = boot.parent().context("a script is in a folder")?;
    let entries = fs::read_dir(dir).with_context(|| format!("{} can't be read", dir.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "ts"));
    paths.sort();
    Ok(paths)
}
