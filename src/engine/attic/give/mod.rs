//! Giving back: what was kept of a migration, put back in the transaction in which that migration is applied again.
//!
//! It works in two steps: a look before the up part runs, which tells what was changed since the down part, and the
//! giving after it. What the up part itself fills in is no conflict. What was in conflict and was not decided is given
//! back later, when a person asks for that or by the next up part: then whatever stands counts. It runs no script and
//! writes no row of the version table, and begins and ends no transaction.

mod elsewhere;
mod facts;
mod fast;
mod look;
mod places;
mod quiet;
mod range;
mod rows;
mod settle;
mod values;

pub use look::Look;

use super::stored::{self, Answer, rows as query};
use super::text::PINS;
use crate::engine::session::Session;
use crate::model::attic::given::{Given, OnConflict, groups, is_of_rows};
use crate::model::attic::{Entry, Kind};
use facts::{Held, Table};
use std::collections::{BTreeMap, BTreeSet};

/// What an entry's rows are settled as, row by row: `why` tells of a conflict, null of something that stands already. Where
/// all tables are published, none without an identity may be written to.
const LOOK: &str = "CREATE TABLE IF NOT EXISTS dbbuild_attic.look \
    (entry bigint NOT NULL, kept tid NOT NULL, stood boolean NOT NULL, why text); \
    ALTER TABLE dbbuild_attic.look REPLICA IDENTITY FULL";

/// Tables of the user's by schema and name, as far as entries name them.
type Tables = BTreeMap<(String, String), Table>;

/// Entries of the attic that belong to a migration which is about to be applied.
#[derive(Debug)]
pub struct Giving {
    held: Vec<Held>,
    /// Tables as they were before the up part, under the names of then.
    before: Tables,
    /// All tables that there were before the up part, whatever their names.
    stood: look::Standing,
    /// Of entries whose rows the down part may have put elsewhere: the tables that it put rows into.
    carriers: BTreeMap<i64, BTreeSet<String>>,
    /// Entries whose rows may be somebody's, since the up part took rows away from tables that the down part had not filled.
    moved: BTreeSet<i64>,
    /// Of other entries: the tables that the down part had filled besides.
    places: BTreeMap<i64, Vec<elsewhere::Place>>,
    /// Entries whose rows and values the up part may have brought from where somebody had written.
    wary: BTreeSet<i64>,
    /// Of entries whose rows the down part may have put elsewhere: whether that stands as it left it.
    untouched: BTreeMap<i64, bool>,
    /// The checksum of the migration as it is applied now.
    checksum: String,
    /// The up part shares the transaction: what stands after it alone is its own making.
    shares: bool,
    /// There is no up part: the migration was applied before.
    later: bool,
    on_conflict: OnConflict,
}

/// Which entries are given back.
#[derive(Debug, Clone)]
pub enum Of {
    /// Those of the versions that the migration stands for, with its up part.
    Versions(Vec<String>),
    /// These, of migrations that are applied.
    Entries(Vec<i64>),
}

/// How to give back.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// What.
    pub of: Of,
    /// The checksum of its file.
    pub checksum: String,
    /// Whether its up part runs in the very transaction.
    pub shares: bool,
    /// What becomes of conflicts.
    pub on_conflict: OnConflict,
}

impl Giving {
    /// Reads the entries, and the tables as they stand.
    pub(super) async fn open(session: &Session, wanted: &Wanted) -> Answer<Giving> {
        let mut held = Vec::new();
        let entries = match &wanted.of {
            Of::Versions(versions) => stored::of_versions(session, versions).await?,
            Of::Entries(ids) => stored::of_ids(session, ids).await?,
        };
        for entry in entries {
            held.push(facts::held(session, entry).await?);
        }
        let before = tables(session, held.iter().map(Held::left)).await?;
        Ok(Giving {
            held,
            before,
            stood: BTreeMap::new(),
            carriers: BTreeMap::new(),
            moved: BTreeSet::new(),
            places: BTreeMap::new(),
            wary: BTreeSet::new(),
            untouched: BTreeMap::new(),
            checksum: wanted.checksum.clone(),
            shares: wanted.shares,
            later: matches!(wanted.of, Of::Entries(_)),
            on_conflict: wanted.on_conflict,
        })
    }

