//! A published migration stays as it is: what was done to one is refused, with the commit that published it and the way
//! out, or allowed by name and recorded in the baseline's header.

use crate::engine::project::Project;
use crate::error::{Error, Location, Result};
use crate::model::baseline::{Rewritten, rewritten_of, with_rewritten};
use crate::model::migration::Migration;
use crate::model::published::{self, Base, Change, Violation, next_version};
use crate::model::sources::Sources;
use crate::model::version::Version;
use std::sync::Arc;

/// What is to be done with the sources after the look at what is published.
#[derive(Debug, Default)]
pub struct Judged {
    /// Versions that another branch took: a commit is refused, a baseline can be made.
    pub taken: Vec<Error>,
    /// What was allowed now, to be recorded.
    pub allowed: Vec<Rewritten>,
}

/// Compares the sources with what is published. What the baseline's header or `allow` names may differ.
///
/// # Errors
/// A published migration was edited, renamed, removed or got another version, all at once; or (exit status 2) `allow`
/// names a version that is not published.
pub fn judge(project: &Project, base: Option<&Base>, sources: &Sources, allow: &[Version]) -> Result<Judged> {
    let published = |version: &Version| base.is_some_and(|base| base.sources.migration(version).is_some());
    if let Some(unknown) = allow.iter().find(|version| !published(version)) {
        return Err(Error::usage(format!("no published migration has the version {unknown}"))
            .help("one that is not published may change without leave."));
    }
    let Some(base) = base else { return Ok(Judged::default()) };
    let recorded = recorded(sources);
    let mut judged = Judged::default();
    let mut faults = squashes(base, sources);
    for violation in published::violations(base, &sources.all_migrations()) {
        let entry = violation.as_rewritten();
        if violation.change == Change::Taken {
            judged.taken.push(refusal(project, base, sources, &violation));
        } else if recorded.contains(&entry) {
        } else if allow.contains(&entry.version) {
            judged.allowed.push(entry);
        } else {
            faults.push(refusal(project, base, sources, &violation));
        }
    }
    Error::all(faults).map_or(Ok(judged), Err)
}

/// What stands against the squashes that upstream does not have yet.
fn squashes(base: &Base, sources: &Sources) -> Vec<Error> {
    let known = &base.sources.migrations;
    let new = sources.migrations.iter().filter(|migration| {
        migration.is_squash()
            && !known.iter().any(|old| old.label() == migration.label() && old.checksum == migration.checksum)
    });
    let fault = |squash: &Migration| {
        let fault = |message| Error::failed(message).at(Location::file(&squash.path));
        if let Some(first) = published::unpublished(base, squash).first() {
            let message =
                format!("{} stands for {}, which {} does not have so", squash.label(), first.label(), base.name);
            return Some(fault(message).help(
                "only what is published can be squashed, since deployed databases must have it: publish it first, and squash \
                 with `dbbuild squash`.",
            ));
        }
        let baseline = base.sources.baseline.is_some();
        (!baseline).then(|| fault(format!("{} cannot be proved: {} has no sound baseline", squash.label(), base.name)))
    };
    new.filter_map(fault).collect()
}

fn recorded(sources: &Sources) -> Vec<Rewritten> {
    sources.baseline.as_ref().map(|text| rewritten_of(&String::from_utf8_lossy(text))).unwrap_or_default()
}

/// Writes what was allowed into the header of the committed baseline, from which a new one takes it over.
pub fn record(sources: &mut Sources, allowed: &[Rewritten]) {
    if allowed.is_empty() {
        return;
    }
    let old = sources.baseline.as_ref().map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default();
    sources.baseline = Some(Arc::from(with_rewritten(&old, allowed).into_bytes()));
}

fn refusal(project: &Project, base: &Base, sources: &Sources, violation: &Violation<'_>) -> Error {
    let Violation { change, published, judged } = violation;
    let (label, path) = (published.label(), &published.path);
    let now = judged.map_or(path.as_str(), |judged| &judged.path);
    let new = judged.map(Migration::label).unwrap_or_default();
    let message = match change {
        Change::Edited => format!("the published migration {label} was edited"),
        Change::Renamed => format!("the published migration {label} was renamed to {new}"),
        Change::Moved => format!("the published migration {label} got another version, {new}"),
        Change::Removed => format!("the published migration {label} was removed"),
        Change::Taken => {
            format!("version {} is used twice: upstream has got {label} since this branch left it", published.version)
        }
    };
    let commit = if *change == Change::Taken { &base.tip } else { &base.commit };
    let first = project.git.as_ref().and_then(|git| git.first_commit(commit, path));
    let fault = Error::failed(message).at(Location::file(now));
    let fault = match first {
        Some(first) => fault.cause(format!("{first} published it; {} has it", base.name)),
        None => fault.cause(format!("{} has it", base.name)),
    };
    let short = base.commit.get(..10).unwrap_or(&base.commit);
    let restore = format!("`git restore --source={short} --staged --worktree -- {path}`");
    let fault = match change {
        Change::Edited => fault.help(format!(
            "put it back with {restore}, and write what is to change as a new migration: `dbbuild new {}`.",
            word("change", published)
        )),
        Change::Renamed | Change::Moved => fault.help(format!("put it back with `git mv {now} {path}`.")),
        Change::Removed => fault.help(format!(
            "put it back with {restore}, and write what takes it back as a new migration: `dbbuild new {}`.",
            word("undo", published)
        )),
        Change::Taken => {
            let name = judged.map_or(&published.name, |judged| &judged.name);
            let known = base.sources.all_migrations().into_iter().chain(&base.ahead).chain(sources.all_migrations());
            let next = next_version(known.map(|migration| &migration.version));
            let folder = now.rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default();
            return fault
                .help(format!("give yours a new one: `git mv {now} {folder}{next}_{name}.sql`, then `dbbuild`."));
        }
    };
    fault.help(format!(
        "where it must be so all the same: `dbbuild baseline --allow-rewrite {}` records that in the baseline.",
        published.version
    ))
}

/// A name for the migration that follows another.
fn word(verb: &str, migration: &Migration) -> String {
    let plain = migration.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if plain { format!("{verb}_{}", migration.name) } else { "NAME".to_owned() }
}
