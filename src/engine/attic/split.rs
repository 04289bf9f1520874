//! After the second run: which of the copied rows are gone, which values changed, and whether the counters agree.

use super::copy;
use super::facts::{self, Table};
use super::keeping::{Keeping, Stop, joined};
use super::plan::{Key, Mode, Plan, Watched};
use super::record::{New, counts, types};
use crate::model::attic::effect::Effects;
use crate::model::attic::{Kind, Reason};
use std::collections::BTreeMap;

/// What is known after the second run.
pub(super) struct Second<'s> {
    pub plan: &'s Plan,
    /// As the tables stood before it.
    pub facts: &'s BTreeMap<u32, Table>,
    /// What it did.
    pub done: &'s Effects,
    /// Digests from before it, by table.
    pub digests: &'s BTreeMap<u32, Vec<Option<String>>>,
    /// Rows that it wrote are of this transaction or a later one.
    pub fresh: u64,
}

/// What the comparison of one table came to.
#[derive(Default)]
struct Compared {
    /// Rows are gone, or may be.
    gone: Option<Reason>,
    /// Columns whose values differ.
    changed: Vec<i16>,
    /// There is no key, and rows were written anew.
    exchanged: bool,
    /// The counters do not agree.
    wrong: bool,
}

impl Compared {
    /// How many entries it makes.
    fn entries(&self) -> usize {
        usize::from(self.gone.is_some()) + usize::from(!self.changed.is_empty() || self.exchanged)
    }
}

impl Keeping<'_, '_> {
    /// Keeps what the second run took away of tables that stay. Returns those whose copies do not account for what the
    /// counters say.
    pub(super) async fn settle(&mut self, second: &Second<'_>) -> Result<Vec<(u32, Mode)>, Stop> {
        let watched = &second.plan.watched;
        if watched.is_empty() {
            return Ok(Vec::new());
        }
        let now = facts::read(self.worker.session(), watched.iter().map(|one| one.oid)).await?;
        let lift: Vec<String> = now.values().filter_map(|table| table.force(false)).collect();
        self.send(&joined([vec![copy::PLAIN.to_owned()], lift].concat())).await?;
        let (mut wrong, mut statements, mut entries) = (Vec::new(), Vec::new(), Vec::new());
        for one in watched {
            let (Some(table), Some(is)) = (second.facts.get(&one.oid), now.get(&one.oid)) else {
                wrong.push((one.oid, Mode::All));
                continue;
            };
            let compared = self.compare(second, one, table, is).await?;
            if compared.wrong {
                wrong.push((one.oid, one.mode));
                continue;
            }
            let fresh = (one.mode == Mode::Marked).then_some(second.fresh);
            let mut ids = self.ids(compared.entries()).await?.into_iter();
            let new = |id: i64, kind, reason, columns: Vec<i16>, key| New {
                id,
                kind,
                reason,
                table,
                details: types(table, &columns),
                columns,
                key,
                rows: 0,
            };
            if compared.exchanged {
                let (Some(values), Some(rows)) = (ids.next(), ids.next()) else { continue };
                let (shared, exchange, rest) = copy::exchanged(one, table, is, (values, rows), fresh);
                statements.extend([exchange, rest]);
                let none = Key { columns: Vec::new(), whole: true };
                entries.push(new(values, Kind::Value, Reason::Changed, shared, none));
                entries.push(new(rows, Kind::Row, Reason::Deleted, one.columns.clone(), one.key.clone()));
                continue;
            }
            if let Some((reason, id)) = compared.gone.and_then(|reason| Some((reason, ids.next()?))) {
                statements.push(copy::gone(one, table, is, id, fresh));
                entries.push(new(id, Kind::Row, reason, one.columns.clone(), one.key.clone()));
            }
            if let Some(id) = ids.next() {
                let (key, statement) = copy::values(one, table, is, &compared.changed, id);
                statements.push(statement);
                let narrowed = compared.changed.iter().all(|number| one.converted.contains(number));
                let reason = if narrowed { Reason::Narrowed } else { Reason::Changed };
                entries.push(new(id, Kind::Value, reason, compared.changed, key));
            }
        }
        if !wrong.is_empty() {
            return Ok(wrong);
        }
        if !statements.is_empty() {
            let kept = counts(&self.send(&joined(statements.clone())).await?);
            self.verify(&statements).await?;
            entries.iter_mut().zip(kept).for_each(|(entry, rows)| entry.rows = rows);
            self.record(entries).await?;
        }
        let back: Vec<String> = now.values().filter_map(|table| table.force(true)).collect();
        let drop: Vec<String> =
            watched.iter().map(|one| format!("DROP TABLE {}", copy::scratch_name(one.oid))).collect();
        self.send(&joined([back, drop, vec![copy::NORMAL.to_owned()]].concat())).await?;
        Ok(wrong)
    }

    async fn compare(&self, second: &Second<'_>, one: &Watched, table: &Table, is: &Table) -> Result<Compared, Stop> {
        let sum = |n: usize| -> u64 {
            one.members.iter().filter_map(|oid| second.done.tables.get(oid)).map(|change| change.counts[n]).sum()
        };
        let (inserted, updated, deleted) = (sum(0), sum(1), sum(2));
        if one.key.whole && one.mode != Mode::Converted {
            let mut wrong = false;
            if one.mode == Mode::Marked {
                let rows = self.ask(&copy::count_marked(one, is, second.fresh)).await?;
                wrong = (number(&rows, 0), number(&rows, 1)) != (updated + deleted, inserted + updated);
            }
            let reason = if updated == 0 { Reason::Deleted } else { Reason::Changed };
            return Ok(Compared {
                gone: Some(reason),
                exchanged: updated > 0 || one.mode == Mode::All,
                changed: Vec::new(),
                wrong,
            });
        }
        if let (Mode::Converted, Some(digest)) = (one.mode, second.digests.get(&one.oid)) {
            let gone = second.done.tables.get(&one.oid).map(|change| &change.dropped);
            let left_out =
                |number: &i16| one.converted.contains(number) || gone.is_some_and(|gone| gone.contains(number));
            let numbers: Vec<i16> =
                table.plain().map(|column| column.number).filter(|number| !left_out(number)).collect();
            let rows = self.ask(&copy::digest(is, &numbers)).await?;
            if rows.first() != Some(digest) {
                return Ok(Compared { wrong: true, ..Compared::default() });
            }
        }
        let (compared, query) = copy::count(one, table, is, second.fresh);
        let rows = self.ask(&query).await?;
        let (missing, fresh) = (number(&rows, 0), number(&rows, 1));
        let differs = |(n, _): &(usize, &i16)| number(&rows, n + 2) > 0;
        let changed: Vec<i16> = compared.iter().enumerate().filter(differs).map(|(_, number)| *number).collect();
        let wrong = match one.mode {
            Mode::Marked => missing + fresh != updated + deleted,
            Mode::Converted => missing > 0 || changed.iter().any(|number| !one.converted.contains(number)),
            Mode::All | Mode::Whole => false,
        };
        let moved = updated > 0 || one.key.columns.iter().any(|number| one.converted.contains(number));
        let reason = if missing > deleted && moved { Reason::Changed } else { Reason::Deleted };
        Ok(Compared { gone: (missing > 0).then_some(reason), changed, exchanged: false, wrong })
    }
}

fn number(rows: &[Vec<Option<String>>], at: usize) -> u64 {
    rows.first().and_then(|row| row.get(at)?.as_deref()?.parse().ok()).unwrap_or(0)
}
