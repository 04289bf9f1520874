//! What becomes of an entry once everything was given back that could be: conflicts counted, shown and resolved, the rest
//! taken out of the attic.

use super::facts::{Held, Table, UNDECIDED, numbered};
use super::look::by_key;
use super::rows::{assignments, differs};
use super::{Giving, Tables, place, range};
use crate::engine::attic::stored::{Answer, cell, rows as query};
use crate::engine::session::Session;
use crate::model::attic::Kind;
use crate::model::attic::given::{Conflict, Given, OnConflict, is_of_rows};
use crate::model::sql::{identifier, literal, qualified};
use std::collections::BTreeMap;

/// So many conflicts of an entry are shown.
const SHOWN: usize = 10;
/// So many characters of a value are shown.
const LONGEST: usize = 60;

impl Giving {
    /// Settles all entries. `whole`: why nothing of one can be given back, which nothing but a person resolves.
    pub(super) async fn settle(
        &self,
        session: &Session,
        now: &Tables,
        mut whole: BTreeMap<i64, String>,
    ) -> Answer<Vec<Given>> {
        let mut all = Vec::new();
        for held in &self.held {
            let table = now.get(&place(&held.entry));
            let given = match held.entry.kind {
                Kind::Sequence => sequence(session, held).await?,
                _ => look(session, held, table, whole.remove(&held.entry.id)).await?,
            };
            all.push((held, table.filter(|_| given.whole.is_none() && given.conflicts > 0), given));
        }
        if self.on_conflict == OnConflict::Restore {
            // The oldest first: where several were kept of one value, the newest is what stands in the end, and the
            // others stay in the attic.
            for (held, table, _) in all.iter().rev() {
                if let Some(table) = table {
                    overwrite(session, held, table).await?;
                }
            }
            for (held, table, given) in &mut all {
                if let Some(table) = table {
                    forget_equal(session, held, table).await?;
                    given.restored = given.conflicts - in_conflict(session, held).await?;
                }
            }
        }
        let mut settled = Vec::new();
        for (held, _, mut given) in all {
            if given.whole.is_some() {
                leave(session, held).await?;
            } else if held.entry.kind != Kind::Sequence {
                if self.on_conflict == OnConflict::KeepCurrent {
                    given.dropped = given.conflicts;
                }
                take_out(session, held, given.left()).await?;
            }
            settled.push(given);
        }
        Ok(settled)
    }
}

/// What became of an entry before conflicts are resolved.
async fn look(session: &Session, held: &Held, table: Option<&Table>, whole: Option<String>) -> Answer<Given> {
    let entry = held.entry.clone();
    let mut given = Given { entry, given: 0, conflicts: 0, restored: 0, dropped: 0, examples: Vec::new(), whole: None };
    if whole.is_some() {
        return Ok(Given { conflicts: held.entry.rows, whole, ..given });
    }
    given.conflicts = in_conflict(session, held).await?;
    given.given = held.entry.rows.saturating_sub(given.conflicts);
    if given.conflicts > 0
        && let Some(table) = table
    {
        given.examples = examples(session, held, table).await?;
    }
    Ok(given)
}

async fn in_conflict(session: &Session, held: &Held) -> Answer<u64> {
    let sql = format!(
        "SELECT pg_catalog.count(DISTINCT kept) FROM dbbuild_attic.look WHERE entry = {} AND why IS NOT NULL",
        held.entry.id
    );
    Ok(cell(session, &sql).await?.and_then(|n| n.parse().ok()).unwrap_or(0))
}

/// Overwrites what stands with what was kept, where there is a row to overwrite and the server takes it.
async fn overwrite(session: &Session, held: &Held, table: &Table) -> Answer<()> {
    let Some(on) = by_key(held, table) else { return Ok(()) };
    let (set, same) = assignments(held, table);
    if set.is_empty() {
        return Ok(());
    }
    let same: String = same.iter().map(|same| format!(" AND {same}")).collect();
    let (id, only, kept) = (held.entry.id, table.only(), held.sql());
    let mine = format!(
        "EXISTS (SELECT FROM dbbuild_attic.look l WHERE l.entry = {id} AND l.kept = k.ctid AND l.stood AND l.why IS NOT NULL)"
    );
    let update =
        |range: &str| format!("UPDATE {only} t SET {set} FROM {kept} k WHERE {on} AND {range} AND {mine}{same}");
    range::over(session, held, &update, None).await
}

