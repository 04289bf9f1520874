//! The version table's schema and rows as a baseline carries them, and back.

use super::SCHEMA;
use crate::error::Result;
use crate::model::baseline::{Baseline, copy_value};
use crate::model::checksum::Checksum;
use crate::model::plan::{Applied, FileKind, History};
use crate::model::sources::{ScriptFile, Sources};
use crate::model::squash::{self, Replaced};
use crate::model::version::Version;

/// The version rows of migrations, as every baseline that holds exactly these has them.
pub fn version_rows<'r>(rows: impl Iterator<Item = &'r Replaced>) -> String {
    let row = |m: &Replaced| format!("{}\t{}\t{}\n", m.version, copy_text(&m.name), m.checksum);
    copy_block("dbbuild.migration (version, name, checksum)", &rows.map(row).collect::<Vec<_>>())
}

fn copy_block(head: &str, rows: &[String]) -> String {
    format!("\nCOPY {head} FROM stdin;\n{}\\.\n", rows.concat())
}

/// The schema and the rows that a baseline carries: nothing in them differs between machines.
pub fn baseline_section(sources: &Sources) -> String {
    let mut out = String::from(SCHEMA);
    let rows: Vec<Replaced> = sources.migrations.iter().flat_map(squash::rows).collect();
    if !rows.is_empty() {
        out.push_str(&version_rows(rows.iter()));
    }
    let mut block = |head: &str, rows: Vec<String>| {
        if !rows.is_empty() {
            out.push_str(&copy_block(head, &rows));
        }
    };
    let file = |kind: FileKind, f: &ScriptFile| format!("{}\t{}\t{}\n", kind.as_str(), copy_text(&f.name), f.checksum);
    let mut files: Vec<String> = sources.init.iter().map(|f| file(FileKind::Init, f)).collect();
    files.extend(sources.repeatable.iter().map(|f| file(FileKind::Repeatable, f)));
    files.sort();
    block("dbbuild.file (kind, name, checksum)", files);
    out
}

/// What a baseline says that it holds, as the history of a database that was made from it.
///
/// # Errors
/// Its version rows are not of dbbuild's making.
pub fn held_by_baseline(baseline: &Baseline) -> Result<History> {
    let mut history = History { installed: true, ..History::default() };
    for block in baseline.history_rows() {
        for cells in block.cells() {
            let [first, second, checksum] = cells.as_slice() else { continue };
            let checksum = Checksum::from_hex(checksum)?;
            if block.table.ends_with("migration") {
                let (version, name) = (Version::parse(first)?, copy_value(second));
                history.applied.push(Applied { version, name, checksum, complete: true, has_text: false });
            } else if let Some(kind) = FileKind::parse(first) {
                history.files.insert((kind, copy_value(second)), checksum);
            }
        }
    }
    Ok(history)
}

/// Escapes a value for COPY's text format; [`copy_value`] is the inverse.
fn copy_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}
