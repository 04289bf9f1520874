//! The version table: schema `dbbuild` in the target database.
//!
//! Reads it as a value, makes the statements that write it, and renders its rows for the baseline. It decides nothing:
//! what is missing is [`crate::model::plan`]'s business.

mod access;
mod author;
mod body;
mod carried;
mod content;
mod known;
mod taken;

use crate::model::sql::literal;
use access::MAY_WRITE;
pub use access::{explain, may_not_write};
use author::AUTHOR;
pub use author::Author;
pub use body::bodies;
pub use carried::{baseline_section, held_by_baseline, version_rows};
use known::mark_of;
pub use known::{Histories, find_known};
pub use taken::{add_taken_back, remove_migration};

use crate::engine::session::Session;
use crate::error::{Error, OrFailed, Result};
use crate::model::checksum::Checksum;
use crate::model::guard::{Binding, Mark, TargetFacts};
use crate::model::migration::Migration;
use crate::model::plan::{Applied, FileKind, History};
use crate::model::reconcile::{Kept, Texts};
use crate::model::sources::ScriptFile;
use crate::model::squash::{self, Replaced};
use crate::model::version::Version;
use std::sync::Arc;

/// The DDL of the schema `dbbuild`; the same text stands in every baseline.
pub const SCHEMA: &str = include_str!("schema.sql");

/// Gives the version table of an older dbbuild the columns that it lacks; [`SCHEMA`] then does the rest.
pub const RENEW: &str = "DO $$ BEGIN IF pg_catalog.to_regclass('dbbuild.migration') IS NOT NULL THEN \
    ALTER TABLE dbbuild.migration ADD COLUMN IF NOT EXISTS body_checksum text, \
    ADD COLUMN IF NOT EXISTS pipeline text, ADD COLUMN IF NOT EXISTS run_by text; \
    ALTER TABLE dbbuild.file ADD COLUMN IF NOT EXISTS pipeline text, ADD COLUMN IF NOT EXISTS run_by text; END IF; END $$";

/// Texts longer than this stay out of the version table.
const LONGEST_TEXT: usize = 64 * 1024 * 1024;

/// A database as it is found: what the guard judges and the plan starts from.
#[derive(Debug, Clone)]
pub struct Found {
    /// For the guard.
    pub facts: TargetFacts,
    /// For the plan.
    pub history: History,
    /// The version table is of an older dbbuild: it lacks columns; see [`RENEW`].
    pub outdated: bool,
    /// An attic is there, of whatever form.
    pub has_attic: bool,
    /// The connected role may write the version table, or make it.
    pub may_write: bool,
}

impl Found {
    /// A database that does not exist yet.
    pub fn missing(description: String, database: &str) -> Found {
        let binding = Binding { system_identifier: String::new(), database_oid: 0, server_id: None };
        let database = database.to_owned();
        let facts = TargetFacts { description, database, binding, mark: None, empty: true, has_history: false };
        Found { facts, history: History::default(), outdated: false, has_attic: false, may_write: true }
    }
}

/// Identity, tables of dbbuild's, and content made here and brought.
fn facts_query() -> String {
    format!(
        "SELECT (SELECT system_identifier::text FROM pg_catalog.pg_control_system()), d.oid::text, d.datname, \
         pg_catalog.to_regclass('dbbuild.migration') IS NOT NULL, \
         pg_catalog.to_regclass('dbbuild.environment') IS NOT NULL, {}, \
         EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attname = 'run_by' \
                 AND attrelid = pg_catalog.to_regclass('dbbuild.file')), \
         pg_catalog.to_regclass('dbbuild_attic.format') IS NOT NULL, {MAY_WRITE} \
         FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()",
        content::made_here_and_brought()
    )
}

const MARK: &str = "SELECT name, protected, system_identifier, database_oid::text, server_id FROM dbbuild.environment";
const MIGRATIONS: &str = "SELECT version, name, checksum, state = 'applied', up_sql IS NOT NULL OR origin <> 'baseline' FROM dbbuild.migration ORDER BY position";
const FILES: &str = "SELECT kind, name, checksum FROM dbbuild.file";

