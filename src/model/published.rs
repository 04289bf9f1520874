//! What is published: the sources that upstream has, against which those of a branch are judged; and the rule that a
//! published migration never changes.
//!
//! Pure: who finds the commits and reads their files is an edge.

use crate::model::baseline::Rewritten;
use crate::model::checksum::Checksum;
use crate::model::config::Config;
use crate::model::migration::Migration;
use crate::model::sources::Sources;
use crate::model::squash::{self, Replaced};
use crate::model::version::Version;

/// The published state that a judged set of files is compared with.
#[derive(Debug, Clone)]
pub struct Base {
    /// Its commit, in full.
    pub commit: String,
    /// For messages: "origin/HEAD (1a2b3c4)".
    pub name: String,
    /// The configuration that stands there.
    pub config: Config,
    /// The sources that stand there, with upstream's baseline and test data. Files that are not sound are left out, and
    /// with them the baseline.
    pub sources: Sources,
    /// The newest commit that is published.
    pub tip: String,
    /// The migrations that it has beyond these sources, in version order.
    pub ahead: Vec<Migration>,
}

impl Base {
    /// Whether a migration stands in upstream: its version does, whatever its content.
    pub fn publishes(&self, migration: &Migration) -> bool {
        self.sources.migration(&migration.version).is_some()
    }

    /// The sum over everything that a judgement takes from here; `config_part` and
    /// `roles_part` are what counts of the configuration and of the roles file.
    pub fn digest(&self, config_part: &str, roles_part: Option<&str>) -> Checksum {
        let mut text = self.sources.proof_digest(config_part, roles_part).to_string();
        for migration in &self.ahead {
            text.push_str(&format!("\n{} {}", migration.checksum, migration.label().escape_default()));
        }
        Checksum::of_text(&text)
    }
}

/// What was done to a published migration, or by another branch to a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Its content differs.
    Edited,
    /// Its content stands under another name with the same version.
    Renamed,
    /// Its content stands under another version.
    Moved,
    /// It is gone.
    Removed,
    /// Upstream has got another migration of this version since.
    Taken,
}

/// A migration that is not as published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation<'a> {
    /// What was done.
    pub change: Change,
    /// As upstream has it.
    pub published: &'a Migration,
    /// As it stands in what is judged; none where it was removed.
    pub judged: Option<&'a Migration>,
}

impl Violation<'_> {
    /// The leave that this wants.
    pub fn as_rewritten(&self) -> Rewritten {
        let same = self.judged.filter(|judged| judged.version == self.published.version);
        Rewritten { version: self.published.version.clone(), content: same.map(|judged| judged.checksum) }
    }
}

/// A version after all of these, as wide as the greatest.
pub fn next_version<'a>(known: impl Iterator<Item = &'a Version>) -> String {
    let mut digits: Vec<u8> = known.max().map(|version| version.as_str().bytes().collect()).unwrap_or_default();
    for digit in digits.iter_mut().rev() {
        if *digit != b'9' {
            *digit += 1;
            return String::from_utf8_lossy(&digits).into_owned();
        }
        *digit = b'0';
    }
    format!("1{}", String::from_utf8_lossy(&digits))
}

/// Every published migration that is not what it was, and every new one whose version another branch published first.
/// Line ends and the folder do not count.
pub fn violations<'a>(base: &'a Base, judged: &[&'a Migration]) -> Vec<Violation<'a>> {
    let published = base.sources.all_migrations();
    let mut found: Vec<_> = published.iter().filter_map(|old| changed(old, &published, judged)).collect();
    for old in base.ahead.iter().filter(|old| find(&published, &old.version).is_none()) {
        if let Some(new) = find(judged, &old.version)
            && (new.checksum != old.checksum || new.label() != old.label())
        {
            found.push(Violation { change: Change::Taken, published: old, judged: Some(new) });
        }
    }
    found
}

/// What a new squash lists and upstream does not have: deployed databases may lack it, and then would be refused.
pub fn unpublished<'a>(base: &Base, squash: &'a Migration) -> Vec<&'a Replaced> {
    let published: Vec<Replaced> = base.sources.migrations.iter().flat_map(squash::rows).collect();
    squash.settings.squashes.iter().filter(|replaced| !published.contains(replaced)).collect()
}

fn changed<'a>(old: &'a Migration, published: &[&'a Migration], judged: &[&'a Migration]) -> Option<Violation<'a>> {
    // What a squash stands for may go: that it makes the same is proved by the way from upstream's baseline.
    if judged.iter().any(|new| squash::replaces(new, old)) {
        return None;
    }
    let violation = |change, judged| Some(Violation { change, published: old, judged });
    if let Some(new) = find(judged, &old.version) {
        return match (new.checksum == old.checksum, new.label() == old.label()) {
            (true, true) => None,
            (true, false) => violation(Change::Renamed, Some(new)),
            (false, _) => violation(Change::Edited, Some(new)),
        };
    }
    let same = |new: &&&Migration| new.checksum == old.checksum && find(published, &new.version).is_none();
    match judged.iter().find(same) {
        Some(new) => violation(Change::Moved, Some(new)),
        None => violation(Change::Removed, None),
    }
}

fn find<'a>(migrations: &[&'a Migration], version: &Version) -> Option<&'a Migration> {
    let at = migrations.binary_search_by(|migration| migration.version.cmp(version)).ok()?;
    migrations.get(at).copied()
}

#[cfg(test)]
mod tests;
