//! Taking a migration back: its kept down part and the removal of its row, in one transaction where that can be.
//!
//! What a down part takes away is kept. One that PostgreSQL refuses in a transaction runs piece by piece, in `back_steps.rs`.

use super::Event;
use super::failure::{describe, lost, needs_autocommit};
use super::message::Unit;
use super::pieces::Stumble;
use super::worker::Worker;
use crate::engine::attic::{Keeping, Stop, restore_positions};
use crate::engine::history;
use crate::engine::session::ServerError;
use crate::error::{Error, Result};
use crate::model::attic::{Kept, KeptEntry};
use crate::model::plan::FileKind;
use crate::model::reconcile::{Made, Remove, TakeBack};
use crate::model::sql::literal;
use std::collections::BTreeSet;

/// The SQLSTATE of a drop that other objects depend on.
pub const DEPENDENTS: &str = "2BP01";

/// One way to take a migration back: the statements before its down part.
struct Attempt {
    opening: String,
    statements: usize,
}

impl Worker<'_> {
    /// Takes a migration back, and keeps what that takes away.
    ///
    /// # Errors
    /// Its down part failed, or something that it takes away cannot be kept; the message says what state was left.
    pub async fn take_back(&mut self, back: &TakeBack) -> Result<Kept> {
        self.tell(Event::Begin(back.label()));
        let entries = if back.runs_in_transaction() {
            match self.take_back_whole(back).await? {
                Some(entries) => entries,
                None => self.take_back_by_statement(back).await?,
            }
        } else {
            self.take_back_by_statement(back).await?
        };
        self.renew(&back.down).await?;
        if !entries.is_empty() {
            self.look_into_attic().await?;
        }
        self.tell(Event::TakenBack(back.label()));
        Ok(Kept { label: back.label(), entries, locks: Vec::new() })
    }

    /// In one transaction; `None` where PostgreSQL says that it cannot be one.
    async fn take_back_whole(&self, back: &TakeBack) -> Result<Option<Vec<KeptEntry>>> {
        let unit = Unit::new(&back.down, String::new(), history::remove_migration(&back.row, self.author(), true))?;
        let own = history::lock_row(&back.row.version);
        let mut attempt = Attempt { opening: own.clone(), statements: 1 };
        for tried in 1.. {
            let mut keeping = Keeping::new(self, back);
            let head = format!("BEGIN; SET LOCAL lock_timeout = {}; {}", self.envelope().lock_timeout, attempt.opening);
            let outcome = match keeping.run(&unit, (&head, attempt.statements + 2)).await {
                Ok(()) if back.lossless && keeping.entries.iter().any(KeptEntry::is_loss) => {
                    Err(Stop::Refused(lossy(back, &keeping.entries)))
                }
                Ok(()) => self
                    .send(unit.tail(self.envelope()).trim_start_matches("\n;\n"))
                    .await
                    .map(|_| ())
                    .map_err(Stop::from),
                Err(stop) => Err(stop),
            };
            let Err(stop) = outcome else { return Ok(Some(keeping.entries)) };
            if self.session().is_closed() {
                return Err(stop.into_error(self, back, &unit));
            }
            self.clean().await?;
            restore_positions(self, keeping.first.as_ref()).await?;
            let Some(error) = stop.server_error() else { return Err(stop.into_error(self, back, &unit)) };
            if needs_autocommit(error) {
                return Ok(None);
            }
            let dependents = error.sqlstate.as_deref() == Some(DEPENDENTS);
            if dependents && !back.views.is_empty() && attempt.statements == 1 {
                attempt = Attempt { opening: format!("{own}; {}", drop_views(back)), statements: 2 };
                continue;
            }
            if !self.waits_to_take_back_again(tried, &stop).await {
                return Err(stop.into_error(self, back, &unit));
            }
        }
        Ok(None)
    }

    /// [`Worker::waits_to_retry`] of what stopped a down part.
    pub(super) async fn waits_to_take_back_again(&self, tried: u32, stop: &Stop) -> bool {
        match stop {
            Stop::Script(Stumble { failure, .. }) | Stop::Own(failure) => self.waits_to_retry(tried, failure).await,
            Stop::Refused(_) => false,
        }
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
}

impl Stop {
    /// What the server said.
    pub(super) fn server_error(&self) -> Option<&ServerError> {
        match self {
            Stop::Script(stumble) => Some(&stumble.failure.error),
            Stop::Own(failure) => Some(&failure.error),
            Stop::Refused(_) => None,
        }
    }

    /// The error as users see it, of a transaction that was rolled back.
    pub(super) fn into_error(self, worker: &Worker<'_>, back: &TakeBack, unit: &Unit<'_>) -> Error {
        let rolled_back = "it was rolled back, and the migration is still applied.";
        match self {
            Stop::Script(Stumble { failure, .. }) | Stop::Own(failure) if failure.error.gone => lost(&failure.error),
            Stop::Script(Stumble { failure, statement }) => {
                let n = statement.unwrap_or(0);
                let place = failure.position.map_or_else(|| unit.place_of_statement(n), |at| unit.place_at(at));
                let error = describe(&failure.error, &title(back), place, unit.ordinal(n));
                worker.name_blocker(error, &failure.error).help(format!(
                    "{rolled_back} Remove what stands in the way and run the command again. What ran is the down part that \
                     the database keeps since it was applied: a local one takes a mended one from the file with `dbbuild`, and \
                     `dbbuild reset` builds it anew."
                ))
            }
            Stop::Own(failure) => {
                let error = failure.error.to_error(format!("what {} takes away cannot be kept", back.label()));
                worker.name_blocker(error, &failure.error).help(format!("{rolled_back} Nothing was changed."))
            }
            Stop::Refused(error) => error,
        }
    }
}

/// Drops what repeatable files made, and says that these files are to run again.
pub fn drop_views(back: &TakeBack) -> String {
    let objects: Vec<Made> = back.views.iter().map(|(_, view)| view.clone()).collect();
    let files: BTreeSet<_> = back.views.iter().map(|(file, _)| (FileKind::Repeatable, file.as_str())).collect();
    let files: Vec<_> = files.into_iter().collect();
    drop_all(&objects, false, &[history::stale_files(&files)])
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

/// What was found to be lost between the plan and its run.
fn lossy(back: &TakeBack, entries: &[KeptEntry]) -> Error {
    let error = Error::failed(format!("taking back {} would lose something", back.label()));
    let error =
        entries.iter().filter(|entry| entry.is_loss()).fold(error, |error, entry| error.cause(entry.describe()));
    error.help("it came after the plan was made. It was rolled back, and the migration is still applied; plan again.")
}

/// What is done, for an error.
pub(super) fn title(back: &TakeBack) -> String {
    format!("taking back {}", back.label())
}
