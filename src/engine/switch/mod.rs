//! What a branch switch, a merge or an edit means for the local database.
//!
//! [`Survey`] says how a database stands to the tree: phantom and edited migrations, the way back, and what that would lose.
//! [`follow`] is what the hooks after a checkout, merge or rewrite do; [`branch`] is a database for each branch. The rules
//! are [`crate::model::reconcile`]'s, running them is the runner's.

pub mod branch;
mod follow;
mod losses;
mod refs;

pub use follow::{Followed, Moment, follow};
pub use losses::{Losses, contents, rehearse};
pub use refs::{Refs, on_branches};

use crate::engine::git::Source;
use crate::engine::history::{self, Found};
use crate::engine::project::Project;
use crate::engine::session::Session;
use crate::engine::target::Target;
use crate::engine::upstream;
use crate::error::{Error, Location, Result};
use crate::model::guard::{self, Action};
use crate::model::plan::{Applied, FileKind, History, Reason, other_content};
use crate::model::reconcile::{self, Absent, Stuck, Way};
use crate::model::sources::Sources;
use crate::model::sql::literal;

/// How a database stands to the tree.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// Applied here, in no file of the tree; the last applied first.
    pub phantoms: Vec<Phantom>,
    /// Applied with other content than the files have.
    pub edited: Vec<Applied>,
    /// The texts of repeatable files that the tree does not have, and whose objects are still there.
    pub absent: Absent,
    /// How it comes back to the tree.
    pub way: Way,
}

/// A migration that is applied here and in no file of the tree.
#[derive(Debug, Clone)]
pub struct Phantom {
    /// Its row.
    pub row: Applied,
    /// The branches that have it.
    pub branches: Vec<String>,
}

impl Phantom {
    /// "2_b (of branch side)".
    pub fn describe(&self) -> String {
        format!("{}_{} ({})", self.row.version, self.row.name, on_branches(&self.branches))
    }
}

impl Survey {
    /// Whether the database has nothing but what the tree has.
    pub fn is_clean(&self) -> bool {
        self.phantoms.is_empty() && self.edited.is_empty() && self.absent.is_empty()
    }

    /// What the tree does not have, in words.
    pub fn strange(&self) -> Vec<String> {
        let files = self.absent.keys().map(|name| format!("the repeatable file {name}"));
        self.phantoms.iter().map(Phantom::describe).chain(files).collect()
    }

    /// What cannot be taken back, in clauses; only what blocks the way of an edit, where anything does.
    pub fn stuck(&self) -> Vec<String> {
        let blocked = self.way.is_blocked();
        let clause = |stuck: &Stuck| format!("{}_{}: {}", stuck.row.version, stuck.row.name, stuck.why);
        self.way.stuck.iter().filter(|stuck| !blocked || stuck.reason != Reason::Phantom).map(clause).collect()
    }
}

/// Looks how a database stands to the tree. Where the guard lets nothing be taken back there is no way back either; the plan
/// then says what it says of any database.
///
/// # Errors
/// The version table cannot be read, or git fails.
pub async fn survey(
    project: &Project,
    sources: &Sources,
    target: &Target,
    session: &Session,
    found: &Found,
) -> Result<Survey> {
    let phantoms = reconcile::phantoms(sources, &found.history);
    let edited = reconcile::edited(sources, &found.history);
    let absent = absent_files(project, sources, session, &found.history).await?;
    if phantoms.is_empty() && edited.is_empty() && absent.is_empty() {
        return Ok(Survey::default());
    }
    let refs = Refs::of(project);
    let phantom = |row: &&Applied| Phantom { row: (*row).clone(), branches: refs.holders(row) };
    let mut survey = Survey {
        phantoms: phantoms.iter().map(phantom).collect(),
        edited: edited.into_iter().cloned().collect(),
        absent,
        way: Way::default(),
    };
    if guard::judge(Action::TakeBack, &found.facts, &target.selected).is_ok() {
        let texts = history::texts(session, &reconcile::needed(sources, &found.history)).await?;
        survey.way = reconcile::way(sources, &found.history, &texts, &survey.absent);
    }
    Ok(survey)
}

