//! Definitions: one file for each object of the database, for reading. They are written from the baseline, and proved to
//! make the same schema by themselves.
//!
//! Pure: which files there should be ([`change`]), and in which steps such files are loaded ([`steps`]). Files that somebody
//! else wrote are proved with the rest and never touched.

use crate::error::{Error, Result};
use crate::model::baseline::{Baseline, Object};
use crate::model::checksum::Checksum;
use crate::model::sources::ScriptFile;
use crate::model::sql::{StatementKind, main_object};
use std::collections::{BTreeMap, BTreeSet};

/// The first line of a file that dbbuild wrote.
const MARK: &str = "-- Written by `dbbuild definitions` from the baseline; never edited by hand.";
/// File systems take 255 bytes; what is longer is cut, and told apart by a checksum.
const LONGEST: usize = 200;

/// What is to be done so that the files say what a baseline says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Paths to be written, with their text.
    pub write: BTreeMap<String, String>,
    /// Paths of objects that are gone.
    pub remove: Vec<String>,
    /// Paths of files that dbbuild did not write, and that stay as they are.
    pub kept: Vec<String>,
    /// How many files there are then that dbbuild wrote.
    pub total: usize,
}

impl Change {
    /// Whether the files are as they should be.
    pub fn is_empty(&self) -> bool {
        self.write.is_empty() && self.remove.is_empty()
    }

    /// The files as they stand afterwards.
    ///
    /// # Errors
    /// None in practice: what is written can be read.
    pub fn applied(&self, present: &[ScriptFile]) -> Vec<ScriptFile> {
        let goes = |file: &&ScriptFile| !self.write.contains_key(&file.path) && !self.remove.contains(&file.path);
        let mut files: Vec<ScriptFile> = present.iter().filter(goes).cloned().collect();
        files.extend(self.write.iter().map(|(path, text)| ScriptFile::of_text(path, text)));
        files.sort_by(|a, b| a.name.cmp(&b.name));
        files
    }
}

/// Whether dbbuild wrote a file.
pub fn is_generated(file: &ScriptFile) -> bool {
    file.script.text.starts_with(MARK)
}

/// Compares the files of a folder with what a baseline says. An object that a file of somebody else makes is left to that.
pub fn change(folder: &str, present: &[ScriptFile], baseline: &Baseline) -> Change {
    let (generated, own): (Vec<&ScriptFile>, Vec<&ScriptFile>) = present.iter().partition(|file| is_generated(file));
    let claimed: BTreeSet<Named> = own.iter().flat_map(|file| made_by(file)).collect();
    let mut change = Change { kept: own.iter().map(|file| file.path.clone()).collect(), ..Change::default() };
    let mut wanted = BTreeSet::new();
    for (object, text) in baseline.dump.objects() {
        let path = format!("{folder}/{}", file_name(&object));
        let named = (class(&object.kind), object.schema.clone(), object.name.clone());
        if claimed.contains(&named) || change.kept.contains(&path) {
            continue;
        }
        let text = format!("{MARK}\n\n{}\n", text.trim_end());
        if !generated.iter().any(|file| file.path == path && *file.script.text == *text) {
            change.write.insert(path.clone(), text);
        }
        wanted.insert(path);
    }
    change.total = wanted.len();
    let gone = generated.iter().filter(|file| !wanted.contains(&file.path));
    change.remove = gone.map(|file| file.path.clone()).collect();
    change
}

/// Class, schema and name of something that is made.
type Named = (&'static str, Option<String>, String);

/// Kinds that share their names.
fn class(kind: &str) -> &'static str {
    match kind {
        "function" | "procedure" | "aggregate" | "routine" => "routine",
        "table" | "view" | "materialized view" | "foreign table" | "sequence" | "type" | "domain" => "relation",
        "schema" => "schema",
        "extension" => "extension",
        _ => "other",
    }
}

/// What a file makes; a name without a schema is one of `public`.
fn made_by(file: &ScriptFile) -> Vec<Named> {
    let statements = file.script.split().unwrap_or_default();
    let made = statements.iter().filter_map(|statement| {
        let text = file.script.statement_text(statement);
        let plain = leading_words(text);
        let attached = ["index", "trigger", "rule", "policy", "statistics"];
        if plain.first() != Some(&"create".to_owned())
            || plain.iter().take(4).any(|word| attached.contains(&word.as_str()))
        {
            return None;
        }
        let object = main_object(text)?;
        let (schema, name) = crate::model::baseline::name_of(&object.name)?;
        let class = class(object.kind);
        let schema = match class {
            "schema" | "extension" => None,
            _ => Some(schema.unwrap_or_else(|| "public".to_owned())),
        };
        Some((class, schema, name))
    });
    made.collect()
}

