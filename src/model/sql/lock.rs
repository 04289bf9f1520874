//! The table lock a statement takes, as PostgreSQL's manual has it (chapter 13.3 and the pages of the commands).
//!
//! For people who read a plan: the lock on the table that [`super::main_object`] names, not on others that the statement
//! may reach (a referenced table, partitions), and by keywords alone.

use super::words::Words;

const ACCESS_SHARE: &str = "ACCESS SHARE";
const ROW_EXCLUSIVE: &str = "ROW EXCLUSIVE";
const SHARE_UPDATE_EXCLUSIVE: &str = "SHARE UPDATE EXCLUSIVE";
const SHARE: &str = "SHARE";
const SHARE_ROW_EXCLUSIVE: &str = "SHARE ROW EXCLUSIVE";
const EXCLUSIVE: &str = "EXCLUSIVE";
const ACCESS_EXCLUSIVE: &str = "ACCESS EXCLUSIVE";

/// All modes, weakest first.
const MODES: &[&str] = &[
    ACCESS_SHARE,
    "ROW SHARE",
    ROW_EXCLUSIVE,
    SHARE_UPDATE_EXCLUSIVE,
    SHARE,
    SHARE_ROW_EXCLUSIVE,
    EXCLUSIVE,
    ACCESS_EXCLUSIVE,
];

/// The strongest lock that the statement takes on its table; `None` where it locks no existing table.
pub fn lock_mode(statement: &str) -> Option<&'static str> {
    let mut words = Words::new(statement);
    let words = &mut words;
    match words.next()?.text.to_ascii_lowercase().as_str() {
        "create" => create(words),
        "alter" => alter(words),
        "drop" => drop_statement(words),
        "insert" | "update" | "delete" | "merge" => Some(ROW_EXCLUSIVE),
        "with" => match words.seek(&["insert", "update", "delete", "merge", "select"])? {
            "select" => None,
            _ => Some(ROW_EXCLUSIVE),
        },
        "copy" if words.is_symbol("(") => None,
        "copy" => words.seek(&["from", "to"]).map(|way| if way == "from" { ROW_EXCLUSIVE } else { ACCESS_SHARE }),
        "truncate" => Some(ACCESS_EXCLUSIVE),
        "lock" => lock_table(words),
        "reindex" => {
            let concurrently = words.any(|word| word.is("concurrently"));
            Some(if concurrently { SHARE_UPDATE_EXCLUSIVE } else { ACCESS_EXCLUSIVE })
        }
        "cluster" => Some(ACCESS_EXCLUSIVE),
        "vacuum" => {
            let full = words.is(0, "full") || words.is_symbol("(") && words.any(|word| word.is("full"));
            Some(if full { ACCESS_EXCLUSIVE } else { SHARE_UPDATE_EXCLUSIVE })
        }
        "analyze" | "analyse" => Some(SHARE_UPDATE_EXCLUSIVE),
        "refresh" => {
            words.eat(&["materialized", "view"]);
            Some(if words.is(0, "concurrently") { EXCLUSIVE } else { ACCESS_EXCLUSIVE })
        }
        "comment" => comment(words),
        _ => None,
    }
}

fn create(words: &mut Words) -> Option<&'static str> {
    let replace = words.eat(&["or", "replace"]);
    words.eat_any(&["unique", "constraint", "recursive"]);
    match words.eat_any(&["index", "trigger", "rule", "policy", "statistics", "view"])? {
        "index" if words.is(0, "concurrently") => Some(SHARE_UPDATE_EXCLUSIVE),
        "index" => Some(SHARE),
        "trigger" => Some(SHARE_ROW_EXCLUSIVE),
        "statistics" => Some(SHARE_UPDATE_EXCLUSIVE),
        "view" => replace.then_some(ACCESS_EXCLUSIVE),
        _ => Some(ACCESS_EXCLUSIVE),
    }
}

fn drop_statement(words: &mut Words) -> Option<&'static str> {
    if words.eat(&["index", "concurrently"]) {
        return Some(SHARE_UPDATE_EXCLUSIVE);
    }
    words.eat_any(&["materialized", "foreign"]);
    words.eat_any(&["table", "view", "index", "sequence", "trigger", "policy", "rule"]).map(|_| ACCESS_EXCLUSIVE)
}

