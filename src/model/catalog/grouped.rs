//! Differences in the order in which people look at a database: table by table, each with both sides of its definition.

use super::{Aspects, Catalog, CatalogDifference, DifferenceKind, ObjectId};
use similar::{ChangeTag, TextDiff};
use std::collections::BTreeMap;

/// The kinds that stand for themselves, and have others below them.
const TABLES: [&str; 4] = ["table", "foreign table", "view", "materialized view"];

/// What differs in a database, with both sides.
pub struct Differing<'a> {
    differences: &'a [CatalogDifference],
    found: &'a Catalog,
    expected: &'a Catalog,
}

/// One line of a definition, and on which side it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// On both.
    Both,
    /// Only where it should be.
    Expected,
    /// Only where it is.
    Found,
}

impl<'a> Differing<'a> {
    /// `expected` is the catalog that sentences compare with.
    pub fn new(differences: &'a [CatalogDifference], found: &'a Catalog, expected: &'a Catalog) -> Differing<'a> {
        Differing { differences, found, expected }
    }

    /// The differences of each table, and under no name those of no table, which come last.
    pub fn by_table(&self) -> Vec<(Option<String>, Vec<&'a CatalogDifference>)> {
        let mut groups: BTreeMap<Option<String>, Vec<&CatalogDifference>> = BTreeMap::new();
        for difference in self.differences {
            groups.entry(self.table(&difference.object)).or_default().push(difference);
        }
        for (table, list) in &mut groups {
            // The table itself first.
            list.sort_by_key(|one| table.as_ref() != Some(&one.object.identity));
        }
        let others = groups.remove(&None);
        groups.into_iter().chain(others.map(|list| (None, list))).collect()
    }

    /// The aspects of an object, as it should be and as it is.
    pub fn sides(&self, object: &ObjectId) -> (Option<&'a Aspects>, Option<&'a Aspects>) {
        (self.expected.get(object), self.found.get(object))
    }

    /// The table that an object is or stands on.
    pub fn table(&self, object: &ObjectId) -> Option<String> {
        let (kind, identity) = (object.kind.as_str(), object.identity.as_str());
        if TABLES.contains(&kind) {
            return Some(identity.to_owned());
        }
        let (expected, found) = self.sides(object);
        let aspect = |name: &str| found.or(expected).and_then(|aspects| aspects.get(name)).map(String::as_str);
        // An index stands in a schema, and says itself on what.
        let (definition, owned) = (aspect("definition").unwrap_or_default(), aspect("owned by").unwrap_or_default());
        let stands = |table: &str| {
            let below = |text: &str| text.strip_prefix(table).is_some_and(|rest| rest.starts_with('.'));
            let on = |only: &str| kind == "index" && definition.contains(&format!(" ON {only}{table} USING "));
            below(identity) || below(owned) || on("") || on("ONLY ")
        };
        self.tables().filter(|table| stands(table)).max_by_key(|table| table.len()).map(str::to_owned)
    }

    fn tables(&self) -> impl Iterator<Item = &'a str> {
        let names = |catalog: &'a Catalog| {
            TABLES.iter().filter_map(|kind| catalog.objects.get(*kind)).flat_map(|all| all.keys().map(String::as_str))
        };
        names(self.found).chain(names(self.expected))
    }

    /// Both sides of what differs, line by line.
    pub fn lines(&self, difference: &CatalogDifference) -> Vec<(Side, String)> {
        let (expected, found) = self.sides(&difference.object);
        let one = |aspects: Option<&Aspects>, side: Side| {
            let text = aspects.map(text).unwrap_or_default();
            text.lines().map(|line| (side, line.to_owned())).collect()
        };
        match &difference.kind {
            DifferenceKind::Missing => one(expected, Side::Expected),
            DifferenceKind::Unexpected => one(found, Side::Found),
            DifferenceKind::Differs { aspect, found, expected } => {
                let side = |value: &Option<String>| value.as_ref().map_or_else(String::new, |v| aspect_text(aspect, v));
                let (expected, found) = (side(expected), side(found));
                let diff = TextDiff::from_lines(&expected, &found);
                let line = |change: similar::Change<&str>| {
                    let side = match change.tag() {
                        ChangeTag::Equal => Side::Both,
                        ChangeTag::Delete => Side::Expected,
                        ChangeTag::Insert => Side::Found,
                    };
                    (side, change.value().trim_end_matches('\n').to_owned())
                };
                diff.iter_all_changes().map(line).collect()
            }
        }
    }
}

fn text(aspects: &Aspects) -> String {
    aspects.iter().map(|(name, value)| aspect_text(name, value)).collect()
}

fn aspect_text(name: &str, value: &str) -> String {
    let value = value.trim_end();
    if value.contains('\n') { format!("{name}:\n{value}\n") } else { format!("{name}: {value}\n") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::drift;

    fn catalog(rows: &[(&str, &str, &str)]) -> Catalog {
        let mut catalog = Catalog::default();
        rows.iter().for_each(|(kind, identity, definition)| catalog.insert(kind, identity, definition, &[]));
        catalog
    }

    #[test]
    fn what_stands_on_a_table_is_told_with_it() {
        let expected = catalog(&[
            ("table", "public.a", ""),
            ("column", "public.a.x", "type=integer"),
            ("view", "public.a_view", "definition= SELECT 1\n   FROM a\n  WHERE x;"),
            ("function", "public.f()", "definition=x"),
        ]);
        let found = catalog(&[
            ("table", "public.a", ""),
            ("column", "public.a.x", "type=bigint"),
            ("index", "public.by_hand", "definition=CREATE INDEX by_hand ON public.a USING btree (x)"),
            ("sequence", "public.s", "owned by=public.a.x"),
            ("view", "public.a_view", "definition= SELECT 2\n   FROM a\n  WHERE x;"),
        ]);
        let differences: Vec<_> = drift(&found, &[&expected]).into_iter().collect();
        let differing = Differing::new(&differences, &found, &expected);
        let groups: Vec<(Option<String>, Vec<String>)> = differing
            .by_table()
            .into_iter()
            .map(|(table, list)| (table, list.iter().map(|one| one.object.to_string()).collect()))
            .collect();
        let of = |table: Option<&str>, list: &[&str]| {
            (table.map(str::to_owned), list.iter().map(|one| (*one).to_owned()).collect::<Vec<String>>())
        };
        let a = ["column `public.a.x`", "index `public.by_hand`", "sequence `public.s`"];
        assert_eq!(
            groups,
            [
                of(Some("public.a"), &a),
                of(Some("public.a_view"), &["view `public.a_view`"]),
                of(None, &["function `public.f()`"])
            ]
        );
        let view = differences.iter().find(|one| one.object.kind == "view").unwrap();
        let lines: Vec<String> =
            differing.lines(view).into_iter().map(|(side, line)| format!("{side:?} {line}")).collect();
        let wanted = ["Both definition:", "Expected  SELECT 1", "Found  SELECT 2", "Both    FROM a", "Both   WHERE x;"];
        assert_eq!(lines, wanted);
        let gone = differences.iter().find(|one| one.object.kind == "function").unwrap();
        assert_eq!(differing.lines(gone), [(Side::Expected, "definition: x".to_owned())]);
    }
}
