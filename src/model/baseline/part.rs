//! The part of a baseline that must be loaded to see that what changed since a known one is settled.
//!
//! An entry whose text is as it was, and which mentions nothing that changed, comes out of a load as it did before. So the
//! part is: what changed, all that mentions it, and all that these need. Which entry mentions which is told by words, so
//! that a name in a literal or in a function's body counts, and one too many costs time only. Where a database holds kinds
//! of objects that act without being mentioned (casts, operators, event triggers), or one of those that all stands on
//! changed, there is no part.

use super::dump::{Dump, Entry};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Objects that others mention by name.
const NAMED: [&str; 9] =
    ["TABLE", "VIEW", "MATERIALIZED VIEW", "SEQUENCE", "FUNCTION", "PROCEDURE", "TYPE", "DOMAIN", "STATISTICS"];

/// What belongs to one object or ties several, and mentions each of them.
const ATTACHED: [&str; 18] = [
    "CONSTRAINT",
    "FK CONSTRAINT",
    "CHECK CONSTRAINT",
    "INDEX",
    "TRIGGER",
    "DEFAULT",
    "RULE",
    "POLICY",
    "ROW SECURITY",
    "COMMENT",
    "ACL",
    "TABLE DATA",
    "SEQUENCE SET",
    "SEQUENCE OWNED BY",
    "TABLE ATTACH",
    "INDEX ATTACH",
    "MATERIALIZED VIEW DATA",
    "STATISTICS DATA",
];

/// What all stands on: always part of it, never changed.
const GROUND: [&str; 5] = ["SCHEMA", "EXTENSION", "DATABASE", "DATABASE PROPERTIES", "DEFAULT ACL"];

/// What hangs on an object that is only needed, and is not needed for it.
const NOT_NEEDED: [&str; 4] = ["FK CONSTRAINT", "TRIGGER", "RULE", "POLICY"];

/// The entries of `new` that show whether it is settled, where `old` is known to be; in the order in which they run.
/// `None` where nothing less than the whole does, or the part is no less.
pub fn part(old: &Dump, new: &Dump) -> Option<Dump> {
    if !old.entries.iter().chain(&new.entries).all(|entry| is_ground(entry) || is_named(entry) || is_attached(entry)) {
        return None;
    }
    let text = |entry: &Entry| (entry.kind.clone(), entry.schema.clone(), entry.name.clone(), entry.whole_text());
    let (before, after): (HashSet<_>, HashSet<_>) =
        (old.entries.iter().map(text).collect(), new.entries.iter().map(text).collect());
    let changed: BTreeSet<usize> =
        (0..new.entries.len()).filter(|at| !before.contains(&text(&new.entries[*at]))).collect();
    let gone: Vec<&Entry> = old.entries.iter().filter(|entry| !after.contains(&text(entry))).collect();
    if changed.iter().map(|at| &new.entries[*at]).chain(gone.iter().copied()).any(is_ground) {
        return None;
    }
    if changed.is_empty() && gone.is_empty() {
        return Some(Dump::default());
    }
    let mentions = Mentions::of(new);
    let gone_names = gone.iter().filter(|entry| is_named(entry)).map(|entry| name_words(entry));
    let mut part = mentions.dependents(changed, gone_names.collect());
    mentions.add_needs(&mut part);
    part.extend((0..new.entries.len()).filter(|at| is_ground(&new.entries[*at])));
    let entries: Vec<Entry> = part.iter().map(|at| new.entries[*at].clone()).collect();
    (entries.len() * 2 < new.entries.len()).then_some(Dump { entries })
}

fn is_named(entry: &Entry) -> bool {
    NAMED.contains(&entry.kind.as_str())
}

fn is_attached(entry: &Entry) -> bool {
    ATTACHED.contains(&entry.kind.as_str()) && !is_ground(entry)
}

/// Also what is said about a schema, an extension or the database.
fn is_ground(entry: &Entry) -> bool {
    let of = |kind: &str| entry.name.strip_prefix(kind).is_some_and(|rest| rest.starts_with(' '));
    GROUND.contains(&entry.kind.as_str())
        || matches!(entry.kind.as_str(), "ACL" | "COMMENT") && ["SCHEMA", "EXTENSION", "DATABASE"].into_iter().any(of)
}

