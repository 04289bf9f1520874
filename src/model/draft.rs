//! A first draft of the down part of a migration that has none, for a person to review.
//!
//! Made from the statements of the up part alone, and only where each of them is simple: what they made is dropped in the
//! opposite order. What was there before no text tells, so a draft is a guess until it was proved to bring the schema back,
//! which is not done here.

use crate::error::{Error, Location, Result};
use crate::model::migration::Migration;
use crate::model::plan::Plan;
use crate::model::script::Script;
use crate::model::sql::{self, StatementKind};

/// What takes a migration back, perhaps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    /// Statements in order, without `;`.
    pub statements: Vec<String>,
    /// Whether one of them is refused inside a transaction.
    pub alone: bool,
}

/// Migrations that a note names.
const NAMED: usize = 5;

/// The comment that stands above a draft.
const REVIEW: &str =
    "-- A draft that dbbuild made from the up part. It brings the schema back; what becomes of rows, review.";

/// Whether nothing takes the migration back: it has no down part, or an empty one, as `dbbuild new` writes it.
pub fn lacks_down(migration: &Migration) -> bool {
    migration.down.as_ref().is_none_or(|down| down.split().is_ok_and(|statements| statements.is_empty()))
}

/// What a plan says of the migrations that it would run and that nothing takes back.
pub fn note(plan: &Plan) -> Option<String> {
    let lacking: Vec<&Migration> =
        plan.migrations().filter(|one| one.settings.apart.is_none() && !one.is_squash() && lacks_down(one)).collect();
    let named: Vec<&str> = lacking.iter().take(NAMED).map(|one| one.version.as_str()).collect();
    let (first, rest) = (lacking.first()?, lacking.len() - named.len());
    let more = if rest == 0 { String::new() } else { format!(" and {rest} more") };
    let (what, has) = if lacking.len() == 1 { ("migration", "has") } else { ("migrations", "have") };
    Some(format!(
        "{} {what} {has} no down part ({}{more}); `dbbuild new --down {}` drafts one",
        lacking.len(),
        named.join(", "),
        first.version
    ))
}

/// Drafts the down part of a migration.
///
/// # Errors
/// A statement is not simple, or nothing would be dropped; the error names the line.
pub fn draft(migration: &Migration) -> Result<Draft> {
    let refuse = |why: &str| {
        Error::failed(format!("no draft of a down part for {}: {why}", migration.label()))
            .at(Location::file(&migration.path))
    };
    if !migration.settings.apart.is_none() {
        return Err(refuse("it changes rows only"));
    }
    if migration.is_squash() {
        return Err(refuse("it is a squash"));
    }
    if migration.up.means.psql.is_some() {
        return Err(refuse("psql runs it"));
    }
    let draft = undo(&migration.up).map_err(|fault| fault.cause(format!("in {}", migration.label())))?;
    if draft.statements.is_empty() {
        return Err(refuse("nothing that it does leaves an object behind"));
    }
    Ok(draft)
}

fn undo(script: &Script) -> Result<Draft> {
    let (mut draft, mut made) = (Draft::default(), Vec::<String>::new());
    for statement in script.split()? {
        // What a session keeps ends with it.
        if statement.kind == StatementKind::SetSession {
            continue;
        }
        let text = script.statement_text(&statement);
        let inverse = sql::inverse(text);
        let makes = inverse.as_ref().ok().and_then(|inverse| inverse.makes.clone());
        let on = sql::main_object(text).map(|object| object.name);
        let host = on
            .filter(|on| makes.as_ref().is_none_or(|own| !sql::same_name(own, on)))
            .and_then(|on| position(&made, &on));
        // What stands on something made here goes with it, unless it holds what was made after that and is dropped before.
        let goes_along = host.is_some_and(|at| !made[at + 1..].iter().any(|later| names(text, later)));
        match inverse {
            _ if goes_along => {}
            Ok(inverse) => {
                draft.alone |= inverse.alone;
                for one in inverse.undo {
                    if !draft.statements.contains(&one) {
                        draft.statements.push(one);
                    }
                }
            }
            // Whether what was made after it can then be dropped, the proof tells.
            Err(_) if host.is_some() => {}
            Err(why) => return Err(not_simple(script.location(statement.range.start), text, &why)),
        }
        made.extend(makes);
    }
    draft.statements.reverse();
    Ok(draft)
}