/// What was overwritten is in conflict no longer.
async fn forget_equal(session: &Session, held: &Held, table: &Table) -> Answer<()> {
    let Some(on) = by_key(held, table) else { return Ok(()) };
    let sql = format!(
        "DELETE FROM dbbuild_attic.look l USING {} k JOIN {} t ON {on} \
         WHERE l.entry = {} AND l.stood AND l.kept = k.ctid AND NOT {}",
        held.sql(),
        table.only(),
        held.entry.id,
        differs(held)
    );
    session.simple_raw(&sql).await.map(|_| ())
}

/// Leaves in the attic what is in conflict, if that is to stay.
async fn take_out(session: &Session, held: &Held, left: u64) -> Answer<()> {
    let id = held.entry.id;
    if left == 0 {
        let sql = format!("DROP TABLE {}; DELETE FROM dbbuild_attic.entry WHERE id = {id}", held.sql());
        return session.simple_raw(&sql).await.map(|_| ());
    }
    let sql = format!(
        "ALTER TABLE {0} REPLICA IDENTITY FULL; \
         DELETE FROM {0} k WHERE NOT EXISTS (SELECT FROM dbbuild_attic.look l WHERE l.entry = {id} \
         AND l.kept = k.ctid AND l.why IS NOT NULL); UPDATE dbbuild_attic.entry SET rows = {left} WHERE id = {id}",
        held.sql()
    );
    session.simple_raw(&sql).await?;
    leave(session, held).await
}

/// Remembers of an entry that somebody is to decide about it.
async fn leave(session: &Session, held: &Held) -> Answer<()> {
    let sql = format!(
        "UPDATE dbbuild_attic.entry SET details = coalesce(details, '{{}}') || '{{\"{UNDECIDED}\": true}}' WHERE id = {}",
        held.entry.id
    );
    session.simple_raw(&sql).await.map(|_| ())
}

async fn examples(session: &Session, held: &Held, table: &Table) -> Answer<Vec<Conflict>> {
    let entry = &held.entry;
    let short = |expressions: Vec<String>| -> String {
        let all: Vec<String> =
            expressions.iter().map(|one| format!("pg_catalog.left(({one})::text, {})", LONGEST + 1)).collect();
        format!("pg_catalog.to_jsonb(ARRAY[{}]::text[])::text", all.join(", "))
    };
    let of_rows = is_of_rows(entry.kind);
    let keys: Vec<String> = match of_rows {
        true => entry
            .key_columns
            .iter()
            .filter_map(|name| entry.columns.iter().position(|column| column == name))
            .map(|n| format!("k.v{}", n + 1))
            .collect(),
        false if entry.whole_rows => Vec::new(),
        false => numbered('k', entry.key_columns.len()).iter().map(|key| format!("k.{key}")).collect(),
    };
    let kept = numbered('v', entry.columns.len()).iter().map(|value| format!("k.{value}")).collect();
    let now = entry.columns.iter().map(|name| format!("t.{}", identifier(name))).collect();
    let on = by_key(held, table).unwrap_or_else(|| "false".to_owned());
    let sql = format!(
        "SELECT l.why, {}, {}, {}, (t.ctid IS NOT NULL)::text FROM (SELECT kept, pg_catalog.min(why) AS why FROM dbbuild_attic.look \
         WHERE entry = {} AND why IS NOT NULL GROUP BY kept ORDER BY kept LIMIT {SHOWN}) l JOIN {} k ON k.ctid = l.kept \
         LEFT JOIN {} t ON {on} ORDER BY l.kept",
        short(keys),
        short(kept),
        short(now),
        entry.id,
        held.sql(),
        table.only(),
    );
    let mut found = Vec::new();
    for row in query(session, &sql).await? {
        let cell = |i: usize| row.get(i).cloned().flatten().unwrap_or_default();
        let list = |i: usize| serde_json::from_str::<Vec<Option<String>>>(&cell(i)).unwrap_or_default();
        let stands = cell(4) == "true";
        let key: Vec<String> =
            entry.key_columns.iter().zip(list(1)).map(|(name, value)| equation(name, value)).collect();
        let values = entry.columns.iter().zip(list(2).into_iter().zip(list(3)));
        let values = values
            .filter(|(name, (kept, now))| match stands {
                true => kept != now,
                false => !of_rows || !entry.key_columns.contains(name),
            })
            .take(4)
            .map(|(name, (kept, now))| {
                let now = stands.then(|| now.map_or_else(|| "NULL".to_owned(), shorten));
                (name.clone(), kept.map(shorten), now)
            })
            .collect();
        found.push(Conflict { key: key.join(", "), values, why: cell(0) });
    }
    Ok(found)
}

