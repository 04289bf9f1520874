//! `dbbuild build`: the local database and the baseline, brought up to the checked-out files.

use crate::cli::output::{Output, count};
use crate::cli::{Context, Done};
use crate::engine::cache::Kind;
use crate::engine::git::Source;
use crate::engine::project::Project;
use crate::engine::prove::{self, Goal, Request};
use crate::engine::provenance;
use crate::engine::runner::{Event, Report};
use crate::engine::session::Session;
use crate::engine::switch::branch;
use crate::engine::target::{Start, Target};
use crate::engine::upgrade::{self, Job, Outcome, Work};
use crate::engine::verdict::Judgement;
use crate::engine::{definitions, drift, files, merge, rewrite, upstream};
use crate::error::{Error, Result};
use crate::model::attic;
use crate::model::attic::given::{self, Given, OnConflict};
use crate::model::baseline::Rewritten;
use crate::model::definitions::{change, is_generated};
use crate::model::plan::FileKind;
use crate::model::published::Base;
use crate::model::reconcile::Absent;
use crate::model::sources::Sources;
use crate::model::version::Version;

mod decide;

/// Arguments of `build`.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Leave the baseline as it is
    #[arg(long)]
    no_baseline: bool,
    /// Take back migrations that the files do not have, by their kept down parts, and bring edited ones to their new content
    #[arg(long)]
    take_back: bool,
    /// What becomes of kept values that were changed meanwhile: report, keep-current or restore
    #[arg(long, value_name = "WHAT", default_value = "report")]
    on_conflict: OnConflict,
}

/// What became of the baseline.
enum Baseline {
    /// It was made from these inputs, and that was proved before.
    Fresh,
    /// It was there, and was proved now.
    Proved,
    /// It was made anew.
    Written,
    /// It was in conflict and made anew.
    Solved,
    /// It was left alone.
    Skipped,
}

/// Builds.
///
/// # Errors
/// A script, a check, the guard or the proof says no; or (status 3) the local database drifted.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let project = context.project()?;
    let sources = project.sources()?;
    let target = context.target(&project, Start::IfNeeded).await?;
    let (session, created, copied) = branch::open(&project, &sources, &target).await?;
    copied.iter().for_each(|said| context.output.line(said));
    let wanted = args.take_back || copied.is_some();
    let decided = decide::decide(context, &project, &sources, &target, session, wanted).await?;
    let (session, created) = (decided.session, created || decided.rebuilt);
    let progress = context.progress("migrations", sources.migrations.len());
    let (local, baseline) = tokio::join!(
        build_local(&project, &sources, &target, session, context, (decided.take_back, args.on_conflict)),
        async {
            if args.no_baseline {
                return Ok(Baseline::Skipped);
            }
            regenerate(&project, &sources, &|event| progress.event(event)).await
        }
    );
    progress.end();
    let (outcome, baseline) = match (local, baseline) {
        (Ok(outcome), Ok(baseline)) => (outcome, baseline),
        // The same script fails in both places alike: one message is enough.
        (Err(one), Err(other)) if one.location().is_some() && one.location() == other.location() => return Err(one),
        (Err(one), Err(other)) => {
            return Err(Error::all([one, other]).unwrap_or_else(|| Error::failed("the build failed")));
        }
        (Err(one), Ok(_)) => return Err(one),
        (Ok(outcome), Err(other)) => {
            report(context, &project, &target, created, &outcome, &Baseline::Skipped, false);
            return Err(other);
        }
    };
    let found = match baseline {
        Baseline::Skipped => Vec::new(),
        _ => drift::find(&project, &sources, &target, &outcome.session).await?,
    };
    report(context, &project, &target, created, &outcome, &baseline, !found.is_empty());
    context.output.json(&json(&target, created, &outcome, &baseline, &found));
    if found.is_empty() {
        return Ok(Done::Well);
    }
    let error = drift::error(&target.describe(), &project.config.paths.baseline, &found);
    Err(match decided.phantoms.as_slice() {
        [] => error,
        phantoms => error.help(format!(
            "some of it may be of {}: `dbbuild build --take-back` takes back what has a down part.",
            phantoms.join(", ")
        )),
    })
}

/// Brings the database up to the files.
///
/// # Errors
/// A step fails, or the guard refuses.
pub async fn build_local(
    project: &Project,
    sources: &Sources,
    target: &Target,
    session: Session,
    context: &Context,
    (take_back, on_conflict): (Option<Absent>, OnConflict),
) -> Result<Outcome> {
    let sink = |event: Event| match event {
        Event::Note(text) => context.output.note(&text),
        Event::Waiting(text) if text.starts_with("waits for") => context.output.note(&text),
        Event::Blocked { blocker, .. } => context.output.note(&format!("waits for {blocker}")),
        _ => {}
    };
    let work = Work {
        project,
        sources,
        job: Job::Build { take_back },
        author: &|| provenance::author(project, &provenance::Given::default()),
        on_conflict,
        check_first: false,
        sink: &sink,
        begin: &|_| {},
    };
    upgrade::run(&work, target, session).await
}

