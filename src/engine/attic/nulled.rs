//! Values that were set to null to make way, and that the script then made something else of: one entry for each, from what
//! stood before all to what stands after it.

use super::copy;
use super::keeping::{Keeping, Stop};
use super::record;
use crate::model::attic::{KeptEntry, Kind};

impl Keeping<'_, '_> {
    /// Merges them: entries up to `from` are of values set to null, those from it on of what the script did after that.
    pub(super) async fn merge_nulled(&mut self, from: usize) -> Result<(), Stop> {
        let values = |entries: &[KeptEntry], range: std::ops::Range<usize>| -> Vec<usize> {
            range.filter(|n| entries.get(*n).is_some_and(|entry| entry.kind == Kind::Value)).collect()
        };
        let (nulled, later) = (values(&self.entries, 0..from), values(&self.entries, from..self.entries.len()));
        for old in nulled {
            for new in &later {
                self.merge(old, *new).await?;
            }
        }
        let all = std::mem::take(&mut self.entries).into_iter().zip(std::mem::take(&mut self.ids));
        (self.entries, self.ids) = all.filter(|(entry, _)| entry.is_told()).unzip();
        Ok(())
    }

    async fn merge(&mut self, old: usize, new: usize) -> Result<(), Stop> {
        let (Some(one), Some(other)) = (self.entries.get(old), self.entries.get(new)) else { return Ok(()) };
        let (Some((id, oid)), Some((into, of))) = (self.ids.get(old).copied(), self.ids.get(new).copied()) else {
            return Ok(());
        };
        let at = one.columns.first().and_then(|name| other.columns.iter().position(|column| column == name));
        let Some(at) = at.filter(|_| oid == of && one.rows > 0) else { return Ok(()) };
        let keys = (self.key_of(id).await?, self.key_of(into).await?);
        let (Some(key), true) = (keys.0.as_ref(), keys.0 == keys.1) else { return Ok(()) };
        let on: Vec<String> = (1..=key.len()).map(|n| format!("k.k{n} = o.k{n}")).collect();
        let (kept, schema) = (format!("{}.kept_{id}", copy::SCHEMA), copy::SCHEMA);
        self.send(&format!(
            "ALTER TABLE {schema}.kept_{into} REPLICA IDENTITY FULL; ALTER TABLE {kept} REPLICA IDENTITY FULL"
        ))
        .await?;
        let moved = record::counts(
            &self
                .send(&format!(
                    "WITH moved AS (UPDATE {schema}.kept_{into} o SET v{} = k.v1 FROM {kept} k WHERE {} RETURNING k.ctid AS at) \
                     DELETE FROM {kept} k USING moved WHERE k.ctid = moved.at",
                    at + 1,
                    on.join(" AND ")
                ))
                .await?,
        );
        let moved = moved.first().copied().unwrap_or(0);
        let Some(entry) = self.entries.get_mut(old) else { return Ok(()) };
        entry.rows = entry.rows.saturating_sub(moved);
        let end = match entry.rows {
            0 => format!("DROP TABLE {kept}; DELETE FROM {schema}.entry WHERE id = {id}"),
            rows => format!("UPDATE {schema}.entry SET rows = {rows} WHERE id = {id}"),
        };
        self.send(&end).await?;
        Ok(())
    }
}
