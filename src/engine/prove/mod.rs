//! The proof: baseline and sources describe the same database, shown by running both in throwaway servers.
//!
//! [`prove`] replays the sources from nothing, loads the baseline beside it, runs the new migrations on upstream's baseline
//! in a third server, and compares the settled dumps, the rows, and what no dump shows. `verify` compares with the committed baseline, `baseline` writes the one that comes out.

mod apart;
mod compare;
mod contents;
mod definitions;
mod inputs;
mod load;
mod probe;
mod replay;
mod restore;
mod round_trip;
mod rows;
mod server;
mod stale;
mod states;
mod testdata;
mod unseen;
mod upgrade;

pub use apart::try_environment;
pub use inputs::{config_part, inputs, verdict_key};
pub use load::made_by_baseline;
pub use restore::restored;
pub use round_trip::{round_trips, takes_back};
pub use server::{ThrowawayPlan, database_name};
use states::States;

use crate::engine::cache::{Cache, Kind};
use crate::engine::history;
use crate::engine::runner::Sink;
use crate::error::{Error, Result};
use crate::model::baseline::{Baseline, BaselineParts, ColumnName, Dump, Rewritten, RoleNeed, render, rewritten_of};
use crate::model::catalog::Catalog;
use crate::model::checksum::Checksum;
use crate::model::config::{Config, Severity};
use crate::model::definitions::{Change, change, is_generated};
use crate::model::placeholder::fill_for_proof;
use crate::model::published::Base;
use crate::model::review;
use crate::model::sources::Sources;
use std::sync::Arc;

/// What to prove, and with what.
pub struct Request<'a> {
    /// The configuration that stands with the sources.
    pub config: &'a Config,
    /// The sources.
    pub sources: &'a Sources,
    /// What upstream has; `None` where every migration counts as new.
    pub base: Option<&'a Base>,
    /// Compare with the committed baseline, or make a new one.
    pub goal: Goal,
    /// Keeps what was found out for later.
    pub cache: &'a Cache,
    /// Start from kept states of servers, and keep the one that comes out; otherwise from nothing.
    pub reuse: bool,
    /// Receives what happens.
    pub sink: Sink<'a>,
}

impl<'a> Request<'a> {
    /// Where the baseline lies, for messages.
    fn baseline_path(&self) -> &'a str {
        &self.config.paths.baseline
    }
}

/// What the proof is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The committed baseline is right.
    Compare,
    /// A baseline is to be made.
    Generate,
}

/// What came out.
pub struct Proof {
    /// The settled baseline that the sources make.
    pub baseline: Arc<str>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// The catalogs that a right database may show: as replayed, as loaded from the baseline, as upgraded.
    pub catalogs: Vec<Catalog>,
    /// What is to be done to the definitions, where dbbuild wrote any and a baseline was made.
    pub definitions: Change,
    /// Whether all of it is proved: a baseline that mends upstream's is made before the way from that one is proved.
    pub complete: bool,
}

/// Runs the proof. Everything that is wrong is reported at once.
///
/// # Errors
/// The sources cannot be replayed, a rule is broken, or (status 3) the baseline is not what they make.
pub async fn prove(request: &Request<'_>) -> Result<Proof> {
    let sources = fill_for_proof(request.config, request.sources)?;
    let base = request.base.map(|base| {
        // What stands in the way there, a branch may mend.
        let sources = fill_for_proof(&base.config, &base.sources).unwrap_or_else(|_| base.sources.clone());
        Base { sources, ..base.clone() }
    });
    prove_filled(&Request { sources: &sources, base: base.as_ref(), ..*request }).await
}

