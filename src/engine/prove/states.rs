//! The states that a proof starts from and leaves behind: a server after a prefix of the migrations, each of which passed.
//!
//! A state is named by everything that made it: the programs, the settings of the cluster, the rules that were tried, and
//! the migrations in order. How it lies on disk is [`kept`]'s business.

use super::Request;
use super::server::{Side, ThrowawayPlan};
use crate::engine::history;
use crate::engine::runner::Sink;
use crate::engine::server::kept::{self, Kept, Shelf};
use crate::engine::server::state::StateDir;
use crate::engine::server::{programs, template};
use crate::error::{Error, Result};
use crate::model::checksum::{Checksum, Digest};
use crate::model::config::ThrowawayKind;
use crate::model::migration::Migration;
use crate::model::placeholder::Values;
use crate::model::plan::Reason;
use crate::model::squash::{self, Replaced};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What was found out while a state was made, by version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    /// Migrations that did not run in one transaction, and PostgreSQL's words where it refused one.
    pub alone: BTreeMap<String, Option<String>>,
    /// Migrations that break a rule which is only warned of.
    pub settled: BTreeSet<String>,
    /// Migrations that were not run a second time, since they were published.
    pub untried: BTreeSet<String>,
    /// The warnings.
    pub notes: Vec<String>,
    /// The test data on which the migrations were run again.
    pub on_rows: Option<Checksum>,
    /// Whether two replays wrote the same rows.
    pub steady: bool,
}

/// A state to start from.
pub(super) struct Start {
    /// How many migrations it holds.
    pub len: usize,
    pub known: Known,
    kept: Kept,
}

/// The states of one proof.
pub(super) struct States {
    /// `None` where none are used: where the whole is to be proved again, or no container can be kept.
    shelf: Option<Shelf>,
    /// The key after so many migrations.
    keys: Vec<Checksum>,
}

impl States {
    /// No states at all.
    pub fn none() -> States {
        States { shelf: None, keys: Vec::new() }
    }

    /// Names the states of these sources.
    pub fn of(request: &Request<'_>, plan: &ThrowawayPlan) -> States {
        let ground = || -> Result<(Shelf, Checksum)> {
            let placeholders = Values::of_proof(request.config, None).digest_part();
            let ground = ground(plan, &format!("{:?}{placeholders}", request.config.migrations.idempotent))?;
            let state = StateDir::open()?;
            let shelf = match &plan.options.keeper {
                Some(keeper) => Shelf::Keeper(state, keeper.clone()),
                None => Shelf::Local(state),
            };
            Ok((shelf, ground))
        };
        let usable = plan.options.kind == ThrowawayKind::Local || plan.options.keeper.is_some();
        let Some((shelf, ground)) = (request.reuse && usable).then(ground).and_then(Result::ok) else {
            return States::none();
        };
        let mut keys = vec![ground];
        for migration in &request.sources.migrations {
            let mut digest = Digest::new("dbbuild prefix 1");
            digest.field(keys.last().unwrap_or(&ground).as_bytes());
            digest.field(migration.label().as_bytes()).field(migration.sum().as_bytes());
            keys.push(digest.finish());
        }
        States { shelf: Some(shelf), keys }
    }

    /// The longest prefix that is kept, of at most `most` migrations, where all that must be tried was tried.
    pub fn longest(&self, request: &Request<'_>, most: usize) -> Option<Start> {
        let shelf = self.shelf.as_ref()?;
        let there: HashSet<String> = kept::keys(shelf);
        if there.is_empty() {
            return None;
        }
        for len in (1..=most).rev() {
            let key = &self.keys[len];
            if !there.contains(&key.to_string()) {
                continue;
            }
            let Some(kept) = kept::find(shelf, key) else { continue };
            let Ok(known) = serde_json::from_str::<Known>(kept.note()) else {
                kept.discard();
                continue;
            };
            let tried = |migration: &Migration| {
                !is_new(request, migration) || !known.untried.contains(&migration.version.to_string())
            };
            if request.sources.migrations[..len].iter().all(tried) {
                return Some(Start { len, known, kept });
            }
        }
        None
    }

    /// The numbers of migrations after which a state is kept, beyond the first `from`: all of them, and those before
    /// what is likely to be edited.
    pub fn cuts(&self, request: &Request<'_>, from: usize) -> BTreeSet<usize> {
        if self.shelf.is_none() {
            return BTreeSet::new();
        }
        let all = &request.sources.migrations;
        let published = all.iter().take_while(|migration| !is_new(request, migration)).count();
        let before = if request.base.is_some() { published } else { all.len().saturating_sub(1) };
        [before, all.len()].into_iter().filter(|cut| *cut > from).collect()
    }

    /// The key of a state that is made from other things than a prefix; `None` where none are used.
    pub fn key_of(&self, purpose: &str, parts: &[&[u8]]) -> Option<Checksum> {
        self.shelf.as_ref()?;
        let mut digest = Digest::new(purpose);
        self.keys.first().into_iter().for_each(|ground| {
            digest.field(ground.as_bytes());
        });
        parts.iter().for_each(|part| {
            digest.field(part);
        });
        Some(digest.finish())
    }