    /// Gives back, in the transaction that is open, after the up part. Returns what became of each entry.
    ///
    /// # Errors
    /// The server said no to something that is no conflict of single rows.
    pub async fn give(&mut self, session: &Session) -> Answer<Vec<Given>> {
        session.simple_raw("SET CONSTRAINTS ALL IMMEDIATE").await?;
        pin(session).await?;
        self.see_moved(session).await?;
        session.simple_raw(LOOK).await?;
        let now = tables(session, self.held.iter().map(|held| place(&held.entry))).await?;
        let mut whole: BTreeMap<i64, String> = BTreeMap::new();
        let mut ready: Vec<(&Held, &Table)> = Vec::new();
        for held in self.held.iter().filter(|held| held.entry.kind != Kind::Sequence) {
            match self.fits(held, &now) {
                Ok(table) => ready.push((held, table)),
                Err(why) => drop(whole.insert(held.entry.id, why)),
            }
        }
        let touched: Vec<&Table> =
            now.values().filter(|table| ready.iter().any(|(_, of)| of.oid == table.oid)).collect();
        quiet::lock(session, &touched).await?;
        let mut aside = quiet::aside(session, &touched).await?;
        let refers = references(session, &touched).await?;
        for group in groups(touched.len(), &refers) {
            let circular = group.iter().any(|one| refers.iter().any(|(from, to)| from == one && group.contains(to)));
            let group: Vec<&Table> = group.into_iter().filter_map(|n| touched.get(n).copied()).collect();
            let of = |rows: bool| -> Vec<(&Held, &Table)> {
                let mine = |(held, table): &&(&Held, &Table)| {
                    is_of_rows(held.entry.kind) == rows && group.iter().any(|one| one.oid == table.oid)
                };
                ready.iter().filter(mine).copied().collect()
            };
            let defer = match circular && !of(true).is_empty() {
                true => Some(aside.defer_keys(session, &group).await?),
                false => None,
            };
            for (held, table) in of(true) {
                let names: Vec<String> =
                    held.entry.columns.iter().filter(|name| !held.entry.key_columns.contains(name)).cloned().collect();
                aside.free_identities(session, table, &names).await?;
            }
            let (keys, values): (Vec<_>, Vec<_>) =
                of(false).into_iter().partition(|(held, table)| finds(held, table, &ready));
            for (held, table) in &keys {
                aside.free_identities(session, table, &held.entry.columns).await?;
                whole.extend(self.give_values(session, held, table).await?.map(|why| (held.entry.id, why)));
            }
            self.give_rows(session, &of(true), defer.as_deref()).await?;
            session.simple_raw("SET CONSTRAINTS ALL IMMEDIATE").await?;
            for (held, table) in &values {
                if self.is_vague(held) && is_stuck(session, &keys, table, &whole).await? {
                    whole.insert(held.entry.id, "its rows cannot be told before their keys are decided on".to_owned());
                    continue;
                }
                aside.free_identities(session, table, &held.entry.columns).await?;
                whole.extend(self.give_values(session, held, table).await?.map(|why| (held.entry.id, why)));
            }
        }
        let given = self.settle(session, &now, whole).await?;
        aside.back(session).await?;
        self.close(session).await?;
        Ok(given)
    }

    /// Removes what was looked at; what another migration was interrupted with stays.
    async fn close(&self, session: &Session) -> Answer<()> {
        let ids: Vec<String> = self.held.iter().map(|held| held.entry.id.to_string()).collect();
        let own = format!("DELETE FROM dbbuild_attic.look WHERE entry IN ({})", ids.join(", "));
        session.simple_raw(&own).await?;
        match stored::cell(session, "SELECT 1 FROM dbbuild_attic.look LIMIT 1").await? {
            Some(_) => Ok(()),
            None => session.simple_raw("DROP TABLE dbbuild_attic.look").await.map(|_| ()),
        }
    }

    /// Whether whatever stands in the place of a kept row or value is somebody's, even if it stands there by the up part
    /// or by a newer entry.
    fn yields(&self, held: &Held) -> bool {
        self.later || held.is_undecided()
    }