/// Reads what the guard and the plan need.
///
/// `server_id` is the id that dbbuild keeps beside the data of a server that it runs.
///
/// # Errors
/// The server said no, or the version table holds what this dbbuild cannot read.
pub async fn find(session: &Session, description: &str, server_id: Option<&str>) -> Result<Found> {
    let rows = session.query_rows(&facts_query()).await?;
    let row = rows.first().ok_or_else(|| Error::failed(format!("cannot read what {description} is")))?;
    let text = |i: usize| row.get(i).cloned().flatten().unwrap_or_default();
    let truth = |i: usize| text(i) == "t";
    let (made_here, brought) = (truth(5), truth(6));
    let empty = !made_here && (!brought || content::came_with_template1(session).await?);
    let mark = if truth(4) { read_mark(session).await? } else { None };
    let history = if truth(3) { read(session).await? } else { History::default() };
    let facts = TargetFacts {
        description: description.to_owned(),
        database: text(2),
        binding: Binding {
            system_identifier: text(0),
            database_oid: text(1).parse().or_failed(|| "cannot read the OID of the database")?,
            server_id: server_id.map(str::to_owned),
        },
        mark,
        empty,
        has_history: !history.applied.is_empty(),
    };
    Ok(Found { facts, outdated: truth(3) && !truth(7), has_attic: truth(8), may_write: truth(9), history })
}

/// The mark alone, without a word on whether it belongs to this very database.
///
/// # Errors
/// The server said no.
pub async fn mark(session: &Session) -> Result<Option<Mark>> {
    let there = session.query_rows("SELECT pg_catalog.to_regclass('dbbuild.environment') IS NOT NULL").await?;
    let there = there.first().and_then(|row| row.first()?.clone()).as_deref() == Some("t");
    if there { read_mark(session).await } else { Ok(None) }
}

async fn read_mark(session: &Session) -> Result<Option<Mark>> {
    let rows = session.query_rows(MARK).await?;
    Ok(rows.first().map(|row| mark_of(row)))
}

/// Reads the version table.
///
/// # Errors
/// The server said no, or a row is not of this dbbuild's making.
pub async fn read(session: &Session) -> Result<History> {
    history_of(&session.query_rows(MIGRATIONS).await?, &session.query_rows(FILES).await?)
}

/// The rows of [`MIGRATIONS`] and [`FILES`].
fn history_of(migrations: &[Vec<Option<String>>], files: &[Vec<Option<String>>]) -> Result<History> {
    let mut history = History { installed: true, ..History::default() };
    for row in migrations {
        let text = |i: usize| row.get(i).cloned().flatten().unwrap_or_default();
        history.applied.push(Applied {
            version: Version::parse(&text(0))?,
            name: text(1),
            checksum: Checksum::from_hex(&text(2))?,
            complete: text(3) == "t",
            has_text: text(4) == "t",
        });
    }
    for row in files {
        let text = |i: usize| row.get(i).cloned().flatten().unwrap_or_default();
        let Some(kind) = FileKind::parse(&text(0)) else { continue };
        history.files.insert((kind, text(1)), Checksum::from_hex(&text(2))?);
    }
    Ok(history)
}

/// Reads the texts that are kept of some versions.
///
/// # Errors
/// The server said no.
pub async fn texts(session: &Session, versions: &[Version]) -> Result<Texts> {
    if versions.is_empty() {
        return Ok(Texts::new());
    }
    let list: Vec<String> = versions.iter().map(|version| format!("'{version}'")).collect();
    let sql = format!("SELECT version, up_sql, down_sql FROM dbbuild.migration WHERE version IN ({})", list.join(", "));
    let mut texts = Texts::new();
    for row in session.query_rows(&sql).await? {
        let text = |i: usize| row.get(i).cloned().flatten();
        let Some(version) = text(0) else { continue };
        texts.insert(Version::parse(&version)?, Kept { up: text(1).map(Arc::from), down: text(2).map(Arc::from) });
    }
    Ok(texts)
}

/// Keeps anybody else from taking the same migration back.
pub fn lock_row(version: &Version) -> String {
    format!("SELECT FROM dbbuild.migration WHERE version = '{version}' FOR UPDATE")
}

/// Forgets that a file ran.
pub fn remove_file(kind: FileKind, name: &str) -> String {
    format!("DELETE FROM dbbuild.file WHERE kind = '{}' AND name = {}", kind.as_str(), literal(name))
}

/// Says of files that they are to run again.
pub fn stale_files(files: &[(FileKind, &str)]) -> String {
    let file = |(kind, name): &(FileKind, &str)| format!("('{}', {})", kind.as_str(), literal(name));
    let files: Vec<String> = files.iter().map(file).collect();
    format!("UPDATE dbbuild.file SET checksum = '{}' WHERE (kind, name) IN ({})", Checksum::STALE, files.join(", "))
}

/// How many migrations are applied.
///
/// # Errors
/// The server said no.
pub async fn count(session: &Session) -> Result<usize> {
    let rows = session.query_rows("SELECT pg_catalog.count(*) FROM dbbuild.migration WHERE state = 'applied'").await?;
    Ok(rows.into_iter().flatten().next().flatten().and_then(|n| n.parse().ok()).unwrap_or(0))
}

