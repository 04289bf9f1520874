//! The comparison: what the sources make, what the committed baseline makes, and what differs.

use super::load::{self, Loaded};
use super::replay::{self, Replayed};
use super::unseen::Unseen;
use super::{Made, Settled, judge_rule, stale};
use crate::engine::runner::Event;
use crate::error::{Error, Location, Result};
use crate::model::baseline::{
    Baseline, Change, ColumnName, Dump, Entry, RoleNeed, Volatility, differences, differing_rows, keep_committed,
    unified_diff, volatility,
};
use crate::model::catalog::Catalog;
use std::sync::Arc;

/// Settling takes at most this many loads; facts of PostgreSQL say two.
const LOADS: usize = 4;
/// Lines of the unified diff that are shown.
const DIFF_LINES: usize = 200;
/// Objects that are named one by one.
const OBJECTS: usize = 20;

/// Compares the replay with the committed baseline.
pub(super) async fn with_committed(
    made: &Made<'_>,
    replayed: &Replayed,
    text: Arc<str>,
    loaded: Result<Loaded>,
    notes: &mut Vec<String>,
) -> Result<Settled> {
    let committed = Baseline::parse(&text, made.request.baseline_path())?;
    if committed.postgres_major != made.major {
        return Err(Error::difference(format!(
            "{} was made with PostgreSQL {}, but {} is pinned",
            made.request.baseline_path(),
            committed.postgres_major,
            made.major
        ))
        .help("run `dbbuild baseline` and stage the result."));
    }
    let candidate = made.render(&replayed.dump, &replayed.roles, &committed.volatile);
    if candidate == text {
        let loaded = loaded?;
        if loaded.is_settled(&committed.dump) {
            notes.extend(unseen(replayed, &loaded)?);
            // The committed rows were written at another time, unless the replay began with the state they came from.
            let steady = committed.volatile.is_empty() && replayed.trail.start.is_none_or(|(_, steady)| steady);
            return Ok(Settled { steady, ..Settled::of(text, loaded.extent, &replayed.catalog) });
        }
        // The committed text is what the sources make, but not settled.
    } else if !committed.volatile.is_empty() || rows_differ(&committed.dump, &replayed.dump) {
        let second = replay::plain(made.request, made.plan, made.states, &replayed.trail).await?;
        let volatile = report_volatile(made, &volatility(&replayed.dump, &second), notes)?;
        if !volatile.is_empty() {
            // What a regeneration would write: the committed values wherever only volatile ones differ.
            let kept = keep_committed(&committed.dump, &replayed.dump, &second);
            let settled = settle(made, replayed.into(), made.render(&kept, &replayed.roles, &volatile)).await?;
            if settled.text == text {
                return Ok(settled);
            }
            let rows = differing_rows(&committed.dump, &replayed.dump, &second);
            return Err(is_stale(made, &committed, &text, &settled.text, rows.into_iter().collect()));
        }
    }
    let settled = settle(made, replayed.into(), candidate).await?;
    if settled.text == text {
        return Ok(settled);
    }
    Err(is_stale(made, &committed, &text, &settled.text, Vec::new()))
}

/// Makes the baseline of the sources.
pub(super) async fn generate(made: &Made<'_>, replayed: &Replayed, notes: &mut Vec<String>) -> Result<Settled> {
    let has_rows = replayed.dump.blocks().any(|block| !block.rows.is_empty()) || has_large_objects(&replayed.dump);
    let first = made.render(&replayed.dump, &replayed.roles, &[]);
    if !has_rows {
        return Ok(Settled { steady: true, ..settle(made, replayed.into(), first).await? });
    }
    let (settled, second) = tokio::join!(
        settle(made, replayed.into(), first),
        replay::plain(made.request, made.plan, made.states, &replayed.trail)
    );
    let (settled, second) = (settled?, second?);
    if large_objects(&replayed.dump) != large_objects(&second) {
        return Err(Error::failed("two replays make other large objects").help(
            "the server chose their OIDs: name them yourself, as in `lo_from_bytea(4711, …)` and `lo_create(4711)`.",
        ));
    }
    let volatile = report_volatile(made, &volatility(&replayed.dump, &second), notes)?;
    if volatile.is_empty() {
        return Ok(Settled { steady: true, ..settled });
    }
    let kept = match committed_dump(made) {
        Some(committed) => keep_committed(&committed, &replayed.dump, &second),
        None => replayed.dump.clone(),
    };
    settle(made, replayed.into(), made.render(&kept, &replayed.roles, &volatile)).await
}

