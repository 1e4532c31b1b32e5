//! The node's pages and the demo sites, from `static/`.

use anyhow::{Context, Result, bail};

use super::Mode;
use super::js::Bundle;
use crate::tree::Tree;
use crate::workspace::Workspace;

/// The folder that every site sees as `/shared/`.
const SHARED: &str = "shared";

/// The node's pages.
const NODE: &str = "static/node";

/// What makes up a node's looks beside its name, as the pages name it: part of them rather than files of their own.
const LOOKS: [(&str, &str); 2] = [("COLOURS", "colours.css"), ("MARK", "mark.svg")];

/// How people tell a node from another.
pub struct Brand {
    /// What it is called.
    pub name: &'static str,
    /// A folder whose files take the place of those of the same name among the node's pages.
    pub own: Option<&'static str>,
}

/// The node's pages; in those that end in `.html` or `.css` each `%NAME%` stands for a value.
pub fn node(workspace: &Workspace, brand: &Brand, values: &[(&str, &str)]) -> Result<Tree> {
    let mut sources = Tree::read(&workspace.path(NODE))?;
    if let Some(own) = brand.own {
        sources.replace(Tree::read(&workspace.path(own))?)?;
    }
    let looks = LOOKS.map(|(name, path)| Ok((name, text_of(&sources, path)?)));
    let looks = looks.into_iter().collect::<Result<Vec<_>>>()?;
    let mut values = [values, &[("NAME", brand.name)]].concat();
    values.extend(looks.iter().map(|(name, text)| (*name, text.as_str())));

    let mut pages = Tree::default();
    for (path, content) in sources.files().filter(|(path, _)| is_served(path)) {
        match path.rsplit_once('.') {
            Some((_, "css" | "html")) => {
                let text = text_of(&sources, path)?;
                pages.insert(path, fill(&text, &values).with_context(|| format!("{NODE}/{path}"))?);
            }
            _ => pages.insert(path, content),
        }
    }
    Ok(pages)
}

/// Scripts are bundled, and looks are part of the pages.
fn is_served(path: &str) -> bool {
    !path.ends_with(".ts") && LOOKS.iter().all(|(_, look)| *look != path)
}

/// A file's text, without what ends its last line.
fn text_of(tree: &Tree, path: &str) -> Result<String> {
    let (_, content) = tree.files().find(|(known, _)| *known == path).with_context(|| format!("no {path}"))?;
    let text = std::str::from_utf8(content).with_context(|| format!("{path} isn't text"))?;
    Ok(text.trim_end().to_owned())
}

/// All demo sites, each in its folder with what they share.
pub fn sites(workspace: &Workspace, mode: Mode) -> Result<Tree> {
    let sources = Tree::read(&workspace.path("static/sites"))?;
    let mut sites = Tree::default();
    for site in names(&sources).filter(|name| *name != SHARED) {
        sites.graft(&format!("{site}/"), files_of(&sources, site));
        sites.graft(&format!("{site}/{SHARED}/"), files_of(&sources, SHARED));
        let entry = format!("static/sites/{site}/main.ts");
        if let Some(script) = Bundle::new(&entry).build_if_there(workspace, mode)? {
            sites.insert(format!("{site}/main.js"), script);
        }
    }
    Ok(sites)
}

/// The folders at the top, each once.
fn names(sources: &Tree) -> impl Iterator<Item = &str> {
    let mut last = "";
    sources.files().filter_map(move |(path, _)| {
        let (name, _) = path.split_once('/')?;
        (name != std::mem::replace(&mut last, name)).then_some(name)
    })
}

/// What is served as it is: everything but TypeScript.
fn files_of(sources: &Tree, folder: &str) -> Tree {
    let mut tree = Tree::default();
    let prefix = format!("{folder}/");
    for (path, content) in sources.files() {
        if let Some(path) = path.strip_prefix(&prefix).filter(|path| !path.ends_with(".ts")) {
            tree.insert(path, content);
        }
    }
    tree
}

/// Replaces each `%NAME%`. One without a value is a mistake.
fn fill(text: &str, values: &[(&str, &str)]) -> Result<String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, name, after)) = next_placeholder(rest) {
        let Some((_, value)) = values.iter().find(|(known, _)| *known == name) else {
            bail!("nothing is known as %{name}%");
        };
        filled.push_str(before);
        filled.push_str(value);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// What is before the first `%NAME%`, its name, and what is after it. A name has capitals and underscores.
fn next_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    text.match_indices('%').find_map(|(start, _)| {
        let (name, after) = text[start + 1..].split_once('%')?;
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        is_name.then(|| (&text[..start], name, after))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: [(&str, &str); 2] = [("BUILD", "b1"), ("FRAME_JS", "/assets/frame.js")];

    #[test]
    fn each_placeholder_is_replaced() {
        let text = r#"<html data-build="%BUILD%"><script src="%FRAME_JS%"></script> 50% of %BUILD%"#;
        let filled = r#"<html data-build="b1"><script src="/assets/frame.js"></script> 50% of b1"#;
        assert_eq!(fill(text, &VALUES).unwrap(), filled);
    }

    #[test]
    fn percent_signs_elsewhere_stay() {
        assert_eq!(fill("width: 50%; height: 20%;", &VALUES).unwrap(), "width: 50%; height: 20%;");
    }

    #[test]
    fn an_unknown_placeholder_is_a_mistake() {
        assert_eq!(fill("%FRAME_CSS%", &VALUES).unwrap_err().to_string(), "nothing is known as %FRAME_CSS%");
    }

    #[test]
    fn looks_and_scripts_are_no_files_of_their_own() {
        let paths = ["404.html", "colours.css", "icon.svg", "index.html", "link.ts", "mark.svg", "style.css"];
        assert_eq!(
            paths.into_iter().filter(|path| is_served(path)).collect::<Vec<_>>(),
            ["404.html", "icon.svg", "index.html", "style.css"]
        );
    }

    #[test]
    fn sites_are_the_folders() {
        let mut sources = Tree::default();
        for path in
            ["alice/index.html", "alice/main.ts", "bob/index.html", "readme.txt", "shared/room.ts", "shared/style.css"]
        {
            sources.insert(path, path);
        }
        assert_eq!(names(&sources).collect::<Vec<_>>(), ["alice", "bob", "shared"]);
        assert_eq!(
            files_of(&sources, "shared").files().collect::<Vec<_>>(),
            [("style.css", b"shared/style.css".as_slice())]
        );
    }
}