/// The texts, as git has them, of repeatable files that ran here and that the tree does not have, where something that they
/// made is still there. A file that was removed with a migration that drops its objects has left nothing.
///
/// # Errors
/// The server said no.
pub async fn absent_files(
    project: &Project,
    sources: &Sources,
    session: &Session,
    history: &History,
) -> Result<Absent> {
    let names = reconcile::absent(sources, history);
    if names.is_empty() {
        return Ok(Absent::new());
    }
    let refs = Refs::of(project);
    let mut texts = Absent::new();
    for name in names {
        let Some(checksum) = history.files.get(&(FileKind::Repeatable, name.to_owned())) else { continue };
        let path = format!("{}/{name}", project.config.paths.repeatable);
        let Some(text) = refs.text_of(&path, checksum) else { continue };
        let one = Absent::from([(name.to_owned(), text)]);
        for made in reconcile::removals(sources, &one).iter().flat_map(|file| &file.objects) {
            let look = if made.kind.ends_with("view") { "to_regclass" } else { "to_regproc" };
            let sql = format!("SELECT pg_catalog.{look}({}) IS NOT NULL", literal(&made.name));
            let there = session.query_rows(&sql).await?;
            if there.first().and_then(|row| row.first()).and_then(Option::as_deref) == Some("t") {
                texts.extend(one);
                break;
            }
        }
    }
    Ok(texts)
}

/// Edited migrations must not be published: what others have applied cannot be edited. A file that is as upstream has it
/// edits nothing, whatever this database has.
///
/// # Errors
/// One is published, with the commit that changed it; or what is published cannot be told.
pub fn judge_edits(project: &Project, sources: &Sources, edited: &[Applied]) -> Result<()> {
    if edited.is_empty() {
        return Ok(());
    }
    let Some(base) = upstream::base(project, &Source::WorkTree, None)? else { return Ok(()) };
    let faults = edited.iter().filter_map(|row| {
        let file = sources.migration(&row.version)?;
        let published = base.sources.migration(&row.version)?;
        (published.checksum != file.checksum).then(|| {
            Error::failed(format!("{}, and is published", other_content(row, &file.checksum))).at(Location::file(&file.path))
            .cause(format!("{} has it with other content; {}", base.name, changed_by(project, &file.path)))
            .help(
                "a published migration is never edited: take the edit back and write a new migration. Nothing was run.",
            )
        })
    });
    Error::all(faults).map_or(Ok(()), Err)
}

/// Who changed a file, as a clause.
fn changed_by(project: &Project, path: &str) -> String {
    if Refs::of(project).is_modified(path) {
        return "the edit here is not committed".to_owned();
    }
    let change = project.git.as_ref().and_then(|git| git.last_change(path));
    change.map_or_else(|| "no commit changed it".to_owned(), |change| format!("it was changed by commit {change}"))
}

/// The error for edited migrations where nobody said that they may be taken back. `losses` says what that would cost.
pub fn undecided(sources: &Sources, survey: &Survey, losses: &Losses) -> Error {
    let error = edited_error(sources, survey, "");
    let error = match losses.lines() {
        lines if lines.is_empty() => error,
        lines => error.cause("taking it back moves what follows into the attic").detail(lines.join("\n")),
    };
    error.help(
        "`dbbuild build --take-back` takes it back by its kept down part and applies the new content; `dbbuild reset` builds \
         the database anew. Nothing was run.",
    )
}

/// "2_b was applied to this database with other content", at its file.
fn edited_error(sources: &Sources, survey: &Survey, more: &str) -> Error {
    let rows: Vec<&Applied> = survey.edited.iter().filter(|row| !survey.way.record.contains(&row.version)).collect();
    let names: Vec<String> = rows.iter().map(|row| format!("{}_{}", row.version, row.name)).collect();
    let first = rows.first().and_then(|row| sources.migration(&row.version));
    let error = Error::failed(format!("{} was applied to this database with other content{more}", names.join(", ")));
    match first {
        Some(file) => error.at(Location::file(&file.path)),
        None => error,
    }
}

/// The error for edited migrations that cannot be taken back.
pub fn no_way_back(sources: &Sources, survey: &Survey, contents: &Losses) -> Error {
    edited_error(sources, survey, ", and cannot be taken back")
        .cause(survey.stuck().join("; "))
        .detail(contents.lines().join("\n"))
        .help(
            "`dbbuild reset`, or `dbbuild build --yes`, builds the database anew from the files and test data, and loses these \
             rows; or take the edit back. Nothing was run.",
        )
}
