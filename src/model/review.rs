//! What can be said against a script before any of it runs: text that does not lex, transaction control where a
//! transaction is dbbuild's, writes to dbbuild's own tables, passwords.
//!
//! Whether it is good SQL is the server's to say; what stands in `DO` blocks and functions is not looked into.

use crate::error::{Error, Result};
use crate::model::attic;
use crate::model::plan::{Plan, Step};
use crate::model::script::{Body, Script};
use crate::model::sources::Sources;
use crate::model::sql;

/// The schemas of the version table and of what was kept.
const SCHEMAS: [&str; 2] = ["dbbuild", attic::SCHEMA];

/// Statements that change the object which they name.
const CHANGES: &[&str] =
    &["insert", "update", "delete", "merge", "truncate", "with", "alter", "drop", "create", "copy"];

/// Everything that stands against a run of a plan's scripts.
///
/// # Errors
/// All faults at once; nothing was run.
pub fn plan(plan: &Plan) -> Result<()> {
    let faults = plan.steps.iter().filter_map(|step| match step {
        Step::Migration { migration, .. } => script(&migration.up, migration.runs_in_transaction()).err(),
        Step::File { file, .. } => script(&file.script, true).err(),
        Step::Reload(reload) => script(&reload.file.script, true).err(),
        Step::TakeBack(back) => script(&back.down, back.runs_in_transaction()).err(),
        Step::Mark { .. }
        | Step::Baseline { .. }
        | Step::Record(_)
        | Step::Remove(_)
        | Step::Sequences
        | Step::Check { .. } => None,
    });
    Error::all(faults.map(|fault| fault.help("nothing was run."))).map_or(Ok(()), Err)
}

/// Everything that stands against the sources of a database that is to be proved: what stands against running them, and
/// passwords, which git would keep for ever.
///
/// # Errors
/// All faults at once.
pub fn sources(sources: &Sources) -> Result<()> {
    let mut faults = Vec::new();
    for migration in sources.all_migrations() {
        faults.extend(script(&migration.up, migration.runs_in_transaction()).err());
        faults.extend(passwords(&migration.up));
    }
    let groups = sources.env_init.values().chain(sources.testdata.values()).flatten();
    for file in sources.repeatable.iter().chain(&sources.init).chain(groups) {
        faults.extend(script(&file.script, true).err());
        faults.extend(passwords(&file.script));
    }
    Error::all(faults).map_or(Ok(()), Err)
}

/// What stands against running one script, in a transaction of dbbuild's or statement by statement.
///
/// # Errors
/// The first fault.
pub fn script(script: &Script, transaction: bool) -> Result<()> {
    let body = if transaction { script.body()? } else { Body::as_written(script)? };
    transaction_control(&body)?;
    if let Some(included) = &script.means.psql {
        for inner in included.as_scripts()? {
            self::script(&inner, false)?;
            if let Some((location, word)) = inner.first_control()?.filter(|_| transaction) {
                return Err(Error::failed(format!("{word} in a file that runs in one transaction")).at(location).help(
                    format!("`{}` includes it; take it out, or let that run with `transaction:false`.", script.path),
                ));
            }
        }
    }
    let own = |statement: &sql::Statement| {
        own_schema(script.statement_text(statement)).map(|own| (statement.range.start, own))
    };
    match body.statements.iter().find_map(own) {
        Some((at, schema)) => {
            Err(Error::failed(format!("a script must not change the schema {schema}")).at(script.location(at)).help(
                "dbbuild's record of what was applied stands there, or what it keeps; only its own commands write it.",
            ))
        }
        None => Ok(()),
    }
}

/// A transaction of dbbuild's must not be ended by the script that runs in it.
///
/// # Errors
/// The first statement that would.
pub fn transaction_control(body: &Body<'_>) -> Result<()> {
    let Some((location, word)) = &body.transaction_control else { return Ok(()) };
    Err(Error::failed(format!("{word} in a file that runs in one transaction"))
        .at(location.clone())
        .help("take it out, or wrap the whole file in one BEGIN … COMMIT, or write `-- migrate:up transaction:false`."))
}

