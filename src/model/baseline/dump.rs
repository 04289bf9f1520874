//! A dump as a list of entries: what `pg_dump` heads by `-- Name: …; Type: …; Schema: …; Owner: …`.
//!
//! Reading keeps statements and rows and forgets `pg_dump`'s other comments. Nothing is rewritten here: that is
//! [`super::normalise`]'s, which makes a [`Dump`] that says the same on every machine.

use super::rows::CopyBlock;
use super::scan::{self, Piece};
use crate::error::{Error, Result};
use std::collections::HashMap;

/// Entries in the order in which they must run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dump {
    /// See [`Entry`].
    pub entries: Vec<Entry>,
}

/// One object of a dump, or one thing about it: its comment, its privileges, its rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// `pg_dump`'s word in capitals: `TABLE`, `FUNCTION`, `ACL`, `TABLE DATA`.
    pub kind: String,
    /// The schema it lives in.
    pub schema: Option<String>,
    /// Its name as the heading gives it, unquoted (`invoice invoice_pkey` for a constraint).
    pub name: String,
    /// Its owner, where that is not who runs migrations.
    pub owner: Option<String>,
    /// `SET` statements for a tablespace or access method that is not the default.
    pub settings: Vec<String>,
    /// Statements and rows in order.
    pub parts: Vec<Part>,
}

/// What an entry runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A statement with its semicolon.
    Statement(String),
    /// `COPY … FROM stdin` and its data.
    Rows(CopyBlock),
}

impl Entry {
    /// The statements, without rows.
    pub fn statements(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Statement(text) => Some(text.as_str()),
            Part::Rows(_) => None,
        })
    }

    /// The blocks of rows.
    pub fn blocks(&self) -> impl Iterator<Item = &CopyBlock> {
        self.parts.iter().filter_map(|part| match part {
            Part::Rows(block) => Some(block),
            Part::Statement(_) => None,
        })
    }

    /// Statements and rows as text, without the heading.
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write_parts(&mut out);
        out
    }

    /// Everything that tells it from another entry of its name.
    pub(super) fn whole_text(&self) -> String {
        let mut out = format!("{:?} {:?}\n", self.owner, self.settings);
        self.write_parts(&mut out);
        out
    }

    fn write_parts(&self, out: &mut String) {
        for part in &self.parts {
            match part {
                Part::Statement(text) => {
                    out.push_str(text);
                    out.push('\n');
                }
                Part::Rows(block) => block.write(out),
            }
            out.push('\n');
        }
    }

    fn write_heading(&self, out: &mut String) {
        let schema = self.schema.as_deref().unwrap_or("-");
        out.push_str("--\n-- Name: ");
        out.push_str(&self.name);
        out.push_str("; Type: ");
        out.push_str(&self.kind);
        out.push_str("; Schema: ");
        out.push_str(schema);
        if let Some(owner) = &self.owner {
            out.push_str("; Owner: ");
            out.push_str(owner);
        }
        out.push_str("\n--\n\n");
    }

    /// Whether a tablespace or access method in force counts for it.
    fn has_storage(&self) -> bool {
        matches!(self.kind.as_str(), "TABLE" | "MATERIALIZED VIEW" | "INDEX" | "CONSTRAINT")
    }
}

impl Dump {
    /// Whether both hold the same entries, in whatever order.
    pub fn same_entries(&self, other: &Dump) -> bool {
        let sorted = |dump: &Dump| {
            let key = |e: &Entry| (e.kind.clone(), e.schema.clone(), e.name.clone(), e.whole_text());
            let mut entries: Vec<_> = dump.entries.iter().map(key).collect();
            entries.sort();
            entries
        };
        self.entries.len() == other.entries.len() && sorted(self) == sorted(other)
    }

    /// The same with the positions of sequences as another dump has them.
    #[must_use]
    pub fn with_positions_of(mut self, other: &Dump) -> Dump {
        let is_position = |entry: &&Entry| entry.kind == "SEQUENCE SET";
        let positions: HashMap<_, _> = other
            .entries
            .iter()
            .filter(is_position)
            .map(|entry| ((entry.schema.as_deref(), entry.name.as_str()), &entry.parts))
            .collect();
        for entry in self.entries.iter_mut().filter(|entry| is_position(&&**entry)) {
            if let Some(parts) = positions.get(&(entry.schema.as_deref(), entry.name.as_str())) {
                entry.parts.clone_from(parts);
            }
        }
        self
    }

    /// Writes all entries with their headings; every entry sets and resets what it needs, so that order is free.
    pub(super) fn write(&self, out: &mut String) {
        self.write_entries(out, true);
    }

    /// The same, with headings or without.
    pub(super) fn write_entries(&self, out: &mut String, headings: bool) {
        for entry in &self.entries {
            for setting in &entry.settings {
                out.push_str(setting);
                out.push_str("\n\n");
            }
            if headings {
                entry.write_heading(out);
            }
            entry.write_parts(out);
            for setting in &entry.settings {
                let default = Storage::of(setting).map_or("", |which| which.default_statement());
                out.push_str(default);
                out.push_str("\n\n");
            }
        }
    }

    /// Every block of rows, of all entries.
    pub fn blocks(&self) -> impl Iterator<Item = &CopyBlock> {
        self.entries.iter().flat_map(Entry::blocks)
    }
}

/// The two settings by which `pg_dump` chooses where a relation is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Storage {
    Tablespace,
    AccessMethod,
}