/// The words of a text, wherever they stand in it.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

/// The words of an object's own name, without the arguments of a function.
fn name_words(entry: &Entry) -> Vec<String> {
    let name = match entry.kind.as_str() {
        "FUNCTION" | "PROCEDURE" => entry.name.split('(').next().unwrap_or_default(),
        _ => entry.name.as_str(),
    };
    words(name).map(str::to_owned).collect()
}

/// Who mentions whom.
struct Mentions<'a> {
    dump: &'a Dump,
    /// The words of each entry.
    words: Vec<HashSet<&'a str>>,
    /// The entries in which a word stands.
    places: HashMap<&'a str, Vec<usize>>,
    /// The objects whose names begin with a word, with all words of the name.
    names: HashMap<String, Vec<(usize, Vec<String>)>>,
}

impl<'a> Mentions<'a> {
    fn of(dump: &'a Dump) -> Mentions<'a> {
        let mut mentions = Mentions { dump, words: Vec::new(), places: HashMap::new(), names: HashMap::new() };
        for (at, entry) in dump.entries.iter().enumerate() {
            let heads = entry.blocks().map(|block| block.table.as_str());
            let found: HashSet<&str> = entry.statements().chain(heads).flat_map(words).collect();
            found.iter().for_each(|word| mentions.places.entry(word).or_default().push(at));
            mentions.words.push(found);
            let name = if is_named(entry) { name_words(entry) } else { Vec::new() };
            if let Some(first) = name.first().cloned() {
                mentions.names.entry(first).or_default().push((at, name));
            }
        }
        mentions
    }

    /// The entries that mention a name.
    fn of_name(&self, name: &[String]) -> impl Iterator<Item = usize> {
        let places = name.first().and_then(|first| self.places.get(first.as_str()));
        let whole = |at: &usize| name.iter().all(|word| self.words[*at].contains(word.as_str()));
        places.into_iter().flatten().copied().filter(whole).collect::<Vec<_>>().into_iter()
    }

    /// These entries and all that mention them, or one of these names, however indirectly.
    fn dependents(&self, from: BTreeSet<usize>, names: Vec<Vec<String>>) -> BTreeSet<usize> {
        let mut found: BTreeSet<usize> = names.iter().flat_map(|name| self.of_name(name)).chain(from).collect();
        let mut open: Vec<usize> = found.iter().copied().collect();
        while let Some(at) = open.pop() {
            let entry = &self.dump.entries[at];
            if !is_named(entry) {
                continue;
            }
            open.extend(self.of_name(&name_words(entry)).filter(|other| found.insert(*other)));
        }
        found
    }

    /// Adds what these entries mention, and what belongs to that: a foreign key needs the other table's key and rows.
    fn add_needs(&self, found: &mut BTreeSet<usize>) {
        let mut open: Vec<usize> = found.iter().copied().collect();
        while let Some(at) = open.pop() {
            let needed = self.words[at].iter().filter_map(|word| self.names.get(*word)).flatten();
            let mut more: Vec<usize> = needed
                .filter(|(_, name)| name.iter().all(|word| self.words[at].contains(word.as_str())))
                .map(|(object, _)| *object)
                .collect();
            let entry = &self.dump.entries[at];
            if is_named(entry) {
                let belongs = |other: &usize| {
                    let other = &self.dump.entries[*other];
                    is_attached(other) && !NOT_NEEDED.contains(&other.kind.as_str())
                };
                more.extend(self.of_name(&name_words(entry)).filter(belongs));
            }
            open.extend(more.into_iter().filter(|other| found.insert(*other)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::baseline::Part;

    fn entry(kind: &str, name: &str, statement: &str) -> Entry {
        Entry {
            kind: kind.into(),
            schema: Some("public".into()),
            name: name.into(),
            parts: vec![Part::Statement(statement.into())],
            ..Entry::default()
        }
    }

    /// Twenty tables with keys, a chain of foreign keys, views on views, a function and a type.
    fn sample() -> Dump {
        let mut entries = vec![
            entry("SCHEMA", "extra", "CREATE SCHEMA extra;"),
            entry("TYPE", "mood", "CREATE TYPE public.mood AS ENUM ('sad');"),
            entry(
                "FUNCTION",
                "f(a integer)",
                "CREATE FUNCTION public.f(a integer) RETURNS int AS $$SELECT id FROM t3$$;",
            ),
        ];
        for n in 0..20 {
            let table = format!("t{n}");
            let body = if n == 7 { "id int, m public.mood" } else { "id int" };
            entries.push(entry("TABLE", &table, &format!("CREATE TABLE public.{table} ({body});")));
            let key = format!("ALTER TABLE ONLY public.{table} ADD CONSTRAINT {table}_pkey PRIMARY KEY (id);");
            entries.push(entry("CONSTRAINT", &format!("{table} {table}_pkey"), &key));
        }
        for n in 1..4 {
            let fk = format!(
                "ALTER TABLE ONLY public.t{n} ADD CONSTRAINT r{n} FOREIGN KEY (id) REFERENCES public.t{}(id);",
                n - 1
            );
            entries.push(entry("FK CONSTRAINT", &format!("t{n} r{n}"), &fk));
        }
        entries.push(entry("VIEW", "v", "CREATE VIEW public.v AS SELECT public.f(1) AS n;"));
        entries.push(entry("VIEW", "w", "CREATE VIEW public.w AS SELECT n FROM public.v;"));
        entries.push(entry("ACL", "TABLE w", "GRANT SELECT ON TABLE public.w TO PUBLIC;"));
        Dump { entries }
    }

    fn names(dump: &Dump) -> Vec<&str> {
        dump.entries.iter().map(|entry| entry.name.as_str()).collect()
    }

    /// The part after one entry became another, or went.
    fn after(name: &str, statement: Option<&str>) -> Option<Dump> {
        let (old, mut new) = (sample(), sample());
        let at = new.entries.iter().position(|entry| entry.name == name).unwrap();
        match statement {
            Some(statement) => new.entries[at].parts = vec![Part::Statement(statement.into())],
            None => drop(new.entries.remove(at)),
        }
        part(&old, &new)
    }

    #[test]
    fn what_changed_comes_with_all_that_mentions_it_and_all_it_needs() {
        let part = after("t7", Some("CREATE TABLE public.t7 (id bigint, m public.mood);")).unwrap();
        assert_eq!(names(&part), ["extra", "mood", "t7", "t7 t7_pkey"]);
        let part = after("mood", Some("CREATE TYPE public.mood AS ENUM ('sad', 'glad');")).unwrap();
        assert_eq!(names(&part), ["extra", "mood", "t7", "t7 t7_pkey"]);
        // Its body mentions a table whose keys point at others; views stand on it.
        let part =
            after("f(a integer)", Some("CREATE FUNCTION public.f(a integer) RETURNS int AS $$SELECT 1 FROM t3$$;"));
        assert_eq!(names(&part.unwrap()), ["extra", "f(a integer)", "t3", "t3 t3_pkey", "v", "w", "TABLE w"]);
        let part = after(
            "t2 r2",
            Some("ALTER TABLE ONLY public.t2 ADD CONSTRAINT r2 FOREIGN KEY (id) REFERENCES public.t1(id) NOT VALID;"),
        );
        assert_eq!(names(&part.unwrap()), ["extra", "t1", "t1 t1_pkey", "t2", "t2 t2_pkey", "t2 r2"]);
        // What is gone leaves those that mention it.
        let part = after("v", None).unwrap();
        assert_eq!(names(&part), ["extra", "w", "TABLE w"]);
    }

    #[test]
    fn the_whole_is_loaded_where_a_part_would_not_tell() {
        assert_eq!(part(&sample(), &sample()), Some(Dump::default()), "nothing changed");
        assert_eq!(after("extra", Some("CREATE SCHEMA extra AUTHORIZATION x;")), None);
        let mut exotic = sample();
        exotic.entries.push(entry("CAST", "CAST (a AS b)", "CREATE CAST (public.a AS public.b) WITHOUT FUNCTION;"));
        assert_eq!(part(&exotic, &sample()), None);
        assert_eq!(part(&sample(), &exotic), None);
        assert_eq!(part(&Dump::default(), &sample()), None, "no less than the whole");
        let described = entry("COMMENT", "SCHEMA extra", "COMMENT ON SCHEMA extra IS 'x';");
        let mut new = sample();
        new.entries.push(described);
        assert_eq!(part(&sample(), &new), None);
    }
}