/// Whether a statement changes dbbuild's own tables, as far as its first words tell.
pub(super) fn changes_version_table(statement: &str) -> bool {
    own_schema(statement).is_some()
}

/// The schema of dbbuild's own that a statement changes.
fn own_schema(statement: &str) -> Option<&'static str> {
    let verb = statement.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    if !CHANGES.iter().any(|change| verb.eq_ignore_ascii_case(change))
        || sql::classify(statement) == sql::StatementKind::CopyOther
    {
        return None;
    }
    let object = sql::main_object(statement)?;
    let (schema, qualified) = object.name.split_once('.').map_or((&*object.name, false), |(schema, _)| (schema, true));
    let schema = schema.trim().trim_matches('"');
    let own = SCHEMAS.into_iter().find(|own| schema.eq_ignore_ascii_case(own))?;
    (qualified || object.kind == "schema").then_some(own)
}

/// An error for each statement that holds a password; a script that does not lex has none to show.
fn passwords(script: &Script) -> Vec<Error> {
    // Most files hold none, and need no second look at their statements.
    let text = script.text.as_bytes();
    if !["password", "connection"].iter().any(|word| holds(text, word.as_bytes())) {
        return Vec::new();
    }
    let found = script.statements().map_while(Result::ok).filter_map(|statement| {
        let place = sql::literal_password(script.statement_text(&statement))?;
        let place = statement.range.start + place.start..statement.range.start + place.end;
        // A placeholder is how a password stays out of git.
        if script.means.filled.is_some() && script.source_of(place.clone()).trim_start_matches('\'').starts_with("${") {
            return None;
        }
        let location = script.location(place.start);
        Some(Error::failed("a password stands in the file").at(location).help(
            "git keeps it for ever: make the role without a password here and set that outside the migrations; if it \
             was ever pushed, change it.",
        ))
    });
    found.collect()
}

fn holds(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str, transaction: bool) -> Option<String> {
        script(&Script::of_file("a.sql", text), transaction).err().map(|fault| fault.to_string())
    }

    #[test]
    fn what_cannot_run_is_found_with_its_place() {
        for (text, transaction, expected) in [
            ("SELECT 1;\n SELECT 'x", true, "unclosed quote at a.sql:2:9"),
            ("SELECT 1;\nCOMMIT; SELECT 2", true, "COMMIT in a file that runs in one transaction at a.sql:2:1"),
            (
                "SELECT 1;\n DROP SCHEMA IF EXISTS dbbuild",
                true,
                "a script must not change the schema dbbuild at a.sql:2:2",
            ),
            ("DELETE FROM dbbuild.migration", false, "a script must not change the schema dbbuild at a.sql:1:1"),
            (
                "update \"dbbuild\".environment SET protected = false",
                true,
                "a script must not change the schema dbbuild at a.sql:1:1",
            ),
            ("TRUNCATE DBBUILD.file", true, "a script must not change the schema dbbuild at a.sql:1:1"),
        ] {
            assert_eq!(fault(text, transaction).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_may_run_is_let_through() {
        for (text, transaction) in [
            ("SELECT 1; COMMIT; SELECT 2", false),
            ("SELECT * FROM dbbuild.migration", true),
            ("GRANT USAGE ON SCHEMA dbbuild TO reader; COPY dbbuild.migration TO '/tmp/x'", true),
            ("CREATE TABLE dbbuild (id int); INSERT INTO dbbuild VALUES (1); DROP TABLE public.dbbuild", true),
            ("INSERT INTO t SELECT version FROM dbbuild.migration", true),
        ] {
            assert_eq!(fault(text, transaction), None, "{text}");
        }
    }

    #[test]
    fn passwords_are_found_with_their_place() {
        let script =
            Script::of_file("a.sql", "CREATE ROLE a;\nALTER ROLE a\n  PASSWORD 'x';\nCREATE USER b PASSWORD NULL;");
        let found: Vec<String> = passwords(&script).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["a password stands in the file at a.sql:3:12"]);
    }
}
