//! Values and rows that a down part takes out of a table may go into others. Which tables it has filled is noted, and what it
//! left there: the up part may take from there what somebody has written meanwhile.

use super::facts::Table;
use super::keeping::{Keeping, Stop, joined};
use super::text::digest;
use crate::model::attic::Kind;
use crate::model::sql::literal;
use serde_json::{Value, json};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// In the details of an entry: the tables, each with its schema, its name, a digest of its rows and its columns.
pub(super) const ELSEWHERE: &str = "elsewhere";

impl Keeping<'_, '_> {
    /// Notes it for the entries from `from` on. `facts` are of before the script, `now` of after it.
    pub(super) async fn note_elsewhere(
        &self,
        from: usize,
        facts: &BTreeMap<u32, Table>,
        now: &BTreeMap<u32, Table>,
        filled: &BTreeSet<u32>,
    ) -> Result<(), Stop> {
        let mut noted: BTreeMap<u32, Value> = BTreeMap::new();
        let mut statements = Vec::new();
        for (entry, (id, oid)) in self.entries.iter().zip(&self.ids).skip(from) {
            if matches!(entry.kind, Kind::Table | Kind::Sequence) {
                continue;
            }
            let own = |one: &u32| {
                one == oid || facts.get(oid).is_some_and(|table| table.parts.iter().any(|part| part.0 == *one))
            };
            let mut places = Vec::new();
            for table in filled.iter().filter(|one| !own(one)).filter_map(|one| now.get(one)) {
                if let Entry::Vacant(noted) = noted.entry(table.oid) {
                    let names: Vec<&str> = table.plain().map(|column| column.name.as_str()).collect();
                    let rows = self.ask(&digest(&table.rows(), &names)).await?;
                    let digest = rows.into_iter().flatten().flatten().next();
                    noted.insert(json!([table.schema, table.name, digest, names]));
                }
                places.extend(noted.get(&table.oid).cloned());
            }
            if !places.is_empty() {
                statements.push(format!(
                    "UPDATE dbbuild_attic.entry SET details = details || {}::pg_catalog.jsonb WHERE id = {id}",
                    literal(&json!({ ELSEWHERE: places }).to_string())
                ));
            }
        }
        if !statements.is_empty() {
            self.send(&joined(statements)).await?;
        }
        Ok(())
    }
}
