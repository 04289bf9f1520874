//! What a database has that the tree does not, and the way back: by the down parts that the version table keeps.
//!
//! Two things set a local database apart from the tree after a switch or an edit: *phantom* migrations, applied here and
//! in no file of the tree, and *edited* ones, applied with other content. Pure: which rows there are and what texts are
//! kept is read elsewhere, and whether any of it may be done is the guard's to say.

mod down;
mod files;

pub use down::{Goal, leaving, nearest, way_down};
pub use files::{Absent, Made, Reload, Remove, absent, made_by, removals, views};

use crate::model::checksum::Checksum;
use crate::model::plan::{Applied, FileKind, History, Reason, may_differ};
use crate::model::script::Script;
use crate::model::sources::Sources;
use crate::model::sql;
use crate::model::squash;
use crate::model::version::Version;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// The texts that the version table keeps of one migration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// What ran.
    pub up: Option<Arc<str>>,
    /// What takes it back.
    pub down: Option<Arc<str>>,
}

/// The kept texts of some versions.
pub type Texts = BTreeMap<Version, Kept>;

/// A migration to be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakeBack {
    /// Its row.
    pub row: Applied,
    /// Its down part, as it was when the migration ran.
    pub down: Script,
    /// Why.
    pub reason: Reason,
    /// The tables that its up part made: what loads rows into them is to run again.
    pub tables: BTreeSet<String>,
    /// Views of repeatable files, by file: where they stand in the way they go, and their files make them again.
    pub views: Vec<(String, Made)>,
    /// Rather not at all than with a loss in the older schema.
    pub lossless: bool,
}

impl TakeBack {
    /// `VERSION_name`.
    pub fn label(&self) -> String {
        format!("{}_{}", self.row.version, self.row.name)
    }

    /// The same as it can be tried in one transaction: an index comes and goes there without `CONCURRENTLY`, to the same
    /// end. None where something else cannot be tried so.
    pub fn in_one_transaction(&self) -> Option<TakeBack> {
        if self.runs_in_transaction() {
            return Some(self.clone());
        }
        self.down.body().ok().filter(|body| body.transaction_control.is_none())?;
        let mut text = self.down.text.to_string();
        for statement in self.down.split().ok()? {
            let sql::StatementKind::NonTransactional(kind) = &statement.kind else { continue };
            use sql::NonTransactional::{CreateIndexConcurrently, DropIndexConcurrently};
            if !matches!(**kind, CreateIndexConcurrently { .. } | DropIndexConcurrently { .. }) {
                return None;
            }
            let at =
                text.get(statement.range.clone())?.to_ascii_lowercase().find(CONCURRENTLY)? + statement.range.start;
            text.replace_range(at..at + CONCURRENTLY.len(), &" ".repeat(CONCURRENTLY.len()));
        }
        Some(TakeBack { down: Script::of_file(self.down.path.clone(), text), ..self.clone() })
    }

    /// Whether its down part can run in one transaction with the removal of its row, as far as its text tells. The version
    /// table does not keep the options of the section.
    pub fn runs_in_transaction(&self) -> bool {
        self.down.body().is_ok_and(|body| body.transaction_control.is_none() && body.non_transactional.is_empty())
    }
}

const CONCURRENTLY: &str = "concurrently";

/// A migration that cannot be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Its row.
    pub row: Applied,
    /// Why it would have to be taken back.
    pub reason: Reason,
    /// What stands in the way.
    pub why: Obstacle,
}

/// What keeps a migration from being taken back; a clause in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// It is applied in part.
    Interrupted,
    /// There is no down part, as it ran.
    NoDownPart,
    /// The lexer refuses its down part.
    Unsound,
    /// Its down part does nothing.
    Empty,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Obstacle::Interrupted => "it was interrupted half-way",
            Obstacle::NoDownPart => "no down part of it is kept",
            Obstacle::Unsound => "its down part is not sound SQL",
            Obstacle::Empty => "its down part holds no statement",
        })
    }
}

/// How a database comes back to the tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Way {
    /// Repeatable files that the tree does not have.
    pub remove: Vec<Remove>,
    /// The last applied first.
    pub back: Vec<TakeBack>,
    /// Versions of files that were edited without a change to what they run: only their rows are written anew.
    pub record: Vec<Version>,
    /// What cannot be taken back.
    pub stuck: Vec<Stuck>,
}

impl Way {
    /// Whether an edited migration cannot be brought to its new content this way. What is in no file stands in nobody's way.
    pub fn is_blocked(&self) -> bool {
        self.stuck.iter().any(|stuck| stuck.reason != Reason::Phantom)
    }