async fn prove_filled(request: &Request<'_>) -> Result<Proof> {
    review::sources(request.sources)?;
    let plan = ThrowawayPlan::from_sources(request.config, request.sources)?.choose(request.reuse).await?;
    let states = States::of(request, &plan);
    let committed = committed(request)?;
    let (tell, hear) = tokio::sync::watch::channel(None);
    let (replayed, loaded, upgraded) = tokio::join!(
        replay::full(request, &plan, &states, tell),
        async {
            match &committed {
                Some(text) => Some(match load::load_part(&plan, request, &states, text).await {
                    Some(loaded) => Ok(loaded),
                    None => load::load(&plan, request, Arc::clone(text)).await,
                }),
                None => None,
            }
        },
        upgrade::full(request, &plan, &states, hear),
    );
    let mut replayed = replayed?;
    let mut recorded = request.sources.clone();
    recorded.migrations.retain(|migration| !replayed.skipped.contains(&migration.path));
    let made = Made { request, plan: &plan, states: &states, major: replayed.major, recorded };
    let mut notes = plan.notes.clone();
    notes.append(&mut replayed.notes);
    let mut faults = std::mem::take(&mut replayed.faults);
    let outcome = match (committed, loaded) {
        (Some(text), Some(loaded)) => compare::with_committed(&made, &replayed, text, loaded, &mut notes).await,
        _ => compare::generate(&made, &replayed, &mut notes).await,
    };
    let settled = match outcome {
        Ok(settled) => Some(settled),
        Err(fault) => {
            faults.push(fault);
            None
        }
    };
    let (mut upgraded, further) = upgraded?.into_parts();
    notes.extend(further);
    upgrade::add_faults(&mut faults, upgraded.take_faults());
    if let Some(settled) = &settled {
        faults.extend(upgraded.compare(&made, &replayed, settled).await.err());
    }
    let (change, mut defined) = (definitions_change(request, settled.as_ref()), true);
    if let Some(settled) = &settled {
        let files = change.applied(&request.sources.definitions);
        match (definitions::prove(&made, settled, &files).await, request.goal) {
            (Ok(()), _) => {}
            (Err(fault), Goal::Compare) => faults.push(fault),
            // A baseline is right whatever is said of it elsewhere; a commit is refused until that is mended.
            (Err(fault), Goal::Generate) => {
                defined = false;
                notes.push(fault.to_string());
            }
        }
    }
    if let Some(fault) = Error::all(faults) {
        return Err(fault);
    }
    let settled = settled.ok_or_else(|| Error::failed("the proof came to no end"))?;
    let catalogs = remember(request, [Some(&replayed.catalog), Some(&settled.catalog), upgraded.catalog()]);
    load::remember(request, &states, &settled.text, settled.parts, replayed.catalog == settled.catalog);
    states::confirm(&replayed.trail.kept, Some(testdata::sum(request)), settled.steady);
    let mends = request.base.filter(|base| request.goal == Goal::Generate && upgrade::is_same(request, base));
    let mends = mends.filter(|base| base.sources.baseline.as_ref().is_some_and(|b| **b != *settled.text.as_bytes()));
    if let Some(base) = mends {
        notes.push(format!(
            "the baseline of {} is not the one that its sources make; `dbbuild verify` proves the way from it",
            base.name
        ));
    }
    Ok(Proof { baseline: settled.text, notes, catalogs, definitions: change, complete: mends.is_none() && defined })
}

/// What a baseline that is made means for the definitions that dbbuild wrote.
fn definitions_change(request: &Request<'_>, settled: Option<&Settled>) -> Change {
    let present = &request.sources.definitions;
    let generates = request.goal == Goal::Generate && present.iter().any(is_generated);
    let baseline = settled.filter(|_| generates).and_then(|s| Baseline::parse(&s.text, request.baseline_path()).ok());
    baseline.map(|baseline| change(&request.config.paths.definitions, present, &baseline)).unwrap_or_default()
}

