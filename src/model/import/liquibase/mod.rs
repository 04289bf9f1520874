//! Liquibase: formatted SQL, and changelogs in XML, YAML or JSON that include it or hold SQL themselves.
//!
//! Every changeset becomes a migration in Liquibase's order; one that runs on change becomes a repeatable file where
//! nothing later needs it and it can be run again. A change that is not SQL (`createTable`, `loadData`) is a fault:
//! without it the history would not be whole. What Liquibase remembers of a changeset is computed, in version 9 of its
//! checksums; rows with older ones are taken over unchecked.

mod changeset;
mod element;
mod formatted;
mod order;
mod precondition;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::bookkeeping::{Bookkeeping, Meaning, Row};
use super::record::Record;
use super::{Body, Imported, Input, Key, Part, Piece, Remark, ScriptPiece, Setting, Tool, names};
use crate::error::{Error, Result};
use crate::model::directive::FileKind;
use crate::model::sql;
use changeset::{ChangeSet, Precondition};

/// See [`super::TOOLS`].
pub const TOOL: Tool = Tool {
    name: "liquibase",
    places: &[
        "liquibase.properties",
        "src/main/resources/db/changelog/db.changelog-master.yaml",
        "src/main/resources/db/changelog/db.changelog-master.xml",
        "src/main/resources/db/changelog/db.changelog-master.json",
        "src/main/resources/db/changelog/db.changelog-master.sql",
        "db/changelog/db.changelog-master.yaml",
        "db/changelog/db.changelog-master.xml",
        "db/changelog",
        "changelog",
    ],
    beside: &["liquibase.properties"],
    scope: None,
    convert,
    bookkeeping: Some(&Bookkeeping {
        table: "databasechangelog",
        query: "SELECT regexp_replace(filename, '^classpath:/*', '') || '::' || id || '::' || author,
                       CASE WHEN md5sum LIKE '9:%' THEN md5sum END,
                       CASE WHEN exectype = 'FAILED' THEN 'it failed' END
                  FROM {table} WHERE exectype <> 'SKIPPED' ORDER BY orderexecuted, dateexecuted",
        meaning: Meaning::Expanded(expand),
    }),
};

/// A row is found by the end of its path: where Liquibase began to look is not known from its table.
fn expand(record: &Record, row: &Row) -> Vec<Row> {
    let of_migrations = record.migration.iter().flat_map(|migration| &migration.keys);
    let keys: Vec<&str> =
        of_migrations.chain(record.script.iter().flat_map(|s| &s.keys)).map(|key| key.key.as_str()).collect();
    if keys.contains(&row.key.as_str()) {
        return vec![row.clone()];
    }
    let ends = |long: &str, short: &str| long.strip_suffix(short).is_some_and(|front| front.ends_with('/'));
    let mut fitting = keys.iter().filter(|key| ends(key, &row.key) || ends(&row.key, key));
    match (fitting.next(), fitting.next()) {
        (Some(key), None) => vec![Row { key: (*key).to_owned(), ..row.clone() }],
        _ => vec![row.clone()],
    }
}

/// Whether a list of database kinds takes PostgreSQL in.
fn for_postgresql(dbms: &str) -> bool {
    let kinds: Vec<&str> = dbms.split(',').map(str::trim).filter(|kind| !kind.is_empty()).collect();
    if kinds.iter().any(|kind| matches!(*kind, "!postgresql" | "none")) {
        return false;
    }
    let wanted = |kind: &&&str| matches!(**kind, "postgresql" | "all");
    kinds.is_empty() || kinds.iter().any(|kind| wanted(&kind)) || kinds.iter().all(|kind| kind.starts_with('!'))
}

fn convert(input: &Input) -> Result<Imported> {
    let walked = walk::walk(input)?;
    let mut converter = Converter {
        parameters: walked.parameters,
        out: Imported::default(),
        faults: Vec::new(),
        used: BTreeMap::new(),
    };
    converter.out.remarks = walked.remarks;
    converter.out.table = walked.table;
    converter.changesets(&walked.changesets);
    for (name, value) in converter.used {
        converter.out.settings.push(Setting { key: format!("placeholders.{name}"), value: value.into(), why: None });
    }
    match Error::all(converter.faults) {
        Some(error) => Err(error),
        None => Ok(converter.out),
    }
}

struct Converter {
    parameters: BTreeMap<String, String>,
    out: Imported,
    faults: Vec<Error>,
    /// Placeholders of dbbuild with their values.
    used: BTreeMap<String, String>,
}

