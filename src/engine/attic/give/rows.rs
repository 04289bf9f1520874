//! Whole rows, given back with their keys.

use super::facts::{Held, Put, Table, numbered, put};
use super::look::by_key;
use super::{Giving, range};
use crate::engine::attic::copy::since;
use crate::engine::attic::stored::{Answer, cell, rows as query};
use crate::engine::attic::text::texts;
use crate::engine::session::Session;
use crate::model::attic::Kind;
use crate::model::attic::given::is_of_rows;
use crate::model::sql::{identifier, literal};

/// Why a row is in conflict whose key another row has.
const TAKEN: &str = "a row with its key was made meanwhile";

/// The same where the up part was edited since, and makes such a row itself: what it says now is meant.
const MADE_ANEW: &str = "the migration was edited and makes a row with its key itself";

/// Of the rows of an entry: those of which nothing is settled yet.
pub(super) fn unsettled(held: &Held) -> String {
    format!("NOT EXISTS (SELECT FROM dbbuild_attic.look l WHERE l.entry = {} AND l.kept = k.ctid)", held.entry.id)
}

/// What an UPDATE of `t` sets from `k`.
pub(super) fn assignments(held: &Held, table: &Table) -> (String, Vec<String>) {
    let mut set = Vec::new();
    let mut same = Vec::new();
    let key = |name: &String| is_of_rows(held.entry.kind) && held.entry.key_columns.contains(name);
    for (n, column) in held.entry.columns.iter().enumerate().filter_map(|(n, name)| Some((n, table.column(name)?))) {
        if key(&column.name) {
            continue;
        }
        let Put { value, same: guard } = put(held, &format!("v{}", n + 1), column);
        set.push(format!("{} = {value}", identifier(&column.name)));
        same.extend(guard);
    }
    (set.join(", "), same)
}

/// Whether a row of `t` has other values than `k` kept.
pub(super) fn differs(held: &Held) -> String {
    let kept = numbered('v', held.entry.columns.len());
    format!(
        "{} IS DISTINCT FROM {}",
        texts("t", held.entry.columns.iter().map(String::as_str)),
        texts("k", kept.iter().map(String::as_str))
    )
}