/// The name of an object's file: letters and digits as they are, anything else by its bytes, so that no two objects share
/// one on a file system that takes `a` and `A` for the same.
pub fn file_name(object: &Object) -> String {
    let parts = [object.schema.as_deref().unwrap_or_default(), &object.name];
    let mut stem: Vec<String> = parts.iter().filter(|part| !part.is_empty()).map(|part| encoded(part)).collect();
    stem.push(object.kind.replace(' ', "_"));
    let whole = stem.join(".");
    if whole.len() <= LONGEST {
        return format!("{whole}.sql");
    }
    let sum: String = Checksum::of_text(&whole).to_string().chars().take(16).collect();
    format!("{}~{sum}.{}.sql", &whole[..LONGEST - 40], object.kind.replace(' ', "_"))
}

fn encoded(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'_' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// One statement of a definition, and what it needs around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its file, by its place in the list.
    pub file: usize,
    /// Where it begins in the text.
    pub at: usize,
    /// The statement.
    pub sql: String,
    /// `SET` statements that stand before it in its file.
    pub settings: Vec<String>,
    /// What is tried before what: tables before their keys, keys before what points at them.
    pub rank: u8,
}

/// The greatest rank: what acts on everything that is made after it.
pub const LAST_RANK: u8 = 6;

/// Takes definitions apart into steps, by rank. One that fails is to be tried again after others, so that what a statement
/// needs may stand in any file; and no rank begins before all that can be done of those below it is done.
///
/// # Errors
/// A file does not lex, or holds what is no definition: rows, roles, transaction control. All at once.
pub fn steps(files: &[ScriptFile]) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut faults = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let statements = match file.script.split() {
            Ok(statements) => statements,
            Err(fault) => {
                faults.push(fault);
                continue;
            }
        };
        let mut settings: Vec<String> = Vec::new();
        for statement in statements {
            let sql = file.script.statement_text(&statement).to_owned();
            let at = statement.range.start;
            if let Some(what) = foreign(&statement.kind, &sql) {
                faults.push(Error::failed(format!("a definition {what}")).at(file.script.location(at)).help(
                    "definitions say what the schema is: tables, views, functions and the like, and nothing else.",
                ));
            } else if statement.kind == StatementKind::SetSession {
                settings.push(sql);
            } else {
                steps.push(Step { file: number, at, rank: rank(&sql), sql, settings: settings.clone() });
            }
        }
    }
    steps.sort_by_key(|step| step.rank);
    Error::all(faults).map_or(Ok(steps), Err)
}

/// What makes a statement no definition.
fn foreign(kind: &StatementKind, sql: &str) -> Option<&'static str> {
    let words = leading_words(sql);
    let word = |n: usize| words.get(n).map_or("", String::as_str);
    match kind {
        StatementKind::Begin | StatementKind::Commit | StatementKind::Rollback => Some("controls no transaction"),
        StatementKind::PrepareTransaction | StatementKind::Savepoint => Some("controls no transaction"),
        StatementKind::CopyFromStdin | StatementKind::CopyOther => Some("holds no rows"),
        // Settings of the database name it in a DO block.
        StatementKind::Writes if word(0) != "do" => Some("holds no rows"),
        StatementKind::NonTransactional(_) | StatementKind::CreateTemp => Some("runs in one transaction"),
        StatementKind::Ddl
            if matches!(word(0), "create" | "alter" | "drop")
                && (matches!(word(1), "role" | "group") || word(1) == "user" && word(2) != "mapping") =>
        {
            Some("makes no roles: they belong to the server")
        }
        _ => None,
    }
}

/// The first words of a statement in lower case, comments apart.
fn leading_words(sql: &str) -> Vec<String> {
    let plain: String = sql.lines().filter(|line| !line.trim_start().starts_with("--")).collect::<Vec<_>>().join(" ");
    plain
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|w| !w.is_empty())
        .take(12)
        .map(str::to_lowercase)
        .collect()
}

fn rank(sql: &str) -> u8 {
    let words = leading_words(sql);
    let first = words.first().map_or("", String::as_str);
    let second = words.get(1).map_or("", String::as_str);
    let upper = sql.to_ascii_uppercase();
    match (first, second) {
        ("create", "schema" | "extension" | "language") | ("do", _) => 0,
        ("create", "index" | "unique") => 2,
        ("alter", "table") if upper.contains(" FOREIGN KEY ") && upper.contains("ADD CONSTRAINT") => 4,
        ("alter", "table") if upper.contains("ADD CONSTRAINT") => 2,
        ("alter", "index") => 3,
        ("alter", "default") | ("create", "event" | "subscription") => LAST_RANK,
        ("create", "trigger" | "rule" | "policy" | "publication" | "statistics" | "constraint") => 5,
        ("alter", "table")
            if [" TRIGGER ", " RULE ", " ROW LEVEL SECURITY"].iter().any(|word| upper.contains(word)) =>
        {
            5
        }
        ("alter", "event" | "publication" | "subscription") => LAST_RANK,
        ("grant" | "revoke" | "comment" | "security", _) => 5,
        _ => 1,
    }
}

