//! The file around the dump: what it was made from, the roles it needs, the history rows, and the mark at its end.
//!
//! Plain SQL throughout: what dbbuild needs to know stands in comments, so that psql alone can load the file.

use super::dump::{self, Dump, Entry, Part, Storage};
use super::{ColumnName, CopyBlock, Rewritten, RoleNeed, copy_value, rewritten, roles};
use crate::error::{Error, Result};
use crate::model::checksum::Checksum;

/// The format that this dbbuild writes and reads.
const FORMAT: u32 = 1;
const TITLE: &str = "-- dbbuild baseline: generated, never edited by hand; `dbbuild baseline` makes it again.";
const END: &str = "-- dbbuild:end";
const HISTORY: &str = "HISTORY";

/// What pg_dump sets before anything else, as far as every supported server knows it.
const PREAMBLE: [&str; 10] = [
    "SET statement_timeout = 0;",
    "SET lock_timeout = 0;",
    "SET idle_in_transaction_session_timeout = 0;",
    "SET client_encoding = 'UTF8';",
    "SET standard_conforming_strings = on;",
    "SELECT pg_catalog.set_config('search_path', '', false);",
    "SET check_function_bodies = false;",
    "SET xmloption = content;",
    "SET client_min_messages = warning;",
    "SET row_security = off;",
];

/// What a baseline is written from.
#[derive(Debug, Clone)]
pub struct BaselineParts {
    /// The major version of PostgreSQL whose `pg_dump` wrote the dump.
    pub postgres_major: u32,
    /// The digest of everything the database was made from.
    pub inputs: Checksum,
    /// Columns whose values differ between two replays.
    pub volatile: Vec<ColumnName>,
    /// Published migrations that were rewritten with leave.
    pub rewritten: Vec<Rewritten>,
    /// The roles that the dump mentions.
    pub roles: Vec<RoleNeed>,
    /// The normalised dump, without the schema `dbbuild`.
    pub dump: Dump,
    /// Statements and COPY data that make the schema `dbbuild` with its version rows. Names in it are qualified.
    pub history_sql: String,
}

/// Writes the file.
pub fn render(parts: &BaselineParts) -> String {
    let mut out = String::new();
    out.push_str(TITLE);
    out.push_str(&format!("\n-- dbbuild:format {FORMAT}\n-- dbbuild:postgres {}\n", parts.postgres_major));
    out.push_str(&format!("-- dbbuild:inputs {}\n", parts.inputs));
    out.push_str(&rewritten::lines(&parts.rewritten));
    let mut volatile = parts.volatile.clone();
    volatile.sort();
    volatile.dedup();
    for column in &volatile {
        out.push_str(&format!("-- dbbuild:volatile {}\n", one_line(&column.to_string())));
    }
    out.push('\n');
    write_preamble(&mut out);
    Dump { entries: roles::entries(&parts.roles) }.write(&mut out);
    parts.dump.write(&mut out);
    out.push_str(&format!("--\n-- Name: dbbuild; Type: {HISTORY}; Schema: -\n--\n\n"));
    out.push_str(parts.history_sql.trim());
    out.push_str("\n\n");
    out.push_str(END);
    out.push('\n');
    out
}

/// The settings under which a dump loads, each on a line of its own.
pub(super) fn write_preamble(out: &mut String) {
    let storage = [Storage::Tablespace, Storage::AccessMethod].map(Storage::default_statement);
    for statement in PREAMBLE.iter().chain(&storage) {
        out.push_str(statement);
        out.push('\n');
    }
    out.push('\n');
}

/// A baseline read back from its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline {
    /// The major version of PostgreSQL it was made with.
    pub postgres_major: u32,
    /// The digest of its inputs.
    pub inputs: Checksum,
    /// Columns whose values differ between two replays.
    pub volatile: Vec<ColumnName>,
    /// Published migrations that were rewritten with leave.
    pub rewritten: Vec<Rewritten>,
    /// The statements that create roles.
    pub roles: Dump,
    /// Everything but roles and history.
    pub dump: Dump,
    /// The schema `dbbuild` and its rows.
    pub history: Dump,
}

impl Baseline {
    /// SQL that makes the roles and a part of the dump in an empty database.
    pub fn sql_of(&self, part: &Dump) -> String {
        let mut out = String::new();
        write_preamble(&mut out);
        self.roles.write(&mut out);
        part.write(&mut out);
        out
    }