impl Giving {
    /// Gives back the rows of tables that may refer to each other; `defer` lets their foreign keys wait, where they refer
    /// in a circle.
    pub(super) async fn give_rows(
        &self,
        session: &Session,
        all: &[(&Held, &Table)],
        defer: Option<&str>,
    ) -> Answer<()> {
        for (held, table) in all {
            if held.entry.rows > 1000 {
                session.simple_raw(&format!("ANALYZE {}", held.sql())).await?;
            }
            self.meet_standing(session, held, table).await?;
        }
        loop {
            orphans(session, all).await?;
            session.simple_raw("SAVEPOINT dbbuild_group").await?;
            for (held, table) in all {
                insert(session, held, table).await?;
            }
            let Some(defer) = defer else {
                return session.simple_raw("RELEASE SAVEPOINT dbbuild_group").await.map(|_| ());
            };
            match session.simple_raw("SET CONSTRAINTS ALL IMMEDIATE").await {
                Ok(_) => return session.simple_raw("RELEASE SAVEPOINT dbbuild_group").await.map(|_| ()),
                Err(error) if range::is_of_rows(&error) => {
                    if !refused_again(session, all, defer).await? {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Settles what stands already: rows that the up part made are overwritten, unless it was edited; those of others are
    /// conflicts.
    async fn meet_standing(&self, session: &Session, held: &Held, table: &Table) -> Answer<()> {
        let (id, only, kept) = (held.entry.id, table.only(), held.sql());
        let some = format!("SELECT 1 FROM {only} t LIMIT 1");
        if cell(session, &some).await?.is_none() {
            return session.simple_raw(&format!("DELETE FROM dbbuild_attic.look WHERE entry = {id}")).await.map(|_| ());
        }
        let on = by_key(held, table);
        let unedited = self.checksum == held.entry.checksum;
        let yields = self.yields(held);
        let made = self.is_made(held, table) && !yields;
        if made && self.untouched.contains_key(&id) {
            session.simple_raw(&format!("DELETE FROM dbbuild_attic.look WHERE entry = {id}")).await?;
        }
        if held.entry.kind == Kind::Table && made && unedited && !held.is_mixed() {
            let surplus = match &on {
                Some(on) => format!("DELETE FROM {only} t WHERE NOT EXISTS (SELECT FROM {kept} k WHERE {on})"),
                None => format!("DELETE FROM {only} t"),
            };
            // What something refers to stays.
            possibly(session, &surplus).await?;
        }
        let Some(on) = on else { return self.meet_equal(session, held, table).await };
        let free = unsettled(held);
        let others = !self.shares || yields || self.is_carried(held, table) || self.is_vague(held);
        // A row that nobody met before, under another form of its key, was not written by the up part.
        let others = match (others, self.untouched.contains_key(&id)) {
            (true, _) => "true".to_owned(),
            (false, true) => "false".to_owned(),
            (false, false) => format!("NOT {}", since("t.xmin", own(session).await?)),
        };
        if others != "true" && unedited && held.entry.columns.len() > held.entry.key_columns.len() {
            let (set, same) = assignments(held, table);
            let same: String = same.iter().map(|same| format!(" AND {same}")).collect();
            let differs = differs(held);
            let update = |range: &str| {
                format!(
                    "UPDATE {only} t SET {set} FROM {kept} k WHERE {on} AND {range} AND {free} AND {differs} AND NOT {others}{same}"
                )
            };
            range::over(session, held, &update, None).await?;
        }
        let sql = format!(
            "INSERT INTO dbbuild_attic.look SELECT {id}, k.ctid, true, {anew} FROM {kept} k JOIN {only} t ON {on} \
             WHERE {free} AND ({others} OR {differs}); \
             INSERT INTO dbbuild_attic.look SELECT {id}, k.ctid, false, NULL FROM {kept} k JOIN {only} t ON {on} WHERE {free}; \
             DELETE FROM dbbuild_attic.look l WHERE l.entry = {id} AND l.stood \
             AND NOT EXISTS (SELECT FROM {kept} k JOIN {only} t ON {on} WHERE k.ctid = l.kept); \
             UPDATE dbbuild_attic.look l SET why = {why} FROM {kept} k JOIN {only} t ON {on} \
             WHERE l.entry = {id} AND l.stood AND l.why IS NULL AND l.kept = k.ctid AND {differs}",
            differs = differs(held),
            anew = if self.shares && !yields && !unedited { literal(MADE_ANEW) } else { "NULL".to_owned() },
            why = literal(TAKEN),
        );
        session.simple_raw(&sql).await.map(|_| ())
    }

    /// Of a table without a key that the up part has made and filled: rows that stand there as they were kept are the same.
    async fn meet_equal(&self, session: &Session, held: &Held, table: &Table) -> Answer<()> {
        if held.entry.kind != Kind::Table || self.stood.contains_key(&table.oid.to_string()) || self.later {
            return Ok(());
        }
        let nth = |of: &str, from: &str, names: Vec<&str>, more: &str| {
            let row = format!("{}::text COLLATE \"C\"", texts(of, names));
            format!(
                "SELECT {of}.ctid AS at, {row} AS row, pg_catalog.row_number() OVER (PARTITION BY {row}) AS nth FROM {from} {of}{more}"
            )
        };
        let values = numbered('v', held.entry.columns.len());
        let sql = format!(
            "INSERT INTO dbbuild_attic.look SELECT {}, k.at, false, NULL FROM ({}) k JOIN ({}) t ON t.row = k.row AND t.nth = k.nth",
            held.entry.id,
            nth("k", &held.sql(), values.iter().map(String::as_str).collect(), &format!(" WHERE {}", unsettled(held))),
            nth("t", &table.only(), held.entry.columns.iter().map(String::as_str).collect(), ""),
        );
        session.simple_raw(&sql).await.map(|_| ())
    }
}

/// The number of this transaction, as rows bear it.
async fn own(session: &Session) -> Answer<u64> {
    let own = "SELECT (pg_catalog.pg_current_xact_id()::text::numeric % 4294967296)::bigint";
    Ok(cell(session, own).await?.and_then(|own| own.parse().ok()).unwrap_or(0))
}

/// Runs a statement that need not succeed.
async fn possibly(session: &Session, sql: &str) -> Answer<()> {
    session.simple_raw("SAVEPOINT dbbuild_give").await?;
    let end = match session.simple_raw(sql).await {
        Ok(_) => "RELEASE SAVEPOINT dbbuild_give",
        Err(error) if range::is_of_rows(&error) => "ROLLBACK TO SAVEPOINT dbbuild_give; RELEASE SAVEPOINT dbbuild_give",
        Err(error) => return Err(error),
    };
    session.simple_raw(end).await.map(|_| ())
}

async fn insert(session: &Session, held: &Held, table: &Table) -> Answer<()> {
    let mut values = Vec::new();
    let mut names = Vec::new();
    let mut same = String::new();
    for (n, column) in held.entry.columns.iter().enumerate().filter_map(|(n, name)| Some((n, table.column(name)?))) {
        let Put { value, same: guard } = put(held, &format!("v{}", n + 1), column);
        names.push(identifier(&column.name));
        values.push(value);
        same.extend(guard.map(|guard| format!(" AND {guard}")));
    }
    let free = unsettled(held);
    let into = match names.is_empty() {
        true => format!("INSERT INTO {} SELECT", table.sql()),
        false => format!(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {}",
            table.sql(),
            names.join(", "),
            values.join(", ")
        ),
    };
    // No ON CONFLICT: PostgreSQL refuses it for a table with a deferrable unique constraint or a rule, even a disabled one.
    let statement = |range: &str| format!("{into} FROM {} k WHERE {range} AND {free}{same}", held.sql());
    range::over(session, held, &statement, Some(&free)).await
}

/// Notes the rows that refer to rows which neither stand nor are given back, and the rows that refer to these.
async fn orphans(session: &Session, all: &[(&Held, &Table)]) -> Answer<()> {
    let mut statements = Vec::new();
    for (held, table) in all {
        for key in keys(session, table).await? {
            statements.extend(orphan(held, &key, all));
        }
    }
    loop {
        let mut found = 0;
        for sql in &statements {
            found += cell(session, sql).await?.and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        }
        if found == 0 {
            return Ok(());
        }
    }
}

/// A foreign key: the table that it refers to, and the pairs of columns.
struct Key {
    to: u32,
    name: String,
    pairs: Vec<(String, String)>,
}

async fn keys(session: &Session, table: &Table) -> Answer<Vec<Key>> {
    let sql = format!(
        "SELECT k.oid::text, k.confrelid::text, pg_catalog.format('%I.%I', n.nspname, c.relname), a.attname, b.attname \
         FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.confrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey)) AS p (one, other) \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = p.one \
         JOIN pg_catalog.pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = p.other \
         WHERE k.contype = 'f' AND k.conrelid = {} AND k.conparentid = 0 AND k.convalidated ORDER BY k.oid",
        table.oid
    );
    let mut keys: Vec<(String, Key)> = Vec::new();
    for row in query(session, &sql).await? {
        let text = |i: usize| row.get(i).cloned().flatten().unwrap_or_default();
        if keys.last().is_none_or(|(oid, _)| *oid != text(0)) {
            keys.push((text(0), Key { to: text(1).parse().unwrap_or(0), name: text(2), pairs: Vec::new() }));
        }
        if let Some((_, key)) = keys.last_mut() {
            key.pairs.push((text(3), text(4)));
        }
    }
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}

fn orphan(held: &Held, key: &Key, all: &[(&Held, &Table)]) -> Option<String> {
    let kept = |of: &Held, name: &str| Some(format!("v{}", of.entry.columns.iter().position(|one| one == name)? + 1));
    let mut given = Vec::new();
    let mut stands = Vec::new();
    for (one, other) in &key.pairs {
        let own = kept(held, one)?;
        given.push(format!("k.{own} IS NOT NULL"));
        stands.push(format!("p.{}::text COLLATE \"C\" = k.{own}::text COLLATE \"C\"", identifier(other)));
    }
    let mut comes = String::new();
    for (parent, _) in all.iter().filter(|(_, of)| of.oid == key.to) {
        let mut pairs = Vec::new();
        for (one, other) in &key.pairs {
            pairs.push(format!(
                "q.{}::text COLLATE \"C\" = k.{}::text COLLATE \"C\"",
                kept(parent, other)?,
                kept(held, one)?
            ));
        }
        comes.push_str(&format!(
            " AND NOT EXISTS (SELECT FROM {} q WHERE {} AND NOT EXISTS (SELECT FROM dbbuild_attic.look l \
             WHERE l.entry = {} AND l.kept = q.ctid AND l.why IS NOT NULL))",
            parent.sql(),
            pairs.join(" AND "),
            parent.entry.id
        ));
    }
    Some(format!(
        "WITH new AS (INSERT INTO dbbuild_attic.look SELECT {}, k.ctid, false, {} FROM {} k WHERE {} AND {} \
         AND NOT EXISTS (SELECT FROM {} p WHERE {}){comes} RETURNING 1) SELECT pg_catalog.count(*) FROM new",
        held.entry.id,
        literal(&format!("the row of {} that it refers to is gone", key.name)),
        held.sql(),
        given.join(" AND "),
        unsettled(held),
        key.name,
        stands.join(" AND "),
    ))
}

/// Takes the rows of a group back out, and keeps in mind those that were refused. False where there was none: then it
/// would go the same way again.
async fn refused_again(session: &Session, all: &[(&Held, &Table)], defer: &str) -> Answer<bool> {
    let ids: Vec<String> = all.iter().map(|(held, _)| held.entry.id.to_string()).collect();
    let ids = ids.join(", ");
    let count =
        format!("SELECT pg_catalog.count(*) FROM dbbuild_attic.look WHERE entry IN ({ids}) AND why IS NOT NULL");
    let sql = format!(
        "SELECT entry::text, kept::text, why FROM dbbuild_attic.look WHERE entry IN ({ids}) AND why IS NOT NULL"
    );
    let refused = query(session, &sql).await?;
    session.simple_raw("ROLLBACK TO SAVEPOINT dbbuild_group; RELEASE SAVEPOINT dbbuild_group").await?;
    let before = cell(session, &count).await?.and_then(|n| n.parse::<usize>().ok()).unwrap_or(0);
    session.simple_raw(defer).await?;
    if refused.len() == before {
        return Ok(false);
    }
    session.simple_raw(&format!("DELETE FROM dbbuild_attic.look WHERE entry IN ({ids}) AND why IS NOT NULL")).await?;
    for row in refused {
        let text = |i: usize| row.get(i).cloned().flatten().unwrap_or_default();
        let values = format!("({}, '{}', false, {})", text(0), text(1), literal(&text(2)));
        session.simple_raw(&format!("INSERT INTO dbbuild_attic.look VALUES {values}")).await?;
    }
    Ok(true)
}
