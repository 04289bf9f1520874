//! What to keep, decided from what a script did when it ran the first time. Pure.

use super::facts::Table;
use crate::model::attic::effect::{Change, Effects, Look, ancestors};
use crate::model::attic::{Kind, Reason};
use std::collections::{BTreeMap, BTreeSet};

/// How rows are found again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// Numbers of the columns.
    pub columns: Vec<i16>,
    /// There is no key: the columns are all others, and equal rows are numbered.
    pub whole: bool,
}

/// What is kept as it stands before the second run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub oid: u32,
    pub kind: Kind,
    pub reason: Reason,
    /// Numbers of the kept columns.
    pub columns: Vec<i16>,
    pub key: Key,
}

/// How much of a table is copied before the second run, to be compared with what is left after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mode {
    /// The rows that the first run touched: it left its mark on them.
    Marked,
    /// Key and converted columns; that the others stay is told by a digest.
    Converted,
    /// Everything.
    All,
    /// Everything, and it is kept whole: what became of single rows cannot be told.
    Whole,
}

/// A table that stays, while its rows or values do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Watched {
    /// The table, or the partitioned table above those that changed.
    pub oid: u32,
    /// Those that changed.
    pub members: BTreeSet<u32>,
    pub mode: Mode,
    pub key: Key,
    /// Numbers of the copied columns.
    pub columns: Vec<i16>,
    /// Numbers of the columns whose values were converted.
    pub converted: BTreeSet<i16>,
}

/// Everything that is to be kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub wanted: Vec<Wanted>,
    pub watched: Vec<Watched>,
    /// Sequences; true where dropped.
    pub sequences: BTreeMap<u32, bool>,
}

/// What the plan is made from.
pub(super) struct Found<'f> {
    pub effects: &'f Effects,
    pub before: &'f Look,
    pub after: &'f Look,
    pub facts: &'f BTreeMap<u32, Table>,
    /// Tables that hold no row after the first run.
    pub emptied: &'f BTreeSet<u32>,
    /// The keys after the first run, of tables that it neither added rows to nor deleted any from.
    pub later: &'f BTreeMap<u32, Vec<Vec<i16>>>,
    /// Columns of types that lost something, by table.
    pub shrunk: &'f BTreeMap<u32, BTreeSet<i16>>,
    /// Tables for which another way had failed.
    pub modes: &'f BTreeMap<u32, Mode>,
}

/// The relations whose facts a plan needs.
pub(super) fn needed(effects: &Effects, before: &Look) -> BTreeSet<u32> {
    let tables = effects.tables.keys().flat_map(|oid| std::iter::once(*oid).chain(ancestors(before, *oid)));
    tables.chain(effects.sequences.keys().copied()).collect()
}