    /// The table that gets an entry, or why none can.
    fn fits<'t>(&self, held: &Held, now: &'t Tables) -> std::result::Result<&'t Table, String> {
        let entry = &held.entry;
        let table = now.get(&place(entry)).ok_or("the migration makes no such table any more")?;
        for name in &entry.columns {
            match table.column(name) {
                None => return Err(format!("the migration makes no column {name} any more")),
                Some(column) if column.generated => return Err(format!("the column {name} is generated now")),
                Some(_) => {}
            }
        }
        if held.types.is_empty() {
            return Err(format!("{} is gone from the attic", held.sql()));
        }
        Ok(table)
    }

    /// Whether all rows of a table are of the up part's making alone, in this very transaction: nobody else's are among
    /// them.
    fn is_made(&self, held: &Held, table: &Table) -> bool {
        let before = self.before.get(&held.left());
        let fresh = !self.stood.contains_key(&table.oid.to_string()) && !self.moved.contains(&held.entry.id);
        self.shares && self.untouched.get(&held.entry.id).copied().unwrap_or(before.is_none()) && fresh
    }

    /// Whether the key of an entry is one that the down part had dropped: rows bear another until it was given back.
    fn is_vague(&self, held: &Held) -> bool {
        let gone = |table: &Table| held.entry.key_columns.iter().any(|name| table.column(held.then(name)).is_none());
        self.before.get(&held.left()).is_some_and(gone)
    }

    /// Whether rows of a table may be somebody's that the up part has only carried into it: from another table or name.
    fn is_carried(&self, held: &Held, table: &Table) -> bool {
        match self.untouched.get(&held.entry.id) {
            Some(untouched) => !untouched || self.moved.contains(&held.entry.id),
            None => {
                let renamed = self.before.get(&held.left()).is_none_or(|before| before.oid != table.oid);
                self.wary.contains(&held.entry.id) || (self.stood.contains_key(&table.oid.to_string()) && renamed)
            }
        }
    }
}

/// Whether a dropped column is one that others find their rows by: then it comes first.
fn finds(held: &Held, table: &Table, all: &[(&Held, &Table)]) -> bool {
    let mine = |name: &String| held.entry.columns.contains(name);
    held.entry.kind == Kind::Column
        && all.iter().any(|(other, of)| of.oid == table.oid && other.entry.key_columns.iter().any(mine))
}

/// Whether a dropped key of a table did not come back to all of its rows.
async fn is_stuck(
    session: &Session,
    keys: &[(&Held, &Table)],
    table: &Table,
    whole: &BTreeMap<i64, String>,
) -> Answer<bool> {
    let ids: Vec<i64> = keys.iter().filter(|(_, of)| of.oid == table.oid).map(|(held, _)| held.entry.id).collect();
    let list = ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
    let left = format!(
        "SELECT 1 FROM dbbuild_attic.look WHERE entry = ANY ('{{{list}}}'::bigint[]) AND why IS NOT NULL LIMIT 1"
    );
    Ok(ids.iter().any(|id| whole.contains_key(id)) || stored::cell(session, &left).await?.is_some())
}

fn place(entry: &Entry) -> (String, String) {
    (entry.schema.clone(), entry.table.clone())
}

async fn tables(session: &Session, places: impl Iterator<Item = (String, String)>) -> Answer<Tables> {
    let mut tables = Tables::new();
    for place in places {
        if !tables.contains_key(&place)
            && let Some(table) = facts::table(session, &place.0, &place.1).await?
        {
            tables.insert(place, table);
        }
    }
    Ok(tables)
}

/// Which of the tables refer to which.
async fn references(session: &Session, tables: &[&Table]) -> Answer<Vec<(usize, usize)>> {
    let oids: Vec<String> = tables.iter().map(|table| table.oid.to_string()).collect();
    let sql = format!(
        "SELECT conrelid::text, confrelid::text FROM pg_catalog.pg_constraint WHERE contype = 'f' AND conparentid = 0 \
         AND conrelid = ANY ('{{{0}}}'::pg_catalog.oid[]) AND confrelid = ANY ('{{{0}}}'::pg_catalog.oid[])",
        oids.join(",")
    );
    let at = |oid: Option<String>| tables.iter().position(|table| Some(table.oid.to_string()) == oid);
    let found = query(session, &sql).await?.into_iter().filter_map(|row| {
        let mut row = row.into_iter();
        Some((at(row.next()?)?, at(row.next()?)?))
    });
    Ok(found.collect())
}

/// Sets what [`PINS`] says for the transaction, after a script that may have taken a role.
async fn pin(session: &Session) -> Answer<()> {
    let set: Vec<String> = PINS.iter().map(|(name, value)| format!("SET LOCAL {name} = '{value}'")).collect();
    session.simple_raw(&format!("SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; {}", set.join("; "))).await.map(|_| ())
}
