//! The schema of a dump by object: a table with its columns, keys, indexes, triggers, comments and grants, a function with
//! all its overloads.
//!
//! Which object an entry belongs to decides only where its text is read: every entry belongs to one, and none is lost. Rows,
//! positions of sequences and large objects are no schema.

use super::dump::{Dump, Entry};
use super::names::{last_name, schema_name, tokens, unquote};
use crate::model::sql::main_object;
use std::collections::{BTreeMap, HashMap};

/// Entries that are no schema.
const DATA: [&str; 8] = [
    "TABLE DATA",
    "SEQUENCE SET",
    "MATERIALIZED VIEW DATA",
    "STATISTICS DATA",
    "BLOB",
    "BLOBS",
    "BLOB METADATA",
    "LARGE OBJECTS",
];

/// What people read as one object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Object {
    /// The schema it lives in.
    pub schema: Option<String>,
    /// Its name, without quotes and without a function's arguments; empty for what has none.
    pub name: String,
    /// In lower case: `table`, `materialized view`; `function` for everything that is called.
    pub kind: String,
}

impl Object {
    fn new(schema: Option<&str>, kind: &str, name: &str) -> Object {
        Object { schema: schema.map(str::to_owned), name: name.to_owned(), kind: kind.to_owned() }
    }
}

impl Dump {
    /// The entries that are schema.
    #[must_use]
    pub fn schema_only(&self) -> Dump {
        let blob = |entry: &Entry| entry.name.starts_with("LARGE OBJECT ");
        let is_schema = |entry: &&Entry| !DATA.contains(&entry.kind.as_str()) && !blob(entry);
        Dump { entries: self.entries.iter().filter(is_schema).cloned().collect() }
    }

    /// The schema by object, each with the statements that make it in the order of the dump.
    pub fn objects(&self) -> BTreeMap<Object, String> {
        let schema = self.schema_only();
        let homes = Homes::of(&schema);
        let mut objects: BTreeMap<Object, Dump> = BTreeMap::new();
        for entry in &schema.entries {
            objects.entry(homes.home(entry)).or_default().entries.push(entry.clone());
        }
        objects.into_iter().map(|(object, dump)| (object, dump.statements_text())).collect()
    }

    /// The statements without their headings.
    fn statements_text(&self) -> String {
        let mut out = String::new();
        self.write_entries(&mut out, false);
        out
    }
}

/// Where relations and types of a dump belong.
struct Homes {
    relations: HashMap<(Option<String>, String), Object>,
}

impl Homes {
    fn of(dump: &Dump) -> Homes {
        let mut homes = Homes { relations: HashMap::new() };
        for entry in &dump.entries {
            let key = (entry.schema.clone(), entry.name.clone());
            let kind = entry.kind.to_ascii_lowercase();
            match entry.kind.as_str() {
                "TABLE" | "VIEW" | "MATERIALIZED VIEW" | "FOREIGN TABLE" => {
                    homes.relations.insert(key, Object::new(entry.schema.as_deref(), &kind, &entry.name));
                }
                "SEQUENCE" | "TYPE" | "SHELL TYPE" | "DOMAIN" => {
                    let kind = if kind == "shell type" { "type" } else { &kind };
                    let own = Object::new(entry.schema.as_deref(), kind, &entry.name);
                    homes.relations.entry(key).or_insert(own);
                }
                _ => {}
            }
        }
        homes.add_parts(dump);
        homes
    }

    /// Sequences of columns and indexes belong to their tables.
    fn add_parts(&mut self, dump: &Dump) {
        for entry in &dump.entries {
            let Some(statement) = entry.statements().next() else { continue };
            let table = match entry.kind.as_str() {
                "SEQUENCE" if statement.starts_with("ALTER TABLE ") => self.spoken_of(statement),
                "SEQUENCE OWNED BY" => owner_of(statement).and_then(|key| self.relations.get(&key).cloned()),
                "INDEX" | "CONSTRAINT" => self.spoken_of(statement),
                _ => None,
            };
            let Some(table) = table else { continue };
            // A key's index has the key's name.
            let of_table = entry.name.strip_prefix(&table.name).and_then(|rest| rest.strip_prefix(' '));
            let name = of_table.filter(|_| entry.kind == "CONSTRAINT").unwrap_or(&entry.name).to_owned();
            if entry.kind == "CONSTRAINT" {
                self.relations.entry((entry.schema.clone(), name)).or_insert(table);
            } else {
                self.relations.insert((entry.schema.clone(), name), table);
            }
        }
    }

