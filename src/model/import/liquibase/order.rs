//! Which changesets that run on change may leave the order and become repeatable files.

use super::changeset::ChangeSet;
use crate::model::import::Remark;
use crate::model::sql::{self, Mention, main_object, mention};

/// One answer for each changeset.
///
/// A repeatable file runs behind all migrations, and again whenever any ran: what is in it must bear that, and no
/// migration behind it may need what it makes.
pub fn repeatable(sets: &[ChangeSet], remarks: &mut Vec<Remark>) -> Vec<bool> {
    let mut repeats: Vec<bool> = vec![false; sets.len()];
    for (at, set) in sets.iter().enumerate().rev() {
        if !set.run_on_change && !set.run_always {
            continue;
        }
        let how = if set.run_always { "runAlways" } else { "runOnChange" };
        let objects = objects(&set.sql);
        let needed = sets.iter().enumerate().skip(at + 1).filter(|(later, _)| !repeats[*later]);
        let needed = needed
            .map(|(_, later)| later)
            .find(|later| objects.iter().any(|object| mention(&later.sql, &[object]) != Mention::None));
        let why = match needed {
            _ if !bears_repeating(&set.sql) => Some("it does not bear to be run again".to_owned()),
            _ if !set.preconditions.is_empty() || !set.contexts.is_empty() || !set.transaction => {
                Some("it has a context, a precondition or no transaction".to_owned())
            }
            Some(later) => Some(format!("`{}` at {}:{} needs it", later.id, later.file, later.line)),
            None => None,
        };
        match why {
            None => repeats[at] = true,
            Some(why) => {
                let what = format!("`{how}` is not carried over: {why}; it became a migration, which runs once");
                remarks.push(Remark::line(&set.file, set.line, what, "a change of it wants a new migration"));
            }
        }
    }
    repeats
}

/// The names that a text makes, without schema.
fn objects(text: &str) -> Vec<String> {
    let statements = sql::split(text).unwrap_or_default();
    let names = statements.iter().filter_map(|statement| main_object(&text[statement.range.clone()]));
    names
        .filter_map(|object| Some(object.name.rsplit('.').next()?.split('(').next()?.trim_matches('"').to_owned()))
        .collect()
}

/// Whether every statement may be run on what it made before.
fn bears_repeating(text: &str) -> bool {
    let Ok(statements) = sql::split(text) else { return false };
    let mut dropped = false;
    !statements.is_empty()
        && statements.iter().all(|statement| {
            let words: Vec<String> =
                text[statement.range.clone()].split_whitespace().map(str::to_ascii_lowercase).collect();
            let phrase = |phrase: &str| words.join(" ").contains(phrase);
            match words.first().map(String::as_str) {
                Some("create") => phrase("create or replace ") || phrase(" if not exists ") || dropped,
                Some("drop") => {
                    dropped |= phrase(" if exists ");
                    phrase(" if exists ")
                }
                Some("insert") => phrase("on conflict"),
                Some("grant" | "revoke" | "comment" | "select" | "refresh" | "analyze" | "update" | "delete") => true,
                _ => false,
            }
        })
}