impl Found<'_> {
    fn root(&self, oid: u32) -> u32 {
        self.effects.root_of(self.before, self.after, oid)
    }

    fn is_gone(&self, oid: u32) -> bool {
        self.effects.tables.get(&oid).is_some_and(|change| change.gone)
    }

    /// The emptied table that a table's rows are kept with.
    fn emptied(&self, oid: u32) -> Option<u32> {
        let root = self.root(oid);
        [root, oid].into_iter().find(|oid| self.emptied.contains(oid))
    }

    fn dropped_names(&self, oid: u32) -> BTreeSet<&str> {
        let Some((change, table)) = self.effects.tables.get(&oid).zip(self.facts.get(&oid)) else {
            return BTreeSet::new();
        };
        let names = change.dropped.iter().filter_map(|number| table.column(*number));
        names.map(|column| column.name.as_str()).collect()
    }

    /// The plan.
    pub fn plan(&self) -> Plan {
        let mut plan = Plan { sequences: self.effects.sequences.clone(), ..Plan::default() };
        let mut units: BTreeMap<u32, Watched> = BTreeMap::new();
        for (oid, change) in &self.effects.tables {
            let Some(table) = self.facts.get(oid) else { continue };
            let parent = self.before.relations.get(oid).and_then(|relation| relation.parent);
            if change.gone {
                if !parent.is_some_and(|parent| self.is_gone(parent)) {
                    plan.wanted.push(whole(table, Reason::Dropped));
                }
                continue;
            }
            if let Some(emptied) = self.emptied(*oid).filter(|_| change.rewritten) {
                let entry = self.facts.get(&emptied).map(|table| whole(table, Reason::Emptied));
                plan.wanted.extend(entry.filter(|entry| !plan.wanted.contains(entry)));
                continue;
            }
            let above = parent.map(|parent| self.dropped_names(parent)).unwrap_or_default();
            let own = |number: &i16| table.column(*number).is_some_and(|column| !above.contains(column.name.as_str()));
            let columns: Vec<i16> = change.dropped.iter().copied().filter(own).collect();
            if !columns.is_empty() {
                let key = self.key(table, &change.dropped, &change.retyped);
                let key = if key.whole { Key { columns: rest(table, &change.dropped), whole: true } } else { key };
                plan.wanted.push(Wanted { oid: *oid, kind: Kind::Column, reason: Reason::Dropped, columns, key });
            }
            if change.touched() > 0 || change.rewritten {
                let mode = match (change.rewritten, change.touched()) {
                    (false, _) => Mode::Marked,
                    (true, 0) => Mode::Converted,
                    (true, _) => Mode::All,
                };
                self.watch(&mut units, *oid, mode);
            }
        }
        for oid in self.shrunk.keys().filter(|oid| !self.is_gone(**oid)) {
            self.watch(&mut units, *oid, Mode::Converted);
        }
        for mut watched in units.into_values() {
            let Some(table) = self.facts.get(&watched.oid) else { continue };
            self.complete(&mut watched, table);
            match watched.mode {
                Mode::Whole => plan.wanted.push(whole(table, Reason::Changed)),
                _ => plan.watched.push(watched),
            }
        }
        plan
    }

    /// The same as [`key`], or a key that the script makes of columns which stand there before it and stay as they are.
    fn key(&self, table: &Table, dropped: &BTreeSet<i16>, converted: &BTreeSet<i16>) -> Key {
        let own = key(table, dropped, converted);
        let root = self.root(table.oid);
        let touched = |(oid, change): (&u32, &Change)| !change.keeps_rows() && self.root(*oid) == root;
        if !own.whole || self.effects.tables.iter().any(touched) {
            return own;
        }
        let stands =
            |number: &i16| table.column(*number).is_some_and(|column| !column.generated) && !converted.contains(number);
        let later = self.later.get(&table.oid).into_iter().flatten().find(|key| key.iter().all(stands));
        later.map_or(own, |columns| Key { columns: columns.clone(), whole: false })
    }

    fn watch(&self, units: &mut BTreeMap<u32, Watched>, member: u32, mode: Mode) {
        let oid = self.root(member);
        let unit = units.entry(oid).or_insert_with(|| Watched {
            oid,
            members: BTreeSet::new(),
            mode,
            key: Key { columns: Vec::new(), whole: true },
            columns: Vec::new(),
            converted: BTreeSet::new(),
        });
        unit.members.insert(member);
        // Some partitions touched and others converted: only all of it tells.
        unit.mode = if unit.mode == mode { mode } else { Mode::All };
    }

    fn complete(&self, watched: &mut Watched, table: &Table) {
        if let Some(mode) = self.modes.get(&watched.oid) {
            watched.mode = watched.mode.max(*mode);
        }
        let none = BTreeSet::new();
        let change = self.effects.tables.get(&watched.oid);
        let dropped = change.map_or(&none, |change| &change.dropped);
        watched.converted = change.map(|change| change.retyped.clone()).unwrap_or_default();
        watched.converted.extend(self.shrunk.get(&watched.oid).into_iter().flatten());
        watched.key = self.key(table, dropped, &watched.converted);
        watched.columns = match watched.mode {
            Mode::Converted if !watched.key.whole => {
                let both = watched.key.columns.iter().chain(&watched.converted).copied().collect::<BTreeSet<i16>>();
                both.into_iter().collect()
            }
            Mode::Converted => rest(table, dropped),
            _ => table.plain().map(|column| column.number).collect(),
        };
    }
}

/// Every row of a table.
fn whole(table: &Table, reason: Reason) -> Wanted {
    let columns: Vec<i16> = table.plain().map(|column| column.number).collect();
    let key = key(table, &BTreeSet::new(), &BTreeSet::new());
    Wanted { oid: table.oid, kind: Kind::Table, reason, columns, key }
}

/// The best key that a row keeps: one whose columns stay and stay as they are, else one whose columns stay.
pub(super) fn key(table: &Table, dropped: &BTreeSet<i16>, converted: &BTreeSet<i16>) -> Key {
    let stays = |key: &&Vec<i16>, gone: &BTreeSet<i16>| !key.iter().any(|number| gone.contains(number));
    let staying = || table.keys.iter().filter(|key| stays(key, dropped));
    match staying().find(|key| stays(key, converted)).or_else(|| staying().next()) {
        Some(columns) => Key { columns: columns.clone(), whole: false },
        None => Key { columns: Vec::new(), whole: true },
    }
}

/// The columns of a row that are not gone.
fn rest(table: &Table, gone: &BTreeSet<i16>) -> Vec<i16> {
    table.plain().map(|column| column.number).filter(|number| !gone.contains(number)).collect()
}
