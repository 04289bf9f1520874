//! `dbbuild rehearse`: what is pending on a database, run on a throwaway copy of its data. Writes nothing to the database.

use super::plan::bytes;
use crate::cli::output::{Output, count};
use crate::cli::{Context, Done};
use crate::engine::rehearse::{CopyKind, Rehearsal, Report, Step, rehearse};
use crate::engine::target::{Start, Target};
use crate::error::{Error, Result};
use clap::ValueEnum;

/// Arguments of `rehearse`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Copy this database instead, such as a replica of the environment's own
    #[arg(long, value_name = "URL", conflicts_with = "url")]
    from: Option<String>,
    /// How the copy is made
    #[arg(long, value_enum, default_value_t = How::Auto)]
    copy: How,
    /// How much stays free on the disk of the copy: 500MB, 10GB
    #[arg(long, value_name = "SIZE", default_value = "1GB", value_parser = size)]
    keep_free: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum How {
    /// Physical for large databases where that is possible, else by pg_dump
    Auto,
    /// By pg_dump and pg_restore
    Dump,
    /// By pg_basebackup: the whole server, byte for byte
    Physical,
}

/// A size as people write it.
fn size(text: &str) -> std::result::Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text[digits.len()..].trim().to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return Err("write it like 500MB, 10GB or 1TB".to_owned()),
    };
    digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).ok_or_else(|| "no such size".to_owned())
}

/// Rehearses.
///
/// # Errors
/// The database cannot be copied, or something fails on the copy.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let project = context.project()?;
    let sources = project.sources()?;
    let target = match args.from.as_deref() {
        Some(from) => Target::find(&project, context.named_environment(), Some(from), Start::Never).await?,
        None => context.target(&project, Start::Never).await?,
    };
    let progress = context.progress("migrations", 0);
    let report = rehearse(&Rehearsal {
        project: &project,
        sources: &sources,
        target: &target,
        elsewhere: args.from.is_some(),
        copy: match args.copy {
            How::Auto => None,
            How::Dump => Some(CopyKind::Dump),
            How::Physical => Some(CopyKind::Physical),
        },
        keep_free: args.keep_free,
        sink: &|event| progress.event(event),
        begin: &|total| progress.expect(total),
    })
    .await;
    progress.end();
    let report = report?;
    show(&context.output, &report);
    context.output.json(&serde_json::json!({ "rehearsal": report.json() }));
    match Error::all(report.faults) {
        Some(fault) => Err(fault),
        None => Ok(Done::Well),
    }
}

fn show(out: &Output, report: &Report) {
    let Some(copy) = &report.copy else {
        out.answer(&format!("nothing is pending on {} ({})", report.source, report.environment));
        report.notes.iter().for_each(|note| out.note(note));
        return;
    };
    out.answer(&format!(
        "rehearsed for {} on a copy of {}: {}, copied ({}) in {}",
        report.environment,
        report.source,
        bytes(copy.bytes),
        copy.kind,
        time(copy.milliseconds)
    ));
    report.steps.iter().enumerate().for_each(|(n, step)| show_step(out, n + 1, step));
    for check in &report.checks {
        match &check.failed {
            Some(why) => out.answer(&format!("      check {}: FAILS: {why}", check.path)),
            None => out.answer(&format!("      check {}: passes, {}", check.path, time(check.milliseconds))),
        }
    }
    out.answer(&format!(
        "{} in {}; the database {}; {} of write-ahead log",
        count(report.steps.iter().filter(|step| !step.failed).count(), "step"),
        time(report.milliseconds),
        change(Some(report.bytes.0), Some(report.bytes.1)),
        bytes(report.wal_bytes)
    ));
    report.notes.iter().for_each(|note| out.note(note));
}

fn show_step(out: &Output, n: usize, step: &Step) {
    let how = step.how.as_ref().map_or_else(String::new, |how| format!(" ({how})"));
    let seen = &step.seen;
    let took = match step.failed {
        true => "FAILS".to_owned(),
        false => format!("{}, {} of write-ahead log", time(seen.milliseconds), bytes(seen.wal_bytes)),
    };
    out.answer(&format!("{n:>4}  {} {}: {took}{how}", step.kind, step.path));
    for lock in seen.locks.iter().filter(|lock| lock.blocks.is_some()) {
        let blocks = lock.blocks.unwrap_or_default();
        let (table, size) = (&lock.table, bytes(lock.bytes));
        out.answer(&format!("        {} on {table} ({size}), {}: blocks {blocks}", lock.mode, held(lock.held_ms)));
    }
    for table in &seen.rewritten {
        out.answer(&format!("        rewritten: {} ({})", table.table, bytes(table.bytes)));
    }
    for growth in &seen.growth {
        out.answer(&format!("        {} {}", growth.table, change(growth.before, growth.after)));
    }
    for rows in &seen.rows {
        let words = [(rows.inserted, "inserted"), (rows.updated, "updated"), (rows.deleted, "deleted")];
        let words: Vec<String> = words.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        out.answer(&format!("        rows of {}: {}", rows.table, words.join(", ")));
    }
}

fn held(milliseconds: f64) -> String {
    if milliseconds < 10.0 { "held under 10 ms".to_owned() } else { format!("held {}", time(milliseconds)) }
}

fn time(milliseconds: f64) -> String {
    if milliseconds < 1000.0 { format!("{milliseconds:.1} ms") } else { format!("{:.2} s", milliseconds / 1000.0) }
}

fn change(before: Option<u64>, after: Option<u64>) -> String {
    match (before, after) {
        (Some(before), Some(after)) if before <= after => {
            format!("grows by {} to {}", bytes(after - before), bytes(after))
        }
        (Some(before), Some(after)) => format!("shrinks by {} to {}", bytes(before - after), bytes(after)),
        (None, Some(after)) => format!("is new, with {}", bytes(after)),
        (Some(before), None) => format!("goes, with {}", bytes(before)),
        (None, None) => "is as it was".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(size("500MB"), Ok(500_000_000));
        assert_eq!(size("1 gb"), Ok(1_000_000_000));
        assert_eq!(size("7"), Ok(7));
        for wrong in ["", "GB", "1XB", "99999999999999TB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