fn equation(name: &str, value: Option<String>) -> String {
    format!("{name} = {}", value.map_or_else(|| "NULL".to_owned(), shorten))
}

fn shorten(value: String) -> String {
    let line = value.replace(['\n', '\r'], " ");
    match line.chars().count() > LONGEST {
        true => format!("{}…", line.chars().take(LONGEST).collect::<String>()),
        false => line,
    }
}

/// Moves a sequence to where it was, never back.
async fn sequence(session: &Session, held: &Held) -> Answer<Given> {
    let entry = &held.entry;
    let name = qualified(&entry.schema, &entry.table);
    let number = |key: &str| entry.details.get(key).and_then(serde_json::Value::as_i64);
    let called = entry.details.get("is_called").and_then(serde_json::Value::as_bool).unwrap_or(true);
    let there = format!(
        "SELECT s.seqincrement::text FROM pg_catalog.pg_sequence s WHERE s.seqrelid = pg_catalog.to_regclass({})",
        literal(&name)
    );
    let step = cell(session, &there).await?.and_then(|step| step.parse::<i64>().ok());
    let none = Given {
        entry: held.entry.clone(),
        given: 0,
        conflicts: 1,
        restored: 0,
        dropped: 0,
        examples: Vec::new(),
        whole: None,
    };
    let (Some(step), Some(kept)) = (step, number("last_value")) else {
        return Ok(Given { whole: Some("the migration makes no such sequence any more".to_owned()), ..none });
    };
    let row = query(session, &format!("SELECT last_value::text, is_called::text FROM {name}")).await?;
    let row: Vec<String> = row.into_iter().flatten().flatten().collect();
    let now = row.first().and_then(|now| now.parse::<i64>().ok()).unwrap_or(kept);
    let now_called = row.get(1).is_some_and(|called| called == "true");
    if is_further((kept, called), (now, now_called), step) {
        let set = format!("SELECT pg_catalog.setval({}::pg_catalog.regclass, {kept}, {called})", literal(&name));
        session.simple_raw(&set).await?;
    }
    session.simple_raw(&format!("DELETE FROM dbbuild_attic.entry WHERE id = {}", held.entry.id)).await?;
    Ok(Given { given: 1, conflicts: 0, ..none })
}

/// Whether a position lies further in the direction of the sequence.
fn is_further(kept: (i64, bool), now: (i64, bool), step: i64) -> bool {
    let further = if step < 0 { kept.0 < now.0 } else { kept.0 > now.0 };
    further || (kept.0 == now.0 && kept.1 && !now.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_never_set_back() {
        assert!(is_further((7, true), (3, true), 1) && !is_further((3, true), (7, true), 1));
        assert!(is_further((-7, true), (-3, true), -1) && !is_further((7, true), (3, true), -2));
        assert!(is_further((5, true), (5, false), 1) && !is_further((5, false), (5, true), 1));
    }

    #[test]
    fn long_values_are_cut() {
        assert_eq!(shorten("a\nb".to_owned()), "a b");
        assert_eq!(shorten("é".repeat(61)), format!("{}…", "é".repeat(60)));
    }
}
