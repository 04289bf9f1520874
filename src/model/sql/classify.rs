//! What kind a statement is, by its leading keywords.
//!
//! The kinds are those that running needs to tell apart: transaction control, what outlives a transaction in the
//! session, what PostgreSQL refuses inside a transaction block, COPY. Functions that a query calls are not looked into.

use super::words::{WordKind, Words};

/// What a statement does, as far as the runner cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementKind {
    /// BEGIN, START TRANSACTION.
    Begin,
    /// COMMIT, END.
    Commit,
    /// ROLLBACK, ABORT; not ROLLBACK TO.
    Rollback,
    /// PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED.
    PrepareTransaction,
    /// SAVEPOINT, RELEASE, ROLLBACK TO.
    Savepoint,
    /// Changes what later statements of the session meet and can be made again: SET (not SET LOCAL, SET TRANSACTION,
    /// SET CONSTRAINTS), RESET, DISCARD, PREPARE, DEALLOCATE, LISTEN, UNLISTEN, LOAD, and
    /// `SELECT set_config(name, value, false)` alone.
    SetSession,
    /// Makes something in `pg_temp`, which goes with the session.
    CreateTemp,
    /// COPY … FROM STDIN.
    CopyFromStdin,
    /// Any other COPY.
    CopyOther,
    /// Refused inside a transaction block.
    NonTransactional(Box<NonTransactional>),
    /// May change rows: INSERT, UPDATE, DELETE, MERGE, TRUNCATE, DO, CALL, EXECUTE, and queries, which call functions.
    Writes,
    /// Changes the catalogs: CREATE, ALTER, DROP, GRANT, COMMENT and their like.
    Ddl,
    /// Everything else: SET LOCAL, LOCK, EXPLAIN, ANALYZE, cursors, NOTIFY, and what is not known.
    Other,
}

/// The statements that PostgreSQL refuses inside a transaction block (25001), with what a journal needs to settle
/// them after a crash. Names are as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NonTransactional {
    /// CREATE INDEX CONCURRENTLY.
    CreateIndexConcurrently {
        /// `None` where PostgreSQL shall choose it.
        name: Option<String>,
        /// The table, qualified if it was.
        table: String,
        /// CREATE UNIQUE INDEX.
        unique: bool,
        /// IF NOT EXISTS.
        if_not_exists: bool,
    },
    /// DROP INDEX CONCURRENTLY.
    DropIndexConcurrently {
        /// The indexes.
        names: Vec<String>,
        /// IF EXISTS.
        if_exists: bool,
    },
    /// REINDEX … CONCURRENTLY.
    ReindexConcurrently {
        /// What is named: `index`, `table`, `schema` or `database`.
        of: &'static str,
        /// Its name.
        name: Option<String>,
    },
    /// REINDEX SCHEMA, DATABASE or SYSTEM without CONCURRENTLY.
    Reindex,
    /// VACUUM.
    Vacuum,
    /// ALTER TABLE … DETACH PARTITION … CONCURRENTLY.
    DetachConcurrently {
        /// The partitioned table.
        parent: String,
        /// The partition that leaves it.
        partition: String,
    },
    /// ALTER SYSTEM.
    AlterSystem,
    /// CREATE or DROP of a DATABASE or TABLESPACE, ALTER DATABASE … SET TABLESPACE.
    DatabaseOrTablespace,
    /// CREATE, ALTER or DROP SUBSCRIPTION.
    Subscription,
    /// CLUSTER without a table.
    Cluster,
    /// DISCARD ALL.
    DiscardAll,
}

