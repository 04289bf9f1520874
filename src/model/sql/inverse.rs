//! What takes one statement back, where that can be told from the statement alone.
//!
//! Only what adds something is simple: it is dropped, renamed back or revoked. Whether it was there before, and what it was
//! like then, no statement tells: a draft made of these is proved before anybody gets it. What cannot be told is refused in
//! words, never guessed.

mod alter;

use super::words::{Word, WordKind, Words};

/// How a statement is taken back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inverse {
    /// What it makes, as written: whatever stands on it goes with it.
    pub makes: Option<String>,
    /// Statements in the order in which they undo it, without `;`; none where nothing stays that a later one would meet.
    pub undo: Vec<String>,
    /// Whether they are refused inside a transaction.
    pub alone: bool,
}

/// Kinds whose objects are dropped by kind and name alone; longer ones first.
const NAMED: &[&str] = &[
    "materialized view",
    "foreign table",
    "event trigger",
    "text search configuration",
    "text search dictionary",
    "table",
    "view",
    "sequence",
    "schema",
    "extension",
    "type",
    "domain",
    "collation",
    "statistics",
    "publication",
];

/// What belongs to the whole server, which no proof of a database sees.
const OF_SERVER: &[&str] = &["role", "user", "group", "database", "tablespace", "subscription"];

/// What takes a statement back; or why that is not simple, as the end of a sentence.
pub fn inverse(statement: &str) -> Result<Inverse, String> {
    let mut words = Words::new(statement);
    let words = &mut words;
    let Some(first) = words.next() else { return Ok(Inverse::default()) };
    match first.text.to_ascii_lowercase().as_str() {
        "create" => create(words, statement),
        "alter" => alter::alter(words),
        "comment" => comment(words),
        "grant" => grant(words),
        // They leave nothing behind, or what is remade when it is asked for.
        "set" | "reset" | "lock" | "analyze" | "analyse" | "refresh" | "begin" | "start" | "commit" | "end" => {
            Ok(Inverse::default())
        }
        "insert" | "update" | "delete" | "merge" | "truncate" | "copy" | "with" | "select" | "values" | "table"
        | "do" | "call" | "execute" => Err("it may change rows".to_owned()),
        "drop" => Err("what it drops does not stand in it".to_owned()),
        "revoke" => Err("what was granted before does not stand in it".to_owned()),
        word => Err(format!("no rule takes {} back", word.to_ascii_uppercase())),
    }
}

fn create(words: &mut Words, statement: &str) -> Result<Inverse, String> {
    words.eat(&["or", "replace"]);
    words.eat_any(&["global", "local"]);
    if words.eat_any(&["temp", "temporary"]).is_some() {
        words.eat_any(&["table", "view", "sequence", "recursive"]);
        words.eat_if_exists();
        return Ok(Inverse { makes: words.name(), ..Inverse::default() });
    }
    while words.eat_any(&["unlogged", "recursive", "constraint", "unique", "trusted"]).is_some() {}
    if words.eat(&["index"]) {
        return index(words);
    }
    if let Some(kind) = words.eat_any(&["trigger", "policy", "rule"]) {
        let name = words.name().ok_or_else(unnamed)?;
        words.seek(if kind == "rule" { &["to"] } else { &["on"] }).ok_or_else(unnamed)?;
        let table = words.name().ok_or_else(unnamed)?;
        return Ok(by(None, format!("DROP {} {name} ON {table}", kind.to_ascii_uppercase())));
    }
    if let Some(kind) = words.eat_any(&["function", "procedure", "aggregate"]) {
        return routine(words, kind, statement);
    }
    if let Some(kind) = words.eat_any(OF_SERVER) {
        return Err(format!("a {kind} belongs to the whole server"));
    }
    let Some(kind) = NAMED.iter().find(|kind| words.eat_phrase(kind)) else {
        return Err("no rule takes what it makes back".to_owned());
    };
    let exists = if_exists(words);
    let name = words.name().filter(|name| !name.eq_ignore_ascii_case("on")).ok_or_else(unnamed)?;
    if *kind == "schema" {
        if name.eq_ignore_ascii_case("authorization") {
            return Err(unnamed());
        }
        if words.any(|word| word.is("create") || word.is("grant")) {
            return Err("it makes a schema with what is in it".to_owned());
        }
    }
    Ok(by(Some(name.clone()), format!("DROP {} {exists}{name}", kind.to_ascii_uppercase())))
}

