//! Rows and values that the older schema refuses are taken out of the way, one error after the other.

use super::keeping::{Keeping, Stop};
use crate::engine::runner::{Stumble, Unit};

/// Errors that are worked off before dbbuild gives up.
const ROUNDS: usize = 100;

/// What a type has no place for: "cannot convert NaN to integer". Most errors of this number are of something else.
pub(super) const NOT_THERE: &str = "0A000";

/// Whether an error is about rows or values that stand in the way.
fn is_about_rows(sqlstate: &str) -> bool {
    sqlstate.starts_with("22") || matches!(sqlstate, NOT_THERE | "23502" | "23503" | "23505" | "23514" | "23P01")
}

impl Keeping<'_, '_> {
    /// Takes out of the way what the script stumbled over, and keeps it; the transaction then stands before the script
    /// again. False where nothing was found that could be taken.
    pub(super) async fn make_way(&mut self, unit: &Unit<'_>, stumble: &Stumble) -> Result<bool, Stop> {
        let error = &stumble.failure.error;
        self.rounds += 1;
        if error.raised || self.rounds > ROUNDS || !error.sqlstate.as_deref().is_some_and(is_about_rows) {
            return Ok(false);
        }
        let offenders = self.offenders(unit, stumble).await?;
        if offenders.is_empty() {
            return Ok(false);
        }
        self.send("RELEASE SAVEPOINT dbbuild_before").await?;
        self.take_out(&offenders).await
    }
}
