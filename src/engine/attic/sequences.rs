//! Positions of sequences. No rollback brings back what `nextval` and `setval` did, and others use a sequence without a lock
//! on its table. `ALTER SEQUENCE` with the increment that it has gives it another file, which goes with the transaction,
//! and lets nobody else take a number until that ends.

use super::facts::Table;
use super::keeping::{Keeping, Stop};
use super::plan::Plan;
use crate::engine::runner::{Unit, Worker};
use crate::error::Result;
use crate::model::attic::effect::{Look, Relation};
use crate::model::sql::{StatementKind, literal};
use std::collections::BTreeMap;

const NAMED: &str = include_str!("sequences.sql");

impl Keeping<'_, '_> {
    /// Statements that hold the sequences which a script, or a function that it names, may set: those that they name, and
    /// those of tables that they name.
    pub(super) async fn holds(&self, unit: &Unit<'_>) -> Result<Vec<String>, Stop> {
        let calls = unit.body.statements.iter().any(|statement| matches!(statement.kind, StatementKind::Writes));
        if !calls && !unit.body.text.to_ascii_lowercase().contains("setval") {
            return Ok(Vec::new());
        }
        let rows = self.ask(&NAMED.replace("{script}", &literal(&unit.body.text))).await?;
        Ok(rows.into_iter().flatten().flatten().collect())
    }

    /// Where sequences stand; to be called when nobody else can move them. Those that were never used are left out.
    pub(super) async fn positions(
        &self,
        plan: &Plan,
        facts: &BTreeMap<u32, Table>,
        before: &Look,
    ) -> Result<Vec<(u32, serde_json::Value)>, Stop> {
        let asked: Vec<&Table> = plan.sequences.keys().filter_map(|oid| facts.get(oid)).collect();
        let query = |table: &&Table| format!("SELECT {}, s.last_value, s.is_called FROM {} s", table.oid, table.id());
        let queries: Vec<String> = asked.iter().map(query).collect();
        if queries.is_empty() {
            return Ok(Vec::new());
        }
        let mut positions = Vec::new();
        for row in self.ask(&queries.join(" UNION ALL ")).await? {
            let [Some(oid), Some(at), Some(called)] = row.as_slice() else { continue };
            let (Ok(oid), Ok(at)) = (oid.parse::<u32>(), at.parse::<i64>()) else { continue };
            let Some(table) = facts.get(&oid) else { continue };
            let before = before.relations.get(&oid).and_then(|relation| relation.position);
            let Some((at, called)) = furthest(before, (at, called == "t"), table.start) else { continue };
            let owner =
                table.sequence.as_ref().map(|(_, schema, table, column)| serde_json::json!([schema, table, column]));
            positions.push((oid, serde_json::json!({ "last_value": at, "is_called": called, "owned_by": owner })));
        }
        Ok(positions)
    }
}

/// The position to keep. A run that nothing held may have set it back, and others may have moved it on.
fn furthest(before: Option<(i64, bool)>, now: (i64, bool), start: Option<i64>) -> Option<(i64, bool)> {
    match before {
        Some((at, up)) if (now.0 == at) || (now.0 < at) == up => Some((at, true)),
        None if !now.1 && Some(now.0) == start => None,
        _ => Some(now),
    }
}

/// Puts sequences that the script had set back to where they stood, as far as nothing held them. To be called after a
/// rollback.
///
/// # Errors
/// The server said no.
pub(in crate::engine) async fn restore_positions(worker: &Worker<'_>, first: Option<&Look>) -> Result<()> {
    let used = |(oid, relation): (&u32, &Relation)| relation.position.map(|(at, up)| format!("({oid}, {at}, {up})"));
    let positions: Vec<String> = first.iter().flat_map(|look| &look.relations).filter_map(used).collect();
    if positions.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "SELECT pg_catalog.setval(c.oid, w.at) FROM (VALUES {}) w (oid, at, up) \
         JOIN pg_catalog.pg_class c ON c.oid = w.oid AND c.relkind = 'S', pg_catalog.pg_sequence_last_value(c.oid) is_at (at) \
         WHERE is_at.at IS NULL OR CASE WHEN w.up THEN is_at.at < w.at ELSE is_at.at > w.at END",
        positions.join(", ")
    );
    worker.execute(&sql).await
}

#[cfg(test)]
mod tests {
    use super::furthest;

    #[test]
    fn a_sequence_is_kept_where_it_stood_furthest() {
        assert_eq!(furthest(Some((7, true)), (9, true), Some(1)), Some((9, true)));
        assert_eq!(furthest(Some((7, true)), (1, true), Some(1)), Some((7, true)));
        assert_eq!(furthest(Some((7, true)), (7, false), Some(1)), Some((7, true)));
        assert_eq!(furthest(Some((-7, false)), (-9, true), Some(-1)), Some((-9, true)));
        assert_eq!(furthest(Some((-7, false)), (-1, true), Some(-1)), Some((-7, true)));
        assert_eq!(furthest(None, (1, false), Some(1)), None);
        assert_eq!(furthest(None, (5, false), Some(1)), Some((5, false)));
        assert_eq!(furthest(None, (1, true), Some(1)), Some((1, true)));
    }
}
