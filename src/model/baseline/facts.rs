//! What a baseline says about each object, down to the columns of a table, and what two of them say differently.
//!
//! Texts are compared, not understood. An object's comment, privileges and rows are aspects of it; what stands on a table
//! (columns, constraints, indexes, triggers …) is an object of its own that names its table.

use super::differences::Change;
use super::dump::{Dump, Entry};
use super::names::{last_name, schema_name, tokens, unquote};
use super::rows::split_list;
use super::scan::Token;
use crate::model::sql::main_object;
use std::collections::BTreeMap;
use std::fmt;

/// What an object is called. Names are without quotes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// The schema it lives in.
    pub schema: Option<String>,
    /// In PostgreSQL's words and lower case: `table`, `foreign key`.
    pub kind: String,
    /// The table that it stands on.
    pub of: Option<String>,
    /// Its own name; a function's with the types of its arguments.
    pub name: String,
}

impl ObjectName {
    /// The name without a function's arguments.
    pub fn base(&self) -> &str {
        self.name.split_once('(').map_or(&self.name, |(base, _)| base)
    }

    /// As people write it: `public.orders.total`.
    pub fn qualified(&self) -> String {
        let parts = [self.schema.as_deref(), self.of.as_deref(), Some(&self.name)];
        parts.into_iter().flatten().collect::<Vec<_>>().join(".")
    }

    /// Whether it is this object, or stands on it.
    pub fn belongs_to(&self, whole: &ObjectName) -> bool {
        self == whole || (self.schema == whole.schema && whole.of.is_none() && self.of.as_ref() == Some(&whole.name))
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind, self.qualified())
    }
}

/// Aspect of an object (empty for its definition) to the text that says it.
pub type Aspects = BTreeMap<String, String>;

/// Everything that a baseline says, by object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts(pub BTreeMap<ObjectName, Aspects>);

/// An object that two baselines speak of differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectChange {
    /// Which.
    pub object: ObjectName,
    /// Added, removed or changed.
    pub change: Change,
    /// The aspects that differ.
    pub aspects: Vec<AspectChange>,
}

/// An aspect that two baselines speak of differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AspectChange {
    /// Which; empty for the object's definition.
    pub name: String,
    /// The text before, if there was one.
    pub before: Option<String>,
    /// The text after, if there is one.
    pub after: Option<String>,
}

impl AspectChange {
    /// The aspect in words.
    pub fn label(&self) -> &str {
        if self.name.is_empty() { "definition" } else { &self.name }
    }
}

impl Facts {
    /// Reads a dump.
    pub fn of(dump: &Dump) -> Facts {
        let mut facts = Facts::default();
        for entry in &dump.entries {
            facts.read(entry);
        }
        facts.join();
        facts
    }

    /// What is said about one object and what stands on it.
    pub fn about(&self, whole: &ObjectName) -> Facts {
        let inside = self.0.iter().filter(|(name, _)| name.belongs_to(whole));
        Facts(inside.map(|(name, aspects)| (name.clone(), aspects.clone())).collect())
    }

    fn add(&mut self, name: ObjectName, aspect: &str, text: &str) {
        let aspects = self.0.entry(name).or_default();
        let known = aspects.entry(aspect.to_owned()).or_default();
        if !known.is_empty() {
            known.push('\n');
        }
        known.push_str(text);
    }

