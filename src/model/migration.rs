//! A migration as its file tells it: version, name, checksum, the SQL of both directions and the settings.
//!
//! Also what every kind of source file shares: how bytes become text. Which of them was applied where, and what a
//! statement means, is not known here.

use std::borrow::Cow;
use std::str::Utf8Error;
use std::sync::Arc;

use crate::error::{Error, Location, Result};
use crate::model::apart::Apart;
use crate::model::checksum::Checksum;
use crate::model::directive::{self, Batch, Directives, FileKind, Precondition, Section};
use crate::model::script::{Means, Script};
use crate::model::squash::{self, Replaced};
use crate::model::version::Version;

/// One file of `db/migrations`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// The digits its file name begins with.
    pub version: Version,
    /// What stands between `VERSION_` and `.sql`.
    pub name: String,
    /// Relative to the repository.
    pub path: String,
    /// Over the whole file, both sections and comments included.
    pub checksum: Checksum,
    /// What applies it.
    pub up: Script,
    /// What takes it back, where the file has a down section.
    pub down: Option<Script>,
    /// What its directives say.
    pub settings: Settings,
    /// Of a secure migration: the checksum of the body that stands in [`Migration::up`] instead of the stand-in.
    pub body: Option<Checksum>,
}

/// Whether running a migration again must change nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Idempotent {
    /// It must, and is tried.
    Expected,
    /// The file says it does not.
    OptOut {
        /// Why, in the author's words.
        reason: String,
    },
}

/// Settings of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whether the up part runs in one transaction with its history row.
    pub transaction: bool,
    /// The same of the down part.
    pub down_transaction: bool,
    /// `dbbuild:idempotent`.
    pub idempotent: Idempotent,
    /// `dbbuild:description`.
    pub description: Option<String>,
    /// `dbbuild:precondition`: what is asked before it runs.
    pub preconditions: Vec<Precondition>,
    /// `dbbuild:env` and `dbbuild:secure`: the baseline does not hold it.
    pub apart: Apart,
    /// The migrations that this one stands for, where it is a squash; see [`crate::model::squash`].
    pub squashes: Vec<Replaced>,
    /// The commit before the squash.
    pub squashed_at: Option<String>,
}

impl Migration {
    /// Reads a migration from its path (relative to the repository) and bytes.
    pub fn parse(path: &str, bytes: &[u8]) -> Result<Migration> {
        let (version, name) = parse_file_name(path)?;
        let text = normalise(path, bytes)?;
        let checksum = Checksum::of_text(&text);
        let Directives {
            up,
            down,
            transaction,
            not_idempotent,
            description,
            psql,
            placeholders,
            preconditions,
            batches,
            apart,
            squashes,
            squashed_at,
            ..
        } = directive::parse(path, &text, FileKind::Migration)?;
        let runs_in_transaction = |section: &Section| section.transaction.or(transaction).unwrap_or(true);
        let settings = Settings {
            // A batch commits in between.
            transaction: runs_in_transaction(&up) && batches.is_empty(),
            down_transaction: down.as_ref().is_none_or(runs_in_transaction),
            idempotent: match not_idempotent {
                Some(reason) => Idempotent::OptOut { reason },
                // It makes what is there already where it ran before.
                None if !squashes.is_empty() => Idempotent::OptOut { reason: "it is a squash".to_owned() },
                None => Idempotent::Expected,
            },
            description,
            preconditions,
            apart,
            squashes,
            squashed_at,
        };
        if !(settings.apart.is_none() || settings.transaction && settings.down_transaction) {
            let what = if settings.apart.secure {
                "a secure migration"
            } else {
                "a migration that is limited to environments"
            };
            return Err(Error::failed(format!("{what} runs in one transaction"))
                .at(Location::file(path))
                .help("it changes rows only, and so needs no `transaction:false`."));
        }
        if psql && !settings.apart.is_none() {
            return Err(Error::failed("a migration that stands outside the baseline is not run by psql")
                .at(Location::file(path))
                .help("it changes rows only: write SQL, or the rows as a file of init data."));
        }
        let offset = up.range.start;
        let script = |section: Section| {
            let mut script = Script::of_section(path, section.first_line, &text[section.range]);
            script.means.placeholders = placeholders;
            script
        };
        let down = down.map(script);
        let mut up = script(up);
        let shift = |batch: Batch| Batch { offset: batch.offset.saturating_sub(offset), ..batch };
        let batches = batches.into_iter().map(shift).collect();
        up.means = Means { psql: psql.then(Arc::default), batches, ..up.means };
        up.check_batches()?;
        let migration = Migration { version, name, path: path.to_owned(), checksum, up, down, settings, body: None };
        squash::check(&migration)?;
        Ok(migration)
    }

    /// The sum over the file and over what psql takes in with it.
    pub fn sum(&self) -> Checksum {
        self.up.means.psql.as_ref().map_or(self.checksum, |included| included.sum(&self.checksum))
    }

    /// Whether it stands for migrations that were squashed.
    pub fn is_squash(&self) -> bool {
        !self.settings.squashes.is_empty()
    }

    /// `VERSION_name`: what messages and the baseline call it.
    pub fn label(&self) -> String {
        format!("{}_{}", self.version, self.name)
    }

    /// Whether it shall run in one transaction with its row, as far as the file alone tells.
    pub fn runs_in_transaction(&self) -> bool {
        self.settings.transaction && !self.up.commits_enum_value().unwrap_or(false)
    }
}

