//! Taking a migration back: its kept down part and the removal of its row, in one transaction where that can be.
//!
//! A down part that PostgreSQL refuses in a transaction runs statement by statement, without a journal: broken off half-way,
//! its migration still counts as applied, and the next run begins the down part anew.

use super::Event;
use super::message::{BEFORE, Unit};
use super::worker::{UnitFailure, Worker, describe, lost, needs_autocommit};
use crate::engine::history;
use crate::error::{Error, Result};
use crate::model::reconcile::TakeBack;

impl Worker<'_> {
    /// Takes a migration back.
    ///
    /// # Errors
    /// Its down part failed; the message says where and what state was left.
    pub async fn take_back(&mut self, back: &TakeBack) -> Result<()> {
        self.tell(Event::Begin(back.label()));
        if back.runs_in_transaction() {
            let opening = history::lock_row(&back.row.version);
            let unit = Unit::new(&back.down, opening, history::remove_migration(&back.row))?;
            match self.run_unit(&unit).await {
                Ok(()) => {}
                Err(failure) if needs_autocommit(&failure.error) => self.take_back_by_statement(back).await?,
                Err(failure) => return Err(self.not_taken_back(back, &unit, failure)),
            }
        } else {
            self.take_back_by_statement(back).await?;
        }
        self.renew(&back.down).await?;
        self.tell(Event::TakenBack(back.label()));
        Ok(())
    }

    async fn take_back_by_statement(&self, back: &TakeBack) -> Result<()> {
        let unit = Unit::plain(&back.down)?;
        for n in 0..unit.body.statements.len() {
            let Err(failure) = self.send_range(&unit, n, n).await else { continue };
            if failure.error.gone {
                return Err(lost(&failure.error));
            }
            self.clean().await?;
            return Err(describe(&failure.error, &title(back), unit.place_of_statement(n), unit.ordinal(n)).help(format!(
                "the down part does not run in one transaction: its first {n} statement(s) stay done, and {} still counts \
                 as applied. `dbbuild reset` builds the database anew.",
                back.label()
            )));
        }
        self.execute(&self.envelope().reset).await?;
        self.execute_as_self(&history::remove_migration(&back.row)).await
    }

    fn not_taken_back(&self, back: &TakeBack, unit: &Unit<'_>, failure: UnitFailure) -> Error {
        if failure.error.gone {
            return lost(&failure.error);
        }
        let place = unit.place(failure.completed, failure.position, self.envelope());
        let ordinal = unit.ordinal(failure.completed.saturating_sub(BEFORE));
        self.name_blocker(describe(&failure.error, &title(back), place, ordinal), &failure.error).help(
            "it was rolled back, and the migration is still applied. Remove what stands in the way, or let `dbbuild reset` \
             build the database anew.",
        )
    }
}

fn title(back: &TakeBack) -> String {
    format!("taking back {}", back.label())
}
