//! Tables that the baseline leaves out (`baseline.exclude`): nobody expects them, so no comparison tells of them.

use super::{Aspects, Catalog};
use crate::model::glob;
use std::collections::BTreeMap;

/// The kinds that a pattern of tables may mean.
const TABLES: [&str; 5] = ["table", "foreign table", "view", "materialized view", "sequence"];

impl Catalog {
    /// Leaves out the tables that match a pattern `schema.table` (`*` and `?`), with all that stands on them, and a schema all of
    /// whose tables are meant (`schema.*`) where nothing else is in it.
    pub fn forget_tables(&mut self, patterns: &[String]) {
        if patterns.is_empty() {
            return;
        }
        let of_kind = |kind: &&str| self.objects.get(*kind).into_iter().flat_map(BTreeMap::keys);
        let matches = |name: &&String| patterns.iter().any(|pattern| fits(pattern, &plain(name)));
        let tables: Vec<String> = TABLES.iter().flat_map(of_kind).filter(matches).cloned().collect();
        for table in &tables {
            let below = format!("{table}.");
            let [on, on_only] = ["", "ONLY "].map(|only| format!(" ON {only}{table} USING "));
            let stands_on = |identity: &str, aspects: &Aspects| {
                let has = |aspect: &str, text: &str| aspects.get(aspect).is_some_and(|value| value.contains(text));
                identity == table
                    || identity.starts_with(&below)
                    || has("definition", &on)
                    || has("definition", &on_only)
                    || aspects.get("owned by").is_some_and(|column| column.starts_with(&below))
            };
            for objects in self.objects.values_mut() {
                objects.retain(|identity, aspects| !stands_on(identity, aspects));
            }
        }
        let whole: Vec<String> = patterns.iter().filter_map(|pattern| pattern.strip_suffix(".*")).map(plain).collect();
        let inhabited = |schema: &str| {
            let within = format!("{schema}.");
            self.objects.values().flat_map(BTreeMap::keys).any(|identity| identity.starts_with(&within))
        };
        let schemas = self.objects.get("schema").into_iter().flat_map(BTreeMap::keys);
        let empty: Vec<String> =
            schemas.filter(|schema| whole.contains(&plain(schema)) && !inhabited(schema)).cloned().collect();
        if let Some(schemas) = self.objects.get_mut("schema") {
            schemas.retain(|schema, _| !empty.contains(schema));
        }
        self.objects.retain(|_, objects| !objects.is_empty());
    }
}

/// A qualified name as people write it in a pattern: without the quotes of identifiers.
fn plain(identity: &str) -> String {
    identity.replace('"', "")
}

/// Whether a text matches a pattern.
fn fits(pattern: &str, text: &str) -> bool {
    glob::matches(&plain(pattern), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matches_goes_with_all_that_stands_on_it() {
        let mut catalog = Catalog::default();
        for (kind, identity, definition) in [
            ("table", "public.log", ""),
            ("table", "public.log_2024", "bound=x"),
            ("column", "public.log_2024.id", "type=integer"),
            ("index", "public.log_2024_id_idx", "definition=CREATE INDEX i ON public.log_2024 USING btree (id)"),
            ("sequence", "public.log_2024_id_seq", "owned by=public.log_2024.id"),
            ("index", "public.log_id_idx", "definition=CREATE INDEX i ON ONLY public.log USING btree (id)"),
        ] {
            catalog.insert(kind, identity, definition, &[]);
        }
        catalog.forget_tables(&["public.log_????".to_owned()]);
        let left: Vec<String> = catalog.iter().map(|(id, _)| id.to_string()).collect();
        assert_eq!(left, ["index `public.log_id_idx`", "table `public.log`"]);
    }

    #[test]
    fn a_schema_goes_with_the_last_that_is_in_it() {
        let mut catalog = Catalog::default();
        for (kind, identity) in [
            ("schema", "\"Tool\""),
            ("table", "\"Tool\".changes"),
            ("schema", "used"),
            ("table", "used.log"),
            ("function", "used.f()"),
            ("schema", "empty"),
            ("schema", "other"),
            ("table", "other.log"),
        ] {
            catalog.insert(kind, identity, "", &[]);
        }
        catalog.forget_tables(&["Tool.*".to_owned(), "used.*".to_owned(), "other.log".to_owned()]);
        let left: Vec<String> = catalog.iter().map(|(id, _)| id.to_string()).collect();
        assert_eq!(left, ["function `used.f()`", "schema `empty`", "schema `other`", "schema `used`"]);
    }

    #[test]
    fn quotes_of_identifiers_do_not_count() {
        assert!(fits("\"Odd\".*", "Odd.x y") && !fits("\"Odd\".*", "odd.x"));
    }
}
