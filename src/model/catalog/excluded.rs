//! What nobody expects or somebody else compares, so that no comparison tells of it: tables that the baseline leaves out
//! (`baseline.exclude`), and settings that the roles file declares.

use super::{Aspects, Catalog, OWNER};
use crate::model::glob;
use std::collections::{BTreeMap, BTreeSet};

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

    /// Leaves out what roles have set in this database, where the roles file says what that is to be.
    pub fn forget_settings_of(&mut self, roles: &BTreeSet<String>, own_roles: &[String]) {
        let own = own_roles.iter().any(|role| roles.contains(role));
        let judged = |owner: &String| roles.contains(owner) || own && owner == OWNER;
        if let Some(settings) = self.objects.get_mut("settings") {
            settings.retain(|_, aspects| !aspects.get("owner").is_some_and(judged));
        }
        self.objects.retain(|kind, objects| kind != "settings" || !objects.is_empty());
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
    fn settings_of_declared_roles_go_and_others_stay() {
        let mut catalog = Catalog::default();
        for definition in ["a=1", "owner=app\u{1f}a=1", "owner=me\u{1f}a=1", "owner=other\u{1f}a=1"] {
            let identity = if definition.starts_with("owner") { "this database for a role" } else { "this database" };
            catalog.insert("settings", identity, definition, &["me".to_owned()]);
        }
        let left = |catalog: &Catalog| catalog.iter().map(|(id, _)| id.identity).collect::<Vec<_>>();
        catalog.forget_settings_of(&BTreeSet::from(["app".to_owned()]), &["me".to_owned()]);
        assert_eq!(
            left(&catalog),
            ["this database", "this database for a role of <owner>", "this database for a role of other"]
        );
        catalog.forget_settings_of(&BTreeSet::from(["me".to_owned(), "other".to_owned()]), &["me".to_owned()]);
        assert_eq!(left(&catalog), ["this database"]);
    }

    #[test]
    fn quotes_of_identifiers_do_not_count() {
        assert!(fits("\"Odd\".*", "Odd.x y") && !fits("\"Odd\".*", "odd.x"));
    }
}
