//! What is published: the sources that upstream has, against which those of a branch are judged.
//!
//! Pure: who finds the commit and reads its files is an edge.

use crate::model::config::Config;
use crate::model::migration::Migration;
use crate::model::sources::Sources;

/// The published state that a judged set of files is compared with.
#[derive(Debug, Clone)]
pub struct Base {
    /// Its commit, in full.
    pub commit: String,
    /// For messages: "origin/HEAD (1a2b3c4)".
    pub name: String,
    /// The configuration that stands there.
    pub config: Config,
    /// The sources that stand there, with upstream's baseline and test data.
    pub sources: Sources,
}

impl Base {
    /// Whether a migration stands in upstream: its version does, whatever its content.
    pub fn publishes(&self, migration: &Migration) -> bool {
        self.sources.migrations.binary_search_by(|published| published.version.cmp(&migration.version)).is_ok()
    }
}
