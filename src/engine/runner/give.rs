//! Applies a migration of which the attic kept something, and gives that back before it counts as applied.

use super::entry::entries;
use super::failure::{UnitFailure, describe, is_contention, lost, title};
use super::journal::{self, Journal};
use super::message::{BEFORE, Envelope, Unit};
use super::required::Required;
use super::worker::{AS_SELF, Worker};
use crate::engine::attic::give::{Giving, Look, Of, Wanted};
use crate::engine::attic::{self, stored};
use crate::engine::history;
use crate::engine::session::ServerError;
use crate::error::{Error, Location, Result};
use crate::model::attic::given::Given;
use crate::model::migration::Migration;
use crate::model::squash;
use std::collections::BTreeSet;
use std::sync::PoisonError;

/// Why a migration with its giving back was rolled back.
pub(super) enum Stop {
    /// Its own script.
    Script(UnitFailure),
    /// Giving back.
    Giving(Box<ServerError>),
}

impl Stop {
    fn of(error: Box<ServerError>) -> Stop {
        Stop::Giving(error)
    }
}

/// The versions that a migration stands for.
pub(super) fn versions(migration: &Migration) -> Vec<String> {
    let mut versions = vec![migration.version.to_string()];
    if migration.is_squash() {
        versions.extend(squash::rows(migration).iter().map(|row| row.version.to_string()));
    }
    versions
}

