//! `dbbuild verify`: the proof, for the index, the work tree or any commit.

use crate::cli::{Context, Done};
use crate::engine::baseline;
use crate::engine::git::Source;
use crate::engine::project::Project;
use crate::engine::prove::{self, Goal, Request};
use crate::engine::verdict::{Judgement, Verdict};
use crate::error::{Error, Result};
use crate::model::sources::Sources;
use crate::model::version::Version;

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Judge the files as they lie on disk, instead of the index
    #[arg(long, conflicts_with = "rev")]
    worktree: bool,
    /// Judge a commit, instead of the index
    #[arg(long, value_name = "REV")]
    rev: Option<String>,
    /// Count as published what this commit has, instead of `git.upstream`
    #[arg(long, value_name = "REV")]
    since: Option<String>,
    /// Let this published migration differ; with --fix the baseline records it; can be given again
    #[arg(long, value_name = "VERSION", value_parser = super::baseline::version)]
    allow_rewrite: Vec<Version>,
    /// Prove everything again, whatever was proved before
    #[arg(long)]
    full: bool,
    /// Apply each new migration, take it back and apply it again, with the test data loaded: schema and rows must come back
    #[arg(long, conflicts_with = "fix")]
    round_trip: bool,
    /// Write the right baseline into what was judged: the index or the work tree
    #[arg(long, conflicts_with = "rev")]
    fix: bool,
}

/// Verifies.
///
/// # Errors
/// A rule is broken (status 1), or the baseline is not what the sources make (status 3).
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let project = context.project()?;
    let source = match args.rev {
        Some(rev) => Source::Rev(rev),
        None if args.worktree => Source::WorkTree,
        None => Source::Index,
    };
    let judgement = Judgement::open(&project, &source, args.since.as_deref())?
        .allowing(args.allow_rewrite)
        .with_round_trip(args.round_trip);
    let what = match args.round_trip {
        true => format!("{}, there and back,", source.describe()),
        false => source.describe(),
    };
    if !args.full && judgement.is_known() {
        return Ok(proved(context, &what, &Verdict::Known));
    }
    let mut sources = judgement.sources()?;
    if args.fix {
        return fix(context, &project, &judgement, &mut sources, &source, !args.full).await;
    }
    let progress = context.progress("migrations", sources.migrations.len());
    let verdict = judgement.verify(&sources, args.full, &|event| progress.event(event)).await;
    progress.end();
    Ok(proved(context, &what, &verdict?))
}

fn proved(context: &Context, what: &str, verdict: &Verdict) -> Done {
    let (text, notes) = match verdict {
        Verdict::Known => ("was proved before", &[][..]),
        Verdict::Proved(notes) => ("is proved: baseline and migrations agree", &notes[..]),
    };
    notes.iter().for_each(|note| context.output.note(note));
    context.output.line(&format!("{what} {text}"));
    context.output.json(&serde_json::json!({ "judged": what, "proved": true, "notes": notes }));
    Done::Well
}

/// Writes the regenerated baseline into what was judged.
async fn fix(
    context: &Context,
    project: &Project,
    judgement: &Judgement<'_>,
    sources: &mut Sources,
    source: &Source,
    reuse: bool,
) -> Result<Done> {
    let config = &judgement.tree.config;
    let path = &config.paths.baseline;
    let committed = sources.baseline.clone();
    let (base, taken) = judgement.allowed(sources)?;
    taken.iter().for_each(|fault| context.output.note(&fault.to_string()));
    let progress = context.progress("migrations", sources.migrations.len());
    let request = Request {
        config,
        sources,
        base: base.as_ref(),
        goal: Goal::Generate,
        cache: &project.cache,
        reuse,
        sink: &|event| progress.event(event),
    };
    let proof = prove::prove(&request).await;
    progress.end();
    let proof = proof?;
    proof.notes.iter().for_each(|note| context.output.note(note));
    let unchanged = committed.as_ref().is_some_and(|old| **old == *proof.baseline.as_bytes());
    match source {
        _ if unchanged => {}
        Source::WorkTree => baseline::write(project, &proof.baseline)?,
        Source::Index => {
            // A work tree that holds what the index held follows it; one with other edits is left alone.
            let full = project.root.join(path);
            let follows = std::fs::read(&full).ok().as_deref() == committed.as_deref();
            project.git()?.stage(path, proof.baseline.as_bytes())?;
            if follows {
                baseline::write(project, &proof.baseline)?;
            } else {
                context.output.note(&format!("{path} in the work tree has other edits and was left as it is"));
            }
        }
        Source::Rev(_) => return Err(Error::usage("a commit cannot be changed")),
    }
    let text = if unchanged { "is as it should be" } else { "was written" };
    context.output.line(&format!("{path} {text} in {}", source.describe()));
    context.output.json(&serde_json::json!({ "judged": source.describe(), "path": path, "changed": !unchanged }));
    Ok(Done::Well)
}
