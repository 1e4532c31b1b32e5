//! Imports that run one way: the table of modules in a crate's `lib.rs` is their order.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

/// Fails for each import of a module that stands below its user, or isn't in the table.
pub fn check(src: &Path) -> Result<()> {
    let lib = fs::read_to_string(src.join("lib.rs")).with_context(|| format!("{} has no lib.rs", src.display()))?;
    let order = table(&lib);
    let mut wrong = Vec::new();
    for file in files(src)? {
        let place = file.strip_prefix(src)?.to_string_lossy().replace('\\', "/");
        let module = place.split(['/', '.']).next().unwrap_or_default();
        if module == "lib" || place.contains("/tests") {
            continue;
        }
        let rank = |name: &str| order.iter().position(|it| it == name);
        for used in imports(&fs::read_to_string(&file)?).iter().filter(|it| **it != module) {
            match (rank(module), rank(used)) {
                (Some(ours), Some(theirs)) if theirs < ours => {}
                (_, None) if used.starts_with(char::is_uppercase) => {}
                _ => wrong.push(format!("{place} uses `{used}`")),
            }
        }
    }
    if !wrong.is_empty() {
        bail!("imports against the order of the table in {}/lib.rs:\n{}", src.display(), wrong.join("\n"));
    }
    Ok(())
}

/// The modules that the table names, in order.
fn table(lib: &str) -> Vec<String> {
    let rows = lib.lines().filter_map(|line| line.strip_prefix("//! | `"));
    rows.filter_map(|row| row.split_once('`').map(|(name, _)| name.to_owned())).collect()
}

/// The names that follow `crate::`, alone and in groups, but for those in tests.
fn imports(code: &str) -> BTreeSet<String> {
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => names.extend(first_names(group)),
            None => drop(names.insert(name(rest))),
        }
    }
    names
}

/// The first name of each item in a group, which may have groups of its own.
fn first_names(group: &str) -> Vec<String> {
    let (mut depth, mut names, mut begins) = (0_usize, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            _ if begins && !c.is_whitespace() => {
                names.push(name(&group[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    names
}

fn name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIB: &str = "//! | module | idea |\n//! | --- | --- |\n//! | `low` | a |\n//! | `high` | b |\n";

    #[test]
    fn a_module_uses_those_above_it_in_the_table_only() {
        let crate_of = |low: &str, high: &str| {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("high")).unwrap();
            for (place, text) in [("lib.rs", LIB), ("low.rs", low), ("high/mod.rs", high)] {
                fs::write(dir.path().join(place), text).unwrap();
            }
            check(dir.path()).map_err(|error| error.to_string())
        };
        assert_eq!(
            crate_of("use crate::Top;", "use crate::{low::{A, B}, high::C};\nfn f() { crate::low::g() }"),
            Ok(())
        );
        let wrong = [
            ("use crate::high::A;", ""),
            ("use crate::{\n    low::B,\n    high::{A},\n};", ""),
            ("fn f() { crate::high::g() }", ""),
            ("", "use crate::unknown::A;"),
        ];
        for (low, high) in wrong {
            assert!(crate_of(low, high).is_err_and(|error| error.contains(" uses `")), "{low} {high}");
        }
        let tests = "// crate::high::A\n#[cfg(test)]\nmod tests {\n    use crate::high::A;\n}";
        assert_eq!(crate_of(tests, ""), Ok(()), "comments and tests may look up");
    }
}