    /// The object that a statement acts on.
    fn spoken_of(&self, statement: &str) -> Option<Object> {
        let found = main_object(statement)?;
        let (schema, name) = (schema_name(&found.name), last_name(&found.name)?);
        let own = |kind| Some(Object::new(schema.as_deref(), kind, &name));
        match found.kind {
            "function" | "procedure" | "routine" | "aggregate" => own("function"),
            "table" | "view" | "materialized view" | "foreign table" | "sequence" | "index" | "type" | "domain" => {
                self.relations.get(&(schema.clone(), name.clone())).cloned()
            }
            kind => own(kind),
        }
    }

    fn home(&self, entry: &Entry) -> Object {
        let schema = entry.schema.as_deref();
        let kind = entry.kind.to_ascii_lowercase();
        match entry.kind.as_str() {
            "DEFAULT ACL" => return Object::new(schema, "default privileges", ""),
            "DATABASE" | "DATABASE PROPERTIES" => return Object::new(None, "database", ""),
            "USER MAPPING" => {
                return Object::new(None, &kind, entry.name.strip_prefix("USER MAPPING ").unwrap_or(&entry.name));
            }
            "CAST" => return Object::new(schema, &kind, entry.name.strip_prefix("CAST ").unwrap_or(&entry.name)),
            "FUNCTION" | "PROCEDURE" | "AGGREGATE" => return Object::new(schema, "function", bare(&entry.name)),
            "PUBLICATION TABLE" | "PUBLICATION TABLES IN SCHEMA" => {
                let found = entry.statements().next().and_then(main_object).and_then(|found| last_name(&found.name));
                return Object::new(None, "publication", &found.unwrap_or_else(|| entry.name.clone()));
            }
            "ACL" | "COMMENT" | "SECURITY LABEL" => {
                if entry.name == "DATABASE" {
                    return Object::new(None, "database", "");
                }
                let found = entry.statements().find_map(|statement| self.spoken_of(statement));
                return found.unwrap_or_else(|| headed(entry));
            }
            _ => {}
        }
        let known = self.relations.get(&(entry.schema.clone(), entry.name.clone()));
        let is_relation = matches!(
            entry.kind.as_str(),
            "TABLE"
                | "VIEW"
                | "MATERIALIZED VIEW"
                | "FOREIGN TABLE"
                | "SEQUENCE"
                | "SEQUENCE OWNED BY"
                | "TYPE"
                | "SHELL TYPE"
                | "DOMAIN"
                | "INDEX"
                | "INDEX ATTACH"
                | "ROW SECURITY"
                | "TABLE ATTACH"
        );
        if let Some(known) = known.filter(|_| is_relation) {
            return known.clone();
        }
        let on_another = matches!(
            entry.kind.as_str(),
            "CONSTRAINT"
                | "FK CONSTRAINT"
                | "CHECK CONSTRAINT"
                | "DEFAULT"
                | "TRIGGER"
                | "RULE"
                | "POLICY"
                | "STATISTICS"
        );
        let spoken_of = || entry.statements().find_map(|statement| self.spoken_of(statement));
        on_another.then(spoken_of).flatten().unwrap_or_else(|| Object::new(schema, &kind, bare(&entry.name)))
    }
}

/// The table of `ALTER SEQUENCE s.q OWNED BY s.t.c;`.
fn owner_of(statement: &str) -> Option<(Option<String>, String)> {
    let found = tokens(statement);
    let by = found.iter().position(|token| token.is_word(statement, "BY"))?;
    let names: Vec<String> =
        found.get(by + 1..)?.iter().filter_map(|token| token.range()).map(|range| unquote(&statement[range])).collect();
    match names.as_slice() {
        [schema, table, _column] => Some((Some(schema.clone()), table.clone())),
        _ => None,
    }
}