    /// The history as it stands after the way was gone.
    pub fn history_after(&self, history: &History, sources: &Sources) -> History {
        let gone: BTreeSet<&Version> = self.back.iter().map(|back| &back.row.version).collect();
        let mut after = history.clone();
        after.applied.retain(|row| !gone.contains(&row.version));
        for removed in &self.remove {
            after.files.remove(&(FileKind::Repeatable, removed.name.clone()));
        }
        for row in after.applied.iter_mut().filter(|row| self.record.contains(&row.version)) {
            if let Some(checksum) = checksum_of(sources, &row.version) {
                row.checksum = checksum;
            }
        }
        after
    }

    /// Whether a file of rows fills a table that is made anew.
    pub fn fills(&self, script: &Script) -> bool {
        let tables: BTreeSet<String> = self.back.iter().flat_map(|back| back.tables.iter().cloned()).collect();
        mentions(&script.text, &tables)
    }
}

fn checksum_of(sources: &Sources, version: &Version) -> Option<Checksum> {
    sources.migration(version).map(|migration| migration.checksum)
}

/// Applied here, and in no file of the tree; the last applied first.
pub fn phantoms<'h>(sources: &Sources, history: &'h History) -> Vec<&'h Applied> {
    let known =
        |row: &&Applied| checksum_of(sources, &row.version).is_some() || squash::of(sources, &row.version).is_some();
    history.applied.iter().rev().filter(|row| !known(row)).collect()
}

/// Applied whole, with other content than the file of the tree has; the oldest version first. One that was interrupted may
/// be edited: its journal knows what must stay. One that was rewritten with leave is as good as it was.
pub fn edited<'h>(sources: &Sources, history: &'h History) -> Vec<&'h Applied> {
    // What a squash stands for was not edited; whether it is what ran here, the plan says.
    let own = |row: &&Applied| squash::of(sources, &row.version).is_none();
    let differs = |row: &&Applied| {
        own(row)
            && sources
                .migration(&row.version)
                .is_some_and(|file| file.checksum != row.checksum && !may_differ(sources, file))
    };
    let mut found: Vec<&Applied> = history.applied.iter().filter(|row| row.complete).filter(differs).collect();
    found.sort_by(|a, b| a.version.cmp(&b.version));
    found
}

/// The versions whose kept texts decide the way: phantoms, edited ones, and those after the oldest edited one.
pub fn needed(sources: &Sources, history: &History) -> Vec<Version> {
    let mut needed: BTreeSet<&Version> = phantoms(sources, history).into_iter().map(|row| &row.version).collect();
    if let Some(oldest) = edited(sources, history).first() {
        needed.extend(history.applied.iter().map(|row| &row.version).filter(|version| **version >= oldest.version));
    }
    needed.into_iter().cloned().collect()
}

/// Finds the way back to the tree. Phantoms go; edited migrations go and come again with their new content, and with them
/// those of later versions that name an object of theirs, since the order in which they run then matters.
pub fn way(sources: &Sources, history: &History, texts: &Texts, absent: &Absent) -> Way {
    let mut way = Way { remove: removals(sources, absent), ..Way::default() };
    let views = files::views(sources);
    let mut reasons: BTreeMap<&Version, Reason> = BTreeMap::new();
    for row in phantoms(sources, history) {
        reasons.insert(&row.version, Reason::Phantom);
    }
    let mut changed: BTreeSet<&Version> = BTreeSet::new();
    for row in edited(sources, history) {
        let kept = texts.get(&row.version).and_then(|kept| kept.up.as_deref());
        let file = sources.migration(&row.version);
        match (kept, file) {
            (Some(kept), Some(file)) if same_statements(kept, &file.up.text) => way.record.push(row.version.clone()),
            _ => {
                reasons.insert(&row.version, Reason::Edited);
                changed.insert(&row.version);
            }
        }
    }
    later(sources, history, texts, &changed, &mut reasons);
    for row in history.applied.iter().rev() {
        let Some(reason) = reasons.get(&row.version).copied() else { continue };
        match take_back(row, texts.get(&row.version), reason) {
            Ok(back) => way.back.push(TakeBack { views: views.clone(), ..back }),
            Err(why) => way.stuck.push(Stuck { row: row.clone(), reason, why }),
        }
    }
    if way.is_blocked() {
        // Half of an edit's way leads nowhere.
        way.back.retain(|back| back.reason == Reason::Phantom);
    }
    way
}

