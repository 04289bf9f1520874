//! What differs between two baselines, as a person needs it: object by object, then the unified diff.
//!
//! It compares text; what texts mean the same is [`super::volatile`]'s and the settled dump's to decide.

use super::dump::{Dump, Entry};
use std::collections::BTreeMap;
use std::fmt;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Only the newer one has it.
    Added,
    /// Only the older one has it.
    Removed,
    /// Both have it, not alike.
    Changed,
}

/// One object that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Added, removed or changed, seen from the older one.
    pub change: Change,
    /// The object in words: ``table `public.invoice` ``.
    pub object: String,
    /// What of it differs, where not the whole: `rows`, `privileges`, `comment`.
    pub parts: Vec<String>,
}

impl fmt::Display for Difference {
    /// A clause whose subject is the older one: ``it lacks table `public.invoice` ``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.change {
            Change::Added => write!(f, "it lacks {}", self.object),
            Change::Removed => write!(f, "it has {}, which the sources do not make", self.object),
            Change::Changed if self.parts.is_empty() => write!(f, "its {} differs", self.object),
            Change::Changed => write!(f, "its {} differs in {}", self.object, self.parts.join(", ")),
        }
    }
}

/// What [`Entry`] belongs to: kind of object in words, and its qualified name.
type Object = (String, String);
/// Aspect of an object (empty for its definition) to the texts that say it.
type Aspects = BTreeMap<String, Vec<String>>;

/// Compares an older dump with a newer one object by object, in the order of names.
pub fn differences(older: &Dump, newer: &Dump) -> Vec<Difference> {
    let (older, newer) = (objects(older), objects(newer));
    let mut found = Vec::new();
    for (object, aspects) in &newer {
        match older.get(object) {
            None => found.push(difference(Change::Added, object, added_parts(aspects))),
            Some(before) if before != aspects => {
                found.push(difference(Change::Changed, object, changed_parts(before, aspects)));
            }
            Some(_) => {}
        }
    }
    for (object, aspects) in &older {
        if !newer.contains_key(object) {
            found.push(difference(Change::Removed, object, added_parts(aspects)));
        }
    }
    found.sort_by(|a, b| a.object.cmp(&b.object).then(a.change.cmp(&b.change)));
    found
}

fn difference(change: Change, (kind, name): &Object, parts: Vec<String>) -> Difference {
    Difference { change, object: format!("{kind} `{name}`"), parts }
}

/// An object without a definition of its own here (privileges on a schema that every database has) is only its aspects.
fn added_parts(aspects: &Aspects) -> Vec<String> {
    if aspects.contains_key("") { Vec::new() } else { aspects.keys().cloned().collect() }
}

fn changed_parts(before: &Aspects, after: &Aspects) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for key in before.keys().chain(after.keys()) {
        if before.get(key) != after.get(key) {
            let (old, new) = (before.get(key).map_or(0, Vec::len), after.get(key).map_or(0, Vec::len));
            let part = match key.as_str() {
                "" => "definition".to_owned(),
                "rows" if old != new => format!("rows ({old} instead of {new})"),
                other => other.to_owned(),
            };
            parts.push(part);
        }
    }
    parts.sort();
    parts.dedup();
    parts
}

fn objects(dump: &Dump) -> BTreeMap<Object, Aspects> {
    let mut found: BTreeMap<Object, Aspects> = BTreeMap::new();
    for entry in &dump.entries {
        let (object, aspect) = place(entry);
        let texts = found.entry(object).or_default().entry(aspect).or_default();
        texts.extend(entry.statements().map(str::to_owned));
        for block in entry.blocks() {
            if texts.is_empty() && block.rows.is_empty() {
                continue;
            }
            texts.extend(block.rows.iter().cloned());
        }
    }
    // A table without rows equals one whose rows are not dumped.
    for aspects in found.values_mut() {
        aspects.retain(|_, texts| !texts.is_empty());
    }
    found.retain(|_, aspects| !aspects.is_empty());
    found
}

/// Which object an entry speaks of, and which aspect of it.
fn place(entry: &Entry) -> (Object, String) {
    let kind = entry.kind.as_str();
    let aspect = match kind {
        "TABLE DATA" => "rows",
        "SEQUENCE SET" => "position",
        "ACL" => "privileges",
        "COMMENT" => "comment",
        "SECURITY LABEL" => "security label",
        "ROW SECURITY" => "row security",
        "TABLE ATTACH" | "INDEX ATTACH" => "attachment",
        "SEQUENCE OWNED BY" => "owner column",
        "MATERIALIZED VIEW DATA" => "population",
        _ => "",
    };
    let (word, name) = match kind {
        "TABLE DATA" | "ROW SECURITY" | "TABLE ATTACH" => ("TABLE", entry.name.as_str()),
        "SEQUENCE SET" | "SEQUENCE OWNED BY" => ("SEQUENCE", entry.name.as_str()),
        "MATERIALIZED VIEW DATA" => ("MATERIALIZED VIEW", entry.name.as_str()),
        "INDEX ATTACH" => ("INDEX", entry.name.as_str()),
        "ACL" | "COMMENT" | "SECURITY LABEL" => return (commented(entry), aspect.to_owned()),
        "FK CONSTRAINT" => ("FOREIGN KEY", entry.name.as_str()),
        other => (other, entry.name.as_str()),
    };
    ((word.to_ascii_lowercase(), qualified(entry, name)), aspect.to_owned())
}

fn commented(entry: &Entry) -> Object {
    let (kind, name) = commented_parts(entry);
    (kind, qualified(entry, name))
}

/// `COMMENT` and `ACL` entries name their object as `TABLE invoice` or `COLUMN invoice.id`: the kind in words, the rest.
pub(super) fn commented_parts(entry: &Entry) -> (String, &str) {
    const KINDS: [&str; 14] = [
        "MATERIALIZED VIEW",
        "FOREIGN TABLE",
        "EVENT TRIGGER",
        "TEXT SEARCH CONFIGURATION",
        "TEXT SEARCH DICTIONARY",
        "FOREIGN SERVER",
        "FOREIGN DATA WRAPPER",
        "LARGE OBJECT",
        "ACCESS METHOD",
        "OPERATOR CLASS",
        "OPERATOR FAMILY",
        "USER MAPPING",
        "TEXT SEARCH PARSER",
        "TEXT SEARCH TEMPLATE",
    ];
    let kind = KINDS
        .into_iter()
        .find(|kind| entry.name.strip_prefix(kind).is_some_and(|rest| rest.starts_with(' ')))
        .or_else(|| entry.name.split_once(' ').map(|(kind, _)| kind))
        .unwrap_or_default();
    let name = entry.name[kind.len()..].trim_start();
    (kind.to_ascii_lowercase(), name)
}

fn qualified(entry: &Entry, name: &str) -> String {
    match &entry.schema {
        Some(schema) => format!("{schema}.{name}"),
        None => name.to_owned(),
    }
}

/// The unified diff of two baselines' texts, three lines of context, at most `max_lines` lines.
pub fn unified_diff(older: (&str, &str), newer: (&str, &str), max_lines: usize) -> String {
    let diff = similar::TextDiff::configure()
        .algorithm(similar::Algorithm::Patience)
        .timeout(std::time::Duration::from_secs(2))
        .diff_lines(older.1, newer.1);
    let text = diff.unified_diff().context_radius(3).header(older.0, newer.0).to_string();
    let mut lines = text.split_inclusive('\n');
    let mut shown: String = lines.by_ref().take(max_lines).collect();
    if lines.next().is_some() {
        shown.push_str("(the rest is left out)\n");
    }
    shown
}
