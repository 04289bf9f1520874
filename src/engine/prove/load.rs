//! The baseline's side: a text is loaded into an empty server and dumped again.
//!
//! Where a baseline of before is known to be settled, only the part is loaded that changed since, with all that mentions it
//! and all that it needs. What a part cannot tell, and every so often without a reason, the whole does.

use super::Request;
use super::server::ThrowawayPlan;
use super::states::States;
use super::unseen::{self, Unseen};
use crate::engine::cache::Kind;
use crate::engine::catalog;
use crate::engine::runner::{Sink, load_baseline};
use crate::error::Result;
use crate::model::baseline::{Baseline, Dump, part};
use crate::model::catalog::Catalog;
use crate::model::checksum::Checksum;
use crate::model::config::Config;
use std::sync::Arc;

/// A baseline of fewer entries is loaded whole.
const LEAST: usize = 200;
/// After so many parts in a row the whole is loaded again.
const PARTS: usize = 20;
/// A whole load after which no part is loaded: the catalogs of both sides differ in their forms.
const NEVER: usize = usize::MAX;

/// What a database that was made from a baseline shows.
pub(super) struct Loaded {
    pub dump: Dump,
    pub unseen: Unseen,
    pub extent: Extent,
}

/// How much of a baseline was loaded.
pub(super) enum Extent {
    /// All of it; with its catalog.
    Whole(Catalog),
    /// These entries, after so many parts before.
    Part(Dump, usize),
}

impl Loaded {
    /// Whether what was loaded came out as it went in.
    pub fn is_settled(&self, baseline: &Dump) -> bool {
        match &self.extent {
            Extent::Whole(_) => self.dump == *baseline,
            Extent::Part(part, _) => self.dump.same_entries(part),
        }
    }
}

/// Loads a baseline's text and reads the result back.
pub(super) async fn load(plan: &ThrowawayPlan, request: &Request<'_>, text: Arc<str>) -> Result<Loaded> {
    let side = plan.start(request.sink).await?;
    load_baseline(&side.worker, request.baseline_path(), &text).await?;
    let own = side.own_roles();
    let (dump, read) = tokio::join!(side.dump(), async {
        let catalog = catalog::read(side.session().client(), &own).await?;
        Ok::<_, crate::error::Error>((catalog, unseen::read(side.session()).await?))
    });
    let (catalog, unseen) = read?;
    let loaded = Loaded { dump: dump?, unseen, extent: Extent::Whole(catalog) };
    side.end().await;
    Ok(loaded)
}

/// The catalog of a database that is made from a baseline in a throwaway, and the throwaway's major version.
///
/// # Errors
/// There is no server, or the baseline does not load.
pub async fn made_by_baseline(config: &Config, text: Arc<str>, sink: Sink<'_>) -> Result<(Catalog, u32)> {
    let plan = ThrowawayPlan::from_config(config)?.choose(true).await?;
    let side = plan.start(sink).await?;
    let read = async {
        load_baseline(&side.worker, &config.paths.baseline, &text).await?;
        catalog::read(side.session().client(), &side.own_roles()).await
    };
    let read = read.await;
    let major = side.major;
    side.end().await;
    Ok((read?, major))
}

/// Loads what changed since the baseline that is known to be settled; `None` where only the whole tells.
pub(super) async fn load_part(
    plan: &ThrowawayPlan,
    request: &Request<'_>,
    states: &States,
    text: &str,
) -> Option<Loaded> {
    let body = request.cache.get(Kind::Settled, &key(states)?)?;
    let (before, old) = body.split_once('\n')?;
    let before = before.parse::<usize>().ok().filter(|before| *before < PARTS)?;
    let (old, new) = (Baseline::parse(old, "").ok()?, Baseline::parse(text, "").ok()?);
    if new.dump.entries.len() < LEAST || old.roles != new.roles || old.postgres_major != new.postgres_major {
        return None;
    }
    let part = part(&old.dump, &new.dump)?;
    if part.entries.is_empty() {
        let extent = Extent::Part(part, before);
        return Some(Loaded { dump: Dump::default(), unseen: Unseen::default(), extent });
    }
    let side = plan.start(request.sink).await.ok()?;
    let sql: Arc<str> = Arc::from(new.sql_of(&part));
    let read = async {
        load_baseline(&side.worker, request.baseline_path(), &sql).await?;
        let (dump, unseen) = tokio::join!(side.dump(), unseen::read(side.session()));
        Ok::<_, crate::error::Error>((dump?, unseen?))
    };
    let read = read.await;
    side.end().await;
    let (dump, unseen) = read.ok()?;
    Some(Loaded { dump, unseen, extent: Extent::Part(part, before + 1) })
}

/// Remembers that a baseline is settled. `same`: the catalogs of both sides are equal, so that one stands for the other.
pub(super) fn remember(request: &Request<'_>, states: &States, text: &str, parts: Option<usize>, same: bool) {
    if let Some(key) = key(states) {
        let parts = if same { parts.unwrap_or(0) } else { NEVER };
        request.cache.put(Kind::Settled, &key, &format!("{parts}\n{text}"));
    }
}

fn key(states: &States) -> Option<Checksum> {
    states.key_of("dbbuild settled 1", &[])
}