/// What makes and fills large objects.
fn large_objects(dump: &Dump) -> Vec<&Entry> {
    dump.entries.iter().filter(|entry| matches!(entry.kind.as_str(), "BLOB" | "BLOBS")).collect()
}

fn has_large_objects(dump: &Dump) -> bool {
    !large_objects(dump).is_empty()
}

/// The dump of the committed baseline, where it can be read: its volatile values are kept.
fn committed_dump(made: &Made<'_>) -> Option<Dump> {
    let bytes = made.request.sources.baseline.as_ref()?;
    Some(Baseline::parse(std::str::from_utf8(bytes).ok()?, made.request.baseline_path()).ok()?.dump)
}

/// What else than its dump a database shows.
#[derive(Clone, Copy)]
pub(super) struct Beside<'a> {
    pub roles: &'a [RoleNeed],
    pub unseen: &'a Unseen,
    pub catalog: &'a Catalog,
}

impl<'a> From<&'a Replayed> for Beside<'a> {
    fn from(replayed: &'a Replayed) -> Beside<'a> {
        Beside { roles: &replayed.roles, unseen: &replayed.unseen, catalog: &replayed.catalog }
    }
}

/// Loads and dumps until nothing changes any more.
pub(super) async fn settle(made: &Made<'_>, beside: Beside<'_>, first: Arc<str>) -> Result<Settled> {
    if let Some(loaded) = load::load_part(made.plan, made.request, made.states, &first).await
        && loaded.is_settled(&Dump::default())
        && beside.unseen.compare(&loaded.unseen).0.is_empty()
    {
        return Ok(Settled::of(first, loaded.extent, beside.catalog));
    }
    let mut text = Arc::clone(&first);
    for _ in 0..LOADS {
        let header = Baseline::parse(&text, made.request.baseline_path())?;
        let loaded = load::load(made.plan, made.request, Arc::clone(&text)).await?;
        let again = made.render(&loaded.dump, beside.roles, &header.volatile);
        if again == text {
            let (faults, notes) = beside.unseen.compare(&loaded.unseen);
            notes.into_iter().for_each(|note| (made.request.sink)(Event::Note(note)));
            return match Error::all(faults) {
                Some(fault) => Err(fault),
                None => Ok(Settled::of(text, loaded.extent, beside.catalog)),
            };
        }
        text = again;
    }
    Err(Error::failed(format!("the dump does not settle in {LOADS} loads"))
        .help("loading and dumping it changes it every time; please report the object that the diff below names.")
        .detail(unified_diff(("one", &first), ("next", &text), DIFF_LINES)))
}

fn unseen(replayed: &Replayed, loaded: &Loaded) -> Result<Vec<String>> {
    let (faults, notes) = replayed.unseen.compare(&loaded.unseen);
    Error::all(faults).map_or(Ok(notes), Err)
}

fn rows_differ(one: &Dump, other: &Dump) -> bool {
    one.blocks().map(|block| &block.rows).ne(other.blocks().map(|block| &block.rows))
}

/// Volatile values are an error, a warning, or nobody's business; where no error, they are to be listed.
fn report_volatile(made: &Made<'_>, found: &Volatility, notes: &mut Vec<String>) -> Result<Vec<ColumnName>> {
    let listed: Vec<ColumnName> = found.columns.iter().cloned().collect();
    // Those of published migrations can be cured no more.
    let published = published_volatile(made);
    let mut names: Vec<String> =
        found.columns.iter().filter(|column| !published.contains(column)).map(ToString::to_string).collect();
    names.extend(found.unstable_tables.iter().map(|table| format!("{table} (even the number of rows differs)")));
    if names.is_empty() {
        return Ok(listed);
    }
    let fault = Error::failed(format!("two replays write different values to {}", names.join(", "))).help(
        "rows that migrations or init write must not depend on the clock, on chance or on a UUID: write the values out, \
         or set `[migrations] volatile = \"warn\"`.",
    );
    let mut faults = Vec::new();
    judge_rule(made.request.config.migrations.volatile, fault, &mut faults, notes);
    match Error::all(faults) {
        Some(fault) => Err(fault),
        None => Ok(listed),
    }
}

