//! Large objects: one entry that makes each of them, and one that fills all, in the order of their OIDs.
//!
//! `pg_dump` wraps what fills them in a transaction of its own, in several of them from version 17 on; a baseline is loaded
//! in one, or by psql without any, so `lo_put` fills them instead. OIDs stay as they are, since rows name them.

use super::dump::{Entry, Part};
use super::names::{literal_value, tokens};
use super::scan::Token;

/// The kind of the entry that holds their content.
const CONTENT: &str = "BLOBS";
/// Bytes that one statement writes.
const CHUNK: usize = 16 * 1024;
const OPEN: &str = "SELECT pg_catalog.lo_open(";
const WRITE: &str = "SELECT pg_catalog.lowrite(";
/// The kinds of entries that make one, in all versions; from 17 on one entry makes many.
const MADE: [&str; 2] = ["BLOB", "BLOB METADATA"];

/// Puts everything about large objects in one form.
pub(super) fn merge(entries: &mut Vec<Entry>) {
    take_apart(entries);
    fill_in_order(entries);
}

/// One entry for each object that is made, by OID, where the first of them stands.
fn take_apart(entries: &mut Vec<Entry>) {
    let is_made = |entry: &Entry| MADE.contains(&entry.kind.as_str());
    let Some(first) = entries.iter().position(is_made) else { return };
    let (made, mut rest): (Vec<Entry>, Vec<Entry>) = std::mem::take(entries).into_iter().partition(is_made);
    let mut single: Vec<(u64, Entry)> = Vec::new();
    for entry in made {
        for part in entry.parts {
            let Part::Statement(text) = &part else { continue };
            let Some(oid) = oid(text) else { continue };
            match single.iter_mut().find(|(known, _)| *known == oid) {
                Some((_, of_object)) => of_object.parts.push(part),
                None => single.push((
                    oid,
                    Entry {
                        kind: "BLOB".to_owned(),
                        name: oid.to_string(),
                        owner: entry.owner.clone(),
                        parts: vec![part],
                        ..Entry::default()
                    },
                )),
            }
        }
    }
    single.sort_by_key(|(oid, _)| *oid);
    rest.splice(first..first, single.into_iter().map(|(_, entry)| entry));
    *entries = rest;
}

/// The content of all in one entry: `lo_put` calls of [`CHUNK`] bytes.
fn fill_in_order(entries: &mut Vec<Entry>) {
    let is_content = |entry: &Entry| entry.kind == CONTENT;
    let Some(first) = entries.iter().position(is_content) else { return };
    let (content, mut rest): (Vec<Entry>, Vec<Entry>) = std::mem::take(entries).into_iter().partition(is_content);
    let mut filled: Vec<(u64, String)> = Vec::new();
    for part in content.into_iter().flat_map(|entry| entry.parts) {
        let Part::Statement(text) = part else { continue };
        if text.starts_with(OPEN) {
            filled.extend(oid(&text).map(|oid| (oid, String::new())));
        } else if text.starts_with(WRITE)
            && let Some((_, bytes)) = filled.last_mut()
        {
            bytes.push_str(&written(&text));
        }
    }
    filled.sort();
    let parts: Vec<Part> = filled.iter().flat_map(|(oid, bytes)| put(*oid, bytes)).map(Part::Statement).collect();
    if !parts.is_empty() {
        rest.insert(first, Entry { kind: CONTENT.to_owned(), name: CONTENT.to_owned(), parts, ..Entry::default() });
    }
    *entries = rest;
}

fn put(oid: u64, digits: &str) -> impl Iterator<Item = String> {
    let chunks = digits.as_bytes().chunks(2 * CHUNK).enumerate();
    chunks.map(move |(at, chunk)| {
        format!("SELECT pg_catalog.lo_put('{oid}', {}, '\\x{}');", at * CHUNK, String::from_utf8_lossy(chunk))
    })
}

/// The OID that a statement about a large object names: the first literal, or the number in `ALTER LARGE OBJECT 1 …`.
fn oid(text: &str) -> Option<u64> {
    tokens(text).iter().find_map(|token| {
        let range = token.range()?;
        match token.token {
            Token::Literal(_) => literal_value(&text[range])?.parse().ok(),
            _ => text[range].parse().ok(),
        }
    })
}

/// The hexadecimal digits that a `lowrite` writes.
fn written(text: &str) -> String {
    let last = tokens(text).into_iter().rev().find(|token| matches!(token.token, Token::Literal(_)));
    let value = last.and_then(|token| literal_value(&text[token.range()?])).unwrap_or_default();
    value.trim_start_matches("\\x").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: &str, name: &str, statements: &[&str]) -> Entry {
        Entry {
            kind: kind.into(),
            name: name.into(),
            parts: statements.iter().map(|text| Part::Statement((*text).to_owned())).collect(),
            ..Entry::default()
        }
    }

    #[test]
    fn all_versions_come_to_one_form() {
        let made = ["SELECT pg_catalog.lo_create('16386');", "SELECT pg_catalog.lo_create('4711');"];
        let fill = [
            "BEGIN;",
            "SELECT pg_catalog.lo_open('16386', 131072);",
            "SELECT pg_catalog.lowrite(0, '\\x6162');",
            "SELECT pg_catalog.lowrite(0, '\\x63');",
            "SELECT pg_catalog.lo_close(0);",
            "SELECT pg_catalog.lo_open('4711', 131072);",
            "SELECT pg_catalog.lo_close(0);",
            "COMMIT;",
        ];
        let mut old = vec![
            entry("BLOB", "16386", &[made[0]]),
            entry("BLOB", "4711", &[made[1], "ALTER LARGE OBJECT 4711 OWNER TO x;"]),
            entry("BLOBS", "BLOBS", &fill),
        ];
        let mut new = vec![
            entry("BLOB METADATA", "4711..16386", &[made[1], made[0], "ALTER LARGE OBJECT 4711 OWNER TO x;"]),
            entry("BLOBS", "16386..16386", &fill[..5]),
            entry("BLOBS", "4711..4711", &fill[5..]),
        ];
        merge(&mut old);
        merge(&mut new);
        assert_eq!(old, new);
        let names: Vec<&str> = old.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["4711", "16386", "BLOBS"]);
        assert_eq!(old[2].text(), "SELECT pg_catalog.lo_put('16386', 0, '\\x616263');\n\n");
    }

    #[test]
    fn long_objects_are_written_in_chunks() {
        let all: Vec<String> = put(7, &"ab".repeat(CHUNK + 1)).collect();
        assert_eq!(all.len(), 2);
        assert_eq!(all[1], "SELECT pg_catalog.lo_put('7', 16384, '\\xab');");
    }
}
