//! What a commit says that a database is: its files, and the baseline that stands among them.
//!
//! It asks no database, and makes nothing.

use crate::engine::git::Source;
use crate::engine::history;
use crate::engine::project::Project;
use crate::engine::prove;
use crate::engine::upgrade::baseline_claims;
use crate::error::{Error, Result};
use crate::model::baseline::Baseline;
use crate::model::config::Config;
use crate::model::sources::Sources;
use crate::model::version::Version;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a commit says that a database is.
pub(super) struct Wanted {
    /// None where the files that lie here count.
    pub commit: Option<String>,
    pub config: Config,
    pub sources: Sources,
    /// The baseline.
    pub text: Arc<str>,
    /// The versions that its baseline holds.
    pub held: BTreeSet<Version>,
}

impl Wanted {
    /// Reads it from a commit, or from the work tree without one.
    ///
    /// # Errors
    /// There is no baseline, or something of it cannot be read.
    pub fn read(project: &Project, commit: Option<String>) -> Result<Wanted> {
        let tree = project.tree(&commit.clone().map_or(Source::WorkTree, Source::Rev))?;
        let sources = tree.sources(project)?;
        let path = &tree.config.paths.baseline;
        let place = commit.as_deref().map_or_else(String::new, |commit| format!(" in {}", short(commit)));
        let bytes = sources.baseline.clone().ok_or_else(|| {
            Error::failed(format!("there is no baseline {path}{place}"))
                .help("commit the baseline with the migrations; `--rev` names a commit that has one.")
        })?;
        let text =
            std::str::from_utf8(&bytes).map_err(|e| Error::failed(format!("{path}{place} is not UTF-8")).cause(e))?;
        let held = history::held_by_baseline(&Baseline::parse(text, path)?)?.applied;
        let held = held.into_iter().map(|row| row.version).collect();
        Ok(Wanted { commit, held, text: Arc::from(text), sources, config: tree.config })
    }

    /// Whether the baseline was made from other files than the commit has.
    pub fn is_stale(&self) -> bool {
        !baseline_claims(self.text.as_bytes(), &prove::inputs(&self.config, &self.sources))
    }
}

/// The first digits of a commit.
pub fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}