/// The volatile columns that upstream's baseline lists.
fn published_volatile(made: &Made<'_>) -> Vec<ColumnName> {
    let text = made.request.base.and_then(|base| base.sources.baseline.as_ref());
    let text = text.and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.and_then(|text| Baseline::parse(text, "").ok()).map(|baseline| baseline.volatile).unwrap_or_default()
}

/// The error that names what differs, object by object, then the diff, then the command.
fn is_stale(made: &Made<'_>, committed: &Baseline, old: &str, new: &str, rows: Vec<String>) -> Error {
    let path = made.request.baseline_path();
    let Ok(fresh) = Baseline::parse(new, path) else {
        return Error::difference(format!("{path} is stale"));
    };
    let mut objects = objects(committed, &fresh);
    objects.extend(rows.iter().map(|table| format!("its rows of {table} are not those of the sources")));
    let history = committed.history != fresh.history;
    let what = sentence(&objects).unwrap_or_else(|| match history {
        true => "its version rows are not those of the migrations".to_owned(),
        false => "its header is not that of these sources".to_owned(),
    });
    let error = Error::difference(format!("{path} is stale: {what}")).at(Location::file(path));
    let error = stale::causes(made.request, committed, &fresh).into_iter().fold(error, Error::cause);
    listed(error, objects)
        .detail(unified_diff((&format!("a/{path}"), old), (&format!("b/{path}"), new), DIFF_LINES))
        .help("run `dbbuild baseline` and stage the result, or `dbbuild verify --fix`, which does both for the index.")
}

/// What a database that was made from upstream's baseline lacks or has too much, beside one made from this baseline.
pub(super) fn otherwise(made: &Made<'_>, base: &str, wanted: &str, found: &str) -> Error {
    let path = made.request.baseline_path();
    let (Ok(one), Ok(other)) = (Baseline::parse(wanted, path), Baseline::parse(found, path)) else {
        return Error::difference(format!(
            "the new migrations make of a database of {base} another one than {path} does"
        ));
    };
    let objects = objects(&other, &one);
    let what = sentence(&objects).unwrap_or_else(|| "the header differs".to_owned());
    let error = Error::difference(format!(
        "the new migrations make of a database of {base} another one than {path} does: {what}"
    ));
    listed(error, objects)
        .detail(unified_diff((&format!("{base} and the new migrations"), found), (path, wanted), DIFF_LINES))
        .help(
            "deployed databases go this way: write a new migration that does on them what the history does from nothing, \
             and look whether a published migration, or upstream's baseline, was edited.",
        )
}

/// What one baseline says otherwise than another, object by object.
fn objects(old: &Baseline, new: &Baseline) -> Vec<String> {
    let mut found = differences(&old.roles, &new.roles);
    found.extend(differences(&old.dump, &new.dump));
    // A table that is there or not says more than its key, which comes before it by name.
    found.sort_by_key(|difference| difference.change == Change::Changed || !stale::is_whole(&difference.object));
    found.iter().map(ToString::to_string).collect()
}

fn sentence(objects: &[String]) -> Option<String> {
    match objects {
        [] => None,
        [only] => Some(only.clone()),
        [first, rest @ ..] => Some(format!("{first}, and {} more", rest.len())),
    }
}

/// Adds the objects that the sentence left out.
fn listed(error: Error, mut objects: Vec<String>) -> Error {
    if objects.len() < 2 {
        return error;
    }
    let left = objects.len().saturating_sub(OBJECTS);
    objects.truncate(OBJECTS);
    if left > 0 {
        objects.push(format!("and {left} more"));
    }
    error.detail(objects.join("\n"))
}