fn not_simple(at: Location, text: &str, why: &str) -> Error {
    let words: Vec<&str> = text.split_whitespace().take(4).collect();
    Error::failed(format!("no draft of a down part: `{} …` is not simple to take back", words.join(" ")))
        .at(at)
        .cause(why)
        .help("write its down part by hand, below a line `-- migrate:down`.")
}

/// Where in the list an object stands that may be called so: one name may be qualified and the other not.
fn position(made: &[String], name: &str) -> Option<usize> {
    made.iter().rposition(|one| sql::same_name(one, name))
}

fn names(text: &str, object: &str) -> bool {
    sql::mention(text, &[sql::last_name(object).as_str()]) != sql::Mention::None
}

impl Draft {
    /// The section as it stands in a file.
    pub fn section(&self, runs_alone: bool) -> String {
        let option = match (self.alone, runs_alone) {
            (true, _) => " transaction:false",
            // What the header says is about the up part.
            (false, true) => " transaction:true",
            (false, false) => "",
        };
        let body: String = self.statements.iter().map(|one| format!("{one};\n")).collect();
        format!("-- migrate:down{option}\n{REVIEW}\n{body}")
    }

    /// The migration's file with the draft in it.
    ///
    /// # Errors
    /// The file cannot be read back as the same migration with this down part.
    pub fn written_into(&self, migration: &Migration, bytes: &[u8]) -> Result<String> {
        let text = crate::model::migration::decode(&migration.path, bytes)?;
        let has_sections = migration.down.is_some() || migration.up.text.len() < text.len();
        let up = migration.up.source();
        let end = text.find(&**up).map_or(text.len(), |at| at + up.len());
        let above = text.get(..end).unwrap_or(&text).trim_end();
        let section = self.section(!migration.settings.transaction);
        let mut tries = Vec::new();
        if has_sections {
            tries.push(format!("{above}\n\n{section}"));
        } else {
            let at = first_line(&migration.up);
            tries.push(format!("{}-- migrate:up\n{}\n\n{section}", &above[..at], &above[at..]));
            tries.push(format!("-- migrate:up\n{above}\n\n{section}"));
        }
        let same = |made: &&String| {
            let Ok(read) = Migration::parse(&migration.path, made.as_bytes()) else { return false };
            let settings = crate::model::migration::Settings {
                down_transaction: read.settings.down_transaction,
                ..migration.settings.clone()
            };
            read.settings == settings && read.up.text.trim() == up_text(migration, &read) && !lacks_down(&read)
        };
        let made = tries.iter().find(same).ok_or_else(|| {
            Error::failed("cannot tell where in the file a down part may stand")
                .at(Location::file(&migration.path))
                .help("write a line `-- migrate:up` above its SQL and run the command again.")
        })?;
        Ok(if bytes.windows(2).any(|pair| pair == b"\r\n") { made.replace('\n', "\r\n") } else { made.clone() })
    }
}

/// The up part without the comments that came to stand above its section.
fn up_text<'a>(migration: &'a Migration, read: &Migration) -> &'a str {
    let whole = migration.up.text.trim();
    let own = read.up.text.trim();
    if whole.ends_with(own) && only_comments(&whole[..whole.len() - own.len()]) {
        &whole[whole.len() - own.len()..]
    } else {
        whole
    }
}

fn only_comments(text: &str) -> bool {
    sql::split(text).is_ok_and(|statements| statements.is_empty())
}