impl Storage {
    fn of(statement: &str) -> Option<Storage> {
        if statement.starts_with("SET default_tablespace = ") {
            Some(Storage::Tablespace)
        } else if statement.starts_with("SET default_table_access_method = ") {
            Some(Storage::AccessMethod)
        } else {
            None
        }
    }

    /// What stands in a baseline's preamble and ends an entry with a setting of its own.
    pub(super) fn default_statement(self) -> &'static str {
        match self {
            Storage::Tablespace => "SET default_tablespace = '';",
            Storage::AccessMethod => "SET default_table_access_method = heap;",
        }
    }
}

/// The text of a dump or a baseline, cut up.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    /// Comment lines before the first entry.
    pub(super) comments: Vec<String>,
    /// Statements before the first entry.
    pub(super) preamble: Vec<String>,
    pub(super) entries: Vec<Entry>,
    /// The last comment line of all.
    pub(super) last_comment: String,
    /// Lines that begin with a backslash.
    pub(super) meta: Vec<String>,
}

/// Cuts `text` into entries.
///
/// # Errors
/// Where a quote, a statement or COPY data is never closed: the text was cut off.
pub(super) fn parse(text: &str) -> Result<Parsed> {
    let pieces = scan::pieces(text).map_err(|unfinished| {
        let line = text[..unfinished.at].matches('\n').count() + 1;
        Error::failed(format!("the dump is cut off: what begins in line {line} never ends"))
    })?;
    let mut parsed = Parsed::default();
    let mut storage = [None, None];
    for piece in pieces {
        match piece {
            Piece::Comment(range) => parsed.comment(&text[range], &storage),
            Piece::Meta(range) => parsed.meta.push(text[range].to_owned()),
            Piece::Statement(range) => parsed.statement(&text[range], &mut storage),
            Piece::Copy { statement, data } => {
                let block = CopyBlock::parse(&text[statement.clone()], &text[data]).ok_or_else(|| {
                    Error::failed("the dump holds a COPY statement of an unknown form").cause(&text[statement])
                })?;
                if let Some(entry) = parsed.entries.last_mut() {
                    entry.parts.push(Part::Rows(block));
                }
            }
        }
    }
    Ok(parsed)
}

impl Parsed {
    fn comment(&mut self, line: &str, storage: &[Option<String>; 2]) {
        if let Some(mut entry) = heading(line) {
            if entry.has_storage() {
                entry.settings = storage.iter().flatten().cloned().collect();
            }
            self.entries.push(entry);
        } else if self.entries.is_empty() {
            self.comments.push(line.to_owned());
        }
        line.clone_into(&mut self.last_comment);
    }

    fn statement(&mut self, text: &str, storage: &mut [Option<String>; 2]) {
        if let Some(which) = Storage::of(text) {
            storage[which as usize] = (text != which.default_statement()).then(|| text.to_owned());
        } else if let Some(entry) = self.entries.last_mut() {
            entry.parts.push(Part::Statement(text.to_owned()));
        } else {
            self.preamble.push(text.to_owned());
        }
    }
}

/// Reads `-- Name: n; Type: t; Schema: s; Owner: o; Tablespace: x`. The name comes first and may hold anything but a
/// line end, so the fields are sought from the right.
fn heading(line: &str) -> Option<Entry> {
    let fields = line.strip_prefix("-- Name: ").or_else(|| line.strip_prefix("-- Data for Name: "))?;
    let (front, rest) = fields.rsplit_once("; Schema: ")?;
    let (name, kind) = front.rsplit_once("; Type: ")?;
    if kind.is_empty() || !kind.bytes().all(|b| b.is_ascii_uppercase() || b == b' ') {
        return None;
    }
    let (schema, owner) = match rest.split_once("; Owner: ") {
        Some((schema, owner)) => (schema, owner.split_once("; Tablespace: ").map_or(owner, |(owner, _)| owner)),
        None => (rest, ""),
    };
    Some(Entry {
        kind: kind.to_owned(),
        schema: (schema != "-").then(|| schema.to_owned()),
        name: name.to_owned(),
        owner: (!owner.is_empty() && owner != "-").then(|| owner.to_owned()),
        ..Entry::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_of_hostile_names() {
        let entry = heading("-- Name: a; Type: TABLE; Schema: b; Type: VIEW; Schema: s -- x; Owner: o").unwrap();
        assert_eq!((entry.kind.as_str(), entry.name.as_str()), ("VIEW", "a; Type: TABLE; Schema: b"));
        assert_eq!((entry.schema.as_deref(), entry.owner.as_deref()), (Some("s -- x"), Some("o")));
        assert!(heading("-- Name of nothing").is_none());
    }

    #[test]
    fn storage_belongs_to_the_entry_that_needs_it() {
        let text = "SET default_tablespace = fast;\n\n--\n-- Name: t; Type: TABLE; Schema: s; Owner: o\n--\n\n\
                    CREATE TABLE s.t ();\n\n--\n-- Name: f; Type: FUNCTION; Schema: s; Owner: o\n--\n\nSELECT 1;\n";
        let parsed = parse(text).unwrap();
        assert_eq!(parsed.entries[0].settings, ["SET default_tablespace = fast;"]);
        assert!(parsed.entries[1].settings.is_empty());
        let mut out = String::new();
        Dump { entries: parsed.entries.clone() }.write(&mut out);
        assert_eq!(parse(&out).unwrap().entries, parsed.entries);
        assert!(out.contains("SET default_tablespace = '';"));
    }
}
