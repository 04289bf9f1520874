//! What no dump shows: internal triggers that are switched off, invalid indexes, the order of columns.

use super::server::Side;
use crate::engine::session::Session;
use crate::error::{Error, Result};
use std::collections::BTreeMap;

/// Facts by object; equal on both sides of a comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Unseen {
    /// Constraint triggers that are not enabled, by table and constraint.
    disabled: BTreeMap<String, String>,
    /// Indexes that are not valid.
    invalid: BTreeMap<String, String>,
    /// Columns in order, by table; inheritance children apart.
    columns: BTreeMap<String, String>,
    /// The same of inheritance children, whose order no dump can keep.
    children: BTreeMap<String, String>,
}

const DISABLED: &str = "
SELECT t.tgrelid::pg_catalog.regclass || ' (' || COALESCE(c.conname, t.tgname) || ')', pg_catalog.min(t.tgenabled::text)
FROM pg_catalog.pg_trigger t LEFT JOIN pg_catalog.pg_constraint c ON c.oid = t.tgconstraint
WHERE t.tgisinternal AND t.tgenabled <> 'O' GROUP BY 1";

const INVALID: &str = "
SELECT i.indexrelid::pg_catalog.regclass::text, i.indrelid::pg_catalog.regclass::text
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
-- A parent's index made `ON ONLY` is invalid until each partition has its own, and is dumped as it is.
WHERE (NOT i.indisvalid OR NOT i.indisready) AND c.relkind <> 'I'";

const COLUMNS: &str = "
SELECT c.oid::pg_catalog.regclass::text, pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum),
       EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid) AND NOT c.relispartition
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p', 'f', 'c') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'dbbuild', 'dbbuild_attic')
  AND n.nspname !~ '^pg_(toast|temp)'
GROUP BY c.oid";

/// Reads the facts. Names are qualified where the search path hides them, so it is emptied first.
pub(super) async fn read(session: &Session) -> Result<Unseen> {
    session.simple("SET search_path = pg_catalog").await?;
    let pairs = |rows: Vec<Vec<Option<String>>>| -> BTreeMap<String, String> {
        let cell = |row: &Vec<Option<String>>, i: usize| row.get(i).cloned().flatten().unwrap_or_default();
        rows.iter().map(|row| (cell(row, 0), cell(row, 1))).collect()
    };
    let disabled = pairs(session.query_rows(DISABLED).await?);
    let invalid = pairs(session.query_rows(INVALID).await?);
    let (children, columns) = session
        .query_rows(COLUMNS)
        .await?
        .into_iter()
        .partition(|row| row.get(2).cloned().flatten().as_deref() == Some("t"));
    session.simple("RESET search_path").await?;
    Ok(Unseen { disabled, invalid, columns: pairs(columns), children: pairs(children) })
}

/// Faults that the replayed database shows by itself.
pub(super) async fn faults(side: &Side<'_>) -> Result<(Unseen, Vec<Error>)> {
    let unseen = read(side.session()).await?;
    let disabled = unseen.disabled.keys().map(|object| {
        Error::failed(format!("the migrations leave the constraint trigger of {object} switched off"))
            .help("a forgotten `ALTER TABLE … DISABLE TRIGGER ALL`: end with `ENABLE TRIGGER ALL`. No dump shows this.")
    });
    let invalid = unseen.invalid.iter().map(|(index, table)| {
        Error::failed(format!("the migrations leave the index {index} of {table} invalid"))
            .help("drop it and make it again; pg_dump leaves invalid indexes out.")
    });
    let faults = disabled.chain(invalid).collect();
    Ok((unseen, faults))
}

impl Unseen {
    /// Compares the replayed side with the loaded one: faults, and notes on what no dump can keep.
    pub fn compare(&self, loaded: &Unseen) -> (Vec<Error>, Vec<String>) {
        let differ =
            |ours: &BTreeMap<String, String>, theirs: &BTreeMap<String, String>| -> Vec<(String, String, String)> {
                ours.iter()
                    .filter_map(|(name, order)| {
                        let other = theirs.get(name)?;
                        (other != order).then(|| (name.clone(), order.clone(), other.clone()))
                    })
                    .collect()
            };
        let faults = differ(&self.columns, &loaded.columns).into_iter().map(|(table, ours, theirs)| {
            Error::difference(format!("the columns of {table} stand in another order in the baseline"))
                .detail(format!("migrations: {ours}\nbaseline:   {theirs}"))
                .help("run `dbbuild baseline` and stage the result.")
        });
        let notes = differ(&self.children, &loaded.children).into_iter().map(|(table, ours, theirs)| {
            format!(
                "the columns of {table}, an inheritance child, stand as ({ours}) after the migrations and as ({theirs}) \
                 after the baseline; no dump can keep that order, so name the columns in INSERT and COPY"
            )
        });
        (faults.collect(), notes.collect())
    }
}
