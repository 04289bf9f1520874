//! Puts aside, inside the transaction, what would act on rows that are given back, and puts it back as it was: triggers,
//! rules, forced row-level security, identity columns that cannot be updated, foreign keys that refer in a circle.

use super::facts::Table;
use crate::engine::attic::stored::{Answer, rows};
use crate::engine::session::Session;
use crate::model::sql::identifier;

/// The statements that put everything back.
#[derive(Debug, Default)]
pub(super) struct Aside {
    back: Vec<String>,
    /// Identity columns that can be updated now.
    freed: Vec<(u32, String)>,
}

/// The tables and everything that inherits from them.
fn family(tables: &[&Table]) -> String {
    let oids: Vec<String> = tables.iter().map(|table| table.oid.to_string()).collect();
    format!(
        "WITH RECURSIVE f (oid) AS (SELECT * FROM pg_catalog.unnest('{{{}}}'::pg_catalog.oid[]) \
         UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN f ON i.inhparent = f.oid), \
         n (oid, name) AS (SELECT c.oid, pg_catalog.format('%I.%I', s.nspname, c.relname) \
         FROM pg_catalog.pg_class c JOIN f USING (oid) JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace)",
        oids.join(",")
    )
}

/// Each row: a statement that puts something aside, and one that puts it back.
const ASIDE: &str = "
    SELECT pg_catalog.format('ALTER TABLE ONLY %s DISABLE TRIGGER %I', n.name, t.tgname),
           pg_catalog.format('ALTER TABLE ONLY %s ENABLE %sTRIGGER %I', n.name,
               CASE t.tgenabled WHEN 'R' THEN 'REPLICA ' WHEN 'A' THEN 'ALWAYS ' ELSE '' END, t.tgname)
      FROM pg_catalog.pg_trigger t JOIN n ON n.oid = t.tgrelid WHERE NOT t.tgisinternal AND t.tgenabled <> 'D'
    UNION ALL
    SELECT pg_catalog.format('ALTER TABLE ONLY %s DISABLE RULE %I', n.name, r.rulename),
           pg_catalog.format('ALTER TABLE ONLY %s ENABLE %sRULE %I', n.name,
               CASE r.ev_enabled WHEN 'R' THEN 'REPLICA ' WHEN 'A' THEN 'ALWAYS ' ELSE '' END, r.rulename)
      FROM pg_catalog.pg_rewrite r JOIN n ON n.oid = r.ev_class WHERE r.ev_type <> '1' AND r.ev_enabled <> 'D'";

/// The same of forced row-level security.
const FORCED: &str = "
    SELECT pg_catalog.format('ALTER TABLE ONLY %s NO FORCE ROW LEVEL SECURITY', n.name),
           pg_catalog.format('ALTER TABLE ONLY %s FORCE ROW LEVEL SECURITY', n.name)
      FROM pg_catalog.pg_class c JOIN n USING (oid) WHERE c.relforcerowsecurity";

/// The same of the tables to which these refer, where they are ours to alter: that a row stands there is looked up.
const FORCED_PARENTS: &str = "
    SELECT pg_catalog.format('ALTER TABLE ONLY %I.%I NO FORCE ROW LEVEL SECURITY', s.nspname, c.relname),
           pg_catalog.format('ALTER TABLE ONLY %I.%I FORCE ROW LEVEL SECURITY', s.nspname, c.relname)
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace
     WHERE c.relforcerowsecurity AND c.relrowsecurity AND pg_catalog.pg_has_role(c.relowner, 'USAGE')
       AND EXISTS (SELECT FROM pg_catalog.pg_constraint k JOIN f ON f.oid = k.conrelid
                   WHERE k.contype = 'f' AND k.confrelid = c.oid)";

/// Keeps others from writing to these tables: what they wrote after the look would be taken for the up part's.
pub(super) async fn lock(session: &Session, tables: &[&Table]) -> Answer<()> {
    let lock = |table: &&Table| format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", table.only());
    match tables {
        [] => Ok(()),
        tables => session.simple_raw(&tables.iter().map(lock).collect::<Vec<_>>().join("; ")).await.map(|_| ()),
    }
}

