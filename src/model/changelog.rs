//! What changed between two baselines, for people: object by object, with what stands on a table below it.

use crate::model::baseline::{AspectChange, Change, ObjectChange, ObjectName};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A whole object that changed, or on which something did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Which.
    pub object: ObjectName,
    /// Added, removed or changed.
    pub change: Change,
    /// What about it, in words.
    pub details: Vec<String>,
    /// What changed that stands on it; empty where it was added or removed as a whole.
    pub parts: Vec<Item>,
}

/// A migration that came, went or has another content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationChange {
    /// Its version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Added, removed or changed.
    pub change: Change,
    /// What its file says that it is for.
    pub description: Option<String>,
}

/// The word for a change.
pub fn verb(change: Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Removed => "removed",
        Change::Changed => "changed",
    }
}

/// Orders changes by whole objects.
pub fn items(changes: &[ObjectChange]) -> Vec<Item> {
    let mut found: BTreeMap<ObjectName, Item> = BTreeMap::new();
    let (whole, parts): (Vec<&ObjectChange>, Vec<&ObjectChange>) =
        changes.iter().partition(|change| change.object.of.is_none());
    for change in whole {
        found.insert(change.object.clone(), item(change));
    }
    for change in parts {
        let place = owner(&found, &change.object);
        let owner = found.entry(place.clone()).or_insert_with(|| Item {
            object: place,
            change: Change::Changed,
            details: Vec::new(),
            parts: Vec::new(),
        });
        if owner.change == Change::Changed {
            owner.parts.push(item(change));
        }
    }
    found.into_values().collect()
}

/// What a part stands on: a relation of that name that changed too, or else a table.
fn owner(found: &BTreeMap<ObjectName, Item>, part: &ObjectName) -> ObjectName {
    let on = |name: &&ObjectName| {
        name.schema == part.schema
            && part.of.as_ref() == Some(&name.name)
            && matches!(name.kind.as_str(), "table" | "view" | "materialized view" | "foreign table")
    };
    found.keys().find(on).cloned().unwrap_or_else(|| ObjectName {
        schema: part.schema.clone(),
        kind: "table".to_owned(),
        of: None,
        name: part.of.clone().unwrap_or_default(),
    })
}

fn item(change: &ObjectChange) -> Item {
    Item {
        object: change.object.clone(),
        change: change.change,
        details: change.aspects.iter().filter_map(|aspect| detail(&change.object, aspect, change.change)).collect(),
        parts: Vec::new(),
    }
}

/// The longest text that is shown in a line.
const SHORT: usize = 100;

fn detail(object: &ObjectName, changed: &AspectChange, change: Change) -> Option<String> {
    let (aspect, before, after) = (changed.name.as_str(), changed.before.as_deref(), changed.after.as_deref());
    let whole = |text: Option<&str>| {
        let text = saying(aspect, text?);
        (text.len() <= SHORT && !text.contains('\n')).then(|| text.to_owned())
    };
    // What a function or view does is no matter of a line; what stands on a table begins with what matters.
    let begin = |text: &str| match object.of.is_some() || aspect == "comment" {
        true => Some(shortened(saying(aspect, text))),
        false => whole(Some(text)),
    };
    match aspect {
        // The definition of a table is its columns, which are told by themselves.
        "" if object.kind == "table" && change != Change::Changed => None,
        "column order" if change == Change::Added => {
            let columns: Vec<String> = after?.lines().map(|column| format!("`{column}`")).collect();
            Some(format!("with {}", columns.join(", ")))
        }
        "column order" if change == Change::Changed => Some("other order of columns".to_owned()),
        "rows" => Some(rows(before.unwrap_or_default(), after.unwrap_or_default())),
        "" | "default" | "comment" => {
            let label = if aspect.is_empty() { String::new() } else { format!("{aspect} ") };
            match (before, after) {
                _ if change == Change::Removed => None,
                (_, None) => Some(format!("no {} any more", changed.label())),
                (None, Some(after)) => begin(after).map(|after| format!("{label}`{after}`")),
                _ => Some(match (whole(before), whole(after)) {
                    (Some(before), Some(after)) => format!("{label}`{before}` → `{after}`"),
                    _ => format!("{} {}", changed.label(), lines(before, after)),
                }),
            }
        }
        _ if change != Change::Changed => None,
        other => Some(other.to_owned()),
    }
}