/// The committed baseline, where the goal is to compare with it.
fn committed(request: &Request<'_>) -> Result<Option<Arc<str>>> {
    if request.goal == Goal::Generate {
        return Ok(None);
    }
    let path = request.baseline_path();
    let Some(bytes) = &request.sources.baseline else {
        return Err(Error::difference(format!("{path} is missing"))
            .help("run `dbbuild baseline` and stage the result, or `dbbuild verify --fix`."));
    };
    let text = std::str::from_utf8(bytes).map_err(|e| {
        Error::failed(format!("{path} is not UTF-8")).cause(e).help("run `dbbuild baseline` to make it again.")
    })?;
    Ok(Some(Arc::from(text)))
}

/// A settled baseline and what a database made from it looks like.
pub(crate) struct Settled {
    text: Arc<str>,
    catalog: Catalog,
    /// Two replays wrote the same rows.
    steady: bool,
    /// So many parts of baselines were loaded in a row; `None` where the whole was.
    parts: Option<usize>,
}

impl Settled {
    /// What was loaded came out as it went in; the catalog of a part is the replay's, since they were equal before.
    fn of(text: Arc<str>, extent: load::Extent, replayed: &Catalog) -> Settled {
        let (catalog, parts) = match extent {
            load::Extent::Whole(catalog) => (catalog, None),
            load::Extent::Part(_, parts) => (replayed.clone(), Some(parts)),
        };
        Settled { text, catalog, steady: false, parts }
    }
}

/// What is common to the steps after the replay.
pub(crate) struct Made<'a> {
    request: &'a Request<'a>,
    plan: &'a ThrowawayPlan,
    states: &'a States,
    major: u32,
    /// The sources without the migrations that their preconditions kept from running: a new database is to ask again.
    recorded: Sources,
}

impl Made<'_> {
    /// Writes the baseline's text around a dump.
    fn render(&self, dump: &Dump, roles: &[RoleNeed], volatile: &[ColumnName]) -> Arc<str> {
        Arc::from(render(&BaselineParts {
            postgres_major: self.major,
            inputs: inputs(self.request.config, self.request.sources),
            volatile: volatile.to_vec(),
            rewritten: self.request.sources.baseline.as_deref().map(allowed).unwrap_or_default(),
            roles: roles.to_vec(),
            dump: dump.clone(),
            history_sql: history::baseline_section(&self.recorded),
        }))
    }
}

/// What the committed baseline allows is kept in every one after it.
fn allowed(committed: &[u8]) -> Vec<Rewritten> {
    rewritten_of(&String::from_utf8_lossy(committed))
}

/// Keeps the catalogs that a right database may show: as replayed, as loaded from the baseline, as upgraded.
fn remember(request: &Request<'_>, catalogs: [Option<&Catalog>; 3]) -> Vec<Catalog> {
    let mut different: Vec<&Catalog> = Vec::new();
    for catalog in catalogs.into_iter().flatten() {
        if !different.contains(&catalog) {
            different.push(catalog);
        }
    }
    if let Ok(body) = serde_json::to_string(&different) {
        request.cache.put(Kind::Catalog, &inputs(request.config, request.sources), &body);
    }
    different.into_iter().cloned().collect()
}

/// Keeps one more catalog that a right database may show: an adopted one has forms of its own, which a dump changes.
pub fn accept(cache: &Cache, inputs: &Checksum, catalog: &Catalog) {
    let mut known = remembered(cache, inputs).unwrap_or_default();
    known.push(catalog.clone());
    if let Ok(body) = serde_json::to_string(&known) {
        cache.put(Kind::Catalog, inputs, &body);
    }
}

/// The catalogs kept for a set of inputs.
pub fn remembered(cache: &Cache, inputs: &Checksum) -> Option<Vec<Catalog>> {
    serde_json::from_str(&cache.get(Kind::Catalog, inputs)?).ok()
}

/// Sorts a broken rule into faults or notes, as the configuration says.
pub(crate) fn judge_rule(severity: Severity, fault: Error, faults: &mut Vec<Error>, notes: &mut Vec<String>) {
    match severity {
        Severity::Error => faults.push(fault),
        Severity::Warn => notes.push(fault.to_string()),
        Severity::Off => {}
    }
}
