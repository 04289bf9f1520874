//! Runs a down part so that nothing of it is lost: once to see what it does, and where that takes something away once
//! more, after what it takes away was kept.
//!
//! What was kept is then held against what the second run did, by catalogs, files and counters of rows. Where that does
//! not agree the whole is tried again with more kept, and at last refused.

use super::facts::{self, Table};
use super::keeping::{Keeping, Stop, joined};
use super::plan::{Found, Mode, Plan, key, needed};
use super::{copy, look, split};
use crate::engine::runner::{Stumble, Unit};
use crate::error::{Error, Result};
use crate::model::attic::effect::{Change, Effects, Look, between};
use crate::model::sql::identifier;
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::SimpleQueryMessage;

/// Ways that are tried before dbbuild gives up: each keeps more than the one before.
const WAYS: usize = 5;

/// After a script: its role goes, what it deferred is checked, and dbbuild looks.
fn tail() -> String {
    format!("SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; SET CONSTRAINTS ALL IMMEDIATE; {}", look::LOOK)
}

/// What a second run came to.
enum Again {
    Done,
    Stumbled(Stumble),
}

impl Keeping<'_, '_> {
    /// Runs the script. `head` is text of so many statements that begins the transaction, or prepares it.
    pub(in crate::engine) async fn run(&mut self, unit: &Unit<'_>, head: (&str, usize)) -> Result<(), Stop> {
        self.holds = self.holds(unit).await?;
        let begin = joined([vec!["SAVEPOINT dbbuild_before".to_owned()], self.holds.clone()].concat());
        let look = (format!("{begin}; {}", look::LOOK), self.holds.len() + 2);
        let mut text = (format!("{}; {}", head.0, look.0), head.1 + look.1);
        loop {
            let (messages, stumble) = self.worker.send_around(unit, (&text.0, text.1), &tail()).await;
            let looks = look::read(&messages);
            if self.first.is_none() {
                self.first = looks.first().cloned();
            }
            let stumble = match (stumble, looks.first(), looks.last()) {
                (Some(stumble), ..) => stumble,
                (None, Some(before), Some(after)) if looks.len() > 1 => {
                    match self.keep(unit, before.clone(), after.clone()).await? {
                        Again::Done => return Ok(()),
                        Again::Stumbled(stumble) => stumble,
                    }
                }
                _ => return Err(Error::failed("the server did not say what the down part did").into()),
            };
            if stumble.failure.error.gone || stumble.statement.is_none() || !self.make_way(unit, &stumble).await? {
                return Err(Stop::Script(stumble));
            }
            text = look.clone();
        }
    }

