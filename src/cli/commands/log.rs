//! `dbbuild log`: what was applied, when, by whom, from which commit.

use crate::cli::{Context, Done};
use crate::engine::session::Session;
use crate::engine::target::Start;
use crate::error::Result;
use comfy_table::{Table, presets};

/// Arguments of `log`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// At most so many, newest first
    #[arg(short = 'n', long, value_name = "N")]
    max_count: Option<usize>,
    /// The N statements that took longest, with migration, line, time and rows
    #[arg(long, value_name = "N", conflicts_with = "max_count")]
    slowest: Option<usize>,
}

const COLUMNS: [&str; 10] =
    ["version", "name", "state", "applied_at", "seconds", "by", "commit", "dbbuild", "run_by", "pipeline"];

/// Of all rows, of what is applied in the order of application and of what was taken back where its time puts it.
const QUERY: &str = "SELECT version, name, state, pg_catalog.to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
     pg_catalog.round(EXTRACT(epoch FROM duration)::numeric, 3)::text, by, git_commit, dbbuild_version, run_by, pipeline FROM (";

const APPLIED: &str = "SELECT version, name, CASE WHEN origin <> 'run' THEN origin ELSE state END AS state, applied_at AS at, \
     duration, applied_by AS by, git_commit, dbbuild_version, run_by, pipeline, position FROM dbbuild.migration";

const TAKEN_BACK: &str = " UNION ALL SELECT version, name, 'taken back', taken_back_at, duration, taken_back_by, git_commit, \
     dbbuild_version, run_by, pipeline, NULL FROM dbbuild.taken_back";

const SLOWEST_COLUMNS: [&str; 6] = ["version", "name", "statement", "line", "seconds", "rows"];

const SLOWEST: &str = "SELECT s.version, m.name, s.ordinal, s.line, \
     pg_catalog.round(EXTRACT(epoch FROM s.duration)::numeric, 3)::text, s.rows \
     FROM dbbuild.statement s JOIN dbbuild.migration m ON m.version = s.version \
     WHERE s.duration IS NOT NULL ORDER BY s.duration DESC, m.position, s.ordinal";

/// Shows the log.
///
/// # Errors
/// The database cannot be reached.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let project = context.project()?;
    let target = context.target(&project, Start::Never).await?;
    let session = target.connect().await?;
    let rows = target.explained(&session, read(&session, &args).await).await?;
    let (columns, key) = match args.slowest {
        Some(_) => (&SLOWEST_COLUMNS[..], "slowest"),
        None => (&COLUMNS[..], "log"),
    };
    if rows.is_empty() && args.slowest.is_some() {
        context.output.answer(&format!("no time of a statement is kept in {}", target.describe()));
    } else if rows.is_empty() {
        context.output.answer(&format!("nothing was applied to {}", target.describe()));
    } else {
        let mut table = Table::new();
        // Who started it is told where that is more than the role: of pipelines, or when asked.
        let told = context.globals.verbose || rows.iter().any(|row| row.get(9).is_some_and(Option::is_some));
        let shown = if told { columns.len() } else { columns.len().min(8) };
        table.load_style(presets::NOTHING).set_header(&columns[..shown]);
        for row in &rows {
            let commit = |i: usize, cell: &str| if i == 6 { cell.chars().take(10).collect() } else { cell.to_owned() };
            table.add_row(row.iter().take(shown).enumerate().map(|(i, cell)| commit(i, cell.as_deref().unwrap_or(""))));
        }
        context.output.answer(&table.trim_fmt());
    }
    let objects: Vec<serde_json::Value> = rows
        .iter()
        .map(|row| {
            columns.iter().zip(row).map(|(name, cell)| ((*name).to_owned(), value(name, cell.as_deref()))).collect()
        })
        .collect();
    context.output.json(&serde_json::json!({ "database": target.describe(), key: objects }));
    Ok(Done::Well)
}

/// As JSON has it: what counts and measures is a number.
fn value(name: &str, cell: Option<&str>) -> serde_json::Value {
    match name {
        "seconds" | "statement" | "line" | "rows" => {
            cell.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(serde_json::Value::Null)
        }
        _ => cell.into(),
    }
}

/// The rows that are shown; none where there is no version table.
async fn read(session: &Session, args: &Args) -> Result<Vec<Vec<Option<String>>>> {
    // A version table from before pipelines were recorded says nothing of them.
    let installed = session
        .query_rows(
            "SELECT pg_catalog.bool_or(attname = 'run_by') FROM pg_catalog.pg_attribute \
             WHERE attrelid = pg_catalog.to_regclass('dbbuild.migration') HAVING pg_catalog.count(*) > 0",
        )
        .await?;
    if installed.is_empty() {
        return Ok(Vec::new());
    }
    let outdated = installed.iter().flatten().flatten().any(|is| is == "f");
    let taken = session.query_rows("SELECT 1 WHERE pg_catalog.to_regclass('dbbuild.taken_back') IS NOT NULL").await?;
    let taken = if taken.is_empty() { "" } else { TAKEN_BACK };
    let query = match args.slowest {
        Some(_) => SLOWEST.to_owned(),
        None => format!("{QUERY}{APPLIED}{taken}) l ORDER BY at DESC, position DESC"),
    };
    let query = if outdated {
        query.replacen("run_by, pipeline, position", "NULL AS run_by, NULL AS pipeline, position", 1)
    } else {
        query
    };
    let limit = args.slowest.or(args.max_count).map_or_else(String::new, |n| format!(" LIMIT {n}"));
    session.query_rows(&format!("{query}{limit}")).await
}