/// Lets the owner of these tables read all rows.
pub(super) async fn lift(session: &Session, tables: &[&Table]) -> Answer<Aside> {
    let mut aside = Aside::default();
    if !tables.is_empty() {
        aside.put(session, &format!("{} {FORCED} AND c.relrowsecurity", family(tables))).await?;
    }
    Ok(aside)
}

/// Puts aside what stands on these tables.
pub(super) async fn aside(session: &Session, tables: &[&Table]) -> Answer<Aside> {
    let mut aside = Aside::default();
    if !tables.is_empty() {
        aside.put(session, &format!("{} {ASIDE} UNION ALL {FORCED}", family(tables))).await?;
        aside.put(session, &format!("{} {FORCED_PARENTS}", family(tables))).await?;
    }
    Ok(aside)
}

impl Aside {
    /// Makes the foreign keys of these tables wait for the end. Returns the statement that lets them wait once more.
    pub async fn defer_keys(&mut self, session: &Session, tables: &[&Table]) -> Answer<String> {
        let keys = format!(
            "{} SELECT pg_catalog.format('ALTER TABLE %s ALTER CONSTRAINT %I DEFERRABLE INITIALLY DEFERRED', n.name, k.conname), \
             pg_catalog.format('ALTER TABLE %s ALTER CONSTRAINT %I %s', n.name, k.conname, CASE WHEN NOT k.condeferrable \
             THEN 'NOT DEFERRABLE' WHEN k.condeferred THEN 'DEFERRABLE INITIALLY DEFERRED' ELSE 'DEFERRABLE INITIALLY IMMEDIATE' END), \
             pg_catalog.format('%I.%I', s.nspname, k.conname) \
             FROM pg_catalog.pg_constraint k JOIN n ON n.oid = k.conrelid \
             JOIN pg_catalog.pg_namespace s ON s.oid = k.connamespace WHERE k.contype = 'f' AND k.conparentid = 0",
            family(tables)
        );
        self.put(session, &keys).await?;
        let names: Vec<String> =
            rows(session, &keys).await?.into_iter().filter_map(|row| row.into_iter().nth(2).flatten()).collect();
        // They were made immediate for this transaction, which counts more than what the constraint says of itself. Unique
        // constraints stay so: a row that they refuse is to be told from others.
        let defer = format!("SET CONSTRAINTS {} DEFERRED", names.join(", "));
        session.simple_raw(&defer).await?;
        Ok(defer)
    }

    /// Lets identity columns be updated.
    pub async fn free_identities(&mut self, session: &Session, table: &Table, columns: &[String]) -> Answer<()> {
        let always = columns.iter().filter(|name| table.column(name).is_some_and(|column| column.always));
        for name in always {
            if self.freed.contains(&(table.oid, name.clone())) {
                continue;
            }
            self.freed.push((table.oid, name.clone()));
            let alter = format!("ALTER TABLE {} ALTER COLUMN {} SET GENERATED", table.sql(), identifier(name));
            session.simple_raw(&format!("{alter} BY DEFAULT")).await?;
            self.back.push(format!("{alter} ALWAYS"));
        }
        Ok(())
    }

    async fn put(&mut self, session: &Session, sql: &str) -> Answer<()> {
        let mut statements = Vec::new();
        for row in rows(session, sql).await? {
            let mut row = row.into_iter().flatten();
            if let (Some(away), Some(back)) = (row.next(), row.next()) {
                statements.push(away);
                self.back.push(back);
            }
        }
        if !statements.is_empty() {
            session.simple_raw(&statements.join("; ")).await?;
        }
        Ok(())
    }

    /// Puts everything back.
    pub async fn put_back(self, session: &Session) -> Answer<()> {
        match self.back.is_empty() {
            true => Ok(()),
            false => session.simple_raw(&self.back.join("; ")).await.map(|_| ()),
        }
    }

    /// Puts everything back, and checks what waited for the end.
    pub async fn back(self, session: &Session) -> Answer<()> {
        session.simple_raw("SET CONSTRAINTS ALL IMMEDIATE").await?;
        self.put_back(session).await
    }
}