/// Makes the baseline anew where its inputs changed.
async fn regenerate(project: &Project, sources: &Sources, sink: &(dyn Fn(Event) + Send + Sync)) -> Result<Baseline> {
    let config = &project.config;
    let inputs = prove::inputs(config, sources);
    let claims = sources.baseline.as_ref().is_some_and(|text| upgrade::baseline_claims(text, &inputs));
    let known = project.cache.has(Kind::Catalog, &inputs);
    let defined = defined(project, sources);
    if claims && known && defined {
        return Ok(Baseline::Fresh);
    }
    let mut sources = sources.clone();
    let conflict = merge::solved(project, &mut sources);
    let sources = &sources;
    let goal = if claims && defined { Goal::Compare } else { Goal::Generate };
    let (base, _) = published(project, sources, &[], &|note| sink(Event::Note(note)))?;
    let base = base.as_ref();
    let request =
        Request { config, sources, base, goal, cache: &project.cache, reuse: true, sink };
    let proof = prove::prove(&request).await?;
    proof.notes.iter().for_each(|note| sink(Event::Note(note.clone())));
    let unchanged = !conflict && sources.baseline.as_ref().is_some_and(|old| **old == *proof.baseline.as_bytes());
    if !unchanged {
        write(project, &proof.baseline)?;
    }
    definitions::write(project, &proof.definitions)?;
    if !proof.definitions.is_empty() {
        sink(Event::Note(format!("{} follows the baseline", config.paths.definitions)));
    }
    if proof.complete {
        remember_verdict(project, &proof.baseline)?;
    }
    Ok(match (unchanged, conflict) {
        (true, _) => Baseline::Proved,
        (false, true) => Baseline::Solved,
        (false, false) => Baseline::Written,
    })
}

/// Whether the definitions that dbbuild wrote say what the baseline says.
fn defined(project: &Project, sources: &Sources) -> bool {
    if !sources.definitions.iter().any(is_generated) {
        return true;
    }
    let text = sources.baseline.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
    let paths = &project.config.paths;
    let baseline = crate::model::baseline::Baseline::parse(text, &paths.baseline);
    baseline.is_ok_and(|baseline| change(&paths.definitions, &sources.definitions, &baseline).is_empty())
}

/// Writes the baseline: the old file or the new one, never a part.
///
/// # Errors
/// The folder cannot be written or the disk is full.
pub fn write(project: &Project, text: &str) -> Result<()> {
    let path = &project.config.paths.baseline;
    let full = project.root.join(path);
    let failed = |e: std::io::Error| {
        Error::failed(format!("cannot write {path}")).cause(e).help("the old file stands as it was.")
    };
    if let Some(folder) = full.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    files::replace(&full, text.as_bytes()).map_err(failed)
}

/// The files with the new baseline are proved: the hook need not prove them again.
///
/// # Errors
/// The files cannot be read again.
pub fn remember_verdict(project: &Project, baseline: &str) -> Result<()> {
    // Where upstream cannot be had nothing is proved that the hook could rely on.
    let Ok(judgement) = Judgement::open(project, &Source::WorkTree, None) else { return Ok(()) };
    let sources = judgement.sources()?;
    if sources.baseline.as_ref().is_some_and(|text| **text == *baseline.as_bytes()) {
        judgement.remember_proof(&sources)?;
    }
    Ok(())
}

/// What is published, for a baseline that is to be made, and what of it may be rewritten. A clone that cannot tell what is
/// published is no reason to make none, nor is a version that another branch took: verification will insist on both.
///
/// # Errors
/// A published migration was changed without leave.
pub fn published(
    project: &Project,
    sources: &Sources,
    allow: &[Version],
    note: &dyn Fn(String),
) -> Result<(Option<Base>, Vec<Rewritten>)> {
    let base = upstream::base(project, &Source::WorkTree, None).unwrap_or_else(|e| {
        note(format!("{e}; every migration counts as new"));
        None
    });
    let judged = rewrite::judge(project, base.as_ref(), sources, allow)?;
    judged.taken.iter().for_each(|fault| note(fault.to_string()));
    Ok((base, judged.allowed))
}

fn report(
    context: &Context,
    project: &Project,
    target: &Target,
    created: bool,
    outcome: &Outcome,
    baseline: &Baseline,
    drifted: bool,
) {
    let (out, path) = (&context.output, &project.config.paths.baseline);
    if created {
        out.line(&format!("created {}", target.describe()));
    }
    describe(out, &outcome.report);
    match baseline {
        Baseline::Fresh if !outcome.changed && drifted => return,
        Baseline::Fresh if !outcome.changed => {
            out.line(&format!("nothing to do: {} applied, {path} is fresh", count(outcome.applied, "migration")));
            return;
        }
        Baseline::Fresh => out.line(&format!("{path} is fresh")),
        Baseline::Proved => out.line(&format!("{path} is proved: migrations and baseline make the same database")),
        Baseline::Written => out.line(&format!("{path} was made anew and proved")),
        Baseline::Solved => {
            out.line(&format!("{path} was made anew and proved; its merge conflict is solved: `git add {path}`"));
        }
        Baseline::Skipped => {}
    }
    let (has, migrations) = (if outcome.changed { "now has" } else { "has" }, count(outcome.applied, "migration"));
    out.line(&format!("{} {has} {migrations}; open it with `{} psql`", target.describe(), context.program()));
}

