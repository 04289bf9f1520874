//! `dbbuild secure status`: which environment has which body, and whether that is the one that was applied.

use crate::cli::{Context, Done};
use crate::engine::history;
use crate::engine::project::Project;
use crate::engine::secure::Places;
use crate::engine::target::Start;
use crate::error::{Error, Result};
use crate::model::checksum::Checksum;
use crate::model::migration::Migration;
use crate::model::plan::short;
use crate::model::secure;
use std::collections::BTreeMap;

/// What is known of one body in one environment.
struct Line {
    path: Option<String>,
    checksum: Option<Checksum>,
    state: State,
}

/// How a body stands to what was applied.
#[derive(Clone, Copy)]
enum State {
    Applied,
    Pending,
    Changed,
    Missing,
    StandInApplied,
    StandInPending,
    /// It is limited to other environments.
    Elsewhere,
    /// The place where it lies does not answer.
    Unreadable,
    /// The database does not answer.
    Unknown,
}

impl State {
    /// The words for people and JSON.
    fn as_str(self) -> &'static str {
        match self {
            State::Applied => "applied",
            State::Pending => "pending",
            State::Changed => "changed",
            State::Missing => "missing",
            State::StandInApplied => "stand-in applied",
            State::StandInPending => "stand-in pending",
            State::Elsewhere => "elsewhere",
            State::Unreadable => "unreadable",
            State::Unknown => "unknown",
        }
    }

    /// Nothing is to be done.
    fn is_settled(self) -> bool {
        matches!(self, State::Applied | State::StandInApplied | State::Elsewhere)
    }
}

/// Shows it.
///
/// # Errors
/// The sources are faulty; or a place cannot be read, after all others were shown. A database that cannot be reached is no error: its state is unknown.
pub(super) async fn run(
    context: &Context,
    project: &Project,
    environments: &[String],
    exit_code: bool,
) -> Result<Done> {
    let sources = project.sources()?;
    let out = &context.output;
    let (mut list, mut differs, mut faults) = (Vec::new(), false, Vec::new());
    for environment in environments {
        let places = Places::open(project, environment)?;
        let (applied, why) = match applied(context, project, environment).await {
            Ok(applied) => (Some(applied), None),
            Err(e) => (None, Some(e.to_string())),
        };
        out.answer(environment);
        if let Some(why) = &why {
            out.note(&format!("{environment}: what is applied is unknown: {why}"));
        }
        for migration in sources.apart.iter().filter(|one| one.settings.apart.secure) {
            let line = match line(&places, migration, environment, applied.as_ref()).await {
                Ok(line) => line,
                Err(fault) => {
                    faults.push(fault);
                    Line { path: None, checksum: None, state: State::Unreadable }
                }
            };
            let checksum = line.checksum.as_ref().map(short).unwrap_or_default();
            let path = line.path.as_deref().unwrap_or("no body");
            out.answer(&format!("  {:<16} {:<12}  {}  {path}", line.state.as_str(), checksum, migration.label()));
            differs |= !line.state.is_settled();
            list.push(serde_json::json!({
                "environment": environment, "migration": migration.label(), "state": line.state.as_str(), "path": line.path,
                "checksum": line.checksum.map(|sum| sum.to_string()),
            }));
        }
    }
    out.json(&serde_json::json!({ "bodies": list }));
    Error::all(faults).map_or(Ok(()), Err)?;
    Ok(if exit_code && differs { Done::Differs } else { Done::Well })
}

/// The applied versions, with the checksum of the body that ran.
type Ran = BTreeMap<String, Option<String>>;

async fn applied(context: &Context, project: &Project, environment: &str) -> Result<Ran> {
    let target = context.target_of(project, Some(environment), Start::Never).await?;
    let (session, _) = target.look().await?;
    match session {
        Some(session) => history::bodies(&session).await,
        None => Ok(Ran::new()),
    }
}

async fn line(places: &Places, migration: &Migration, environment: &str, applied: Option<&Ran>) -> Result<Line> {
    if !migration.settings.apart.runs_in(environment) {
        return Ok(Line { path: None, checksum: None, state: State::Elsewhere });
    }
    let found = places.find(migration).await?;
    let checksum = found.as_ref().map(|found| secure::checksum(&found.path, &found.bytes)).transpose()?;
    let row = applied.map(|applied| applied.get(migration.version.as_str()));
    let state = match (row, &checksum) {
        (None, _) => State::Unknown,
        (Some(None), Some(_)) => State::Pending,
        (Some(None), None) if places.is_empty() => State::StandInPending,
        (Some(None), None) => State::Missing,
        (Some(Some(None)), None) => State::StandInApplied,
        (Some(Some(ran)), Some(now)) if *ran == Some(now.to_string()) => State::Applied,
        (Some(Some(Some(_))), None) => State::Missing,
        (Some(Some(_)), Some(_)) => State::Changed,
    };
    Ok(Line { path: found.map(|found| found.path), checksum, state })
}
