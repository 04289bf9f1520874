//! Why a committed baseline is not the one that its sources make: what it was made from, as its version rows tell, beside
//! what there is now. Says nothing of what differs; [`super::compare`] does.

use super::{Request, inputs};
use crate::engine::history::held_by_baseline;
use crate::model::baseline::Baseline;
use crate::model::checksum::Checksum;
use std::collections::BTreeMap;

/// Names that are told one by one.
const NAMES: usize = 3;

/// What a difference begins with that is a thing of its own and no part of one.
pub(super) fn is_whole(object: &str) -> bool {
    ["table ", "view ", "materialized view ", "schema ", "type ", "domain ", "role "]
        .iter()
        .any(|kind| object.starts_with(kind))
}

/// The causes in clauses; none where the version rows cannot be read.
pub(super) fn causes(request: &Request<'_>, committed: &Baseline, fresh: &Baseline) -> Vec<String> {
    let (Some(old), Some(new)) = (files(committed), files(fresh)) else { return Vec::new() };
    let lacks: Vec<&str> = new.keys().filter(|name| !old.contains_key(*name)).map(String::as_str).collect();
    let gone: Vec<&str> = old.keys().filter(|name| !new.contains_key(*name)).map(String::as_str).collect();
    let other = |name: &&String| old.get(*name).is_some_and(|before| Some(before) != new.get(*name));
    let changed: Vec<&str> = new.keys().filter(other).map(String::as_str).collect();
    let mut causes = Vec::new();
    for (names, clause) in [
        (lacks, "it was made without "),
        (changed, "it was made with other content of "),
        (gone, "it was made with what is not here: "),
    ] {
        if !names.is_empty() {
            causes.push(format!("{clause}{}", list(&names)));
        }
    }
    if causes.is_empty() {
        causes.push(match committed.inputs == inputs(request.config, request.sources) {
            true => "its header names these very sources: it was edited by hand, or holds what somebody's own database held",
            false => "it was made with other settings in the configuration, or its header was edited by hand",
        }.to_owned());
    }
    causes
}

/// What a baseline was made from: checksums by the names of migrations and files.
fn files(baseline: &Baseline) -> Option<BTreeMap<String, Checksum>> {
    let held = held_by_baseline(baseline).ok()?;
    let migrations = held.applied.into_iter().map(|row| (format!("{}_{}", row.version, row.name), row.checksum));
    let others =
        held.files.into_iter().map(|((kind, name), checksum)| (format!("the {} file {name}", kind.as_str()), checksum));
    Some(migrations.chain(others).collect())
}

fn list(names: &[&str]) -> String {
    let mut shown = names.iter().take(NAMES).copied().collect::<Vec<_>>().join(", ");
    if names.len() > NAMES {
        shown.push_str(&format!(" and {} more", names.len() - NAMES));
    }
    shown
}
