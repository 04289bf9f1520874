//! Squashing: old migrations are replaced by the baseline at their end, which is proved to make the same.
//!
//! The text comes from git where a commit's baseline holds exactly these migrations, otherwise from a replay of them in a
//! throwaway. Either is taken only if the squashed history replays to the baseline that stands now. Nothing is written
//! here before all of that; what a squash means for a database is [`crate::model::squash`]'s.

mod environments;

pub use environments::{Asked, refuse_older};

use crate::engine::git::Source;
use crate::engine::past::Past;
use crate::engine::project::Project;
use crate::engine::prove::{self, Goal, Request};
use crate::engine::runner::Sink;
use crate::engine::upgrade::baseline_claims;
use crate::engine::upstream;
use crate::engine::{definitions, files};
use crate::error::{Error, Location, OrFailed, Result};
use crate::model::baseline::{Baseline, differences, with_volatile_of};
use crate::model::config::{Config, Severity};
use crate::model::definitions::Change;
use crate::model::migration::Migration;
use crate::model::published::Base;
use crate::model::sources::Sources;
use crate::model::squash::{self, Replaced};
use crate::model::version::Version;
use std::sync::Arc;

/// Differences that are named one by one.
const SHOWN: usize = 10;

/// A squash before it is made: what it will stand for.
pub struct Intent {
    /// The migrations that it replaces, in order; some may be squashes themselves.
    pub files: Vec<Migration>,
    /// What it stands for.
    pub list: Vec<Replaced>,
    /// The commit that is checked out, which still has the files.
    pub commit: String,
    base: Option<Base>,
}

/// A squash that is proved, and not written yet.
pub struct Made {
    /// The new migration.
    pub migration: Migration,
    text: String,
    /// The new baseline.
    pub baseline: Arc<str>,
    /// Where its content came from, in words.
    pub from: String,
    /// What a person should know.
    pub notes: Vec<String>,
    /// What is to be done to the definitions.
    definitions: Change,
    /// Whether all of the files, as they are written, are proved.
    pub complete: bool,
}

/// Finds what a squash of everything before a version would replace; `None` where that is one squash already.
///
/// # Errors
/// There is no such version or nothing before it (exit status 2); the tree has changes that are not committed; the baseline
/// is stale (3); or something of it is not published.
pub fn intend(project: &Project, sources: &Sources, before: &Version) -> Result<Option<Intent>> {
    let git = project.git()?;
    let known = &sources.migrations;
    if !known.iter().any(|migration| migration.version == *before) {
        let newest = known.last().map_or_else(String::new, |last| format!("; the newest one is {}", last.label()));
        return Err(Error::usage(format!("no migration has the version {before}"))
            .help(format!("name the first migration that stays as it is{newest}.")));
    }
    let files: Vec<Migration> = known.iter().filter(|m| m.version < *before).cloned().collect();
    match files.as_slice() {
        [] => {
            return Err(
                Error::usage(format!("no migration is older than {before}")).help("there is nothing to squash.")
            );
        }
        [only] if only.is_squash() => return Ok(None),
        _ => {}
    }
    let dirty = |what: &str| {
        Error::failed(what)
            .help("commit first: the squash names the commit that still has the migrations. Nothing was changed.")
    };
    let head = git.head().ok_or_else(|| dirty("nothing is committed yet"))?;
    if project.commit().is_none_or(|commit| commit != head) || project.staged()? {
        return Err(dirty("the files of the database differ from those of HEAD"));
    }
    let path = &project.config.paths.baseline;
    let inputs = prove::inputs(&project.config, sources);
    if !sources.baseline.as_ref().is_some_and(|text| baseline_claims(text, &inputs)) {
        return Err(Error::difference(format!("{path} is missing or stale"))
            .help("run `dbbuild baseline`, commit the result, and squash then."));
    }
    let list: Vec<Replaced> = files.iter().flat_map(squash::rows).collect();
    let base = upstream::base(project, &Source::WorkTree, None)?;
    if let Some(base) = &base
        && let Some(migration) = files.iter().rev().find(|m| !squash::rows(m).iter().all(|row| has(base, row)))
    {
        return Err(Error::failed(format!("{} is not published: {} does not have it", migration.label(), base.name))
            .at(Location::file(&migration.path))
            .help("deployed databases may lack it. Publish it first, or squash before an older version."));
    }
    if let Some(base) = base.as_ref().filter(|base| base.sources.baseline.is_none()) {
        return Err(Error::failed(format!("{} has no sound baseline, from which a squash could be proved", base.name))
            .help("run `dbbuild baseline`, publish the result, and squash then."));
    }
    Ok(Some(Intent { files, list, commit: head, base }))
}

fn has(base: &Base, row: &Replaced) -> bool {
    base.sources.migrations.iter().flat_map(squash::rows).any(|known| known == *row)
}

/// Makes and proves a squash.
///
/// # Errors
/// The migrations do not replay, or no text makes the database that the migrations make.
pub async fn make(project: &Project, sources: &Sources, intent: &Intent, sink: Sink<'_>) -> Result<Made> {
    let current = parse(sources.baseline.as_deref(), &project.config.paths.baseline)?;
    let maker = Maker { project, sources, intent, current, sink };
    let mut notes = Vec::new();
    match Past::open(project, "HEAD")?.holding(&intent.list)? {
        Some((commit, Some(baseline))) => {
            let from = format!("the baseline of commit {}", short(&commit));
            match maker.attempt(&baseline, from).await {
                Ok(made) => return Ok(made),
                Err(refusal) => {
                    notes.push(format!("the baseline of {} does not serve: {refusal}", short(&commit)));
                }
            }
        }
        Some((commit, None)) => notes.push(format!(
            "the baseline of {} also holds what repeatable files and init data made then, so the migrations were replayed",
            short(&commit)
        )),
        None => {}
    }
    let baseline = maker.prefix().await?;
    let from = "a replay of them".to_owned();
    match maker.attempt(&baseline, from).await {
        Ok(made) => Ok(Made { notes: notes.into_iter().chain(made.notes).collect(), ..made }),
        Err(refusal) => Err(refusal.help("no file was changed.")),
    }
}

