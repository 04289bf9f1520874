//! Secure migrations: where their bodies may lie, and what a body must be to stand in for its stand-in.
//!
//! Pure: nothing is fetched here. No error of this module shows a word of a body: it says what is wrong and on which line.

use std::fmt;

use crate::error::{Error, Location, Result};
use crate::model::checksum::Checksum;
use crate::model::migration::{Migration, decode};
use crate::model::script::Script;
use crate::model::sql::{self, StatementKind};
use crate::model::{directive, review};

/// The stores that a URL may name.
const SCHEMES: [&str; 3] = ["s3", "gs", "az"];

/// One entry of `secure_path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A folder; a relative one belongs to the folder of `dbbuild.toml`.
    Folder(String),
    /// A bucket or container of an object store, and what stands before the names there.
    Store {
        /// `s3`, `gs` or `az`.
        scheme: &'static str,
        /// Bucket or container.
        bucket: String,
        /// Without slashes at its ends; may be empty.
        prefix: String,
    },
}

impl Place {
    /// Reads an entry of the configuration.
    ///
    /// # Errors
    /// Why it names no place, as a clause.
    pub fn parse(text: &str) -> std::result::Result<Place, String> {
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            return Err("is empty or holds control characters".to_owned());
        }
        let Some((scheme, rest)) = text.split_once("://") else { return Ok(Place::Folder(text.to_owned())) };
        let Some(scheme) = SCHEMES.into_iter().find(|known| *known == scheme) else {
            return Err("is no folder, and no URL that begins with s3://, gs:// or az://".to_owned());
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() || rest.contains(['@', '?', '#']) {
            return Err(format!("is not of the form {scheme}://BUCKET/PREFIX; credentials come from the environment"));
        }
        let prefix = prefix.trim_matches('/');
        if prefix.split('/').any(|part| matches!(part, "." | "..")) || prefix.contains("//") {
            return Err("holds an empty part, `.` or `..`".to_owned());
        }
        Ok(Place::Store { scheme, bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    /// What a file in it is called, for people.
    pub fn file(&self, name: &str) -> String {
        format!("{self}/{name}")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Folder(folder) => f.write_str(folder.trim_end_matches('/')),
            Place::Store { scheme, bucket, prefix } if prefix.is_empty() => write!(f, "{scheme}://{bucket}"),
            Place::Store { scheme, bucket, prefix } => write!(f, "{scheme}://{bucket}/{prefix}"),
        }
    }
}

/// The name under which the body of a migration lies: that of its file in git.
pub fn file_name(migration: &Migration) -> String {
    format!("{}.sql", migration.label())
}

/// The checksum of a body, over its text with LF line ends and without byte order mark.
///
/// # Errors
/// It is not UTF-8.
pub fn checksum(path: &str, bytes: &[u8]) -> Result<Checksum> {
    decode(path, bytes).map(|text| Checksum::of_text(&text)).map_err(|e| cloaked(path, "is not UTF-8", &e))
}

/// The migration with its body instead of the stand-in. `path` is where the body lies.
///
/// # Errors
/// The body cannot run in its place.
pub fn with_body(stand_in: &Migration, path: &str, bytes: &[u8]) -> Result<Migration> {
    let text = decode(path, bytes).map_err(|e| cloaked(path, "is not UTF-8", &e))?;
    let found = directive::parse(path, &text, directive::FileKind::Migration)
        .map_err(|e| cloaked(path, "has a directive that is not sound", &e))?;
    if found.down.is_some() {
        return Err(unfit(path, 0, "has a down part").help("what takes it back stands in the stand-in, in git."));
    }
    if found.up.transaction.or(found.transaction) == Some(false) {
        return Err(unfit(path, 0, "runs without a transaction").help("it changes rows only, and so runs in one."));
    }
    if found.psql || !found.batches.is_empty() || !found.preconditions.is_empty() || found.placeholders.is_some() {
        return Err(unfit(path, 0, "has a directive that only its stand-in may have"));
    }
    let same = found.apart.environments.is_empty() || found.apart.environments == stand_in.settings.apart.environments;
    if !same {
        return Err(unfit(path, 0, "names other environments than its stand-in"));
    }
    let up = Script::of_section(path, found.up.first_line, &text[found.up.range.clone()]);
    rows_only(&up)?;
    Ok(Migration { up, body: Some(Checksum::of_text(&text)), ..stand_in.clone() })
}

/// What statements can tell before they run; what a DO block or a function does, a trial in a throwaway shows.
fn rows_only(script: &Script) -> Result<()> {
    let body = script.body()?;
    if body.statements.is_empty() {
        return Err(unfit(&script.path, 0, "holds no statement").help("`dbbuild secure edit` opens it."));
    }
    if let Some((place, _)) = &body.transaction_control {
        return Err(unfit(&script.path, place.line, "begins or ends a transaction by itself"));
    }
    for statement in &body.statements {
        let line = script.location(statement.range.start).line;
        let alone = matches!(statement.kind, StatementKind::NonTransactional(_));
        if alone || statement.kind == StatementKind::Ddl {
            return Err(unfit(&script.path, line, "changes more than rows")
                .help("every database has the same schema: write what changes it as an ordinary migration."));
        }
        if review::changes_version_table(script.statement_text(statement)) {
            return Err(unfit(&script.path, line, "changes the schema dbbuild"));
        }
        if sql::literal_password(script.statement_text(statement)).is_some() {
            return Err(unfit(&script.path, line, "sets a password of a role"));
        }
    }
    Ok(())
}

fn unfit(path: &str, line: usize, why: &str) -> Error {
    Error::failed(format!("the secure body {why}")).at(Location::new(path, line, 0))
}

/// The place of another error, and nothing of what it shows.
fn cloaked(path: &str, why: &str, error: &Error) -> Error {
    unfit(path, error.location().map_or(0, |place| place.line), why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stand_in() -> Migration {
        Migration::parse(
            "db/migrations/2_key.sql",
            b"-- dbbuild:secure\n-- dbbuild:env a b\n-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 2;\n",
        )
        .unwrap()
    }

    #[test]
    fn places_are_read_and_shown() {
        for (text, shown) in [
            ("secure/", "secure"),
            ("/srv/keys", "/srv/keys"),
            ("s3://bucket", "s3://bucket"),
            ("gs://bucket/a/b/", "gs://bucket/a/b"),
            ("az://container/x", "az://container/x"),
        ] {
            assert_eq!(Place::parse(text).unwrap().to_string(), shown);
        }
        for text in
            ["", " ", "http://x/y", "s3://", "s3://key:secret@bucket/x", "s3://b/x?sig=1", "s3://b/../x", "a\nb"]
        {
            assert!(Place::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_body_takes_the_place_of_the_up_part() {
        let path = "/srv/2_key.sql";
        let whole = with_body(&stand_in(), path, b"\xef\xbb\xbf-- note\r\nINSERT INTO t VALUES (1);\r\n").unwrap();
        assert_eq!(&*whole.up.text, "-- note\nINSERT INTO t VALUES (1);\n");
        assert_eq!(whole.checksum, stand_in().checksum);
        assert_eq!(whole.down, stand_in().down);
        assert_eq!(whole.body, Some(checksum(path, b"-- note\nINSERT INTO t VALUES (1);\n").unwrap()));
        let sections = with_body(&stand_in(), path, b"-- dbbuild:secure\n-- migrate:up\nDELETE FROM t;").unwrap();
        assert_eq!((&*sections.up.text, sections.up.first_line), ("DELETE FROM t;", 3));
    }

    #[test]
    fn what_cannot_run_is_refused_without_a_word_of_it() {
        for (text, expected) in [
            (&b"SELECT '\xff s3cret'"[..], "the secure body is not UTF-8 at /k/2_key.sql:1"),
            (b"-- dbbuild:s3cret x\nSELECT 1", "the secure body has a directive that is not sound at /k/2_key.sql:1"),
            (b"SELECT 1;\n\nCREATE TABLE s3cret ()", "the secure body changes more than rows at /k/2_key.sql:3"),
            (b"VACUUM s3cret", "the secure body changes more than rows at /k/2_key.sql:1"),
            (
                b"\nROLLBACK; SELECT 's3cret'",
                "the secure body begins or ends a transaction by itself at /k/2_key.sql:2",
            ),
            (b"-- s3cret\n", "the secure body holds no statement at /k/2_key.sql"),
            (b"", "the secure body holds no statement at /k/2_key.sql"),
            (b"SELECT 's3cret", "unclosed quote at /k/2_key.sql:1:8"),
            (b"DELETE FROM dbbuild.migration", "the secure body changes the schema dbbuild at /k/2_key.sql:1"),
            (b"-- migrate:up\nSELECT 1;\n-- migrate:down\ns3cret", "the secure body has a down part at /k/2_key.sql"),
            (
                b"-- dbbuild:psql true\nSELECT 1",
                "the secure body has a directive that only its stand-in may have at /k/2_key.sql",
            ),
            (
                b"-- dbbuild:env c\nSELECT 1",
                "the secure body names other environments than its stand-in at /k/2_key.sql",
            ),
            (b"-- dbbuild:transaction false\nSELECT 1", "the secure body runs without a transaction at /k/2_key.sql"),
        ] {
            let error = with_body(&stand_in(), "/k/2_key.sql", text).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }
}