fn optional(text: Option<&str>) -> String {
    text.filter(|text| text.len() <= LONGEST_TEXT).map_or_else(|| "NULL".to_owned(), literal)
}

/// The row that opens a migration's transaction; a rival that had it first gives 23505.
pub fn insert_migration(migration: &Migration, transactional: bool, author: &Author) -> String {
    if migration.is_squash() {
        return insert_squashed(migration, author);
    }
    let (column, body) = match migration.body {
        Some(body) => (", body_checksum", format!(", '{body}'")),
        None => ("", String::new()),
    };
    format!(
        "INSERT INTO dbbuild.migration (version, name, checksum, state, origin, transactional, up_sql, down_sql, \
         {AUTHOR}{column}) VALUES ('{}', {}, '{}', '{}', 'run', {transactional}, {}, {}, {}{body})",
        migration.version,
        literal(&migration.name),
        migration.checksum,
        if transactional { "applied" } else { "started" },
        optional(Some(migration.up.source()).filter(|_| migration.body.is_none()).map(|text| &**text)),
        optional(migration.down.as_ref().map(|down| &**down.source())),
        author.values(),
    )
}

/// The row of a migration that did not run here, with where it comes from: `adopted` or `marked`.
pub fn record_migration(migration: &Migration, origin: &str, author: &Author) -> String {
    format!(
        "INSERT INTO dbbuild.migration (version, name, checksum, state, origin, up_sql, down_sql, {AUTHOR}) \
         VALUES ('{}', {}, '{}', 'applied', {}, {}, {}, {})",
        migration.version,
        literal(&migration.name),
        migration.checksum,
        literal(origin),
        optional(Some(&migration.up.text)),
        optional(migration.down.as_ref().map(|down| &*down.text)),
        author.values(),
    )
}

/// A squash writes the rows of all that it stands for, without texts, as a baseline does.
fn insert_squashed(squash: &Migration, author: &Author) -> String {
    let written = author.values();
    let row = |row: &Replaced| {
        let (version, name, checksum) = (&row.version, literal(&row.name), &row.checksum);
        format!("('{version}', {name}, '{checksum}', 'applied', 'baseline', {written})")
    };
    let rows: Vec<String> = squash::rows(squash).iter().map(row).collect();
    format!(
        "INSERT INTO dbbuild.migration (version, name, checksum, state, origin, {AUTHOR}) VALUES {}",
        rows.join(", ")
    )
}

/// An interrupted migration goes on: its row tells of the file as it is now.
pub fn resume_migration(migration: &Migration, author: &Author) -> String {
    format!(
        "UPDATE dbbuild.migration SET name = {}, checksum = '{}', up_sql = {}, down_sql = {}, {} WHERE version = '{}'",
        literal(&migration.name),
        migration.checksum,
        optional(Some(migration.up.source())),
        optional(migration.down.as_ref().map(|down| &**down.source())),
        author.assignments(),
        migration.version,
    )
}

/// Closes a migration; fails where the migration took its row away (22012) or dropped the version table, and so takes it
/// back.
///
/// It also says how long it took, and gives the value of `also`.
pub fn finish_migration(version: &Version, also: Option<&str>) -> String {
    let also = also.unwrap_or("NULL");
    format!(
        "WITH own AS (UPDATE dbbuild.migration SET state = 'applied', \
         duration = pg_catalog.clock_timestamp() - applied_at WHERE version = '{version}' RETURNING duration) \
         SELECT 1 / pg_catalog.count(*), EXTRACT(epoch FROM pg_catalog.max(duration)), {also} FROM own"
    )
}

/// Keeps how long statements took, given as rows of values.
pub fn insert_timings(values: &str) -> String {
    format!(
        "INSERT INTO dbbuild.statement (version, ordinal, checksum, state, started_at, duration, line, rows) \
         SELECT t.version, t.ordinal, t.checksum, 'done', t.started_at, t.duration, t.line, t.rows \
         FROM (VALUES {values}) AS t (version, ordinal, checksum, started_at, duration, line, rows) \
         JOIN dbbuild.migration m ON m.version = t.version AND m.state = 'applied' \
         ON CONFLICT (version, ordinal) DO UPDATE SET checksum = EXCLUDED.checksum, state = EXCLUDED.state, \
         started_at = EXCLUDED.started_at, duration = EXCLUDED.duration, line = EXCLUDED.line, rows = EXCLUDED.rows"
    )
}

/// Gives a row once a migration is committed.
pub fn is_applied(version: &Version) -> String {
    format!("SELECT 1 FROM dbbuild.migration WHERE version = '{version}' AND state = 'applied'")
}