/// The beginning of a text in one line.
fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHORT) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// The text of a statement that matters, without what only names the object again.
fn saying<'a>(aspect: &str, text: &'a str) -> &'a str {
    let text = text.strip_suffix(';').unwrap_or(text);
    let after = |mark: &str| text.split_once(mark).map_or(text, |(_, rest)| rest);
    match aspect {
        "comment" => after(" IS "),
        "default" => after(" SET DEFAULT "),
        _ => text,
    }
}

fn counted(text: &str) -> BTreeMap<&str, i64> {
    let mut lines = BTreeMap::new();
    for line in text.lines() {
        *lines.entry(line).or_default() += 1;
    }
    lines
}

/// How many lines came and went, wherever they stand.
fn came_and_went(before: &str, after: &str) -> (i64, i64) {
    let (old, new) = (counted(before), counted(after));
    let surplus = |one: &BTreeMap<&str, i64>, other: &BTreeMap<&str, i64>| -> i64 {
        one.iter().map(|(line, n)| (n - other.get(line).copied().unwrap_or(0)).max(0)).sum()
    };
    (surplus(&new, &old), surplus(&old, &new))
}

fn rows(before: &str, after: &str) -> String {
    let many = |n: i64| format!("{n} row{}", if n == 1 { "" } else { "s" });
    match came_and_went(before, after) {
        (came, 0) => format!("{} added", many(came)),
        (0, went) => format!("{} removed", many(went)),
        (came, went) => format!("{} added or changed, {went} removed or changed", many(came)),
    }
}

fn lines(before: Option<&str>, after: Option<&str>) -> String {
    let (came, went) = came_and_went(before.unwrap_or_default(), after.unwrap_or_default());
    format!("(+{came} −{went} lines)")
}

/// What changed as Markdown, by schema and kind.
pub fn markdown(title: &str, migrations: &[MigrationChange], items: &[Item]) -> String {
    let mut out = format!("# {title}\n");
    if migrations.is_empty() && items.is_empty() {
        out.push_str("\nNothing of the database changed.\n");
    }
    if !migrations.is_empty() {
        out.push_str("\n## Migrations\n\n");
    }
    for migration in migrations {
        let change = if migration.change == Change::Added { "" } else { verb(migration.change) };
        let about = migration.description.as_deref().map_or_else(String::new, |text| format!(": {text}"));
        let mark = if change.is_empty() { String::new() } else { format!(" ({change})") };
        let _ = writeln!(out, "- `{}_{}`{mark}{about}", migration.version, migration.name);
    }
    let mut place = None;
    let mut kind = "";
    for item in items {
        if place != Some(&item.object.schema) {
            place = Some(&item.object.schema);
            kind = "";
            let title =
                item.object.schema.as_ref().map_or("Database".to_owned(), |schema| format!("Schema `{schema}`"));
            let _ = writeln!(out, "\n## {title}");
        }
        if kind != item.object.kind {
            kind = &item.object.kind;
            let _ = writeln!(out, "\n### {}\n", plural(kind));
        }
        let _ = writeln!(out, "- {}", sentence(item, &item.object.name));
        for part in &item.parts {
            let name = format!("{} `{}`", part.object.kind, part.object.name);
            let _ = writeln!(out, "  - {}", sentence_named(part, &name));
        }
    }
    out
}

fn sentence(item: &Item, name: &str) -> String {
    sentence_named(item, &format!("`{name}`"))
}

/// ``added column `note`: `text` ``.
pub fn sentence_named(item: &Item, name: &str) -> String {
    let details = if item.details.is_empty() { String::new() } else { format!(": {}", item.details.join("; ")) };
    format!("{} {name}{details}", verb(item.change))
}

