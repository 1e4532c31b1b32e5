//! What a first visit loads, against the goals.

use std::io::Write;

use anyhow::{Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::budget::Budget;
use crate::build::precache::is_kept;
use crate::build::{self, hosts};
use crate::tree::Tree;
use crate::workspace::Workspace;

/// The SDK, gzipped.
const SDK_GOAL: usize = 6 * 1024;
/// Everything that a first visit loads, in brotli.
const FIRST_VISIT_GOAL: usize = 150 * 1024;

/// Bytes of a file, or of some together: as they are, and compressed, each file by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Size {
    plain: usize,
    gzip: usize,
    brotli: usize,
}

/// Builds for release and prints the table; fails, if asked to `check`, where something is more than README.md promises.
pub fn size(workspace: &Workspace, check: bool) -> Result<()> {
    build::build(workspace, true)?;
    let node = Tree::read(&workspace.dist("node"))?;
    let sum = |wanted: &dyn Fn(&str) -> bool| {
        node.files().filter(|(path, _)| !path.ends_with(".br") && wanted(path)).try_fold(
            Size::default(),
            |sum, (path, content)| {
                Ok::<_, anyhow::Error>(sum.plus(Size::of(content, node.file(&format!("{path}.br")))?))
            },
        )
    };
    let asset = |name: &'static str, extension: &'static str| {
        move |path: &str| path.starts_with(&format!("assets/{name}.")) && path.ends_with(extension)
    };
    let rows = [
        ("SDK", sum(&|path| path == "sdk/bitters.js")?),
        ("frame, script", sum(&asset("frame", ".js"))?),
        ("frame, module", sum(&asset("frame", ".wasm"))?),
        ("leader, script", sum(&asset("leader", ".js"))?),
        ("leader, module", sum(&asset("leader", ".wasm"))?),
        ("page", sum(&is_page)?),
    ];
    let all = rows.iter().fold(Size::default(), |all, (_, size)| all.plus(*size));
    println!("{:<16}{:>10}{:>10}{:>10}", "bytes", "plain", "gzip", "brotli");
    for (name, size) in rows.iter().chain([&("first visit", all)]) {
        print_row(name, *size);
    }
    println!();
    let worker = sum(&|path| path == "sw.js")?;
    print_row("service worker", worker);
    print_precache(&node);
    println!();
    print_goal("SDK, gzip", rows[0].1.gzip, SDK_GOAL);
    print_goal("first visit, brotli", all.brotli, FIRST_VISIT_GOAL);
    if check {
        let exceeding =
            exceeding(&[("SDK, gzip", rows[0].1.gzip), ("first visit, brotli", all.brotli)], &Budget::read(workspace)?);
        if !exceeding.is_empty() {
            bail!("more than README.md promises (.ci/budget.toml): {}", exceeding.join("; "));
        }
    }
    Ok(())
}

/// Which of these have more bytes than they may, or no budget.
fn exceeding(sizes: &[(&str, usize)], budget: &Budget) -> Vec<String> {
    let may = |name: &str| budget.bytes.get(name).copied().unwrap_or_default();
    let exceeding = sizes.iter().filter(|(name, bytes)| *bytes > may(name));
    exceeding.map(|(name, bytes)| format!("{name} is {bytes} of {} bytes", may(name))).collect()
}

/// The document and what it links and fetches, at the top of the node.
fn is_page(path: &str) -> bool {
    !(path.contains('/') || path == "sw.js" || hosts::is_theirs(path))
}

/// What the service worker has the browser keep. Most of it has come by the first visit, and isn't loaded again.
fn print_precache(node: &Tree) {
    println!("the service worker keeps:");
    for (path, content) in node.files().filter(|(path, _)| is_kept(path)) {
        let only = if path.starts_with("assets/dedicated.") { " (only where there is no SharedWorker)" } else { "" };
        println!("{:>10} {path}{only}", content.len());
    }
}

fn print_row(name: &str, size: Size) {
    println!("{name:<16}{:>10}{:>10}{:>10}", size.plain, size.gzip, size.brotli);
}

fn print_goal(name: &str, bytes: usize, goal: usize) {
    let ratio = bytes as f64 / goal as f64;
    println!("{name}: {bytes} of {goal} bytes, {ratio:.2} of the goal");
}

impl Size {
    /// Of a file, which has been packed by brotli unless that makes it no smaller.
    fn of(content: &[u8], packed: Option<&[u8]>) -> Result<Self> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(content)?;
        Ok(Self { plain: content.len(), gzip: gzip.finish()?.len(), brotli: packed.unwrap_or(content).len() })
    }

    fn plus(self, other: Self) -> Self {
        Self { plain: self.plain + other.plain, gzip: self.gzip + other.gzip, brotli: self.brotli + other.brotli }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_what_is_at_the_top() {
        let paths =
            ["index.html", "style.css", "seeds.json", "sdk/bitters.js", "assets/frame.1.js", "sw.js", "_headers"];
        assert_eq!(paths.map(is_page), [true, true, true, false, false, false, false]);
    }

    #[test]
    fn what_exceeds_its_budget_is_named() {
        let bytes = [("SDK, gzip", 5120)].map(|(name, bytes)| (name.to_owned(), bytes)).into();
        let budget = Budget { seconds: [].into(), bytes };
        assert_eq!(exceeding(&[("SDK, gzip", 5120)], &budget), Vec::<String>::new());
        let sizes = [("SDK, gzip", 5121), ("first visit, brotli", 7)];
        assert_eq!(
            exceeding(&sizes, &budget),
            ["SDK, gzip is 5121 of 5120 bytes", "first visit, brotli is 7 of 0 bytes"]
        );
    }

    #[test]
    fn readme_promises_what_the_budget_allows() {
        let workspace = Workspace::find().unwrap();
        let readme = std::fs::read_to_string(workspace.path("README.md")).unwrap();
        let bytes = Budget::read(&workspace).unwrap().bytes;
        let sdk = format!("| the SDK | {:.1} KB gzipped |", bytes["SDK, gzip"] as f64 / 1000.0);
        let visit = format!("| a first visit, everything | {} KiB brotli |", bytes["first visit, brotli"] / 1024);
        for row in [sdk, visit] {
            assert!(readme.contains(&row), "README.md has no {row}");
        }
    }

    #[test]
    fn compression_is_counted_by_file() {
        let one = Size::of("again ".repeat(100).as_bytes(), Some(&[0; 20])).unwrap();
        assert!(one.plain == 600 && one.gzip < 60 && one.brotli == 20, "{one:?}");
        assert_eq!(Size::of(b"short", None).unwrap().brotli, 5, "it isn't packed");
        assert_eq!(one.plus(one), Size { plain: 1200, gzip: 2 * one.gzip, brotli: 2 * one.brotli });
    }
}