impl Converter {
    fn changesets(&mut self, sets: &[ChangeSet]) {
        let mut seen = BTreeSet::new();
        for set in sets {
            if !seen.insert(set.key()) {
                let message = format!("the changeset `{}` by `{}` is given twice", set.id, set.author);
                self.faults.push(Error::failed(message).at(crate::error::Location::new(&set.file, set.line, 0)));
            }
        }
        let repeatable = order::repeatable(sets, &mut self.out.remarks);
        let alone = |set: &ChangeSet| sets.iter().filter(|other| other.file == set.file).count() == 1;
        let mut scripts = Vec::new();
        for (set, repeats) in sets.iter().zip(repeatable) {
            let name = name_of(set, alone(set));
            let (sql, rollback) =
                (self.placeholders(set, &set.sql), set.rollback.as_ref().map(|text| self.placeholders(set, text)));
            let checksum = (!set.any_checksum && !set.changes.is_empty()).then(|| set.checksum());
            let keys = vec![Key { key: set.key(), checksum }];
            let origins: Vec<String> = std::iter::once(set.file.clone()).chain(set.others.iter().cloned()).collect();
            if repeats {
                scripts.push((format!("{name}.sql"), set, sql, keys, origins));
                continue;
            }
            let header = self.header(set);
            let part = |text: String| Part { bytes: Arc::from(text.into_bytes()), transaction: set.transaction };
            let body = Body::Parts { header, up: part(sql), down: rollback.map(part) };
            self.out.migrations.push(Piece { number: None, name, body, origins, keys });
        }
        let names = names::in_order(scripts.iter().map(|(name, ..)| name.clone()));
        for ((_, set, sql, keys, origins), name) in scripts.into_iter().zip(names) {
            let front = if set.run_always { "-- dbbuild:run always\n" } else { "" };
            let text = Arc::from(format!("{front}{sql}").into_bytes());
            self.out.scripts.push(ScriptPiece { kind: FileKind::Repeatable, name, text, origins, keys });
        }
    }

    fn remark(&mut self, set: &ChangeSet, line: usize, what: impl Into<String>, help: &str) {
        self.out.remarks.push(Remark::line(&set.file, line, what, help));
    }

    fn header(&mut self, set: &ChangeSet) -> Vec<String> {
        let mut header = Vec::new();
        for context in &set.contexts {
            match environments(context) {
                Some(names) if changes_rows_only(&set.sql) => {
                    let names = names.join(" ");
                    let what = format!("the context `{context}` became `-- dbbuild:env {names}`");
                    self.remark(set, set.line, what, "environments of dbbuild.toml must have these names");
                    header.push(format!("env {names}"));
                }
                Some(_) => {
                    let what = format!(
                        "the context `{context}` is not carried over: it changes the schema, which is one for all environments"
                    );
                    self.remark(set, set.line, what, "");
                }
                None => {
                    let what = format!("the context `{context}` is not carried over: it is no list of names");
                    self.remark(
                        set,
                        set.line,
                        what,
                        "write `-- dbbuild:env NAME…` into the migration where it belongs",
                    );
                }
            }
        }
        if header.len() > 1 {
            header.truncate(1);
            let what = "lies in an include with another context: only its own is carried over";
            self.remark(set, set.line, what, "");
        }
        for Precondition { on_fail, query, expect, line } in &set.preconditions {
            let on_fail = match on_fail.as_str() {
                "MARK_RAN" => "mark-ran",
                "CONTINUE" => "skip",
                "WARN" => {
                    self.remark(set, *line, "a precondition that only warns is not carried over", "");
                    continue;
                }
                _ => "halt",
            };
            let query: String = query.lines().map(|line| format!("\n-- {}", line.trim_end())).collect();
            header.push(format!("precondition on-fail={on_fail} expect=\"{}\"{query}", expect.replace('"', "\"\"")));
        }
        header
    }

    /// The text with names that dbbuild takes. A parameter without a value keeps its text, as in Liquibase.
    fn placeholders(&mut self, set: &ChangeSet, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("${") {
            out.push_str(before);
            let Some((name, tail)) = behind.split_once('}').filter(|(name, _)| is_parameter(name)) else {
                out.push_str("${");
                rest = behind;
                continue;
            };
            let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            match self.parameters.get(name) {
                Some(value) => drop(self.used.insert(plain.clone(), value.clone())),
                None => {
                    let what = format!("no property gives `${{{name}}}` a value");
                    let help = "if it came from the command line, set it in [placeholders] of dbbuild.toml";
                    self.remark(set, set.line, what, help);
                    if !self.parameters.is_empty() {
                        self.used.insert(plain.clone(), format!("${{{name}}}"));
                    }
                }
            }
            out.push_str(&if self.parameters.is_empty() { format!("${{{name}}}") } else { format!("${{{plain}}}") });
            rest = tail;
        }
        out.push_str(rest);
        out
    }
}

fn is_parameter(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

/// The file's name for one that is alone in its file, else with its id.
fn name_of(set: &ChangeSet, alone: bool) -> String {
    let file = set.file.rsplit('/').next().unwrap_or(&set.file);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    if alone { stem.to_owned() } else { format!("{stem}_{}", set.id) }
}

/// The names of a context that is a list: `a or b`, `a, b`.
fn environments(context: &str) -> Option<Vec<String>> {
    let inner = context.trim().trim_start_matches('(').trim_end_matches(')');
    let names: Vec<String> = inner
        .split(',')
        .flat_map(|part| part.split(' ').collect::<Vec<_>>())
        .filter(|word| !word.is_empty() && !word.eq_ignore_ascii_case("or"))
        .map(str::to_owned)
        .collect();
    let plain = |name: &String| {
        !name.eq_ignore_ascii_case("and")
            && !name.eq_ignore_ascii_case("not")
            && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
    };
    (!names.is_empty() && names.iter().all(plain)).then_some(names)
}

/// Whether no statement makes, changes or drops an object.
fn changes_rows_only(text: &str) -> bool {
    const ROWS: &[&str] = &["insert", "update", "delete", "select", "copy", "merge", "with", "truncate", "do"];
    sql::split(text).is_ok_and(|statements| {
        statements.iter().all(|statement| {
            let first = text[statement.range.clone()].split(|c: char| !c.is_ascii_alphabetic()).next();
            first.is_some_and(|first| ROWS.contains(&first.to_ascii_lowercase().as_str()))
        })
    })
}