/// Gives a row once a file's run is committed.
pub fn has_run(kind: FileKind, file: &ScriptFile) -> String {
    format!(
        "SELECT 1 FROM dbbuild.file WHERE kind = '{}' AND name = {} AND checksum = '{}' AND duration IS NOT NULL",
        kind.as_str(),
        literal(&file.name),
        file.checksum
    )
}

/// The row of a migration that counts as applied without having run. It is taken back by doing nothing.
pub fn mark_migration(migration: &Migration, author: &Author) -> String {
    let down = migration.down.as_ref().map(|_| "SELECT 'it was marked as applied without running';");
    format!(
        "INSERT INTO dbbuild.migration (version, name, checksum, state, origin, up_sql, down_sql, duration, {AUTHOR}) \
         VALUES ('{}', {}, '{}', 'applied', 'marked', {}, {}, '0', {})",
        migration.version,
        literal(&migration.name),
        migration.checksum,
        optional(Some(migration.up.source())),
        optional(down),
        author.values(),
    )
}

/// Records the run of a repeatable, init or test-data file.
pub fn upsert_file(kind: FileKind, file: &ScriptFile, author: &Author) -> String {
    format!(
        "INSERT INTO dbbuild.file (kind, name, checksum, {AUTHOR}) VALUES ('{}', {}, '{}', {}) \
         ON CONFLICT (kind, name) DO UPDATE SET checksum = EXCLUDED.checksum, applied_at = EXCLUDED.applied_at, \
         applied_by = EXCLUDED.applied_by, duration = NULL, {}",
        kind.as_str(),
        literal(&file.name),
        file.checksum,
        author.values(),
        author.assignments(),
    )
}

/// Adds how long the run of a file took.
pub fn finish_file(kind: FileKind, file: &ScriptFile) -> String {
    format!(
        "UPDATE dbbuild.file SET duration = pg_catalog.clock_timestamp() - applied_at WHERE kind = '{}' AND name = {}",
        kind.as_str(),
        literal(&file.name)
    )
}

/// Writes the mark, replacing an older one.
pub fn write_mark(mark: &Mark) -> String {
    format!(
        "INSERT INTO dbbuild.environment (name, protected, system_identifier, database_oid, server_id) \
         VALUES ({}, {}, {}, {}, {}) ON CONFLICT (one_row) DO UPDATE SET name = EXCLUDED.name, \
         protected = EXCLUDED.protected, system_identifier = EXCLUDED.system_identifier, \
         database_oid = EXCLUDED.database_oid, server_id = EXCLUDED.server_id, marked_at = EXCLUDED.marked_at, \
         marked_by = EXCLUDED.marked_by",
        literal(&mark.environment),
        mark.protected,
        literal(&mark.binding.system_identifier),
        mark.binding.database_oid,
        optional(mark.binding.server_id.as_deref()),
    )
}

/// Whether the version table keeps this migration's text.
pub fn keeps_text(migration: &Migration) -> bool {
    migration.up.source().len() <= LONGEST_TEXT
}

/// After a bootstrap: the texts of what the baseline's version rows only name, from files with the same checksum. Each
/// statement fills as many rows as make a message of a few megabytes. With an author the rows are that one's too: dbbuild
/// itself loaded the baseline.
pub fn fill_texts(migrations: &[Migration], author: Option<&Author>) -> Vec<String> {
    const MESSAGE: usize = 4 * 1024 * 1024;
    let mut statements = Vec::new();
    let mut values = String::new();
    for migration in migrations.iter().filter(|migration| keeps_text(migration)) {
        values.push_str(if values.is_empty() { "" } else { ", " });
        values.push_str(&format!(
            "('{}', '{}', {}, {})",
            migration.version,
            migration.checksum,
            literal(migration.up.source()),
            optional(migration.down.as_ref().map(|down| &**down.source())),
        ));
        if values.len() > MESSAGE {
            statements.push(fill(&std::mem::take(&mut values), author));
        }
    }
    if !values.is_empty() {
        statements.push(fill(&values, author));
    }
    statements
}

fn fill(values: &str, author: Option<&Author>) -> String {
    let written = author
        .map_or_else(|| format!("dbbuild_version = '{}'", env!("CARGO_PKG_VERSION")), |author| author.assignments());
    format!(
        "UPDATE dbbuild.migration AS m SET up_sql = file.up, down_sql = file.down, {written} \
         FROM (VALUES {values}) AS file (version, checksum, up, down) \
         WHERE m.version = file.version AND m.checksum = file.checksum AND m.up_sql IS NULL"
    )
}