    /// Reads the file at `path` (named in messages only).
    ///
    /// # Errors
    /// Where it is no baseline, one of another format, cut off, or holds conflict markers of git.
    pub fn parse(text: &str, path: &str) -> Result<Baseline> {
        let remedy = "run `dbbuild baseline` to make it again.";
        if let Some(line) = conflict_marker(text) {
            return Err(Error::failed(format!("{path} holds conflict markers of git, from line {line} on"))
                .help("a conflict in the baseline is solved by making it again: run `dbbuild baseline`."));
        }
        if !text.starts_with("-- dbbuild baseline:") {
            return Err(Error::failed(format!("{path} is not a baseline written by dbbuild")).help(remedy));
        }
        if text.split('\n').next().is_some_and(|line| line.ends_with('\r')) {
            return Err(Error::failed(format!("{path} has CRLF line ends, and was written with LF"))
                .help(remedy)
                .help(format!("`{path} text eol=lf` in .gitattributes keeps git from changing them.")));
        }
        let cut_off = || Error::failed(format!("{path} is cut off")).help(remedy);
        let parsed = dump::parse(text).map_err(|e| cut_off().cause(e))?;
        let field = |key: &str| field(&parsed.comments, key).next();
        let format = field("format").unwrap_or_default();
        if format != FORMAT.to_string() {
            return Err(Error::failed(format!("{path} is in format `{}`, not {FORMAT}", format.escape_debug()))
                .help("a newer dbbuild wrote it: install that one."));
        }
        if parsed.last_comment != END {
            return Err(cut_off());
        }
        if let Some(meta) = parsed.meta.first() {
            let word = meta.split_ascii_whitespace().next().unwrap_or_default();
            return Err(Error::failed(format!("{path} holds the meta-command `{word}`")).help(remedy));
        }
        let malformed = |key: &str| Error::failed(format!("{path} has no sound `-- dbbuild:{key}` line")).help(remedy);
        let postgres_major = field("postgres").and_then(|v| v.parse().ok()).ok_or_else(|| malformed("postgres"))?;
        let inputs = field("inputs").and_then(|v| Checksum::from_hex(v).ok()).ok_or_else(|| malformed("inputs"))?;
        let volatile = self::field(&parsed.comments, "volatile")
            .map(|v| ColumnName::parse(&copy_value(v)).ok_or_else(|| malformed("volatile")))
            .collect::<Result<Vec<_>>>()?;
        let rewritten = self::field(&parsed.comments, "rewritten")
            .map(|v| Rewritten::parse(v).map_err(|e| malformed("rewritten").cause(e)))
            .collect::<Result<Vec<_>>>()?;
        let (roles, dump, history) = sections(parsed.entries);
        Ok(Baseline { postgres_major, inputs, volatile, rewritten, roles, dump, history })
    }

    /// The rows of the schema `dbbuild` by table.
    pub fn history_rows(&self) -> impl Iterator<Item = &CopyBlock> {
        self.history.blocks()
    }
}

/// The digest of a baseline's inputs, from its first lines alone; `None` where there is none.
pub fn inputs_of(text: &str) -> Option<Checksum> {
    let line = text.lines().take_while(|l| l.starts_with("--")).find_map(|l| l.strip_prefix("-- dbbuild:inputs "))?;
    Checksum::from_hex(line).ok()
}

fn field<'a>(comments: &'a [String], key: &str) -> impl Iterator<Item = &'a str> {
    let prefix = format!("-- dbbuild:{key} ");
    comments.iter().filter_map(move |line| line.strip_prefix(&prefix)).map(str::trim_end)
}

fn sections(entries: Vec<Entry>) -> (Dump, Dump, Dump) {
    let (mut roles, mut dump, mut history) = (Dump::default(), Dump::default(), Dump::default());
    for mut entry in entries {
        if !history.entries.is_empty() || entry.kind == HISTORY {
            history.entries.push(entry);
        } else if entry.kind == roles::KIND {
            roles.entries.push(entry);
        } else {
            entry.parts.retain(|part| !matches!(part, Part::Statement(text) if text.is_empty()));
            dump.entries.push(entry);
        }
    }
    (roles, dump, history)
}

/// The line of the first conflict marker of git's, where all three kinds stand in their order at the beginning of lines.
pub fn conflict_marker(text: &str) -> Option<usize> {
    let mut wanted = ["<<<<<<< ", "=======", ">>>>>>> "].iter();
    let mut next = wanted.next()?;
    let mut first = None;
    for (number, line) in text.split('\n').enumerate() {
        if line.starts_with(next) {
            first = first.or(Some(number + 1));
            match wanted.next() {
                Some(marker) => next = marker,
                None => return first,
            }
        }
    }
    None
}

/// A comment is one line, a name may have more; [`copy_value`] reads it back.
fn one_line(name: &str) -> String {
    name.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r")
}
