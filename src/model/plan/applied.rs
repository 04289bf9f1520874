//! What was applied beside what the tree has: other content, versions without a file.

use super::{Applied, History, PlanOptions, may_differ};
use crate::error::{Error, Location, Result};
use crate::model::checksum::Checksum;
use crate::model::sources::Sources;
use crate::model::version::Version;
use std::collections::BTreeMap;

/// Applied migrations must have the content that was applied. One that was interrupted may be mended: its journal knows
/// which of its statements must stay.
pub(super) fn unchanged(
    sources: &Sources,
    applied: &BTreeMap<&Version, &Applied>,
    options: &PlanOptions,
) -> Result<()> {
    let errors = sources.all_migrations().into_iter().filter_map(|migration| {
        let row = applied.get(&migration.version)?;
        (row.complete && row.checksum != migration.checksum && !may_differ(sources, migration)).then(|| {
            Error::failed(other_content(row, &migration.checksum)).at(Location::file(&migration.path))
            .help(if options.protected {
                "an applied migration is never edited: take the edit back and write a new migration. Nothing was run."
            } else {
                "take the edit back and write a new migration; or, where only your own database has it, `dbbuild reset` \
                 builds that anew. Nothing was run."
            })
        })
    });
    Error::all(errors).map_or(Ok(()), Err)
}

/// Says that a row and its file differ.
pub fn other_content(row: &Applied, now: &Checksum) -> String {
    format!(
        "{}_{} was applied to this database with other content (sha256 {} then, {} now)",
        row.version,
        row.name,
        short(&row.checksum),
        short(now)
    )
}

/// The first digits of a checksum, as git shortens an object id.
pub fn short(checksum: &Checksum) -> String {
    checksum.to_string().chars().take(12).collect()
}

pub(super) fn unknown_versions(sources: &Sources, history: &History) -> Vec<String> {
    let unknown = history.applied.iter().filter(|row| sources.migration(&row.version).is_none());
    unknown
        .map(|row| format!("{}_{} is applied here, but no file of this tree has it", row.version, row.name))
        .collect()
}