/// Says what ran.
pub fn describe(out: &crate::cli::output::Output, report: &Report) {
    report.notes.iter().for_each(|note| out.note(note));
    const SHOWN: usize = 20;
    report.removed.iter().for_each(|name| out.line(&format!("dropped what the repeatable file {name} made")));
    report.taken_back.iter().for_each(|label| out.line(&format!("took back {label}")));
    let kept = report.kept.iter().flat_map(|kept| &kept.entries);
    kept.for_each(|entry| out.line(&format!("kept in the attic: {}", entry.describe())));
    report.recorded.iter().for_each(|path| out.line(&format!("recorded {path}: its statements are those that ran")));
    for (path, how) in report.migrations.iter().take(SHOWN) {
        let how = how.as_ref().map_or_else(String::new, |how| format!(" ({how})"));
        out.line(&format!("applied {path}{how}"));
    }
    if report.migrations.len() > SHOWN {
        let left = &report.migrations[SHOWN..];
        out.line(&format!("applied {} more", left.len()));
        for (path, how) in left.iter().filter_map(|(path, how)| how.as_ref().map(|how| (path, how))) {
            out.line(&format!("  {path} ({how})"));
        }
    }
    show_given(out, &report.given);
    for kind in [FileKind::Repeatable, FileKind::Init, FileKind::TestData] {
        let ran = upgrade::count_files(report, kind);
        if ran > 0 {
            let noun = if kind == FileKind::TestData { "test data" } else { kind.as_str() };
            out.line(&format!("ran {}", count(ran, &format!("{noun} file"))));
        }
    }
    if !report.checks.is_empty() {
        out.line(&format!("{} passed", count(report.checks.len(), "check")));
    }
}

/// Says what the attic gave back, and what not.
pub fn show_given(out: &Output, given: &[Given]) {
    given.iter().filter_map(Given::describe).for_each(|line| out.line(&line));
    given.iter().filter_map(Given::complaint).for_each(|text| out.note(&text));
    given::undecided(given).into_iter().for_each(|text| out.note(&text));
}

/// What ran, for JSON.
pub fn report_json(report: &Report) -> serde_json::Value {
    let migrations: Vec<_> =
        report.migrations.iter().map(|(path, how)| serde_json::json!({ "path": path, "note": how })).collect();
    let files: Vec<_> =
        report.files.iter().map(|(kind, path)| serde_json::json!({ "kind": kind.as_str(), "path": path })).collect();
    let kept: Vec<_> = report.kept.iter().flat_map(attic::Kept::to_json).collect();
    serde_json::json!({
        "removed": report.removed, "taken_back": report.taken_back, "kept": kept, "recorded": report.recorded, "migrations": migrations, "files": files,
        "given_back": report.given.iter().map(given_json).collect::<Vec<_>>(), "skipped": report.skipped, "checks": report.checks, "notes": report.notes,
    })
}

/// What became of one entry of the attic, for JSON.
pub fn given_json(given: &Given) -> serde_json::Value {
    let entry = &given.entry;
    let examples: Vec<_> = given
        .examples
        .iter()
        .map(|conflict| {
            let value = |(column, kept, current): &(String, Option<String>, Option<String>)| {
                serde_json::json!({ "column": column, "kept": kept, "current": current })
            };
            let values: Vec<_> = conflict.values.iter().map(value).collect();
            serde_json::json!({ "key": conflict.key, "why": conflict.why, "values": values })
        })
        .collect();
    serde_json::json!({
        "entry": entry.id, "version": entry.version, "kind": entry.kind.as_str(), "reason": entry.reason.as_str(),
        "schema": entry.schema, "table": entry.table, "columns": entry.columns, "given": given.given,
        "conflicts": given.conflicts, "restored": given.restored, "dropped": given.dropped, "left": given.left(),
        "why": given.whole, "examples": examples,
    })
}

fn json(
    target: &Target,
    created: bool,
    outcome: &Outcome,
    baseline: &Baseline,
    drift: &[crate::model::catalog::CatalogDifference],
) -> serde_json::Value {
    serde_json::json!({
        "database": target.describe(),
        "created": created,
        "changed": outcome.changed,
        "applied": outcome.applied,
        "ran": report_json(&outcome.report),
        "baseline": match baseline {
            Baseline::Fresh => "fresh",
            Baseline::Proved => "proved",
            Baseline::Written | Baseline::Solved => "written",
            Baseline::Skipped => "skipped",
        },
        "drift": drift.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
