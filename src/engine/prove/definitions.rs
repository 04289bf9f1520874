//! The definitions' side: they alone are loaded in an empty server, and must make the schema that the sources make.
//!
//! A statement that fails is tried again when the others ran, until nothing goes on: so any order of files will do, and keys
//! that point at each other load. What is proved is kept by the definitions and the schema, whatever else changed.

use super::server::Side;
use super::{Made, Request, Settled};
use crate::engine::cache::Kind;
use crate::engine::runner::load_baseline;
use crate::engine::session::ServerError;
use crate::error::{Error, Location, Result};
use crate::model::baseline::{AspectChange, Baseline, Change, Dump, Facts, ObjectChange};
use crate::model::checksum::{Checksum, Digest};
use crate::model::definitions::{self, LAST_RANK, Places, Step};
use crate::model::sources::ScriptFile;
use std::sync::Arc;

/// Objects that are named one by one.
const SHOWN: usize = 20;
/// PostgreSQL's code of a syntax error: no other statement mends that.
const SYNTAX_ERROR: &str = "42601";

/// Proves that these definitions make the schema of a settled baseline.
pub(super) async fn prove(made: &Made<'_>, settled: &Settled, files: &[ScriptFile]) -> Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let request = made.request;
    let steps = definitions::steps(files)?;
    let baseline = Baseline::parse(&settled.text, request.baseline_path())?;
    let wanted = baseline.dump.schema_only();
    let key = key(made, &baseline, &wanted, files);
    if request.reuse && key.as_ref().is_some_and(|key| request.cache.get(Kind::Verdict, key).is_some()) {
        return Ok(());
    }
    let side = made.plan.start(request.sink).await?;
    let roles: Arc<str> = Arc::from(baseline.sql_of(&Dump::default()));
    load_baseline(&side.worker, request.baseline_path(), &roles).await?;
    let preamble = session_preamble(&baseline);
    load(&side, &preamble, files, steps).await?;
    let found = side.dump().await?.schema_only();
    side.end().await;
    let found = if found.same_entries(&wanted) { found } else { settle(made, &baseline, found).await? };
    if !found.same_entries(&wanted) {
        return Err(differs(request, files, &found, &wanted));
    }
    if let Some(key) = key {
        request.cache.put(Kind::Verdict, &key, "proved");
    }
    Ok(())
}

/// Names the definitions, the schema that they must make, and the programs that it was tried with.
fn key(made: &Made<'_>, baseline: &Baseline, wanted: &Dump, files: &[ScriptFile]) -> Option<Checksum> {
    let ground = made.states.key_of("dbbuild definitions 1", &[])?;
    let mut digest = Digest::new("dbbuild definitions 1");
    digest.field(ground.as_bytes()).field(baseline.sql_of(wanted).as_bytes());
    files.iter().for_each(|file| {
        digest.field(file.name.as_bytes()).field(file.checksum.as_bytes());
    });
    Some(digest.finish())
}

/// What every session that loads a baseline sets first; but names without a schema are allowed, as people write them.
fn session_preamble(baseline: &Baseline) -> String {
    let whole = baseline.sql_of(&Dump::default());
    let head = whole.lines().take_while(|line| !line.starts_with("--"));
    head.filter(|line| !line.contains("'search_path'")).collect::<Vec<_>>().join("\n")
}

/// Runs all steps: rank by rank, each in rounds as long as a round gets any done. What stays of a rank is tried again with the
/// next one: a view may need a key.
async fn load(side: &Side<'_>, preamble: &str, files: &[ScriptFile], steps: Vec<Step>) -> Result<()> {
    side.worker.execute(preamble).await?;
    let mut steps = steps.into_iter().peekable();
    let mut open: Vec<Step> = Vec::new();
    for rank in 0..=LAST_RANK {
        if rank == LAST_RANK && !open.is_empty() {
            // What acts on all that is made after it comes only when all is made.
            break;
        }
        while let Some(step) = steps.next_if(|step| step.rank == rank) {
            open.push(step);
        }
        let refusals = loop {
            let before = open.len();
            let refusals;
            (open, refusals) = round(side, preamble, open).await?;
            if open.is_empty() || open.len() == before {
                break refusals;
            }
        };
        if !open.is_empty() && (rank == LAST_RANK || refusals.iter().any(is_syntax_error)) {
            return Err(refused(files, &open, &refusals));
        }
    }
    if open.is_empty() {
        return Ok(());
    }
    let (open, refusals) = round(side, preamble, open).await?;
    Err(refused(files, &open, &refusals))
}

/// Tries each step once; gives back those that failed, with why.
async fn round(side: &Side<'_>, preamble: &str, steps: Vec<Step>) -> Result<(Vec<Step>, Vec<ServerError>)> {
    let (mut left, mut refusals) = (Vec::new(), Vec::new());
    for step in steps {
        if let Err(refusal) = run(side, preamble, &step).await? {
            refusals.push(*refusal);
            left.push(step);
        }
    }
    Ok((left, refusals))
}