/// Which file speaks of an object: one that makes it, or the one that dbbuild would write.
pub struct Places {
    made: BTreeMap<(Option<String>, String), String>,
}

impl Places {
    /// Of these files.
    pub fn of(files: &[ScriptFile]) -> Places {
        let mut made = BTreeMap::new();
        for file in files {
            for (_, schema, name) in made_by(file) {
                made.entry((schema, name)).or_insert_with(|| file.path.clone());
            }
        }
        Places { made }
    }

    /// The file of an object by its schema and name.
    pub fn find(&self, schema: Option<&str>, name: &str) -> Option<&str> {
        let key = |schema: Option<&str>| (schema.map(str::to_owned), name.to_owned());
        self.made.get(&key(schema)).or_else(|| self.made.get(&key(None))).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(schema: Option<&str>, kind: &str, name: &str) -> Object {
        Object { schema: schema.map(str::to_owned), kind: kind.into(), name: name.into() }
    }

    #[test]
    fn names_are_safe_and_told_apart() {
        let name = |schema, kind, name: &str| file_name(&object(schema, kind, name));
        assert_eq!(name(Some("public"), "table", "order_items"), "public.order_items.table.sql");
        assert_eq!(name(None, "schema", "shop"), "shop.schema.sql");
        assert_eq!(name(None, "database", ""), "database.sql");
        assert_eq!(
            name(Some("s"), "materialized view", "Weird \"x\"/../é"),
            "s.%57eird%20%22x%22%2F%2E%2E%2F%C3%A9.materialized_view.sql"
        );
        assert_ne!(name(Some("a"), "table", "b"), name(Some("a"), "table", "B"));
        let (one, other) = ("é".repeat(60), format!("{}x", "é".repeat(59)));
        let (one, other) = (name(Some(&one), "table", &one), name(Some(&one), "table", &other));
        assert!(one.len() < 250 && other.len() < 250 && one != other, "{one}");
    }

    #[test]
    fn steps_come_in_an_order_that_mostly_works() {
        let file = |path: &str, text: &str| ScriptFile::of_text(path, text);
        let files = [
            file(
                "d/a.sql",
                "CREATE TABLE a (id int);\nSET default_tablespace = x;\nALTER TABLE a ADD CONSTRAINT r FOREIGN KEY (id) REFERENCES b;\nGRANT SELECT ON a TO PUBLIC;",
            ),
            file(
                "d/b.sql",
                "-- b\nCREATE TABLE b (id int);\nALTER TABLE ONLY b ADD CONSTRAINT k PRIMARY KEY (id);\nCREATE SCHEMA s;",
            ),
        ];
        let steps = steps(&files).unwrap();
        let firsts: Vec<String> =
            steps.iter().map(|step| step.sql.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            firsts,
            ["CREATE SCHEMA", "CREATE TABLE", "CREATE TABLE", "ALTER TABLE", "ALTER TABLE", "GRANT SELECT"]
        );
        assert_eq!(steps[4].settings, ["SET default_tablespace = x"]);
        let place = files[steps[3].file].script.location(steps[3].at);
        assert_eq!((place.line, place.column), (3, 1));
        let places = Places::of(&files);
        assert_eq!(places.find(Some("public"), "b"), Some("d/b.sql"));
    }

    #[test]
    fn what_is_no_definition_is_refused_with_its_place() {
        for (sql, what) in [
            ("INSERT INTO a VALUES (1)", "holds no rows"),
            ("COPY a FROM stdin;\n1\n\\.", "holds no rows"),
            ("SELECT f()", "holds no rows"),
            ("CREATE ROLE x", "makes no roles"),
            ("ALTER USER x CREATEDB", "makes no roles"),
            ("BEGIN", "controls no transaction"),
            ("CREATE INDEX CONCURRENTLY i ON a (id)", "runs in one transaction"),
        ] {
            let fault = steps(&[ScriptFile::of_text("d/a.sql", &format!("CREATE TABLE a ();\n{sql};\n"))]).unwrap_err();
            assert!(fault.to_string().contains(what) && fault.to_string().ends_with("d/a.sql:2:1"), "{sql}: {fault}");
        }
        let fine = "CREATE USER MAPPING FOR x SERVER y; DO $$BEGIN END$$;";
        assert!(steps(&[ScriptFile::of_text("d/a.sql", fine)]).is_ok());
    }
}
