//! What a down part renamed: an entry names its table and columns as they were before it, while what people write until
//! the way up stands under the names that it left.

use super::facts;
use super::keeping::{Keeping, Stop, joined};
use crate::model::sql::literal;
use serde_json::{Map, Value, json};

/// In the details of an entry: schema, table and columns by the names that the down part left, where these are others.
pub(super) const LEFT: &str = "left";

impl Keeping<'_, '_> {
    /// Notes the names after the script in all entries whose tables still stand.
    pub(super) async fn note_names(&self) -> Result<(), Stop> {
        if self.ids.is_empty() {
            return Ok(());
        }
        let now = facts::read(self.worker.session(), self.told.keys().copied()).await?;
        let mut statements = Vec::new();
        for (id, oid) in &self.ids {
            let (Some(was), Some(is)) = (self.told.get(oid), now.get(oid)) else { continue };
            let mut columns = Map::new();
            for column in &was.columns {
                let name = is.column(column.number).map(|column| &column.name).filter(|name| **name != column.name);
                columns.extend(name.map(|name| (column.name.clone(), Value::from(name.as_str()))));
            }
            if columns.is_empty() && (&was.schema, &was.name) == (&is.schema, &is.name) {
                continue;
            }
            let left = json!({ LEFT: { "schema": is.schema, "table": is.name, "columns": columns } });
            statements.push(format!(
                "UPDATE dbbuild_attic.entry SET details = details || {}::pg_catalog.jsonb WHERE id = {id}",
                literal(&left.to_string())
            ));
        }
        if !statements.is_empty() {
            self.send(&joined(statements)).await?;
        }
        Ok(())
    }
}