/// The kind of one statement, given without its `;`.
pub fn classify(statement: &str) -> StatementKind {
    use StatementKind::{Begin, Commit, CreateTemp, Ddl, Other, PrepareTransaction, Savepoint, SetSession, Writes};
    let mut words = Words::new(statement);
    let Some(first) = words.next() else { return Other };
    if first.symbol("(") {
        return Writes;
    }
    if first.kind != WordKind::Bare {
        return Other;
    }
    match first.text.to_ascii_lowercase().as_str() {
        "begin" | "start" => Begin,
        "commit" if words.is(0, "prepared") => PrepareTransaction,
        "commit" | "end" => Commit,
        "rollback" | "abort" => rollback(&mut words),
        "savepoint" | "release" => Savepoint,
        "prepare" if words.is(0, "transaction") => PrepareTransaction,
        "prepare" | "deallocate" | "listen" | "unlisten" | "load" | "reset" => SetSession,
        "set" => set(&mut words),
        "discard" if words.is(0, "all") => non_transactional(NonTransactional::DiscardAll),
        "discard" => SetSession,
        "copy" => copy(&mut words),
        "create" => create(&mut words),
        "alter" => alter(&mut words),
        "drop" => drop_statement(&mut words),
        "reindex" => reindex(&mut words),
        "vacuum" => non_transactional(NonTransactional::Vacuum),
        "cluster" => cluster(&mut words),
        "explain" => explain(words, statement),
        "select" if is_set_config(&mut words) => SetSession,
        "select" if selects_into_temp(words) => CreateTemp,
        "select" | "with" | "values" | "table" | "insert" | "update" | "delete" | "merge" | "do" | "call"
        | "execute" | "truncate" => Writes,
        "comment" | "grant" | "revoke" | "security" | "reassign" | "refresh" | "import" => Ddl,
        _ => Other,
    }
}

fn non_transactional(statement: NonTransactional) -> StatementKind {
    StatementKind::NonTransactional(Box::new(statement))
}

fn rollback(words: &mut Words) -> StatementKind {
    if words.is(0, "prepared") {
        return StatementKind::PrepareTransaction;
    }
    words.eat_any(&["work", "transaction"]);
    if words.is(0, "to") { StatementKind::Savepoint } else { StatementKind::Rollback }
}

fn set(words: &mut Words) -> StatementKind {
    match words.peek(0) {
        // A setting may be named `local.x`, but none called so alone.
        Some(word) if word.is("local") && !words.peek(1).is_some_and(|next| next.symbol(".")) => StatementKind::Other,
        Some(word) if word.is("constraints") => StatementKind::Other,
        Some(word) if word.is("transaction") => StatementKind::Other,
        _ => StatementKind::SetSession,
    }
}

fn copy(words: &mut Words) -> StatementKind {
    match words.seek(&["from", "to"]) {
        Some("from") if words.is(0, "stdin") || words.is(0, "stdout") => StatementKind::CopyFromStdin,
        _ => StatementKind::CopyOther,
    }
}

fn create(words: &mut Words) -> StatementKind {
    words.eat(&["or", "replace"]);
    words.eat_any(&["global", "local"]);
    if words.eat_any(&["temp", "temporary"]).is_some() {
        return StatementKind::CreateTemp;
    }
    let unique = words.eat(&["unique"]);
    if words.eat(&["index", "concurrently"]) {
        let if_not_exists = words.eat(&["if", "not", "exists"]);
        let name = if words.is(0, "on") { None } else { words.name() };
        words.eat(&["on"]);
        words.eat(&["only"]);
        let table = words.name().unwrap_or_default();
        return non_transactional(NonTransactional::CreateIndexConcurrently { name, table, unique, if_not_exists });
    }
    match words.peek(0) {
        Some(word) if word.is("database") || word.is("tablespace") => {
            return non_transactional(NonTransactional::DatabaseOrTablespace);
        }
        Some(word) if word.is("subscription") => return non_transactional(NonTransactional::Subscription),
        _ => {}
    }
    if creates_in_pg_temp(words) { StatementKind::CreateTemp } else { StatementKind::Ddl }
}

/// `CREATE TABLE pg_temp.x` and its like: the name follows one or two words that say what is made.
fn creates_in_pg_temp(words: &mut Words) -> bool {
    words.eat_any(&["unlogged", "recursive"]);
    words.next();
    words.eat_if_exists();
    let schema = words.peek(0).is_some_and(|word| word.is("pg_temp") || word.text == "\"pg_temp\"");
    schema && words.peek(1).is_some_and(|word| word.symbol("."))
}

/// Whether the statement is `ALTER TYPE … ADD VALUE`: the value can be used only after a commit (55P04).
pub fn adds_enum_value(statement: &str) -> bool {
    let mut words = Words::new(statement);
    words.eat(&["alter", "type"]) && words.name().is_some() && words.eat(&["add", "value"])
}