/// The beginning of the line of the first statement, or of the comment right above it that is no directive.
fn first_line(script: &Script) -> usize {
    let start = script.split().ok().and_then(|all| all.first().map(|one| one.range.start)).unwrap_or(0);
    let line_of = |at: usize| script.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let statement = line_of(start);
    let mut at = statement;
    while at > 0 {
        let above = line_of(at - 1);
        let line = script.text[above..at].trim();
        if !line.starts_with("--") {
            break;
        }
        if line.contains("dbbuild:") {
            return statement;
        }
        at = above;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn migration(text: &str) -> Migration {
        Migration::parse("db/migrations/1_a.sql", text.as_bytes()).unwrap()
    }

    fn check(text: &str, expect: &[&str]) {
        let found = draft(&migration(text)).unwrap();
        assert_eq!(found.statements, expect, "{text}");
    }

    fn refused(text: &str, line: usize, why: &str) {
        let error = draft(&migration(text)).unwrap_err();
        let causes = format!("{} {}", error.message(), error.causes().join(" "));
        assert!(causes.contains(why), "{causes}");
        assert_eq!(error.location().unwrap().line, line, "{text}");
    }

    #[test]
    fn what_was_made_is_dropped_in_the_opposite_order() {
        check(
            "CREATE TYPE mood AS ENUM ('a');\nCREATE TABLE IF NOT EXISTS shop.t (id int, m mood);\nCREATE VIEW v AS SELECT 1;",
            &["DROP VIEW v", "DROP TABLE IF EXISTS shop.t", "DROP TYPE mood"],
        );
        check("ALTER TABLE shop.t ADD COLUMN a int, ADD b text;", &["ALTER TABLE shop.t DROP COLUMN b, DROP COLUMN a"]);
        check(
            "ALTER TABLE ONLY t ADD COLUMN IF NOT EXISTS a int; ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0);",
            &["ALTER TABLE t DROP CONSTRAINT c", "ALTER TABLE ONLY t DROP COLUMN IF EXISTS a"],
        );
        check("CREATE UNIQUE INDEX IF NOT EXISTS i ON shop.\"T\" (a);", &["DROP INDEX IF EXISTS shop.i"]);
        check(
            "CREATE SEQUENCE s; CREATE SCHEMA x; CREATE EXTENSION IF NOT EXISTS citext;",
            &["DROP EXTENSION IF EXISTS citext", "DROP SCHEMA x", "DROP SEQUENCE s"],
        );
        check(
            "CREATE TRIGGER g AFTER INSERT ON shop.t EXECUTE FUNCTION f(); CREATE POLICY p ON t;",
            &["DROP POLICY p ON t", "DROP TRIGGER g ON shop.t"],
        );
    }

    #[test]
    fn routines_are_told_apart_by_their_arguments() {
        check(
            "CREATE OR REPLACE FUNCTION shop.f(a int = 1, b numeric(10, 2) DEFAULT f(1, 2), VARIADIC c text[]) RETURNS int \
             LANGUAGE sql AS $$ SELECT 1; $$;",
            &["DROP FUNCTION shop.f(a int, b numeric(10, 2), VARIADIC c text[])"],
        );
        check("CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT 1';", &["DROP PROCEDURE p()"]);
        refused("CREATE AGGREGATE a (BASETYPE = int, SFUNC = f, STYPE = int);", 1, "old way");
    }

    #[test]
    fn what_stands_on_something_new_goes_with_it() {
        check(
            "CREATE TABLE t (id int);\nCREATE INDEX ON t (id);\nINSERT INTO t VALUES (1);\nCOMMENT ON COLUMN t.id IS 'x';\n\
             GRANT SELECT ON t TO PUBLIC; ALTER TABLE t ALTER id SET DEFAULT 1;",
            &["DROP TABLE t"],
        );
        // The foreign key would keep b from being dropped before a.
        check(
            "CREATE TABLE a (b int); CREATE TABLE b (id int PRIMARY KEY); ALTER TABLE a ADD CONSTRAINT fk FOREIGN KEY (b) \
             REFERENCES b (id);",
            &["ALTER TABLE a DROP CONSTRAINT fk", "DROP TABLE b", "DROP TABLE a"],
        );
    }

    #[test]
    fn names_and_rights_are_given_back() {
        check("ALTER TABLE shop.a RENAME TO b;", &["ALTER TABLE shop.b RENAME TO a"]);
        check("ALTER TABLE a RENAME COLUMN x TO \"Y\";", &["ALTER TABLE a RENAME COLUMN \"Y\" TO x"]);
        check("ALTER TYPE m RENAME VALUE 'a' TO 'b';", &["ALTER TYPE m RENAME VALUE 'b' TO 'a'"]);
        check(
            "GRANT SELECT, INSERT (a) ON TABLE shop.t TO r, PUBLIC WITH GRANT OPTION;",
            &["REVOKE SELECT, INSERT(a) ON TABLE shop.t FROM r, PUBLIC"],
        );
        check("COMMENT ON TABLE shop.t IS 'it''s';", &["COMMENT ON TABLE shop.t IS NULL"]);
        check(
            "ALTER TABLE t ENABLE ROW LEVEL SECURITY, ALTER COLUMN a SET NOT NULL;",
            &["ALTER TABLE t ALTER COLUMN a DROP NOT NULL, DISABLE ROW LEVEL SECURITY"],
        );
    }

    #[test]
    fn what_is_not_simple_is_refused_with_its_line() {
        refused("CREATE TABLE t ();\nUPDATE u SET a = 1;", 2, "may change rows");
        refused("-- migrate:up\n\nDROP TABLE t;", 3, "what it drops");
        refused("ALTER TYPE m ADD VALUE 'x';", 1, "cannot be dropped");
        refused("ALTER TABLE t ADD COLUMN a int, ALTER b TYPE bigint;", 1, "what was there before");
        refused("ALTER TABLE t ADD CHECK (a > 0);", 1, "give it one");
        refused("CREATE INDEX ON t (a);", 1, "give it one");
        refused("CREATE ROLE r;", 1, "the whole server");
        refused("GRANT a TO b;", 1, "the whole server");
        refused("ALTER TABLE t ADD CONSTRAINT c UNIQUE USING INDEX i;", 1, "the index");
        refused("DO $$ BEGIN END $$;", 1, "may change rows");
        refused("-- dbbuild:psql true\nCREATE TABLE t ();", 0, "psql runs it");
        refused("-- nothing", 0, "leaves an object behind");
    }

    #[test]
    fn an_index_that_is_built_beside_writers_is_dropped_so() {
        let found =
            draft(&migration("-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY i ON t (a);")).unwrap();
        assert!(found.section(true).starts_with("-- migrate:down transaction:false\n"));
        assert_eq!(found.statements, ["DROP INDEX CONCURRENTLY i"]);
    }

    fn written(text: &str) -> String {
        let migration = migration(text);
        draft(&migration).unwrap().written_into(&migration, text.as_bytes()).unwrap()
    }

    #[test]
    fn the_draft_becomes_the_down_section() {
        let down = format!("-- migrate:down\n{REVIEW}\nDROP TABLE t;\n");
        assert_eq!(written("CREATE TABLE t ();"), format!("-- migrate:up\nCREATE TABLE t ();\n\n{down}"));
        assert_eq!(
            written("-- about\n\n-- dbbuild:description x\n\n-- it\nCREATE TABLE t ();\n"),
            format!("-- about\n\n-- dbbuild:description x\n\n-- migrate:up\n-- it\nCREATE TABLE t ();\n\n{down}")
        );
        assert_eq!(
            written("-- migrate:up\nCREATE TABLE t ();\n\n-- migrate:down\n-- the way back\n"),
            format!("-- migrate:up\nCREATE TABLE t ();\n\n{down}")
        );
        assert_eq!(
            written("/* a\n b */ CREATE TABLE t ();"),
            format!("-- migrate:up\n/* a\n b */ CREATE TABLE t ();\n\n{down}")
        );
        assert!(
            written("-- dbbuild:transaction false\r\nCREATE TABLE t ();\r\n").contains("down transaction:true\r\n")
        );
    }

    proptest! {
        #[test]
        fn a_draft_undoes_all_or_is_refused(kinds in proptest::collection::vec(0_usize..6, 1..6)) {
            let text: String = kinds.iter().enumerate().map(|(n, kind)| match kind {
                0 => format!("CREATE TABLE t{n} (a int);\n"),
                1 => format!("CREATE INDEX i{n} ON u (a);\n"),
                2 => format!("ALTER TABLE u ADD COLUMN c{n} int;\n"),
                3 => format!("CREATE VIEW v{n} AS SELECT 1;\n"),
                4 => format!("CREATE FUNCTION f{n}() RETURNS int LANGUAGE sql AS 'SELECT 1';\n"),
                _ => "UPDATE u SET a = 1;\n".to_owned(),
            }).collect();
            match draft(&migration(&text)) {
                Ok(found) => {
                    prop_assert_eq!(found.statements.len(), kinds.len());
                    let first = found.statements.first().cloned().unwrap_or_default();
                    prop_assert!(first.contains(&(kinds.len() - 1).to_string()));
                    let again = written(&text);
                    let read = migration(&again);
                    prop_assert_eq!(read.up.text.trim(), text.trim());
                    prop_assert_eq!(read.down.unwrap().split().unwrap().len(), kinds.len());
                }
                Err(_) => prop_assert!(kinds.contains(&5)),
            }
        }

        #[test]
        fn no_text_is_too_much(text in "(CREATE|ALTER|GRANT|COMMENT|TABLE|FUNCTION|ADD|RENAME|TO|ON|IS|\\(|\\)|,|\\.|\"x\"|y|=| ){0,20}") {
            let _ = sql::inverse(&text);
        }
    }
}