/// `Foreign tables`, `Policies`, `Indexes`.
fn plural(kind: &str) -> String {
    let mut chars = kind.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    let word = format!("{first}{}", chars.as_str());
    match word.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if word.ends_with(['x', 's']) => format!("{word}es"),
        None => format!("{word}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::baseline::Facts;

    const BEFORE: &str = "-- Name: a; Type: TABLE; Schema: s\n\nCREATE TABLE s.a (\n    id integer NOT NULL,\n    \
        \"a,b\" numeric(10,2),\n    old text,\n    CONSTRAINT c CHECK ((id > 0))\n);\n\n\
        -- Data for Name: a; Type: TABLE DATA; Schema: s\n\nCOPY s.a (id, \"a,b\", old) FROM stdin;\n1\t2\tx\n2\t2\tx\n\\.\n\n\
        -- Name: v; Type: VIEW; Schema: s\n\nCREATE VIEW s.v AS\n SELECT 1;\n\n\
        -- Name: TABLE v; Type: ACL; Schema: s\n\nGRANT SELECT ON TABLE s.v TO r;\n\n\
        -- Name: f(integer); Type: FUNCTION; Schema: s\n\nCREATE FUNCTION s.f(n integer) RETURNS void\n    AS $$1$$;\n\n\
        -- Name: FUNCTION f(n integer); Type: COMMENT; Schema: s\n\nCOMMENT ON FUNCTION s.f(n integer) IS 'one';\n";

    fn changes(before: &str, after: &str) -> Vec<String> {
        let (before, after) = (Facts::of_entries(before).unwrap(), Facts::of_entries(after).unwrap());
        let items = items(&before.changes(&after));
        let text = markdown("t", &[], &items);
        text.lines().filter(|line| line.trim_start().starts_with("- ")).map(str::to_owned).collect()
    }

    #[test]
    fn columns_and_what_stands_on_a_table_are_told_below_it() {
        let after = BEFORE
            .replace("numeric(10,2)", "numeric(12,2)")
            .replace("    old text,\n", "    note text DEFAULT ','::text,\n")
            .replace("(id > 0)", "(id > 1)")
            .replace("2\t2\tx\n", "2\t2\ty\n3\t2\tx\n");
        assert_eq!(
            changes(BEFORE, &after),
            [
                "- changed `a`: 2 rows added or changed, 1 removed or changed",
                "  - changed column `a,b`: `numeric(10,2)` → `numeric(12,2)`",
                "  - added column `note`: `text DEFAULT ','::text`",
                "  - removed column `old`",
                "  - changed constraint `c`: `CONSTRAINT c CHECK ((id > 0))` → `CONSTRAINT c CHECK ((id > 1))`",
            ]
        );
        let moved = BEFORE
            .replace("    id integer NOT NULL,\n", "")
            .replace("old text,\n", "old text,\n    id integer NOT NULL,\n");
        assert_eq!(changes(BEFORE, &moved), ["- changed `a`: other order of columns"]);
    }

    #[test]
    fn comments_and_privileges_belong_to_their_object() {
        let after = BEFORE.replace("'one'", "'two'").replace("GRANT SELECT", "GRANT ALL").replace("$$1$$", "$$\n2\n$$");
        assert_eq!(
            changes(BEFORE, &after),
            [
                "- changed `f(integer)`: definition (+3 −1 lines); comment `'one'` → `'two'`",
                "- changed `v`: privileges",
            ]
        );
    }

    #[test]
    fn whole_objects_come_and_go() {
        assert_eq!(
            changes("", BEFORE),
            [
                "- added `f(integer)`: comment `'one'`",
                "- added `a`: with `id`, `a,b`, `old`; 2 rows added",
                "- added `v`",
            ]
        );
        assert_eq!(changes(BEFORE, "").len(), 3);
        assert!(changes(BEFORE, BEFORE).is_empty());
    }
}
