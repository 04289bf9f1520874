//! Where a downgrade goes: `--to VERSION|COMMIT|TAG` understood.

use super::Request;
use crate::engine::git::Source;
use crate::engine::project::Project;
use crate::engine::session::Session;
use crate::engine::switch::{self, Refs};
use crate::error::{Error, Result};
use crate::model::directive;
use crate::model::plan::{FileKind, History};
use crate::model::reconcile::{Absent, Goal, nearest};
use crate::model::sources::Sources;
use crate::model::squash;
use crate::model::version::Version;
use std::sync::Arc;

/// Names that are shown where a list may be long.
const SHOWN: usize = 5;

/// Where a downgrade goes.
#[derive(Debug, Clone)]
pub struct Destination {
    /// As it was asked for.
    pub name: String,
    /// The files that are there then: the commit's, or those of the checkout.
    pub sources: Sources,
    /// Migrations that the commit has and the database lacks, as `VERSION_name`; `apply` is theirs.
    pub lacking: Vec<String>,
    /// What a person should know.
    pub notes: Vec<String>,
    pub(super) request: Request,
}

impl Destination {
    /// Understands what was asked for. `here` are the files of the checkout.
    ///
    /// # Errors
    /// There is no such version or commit (exit status 2), or the commit's files are not sound.
    pub async fn find(
        project: &Project,
        here: &Sources,
        session: &Session,
        history: &History,
        wanted: &str,
    ) -> Result<Destination> {
        match version(here, history, wanted) {
            Some(goal) => Ok(to_version(project, here, history, wanted, goal)),
            None => match commit(project, wanted)? {
                Some(commit) => to_commit(project, here, session, history, wanted, commit).await,
                None => Err(unknown(project, here, history, wanted)),
            },
        }
    }

    /// Where it goes.
    pub fn goal(&self) -> &Goal {
        &self.request.goal
    }
}

/// The version that is meant: one that is applied or has a file, with or without its name; `0` is before all of them.
pub(super) fn version(here: &Sources, history: &History, wanted: &str) -> Option<Goal> {
    let digits = wanted.split_once('_').map_or(wanted, |(version, _)| version);
    let version = Version::parse(digits).ok()?;
    let labels = history.applied.iter().map(|row| (&row.version, row.name.as_str()));
    let files = here.all_migrations().into_iter().map(|file| (&file.version, file.name.as_str()));
    let mut known = labels.chain(files).filter(|(known, _)| **known == version).peekable();
    if known.peek().is_none() {
        // A squash knows the versions that it stands for.
        let squashed = squash::of(here, &version).is_some();
        let none = version.as_str().bytes().all(|digit| digit == b'0');
        return (digits == wanted && (none || squashed)).then(|| Goal::Version((!none).then_some(version)));
    }
    let meant = digits == wanted || known.any(|(known, name)| wanted == format!("{known}_{name}"));
    meant.then_some(Goal::Version(Some(version)))
}

fn commit(project: &Project, wanted: &str) -> Result<Option<String>> {
    // git would take it for an option.
    match &project.git {
        Some(git) if !wanted.starts_with('-') => git.commit(wanted),
        _ => Ok(None),
    }
}

fn to_version(project: &Project, here: &Sources, history: &History, wanted: &str, goal: Goal) -> Destination {
    let ran = ran_texts(project, here, here, history);
    let request = Request { goal, lenient: true, ran, absent: Absent::new(), given: None };
    Destination { name: wanted.to_owned(), sources: here.clone(), lacking: Vec::new(), notes: Vec::new(), request }
}