fn alter(words: &mut Words) -> StatementKind {
    let Some(kind) = words.next() else { return StatementKind::Other };
    match kind.text.to_ascii_lowercase().as_str() {
        "system" => non_transactional(NonTransactional::AlterSystem),
        "subscription" => non_transactional(NonTransactional::Subscription),
        "database" => {
            words.name();
            let moves = words.eat(&["set", "tablespace"]);
            if moves { non_transactional(NonTransactional::DatabaseOrTablespace) } else { StatementKind::Ddl }
        }
        "table" => {
            words.eat_if_exists();
            words.eat(&["only"]);
            let parent = words.name();
            if words.is_symbol("*") {
                words.next();
            }
            let partition = words.eat(&["detach", "partition"]).then(|| words.name()).flatten();
            match (parent, partition) {
                (Some(parent), Some(partition)) if words.is(0, "concurrently") => {
                    non_transactional(NonTransactional::DetachConcurrently { parent, partition })
                }
                _ => StatementKind::Ddl,
            }
        }
        _ => StatementKind::Ddl,
    }
}

fn drop_statement(words: &mut Words) -> StatementKind {
    if words.eat(&["index", "concurrently"]) {
        let if_exists = words.eat_if_exists();
        return non_transactional(NonTransactional::DropIndexConcurrently { names: words.names(), if_exists });
    }
    match words.eat_any(&["database", "tablespace", "subscription"]) {
        Some("subscription") => non_transactional(NonTransactional::Subscription),
        Some(_) => non_transactional(NonTransactional::DatabaseOrTablespace),
        None => StatementKind::Ddl,
    }
}

fn reindex(words: &mut Words) -> StatementKind {
    let mut concurrently = has_option(words, "concurrently");
    let of = words.eat_any(&["index", "table", "schema", "database", "system"]);
    concurrently |= words.eat(&["concurrently"]);
    match of {
        Some(of) if concurrently => non_transactional(NonTransactional::ReindexConcurrently { of, name: words.name() }),
        Some("schema" | "database" | "system") => non_transactional(NonTransactional::Reindex),
        _ => StatementKind::Ddl,
    }
}

fn cluster(words: &mut Words) -> StatementKind {
    words.eat_parenthesis();
    words.eat(&["verbose"]);
    if words.peek(0).is_none() { non_transactional(NonTransactional::Cluster) } else { StatementKind::Ddl }
}

/// EXPLAIN ANALYZE runs what it explains, so it is of that kind.
fn explain(mut words: Words, statement: &str) -> StatementKind {
    let analyze = if words.is_symbol("(") {
        has_option(&mut words, "analyze")
    } else {
        let analyze = words.eat(&["analyze"]) || words.eat(&["analyse"]);
        words.eat(&["verbose"]);
        analyze
    };
    match words.peek(0) {
        Some(inner) if analyze => classify(&statement[inner.start..]),
        _ => StatementKind::Other,
    }
}

/// Steps over options in parentheses; whether this one is among them and not turned off.
fn has_option(words: &mut Words, option: &str) -> bool {
    if !words.is_symbol("(") {
        return false;
    }
    let mut found = false;
    while let Some(word) = words.next() {
        if word.symbol(")") {
            break;
        }
        if word.is(option) {
            let off = words.peek(0).is_some_and(|value| {
                let value = value.text.trim_matches('\'').to_ascii_lowercase();
                matches!(value.as_str(), "off" | "false" | "0")
            });
            found = !off;
        }
    }
    found
}

/// `SELECT [pg_catalog.]set_config('…', '…', false)` and nothing else.
fn is_set_config(words: &mut Words) -> bool {
    let start = if words.is(0, "pg_catalog") { 2 } else { 0 };
    words.is(start, "set_config")
        && words.peek(start + 2).is_some_and(|word| word.kind == WordKind::Text)
        && words.peek(start + 4).is_some_and(|word| word.kind == WordKind::Text)
        && words.is(start + 6, "false")
        && words.peek(start + 7).is_some_and(|word| word.symbol(")"))
        && words.peek(start + 8).is_none()
}

fn selects_into_temp(mut words: Words) -> bool {
    words.seek(&["into", "from"]) == Some("into") && {
        words.eat_any(&["local", "global"]);
        words.is(0, "temp") || words.is(0, "temporary") || words.is(0, "pg_temp")
    }
}
