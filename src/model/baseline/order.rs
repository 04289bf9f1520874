//! One order for what `pg_dump` writes in the order in which objects were made: rows, grants, members of operator
//! families, settings, and entries that share schema, kind and name.
//!
//! The order between objects stays `pg_dump`'s own, which follows from their names and dependencies.

use super::dump::{Entry, Part};
use super::large_objects;
use super::names::{Placed, tokens};
use super::scan::Token;
use crate::error::{Error, Result};
use std::collections::BTreeSet;

/// Puts everything whose order means nothing in a defined order.
pub(super) fn canonicalise(entries: &mut Vec<Entry>) -> Result<()> {
    for entry in entries.iter_mut() {
        match entry.kind.as_str() {
            "ACL" | "DEFAULT ACL" => sort_grants(&mut entry.parts),
            "DATABASE PROPERTIES" => entry.parts.sort_by(|a, b| statement(a).cmp(statement(b))),
            "OPERATOR FAMILY" | "OPERATOR CLASS" => entry.parts.iter_mut().for_each(sort_members),
            _ => {}
        }
    }
    large_objects::merge(entries);
    merge_rows(entries)?;
    sort_ties(entries);
    Ok(())
}

fn statement(part: &Part) -> &str {
    match part {
        Part::Statement(text) => text,
        Part::Rows(block) => &block.table,
    }
}

/// REVOKEs stay first, plain GRANTs are sorted; grants made by others follow, each after what lets its grantor grant.
fn sort_grants(parts: &mut Vec<Part>) {
    let mut revokes = Vec::new();
    let mut grants = Vec::new();
    let mut by_others: Vec<Vec<Part>> = Vec::new();
    let mut open = false;
    for part in std::mem::take(parts) {
        let text = statement(&part);
        let (begins, ends) =
            (text.starts_with("SET SESSION AUTHORIZATION"), text.starts_with("RESET SESSION AUTHORIZATION"));
        match by_others.last_mut() {
            _ if begins => by_others.push(vec![part]),
            Some(block) if open => block.push(part),
            _ if is_revoke(text) => revokes.push(part),
            _ => grants.push(part),
        }
        open = begins || open && !ends;
    }
    grants.sort_by(|a, b| statement(a).cmp(statement(b)));
    // A block repeats its grantor for each grant: taken apart and sorted, then put where its grantor may grant.
    by_others.sort_by_key(|block| block.iter().map(|p| statement(p).to_owned()).collect::<Vec<_>>());
    let mut may_grant: BTreeSet<String> = grants.iter().filter_map(|g| grantee(statement(g))).collect();
    parts.extend(revokes);
    parts.extend(grants);
    while !by_others.is_empty() {
        let ready = by_others.iter().position(|block| grantor(block).is_some_and(|g| may_grant.contains(&g)));
        let block = by_others.remove(ready.unwrap_or(0));
        may_grant.extend(block.iter().filter_map(|p| grantee(statement(p))));
        parts.extend(block);
    }
}

fn is_revoke(text: &str) -> bool {
    text.starts_with("REVOKE ")
        || text.starts_with("ALTER DEFAULT PRIVILEGES ")
            && tokens(text).iter().any(|t| t.depth == 0 && t.is_word(text, "REVOKE"))
}

/// Who may grant on, after this statement.
fn grantee(text: &str) -> Option<String> {
    let front = text.strip_suffix(" WITH GRANT OPTION;")?;
    let found = tokens(front);
    found.last().and_then(Placed::range).map(|r| front[r].to_owned())
}

fn grantor(block: &[Part]) -> Option<String> {
    let text = block.first().map(statement)?;
    Some(text.strip_prefix("SET SESSION AUTHORIZATION ")?.strip_suffix(';')?.to_owned())
}

/// Members of operator classes and families with the same strategy number come in heap order.
fn sort_members(part: &mut Part) {
    let Part::Statement(text) = part else { return };
    let found = tokens(text);
    let Some(lead) = found.iter().position(|t| t.depth == 0 && (t.is_word(text, "ADD") || t.is_word(text, "AS")))
    else {
        return;
    };
    let Some(start) = found[lead].range().map(|r| r.end) else { return };
    let list = text[start..].trim_end_matches(';');
    let mut members = super::rows::split_list(list);
    if members.len() < 2 {
        return;
    }
    members.sort_by_key(|member| {
        let mut words = member.split_ascii_whitespace();
        let kind = words.next().unwrap_or_default().to_owned();
        let rank = ["STORAGE", "OPERATOR", "FUNCTION"].iter().position(|k| *k == kind);
        (rank, words.next().and_then(|n| n.parse::<u32>().ok()), member.clone())
    });
    *text = format!("{}\n    {};", &text[..start], members.join(",\n    "));
}