impl Worker<'_> {
    /// Finds out of which versions the attic has something.
    ///
    /// # Errors
    /// A newer dbbuild made the attic, or the server said no.
    pub async fn look_into_attic(&mut self) -> Result<()> {
        let there = attic::is_there(self.session()).await?;
        let entries = if there { stored::entries(self.session()).await? } else { Vec::new() };
        self.kept_versions = entries.into_iter().map(|entry| entry.version).collect::<BTreeSet<_>>();
        Ok(())
    }

    /// Whether the attic has something of a migration.
    pub fn has_kept(&self, migration: &Migration) -> bool {
        !self.kept_versions.is_empty() && versions(migration).iter().any(|version| self.kept_versions.contains(version))
    }

    /// What was given back since the last call.
    pub fn take_given(&mut self) -> Vec<Given> {
        std::mem::take(self.given.get_mut().unwrap_or_else(PoisonError::into_inner))
    }

    fn remember(&self, given: Vec<Given>) {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).extend(given);
    }

    fn wanted(&self, migration: &Migration, shares: bool) -> Wanted {
        Wanted {
            of: Of::Versions(versions(migration)),
            checksum: migration.checksum.to_string(),
            shares,
            on_conflict: self.on_conflict(),
        }
    }

    /// Runs a unit and gives back in its transaction, again and again where a lock refused it.
    pub(super) async fn run_giving(&self, unit: &Unit<'_>, migration: &Migration) -> std::result::Result<(), Stop> {
        let mut eased: Option<Unit<'_>> = None;
        let mut required = Vec::new();
        for attempt in 1.. {
            let unit = eased.as_ref().unwrap_or(unit);
            let stop = match self.try_giving(unit, migration, self.envelope(), &required).await {
                Ok(()) => return Ok(()),
                Err(stop) => stop,
            };
            let error = match &stop {
                Stop::Script(failure) => &failure.error,
                Stop::Giving(error) => error,
            };
            if error.gone || self.clean().await.is_err() {
                return Err(stop);
            }
            let failure = UnitFailure { completed: 0, position: None, error: error.clone() };
            if let Stop::Script(failure) = &stop
                && let Some((without, column)) = self.ease(unit, &versions(migration), failure).await
            {
                eased = Some(without);
                required.push(column);
            } else if !self.waits_to_retry(attempt, &failure).await {
                return Err(stop);
            }
        }
        Ok(())
    }

    /// Runs a unit once and gives back in its transaction, which is not ended where something fails. What is `required`
    /// the unit has left out.
    pub(super) async fn try_giving(
        &self,
        unit: &Unit<'_>,
        migration: &Migration,
        envelope: &Envelope,
        required: &[Required],
    ) -> std::result::Result<(), Stop> {
        let head = unit.head(envelope);
        self.send(&head).await.map_err(Stop::Script)?;
        let giving = Look::take(self.session(), &self.wanted(migration, true)).await.map_err(Stop::of)?;
        let outcome = match unit.body.copy_blocks {
            true => self.run_statements(unit).await.map_err(|failure| UnitFailure { position: None, ..failure }),
            false => self.send(&unit.body.text).await.map(|_| ()),
        };
        outcome.map_err(|failure| {
            let position = failure.position.map(|position| position + head.chars().count());
            Stop::Script(UnitFailure { completed: failure.completed + BEFORE, position, ..failure })
        })?;
        let given = match giving {
            Some(giving) => self.given_back(giving).await.map_err(Stop::of)?,
            None => Vec::new(),
        };
        self.require(required).await.map_err(Stop::Script)?;
        let before = BEFORE + unit.body.statements.len();
        let tail = self.send(&unit.tail(envelope)).await;
        tail.map_err(|failure| {
            Stop::Script(UnitFailure { completed: failure.completed + before, position: None, ..failure })
        })?;
        self.remember(given);
        Ok(())
    }

    async fn given_back(&self, mut giving: Giving) -> std::result::Result<Vec<Given>, Box<ServerError>> {
        let pid = self.session().backend_pid();
        self.watched(giving.give(self.session()), pid).await
    }

    /// Before the first statement of a migration that cannot share a transaction: notes what was changed meanwhile.
    pub(super) async fn look_before(&self, migration: &Migration) -> Result<()> {
        if !self.has_kept(migration) {
            return Ok(());
        }
        self.execute(&format!("BEGIN; {AS_SELF}")).await?;
        let outcome = Look::take(self.session(), &self.wanted(migration, false)).await;
        self.ended(outcome, migration).await.map(|_| ())
    }

    /// After the last statement of such a migration: gives back and completes its row, in one transaction.
    pub(super) async fn give_and_finish(&self, migration: &Migration) -> Result<()> {
        let timeout = self.envelope().lock_timeout;
        for attempt in 1.. {
            self.execute(&format!("BEGIN READ WRITE; SET LOCAL lock_timeout = {timeout}; {AS_SELF}")).await?;
            let outcome = self.finish_giving(migration).await;
            if let Err(error) = &outcome
                && is_contention(error)
            {
                self.execute("ROLLBACK").await?;
                let failure = UnitFailure { completed: 0, position: None, error: error.clone() };
                if self.waits_to_retry(attempt, &failure).await {
                    continue;
                }
                return Err(self.not_given(error, migration));
            }
            let given = self.ended(outcome, migration).await?;
            self.remember(given);
            break;
        }
        Ok(())
    }

    /// Lets psql run a migration in one transaction with a journal that says that all of it is done. What is left to do is
    /// done after it, by a later run where this one is broken off.
    pub(super) async fn run_by_psql_and_give(&self, migration: &Migration) -> Result<()> {
        self.look_before(migration).await?;
        let journal = Journal { worker: self, unit: Unit::plain(&migration.up)?, migration };
        let done: Vec<String> = entries(&journal.unit)?.iter().map(|entry| journal.insert(entry, "done")).collect();
        let opening = self.opening(migration, false);
        let unit = Unit::new(&migration.up, opening, done.join("; "))?;
        let proof = format!("SELECT 1 FROM dbbuild.statement WHERE version = '{}'", migration.version);
        self.run_unit_by_psql(&unit, &title(migration), &proof).await?;
        journal::run(self, migration).await
    }

    /// Gives back entries of migrations that are applied, in one transaction.
    ///
    /// # Errors
    /// The server said no; nothing was changed.
    pub async fn give_later(&self, ids: &[i64]) -> Result<Vec<Given>> {
        let timeout = self.envelope().lock_timeout;
        let wanted = Wanted {
            of: Of::Entries(ids.to_vec()),
            checksum: String::new(),
            shares: false,
            on_conflict: self.on_conflict(),
        };
        for attempt in 1.. {
            self.execute(&format!("BEGIN READ WRITE; SET LOCAL lock_timeout = {timeout}; {AS_SELF}")).await?;
            let outcome = match Look::take(self.session(), &wanted).await {
                Ok(Some(giving)) => self.given_back(giving).await,
                Ok(None) => Ok(Vec::new()),
                Err(error) => Err(error),
            };
            let error = match outcome {
                Ok(given) => {
                    self.execute(&format!("COMMIT; {}", self.envelope().reset)).await?;
                    return Ok(given);
                }
                Err(error) if error.gone => return Err(lost(&error)),
                Err(error) => error,
            };
            self.clean().await?;
            let failure = UnitFailure { completed: 0, position: None, error };
            if !self.waits_to_retry(attempt, &failure).await {
                let told = failure.error.to_error("what was kept cannot be given back".to_owned());
                return Err(self
                    .name_blocker(told, &failure.error)
                    .help("it was rolled back, and the attic has all of it."));
            }
        }
        Ok(Vec::new())
    }

    async fn finish_giving(&self, migration: &Migration) -> std::result::Result<Vec<Given>, Box<ServerError>> {
        let giving = Look::again(self.session(), &self.wanted(migration, false)).await?;
        let given = match giving {
            Some(giving) => self.given_back(giving).await?,
            None => Vec::new(),
        };
        self.session().simple_raw(&history::finish_migration(&migration.version, None)).await?;
        Ok(given)
    }

    /// Commits what went well.
    async fn ended<T>(&self, outcome: std::result::Result<T, Box<ServerError>>, migration: &Migration) -> Result<T> {
        match outcome {
            Ok(value) => self.execute(&format!("COMMIT; {}", self.envelope().reset)).await.map(|()| value),
            Err(error) if error.gone => Err(lost(&error)),
            Err(error) => {
                self.clean().await?;
                Err(self.not_given(&error, migration))
            }
        }
    }

    /// The error of giving back.
    pub(super) fn not_given(&self, error: &ServerError, migration: &Migration) -> Error {
        if error.gone {
            return lost(error);
        }
        let place = Location::file(&migration.path);
        let told = describe(error, &format!("giving back what was kept of {}", title(migration)), place, None);
        self.name_blocker(told, error).help(
            "what was being given back was rolled back, and the attic has all of it. `dbbuild attic export` writes it to \
             files, and `dbbuild attic drop` lets the migration be applied without it.",
        )
    }
}