    fn read(&mut self, entry: &Entry) {
        let text = entry.statements().collect::<Vec<_>>().join("\n");
        let named = |kind: &str, name: &str| ObjectName {
            schema: entry.schema.clone(),
            kind: kind.to_owned(),
            of: None,
            name: name.to_owned(),
        };
        match entry.kind.as_str() {
            "TABLE" | "FOREIGN TABLE" => self.table(entry, named(&entry.kind.to_ascii_lowercase(), &entry.name)),
            "CONSTRAINT" | "CHECK CONSTRAINT" => self.add(standing_on(entry, "constraint"), "", &text),
            "FK CONSTRAINT" => self.add(standing_on(entry, "foreign key"), "", &text),
            "INDEX" | "TRIGGER" | "POLICY" | "RULE" => {
                self.add(standing_on(entry, &entry.kind.to_ascii_lowercase()), "", &text);
            }
            "DEFAULT" => self.add(standing_on(entry, "column"), "default", &text),
            "TABLE DATA" => {
                let rows: Vec<&str> = entry.blocks().flat_map(|block| &block.rows).map(String::as_str).collect();
                let rows = if rows.is_empty() { text } else { rows.join("\n") };
                if !rows.is_empty() {
                    self.add(named("table", &entry.name), "rows", &rows);
                }
            }
            "SEQUENCE SET" => self.add(named("sequence", &entry.name), "position", &text),
            "SEQUENCE OWNED BY" => self.add(named("sequence", &entry.name), "owner column", &text),
            "MATERIALIZED VIEW DATA" => self.add(named("materialized view", &entry.name), "population", &text),
            "ROW SECURITY" => self.add(named("table", &entry.name), "row security", &text),
            "TABLE ATTACH" => self.add(named("table", &entry.name), "attachment", &text),
            "INDEX ATTACH" => self.add(named("index", &entry.name), "attachment", &text),
            "ACL" => self.add(spoken_of(entry), "privileges", &text),
            "COMMENT" => self.add(spoken_of(entry), "comment", &text),
            "SECURITY LABEL" => self.add(spoken_of(entry), "security label", &text),
            kind => self.add(named(&kind.to_ascii_lowercase(), &entry.name), "", &text),
        }
        if let Some(owner) = &entry.owner {
            let text = format!("owner {owner}");
            if matches!(entry.kind.as_str(), "TABLE" | "VIEW" | "FUNCTION" | "SCHEMA" | "SEQUENCE" | "TYPE") {
                self.add(named(&entry.kind.to_ascii_lowercase(), &entry.name), "owner", &text);
            }
        }
    }

    /// A table's own definition is what is left without its columns and constraints.
    fn table(&mut self, entry: &Entry, name: ObjectName) {
        let on = |kind: &str, own: &str| ObjectName {
            schema: name.schema.clone(),
            kind: kind.to_owned(),
            of: Some(name.name.clone()),
            name: own.to_owned(),
        };
        let mut rest = Vec::new();
        let mut order = Vec::new();
        for statement in entry.statements() {
            let Some((before, list, after)) = parenthesis(statement).filter(|(before, ..)| is_create(before)) else {
                rest.push(statement.to_owned());
                continue;
            };
            rest.push(format!("{} ( … ){}", before.trim_end(), after));
            for element in split_list(list) {
                let words = tokens(&element);
                let Some(first) = words.first().and_then(|word| word.range()) else { continue };
                if words[0].is_word(&element, "CONSTRAINT") {
                    let own = words.get(1).and_then(|word| word.range()).map(|range| unquote(&element[range]));
                    self.add(on("constraint", &own.unwrap_or_default()), "", &element);
                } else {
                    let column = unquote(&element[first.clone()]);
                    self.add(on("column", &column), "", element[first.end..].trim());
                    order.push(column);
                }
            }
        }
        self.add(name.clone(), "", &rest.join("\n"));
        if !order.is_empty() {
            self.add(name, "column order", &order.join("\n"));
        }
    }

    /// Gives what was said under another heading to the object that it is said of: privileges of a view are headed as a
    /// table's, comments on functions name the arguments, and an attached index does not name its table.
    fn join(&mut self) {
        let lone: Vec<ObjectName> =
            self.0.iter().filter(|(_, aspects)| !aspects.contains_key("")).map(|(name, _)| name.clone()).collect();
        for name in lone {
            let mut homes = self.0.iter().filter(|(_, aspects)| aspects.contains_key("")).map(|(home, _)| home);
            let Some(home) = homes.find(|home| is_same(home, &name)).cloned() else { continue };
            let Some(aspects) = self.0.remove(&name) else { continue };
            for (aspect, text) in aspects {
                self.add(home.clone(), &aspect, &text);
            }
        }
    }

    /// What the newer one says differently, by schema and name.
    pub fn changes(&self, newer: &Facts) -> Vec<ObjectChange> {
        let none = Aspects::new();
        let names = self.0.keys().chain(newer.0.keys().filter(|name| !self.0.contains_key(name)));
        let mut found: Vec<ObjectChange> = names
            .filter_map(|name| {
                let change = match (self.0.contains_key(name), newer.0.contains_key(name)) {
                    (false, _) => Change::Added,
                    (_, false) => Change::Removed,
                    _ => Change::Changed,
                };
                let (old, new) = (self.0.get(name).unwrap_or(&none), newer.0.get(name).unwrap_or(&none));
                let aspects = aspects(old, new, change);
                (!aspects.is_empty()).then(|| ObjectChange { object: name.clone(), change, aspects })
            })
            .collect();
        found.sort_by(|a, b| a.object.cmp(&b.object));
        found
    }
}

