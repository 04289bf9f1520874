//! What a run did to a database, as people and JSON see it: the same for every command that runs a plan.
//!
//! What a command says besides is its own.

use crate::cli::output::{Output, count};
use crate::engine::runner::Report;
use crate::engine::upgrade;
use crate::model::attic;
use crate::model::attic::given::{self, Given};
use crate::model::plan::FileKind;

/// Migrations that are named before the rest are counted.
const SHOWN: usize = 20;

/// Says what ran.
pub fn show(out: &Output, report: &Report) {
    report.notes.iter().for_each(|note| out.note(note));
    report.removed.iter().for_each(|name| out.line(&format!("dropped what the repeatable file {name} made")));
    report.taken_back.iter().for_each(|label| out.line(&format!("took back {label}")));
    let kept = report.kept.iter().flat_map(|kept| &kept.entries);
    kept.for_each(|entry| out.line(&format!("kept in the attic: {}", entry.describe())));
    report.recorded.iter().for_each(|path| out.line(&format!("recorded {path}: its statements are those that ran")));
    for (path, how) in report.migrations.iter().take(SHOWN) {
        let how = how.as_ref().map_or_else(String::new, |how| format!(" ({how})"));
        out.line(&format!("applied {path}{how}"));
    }
    if report.migrations.len() > SHOWN {
        let left = &report.migrations[SHOWN..];
        out.line(&format!("applied {} more", left.len()));
        for (path, how) in left.iter().filter_map(|(path, how)| how.as_ref().map(|how| (path, how))) {
            out.line(&format!("  {path} ({how})"));
        }
    }
    show_given(out, &report.given);
    for kind in [FileKind::Repeatable, FileKind::Init, FileKind::TestData] {
        let ran = upgrade::count_files(report, kind);
        if ran > 0 {
            let noun = if kind == FileKind::TestData { "test data" } else { kind.as_str() };
            out.line(&format!("ran {}", count(ran, &format!("{noun} file"))));
        }
    }
    if !report.checks.is_empty() {
        out.line(&format!("{} passed", count(report.checks.len(), "check")));
    }
}

/// Says what the attic gave back, and what not.
pub fn show_given(out: &Output, given: &[Given]) {
    given.iter().filter_map(Given::describe).for_each(|line| out.line(&line));
    given.iter().filter_map(Given::complaint).for_each(|text| out.note(&text));
    given::undecided(given).into_iter().for_each(|text| out.note(&text));
}

/// What ran, for JSON.
pub fn json(report: &Report) -> serde_json::Value {
    let migrations: Vec<_> =
        report.migrations.iter().map(|(path, how)| serde_json::json!({ "path": path, "note": how })).collect();
    let files: Vec<_> =
        report.files.iter().map(|(kind, path)| serde_json::json!({ "kind": kind.as_str(), "path": path })).collect();
    let kept: Vec<_> = report.kept.iter().flat_map(attic::Kept::to_json).collect();
    serde_json::json!({
        "removed": report.removed, "taken_back": report.taken_back, "kept": kept, "recorded": report.recorded, "migrations": migrations, "files": files,
        "given_back": report.given.iter().map(given_json).collect::<Vec<_>>(), "skipped": report.skipped, "checks": report.checks, "notes": report.notes,
    })
}

/// What became of one entry of the attic, for JSON.
pub fn given_json(given: &Given) -> serde_json::Value {
    let entry = &given.entry;
    let examples: Vec<_> = given
        .examples
        .iter()
        .map(|conflict| {
            let value = |(column, kept, current): &(String, Option<String>, Option<String>)| {
                serde_json::json!({ "column": column, "kept": kept, "current": current })
            };
            let values: Vec<_> = conflict.values.iter().map(value).collect();
            serde_json::json!({ "key": conflict.key, "why": conflict.why, "values": values })
        })
        .collect();
    serde_json::json!({
        "entry": entry.id, "version": entry.version, "kind": entry.kind.as_str(), "reason": entry.reason.as_str(),
        "schema": entry.schema, "table": entry.table, "columns": entry.columns, "given": given.given,
        "conflicts": given.conflicts, "restored": given.restored, "dropped": given.dropped, "left": given.left(),
        "why": given.whole, "examples": examples,
    })
}
