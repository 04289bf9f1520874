//! Repeatable files on the way back: those that the tree does not have leave their objects behind, and views stand in the
//! way of a down part that drops what they show.

use crate::model::plan::{FileKind, History, Reason};
use crate::model::sources::{ScriptFile, Sources};
use crate::model::sql;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Texts, by name, of repeatable files that ran here and that the tree does not have.
pub type Absent = BTreeMap<String, Arc<str>>;

/// An object that a file makes and that its name alone can drop.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Made {
    /// `view`, `materialized view`, `function` or `procedure`.
    pub kind: &'static str,
    /// As the file writes it.
    pub name: String,
}

/// A repeatable file whose objects are to go, with its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remove {
    /// Its name below the folder.
    pub name: String,
    /// Its objects that no file of the tree makes.
    pub objects: Vec<Made>,
}

/// A repeatable file that runs after a downgrade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reload {
    /// The file.
    pub file: ScriptFile,
    /// Why.
    pub reason: Reason,
    /// What it made when it last ran, with another text: where the file does not load, that goes first.
    pub old: Vec<Made>,
    /// It may be newer than the schema: where it does not load, it counts as not run, and that is told.
    pub lenient: bool,
}

impl Made {
    /// The statement that drops it; none of its dependents goes with it.
    pub fn drop_statement(&self) -> String {
        format!("DROP {} IF EXISTS {}", self.kind.to_uppercase(), self.name)
    }

    fn is_view(&self) -> bool {
        self.kind.ends_with("view")
    }
}

/// The views, functions and procedures that a text makes.
pub fn made_by(text: &str) -> Vec<Made> {
    let statements = sql::split(text).unwrap_or_default();
    let made = statements.iter().filter_map(|statement| {
        let words = text.get(statement.range.clone())?;
        let creates = words.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("create"));
        let object = sql::main_object(words).filter(|_| creates)?;
        let droppable = ["view", "materialized view", "function", "procedure"].contains(&object.kind);
        droppable.then_some(Made { kind: object.kind, name: object.name })
    });
    made.collect()
}

/// The names of repeatable files that ran here and that the tree does not have.
pub fn absent<'h>(sources: &Sources, history: &'h History) -> Vec<&'h str> {
    let here: BTreeSet<&str> = sources.repeatable.iter().map(|file| file.name.as_str()).collect();
    let names = history.files.keys().filter(|(kind, _)| *kind == FileKind::Repeatable).map(|(_, name)| name.as_str());
    names.filter(|name| !here.contains(name)).collect()
}

/// What of absent files is to go: what the tree makes in another file stays.
pub fn removals(sources: &Sources, texts: &Absent) -> Vec<Remove> {
    let here: BTreeSet<Made> = sources.repeatable.iter().flat_map(|file| made_by(&file.script.text)).collect();
    let remove = |(name, text): (&String, &Arc<str>)| Remove {
        name: name.clone(),
        objects: made_by(text).into_iter().filter(|made| !here.contains(made)).collect(),
    };
    texts.iter().map(remove).collect()
}

/// The views that the tree's files make, with the names of their files: these make them again.
pub fn views(sources: &Sources) -> Vec<(String, Made)> {
    let of = |file: &ScriptFile| {
        let views = made_by(&file.script.text).into_iter().filter(Made::is_view);
        views.map(|view| (file.name.clone(), view)).collect::<Vec<_>>()
    };
    sources.repeatable.iter().flat_map(of).collect()
}
