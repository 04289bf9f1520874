//! Directives: the comment lines of a file that are meant for dbbuild.
//!
//! `-- migrate:up` and `-- migrate:down` begin the sections of a migration, `-- dbbuild:KEY VALUE` in the header sets
//! something for the file. What looks like a directive and is none is an error, never a comment. Most files are read
//! without lexing them: only where a candidate line could stand inside a quote, a comment or COPY data is the text
//! before it walked through.

use std::ops::Range;

use crate::error::{Error, Location, Result};
use crate::model::apart::Apart;
use crate::model::sql::{PieceKind, Scanner};
use crate::model::squash::Replaced;

mod batch;
mod lines;
mod options;
mod precondition;

pub use batch::Batch;
use lines::{Candidate, Word};
pub use precondition::{OnFail, Precondition};

/// What a file is, by the folder it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Run once, in version order.
    Migration,
    /// Run whenever it changed.
    Repeatable,
    /// Data that every install or one environment needs.
    Init,
    /// Data for development and tests.
    TestData,
    /// An integrity query.
    Check,
    /// What an object is, for reading.
    Definition,
}

impl FileKind {
    /// How a message calls such a file.
    pub fn noun(self) -> &'static str {
        match self {
            FileKind::Migration => "migration",
            FileKind::Repeatable => "repeatable file",
            FileKind::Init => "init file",
            FileKind::TestData => "test data file",
            FileKind::Check => "check",
            FileKind::Definition => "definition",
        }
    }
}

/// A part of a file that is run on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its text, in bytes of the file's.
    pub range: Range<usize>,
    /// The line at which it begins, from 1.
    pub first_line: usize,
    /// `transaction:` on the section's line.
    pub transaction: Option<bool>,
}

/// What the directives of one file say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives {
    /// The whole file where no section line stands in it.
    pub up: Section,
    /// From `-- migrate:down` to the end.
    pub down: Option<Section>,
    /// `dbbuild:transaction`; a section's own option comes before it.
    pub transaction: Option<bool>,
    /// The reason given with `dbbuild:idempotent false`.
    pub not_idempotent: Option<String>,
    /// `dbbuild:after`, in the order written.
    pub after: Vec<After>,
    /// `dbbuild:run always`.
    pub run_always: bool,
    /// `dbbuild:description`.
    pub description: Option<String>,
    /// `dbbuild:psql true`.
    pub psql: bool,
    /// `dbbuild:placeholders`, where the file says it.
    pub placeholders: Option<bool>,
    /// `dbbuild:precondition`, in the order written.
    pub preconditions: Vec<Precondition>,
    /// `dbbuild:batch`, in the order written.
    pub batches: Vec<Batch>,
    /// `dbbuild:env` and `dbbuild:secure`.
    pub apart: Apart,
    /// `dbbuild:squashes`, in the order written.
    pub squashes: Vec<Replaced>,
    /// `dbbuild:squashed-at`.
    pub squashed_at: Option<String>,
}

/// One `dbbuild:after FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    /// The file as written.
    pub file: String,
    /// The line of the directive.
    pub line: usize,
}

const EVERY: &[FileKind] =
    &[FileKind::Migration, FileKind::Repeatable, FileKind::Init, FileKind::TestData, FileKind::Check];

/// Where a description may stand: in a definition, which is read by people, it is about all that may.
const DESCRIBED: &[FileKind] = &[
    FileKind::Migration,
    FileKind::Repeatable,
    FileKind::Init,
    FileKind::TestData,
    FileKind::Check,
    FileKind::Definition,
];

const KEYS: &[(&str, &[FileKind])] = &[
    ("after", &[FileKind::Repeatable]),
    ("batch", &[FileKind::Migration]),
    ("description", DESCRIBED),
    ("env", &[FileKind::Migration]),
    ("idempotent", &[FileKind::Migration]),
    ("placeholders", EVERY),
    ("precondition", &[FileKind::Migration]),
    ("psql", &[FileKind::Migration, FileKind::Repeatable, FileKind::Init]),
    ("run", &[FileKind::Repeatable]),
    ("secure", &[FileKind::Migration]),
    ("squashed-at", &[FileKind::Migration]),
    ("squashes", &[FileKind::Migration]),
    ("transaction", &[FileKind::Migration]),
];

/// Keys that may stand more than once.
const REPEATED: &[&str] = &["after", "batch", "precondition", "squashes"];

