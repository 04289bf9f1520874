//! Applying migrations: one with its row in a transaction or journaled, or several in one message.

use super::failure::{is_contention, lost, needs_autocommit, title};
use super::give::Stop;
use super::measure::{self, HeldLock, Measure};
use super::message::Unit;
use super::ran::Ran;
use super::worker::Worker;
use super::{Event, journal};
use crate::engine::history;
use crate::error::Result;
use crate::model::directive::OnFail;
use crate::model::migration::Migration;
use crate::model::plan::Reason;

/// Of a migration whose up part failed.
const STILL_KEPT: &str = "the attic still has what was kept of it: `dbbuild attic list`.";

impl Worker<'_> {
    /// Applies one migration with its row: in one transaction, or journaled where it cannot be.
    ///
    /// # Errors
    /// It failed; the message says where and what state was left.
    pub async fn migrate(&mut self, migration: &Migration, reason: Reason) -> Result<Ran> {
        self.tell(Event::Begin(migration.path.clone()));
        if reason != Reason::Resume
            && let Some(unmet) = self.ask(migration).await?
        {
            return match unmet.on_fail {
                OnFail::Halt => Err(unmet.halt(migration)),
                OnFail::MarkRan => {
                    self.mark(migration).await?;
                    let ran = Ran::Marked(unmet.describe());
                    self.tell(Event::Migrated(migration.path.clone(), ran.describe()));
                    Ok(ran)
                }
                OnFail::Skip => {
                    let ran = Ran::Skipped(unmet.describe());
                    self.tell(Event::Note(format!("{}: {}", migration.path, ran.describe().unwrap_or_default())));
                    Ok(ran)
                }
            };
        }
        if reason == Reason::Resume && !self.due.is_empty() {
            // Its row is there already.
            self.execute(&self.due).await?;
        }
        let ordinary = migration.settings.apart.is_none();
        let commits = ordinary
            && !migration.is_squash()
            && migration.settings.transaction
            && migration.up.commits_enum_value()?;
        let mut told = None;
        let ran = if migration.body.is_some() {
            self.migrate_discreetly(migration).await?
        } else if commits {
            let outcome = journal::run(&*self, migration).await;
            self.advised(outcome, migration).await?;
            Ran::StatementsFound("it commits a new enum value before using it".to_owned())
        } else if migration.up.means.psql.is_some() && migration.settings.transaction && reason != Reason::Resume {
            let outcome = self.migrate_by_psql(migration).await;
            self.advised(outcome, migration).await?;
            Ran::Psql
        } else if migration.settings.transaction && reason != Reason::Resume {
            let (ran, measure) = self.migrate_in_transaction(migration).await?;
            told = measure;
            ran
        } else {
            let outcome = journal::run(&*self, migration).await;
            self.advised(outcome, migration).await?;
            Ran::Statements
        };
        self.due.clear();
        let mut measure = self.measured(&migration.path, &migration.version);
        if let Some((seconds, locks)) = told.filter(|_| ran == Ran::Transaction) {
            measure = Measure { seconds, locks, ..measure };
        } else if self.is_watched() {
            measure::fill(self.session(), std::slice::from_mut(&mut measure)).await?;
        }
        self.renew(&migration.up).await?;
        self.tell(Event::Measured(measure.clone()));
        self.measures.push(measure);
        self.tell(Event::Migrated(migration.path.clone(), ran.describe()));
        Ok(ran)
    }

    /// What closes a migration's transaction.
    fn closing(&self, migration: &Migration) -> String {
        history::finish_migration(&migration.version, self.asks_locks().then_some(measure::LOCKS))
    }

    async fn migrate_in_transaction(
        &mut self,
        migration: &Migration,
    ) -> Result<(Ran, Option<(Option<f64>, Vec<HeldLock>)>)> {
        let opening = self.opening(migration, true);
        let unit = Unit::new(&migration.up, opening, self.closing(migration))?;
        let outcome = if self.has_kept(migration) {
            match self.run_giving(&unit, migration).await {
                Ok(()) => return Ok((Ran::Transaction, None)),
                Err(Stop::Giving(error)) => return Err(self.not_given(&error, migration)),
                Err(Stop::Script(failure)) => Err((unit, failure)),
            }
        } else {
            let unit = self.timed(unit);
            match self.run_unit(&unit).await {
                Ok(messages) => {
                    self.keep_timings(&[(&migration.version, &unit)], &messages);
                    let told = measure::read([&unit], &messages, self.envelope().reset_statements).pop();
                    Ok((Ran::Transaction, told))
                }
                Err(failure) => Err((unit, failure)),
            }
        };
        match outcome {
            Ok(ran) => Ok(ran),
            Err((_, failure))
                if migration.settings.apart.is_none() && !migration.is_squash() && needs_autocommit(&failure.error) =>
            {
                journal::run(&*self, migration).await?;
                Ok((Ran::StatementsFound(failure.error.message.clone()), None))
            }
            Err((unit, failure)) => {
                let error = self.failed(&unit, failure, &title(migration));
                Err(if self.has_kept(migration) { error.help(STILL_KEPT) } else { error })
            }
        }
    }

    async fn migrate_by_psql(&mut self, migration: &Migration) -> Result<()> {
        let proof = history::is_applied(&migration.version);
        if self.has_kept(migration) {
            return self.run_by_psql_and_give(migration).await;
        }
        let opening = self.opening(migration, true);
        let unit = Unit::new(&migration.up, opening, history::finish_migration(&migration.version, None))?;
        self.run_unit_by_psql(&unit, &title(migration), &proof).await
    }

    /// Applies several migrations that may share a message, each in its own transaction. Returns how many were
    /// committed; fewer than given where one failed, which is then to be run by itself for an exact message.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn migrate_batch(&mut self, batch: &[&Migration]) -> Result<usize> {
        let mut units = Vec::with_capacity(batch.len());
        for (n, migration) in batch.iter().enumerate() {
            let opening = match n {
                0 => self.opening(migration, true),
                _ => history::insert_migration(migration, true, self.author()),
            };
            let unit = Unit::new(&migration.up, opening, self.closing(migration))?;
            units.push(self.timed(unit));
            self.tell(Event::Begin(migration.path.clone()));
        }
        let text: Vec<String> = units.iter().map(|unit| unit.message(self.envelope())).collect();
        let outcome = self.send(&text.join(";\n")).await;
        let mut done = units.len();
        let mut waited = self.watch.take_waited();
        let mut told = Vec::new();
        let broken = outcome.is_err();
        if let Ok(messages) = &outcome {
            told = measure::read(&units, messages, self.envelope().reset_statements);
            let own: Vec<_> = batch.iter().map(|migration| &migration.version).zip(&units).collect();
            self.keep_timings(&own, messages);
        }
        if let Err(failure) = outcome {
            if failure.error.gone {
                return Err(lost(&failure.error));
            }
            self.clean().await?;
            if is_contention(&failure.error) {
                // What waited is run by itself next, and that counts as waiting of its own.
                self.watch.add(std::mem::take(&mut waited));
            }
            let mut completed = failure.completed;
            done = 0;
            for unit in &units {
                // A unit is committed once its COMMIT is complete; what follows only resets the session.
                let commit = unit.statements_to_commit();
                if completed < commit {
                    break;
                }
                completed = completed.saturating_sub(commit + self.envelope().reset_statements);
                done += 1;
            }
        }
        if done > 0 {
            self.due.clear();
        }
        let mut told = told.into_iter();
        let measure = |migration: &&Migration| {
            let (seconds, locks) = told.next().unwrap_or_default();
            let (path, version) = (migration.path.clone(), migration.version.to_string());
            Measure { path, version, seconds, locks, ..Measure::default() }
        };
        let mut measures: Vec<Measure> = batch.iter().take(done).map(measure).collect();
        if broken && self.is_watched() {
            measure::fill(self.session(), &mut measures).await?;
        }
        measure::attribute(&mut measures, waited);
        for measure in measures {
            let path = measure.path.clone();
            self.tell(Event::Measured(measure.clone()));
            self.measures.push(measure);
            self.tell(Event::Migrated(path, None));
        }
        Ok(done)
    }
}
