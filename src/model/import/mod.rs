//! Histories of other tools, turned into dbbuild's sources: the values that every converter reads and gives.
//!
//! One file for each tool, which knows that tool's names, sections and order and says how its bookkeeping is read. What
//! all have in common stands here: versions ([`version`]), the files that are made of it ([`layout`]), the memory of
//! what was what ([`record`]), settings ([`settings`]). Nothing is read or written, and no file is passed over: one that
//! a converter does not name is named by the layout as left behind.

pub mod bookkeeping;
mod dbmate;
mod flyway;
mod folders;
mod golang_migrate;
mod goose;
mod graphile;
pub mod input;
pub mod layout;
mod liquibase;
mod manifest;
mod meta;
mod names;
mod pairs;
mod pop;
mod prisma;
mod rails;
pub mod record;
mod refinery;
pub mod settings;
mod sqitch;
mod sqlx;
pub mod version;

#[cfg(test)]
mod test_tree;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::error::{Error, Location, Result};
use crate::model::directive::FileKind;
use bookkeeping::Bookkeeping;
pub use input::Input;

/// A tool whose files can be converted.
pub struct Tool {
    /// What it is called on the command line.
    pub name: &'static str,
    /// Where it keeps its files, first guess first, relative to the top of the project.
    pub places: &'static [&'static str],
    /// Files at the top of the project that are read as well.
    pub beside: &'static [&'static str],
    /// Which files and folders belong to the tool, where its configuration says so: from a place that is a file, and what
    /// lies at the top of the project. None: everything beside such a file.
    pub scope: Option<Scope>,
    /// Makes dbbuild's files of the tool's; all faults come in one error.
    pub convert: fn(&Input) -> Result<Imported>,
    /// How the tool remembers what it applied; none where it does not.
    pub bookkeeping: Option<&'static Bookkeeping>,
}

/// Files and folders by path, from the configuration that was read first.
pub type Scope = fn(&Input) -> Result<Vec<String>>;

/// All tools, by name.
pub const TOOLS: &[&Tool] = &[
    &dbmate::TOOL,
    &folders::DIESEL,
    &flyway::TOOL,
    &golang_migrate::TOOL,
    &goose::TOOL,
    &graphile::TOOL,
    &folders::HASURA,
    &liquibase::TOOL,
    &manifest::TOOL,
    &pop::TOOL,
    &prisma::TOOL,
    &rails::TOOL,
    &refinery::TOOL,
    &sqitch::TOOL,
    &sqlx::TOOL,
];

/// The tool of that name; the error (status 2) lists those that there are.
pub fn tool(name: &str) -> Result<&'static Tool> {
    TOOLS.iter().copied().find(|tool| tool.name == name).ok_or_else(|| {
        let names: Vec<&str> = TOOLS.iter().map(|tool| tool.name).collect();
        Error::usage(format!("there is no tool `{}`", name.escape_debug()))
            .help(format!("known are: {}", names.join(", ")))
    })
}

/// What a converter made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// In the tool's own order.
    pub migrations: Vec<Piece>,
    /// Repeatable files, init data and the like.
    pub scripts: Vec<ScriptPiece>,
    /// What `dbbuild.toml` should say besides the usual.
    pub settings: Vec<Setting>,
    /// What was not carried over, or not as it was.
    pub remarks: Vec<Remark>,
    /// The tool's bookkeeping table, where its configuration names another than the usual.
    pub table: Option<String>,
}

/// One migration to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The number in the tool's own name of it, if it has one: digits alone.
    pub number: Option<String>,
    /// What stands behind the version in the file name.
    pub name: String,
    /// Its text.
    pub body: Body,
    /// The files it was made of, the one with the up part first.
    pub origins: Vec<String>,
    /// Under what the tool's bookkeeping knows it: applied means that all of them are. None: it is in no bookkeeping.
    pub keys: Vec<Key>,
}

/// One file of another kind to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptPiece {
    /// Repeatable, init, test data or check.
    pub kind: FileKind,
    /// Path below the folder of its kind: `view.sql`, in a set or environment `NAME/view.sql`.
    pub name: String,
    /// Its whole text.
    pub text: Arc<[u8]>,
    /// The files it was made of.
    pub origins: Vec<String>,
    /// Under what the tool's bookkeeping knows it.
    pub keys: Vec<Key>,
}

/// Under what a tool's bookkeeping knows a migration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// As the query of its [`Bookkeeping`] gives it.
    pub key: String,
    /// The tool's own checksum over the original, in the form in which that query gives it; several where the tool may
    /// have used any of them, with spaces between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

impl Key {
    /// A key of a tool that keeps no checksum.
    pub fn plain(key: impl Into<String>) -> Key {
        Key { key: key.into(), checksum: None }
    }
}

/// The text of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Is one of dbbuild's already, sections included: the bytes stay as they are.
    Whole(Arc<[u8]>),
    /// Parts to be put together. One up part alone, in a transaction and without a header, stays byte for byte.
    Parts {
        /// Directives to put in front, without `-- dbbuild:`.
        header: Vec<String>,
        /// What applies it.
        up: Part,
        /// What takes it back.
        down: Option<Part>,
    },
}

impl Body {
    /// An up part with everything else as usual.
    pub fn up(bytes: impl Into<Arc<[u8]>>) -> Body {
        Body::Parts { header: Vec::new(), up: Part { bytes: bytes.into(), transaction: true }, down: None }
    }
}

/// One direction of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// SQL.
    pub bytes: Arc<[u8]>,
    /// Whether it runs in one transaction.
    pub transaction: bool,
}

/// A key of `dbbuild.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// With dots: `migrations.idempotent`.
    pub key: String,
    /// What it is set to.
    pub value: toml::Value,
    /// A comment above it, if any.
    pub why: Option<String>,
}

impl Eq for Setting {}

/// Something that was not carried over, or not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The tool's file, with the line where it is about a construct.
    pub location: Location,
    /// What it is, and what became of it.
    pub what: String,
    /// What to do; may be empty.
    pub help: String,
}

impl Remark {
    /// About a whole file.
    pub fn file(path: &str, what: impl Into<String>, help: impl Into<String>) -> Remark {
        Remark { location: Location::file(path), what: what.into(), help: help.into() }
    }

    /// About a line of a file.
    pub fn line(path: &str, line: usize, what: impl Into<String>, help: impl Into<String>) -> Remark {
        Remark { location: Location::new(path, line, 0), what: what.into(), help: help.into() }
    }
}
