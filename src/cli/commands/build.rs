//! `dbbuild build`: the local database and the baseline, brought up to the checked-out files.

use crate::cli::output::count;
use crate::cli::{Context, Done, ran};
use crate::engine::cache::Kind;
use crate::engine::project::Project;
use crate::engine::prove::{self, Goal, Request};
use crate::engine::provenance;
use crate::engine::runner::Event;
use crate::engine::session::Session;
use crate::engine::switch::branch;
use crate::engine::target::{Start, Target};
use crate::engine::upgrade::{self, Job, Outcome, Work};
use crate::engine::{baseline, drift, merge};
use crate::error::{Error, Result};
use crate::model::attic::given::OnConflict;
use crate::model::catalog::CatalogDifference;
use crate::model::definitions::{change, is_generated};
use crate::model::reconcile::Absent;
use crate::model::sources::Sources;

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
    let local = Local { context, project: &project, sources: &sources, target: &target };
    let decided = decide::decide(&local, session, args.take_back || copied.is_some()).await?;
    let created = created || decided.rebuilt;
    let progress = context.progress("migrations", sources.migrations.len());
    let (outcome, baseline) = tokio::join!(local.build(decided.session, decided.take_back, args.on_conflict), async {
        if args.no_baseline {
            return Ok(Baseline::Skipped);
        }
        regenerate(&project, &sources, &|event| progress.event(event)).await
    });
    progress.end();
    let path = &project.config.paths.baseline;
    let (outcome, baseline) = match (outcome, baseline) {
        (Ok(outcome), Ok(baseline)) => (outcome, baseline),
        // The same script fails in both places alike: one message is enough.
        (Err(one), Err(other)) if one.location().is_some() && one.location() == other.location() => return Err(one),
        (Err(one), Err(other)) => {
            return Err(Error::all([one, other]).unwrap_or_else(|| Error::failed("the build failed")));
        }
        (Err(one), Ok(_)) => return Err(one),
        (Ok(outcome), Err(other)) => {
            let baseline = Baseline::Skipped;
            Built { target: &target, created, outcome: &outcome, baseline, drift: Vec::new() }.show(context, path);
            return Err(other);
        }
    };
    let drift = match baseline {
        Baseline::Skipped => Vec::new(),
        _ => drift::find(&project, &sources, &target, &outcome.session).await?,
    };
    let built = Built { target: &target, created, outcome: &outcome, baseline, drift };
    built.show(context, path);
    context.output.json(&built.json());
    if built.drift.is_empty() {
        return Ok(Done::Well);
    }
    let error = drift::error(&target.describe(), path, &built.drift);
    Err(match decided.phantoms.as_slice() {
        [] => error,
        phantoms => error.help(format!(
            "some of it may be of {}: `dbbuild build --take-back` takes back what has a down part.",
            phantoms.join(", ")
        )),
    })
}

/// The local database, and the files that it is built from.
pub struct Local<'a> {
    /// What the command started from.
    pub context: &'a Context,
    /// The project.
    pub project: &'a Project,
    /// Its files.
    pub sources: &'a Sources,
    /// The database.
    pub target: &'a Target,
}

impl Local<'_> {
    /// Brings the database up to the files; `take_back` as in [`Job::Build`].
    ///
    /// # Errors
    /// A step fails, or the guard refuses.
    pub async fn build(&self, session: Session, take_back: Option<Absent>, on_conflict: OnConflict) -> Result<Outcome> {
        let out = &self.context.output;
        let sink = |event: Event| match event {
            Event::Note(text) => out.note(&text),
            Event::Waiting(what) => out.waits_for(&what),
            Event::Blocked { blocker, .. } => out.waits_for(&blocker),
            _ => {}
        };
        let work = Work {
            project: self.project,
            sources: self.sources,
            job: Job::Build { take_back },
            author: &|| provenance::author(self.project, &provenance::Given::default()),
            on_conflict,
            check_first: false,
            sink: &sink,
            begin: &|_| {},
        };
        upgrade::run(&work, self.target, session).await
    }
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
    let (base, _) = baseline::published(project, sources, &[], &|note| sink(Event::Note(note)))?;
    let base = base.as_ref();
    let request = Request { config, sources, base, goal, cache: &project.cache, reuse: true, sink };
    let proof = prove::prove(&request).await?;
    proof.notes.iter().for_each(|note| sink(Event::Note(note.clone())));
    let unchanged = !conflict && sources.baseline.as_ref().is_some_and(|old| **old == *proof.baseline.as_bytes());
    baseline::put(project, &proof, unchanged)?;
    if !proof.definitions.is_empty() {
        sink(Event::Note(format!("{} follows the baseline", config.paths.definitions)));
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

/// What a build came to.
struct Built<'a> {
    target: &'a Target,
    created: bool,
    outcome: &'a Outcome,
    baseline: Baseline,
    drift: Vec<CatalogDifference>,
}

impl Built<'_> {
    fn show(&self, context: &Context, path: &str) {
        let (out, outcome) = (&context.output, self.outcome);
        if self.created {
            out.line(&format!("created {}", self.target.describe()));
        }
        ran::show(out, &outcome.report);
        match self.baseline {
            Baseline::Fresh if !outcome.changed && !self.drift.is_empty() => return,
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
        out.line(&format!("{} {has} {migrations}; open it with `{} psql`", self.target.describe(), context.program()));
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "database": self.target.describe(),
            "created": self.created,
            "changed": self.outcome.changed,
            "applied": self.outcome.applied,
            "ran": ran::json(&self.outcome.report),
            "baseline": match self.baseline {
                Baseline::Fresh => "fresh",
                Baseline::Proved => "proved",
                Baseline::Written | Baseline::Solved => "written",
                Baseline::Skipped => "skipped",
            },
            "drift": self.drift.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    }
}
