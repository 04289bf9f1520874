//! Tables that a down part had filled besides the one that an entry is of: whether the up part may have brought from there
//! what somebody has written meanwhile.

use super::Giving;
use super::facts::{self, Held, Table};
use super::look::{self, Standing};
use crate::engine::attic::elsewhere::ELSEWHERE;
use crate::engine::attic::stored::{Answer, cell, rows as query};
use crate::engine::attic::text::digest;
use crate::engine::session::Session;
use crate::model::attic::Kind;
use crate::model::sql::literal;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// One of them, as it stood before the up part.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub table: Table,
    /// What stood for its rows when the down part had filled it.
    left: String,
    /// Nobody has changed a row of it since.
    pub as_left: bool,
}

/// Those of an entry that are there still.
pub(super) async fn places(session: &Session, held: &Held) -> Answer<Vec<Place>> {
    let mut places = Vec::new();
    let noted = held.entry.details.get(ELSEWHERE).and_then(serde_json::Value::as_array);
    for one in noted.into_iter().flatten() {
        let text = |n: usize| one.get(n).and_then(serde_json::Value::as_str).unwrap_or_default();
        if let Some(table) = facts::table(session, text(0), text(1)).await? {
            places.push(Place { table, left: text(2).to_owned(), as_left: false });
        }
    }
    Ok(places)
}

/// Compares them with what the down part had left.
pub(super) async fn compare(session: &Session, all: &mut BTreeMap<i64, Vec<Place>>) -> Answer<()> {
    let mut digests: BTreeMap<u32, Option<String>> = BTreeMap::new();
    for place in all.values_mut().flatten() {
        if let Entry::Vacant(slot) = digests.entry(place.table.oid) {
            let plain = place.table.columns.iter().filter(|column| !column.generated);
            let names: Vec<&str> = plain.map(|column| column.name.as_str()).collect();
            slot.insert(cell(session, &digest(&place.table.only(), &names)).await?);
        }
        place.as_left = digests.get(&place.table.oid).is_some_and(|now| now.as_deref() == Some(&place.left));
    }
    Ok(())
}

impl Giving {
    /// Sees which entries' rows and values may have come from where somebody had written them.
    pub(super) async fn see_moved(&mut self, session: &Session) -> Answer<()> {
        let now = if self.stood.is_empty() { Standing::new() } else { look::standing(session).await? };
        let robbed = |(oid, was): &(&String, &look::Counts)| {
            was.holds && now.get(*oid).is_none_or(|is| is.deleted != was.deleted || !is.holds)
        };
        let robbed: BTreeSet<&String> = self.stood.iter().filter(robbed).map(|(oid, _)| oid).collect();
        let none = (BTreeSet::new(), Vec::new());
        let (mut moved, mut wary) = (BTreeSet::new(), BTreeSet::new());
        for held in &self.held {
            let id = held.entry.id;
            let carriers = self.carriers.get(&id).unwrap_or(&none.0);
            let places = self.places.get(&id).unwrap_or(&none.1);
            let known =
                |oid: &String| carriers.contains(oid) || places.iter().any(|place| place.table.oid.to_string() == *oid);
            let mut taken = robbed.iter().any(|oid| !known(oid));
            if taken {
                moved.insert(id);
            }
            // A new column is filled from somewhere; what an older one gets is more often made of its own values.
            let by_update = held.entry.kind == Kind::Column;
            for place in places.iter().filter(|place| !place.as_left) {
                taken = taken || !self.shares || self.is_taken_from(session, place, &now, by_update).await?;
            }
            if taken {
                wary.insert(id);
            }
        }
        (self.moved, self.wary) = (moved, wary);
        Ok(())
    }

    /// Whether the up part has taken something away from a table: the table itself, unless it made it anew, columns, rows
    /// or values.
    async fn is_taken_from(&self, session: &Session, place: &Place, now: &Standing, by_update: bool) -> Answer<bool> {
        let oid = place.table.oid.to_string();
        if let Some((was, is)) = self.stood.get(&oid).zip(now.get(&oid))
            && (was.deleted != is.deleted || (by_update && was.updated != is.updated))
        {
            return Ok(true);
        }
        let sql = format!(
            "SELECT a.attname FROM pg_catalog.pg_attribute a WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid = \
             coalesce((SELECT c.oid FROM pg_catalog.pg_class c WHERE c.oid = {oid}), pg_catalog.to_regclass({}))",
            literal(&place.table.sql())
        );
        let names: BTreeSet<String> = query(session, &sql).await?.into_iter().flatten().flatten().collect();
        Ok(!place.table.columns.iter().all(|column| names.contains(&column.name)))
    }
}