fn is_syntax_error(refusal: &ServerError) -> bool {
    refusal.sqlstate.as_deref() == Some(SYNTAX_ERROR)
}

/// Runs one step in a transaction of its own.
async fn run(side: &Side<'_>, preamble: &str, step: &Step) -> Result<std::result::Result<(), Box<ServerError>>> {
    let session = side.session();
    let outcome = match step.settings.as_slice() {
        [] => session.simple_raw(&step.sql).await,
        settings => session.simple_raw(&format!("BEGIN;\n{};\n{}\n;COMMIT", settings.join(";\n"), step.sql)).await,
    };
    if !step.settings.is_empty() {
        session.simple(&format!("ROLLBACK; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; {preamble}")).await?;
    }
    match outcome {
        Ok(_) => Ok(Ok(())),
        Err(refusal) if refusal.gone => Err(Error::failed("lost the connection to the throwaway server")),
        Err(refusal) => Ok(Err(refusal)),
    }
}

/// The errors of what cannot be loaded. What only lacks something else that failed comes last.
fn refused(files: &[ScriptFile], left: &[Step], refusals: &[ServerError]) -> Error {
    let fault = |(step, refusal): (&Step, &ServerError)| {
        let at = place(files, step, refusal);
        let name = files.get(step.file).map_or("", |file| file.name.as_str());
        let fault = Error::failed(format!("the definition {name} does not load")).cause(refusal.cause());
        let fault = at.map_or(fault.clone(), |at| fault.at(at));
        fault.help("`dbbuild definitions` writes the definitions anew; files of your own are yours to mend.")
    };
    let mut pairs: Vec<(&Step, &ServerError)> = left.iter().zip(refusals).collect();
    let lacks = |refusal: &ServerError| {
        matches!(refusal.sqlstate.as_deref(), Some("42P01" | "42883" | "42704" | "42703" | "3F000"))
    };
    pairs.sort_by_key(|(_, refusal)| lacks(refusal));
    Error::all(pairs.into_iter().take(SHOWN).map(fault)).unwrap_or_else(|| Error::failed("the definitions do not load"))
}

fn place(files: &[ScriptFile], step: &Step, refusal: &ServerError) -> Option<Location> {
    let script = &files.get(step.file)?.script;
    let position = refusal.position.filter(|_| step.settings.is_empty());
    let inside = position
        .map_or(step.at, |position| script.character_offset(&(step.at..step.at + step.sql.len()), position as usize));
    Some(script.location(inside))
}

/// What loading and dumping once more makes of a schema: a dump of hand-written text need not be settled.
async fn settle(made: &Made<'_>, baseline: &Baseline, found: Dump) -> Result<Dump> {
    let request = made.request;
    let side = made.plan.start(request.sink).await?;
    let text: Arc<str> = Arc::from(baseline.sql_of(&found));
    load_baseline(&side.worker, request.baseline_path(), &text).await?;
    let again = side.dump().await?.schema_only();
    side.end().await;
    Ok(again)
}

/// What the definitions say otherwise than the sources, object by object, with the files.
fn differs(request: &Request<'_>, files: &[ScriptFile], found: &Dump, wanted: &Dump) -> Error {
    let folder = &request.config.paths.definitions;
    let places = Places::of(files);
    let clause = |change: &ObjectChange| {
        let object = &change.object;
        let table = object.of.as_deref().unwrap_or_else(|| object.base());
        let path = places.find(object.schema.as_deref(), table).map(str::to_owned);
        let clause = match change.change {
            Change::Added => format!("lacks {object}"),
            Change::Removed => format!("has {object}, which the migrations do not make"),
            Change::Changed => {
                let aspects: Vec<&str> = change.aspects.iter().map(AspectChange::label).collect();
                format!("differs in {} of {object}", aspects.join(", "))
            }
        };
        (path, clause)
    };
    let found: Vec<_> = Facts::of(found).changes(&Facts::of(wanted)).iter().map(clause).collect();
    let line = |(path, clause): &(Option<String>, String)| format!("{} {clause}", path.as_deref().unwrap_or(folder));
    let first =
        found.first().map_or_else(|| "the order of something differs".to_owned(), |(_, clause)| format!("it {clause}"));
    let more = if found.len() > 1 { format!(", and {} more", found.len() - 1) } else { String::new() };
    let mut fault = Error::difference(format!("the definitions are not what the migrations make: {first}{more}"));
    if let Some(path) = found.first().and_then(|(path, _)| path.as_ref()) {
        fault = fault.at(Location::file(path));
    }
    if found.len() > 1 {
        fault = fault.detail(found.iter().take(SHOWN).map(line).collect::<Vec<_>>().join("\n"));
    }
    fault.help("run `dbbuild definitions` and stage the result; files that dbbuild did not write are yours to mend.")
}