fn index(words: &mut Words) -> Result<Inverse, String> {
    let alone = words.eat(&["concurrently"]);
    let exists = if_exists(words);
    let name = if words.is(0, "on") { None } else { words.name() };
    let name = name.ok_or("PostgreSQL chooses the index's name: give it one")?;
    words.eat(&["on"]);
    words.eat(&["only"]);
    let table = words.name().ok_or_else(unnamed)?;
    // An index stands in the schema of its table.
    let name = in_schema_of(&table, &name);
    let how = if alone { "CONCURRENTLY " } else { "" };
    Ok(Inverse { alone, ..by(Some(name.clone()), format!("DROP INDEX {how}{exists}{name}")) })
}

/// DROP wants the arguments of a routine without their defaults.
fn routine(words: &mut Words, kind: &str, statement: &str) -> Result<Inverse, String> {
    let name = words.name().ok_or_else(unnamed)?;
    let Some(open) = words.next().filter(|word| word.symbol("(")) else { return Err(unnamed()) };
    let rest = statement.get(open.start + 1..).unwrap_or_default();
    let (mut depth, mut skipping, mut kept) = (0_usize, false, Vec::new());
    for word in Words::new(rest) {
        match word.text {
            ")" if depth == 0 && word.kind == WordKind::Symbol => break,
            "(" | "[" if word.kind == WordKind::Symbol => depth += 1,
            ")" | "]" if word.kind == WordKind::Symbol => depth = depth.saturating_sub(1),
            "," if depth == 0 && word.kind == WordKind::Symbol => skipping = false,
            "=" if depth == 0 && word.kind == WordKind::Symbol => skipping = true,
            _ if depth == 0 && word.is("default") => skipping = true,
            _ => {}
        }
        if !skipping {
            kept.push(word);
        }
    }
    if kind == "aggregate" && kept.iter().any(|word| word.is("basetype")) {
        return Err("its arguments are written in the old way".to_owned());
    }
    let statement = format!("DROP {} {name}({})", kind.to_ascii_uppercase(), joined(&kept));
    Ok(by(Some(name), statement))
}

fn comment(words: &mut Words) -> Result<Inverse, String> {
    let target: Vec<Word> = words.by_ref().take_while(|word| !word.is("is")).collect();
    if words.is(0, "null") {
        return Err("the comment that it removes does not stand in it".to_owned());
    }
    Ok(by(None, format!("COMMENT {} IS NULL", joined(&target))))
}

fn grant(words: &mut Words) -> Result<Inverse, String> {
    let what: Vec<Word> = words.by_ref().take_while(|word| !word.is("to")).collect();
    if !what.iter().any(|word| word.is("on")) {
        return Err("the membership of a role belongs to the whole server".to_owned());
    }
    let whom: Vec<Word> = words.take_while(|word| !word.is("with") && !word.is("granted")).collect();
    Ok(by(None, format!("REVOKE {} FROM {}", joined(&what), joined(&whom))))
}

fn by(makes: Option<String>, statement: String) -> Inverse {
    Inverse { makes, undo: vec![statement], alone: false }
}

fn unnamed() -> String {
    "it does not name what it makes".to_owned()
}

/// What stands for `IF NOT EXISTS` in the statement that drops.
fn if_exists(words: &mut Words) -> &'static str {
    if words.eat(&["if", "not", "exists"]) { "IF EXISTS " } else { "" }
}

/// A name, qualified as this one is.
fn in_schema_of(qualified: &str, name: &str) -> String {
    match super::object::before_last_dot(qualified) {
        Some(schema) if super::object::before_last_dot(name).is_none() => format!("{schema}.{name}"),
        _ => name.to_owned(),
    }
}

/// Words as one text, without the comments that stood between them.
fn joined(words: &[Word]) -> String {
    let mut text = String::new();
    for word in words {
        let symbol = word.kind == WordKind::Symbol;
        let close = symbol && matches!(word.text, "(" | ")" | "[" | "]" | "," | "." | "%");
        if !(text.is_empty() || close || text.ends_with(['(', '[', '.', '%'])) {
            text.push(' ');
        }
        text.push_str(word.text);
    }
    text
}
