//! Applied migrations whose files were rewritten with leave since: they count as applied.

use super::{Applied, History};
use crate::model::baseline::{Rewritten, rewritten_of};
use crate::model::migration::Migration;
use crate::model::sources::Sources;
use crate::model::version::Version;
use std::collections::BTreeMap;

/// Whether the baseline's header records that this migration was rewritten to what it is now, with leave: databases that
/// have the older content do not run it again.
pub fn may_differ(sources: &Sources, migration: &Migration) -> bool {
    let text = sources.baseline.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    let leave = Rewritten { version: migration.version.clone(), content: Some(migration.checksum) };
    rewritten_of(&text).contains(&leave)
}

/// What was applied before it was rewritten with leave, told in every plan: nothing runs, and nothing hides it.
pub(super) fn notes(sources: &Sources, history: &History) -> Vec<String> {
    let rows: BTreeMap<&Version, &Applied> = history.applied.iter().map(|row| (&row.version, row)).collect();
    let rewritten = sources.all_migrations().into_iter().filter(|migration| {
        let row = rows.get(&migration.version);
        row.is_some_and(|row| row.complete && row.checksum != migration.checksum) && may_differ(sources, migration)
    });
    rewritten
        .map(|migration| {
            format!(
                "{}_{} was applied here before it was rewritten with leave; it does not run again",
                migration.version, migration.name
            )
        })
        .collect()
}