    /// Keeps what the script took away when it ran from `before` to `after`, and runs it again.
    async fn keep(&mut self, unit: &Unit<'_>, before: Look, mut after: Look) -> Result<Again, Stop> {
        let mut effects = between(&before, &after);
        let mut modes: BTreeMap<u32, Mode> = BTreeMap::new();
        for _ in 0..WAYS {
            self.refuse_what_cannot_be_kept(&effects).await?;
            if effects.is_empty() {
                self.note_names().await?;
                return Ok(Again::Done);
            }
            let emptied = self.emptied(&effects, &before, &after).await?;
            let later = self.later(&effects).await?;
            self.send("ROLLBACK TO SAVEPOINT dbbuild_before").await?;
            let shrunk = self.columns_of(&effects.composites).await?;
            let all = needed(&effects, &before).into_iter().chain(shrunk.keys().copied());
            let facts = facts::read(self.worker.session(), all).await?;
            let later = self.unique(later, &facts, &effects).await?;
            let found = Found {
                effects: &effects,
                before: &before,
                after: &after,
                facts: &facts,
                emptied: &emptied,
                later: &later,
                shrunk: &shrunk,
                modes: &modes,
            };
            let plan = found.plan();
            let kept = self.entries.len();
            let digests = self.copy(&plan, &effects, &facts, &before).await?;
            let mark = match self.installed {
                true => {
                    "UPDATE dbbuild_attic.format SET version = version; SELECT f.xmin FROM dbbuild_attic.format f; "
                }
                false => "",
            };
            let begin = joined([vec!["SAVEPOINT dbbuild_again".to_owned()], self.holds.clone()].concat());
            let head = format!("{begin}; {mark}{}", look::LOOK);
            let statements = self.holds.len() + if self.installed { 4 } else { 2 };
            let (messages, stumble) = self.worker.send_around(unit, (&head, statements), &tail()).await;
            if let Some(stumble) = stumble {
                self.forget(kept);
                self.installed = false;
                return Ok(Again::Stumbled(stumble));
            }
            let looks = look::read(&messages);
            let [was, is] = looks.as_slice() else {
                return Err(Error::failed("the server did not say what the down part did").into());
            };
            let done = between(was, is);
            self.refuse_what_cannot_be_kept(&done).await?;
            let fresh = first_number(&messages);
            let wrong = match effects.covers(&done) {
                true => {
                    self.settle(&split::Second { plan: &plan, facts: &facts, done: &done, digests: &digests, fresh })
                        .await?
                }
                false => Vec::new(),
            };
            if wrong.is_empty() && effects.covers(&done) {
                self.note_beside(kept, &facts, (was, is, fresh)).await?;
                self.merge_nulled(kept).await?;
                self.note_names().await?;
                return Ok(Again::Done);
            }
            for (oid, mode) in wrong {
                modes.insert(oid, next(mode));
            }
            effects.absorb(&done);
            after = is.clone();
            self.forget(kept);
            // Where nothing was there to be kept in, the next way makes it anew.
            self.installed = false;
        }
        Err(Error::failed(format!("what {} takes away cannot be kept", self.back.label()))
            .cause("each time that its down part runs, it takes away something else")
            .help("nothing was changed. Write the down part so that it does the same each time.")
            .into())
    }

    fn forget(&mut self, from: usize) {
        self.entries.truncate(from);
        self.ids.truncate(from);
    }

    /// Makes the copies. Returns the digests of what is told by one, by table.
    async fn copy(
        &mut self,
        plan: &Plan,
        effects: &Effects,
        facts: &BTreeMap<u32, Table>,
        before: &Look,
    ) -> Result<BTreeMap<u32, Vec<Option<String>>>, Stop> {
        let mut digests = BTreeMap::new();
        self.lock(plan, effects, facts).await?;
        let sequences = self.positions(plan, facts, before).await?;
        if plan.wanted.is_empty() && plan.watched.is_empty() && sequences.is_empty() {
            return Ok(digests);
        }
        self.install().await?;
        let xid = self.ask("SELECT (pg_catalog.pg_current_xact_id()::text::numeric % 4294967296)::bigint").await?;
        let xid: u64 = xid.into_iter().flatten().flatten().next().and_then(|xid| xid.parse().ok()).unwrap_or(0);
        let of = |oid: &u32| facts.get(oid);
        let read: BTreeSet<u32> =
            plan.wanted.iter().map(|one| one.oid).chain(plan.watched.iter().map(|one| one.oid)).collect();
        let lift: Vec<String> = read.iter().filter_map(of).filter_map(|table| table.force(false)).collect();
        let back: Vec<String> = read.iter().filter_map(of).filter_map(|table| table.force(true)).collect();
        self.send(&joined([vec![copy::PLAIN.to_owned()], lift].concat())).await?;
        self.keep_wanted(plan, facts, sequences).await?;
        let mut statements: Vec<String> = Vec::new();
        for watched in &plan.watched {
            let Some(table) = of(&watched.oid) else { continue };
            statements.push(copy::scratch(watched, table, xid));
            if watched.mode == Mode::Converted {
                let gone = effects.tables.get(&watched.oid).map(|change| &change.dropped);
                let left_out =
                    |number: &i16| watched.converted.contains(number) || gone.is_some_and(|gone| gone.contains(number));
                let numbers: Vec<i16> =
                    table.plain().map(|column| column.number).filter(|number| !left_out(number)).collect();
                let rows = self.ask(&copy::digest(table, &numbers)).await?;
                digests.insert(watched.oid, rows.into_iter().next().unwrap_or_default());
            }
        }
        self.send(&joined([statements, back, vec![copy::NORMAL.to_owned()]].concat())).await?;
        Ok(digests)
    }

