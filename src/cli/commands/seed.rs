//! `dbbuild seed [SET…]`: test data on request, under the guard.

use crate::cli::{Context, Done, ran};
use crate::engine::provenance::{self, Given};
use crate::engine::switch::branch;
use crate::engine::target::Start;
use crate::engine::upgrade::{self, Job, Work};
use crate::error::{Error, Result};
use crate::model::attic::given::OnConflict;

/// Arguments of `seed`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The sets; the default is the environment's own
    #[arg(value_name = "SET")]
    sets: Vec<String>,
}

/// Loads the sets.
///
/// # Errors
/// The guard refuses, a set does not exist, or a file fails.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let project = context.project()?;
    let sources = project.sources()?;
    let target = context.target(&project, Start::IfNeeded).await?;
    let sets = match args.sets {
        sets if !sets.is_empty() => sets,
        _ => project.config.env.get(&target.selected.name).map(|env| env.testdata.clone()).unwrap_or_default(),
    };
    let work = Work {
        project: &project,
        sources: &sources,
        job: Job::Seed(sets.clone()),
        author: &|| provenance::author(&project, &Given::default()),
        on_conflict: OnConflict::Report,
        check_first: false,
        sink: &|event| {
            if let crate::engine::runner::Event::Note(text) = event {
                context.output.note(&text);
            }
        },
        begin: &|_| {},
    };
    // On a protected database the guard's refusal is the better answer.
    if sets.is_empty() && !target.selected.is_protected() {
        return Err(Error::usage(format!("the environment {} has no test data", target.selected.name))
            .help("name a set: `dbbuild seed default`; or set `testdata` of the environment in dbbuild.toml."));
    }
    // A database that is not there has no tables to load into: it is not made. That of a branch is a copy.
    let (session, copied) = match &target.branch {
        Some(_) => branch::open(&project, &sources, &target).await.map(|(session, _, copied)| (session, copied))?,
        None => (target.connect_to_write(&project.config).await?, None),
    };
    copied.iter().for_each(|said| context.output.line(said));
    let outcome = upgrade::run(&work, &target, session).await?;
    ran::show(&context.output, &outcome.report);
    context.output.line(&format!("{} has the test data {}", target.describe(), sets.join(", ")));
    context.output.json(&serde_json::json!({ "database": target.describe(), "ran": ran::json(&outcome.report) }));
    Ok(Done::Well)
}