/// Takes `VERSION_name.sql` apart.
pub fn parse_file_name(path: &str) -> Result<(Version, String)> {
    let file = path.rsplit('/').next().unwrap_or(path);
    let parts = strip_sql(file).and_then(|stem| stem.split_once('_'));
    match parts {
        Some((version, name)) if !name.is_empty() && version.bytes().all(|b| b.is_ascii_digit()) => {
            if let Ok(version) = Version::parse(version) {
                return Ok((version, name.to_owned()));
            }
        }
        _ => {}
    }
    Err(Error::failed("the file name is not one of a migration")
        .at(Location::file(path))
        .help("a migration is called VERSION_name.sql, VERSION being digits alone, like 20240131120000_add_email.sql"))
}

/// A file name without its ending `.sql`, in either case; `None` where it has another.
pub fn strip_sql(file: &str) -> Option<&str> {
    let stem = file.len().checked_sub(4)?;
    let ending = file.get(stem..)?;
    ending.eq_ignore_ascii_case(".sql").then(|| &file[..stem])
}

/// The text of a file: UTF-8 without BOM, LF for CRLF; a CR alone stays. A text of nothing but white space is an error.
pub fn normalise<'a>(path: &str, bytes: &'a [u8]) -> Result<Cow<'a, str>> {
    let text = decode(path, bytes)?;
    if text.trim().is_empty() {
        return Err(Error::failed("the file is empty")
            .at(Location::file(path))
            .help("write its SQL or remove it; a comment is enough where nothing shall run"));
    }
    Ok(text)
}

/// As [`normalise`], for a file that may be empty.
pub fn decode<'a>(path: &str, bytes: &'a [u8]) -> Result<Cow<'a, str>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(path, bytes, error))?;
    Ok(if text.contains('\r') && text.contains("\r\n") {
        Cow::Owned(text.replace("\r\n", "\n"))
    } else {
        Cow::Borrowed(text)
    })
}

/// What is said of a file that is no text.
pub fn not_utf8(path: &str, bytes: &[u8], error: Utf8Error) -> Error {
    let valid = error.valid_up_to();
    let before = String::from_utf8_lossy(&bytes[..valid]);
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let help = match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "it looks like UTF-16; convert it to UTF-8",
        _ => "convert the file to UTF-8",
    };
    let byte = bytes.get(valid).copied().unwrap_or_default();
    Error::failed(format!("invalid UTF-8 (byte 0x{byte:02x})")).at(Location::new(path, line, column)).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Migration {
        Migration::parse("db/migrations/0012_add it.sql", text.as_bytes()).unwrap()
    }

    #[test]
    fn a_file_name_gives_version_and_name() {
        for (path, version, name) in [
            ("db/migrations/20240101120000_add_email.sql", "20240101120000", "add_email"),
            ("1_x.SQL", "1", "x"),
            ("007_bond, \"james\" é.sql", "007", "bond, \"james\" é"),
            ("1__x.sql", "1", "_x"),
            ("1_x.sql.sql", "1", "x.sql"),
            ("1_new\nline.sql", "1", "new\nline"),
        ] {
            let (found, found_name) = parse_file_name(path).unwrap();
            assert_eq!((found.to_string().as_str(), found_name.as_str()), (version, name));
        }
        for path in ["1.sql", "1_.sql", "_x.sql", "x_1.sql", "V1_x.sql", "1-x.sql", "1_x.txt", "1_x.sql~", ".sql", "é"]
        {
            assert!(parse_file_name(path).is_err(), "{path}");
        }
    }

    #[test]
    fn line_endings_and_bom_do_not_count() {
        let plain = parse("SELECT 1;\nSELECT 2;\n");
        let windows = parse("\u{feff}SELECT 1;\r\nSELECT 2;\r\n");
        assert_eq!(plain, windows);
        let alone = parse("SELECT '\r';\r\n");
        assert_eq!(&*alone.up.text, "SELECT '\r';\n");
        assert_ne!(plain.checksum, parse("SELECT 1;\nSELECT 2;").checksum);
    }

    #[test]
    fn sections_become_scripts_that_know_their_lines() {
        let migration = parse("-- about\n-- migrate:up\nA;\n\n-- migrate:down transaction:false\nB;\n");
        assert_eq!((&*migration.up.text, migration.up.first_line), ("A;\n\n", 3));
        let down = migration.down.unwrap();
        assert_eq!((&*down.text, down.first_line), ("B;\n", 6));
        assert!(migration.settings.transaction);
        assert!(!migration.settings.down_transaction);
    }

    #[test]
    fn settings_come_from_the_header() {
        let migration = parse("-- dbbuild:idempotent false counts up\n-- dbbuild:transaction false\nSELECT 1");
        assert!(!migration.settings.transaction);
        assert_eq!(migration.settings.idempotent, Idempotent::OptOut { reason: "counts up".into() });
        let migration = parse("-- dbbuild:transaction false\n-- migrate:up transaction:true\nSELECT 1");
        assert!(migration.settings.transaction);
        assert_eq!(migration.settings.idempotent, Idempotent::Expected);
        assert_eq!(migration.label(), "0012_add it");
    }

    #[test]
    fn faults_of_the_bytes_are_located() {
        let fault = |bytes: &[u8]| Migration::parse("1_a.sql", bytes).unwrap_err().to_string();
        assert_eq!(fault(b"\xef\xbb\xbfSELECT 1;\r\n'\xc3\xa9\xe9'"), "invalid UTF-8 (byte 0xe9) at 1_a.sql:2:3");
        assert_eq!(fault(b"\xff\xfeS\0"), "invalid UTF-8 (byte 0xff) at 1_a.sql:1:1");
        for empty in ["", " \n\t\r\n", "\u{feff}", "\u{feff}\n"] {
            assert_eq!(fault(empty.as_bytes()), "the file is empty at 1_a.sql");
        }
        assert!(Migration::parse("1_a.sql", b"-- nothing to do\n").is_ok());
    }
}
