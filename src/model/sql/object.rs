//! The object a statement acts on, for people who read a plan.
//!
//! By keywords alone: the first object that is named counts, an index, trigger, rule, policy or statistics object counts
//! as its table where the statement names that, and queries have none.

use super::words::Words;

/// An object and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRef {
    /// In PostgreSQL's words and lower case: `table`, `materialized view`, `index`.
    pub kind: &'static str,
    /// As written, qualified if it was.
    pub name: String,
}

/// Kinds of objects that a name follows; longer ones first.
const KINDS: &[&str] = &[
    "materialized view",
    "foreign table",
    "foreign data wrapper",
    "event trigger",
    "access method",
    "operator class",
    "operator family",
    "text search configuration",
    "text search dictionary",
    "text search parser",
    "text search template",
    "table",
    "view",
    "sequence",
    "index",
    "schema",
    "extension",
    "type",
    "domain",
    "function",
    "procedure",
    "routine",
    "aggregate",
    "role",
    "user",
    "group",
    "database",
    "tablespace",
    "collation",
    "conversion",
    "language",
    "publication",
    "subscription",
    "server",
];

/// What stands on a table and is reached through it.
const OF_TABLE: &[&str] = &["trigger", "policy", "rule"];

/// The table or other object that the statement acts on, if it names one.
pub fn main_object(statement: &str) -> Option<ObjectRef> {
    let mut words = Words::new(statement);
    let words = &mut words;
    match words.next()?.text.to_ascii_lowercase().as_str() {
        "create" => create(words),
        "alter" | "drop" => alter_or_drop(words),
        "insert" | "merge" => words.eat(&["into"]).then(|| table(words)).flatten(),
        "update" => table(words),
        "delete" => words.eat(&["from"]).then(|| table(words)).flatten(),
        "with" => match words.seek(&["insert", "update", "delete", "merge", "select"])? {
            "select" => None,
            "update" => table(words),
            _ => {
                words.eat_any(&["into", "from"]);
                table(words)
            }
        },
        "truncate" | "lock" => {
            words.eat(&["table"]);
            table(words)
        }
        "copy" => {
            words.eat(&["binary"]);
            table(words)
        }
        "vacuum" | "analyze" | "analyse" | "cluster" => {
            words.eat_parenthesis();
            while words.eat_any(&["full", "freeze", "verbose", "analyze", "analyse"]).is_some() {}
            table(words)
        }
        "refresh" => {
            words.eat(&["materialized", "view"]);
            words.eat(&["concurrently"]);
            named("materialized view", words)
        }
        "reindex" => {
            words.eat_parenthesis();
            kind_and_name(words)
        }
        "comment" => words.eat(&["on"]).then(|| comment(words)).flatten(),
        "security" => words.seek(&["on"]).and_then(|_| comment(words)),
        "grant" | "revoke" => grant(words),
        _ => None,
    }
}

fn named(kind: &'static str, words: &mut Words) -> Option<ObjectRef> {
    words.name().map(|name| ObjectRef { kind, name })
}

fn table(words: &mut Words) -> Option<ObjectRef> {
    words.eat_if_exists();
    words.eat(&["only"]);
    named("table", words)
}

fn kind(words: &mut Words) -> Option<&'static str> {
    if words.is(0, "user") && words.is(1, "mapping") {
        return None;
    }
    KINDS.iter().find(|kind| words.eat_phrase(kind)).copied()
}

fn kind_and_name(words: &mut Words) -> Option<ObjectRef> {
    let kind = kind(words)?;
    words.eat(&["concurrently"]);
    words.eat_if_exists();
    words.eat(&["only"]);
    named(kind, words)
}

fn create(words: &mut Words) -> Option<ObjectRef> {
    words.eat(&["or", "replace"]);
    let modifiers = ["global", "local", "temp", "temporary", "unlogged", "unique", "recursive", "constraint"];
    while words.eat_any(&modifiers).is_some() || words.eat_any(&["trusted", "procedural"]).is_some() {}
    if words.eat(&["index"]) {
        words.seek(&["on"])?;
        return table(words);
    }
    if words.eat(&["statistics"]) {
        words.seek(&["from"])?;
        return table(words);
    }
    if words.eat(&["rule"]) {
        words.seek(&["to"])?;
        return table(words);
    }
    if words.eat_any(OF_TABLE).is_some() {
        words.seek(&["on"])?;
        return table(words);
    }
    kind_and_name(words)
}

fn alter_or_drop(words: &mut Words) -> Option<ObjectRef> {
    if words.eat_any(OF_TABLE).is_some() {
        words.eat_if_exists();
        words.name()?;
        return words.eat(&["on"]).then(|| table(words)).flatten();
    }
    if words.is(1, "all") && words.is(2, "in") {
        return None;
    }
    kind_and_name(words)
}

fn comment(words: &mut Words) -> Option<ObjectRef> {
    if words.eat(&["column"]) {
        let column = words.name()?;
        return before_last_dot(&column).map(|name| ObjectRef { kind: "table", name });
    }
    if words.eat_any(OF_TABLE).is_some() || words.eat(&["constraint"]) {
        words.name()?;
        words.eat(&["on"]);
        return if words.eat(&["domain"]) { named("domain", words) } else { table(words) };
    }
    kind_and_name(words)
}

/// `public."a.b".c` without its last part; a dot within quotes is none.
pub(super) fn before_last_dot(name: &str) -> Option<String> {
    let mut quoted = false;
    let dot = name.char_indices().filter(|(_, c)| {
        quoted ^= *c == '"';
        *c == '.' && !quoted
    });
    dot.last().map(|(at, _)| name[..at].to_owned())
}

fn grant(words: &mut Words) -> Option<ObjectRef> {
    words.seek(&["on"])?;
    if words.is(0, "all") || words.is(0, "parameter") || words.is(0, "large") {
        return None;
    }
    kind_and_name(words).or_else(|| table(words))
}