    /// Nobody else changes a row or takes a number between copy and second run.
    async fn lock(&self, plan: &Plan, effects: &Effects, facts: &BTreeMap<u32, Table>) -> Result<(), Stop> {
        let mut locks: BTreeMap<u32, bool> = plan.wanted.iter().map(|one| (one.oid, true)).collect();
        for watched in &plan.watched {
            // The lock that the script takes, and no more: others may hold rows that it leaves where they are.
            *locks.entry(watched.oid).or_default() |= watched.mode == Mode::Converted;
            for member in &watched.members {
                let strong = effects.tables.get(member).is_some_and(|c| c.rewritten || !c.dropped.is_empty());
                *locks.entry(*member).or_default() |= strong;
            }
        }
        let one = |(oid, strong): (&u32, &bool)| {
            let mode = if *strong { "ACCESS EXCLUSIVE" } else { "SHARE ROW EXCLUSIVE" };
            facts.get(oid).map(|table| format!("LOCK TABLE {} IN {mode} MODE", table.rows()))
        };
        let mut statements: Vec<String> = locks.iter().filter_map(one).collect();
        statements.extend(plan.sequences.keys().filter_map(|oid| facts.get(oid)?.hold()));
        if !statements.is_empty() {
            self.send(&joined(statements)).await?;
        }
        Ok(())
    }

    /// Which of the tables that were written anew hold no row now.
    async fn emptied(&self, effects: &Effects, before: &Look, after: &Look) -> Result<BTreeSet<u32>, Stop> {
        let rewritten: BTreeSet<u32> =
            effects.tables.iter().filter(|(_, change)| change.rewritten).map(|(oid, _)| *oid).collect();
        if rewritten.is_empty() {
            return Ok(BTreeSet::new());
        }
        let roots = rewritten.iter().map(|oid| effects.root_of(before, after, *oid));
        let all: BTreeSet<u32> = rewritten.iter().copied().chain(roots).collect();
        let facts = facts::read(self.worker.session(), all).await?;
        let lift: Vec<String> = facts.values().filter_map(|table| table.force(false)).collect();
        self.send(&joined([vec![copy::PLAIN.to_owned()], lift].concat())).await?;
        let one = |table: &Table| format!("SELECT {} WHERE NOT EXISTS (SELECT FROM {})", table.oid, table.rows());
        let query: Vec<String> = facts.values().map(one).collect();
        let rows = self.ask(&query.join(" UNION ALL ")).await?;
        Ok(rows.into_iter().flatten().flatten().filter_map(|oid| oid.parse().ok()).collect())
    }

    /// The keys that tables have after the script, where it neither adds nor deletes rows. Of a table that some rows were
    /// taken out of, these may bear one twice.
    async fn later(&self, effects: &Effects) -> Result<BTreeMap<u32, Vec<Vec<i16>>>, Stop> {
        let still = |(oid, change): &(&u32, &Change)| {
            change.keeps_rows() && !change.gone && !self.ids.iter().any(|(_, of)| of == *oid)
        };
        let oids = effects.tables.iter().filter(still).map(|(oid, _)| *oid);
        let facts = facts::read(self.worker.session(), oids).await?;
        Ok(facts.into_iter().map(|(oid, table)| (oid, table.keys)).collect())
    }