fn comment(words: &mut Words) -> Option<&'static str> {
    words.eat(&["on"]);
    words.eat_any(&["materialized", "foreign"]);
    let on =
        words.eat_any(&["table", "column", "view", "index", "sequence", "constraint", "trigger", "policy", "rule"])?;
    Some(if matches!(on, "constraint" | "trigger" | "policy" | "rule") { ACCESS_SHARE } else { SHARE_UPDATE_EXCLUSIVE })
}

fn lock_table(words: &mut Words) -> Option<&'static str> {
    if words.seek(&["in"]).is_none() {
        return Some(ACCESS_EXCLUSIVE);
    }
    let mut mode = String::new();
    for word in words.take_while(|word| !word.is("mode")) {
        mode.push_str(if mode.is_empty() { "" } else { " " });
        mode.push_str(&word.text.to_ascii_uppercase());
    }
    MODES.iter().find(|known| **known == mode).copied()
}

fn alter(words: &mut Words) -> Option<&'static str> {
    words.eat_any(&["foreign", "materialized"]);
    match words.eat_any(&["table", "view", "index", "sequence", "trigger", "policy", "rule"])? {
        "sequence" => Some(SHARE_ROW_EXCLUSIVE),
        "index" => {
            skip_name(words);
            let weak =
                words.is(0, "rename") || words.is(0, "set") && !words.is(1, "tablespace") || words.is(0, "reset");
            Some(if weak { SHARE_UPDATE_EXCLUSIVE } else { ACCESS_EXCLUSIVE })
        }
        "table" if words.is(0, "all") && words.is(1, "in") => Some(ACCESS_EXCLUSIVE),
        "table" => {
            skip_name(words);
            Some(alter_table(words))
        }
        _ => Some(ACCESS_EXCLUSIVE),
    }
}

fn skip_name(words: &mut Words) {
    words.eat_if_exists();
    words.eat(&["only"]);
    words.name();
    if words.is_symbol("*") {
        words.next();
    }
}

/// The strongest lock among the subcommands, which stand between commas.
fn alter_table(words: &mut Words) -> &'static str {
    let mut strongest = 0;
    loop {
        let mode = subcommand(words);
        strongest = strongest.max(MODES.iter().position(|known| *known == mode).unwrap_or_default());
        loop {
            if words.is_symbol("(") {
                words.eat_parenthesis();
                continue;
            }
            match words.next() {
                None => return MODES[strongest],
                Some(word) if word.symbol(",") => break,
                Some(_) => {}
            }
        }
    }
}

fn subcommand(words: &mut Words) -> &'static str {
    if words.eat(&["validate", "constraint"])
        || words.eat(&["cluster", "on"])
        || words.eat(&["set", "without", "cluster"])
        || words.eat(&["attach", "partition"])
    {
        return SHARE_UPDATE_EXCLUSIVE;
    }
    if words.eat(&["detach", "partition"]) {
        words.name();
        let weak = words.is(0, "concurrently") || words.is(0, "finalize");
        return if weak { SHARE_UPDATE_EXCLUSIVE } else { ACCESS_EXCLUSIVE };
    }
    if words.eat_any(&["set", "reset"]).is_some() {
        return if words.is_symbol("(") { SHARE_UPDATE_EXCLUSIVE } else { ACCESS_EXCLUSIVE };
    }
    if words.eat_any(&["enable", "disable"]).is_some() {
        words.eat_any(&["replica", "always"]);
        return if words.is(0, "trigger") { SHARE_ROW_EXCLUSIVE } else { ACCESS_EXCLUSIVE };
    }
    if words.eat(&["add"]) {
        if words.eat(&["constraint"]) {
            words.name();
        }
        return if words.is(0, "foreign") && words.is(1, "key") { SHARE_ROW_EXCLUSIVE } else { ACCESS_EXCLUSIVE };
    }
    if words.eat(&["alter"]) {
        if words.eat(&["constraint"]) {
            return ACCESS_EXCLUSIVE;
        }
        words.eat(&["column"]);
        words.next();
        let statistics = words.eat(&["set", "statistics"]);
        let options = words.eat_any(&["set", "reset"]).is_some() && words.is_symbol("(");
        return if statistics || options { SHARE_UPDATE_EXCLUSIVE } else { ACCESS_EXCLUSIVE };
    }
    ACCESS_EXCLUSIVE
}
