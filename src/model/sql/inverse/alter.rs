//! What takes an ALTER back.

use super::{Inverse, by, in_schema_of, joined, unnamed};
use crate::model::sql::words::{Word, Words};

/// Kinds that can be renamed by kind and name alone.
const RENAMED: &[&str] =
    &["materialized view", "foreign table", "index", "view", "sequence", "schema", "domain", "type"];

const BEFORE: &str = "what was there before does not stand in it";

pub(super) fn alter(words: &mut Words) -> Result<Inverse, String> {
    if words.eat(&["table"]) {
        return table(words);
    }
    let Some(kind) = RENAMED.iter().find(|kind| words.eat_phrase(kind)).copied() else {
        return Err(BEFORE.to_owned());
    };
    let exists = exists(words);
    let name = words.name().ok_or_else(unnamed)?;
    let kind = kind.to_ascii_uppercase();
    if words.eat(&["rename", "to"]) {
        return renamed(words, &format!("{kind} {exists}"), &name);
    }
    let object = format!("ALTER {kind} {exists}{name}");
    match kind.as_str() {
        "TYPE" if words.eat(&["add", "value"]) => Err("a value of an enum cannot be dropped".to_owned()),
        "TYPE" if words.eat(&["rename", "value"]) => swapped(words, &format!("{object} RENAME VALUE")),
        "TYPE" if words.eat(&["rename", "attribute"]) => swapped(words, &format!("{object} RENAME ATTRIBUTE")),
        "TYPE" if words.eat(&["add", "attribute"]) => {
            let attribute = words.name().ok_or_else(unnamed)?;
            if words.any(|word| word.symbol(",")) {
                Err(BEFORE.to_owned())
            } else {
                Ok(by(None, format!("{object} DROP ATTRIBUTE {attribute}")))
            }
        }
        "DOMAIN" if words.eat(&["add", "constraint"]) => {
            let constraint = words.name().ok_or_else(unnamed)?;
            Ok(by(None, format!("{object} DROP CONSTRAINT {constraint}")))
        }
        _ => Err(BEFORE.to_owned()),
    }
}

fn exists(words: &mut Words) -> &'static str {
    if words.eat(&["if", "exists"]) { "IF EXISTS " } else { "" }
}

/// `RENAME TO new`, turned round: the object is found under its new name, in the schema where it was.
fn renamed(words: &mut Words, object: &str, old: &str) -> Result<Inverse, String> {
    let new = words.name().ok_or_else(unnamed)?;
    let last = crate::model::sql::object::before_last_dot(old).map_or(old, |schema| &old[schema.len() + 1..]);
    Ok(by(None, format!("ALTER {object}{} RENAME TO {last}", in_schema_of(old, &new))))
}

/// `a TO b`, turned round.
fn swapped(words: &mut Words, before: &str) -> Result<Inverse, String> {
    let old = words.next().ok_or_else(unnamed)?;
    if !words.eat(&["to"]) {
        return Err(unnamed());
    }
    let new = words.next().ok_or_else(unnamed)?;
    Ok(by(None, format!("{before} {} TO {}", new.text, old.text)))
}

fn table(words: &mut Words) -> Result<Inverse, String> {
    if words.is(0, "all") && words.is(1, "in") {
        return Err(BEFORE.to_owned());
    }
    let exists = exists(words);
    let only = if words.eat(&["only"]) { "ONLY " } else { "" };
    let name = words.name().ok_or_else(unnamed)?;
    let object = format!("TABLE {exists}{only}{name}");
    if words.eat(&["rename", "to"]) {
        return renamed(words, &format!("TABLE {exists}"), &name);
    }
    if words.eat(&["rename", "constraint"]) {
        return swapped(words, &format!("ALTER {object} RENAME CONSTRAINT"));
    }
    if words.eat(&["rename"]) {
        words.eat(&["column"]);
        return swapped(words, &format!("ALTER {object} RENAME COLUMN"));
    }
    let mut actions = Vec::new();
    for mut subcommand in subcommands(words) {
        actions.extend(action(&mut subcommand)?);
    }
    actions.reverse();
    let undo = if actions.is_empty() { Vec::new() } else { vec![format!("ALTER {object} {}", actions.join(", "))] };
    Ok(Inverse { undo, ..Inverse::default() })
}

