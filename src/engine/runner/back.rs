//! Taking a migration back: its kept down part and the removal of its row, in one transaction where that can be.
//!
//! A down part that PostgreSQL refuses in a transaction runs statement by statement, without a journal: broken off half-way,
//! its migration still counts as applied, and the next run begins the down part anew.

use super::Event;
use super::failure::{UnitFailure, describe, lost, needs_autocommit};
use super::message::{BEFORE, Unit};
use super::worker::Worker;
use crate::engine::history::{self, literal};
use crate::engine::session::ServerError;
use crate::error::{Error, Result};
use crate::model::attic::{Kept, Rehearsal};
use crate::model::plan::FileKind;
use crate::model::reconcile::{Made, Remove, TakeBack};
use std::collections::BTreeSet;

/// The SQLSTATE of a drop that other objects depend on.
pub const DEPENDENTS: &str = "2BP01";

impl Worker<'_> {
    /// Takes a migration back.
    ///
    /// # Errors
    /// Its down part failed; the message says where and what state was left.
    pub async fn take_back(&mut self, back: &TakeBack) -> Result<Kept> {
        self.tell(Event::Begin(back.label()));
        if back.runs_in_transaction() {
            let opening = history::lock_row(&back.row.version);
            let unit = Unit::new(&back.down, opening, history::remove_migration(&back.row))?;
            let mut outcome = self.run_unit(&unit).await;
            if matches!(&outcome, Err(failure) if is_depended_upon(&failure.error)) && !back.views.is_empty() {
                let opening = drop_views(back);
                let again = Unit::new(&back.down, opening, history::remove_migration(&back.row))?;
                outcome = self.run_unit(&again).await;
            }
            match outcome {
                Ok(_) => {}
                Err(failure) if needs_autocommit(&failure.error) => self.take_back_by_statement(back).await?,
                Err(failure) => return Err(self.not_taken_back(back, &unit, failure)),
            }
        } else {
            self.take_back_by_statement(back).await?;
        }
        self.renew(&back.down).await?;
        self.tell(Event::TakenBack(back.label()));
        Ok(Kept { label: back.label(), entries: Vec::new() })
    }

    /// Takes migrations back in one transaction that is rolled back, and says what would be kept and which locks were taken.
    ///
    /// # Errors
    /// A down part failed, as it would in earnest. Nothing was changed.
    pub async fn rehearse(&self, backs: &[TakeBack]) -> Result<Rehearsal> {
        let untried = backs.iter().map(TakeBack::label).collect();
        Ok(Rehearsal { untried, ..Rehearsal::default() })
    }

    /// Drops what repeatable files made, and their rows.
    ///
    /// # Errors
    /// Something else depends on it; nothing was changed.
    pub async fn remove_files(&self, files: &[Remove]) -> Result<()> {
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        let objects: Vec<Made> = files.iter().flat_map(|file| file.objects.clone()).collect();
        let rows: Vec<String> = names.iter().map(|name| history::remove_file(FileKind::Repeatable, name)).collect();
        let sql = format!("{}; {}", drop_all(&objects, true, &[]), rows.join("; "));
        self.execute_as_self(&sql).await.map_err(|e| {
            let error = Error::failed(format!("cannot drop what the repeatable files {} made", names.join(", ")));
            let error = e.causes().iter().fold(error, |error, cause| error.cause(cause));
            error.help("drop what depends on it, or let `dbbuild reset` build the database anew; it is as it was.")
        })
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

/// 2BP01: something else depends on what is to be dropped.
fn is_depended_upon(error: &ServerError) -> bool {
    error.sqlstate.as_deref() == Some(DEPENDENTS)
}

/// Drops the views of the tree's repeatable files, and forgets that these files ran: they make their views again.
pub fn drop_views(back: &TakeBack) -> String {
    let objects: Vec<Made> = back.views.iter().map(|(_, view)| view.clone()).collect();
    let files: BTreeSet<&str> = back.views.iter().map(|(file, _)| file.as_str()).collect();
    let forget: Vec<String> = files.iter().map(|file| history::remove_file(FileKind::Repeatable, file)).collect();
    drop_all(&objects, false, &forget)
}

/// One statement that drops objects, those first on which no other depends. `strict` makes it an error where one stays;
/// otherwise whatever depends on it stays too. `more` runs with it.
pub fn drop_all(objects: &[Made], strict: bool, more: &[String]) -> String {
    let drops: Vec<String> = objects.iter().map(|made| literal(&made.drop_statement())).collect();
    let more: String = more.iter().map(|statement| format!("{statement};")).collect();
    format!(
        "DO $dbbuild$ DECLARE todo text[] := ARRAY[{}]::text[]; failed text[]; why text; one text; BEGIN LOOP failed := '{{}}'; \
         FOREACH one IN ARRAY todo LOOP BEGIN EXECUTE one; EXCEPTION WHEN OTHERS THEN failed := failed || one; why := SQLERRM; \
         END; END LOOP; EXIT WHEN pg_catalog.cardinality(failed) IN (0, pg_catalog.cardinality(todo)); todo := failed; \
         END LOOP; IF {strict} AND pg_catalog.cardinality(failed) > 0 THEN RAISE EXCEPTION '%', why; END IF; {more} \
         END $dbbuild$",
        drops.join(", ")
    )
}

fn title(back: &TakeBack) -> String {
    format!("taking back {}", back.label())
}