async fn to_commit(
    project: &Project,
    here: &Sources,
    session: &Session,
    history: &History,
    wanted: &str,
    commit: String,
) -> Result<Destination> {
    let source = Source::Rev(commit.clone());
    let tree = project.tree_if_any(&source)?.ok_or_else(|| {
        Error::failed(format!("{} holds no {}", source.describe(), project.config_name))
            .help("nothing says what its migrations are; `--to VERSION` goes back without it. Nothing was run.")
    })?;
    let sources = tree.sources(project).map_err(|e| e.cause(format!("in {}", source.describe())))?;
    let known = |version: &Version| history.applied.iter().any(|row| row.version == *version);
    let rows = |migration| squash::rows(migration).into_iter().any(|row| !known(&row.version));
    let lacking: Vec<String> =
        sources.all_migrations().into_iter().filter(|file| rows(file)).map(|file| file.label()).collect();
    let mut notes = Vec::new();
    if !lacking.is_empty() {
        notes.push(format!(
            "{wanted} has {}, which are not applied here; `dbbuild apply` there applies them",
            some(&lacking)
        ));
    }
    let changed = history.applied.iter().filter(|row| row.complete).filter(|row| {
        sources.migration(&row.version).is_some_and(|file| !file.is_squash() && file.checksum != row.checksum)
    });
    let changed: Vec<String> = changed.map(|row| format!("{}_{}", row.version, row.name)).collect();
    if !changed.is_empty() {
        notes.push(format!("{} ran here with other content than {wanted} has, and stays as it is", some(&changed)));
    }
    let absent = switch::absent_files(project, &sources, session, history).await?;
    let ran = ran_texts(project, here, &sources, history);
    // A file of the commit may need what the database lacks.
    let request = Request { goal: Goal::Commit(commit), lenient: !lacking.is_empty(), ran, absent, given: None };
    Ok(Destination { name: wanted.to_owned(), sources, lacking, notes, request })
}

/// The texts of repeatable files as they ran here, where the files that run after the downgrade are others.
fn ran_texts(project: &Project, here: &Sources, after: &Sources, history: &History) -> Absent {
    let mut ran = Absent::new();
    let refs = Refs::of(project);
    for ((kind, name), checksum) in &history.files {
        let same = |sources: &Sources| {
            let file = sources.repeatable.iter().find(|file| file.name == *name && file.checksum == *checksum);
            file.map(|file| Arc::clone(&file.script.text))
        };
        if *kind != FileKind::Repeatable || same(after).is_some() {
            continue;
        }
        let path = format!("{}/{name}", project.config.paths.repeatable);
        let text = same(here).or_else(|| super::has_git(project).then(|| refs.text_of(&path, checksum)).flatten());
        ran.extend(text.map(|text| (name.clone(), text)));
    }
    ran
}

/// "1_a, 2_b and 3 more".
fn some(names: &[String]) -> String {
    match names.get(..SHOWN) {
        Some(first) if names.len() > SHOWN => format!("{} and {} more", first.join(", "), names.len() - SHOWN),
        _ => names.join(", "),
    }
}

fn unknown(project: &Project, here: &Sources, history: &History, wanted: &str) -> Error {
    let digits = wanted.split_once('_').map_or(wanted, |(version, _)| version);
    if let Ok(version) = Version::parse(digits) {
        let files = here.all_migrations();
        let known = history.applied.iter().map(|row| &row.version).chain(files.iter().map(|file| &file.version));
        let near: Vec<String> = nearest(&version, known).iter().map(ToString::to_string).collect();
        let error = Error::usage(format!("there is no migration {wanted}, neither applied nor in a file"));
        return match near.is_empty() {
            true => error.help("no migration is known at all. Nothing was run."),
            false => {
                error.help(format!("the nearest are {}; 0 is before all of them. Nothing was run.", near.join(", ")))
            }
        };
    }
    let error = Error::usage(format!("{} names neither a migration nor a commit", wanted.escape_debug()));
    if !super::has_git(project) {
        return error.help("without a git repository a downgrade goes to a version. Nothing was run.");
    }
    let refs = Refs::of(project);
    let names: Vec<String> = refs.tags().into_iter().chain(refs.local()).collect();
    let error = match directive::nearest(wanted, names.iter().map(String::as_str)) {
        Some(near) => error.help(format!("did you mean {near}?")),
        None => error,
    };
    error.help("a version is known by `dbbuild status`, a tag by `git tag`; `git fetch` may bring it. Nothing was run.")
}