/// One block of sorted rows for each table, all partitions of a tree in one, tables by name.
fn merge_rows(entries: &mut Vec<Entry>) -> Result<()> {
    let mut first = None;
    let mut data: Vec<Entry> = Vec::new();
    let mut rest = Vec::with_capacity(entries.len());
    for entry in std::mem::take(entries) {
        if entry.kind == "TABLE DATA" {
            first.get_or_insert(rest.len());
            data.push(entry);
        } else {
            rest.push(entry);
        }
    }
    let mut merged: Vec<Entry> = Vec::with_capacity(data.len());
    let mut places = std::collections::HashMap::new();
    for mut entry in data {
        let Some(Part::Rows(block)) = entry.parts.pop() else { continue };
        let place = *places.entry(block.table.clone()).or_insert(merged.len());
        match merged.get_mut(place).and_then(|e: &mut Entry| e.parts.last_mut()) {
            Some(Part::Rows(into)) => {
                let table = block.table.clone();
                if !into.merge(block) {
                    return Err(Error::failed(format!("the partitions of {table} do not have the same columns")));
                }
            }
            _ => {
                entry.name = super::names::last_name(&block.table).unwrap_or(entry.name);
                entry.schema = super::names::schema_name(&block.table).or(entry.schema);
                entry.parts.push(Part::Rows(block));
                merged.push(entry);
            }
        }
    }
    for entry in &mut merged {
        for part in &mut entry.parts {
            if let Part::Rows(block) = part {
                block.sort();
            }
        }
    }
    merged.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
    let at = first.unwrap_or(rest.len());
    rest.splice(at..at, merged);
    *entries = rest;
    Ok(())
}

/// Neighbours of one kind, schema and name are told apart by OID in older minor versions: sort them by their text.
fn sort_ties(entries: &mut [Entry]) {
    for run in entries.chunk_by_mut(|a, b| tie(a).is_some_and(|key| Some(key) == tie(b))) {
        run.sort_by_cached_key(|entry| (entry.name.clone(), entry.text()));
    }
}

/// What entries have in common whose order among them is free. `None` for kinds that may depend on one another.
fn tie(entry: &Entry) -> Option<(&str, &Option<String>, String)> {
    let name = match entry.kind.as_str() {
        "DEFAULT ACL" | "PUBLICATION TABLE" | "PUBLICATION TABLES IN SCHEMA" => String::new(),
        "OPERATOR" | "CAST" | "COLLATION" => entry.name.clone(),
        "CONSTRAINT" | "FK CONSTRAINT" => added_constraint(entry)?,
        "TRIGGER" | "POLICY" | "RULE" => created_name(entry)?,
        _ => return None,
    };
    Some((&entry.kind, &entry.schema, name))
}

/// `ALTER TABLE ONLY s.t ADD CONSTRAINT name …`
fn added_constraint(entry: &Entry) -> Option<String> {
    let text = entry.statements().next()?;
    let found = tokens(text);
    let at = found.iter().position(|t| t.is_word(text, "CONSTRAINT"))?;
    found.get(at + 1)?.range().map(|r| text[r].to_owned())
}

/// `CREATE TRIGGER name …`: the first identifier after the words that say what is made.
fn created_name(entry: &Entry) -> Option<String> {
    const WORDS: [&str; 5] = ["CREATE", "CONSTRAINT", "TRIGGER", "POLICY", "RULE"];
    let text = entry.statements().next()?;
    if text.starts_with("CREATE OR REPLACE ") {
        // A view whose definition had to wait: such views may use one another.
        return None;
    }
    let found = tokens(text);
    let name = found
        .iter()
        .find(|t| matches!(t.token, Token::Quoted(_)) || !WORDS.iter().any(|word| t.is_word(text, word)))?;
    name.range().map(|r| text[r].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(statements: &[&str]) -> Vec<Part> {
        statements.iter().map(|s| Part::Statement((*s).to_owned())).collect()
    }

    #[test]
    fn grants_follow_what_allows_them() {
        let mut list = parts(&[
            "SET SESSION AUTHORIZATION b;",
            "GRANT SELECT ON TABLE t TO c;",
            "RESET SESSION AUTHORIZATION;",
            "GRANT SELECT ON TABLE t TO z;",
            "SET SESSION AUTHORIZATION z2;",
            "GRANT SELECT ON TABLE t TO b WITH GRANT OPTION;",
            "RESET SESSION AUTHORIZATION;",
            "GRANT SELECT ON TABLE t TO z2 WITH GRANT OPTION;",
            "REVOKE ALL ON TABLE t FROM PUBLIC;",
        ]);
        sort_grants(&mut list);
        let texts: Vec<&str> = list.iter().map(statement).collect();
        assert_eq!(texts[0], "REVOKE ALL ON TABLE t FROM PUBLIC;");
        assert_eq!(texts[1], "GRANT SELECT ON TABLE t TO z2 WITH GRANT OPTION;");
        assert_eq!(texts[3], "SET SESSION AUTHORIZATION z2;");
        assert_eq!(texts[6], "SET SESSION AUTHORIZATION b;");
        assert_eq!(texts.len(), 9);
    }

    #[test]
    fn members_sort_by_number() {
        let mut part = Part::Statement(
            "ALTER OPERATOR FAMILY s.f USING btree ADD\n    OPERATOR 10 s.<(a,b) ,\n    OPERATOR 2 s.<(b,a) ,\n    \
             FUNCTION 1 (a, b) s.c(a,b);"
                .to_owned(),
        );
        sort_members(&mut part);
        assert_eq!(
            statement(&part),
            "ALTER OPERATOR FAMILY s.f USING btree ADD\n    OPERATOR 2 s.<(b,a),\n    OPERATOR 10 s.<(a,b),\n    \
             FUNCTION 1 (a, b) s.c(a,b);"
        );
    }
}