/// Reads the directives of a file; all faults come in one error.
pub fn parse(path: &str, text: &str, kind: FileKind) -> Result<Directives> {
    let found = lines::candidates(text);
    let mut parser = Parser {
        path,
        text,
        kind,
        up: None,
        faults: Vec::new(),
        seen: Vec::new(),
        directives: Directives {
            up: Section { range: 0..text.len(), first_line: 1, transaction: None },
            down: None,
            transaction: None,
            not_idempotent: None,
            after: Vec::new(),
            run_always: false,
            description: None,
            psql: false,
            placeholders: None,
            preconditions: Vec::new(),
            batches: Vec::new(),
            apart: Apart::default(),
            squashes: Vec::new(),
            squashed_at: None,
        },
    };
    if found.lines.is_empty() {
        return Ok(parser.directives);
    }
    let (candidates, sql_start) = found.confirmed(text);
    for line in &candidates {
        let after_sql = sql_start.is_some_and(|start| start < line.offset);
        if let Err(fault) = parser.line(line, after_sql, text.len()) {
            let fault = if fault.location().is_none() { fault.at(parser.at(line)) } else { fault };
            parser.faults.push(fault);
        }
    }
    if let Some(up) = parser.up.take() {
        parser.directives.up = up;
    }
    match Error::all(parser.faults) {
        Some(error) => Err(error),
        None => Ok(parser.directives),
    }
}

struct Parser<'a> {
    path: &'a str,
    text: &'a str,
    kind: FileKind,
    up: Option<Section>,
    directives: Directives,
    seen: Vec<&'static str>,
    faults: Vec<Error>,
}

impl Parser<'_> {
    fn at(&self, line: &Candidate) -> Location {
        Location::new(self.path, line.number, 0)
    }

    fn line(&mut self, line: &Candidate, after_sql: bool, end: usize) -> Result<()> {
        match line.word {
            Word::Migrate => self.section(line, after_sql, end),
            Word::Dbbuild => self.setting(line, after_sql),
            Word::Near => {
                let word = if lines::is_section(line.rest) { "migrate" } else { "dbbuild" };
                Err(Error::failed(format!("`{}` is no directive", shown(line.text)))
                    .help(format!("did you mean `-- {word}:{}`?", line.rest.trim())))
            }
        }
    }

    fn section(&mut self, line: &Candidate, after_sql: bool, end: usize) -> Result<()> {
        let mut words = line.rest.split_whitespace();
        let name = words.next().unwrap_or_default();
        let up = match name.to_ascii_lowercase().as_str() {
            "up" => true,
            "down" => false,
            _ => return Err(unknown("section", name, &["up", "down"], |name| format!("-- migrate:{name}"))),
        };
        if self.kind != FileKind::Migration {
            return Err(Error::failed(format!("`-- migrate:{name}` is valid in a migration only"))
                .help(format!("this is a {}, which has no sections", self.kind.noun())));
        }
        let mut section = Section { range: line.end..end, first_line: line.number + 1, transaction: None };
        for option in words {
            self.section_option(option, &mut section)?;
        }
        match (&mut self.up, up) {
            (None, true) if self.directives.down.is_some() => Err(wrong_order("`-- migrate:up` stands after down")),
            (Some(_), true) => Err(wrong_order("`-- migrate:up` is given twice")),
            (None, true) if after_sql => {
                self.up = Some(section);
                Err(wrong_order("SQL stands before `-- migrate:up`"))
            }
            (None, true) => {
                self.up = Some(section);
                Ok(())
            }
            (_, false) if self.directives.down.is_some() => Err(wrong_order("`-- migrate:down` is given twice")),
            (None, false) => {
                self.directives.down = Some(section);
                Err(wrong_order("`-- migrate:down` stands without `-- migrate:up` before it"))
            }
            (Some(up), false) => {
                up.range.end = line.start;
                self.directives.down = Some(section);
                Ok(())
            }
        }
    }

    fn section_option(&mut self, option: &str, section: &mut Section) -> Result<()> {
        let (key, value) = option.split_once(':').unwrap_or((option, ""));
        if !key.eq_ignore_ascii_case("transaction") {
            return Err(unknown("option", key, &["transaction"], |key| format!("{key}:false")));
        }
        if section.transaction.is_some() {
            return Err(Error::failed("option `transaction` is given twice"));
        }
        section.transaction = Some(truth(value, |value| format!("transaction:{value}"))?);
        Ok(())
    }

    fn setting(&mut self, line: &Candidate, after_sql: bool) -> Result<()> {
        let rest = line.rest.trim_end();
        let key_end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
        let (written, value) = rest.split_at(key_end.unwrap_or(rest.len()));
        let key = written.to_ascii_lowercase();
        let Some((key, kinds)) = KEYS.iter().find(|(known, _)| *known == key) else {
            let known: Vec<&str> = KEYS.iter().map(|(key, _)| *key).collect();
            return Err(unknown("directive", &key, &known, |key| format!("-- dbbuild:{key}")));
        };
        if !value.is_empty() && !value.starts_with([' ', '\t']) {
            return Err(Error::failed(format!("malformed directive `{}`", shown(line.text)))
                .help(format!("write `-- dbbuild:{key} VALUE`")));
        }
        if !kinds.contains(&self.kind) {
            let nouns: Vec<&str> = kinds.iter().map(|kind| kind.noun()).collect();
            return Err(Error::failed(format!("directive `{key}` is of no use in this {}", self.kind.noun()))
                .help(format!("it belongs into a {}", nouns.join(" or a "))));
        }
        if (after_sql && *key != "batch") || self.directives.down.is_some() {
            return Err(Error::failed(format!("directive `{key}` stands behind the header"))
                .help("move it up, before the first statement of the file"));
        }
        if !REPEATED.contains(key) && self.seen.contains(key) {
            return Err(Error::failed(format!("directive `{key}` is given twice")));
        }
        self.seen.push(key);
        self.set(key, value.trim(), line)
    }

    fn set(&mut self, key: &str, value: &str, line: &Candidate) -> Result<()> {
        let (first, rest) = value.split_once([' ', '\t']).unwrap_or((value, ""));
        let rest = rest.trim();
        match key {
            "after" if value.is_empty() => {
                return Err(Error::failed("directive `after` lacks a file").help("write `-- dbbuild:after FILE`"));
            }
            "after" => self.directives.after.push(After { file: value.to_owned(), line: line.number }),
            "description" if value.is_empty() => {
                return Err(
                    Error::failed("directive `description` lacks a text").help("write `-- dbbuild:description TEXT`")
                );
            }
            "description" => self.directives.description = Some(value.to_owned()),
            "env" => self.directives.apart.limit(value)?,
            "secure" if value.is_empty() => self.directives.apart.secure = true,
            "secure" => return Err(superfluous(value)),
            "idempotent" => {
                let idempotent = truth(first, |value| format!("-- dbbuild:idempotent {value}"))?;
                match (idempotent, rest.is_empty()) {
                    (false, false) => self.directives.not_idempotent = Some(rest.to_owned()),
                    (true, true) => {}
                    (false, true) => {
                        return Err(Error::failed("directive `idempotent false` lacks a reason")
                            .help("write `-- dbbuild:idempotent false REASON`"));
                    }
                    (true, false) => return Err(superfluous(rest)),
                }
            }
            "squashed-at" if first.is_empty() || !first.bytes().all(|b| b.is_ascii_hexdigit()) || !rest.is_empty() => {
                return Err(Error::failed("directive `squashed-at` names no commit")
                    .help("write `-- dbbuild:squashed-at COMMIT`, in hexadecimal"));
            }
            "squashed-at" => self.directives.squashed_at = Some(first.to_owned()),
            "squashes" => {
                let replaced = Replaced::parse(value)
                    .map_err(|e| e.help("write `-- dbbuild:squashes VERSION CHECKSUM NAME`; `dbbuild squash` does"))?;
                self.directives.squashes.push(replaced);
            }
            "run" if value.eq_ignore_ascii_case("always") => self.directives.run_always = true,
            "run" => return Err(unknown("value", value, &["always"], |value| format!("-- dbbuild:run {value}"))),
            "precondition" => {
                let found = precondition::read(self.path, self.text, value, line)?;
                self.directives.preconditions.push(found);
            }
            "batch" => self.directives.batches.push(batch::read(value, line)?),
            _ => {
                let truth = truth(first, |value| format!("-- dbbuild:{key} {value}"))?;
                if !rest.is_empty() {
                    return Err(superfluous(rest));
                }
                match key {
                    "psql" => self.directives.psql = truth,
                    "placeholders" => self.directives.placeholders = Some(truth),
                    _ => self.directives.transaction = Some(truth),
                }
            }
        }
        Ok(())
    }
}