fn parse(bytes: Option<&[u8]>, path: &str) -> Result<Baseline> {
    let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
    Baseline::parse(text, path)
}

/// Makes a squash of an intent.
struct Maker<'a> {
    project: &'a Project,
    sources: &'a Sources,
    intent: &'a Intent,
    /// The baseline that stands.
    current: Baseline,
    sink: Sink<'a>,
}

impl Maker<'_> {
    /// The database after the replaced migrations alone, from a replay; volatile values are those of the baseline that stands.
    async fn prefix(&self) -> Result<Baseline> {
        let Maker { project, sources, intent, sink, .. } = *self;
        let path = &project.config.paths.baseline;
        let mut config: Config = project.config.clone();
        config.migrations.volatile = Severity::Off;
        let alone = Sources {
            migrations: intent.files.clone(),
            roles: sources.roles.clone(),
            baseline: sources.baseline.clone(),
            ..Sources::default()
        };
        // All of it was published or tried before: no rule is tried again.
        let base = Base {
            commit: intent.commit.clone(),
            name: "HEAD".to_owned(),
            config: config.clone(),
            sources: Sources { baseline: None, ..alone.clone() },
            tip: intent.commit.clone(),
            ahead: Vec::new(),
        };
        let request = Request {
            config: &config,
            sources: &alone,
            base: Some(&base),
            goal: Goal::Generate,
            cache: &project.cache,
            reuse: true,
            sink,
        };
        Baseline::parse(&prove::prove(&request).await?.baseline, path)
    }

    /// Puts one baseline in place of the migrations, and proves that the whole comes to what it came to before.
    async fn attempt(&self, baseline: &Baseline, from: String) -> Result<Made> {
        let Maker { project, sources, intent, ref current, sink } = *self;
        let config = &project.config;
        // Values that each replay makes anew are written out as the baseline that stands has them.
        let dump = with_volatile_of(&baseline.dump, &baseline.volatile, &current.dump);
        let text = squash::render(&intent.list, Some(&intent.commit), &from, &baseline.sql_of(&dump));
        let last = intent.list.last().ok_or_else(|| Error::failed("there is nothing to squash"))?;
        let path = format!("{}/{}_squashed.sql", config.paths.migrations, last.version);
        let migration = Migration::parse(&path, text.as_bytes())?;
        let mut squashed = sources.clone();
        squashed.migrations.retain(|m| !intent.files.iter().any(|file| file.version == m.version));
        squashed.migrations.push(migration.clone());
        squashed.migrations.sort_by(|a, b| a.version.cmp(&b.version));
        let request = Request {
            config,
            sources: &squashed,
            base: intent.base.as_ref(),
            goal: Goal::Generate,
            cache: &project.cache,
            reuse: true,
            sink,
        };
        let proof = prove::prove(&request).await?;
        let new = Baseline::parse(&proof.baseline, &config.paths.baseline)?;
        equal(current, &new)?;
        let (notes, definitions, complete) = (proof.notes, proof.definitions, proof.complete);
        Ok(Made { migration, text, baseline: proof.baseline, from, notes, definitions, complete })
    }
}

/// The squashed history must come to the same schema, rows, roles and version rows.
fn equal(current: &Baseline, new: &Baseline) -> Result<()> {
    let same = current.roles == new.roles && current.dump == new.dump && current.history == new.history;
    if same {
        return Ok(());
    }
    let mut found: Vec<String> = differences(&current.roles, &new.roles)
        .iter()
        .chain(&differences(&current.dump, &new.dump))
        .map(ToString::to_string)
        .collect();
    if found.is_empty() {
        found.push("the order of its objects, or its version rows, differ".to_owned());
    }
    let total = found.len();
    found.truncate(SHOWN);
    let fault = Error::failed("the squashed history does not make the database that the migrations make")
        .cause(format!("beside the squashed one: {}", found.first().cloned().unwrap_or_default()));
    Err(if total > 1 { fault.detail(found.join("\n")) } else { fault })
}

/// Writes a squash and its baseline, and removes the files that it stands for.
///
/// # Errors
/// A folder cannot be written; what was done until then is in git.
pub fn write(project: &Project, intent: &Intent, made: &Made) -> Result<()> {
    let restore =
        |e: Error| e.help(format!("`git restore --source={} -- .` puts the files back.", short(&intent.commit)));
    let put = |path: &str, text: &str| {
        files::replace(&project.root.join(path), text.as_bytes()).or_failed(|| format!("cannot write {path}"))
    };
    put(&made.migration.path, &made.text).map_err(restore)?;
    put(&project.config.paths.baseline, &made.baseline).map_err(restore)?;
    definitions::write(project, &made.definitions).map_err(restore)?;
    for file in intent.files.iter().filter(|file| file.path != made.migration.path) {
        std::fs::remove_file(project.root.join(&file.path))
            .or_failed(|| format!("cannot remove {}", file.path))
            .map_err(restore)?;
    }
    Ok(())
}

fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}