fn aspects(old: &Aspects, new: &Aspects, change: Change) -> Vec<AspectChange> {
    let keys = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key)));
    let differs = |key: &&String| match key.as_str() {
        "column order" => change != Change::Changed || reordered(old.get(*key), new.get(*key)),
        _ => old.get(*key) != new.get(*key),
    };
    let changed =
        |key: &String| AspectChange { name: key.clone(), before: old.get(key).cloned(), after: new.get(key).cloned() };
    keys.filter(differs).map(changed).collect()
}

/// Whether what both lists hold stands in another order; a new column at the end is none.
fn reordered(old: Option<&String>, new: Option<&String>) -> bool {
    let (Some(old), Some(new)) = (old, new) else { return false };
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let common = |one: &[&str], other: &[&str]| -> Vec<String> {
        one.iter().filter(|name| other.contains(name)).map(|name| (*name).to_owned()).collect()
    };
    common(&old, &new) != common(&new, &old)
}

fn is_create(before: &str) -> bool {
    before.starts_with("CREATE ")
}

/// What stands before, in and after the first parenthesis.
fn parenthesis(statement: &str) -> Option<(&str, &str, &str)> {
    let mut scan = super::scan::Scanner::new(statement.as_bytes(), 0);
    let mut open = None;
    while let Some(token) = scan.next() {
        match (token, open) {
            (Token::Punctuation(b'('), None) => open = Some(scan.at),
            (Token::Punctuation(b')'), Some(from)) if scan.depth == 0 => {
                return Some((&statement[..from - 1], &statement[from..scan.at - 1], &statement[scan.at..]));
            }
            _ => {}
        }
    }
    None
}

/// An object on a table: the heading says `orders orders_pkey`, the statement names the table beyond doubt.
fn standing_on(entry: &Entry, kind: &str) -> ObjectName {
    let table = entry.statements().find_map(main_object).and_then(|object| last_name(&object.name));
    let own = table.as_deref().and_then(|table| entry.name.strip_prefix(table)?.strip_prefix(' '));
    ObjectName {
        schema: entry.schema.clone(),
        kind: kind.to_owned(),
        name: own.unwrap_or(&entry.name).to_owned(),
        of: table,
    }
}

/// The object of a `COMMENT`, `ACL` or label, which is headed `TABLE invoice`, `COLUMN invoice.id` or `TRIGGER t ON invoice`.
fn spoken_of(entry: &Entry) -> ObjectName {
    let (kind, name) = super::differences::commented_parts(entry);
    let (mut of, mut own) = (None, name.to_owned());
    if kind == "column" {
        let column = entry.statements().find_map(|text| text.strip_prefix("COMMENT ON COLUMN "));
        let column = column.map(|rest| rest.split(" IS ").next().unwrap_or(rest));
        let table = column.and_then(schema_name).or_else(|| name.rsplit_once('.').map(|(table, _)| table.to_owned()));
        own = column.and_then(last_name).unwrap_or_else(|| name.rsplit('.').next().unwrap_or(name).to_owned());
        of = table;
    } else if matches!(kind.as_str(), "trigger" | "policy" | "rule" | "constraint")
        && let Some((front, table)) = name.rsplit_once(" ON ")
    {
        (of, own) = (Some(table.to_owned()), front.to_owned());
    }
    ObjectName { schema: entry.schema.clone(), kind, of, name: own }
}

/// Whether something that has no definition under its own heading is said of this object.
fn is_same(home: &ObjectName, lone: &ObjectName) -> bool {
    const RELATIONS: [&str; 4] = ["view", "materialized view", "foreign table", "sequence"];
    if home.schema != lone.schema || home == lone || (lone.of.is_some() && lone.of != home.of) {
        return false;
    }
    let kind = home.kind == lone.kind
        || (lone.kind == "table" && RELATIONS.contains(&home.kind.as_str()))
        || (lone.kind == "constraint" && home.kind == "foreign key");
    kind && (home.name == lone.name || (home.base() == lone.base() && same_arguments(&home.name, &lone.name)))
}

/// `f(bigint)` and `f(wanted bigint)`; output arguments count in the second form only.
fn same_arguments(types: &str, named: &str) -> bool {
    let list = |text: &str| -> Vec<String> { parenthesis(text).map_or_else(Vec::new, |(_, list, _)| split_list(list)) };
    let named: Vec<String> = list(named).into_iter().filter(|argument| !argument.starts_with("OUT ")).collect();
    let types = list(types);
    types.len() == named.len()
        && types.iter().zip(&named).all(|(a, b)| a == b || b.strip_suffix(a.as_str()).is_some_and(|b| b.ends_with(' ')))
}