    /// Those of these keys that no two rows bear before the script either, as far as they are needed.
    async fn unique(
        &self,
        mut later: BTreeMap<u32, Vec<Vec<i16>>>,
        facts: &BTreeMap<u32, Table>,
        effects: &Effects,
    ) -> Result<BTreeMap<u32, Vec<Vec<i16>>>, Stop> {
        for (oid, keys) in &mut later {
            let (Some(table), Some(change)) = (facts.get(oid), effects.tables.get(oid)) else { continue };
            let mut unique = Vec::new();
            let needed = key(table, &change.dropped, &change.retyped).whole;
            for key in keys.drain(..).filter(|key| needed && key.iter().all(|number| table.column(*number).is_some())) {
                let columns: Vec<String> = copy::names(table, &key).iter().map(|name| identifier(name)).collect();
                let twice = format!(
                    "SELECT 1 FROM {} GROUP BY {} HAVING pg_catalog.count(*) > 1 LIMIT 1",
                    table.rows(),
                    columns.join(", ")
                );
                if self.ask(&twice).await?.is_empty() {
                    unique.push(key);
                }
            }
            *keys = unique;
        }
        Ok(later)
    }

    /// The columns of tables whose type is one of these composite types, or holds one.
    async fn columns_of(&self, composites: &BTreeSet<u32>) -> Result<BTreeMap<u32, BTreeSet<i16>>, Stop> {
        let mut found: BTreeMap<u32, BTreeSet<i16>> = BTreeMap::new();
        if composites.is_empty() {
            return Ok(found);
        }
        let list: Vec<String> = composites.iter().map(u32::to_string).collect();
        let sql = format!(
            "WITH RECURSIVE holding (oid) AS (SELECT t.oid FROM pg_catalog.pg_type t WHERE t.typrelid IN ({}) \
             UNION SELECT t.oid FROM holding h JOIN pg_catalog.pg_type t ON t.typelem = h.oid OR t.typbasetype = h.oid \
                OR EXISTS (SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind = 'c' \
                           WHERE a.attrelid = t.typrelid AND a.atttypid = h.oid AND NOT a.attisdropped)) \
             SELECT a.attrelid, a.attnum FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
             WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.atttypid IN (SELECT h.oid FROM holding h) \
                AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''",
            list.join(", ")
        );
        for row in self.ask(&sql).await? {
            let cell = |i: usize| row.get(i).and_then(Option::as_deref);
            let Some((oid, number)) = cell(0).and_then(|o| o.parse().ok()).zip(cell(1).and_then(|n| n.parse().ok()))
            else {
                continue;
            };
            found.entry(oid).or_default().insert(number);
        }
        Ok(found)
    }

    /// What no copy can hold is refused, before anything is committed.
    async fn refuse_what_cannot_be_kept(&self, effects: &Effects) -> Result<(), Stop> {
        let why = if !effects.own.is_empty() {
            format!("it changes the schema {}, where dbbuild keeps what it gives back", copy::SCHEMA)
        } else if effects.large_objects {
            "it changes or removes large objects, which dbbuild does not keep".to_owned()
        } else if let Some(oid) = effects.foreign.first() {
            let names = facts::read(self.worker.session(), [*oid]).await?;
            let name = names.get(oid).map_or_else(String::new, |table| format!(" {}", table.id()));
            format!("it writes rows of the foreign table{name}, which lie on another server")
        } else {
            return Ok(());
        };
        Err(Error::failed(format!("what {} takes away cannot be kept", self.back.label()))
            .cause(why)
            .help("nothing was changed. Save that by hand, and take it out of the way before the migration is taken back.")
            .into())
    }
}

fn next(mode: Mode) -> Mode {
    match mode {
        Mode::Marked | Mode::Converted => Mode::All,
        Mode::All | Mode::Whole => Mode::Whole,
    }
}

/// The number that the second run's rows are told by: the only cell of the first row before the look.
fn first_number(messages: &[SimpleQueryMessage]) -> u64 {
    let cell = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) if row.len() == 1 => Some(row.get(0).and_then(|n| n.parse().ok())),
        _ => None,
    });
    cell.flatten().unwrap_or(0)
}