fn shown(text: &str) -> String {
    text.trim().chars().take(80).collect::<String>().escape_debug().to_string()
}

fn wrong_order(message: &str) -> Error {
    Error::failed(message).help("a migration is: header comments, `-- migrate:up`, SQL, then `-- migrate:down`, SQL")
}

fn superfluous(text: &str) -> Error {
    Error::failed(format!("`{}` is too much for this directive", shown(text)))
}

fn truth(value: &str, write: impl Fn(&str) -> String) -> Result<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(unknown("value", value, &["true", "false"], write)),
    }
}

/// An unknown word, with the nearest of those known, written out as it would stand in the file.
fn unknown(what: &str, word: &str, known: &[&str], write: impl Fn(&str) -> String) -> Error {
    let message =
        if word.is_empty() { format!("{what} is missing") } else { format!("unknown {what} `{}`", shown(word)) };
    let help = match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{}`?", write(near)),
        None => format!("known are: {}", known.join(", ")),
    };
    Error::failed(message).help(help)
}

/// The candidate that a misspelt word is nearest to, if any is near.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    known
        .map(|known| (strsim::damerau_levenshtein(&word, &known.to_lowercase()), known))
        .filter(|(distance, known)| *distance <= (known.chars().count() / 3).clamp(1, 4))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests;