/// Adds those of later versions whose order towards the edited ones matters.
fn later<'h>(
    sources: &Sources,
    history: &'h History,
    texts: &Texts,
    changed: &BTreeSet<&Version>,
    reasons: &mut BTreeMap<&'h Version, Reason>,
) {
    let mut rows: Vec<&Applied> = history.applied.iter().collect();
    rows.sort_by(|a, b| a.version.cmp(&b.version));
    let (mut touched, mut anything) = (BTreeSet::new(), false);
    for row in rows {
        let file = sources.migration(&row.version);
        let kept = texts.get(&row.version).and_then(|kept| kept.up.as_deref());
        // A row that came with a baseline keeps no text; its file has the same one.
        let text = kept.or_else(|| file.filter(|file| file.checksum == row.checksum).map(|file| &*file.up.text));
        let is_changed = changed.contains(&row.version);
        if !is_changed {
            let after = anything || !touched.is_empty();
            let depends = after && (anything || text.is_none_or(|text| mentions(text, &touched)));
            if !depends {
                continue;
            }
            reasons.entry(&row.version).or_insert(Reason::Later);
        }
        let new = file.filter(|_| is_changed).map(|file| &*file.up.text);
        let down = texts.get(&row.version).and_then(|kept| kept.down.as_deref());
        for text in [text, new, down].into_iter().flatten() {
            anything |= !name_objects(text, &mut touched);
        }
        anything |= text.is_none();
    }
}

fn take_back(row: &Applied, kept: Option<&Kept>, reason: Reason) -> Result<TakeBack, Obstacle> {
    if !row.complete {
        return Err(Obstacle::Interrupted);
    }
    let Some(down) = kept.and_then(|kept| kept.down.clone()) else { return Err(Obstacle::NoDownPart) };
    let path = format!("the down part of {}_{}", row.version, row.name);
    let down = Script::of_file(path, down);
    let statements = down.split().map_err(|_| Obstacle::Unsound)?;
    if statements.is_empty() {
        return Err(Obstacle::Empty);
    }
    let tables = kept.and_then(|kept| kept.up.as_deref()).map(made_tables).unwrap_or_default();
    Ok(TakeBack { row: row.clone(), down, reason, tables, views: Vec::new(), lossless: false })
}

/// Whether two texts run the same statements; comments around them do not count.
fn same_statements(one: &str, other: &str) -> bool {
    let statements = |text: &str| -> Option<Vec<String>> {
        let split = sql::split(text).ok()?;
        // COPY data belongs to its statement.
        let whole = |statement: &sql::Statement| {
            let data = statement.copy_data.as_ref().and_then(|data| text.get(data.clone())).unwrap_or_default();
            format!("{}\n{data}", text.get(statement.range.clone()).unwrap_or_default())
        };
        Some(split.iter().map(whole).collect())
    };
    matches!((statements(one), statements(other)), (Some(one), Some(other)) if one == other)
}

/// Adds the objects that a text's statements act on; false where a statement may act on anything.
fn name_objects(text: &str, names: &mut BTreeSet<String>) -> bool {
    let Ok(statements) = sql::split(text) else { return false };
    let mut all = true;
    for statement in &statements {
        let words = text.get(statement.range.clone()).unwrap_or_default();
        match sql::main_object(words) {
            Some(object) => {
                names.insert(bare(&object.name));
            }
            None => all &= statement.kind == sql::StatementKind::SetSession,
        }
    }
    all
}

/// The tables that a text makes.
fn made_tables(text: &str) -> BTreeSet<String> {
    let statements = sql::split(text).unwrap_or_default();
    let made = statements.iter().filter_map(|statement| {
        let words = text.get(statement.range.clone())?;
        let object = sql::main_object(words).filter(|object| object.kind == "table")?;
        let head: Vec<&str> = words.split_whitespace().take(4).collect();
        let creates = head.first()?.eq_ignore_ascii_case("create");
        (creates && head.iter().any(|word| word.eq_ignore_ascii_case("table"))).then(|| bare(&object.name))
    });
    made.collect()
}

/// The last part of a name, in lower case, without quotes.
fn bare(name: &str) -> String {
    name.rsplit('.').next().unwrap_or(name).trim().trim_matches('"').to_lowercase()
}

/// Whether a text has one of the names as a word, wherever it stands: in strings and comments too, since bodies of
/// functions are strings.
fn mentions(text: &str, names: &BTreeSet<String>) -> bool {
    if names.is_empty() {
        return false;
    }
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let plain = text.split(|c| !word(c)).any(|found| names.contains(&found.to_lowercase()));
    // Names of more than one word stand in quotes.
    plain || names.iter().any(|name| name.contains(|c| !word(c)) && text.to_lowercase().contains(name.as_str()))
}

#[cfg(test)]
mod tests;
