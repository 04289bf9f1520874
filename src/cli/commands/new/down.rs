//! `dbbuild new --down VERSION`: a first draft of a down part, proved before anybody gets it.
//!
//! It is written into the file of a migration that is not published; a published one never changes, and its draft is printed.

use crate::cli::{Context, Done};
use crate::engine::files;
use crate::engine::git::Source;
use crate::engine::project::Project;
use crate::engine::prove::{self, Goal, Request};
use crate::engine::upstream;
use crate::error::{Error, Location, OrFailed, Result};
use crate::model::draft::{self, Draft};
use crate::model::migration::Migration;
use crate::model::published::Base;
use crate::model::sources::Sources;
use crate::model::version::Version;
use std::path::Path;

/// A draft that was proved.
struct Proved {
    path: String,
    /// The file as it was read, and as it is to be.
    old: Vec<u8>,
    new: String,
    section: String,
    published: bool,
}

/// Drafts, proves all of them, and only then writes or prints.
///
/// # Errors
/// One of them is no migration, has a down part, is not simple, or its draft does not take it back; nothing was written.
pub(super) async fn run(context: &Context, project: &Project, versions: &[Version]) -> Result<Done> {
    let sources = project.sources()?;
    let base = upstream::base(project, &Source::WorkTree, None)?;
    let progress = context.progress("migrations", 0);
    let mut drafts = Vec::new();
    for version in versions {
        let drafted = drafted(project, &sources, base.as_ref(), version);
        match drafted {
            Ok((proved, with_draft, read)) => {
                let request = Request {
                    config: &project.config,
                    sources: &with_draft,
                    base: base.as_ref(),
                    goal: Goal::Compare,
                    cache: &project.cache,
                    reuse: true,
                    sink: &|event| progress.event(event),
                };
                let outcome = prove::takes_back(&request, &read).await;
                if outcome.is_err() {
                    progress.end();
                }
                outcome.map_err(|fault| does_not(&read, &proved.section, &fault))?;
                drafts.push(proved);
            }
            Err(fault) => {
                progress.end();
                return Err(fault.help("nothing was written."));
            }
        }
    }
    progress.end();
    for draft in &drafts {
        give(context, &project.root, draft)?;
    }
    let list: Vec<_> = drafts.iter().map(Proved::json).collect();
    context.output.json(&serde_json::json!({ "down": list }));
    Ok(Done::Well)
}

/// The draft, and the sources with it in them.
fn drafted(
    project: &Project,
    sources: &Sources,
    base: Option<&Base>,
    version: &Version,
) -> Result<(Proved, Sources, Migration)> {
    let migration = sources.migration(version).ok_or_else(|| {
        Error::usage(format!("no file here is the migration {version}"))
            .help("a draft is made from the up part of its file, which another branch or commit may have.")
    })?;
    if !draft::lacks_down(migration) {
        let place = migration.down.as_ref().map_or_else(|| Location::file(&migration.path), |down| down.location(0));
        return Err(Error::failed(format!("{} has a down part already", migration.label())).at(place));
    }
    let draft: Draft = draft::draft(migration)?;
    let full = project.root.join(&migration.path);
    let old = std::fs::read(&full).or_failed(|| format!("cannot read {}", migration.path))?;
    let new = draft.written_into(migration, &old)?;
    let read = Migration::parse(&migration.path, new.as_bytes())?;
    let mut with_draft = sources.clone();
    with_draft.migrations.iter_mut().filter(|one| one.version == read.version).for_each(|one| *one = read.clone());
    let published =
        base.is_some_and(|base| base.publishes(migration) || base.ahead.iter().any(|one| one.version == *version));
    let section = draft.section(!migration.settings.transaction);
    Ok((Proved { path: migration.path.clone(), old, new, section, published }, with_draft, read))
}

fn does_not(migration: &Migration, section: &str, fault: &Error) -> Error {
    let error = Error::failed(format!("the draft does not take {} back: it was not written", migration.label()))
        .at(Location::file(&migration.path))
        .cause(fault.message());
    let error = fault.causes().iter().fold(error, |error, cause| error.cause(cause));
    let error = fault.details().iter().fold(error, |error, detail| error.detail(detail));
    error.detail(section).help("write its down part by hand, below a line `-- migrate:down`.")
}

fn give(context: &Context, root: &Path, draft: &Proved) -> Result<()> {
    let out = &context.output;
    if draft.published {
        out.answer(draft.section.trim_end());
        out.note(&format!(
            "{} is published and never changes; to undo it everywhere, make this the up part of a new migration",
            draft.path
        ));
        return Ok(());
    }
    let full = root.join(&draft.path);
    let now = std::fs::read(&full).or_failed(|| format!("cannot read {}", draft.path))?;
    if now != draft.old {
        return Err(Error::failed(format!("{} was changed meanwhile", draft.path)).help("run the command again."));
    }
    files::replace(&full, draft.new.as_bytes()).or_failed(|| format!("cannot write {}", draft.path))?;
    out.answer(&draft.path);
    out.note(&format!("{}: its down part is a draft that brings the schema back; review it", draft.path));
    Ok(())
}

impl Proved {
    fn json(&self) -> serde_json::Value {
        serde_json::json!({ "path": self.path, "written": !self.published, "published": self.published, "text": self.section })
    }
}
