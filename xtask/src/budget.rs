//! What a run and what people load may cost: `.ci/budget.toml`.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::workspace::Workspace;

/// By the names of what costs it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Of commands and steps of a run with nothing built before, on two cores.
    pub seconds: BTreeMap<String, f64>,
    /// Of what people load, as README.md promises.
    pub bytes: BTreeMap<String, usize>,
}

impl Budget {
    pub fn read(workspace: &Workspace) -> Result<Self> {
        let path = workspace.path(".ci/budget.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("{} can't be read", path.display()))?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    }
}