/// The words of each subcommand; commas outside parentheses stand between them.
fn subcommands<'a>(words: &mut Words<'a>) -> Vec<Subcommand<'a>> {
    let (mut all, mut depth) = (vec![Subcommand::default()], 0_usize);
    for word in words {
        match word.text {
            "(" | "[" if word.symbol(word.text) => depth += 1,
            ")" | "]" if word.symbol(word.text) => depth = depth.saturating_sub(1),
            "," if depth == 0 && word.symbol(",") => {
                all.push(Subcommand::default());
                continue;
            }
            _ => {}
        }
        if let Some(last) = all.last_mut() {
            last.words.push(word);
        }
    }
    all
}

#[derive(Default)]
struct Subcommand<'a> {
    words: Vec<Word<'a>>,
    at: usize,
}

impl<'a> Subcommand<'a> {
    fn eat(&mut self, keywords: &[&str]) -> bool {
        let rest = self.words.get(self.at..).unwrap_or_default();
        let found = rest.len() >= keywords.len() && keywords.iter().zip(rest).all(|(keyword, word)| word.is(keyword));
        if found {
            self.at += keywords.len();
        }
        found
    }

    fn is_any(&self, keywords: &[&str]) -> bool {
        self.words.get(self.at).is_some_and(|word| keywords.iter().any(|keyword| word.is(keyword)))
    }

    /// One word that names something of the table.
    fn name(&mut self) -> Result<&'a str, String> {
        let word = self.words.get(self.at).ok_or_else(unnamed)?;
        self.at += 1;
        Ok(word.text)
    }

    /// A name with its qualification, up to the next keyword.
    fn qualified(&mut self) -> String {
        let start = self.at;
        self.at += 1;
        while self.words.get(self.at).is_some_and(|word| word.symbol(".")) {
            self.at += 2;
        }
        joined(self.words.get(start..self.at.min(self.words.len())).unwrap_or_default())
    }
}

/// The subcommand that undoes one; none where nothing is to be undone.
fn action(sub: &mut Subcommand) -> Result<Option<String>, String> {
    if sub.eat(&["add"]) {
        return add(sub).map(Some);
    }
    if sub.eat(&["alter"]) {
        return column(sub).map(Some);
    }
    // Whether it was valid before is a matter of what added it.
    if sub.eat(&["validate", "constraint"]) {
        return Ok(None);
    }
    if sub.eat(&["attach", "partition"]) {
        return Ok(Some(format!("DETACH PARTITION {}", sub.qualified())));
    }
    if sub.eat(&["inherit"]) {
        return Ok(Some(format!("NO INHERIT {}", sub.qualified())));
    }
    let security = [
        (["enable", "row", "level", "security"].as_slice(), "DISABLE ROW LEVEL SECURITY"),
        (&["disable", "row", "level", "security"], "ENABLE ROW LEVEL SECURITY"),
        (&["force", "row", "level", "security"], "NO FORCE ROW LEVEL SECURITY"),
        (&["no", "force", "row", "level", "security"], "FORCE ROW LEVEL SECURITY"),
    ];
    match security.iter().find(|(done, _)| sub.eat(done)) {
        Some((_, undo)) => Ok(Some((*undo).to_owned())),
        None => Err(BEFORE.to_owned()),
    }
}

fn add(sub: &mut Subcommand) -> Result<String, String> {
    if sub.eat(&["constraint"]) {
        let name = sub.name()?;
        if sub.words.windows(2).any(|pair| pair[0].is("using") && pair[1].is("index")) {
            return Err("dropping the constraint would drop the index that it was made from".to_owned());
        }
        return Ok(format!("DROP CONSTRAINT {name}"));
    }
    let column = sub.eat(&["column"]);
    if !column && sub.is_any(&["primary", "unique", "check", "foreign", "exclude", "not"]) {
        return Err("PostgreSQL chooses the constraint's name: give it one".to_owned());
    }
    let exists = if sub.eat(&["if", "not", "exists"]) { "IF EXISTS " } else { "" };
    Ok(format!("DROP COLUMN {exists}{}", sub.name()?))
}

fn column(sub: &mut Subcommand) -> Result<String, String> {
    if sub.eat(&["constraint"]) {
        return Err(BEFORE.to_owned());
    }
    sub.eat(&["column"]);
    let name = sub.name()?;
    if sub.eat(&["set", "not", "null"]) {
        return Ok(format!("ALTER COLUMN {name} DROP NOT NULL"));
    }
    if sub.eat(&["drop", "not", "null"]) {
        return Ok(format!("ALTER COLUMN {name} SET NOT NULL"));
    }
    if sub.eat(&["add", "generated"]) {
        return Ok(format!("ALTER COLUMN {name} DROP IDENTITY"));
    }
    Err(BEFORE.to_owned())
}
