//! The order in which migrations run, for environments that demand one.

use super::{History, Plan, Reason, Step};
use crate::error::{Error, Location, Result};

/// Judges a plan for an environment that demands order.
///
/// # Errors
/// A migration of the plan is older than an applied one.
pub fn in_order(plan: &Plan, history: &History) -> Result<()> {
    let Some(newest) = history.applied.iter().max_by(|a, b| a.version.cmp(&b.version)) else { return Ok(()) };
    let late = |step: &Step| {
        match step {
        Step::Migration { migration, reason: Reason::New }
            if migration.settings.apart.is_none() && migration.version < newest.version => Some(
            Error::failed(format!(
                "{} is older than {}_{}, which is applied, and `{}` takes migrations in order only",
                migration.label(),
                newest.version,
                newest.name,
                plan.environment
            ))
            .at(Location::file(&migration.path))
            .help(format!(
                "while it is not published, rename it to a newer version and run `dbbuild baseline`; to let it run here after \
                 newer ones, set `env.{}.order = \"any\"`. Nothing was run.",
                plan.environment
            )),
        ),
        _ => None,
    }
    };
    Error::all(plan.steps.iter().filter_map(late)).map_or(Ok(()), Err)
}