    /// A copy of the state under a key; one that does not start goes.
    pub async fn start<'s>(&self, plan: &ThrowawayPlan, key: Option<&Checksum>, sink: Sink<'s>) -> Option<Side<'s>> {
        let kept = kept::find(self.shelf.as_ref()?, key?)?;
        match plan.start_from(kept.origin(), sink).await {
            Ok(side) => Some(side),
            Err(_) => {
                kept.discard();
                None
            }
        }
    }

    /// Keeps the state of a server after so many migrations, and goes on with a copy.
    ///
    /// # Errors
    /// The server does not stop or start.
    pub async fn keep_prefix<'s>(
        &self,
        plan: &ThrowawayPlan,
        side: Side<'s>,
        len: usize,
        known: &Known,
        sink: Sink<'s>,
    ) -> Result<(Side<'s>, Option<Kept>)> {
        let Some(key) = self.keys.get(len) else { return Ok((side, None)) };
        self.keep(plan, side, key, &note(known), sink).await
    }

    /// Stops a server, keeps what it made, and goes on with a copy; where it cannot be kept, with what there was.
    ///
    /// # Errors
    /// The server does not stop or start.
    pub async fn keep<'s>(
        &self,
        plan: &ThrowawayPlan,
        side: Side<'s>,
        key: &Checksum,
        note: &str,
        sink: Sink<'s>,
    ) -> Result<(Side<'s>, Option<Kept>)> {
        let Some(shelf) = &self.shelf else { return Ok((side, None)) };
        let Some(stopped) = side.stop().await? else {
            return Err(Error::failed("a throwaway server cannot be copied"));
        };
        match kept::keep(shelf, stopped, key, note).await {
            Ok(kept) => Ok((plan.start_from(kept.origin(), sink).await?, Some(kept))),
            Err(stopped) => Ok((plan.start_from(stopped.origin(), sink).await?, None)),
        }
    }

    /// A database with the first migrations, from the longest prefix that is kept.
    ///
    /// # Errors
    /// No server, or a migration fails.
    pub async fn replayed<'s>(&self, request: &Request<'s>, plan: &ThrowawayPlan, len: usize) -> Result<Side<'s>> {
        let begun = match self.longest(request, len) {
            Some(start) => start.begin(request, plan, request.sink).await,
            None => None,
        };
        let (mut side, done) = match begun {
            Some((side, start)) => (side, start.len),
            None => {
                let side = plan.start(request.sink).await?;
                side.worker.execute(history::SCHEMA).await?;
                (side, 0)
            }
        };
        for migration in request.sources.migrations.iter().take(len).skip(done) {
            side.worker.migrate(migration, Reason::New).await?;
        }
        Ok(side)
    }
}

/// Says of the states of a replay what came out at its end.
pub(super) fn confirm(kept: &[Kept], on_rows: Option<Checksum>, steady: bool) {
    for kept in kept {
        let Ok(old) = serde_json::from_str::<Known>(kept.note()) else { continue };
        let new = Known { on_rows: on_rows.or(old.on_rows), steady: old.steady || steady, ..old.clone() };
        if old != new {
            kept.annotate(&note(&new));
        }
    }
}

fn note(known: &Known) -> String {
    serde_json::to_string(known).unwrap_or_default()
}

/// Whether upstream lacks a migration; without an upstream all are new.
pub(super) fn is_new(request: &Request<'_>, migration: &Migration) -> bool {
    request.base.is_none_or(|base| !base.publishes(migration))
}

/// What every state stands on: programs, cluster, the form of the version table.
pub(super) fn ground(plan: &ThrowawayPlan, rules: &str) -> Result<Checksum> {
    let options = &plan.options;
    let programs = match &options.keeper {
        Some(keeper) => ["an image".to_owned(), keeper.image().to_owned(), String::new()],
        None => {
            let programs = programs::find(options.bin_dir.as_deref(), options.major)?;
            let identity = template::identity(&programs.program("postgres"))?;
            [programs.version.text.clone(), identity, template::extensions(&programs)]
        }
    };
    let settings =
        (&options.database, &options.encoding, &options.locale, &options.role, &options.declared, &options.settings);
    let mut digest = Digest::new("dbbuild ground 1");
    digest.field(env!("CARGO_PKG_VERSION").as_bytes()).field(history::SCHEMA.as_bytes());
    programs.iter().for_each(|part| {
        digest.field(part.as_bytes());
    });
    digest.field(format!("{settings:?}").as_bytes()).field(rules.as_bytes());
    Ok(digest.finish())
}

impl Start {
    /// Starts a copy. A state that does not start, or holds other migrations than its key says, is no state: it goes.
    pub async fn begin<'s>(
        self,
        request: &Request<'_>,
        plan: &ThrowawayPlan,
        sink: Sink<'s>,
    ) -> Option<(Side<'s>, Start)> {
        let Ok(side) = plan.start_from(self.kept.origin(), sink).await else {
            self.kept.discard();
            return None;
        };
        let prefix = &request.sources.migrations[..self.len];
        match side.session().query_rows(APPLIED).await {
            Ok(rows) if rows.first().and_then(|row| row.first().cloned().flatten()) == Some(sum_of(prefix)) => {
                Some((side, self))
            }
            _ => {
                side.end().await;
                self.kept.discard();
                None
            }
        }
    }

    /// The state itself.
    pub fn into_kept(self) -> Kept {
        self.kept
    }
}

/// What the version table says that was applied, in one sum.
const APPLIED: &str = "SELECT pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(COALESCE(pg_catalog.string_agg(\
    version || ' ' || name || ' ' || checksum || E'\\n', '' ORDER BY position), ''), 'UTF8')), 'hex') \
    FROM dbbuild.migration WHERE state = 'applied'";

fn sum_of(migrations: &[Migration]) -> String {
    let line = |m: Replaced| format!("{} {} {}\n", m.version, m.name, m.checksum);
    Checksum::of_text(&migrations.iter().flat_map(squash::rows).map(line).collect::<String>()).to_string()
}
