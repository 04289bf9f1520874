//! Takes over the bookkeeping of another tool in a live database: what it applied is recorded, and nothing runs.
//!
//! One transaction reads the tool's table under a lock that keeps the tool from writing to it, judges every row, and
//! writes history and mark. The table itself stays as it is.

use crate::engine::history::{self, Author};
use crate::engine::session::Session;
use crate::error::{Error, Location, Result};
use crate::model::guard::Mark;
use crate::model::import::bookkeeping::{Applied, Bookkeeping, Row, applied};
use crate::model::import::record::Record;
use crate::model::migration::Migration;
use crate::model::plan::FileKind;
use crate::model::sources::{ScriptFile, Sources};
use crate::model::sql::literal;
use std::collections::BTreeMap;

/// What is to be taken over, and how it is found.
pub struct TakeOver<'a> {
    /// What the import remembered.
    pub record: &'a Record,
    /// How the tool remembers.
    pub bookkeeping: &'a Bookkeeping,
    /// The name of the tool's table, where it is not the usual one.
    pub table: Option<&'a str>,
    /// The files of the project.
    pub sources: &'a Sources,
    /// For messages.
    pub description: &'a str,
}

/// What was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenOver {
    /// The tool's table.
    pub table: String,
    /// How many migrations are recorded as applied.
    pub migrations: usize,
    /// How many other files are.
    pub scripts: usize,
    /// Labels of migrations that the tool has not applied.
    pub pending: Vec<String>,
}

/// Records what the tool applied, and writes the mark.
///
/// # Errors
/// The table is not there or does not fit the files, or the server said no; nothing was changed.
pub async fn take_over(session: &Session, wanted: &TakeOver<'_>, mark: &Mark, author: &Author) -> Result<TakenOver> {
    let table = find_table(session, wanted).await?;
    session.simple("BEGIN").await?;
    let done = record(session, wanted, &table, mark, author).await;
    if done.is_err() {
        // The connection ends with the command: what a failed ROLLBACK leaves open goes with it.
        let _ = session.simple("ROLLBACK").await;
    }
    done
}

async fn record(
    session: &Session,
    wanted: &TakeOver<'_>,
    table: &str,
    mark: &Mark,
    author: &Author,
) -> Result<TakenOver> {
    let failed = |what: &str, e: Error| Error::failed(what.to_owned()).cause(e).help("nothing was changed.");
    session
        .simple(&format!("LOCK TABLE {table} IN SHARE MODE"))
        .await
        .map_err(|e| failed(&format!("cannot keep {} from writing to {table}", wanted.record.tool), e))?;
    let rows = session
        .query_rows(&wanted.bookkeeping.query.replace("{table}", table))
        .await
        .map_err(|e| failed(&format!("cannot read {table} as {} writes it", wanted.record.tool), e))?;
    let rows: Vec<Row> = rows.into_iter().map(row).collect();
    let done = applied(wanted.record, wanted.bookkeeping.meaning, &rows, table)?;
    let (migrations, pending) = of_sources(wanted, &done)?;
    let scripts = scripts(wanted.sources, &done);
    let mut statements = vec![history::SCHEMA.to_owned(), history::write_mark(mark)];
    statements.extend(migrations.iter().map(|migration| history::record_migration(migration, "adopted", author)));
    statements.extend(scripts.iter().map(|(kind, script)| history::upsert_file(*kind, script, author)));
    for statement in statements {
        session.simple(&statement).await.map_err(|e| failed("cannot record what was taken over", e))?;
    }
    session.simple("COMMIT").await.map_err(|e| failed("cannot record what was taken over", e))?;
    Ok(TakenOver { table: table.to_owned(), migrations: migrations.len(), scripts: scripts.len(), pending })
}

fn row(cells: Vec<Option<String>>) -> Row {
    let mut cells = cells.into_iter();
    let mut next = || cells.next().flatten();
    Row { key: next().unwrap_or_default(), checksum: next(), trouble: next() }
}

/// The table with its schema, quoted.
async fn find_table(session: &Session, wanted: &TakeOver<'_>) -> Result<String> {
    let name = wanted.table.or(wanted.record.table.as_deref()).unwrap_or(wanted.bookkeeping.table);
    let sql = format!(
        "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = pg_catalog.to_regclass({})",
        literal(name)
    );
    let rows = session.query_rows(&sql).await.map_err(|e| Error::usage(format!("`{name}` names no table")).cause(e))?;
    rows.into_iter().flatten().next().flatten().ok_or_else(|| {
        Error::failed(format!("{} has no table `{}`", wanted.description, name.escape_debug()))
            .cause(format!("{} keeps there what it applied", wanted.record.tool))
            .help("check the address, or name the tool's table: `--table SCHEMA.TABLE`. Nothing was changed.")
    })
}

/// The files of what is applied, and the labels of those that are not.
fn of_sources<'a>(wanted: &TakeOver<'a>, done: &Applied) -> Result<(Vec<&'a Migration>, Vec<String>)> {
    let known: BTreeMap<_, _> = wanted.sources.migrations.iter().map(|m| (&m.version, m)).collect();
    let mut faults = Vec::new();
    let mut found = Vec::new();
    for version in &done.versions {
        match known.get(version) {
            Some(migration) => found.push(*migration),
            None => {
                let files = wanted.record.migration.iter().find(|recorded| recorded.version == version.as_str());
                let origin = files.and_then(|recorded| recorded.files.first()).cloned().unwrap_or_default();
                let fault = Error::failed(format!("migration {version} is applied there, and its file is gone"));
                let fault = if origin.is_empty() { fault } else { fault.at(Location::file(origin)) };
                faults.push(fault.help("check out a commit that has it; nothing was changed."));
            }
        }
    }
    let pending = wanted.sources.migrations.iter().filter(|m| !done.versions.contains(&m.version));
    let pending = pending.map(Migration::label).collect();
    Error::all(faults).map_or(Ok((found, pending)), Err)
}

fn scripts<'a>(sources: &'a Sources, done: &Applied) -> Vec<(FileKind, &'a ScriptFile)> {
    let find = |(kind, name): &(String, String)| {
        let kind = FileKind::parse(kind)?;
        let files = match kind {
            FileKind::Repeatable => &sources.repeatable,
            FileKind::Init => &sources.init,
            FileKind::TestData => return None,
        };
        Some((kind, files.iter().find(|file| file.name == *name)?))
    };
    done.scripts.iter().filter_map(find).collect()
}