/// The object of a comment whose statement names none that is known: `OPERATOR + (integer, integer)`.
fn headed(entry: &Entry) -> Object {
    let words = entry.name.split(' ').take_while(|word| word.bytes().all(|b| b.is_ascii_uppercase())).count();
    let mut parts = entry.name.splitn(words + 1, ' ');
    let kind: Vec<String> = parts.by_ref().take(words).map(str::to_ascii_lowercase).collect();
    let name = parts.next().unwrap_or_default();
    let name = name.split(" USING ").next().unwrap_or(name);
    let kind = if kind.is_empty() { entry.kind.to_ascii_lowercase() } else { kind.join(" ") };
    Object::new(entry.schema.as_deref(), &kind, bare(name))
}

/// A name without the arguments that a heading adds.
fn bare(name: &str) -> &str {
    match name.find('(') {
        Some(0) | None => name,
        Some(at) => name[..at].trim_end(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::baseline::Part;

    fn entry(kind: &str, name: &str, statement: &str) -> Entry {
        Entry {
            kind: kind.into(),
            schema: Some("s".into()),
            name: name.into(),
            parts: vec![Part::Statement(statement.into())],
            ..Entry::default()
        }
    }

    #[test]
    fn what_belongs_to_a_table_stands_with_it() {
        let dump = Dump {
            entries: vec![
                entry("TYPE", "mood", "CREATE TYPE s.mood AS ENUM ();"),
                entry("FUNCTION", "f(a integer)", "CREATE FUNCTION s.f(a integer) RETURNS int AS $$1$$;"),
                entry("FUNCTION", "f(text)", "CREATE FUNCTION s.f(text) RETURNS int AS $$1$$;"),
                entry("COMMENT", "FUNCTION f(text)", "COMMENT ON FUNCTION s.f(text) IS 'x';"),
                entry("TABLE", "T x", "CREATE TABLE s.\"T x\" (id int);"),
                entry("SEQUENCE", "q", "CREATE SEQUENCE s.q;"),
                entry("SEQUENCE OWNED BY", "q", "ALTER SEQUENCE s.q OWNED BY s.\"T x\".id;"),
                entry("SEQUENCE", "alone", "CREATE SEQUENCE s.alone;"),
                entry("DEFAULT", "T x id", "ALTER TABLE ONLY s.\"T x\" ALTER COLUMN id SET DEFAULT nextval('s.q');"),
                entry("TABLE DATA", "T x", ""),
                entry("SEQUENCE SET", "q", "SELECT 1;"),
                entry("CONSTRAINT", "T x k", "ALTER TABLE ONLY s.\"T x\" ADD CONSTRAINT k PRIMARY KEY (id);"),
                entry("INDEX", "i", "CREATE INDEX i ON s.\"T x\" USING btree (id);"),
                entry("COMMENT", "INDEX i", "COMMENT ON INDEX s.i IS 'x';"),
                entry("COMMENT", "COLUMN \"T x\".id", "COMMENT ON COLUMN s.\"T x\".id IS 'x';"),
                entry("TRIGGER", "T x t", "CREATE TRIGGER t BEFORE INSERT ON s.\"T x\" EXECUTE FUNCTION s.f();"),
                entry("VIEW", "v", "CREATE VIEW s.v AS SELECT 1;"),
                entry("ACL", "TABLE v", "GRANT SELECT ON TABLE s.v TO PUBLIC;"),
                entry(
                    "DEFAULT ACL",
                    "DEFAULT PRIVILEGES FOR TABLES",
                    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO x;",
                ),
                entry("OPERATOR", "+", "CREATE OPERATOR s.+ ();"),
                entry("COMMENT", "OPERATOR + (int, int)", "COMMENT ON OPERATOR s.+ (int, int) IS 'x';"),
            ],
        };
        let objects = dump.objects();
        let found: Vec<(String, usize)> = objects
            .iter()
            .map(|(object, text)| (format!("{} {}", object.kind, object.name), text.matches(';').count()))
            .collect();
        let expected = [
            ("default privileges ", 1),
            ("operator +", 2),
            ("table T x", 9),
            ("sequence alone", 1),
            ("function f", 3),
            ("type mood", 1),
            ("view v", 2),
        ];
        assert_eq!(found, expected.map(|(name, n)| (name.to_owned(), n)));
        let all: usize = objects.values().map(|text| text.matches(';').count()).sum();
        assert_eq!(all, dump.entries.len() - 2, "nothing but data is left out");
    }
}
