//! Formatted SQL: changesets divided by comment lines that Liquibase understands.
//!
//! A line that looks like one of them and is none is an error, as it is in Liquibase. The text of a changeset keeps
//! those lines: they are comments, and git then sees where it came from.

use super::changeset::{ChangeSet, Precondition, with_semicolons};
use super::precondition::{exists, sql_check};
use crate::error::{Error, Location, Result};

/// What is said of a construct that is not carried over: line, what, help.
pub type Told = (usize, String, &'static str);

/// What a file holds.
#[derive(Debug, Default)]
pub struct Formatted {
    /// In order.
    pub changesets: Vec<ChangeSet>,
    /// Those that do not run on PostgreSQL, or never, are among these alone.
    pub told: Vec<Told>,
    /// `--property` lines: line, name, value, whether it counts elsewhere.
    pub properties: Vec<(usize, String, String, bool)>,
}

/// Whether a text is formatted SQL, by its first line that is not empty.
pub fn is_formatted(text: &str) -> bool {
    let first = text.trim_start_matches('\u{feff}').lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let words = comment(first).map(|rest| rest.trim_start().to_ascii_lowercase());
    words.and_then(|rest| Some(rest.strip_prefix("liquibase")?.trim_start().starts_with("formatted"))).unwrap_or(false)
}

/// What stands behind `--`.
fn comment(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("--")
}

/// What stands behind `--` and a keyword, where a blank, a colon or nothing follows it.
fn after<'l>(line: &'l str, keyword: &str) -> Option<&'l str> {
    let rest = comment(line)?.trim_start();
    let (word, tail) = rest.split_at_checked(keyword.len())?;
    let ends = tail.is_empty() || tail.starts_with([' ', '\t', ':', '-']);
    (word.eq_ignore_ascii_case(keyword) && ends).then_some(tail)
}

/// The value of `key:value` or `key:"value"` among others of a line.
pub fn option(line: &str, key: &str) -> Option<String> {
    let lower = line.to_ascii_lowercase();
    let wanted = format!("{}:", key.to_ascii_lowercase());
    let starts = lower.match_indices(&wanted).map(|(at, _)| at);
    let at = starts.filter(|at| lower[..*at].ends_with([' ', '\t'])).last()?;
    let rest = &line[at + wanted.len()..];
    Some(match rest.strip_prefix('"').and_then(|quoted| quoted.split_once('"')) {
        Some((value, _)) => value.to_owned(),
        None => rest.split_whitespace().next().unwrap_or_default().to_owned(),
    })
}

/// Reads a file; `path` is the part of each identity that its own `logicalFilePath` replaces.
pub fn parse(path: &str, text: &str) -> Result<Formatted> {
    let mut reader = Reader { path, logical: None, open: None, out: Formatted::default() };
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        at = reader.line(&lines, at, line.trim_end_matches(['\n', '\r']))?;
    }
    reader.close();
    if let [only] = reader.out.changesets.as_mut_slice() {
        // The whole file as it is: git sees a renaming.
        if !text.to_ascii_lowercase().contains("ignorelines") {
            let rewritten = only.sql.clone();
            let slice = with_semicolons(&rewritten, None);
            if text.contains(slice.trim_end()) && reader.out.told.is_empty() {
                only.sql = text.to_owned();
            }
        }
    }
    Ok(reader.out)
}

/// A changeset that is being read.
struct Open {
    set: ChangeSet,
    /// The lines that Liquibase runs.
    runs: String,
    rollback: String,
    /// Why it is not carried over.
    skipped: Option<String>,
    delimiter: Option<String>,
    rollback_delimiter: Option<String>,
    split: bool,
    on_fail: String,
    has_preconditions: bool,
}

struct Reader<'p> {
    path: &'p str,
    logical: Option<String>,
    open: Option<Open>,
    out: Formatted,
}

impl Reader<'_> {
    fn fault(&self, at: usize, message: impl Into<String>) -> Error {
        Error::failed(message).at(Location::new(self.path, at + 1, 0))
    }

    /// Reads the line at an index; gives the index of the next.
    fn line(&mut self, lines: &[&str], at: usize, line: &str) -> Result<usize> {
        if let Some(rest) = after(line, "ignoreLines") {
            return self.ignored(lines, at, rest);
        }
        if let Some(rest) = after(line, "property") {
            self.property(at, rest)?;
            return Ok(at + 1);
        }
        if is_formatted(line) {
            self.logical = self.logical.take().or_else(|| option(line, "logicalFilePath"));
            return Ok(at + 1);
        }
        if after(line, "changeset").is_some() {
            self.close();
            self.open = Some(self.begin(at, line)?);
            return Ok(at + 1);
        }
        let one_dash = line.trim_start().strip_prefix('-').map(|rest| rest.trim_start().to_ascii_lowercase());
        let mistaken = ["changeset ", "rollback ", "preconditions ", "precondition-", "property "];
        if one_dash.is_some_and(|rest| mistaken.iter().any(|word| rest.starts_with(word))) {
            return Err(self.fault(at, "begins with one dash where Liquibase wants two"));
        }
        let Some(open) = &mut self.open else {
            // Text before the first changeset is run by nobody.
            let what = format!("`{}` stands before the first changeset: Liquibase does not run it", line.trim());
            if !line.trim().is_empty() && comment(line).is_none() {
                self.out.told.push((at + 1, what, ""));
            }
            return Ok(at + 1);
        };
        open.set.sql.push_str(lines[at]);
        if line.trim().to_ascii_lowercase().split_whitespace().eq(["/*", "liquibase", "rollback"]) {
            return Ok(self.long_rollback(lines, at + 1));
        }
        self.inside(at, line)?;
        Ok(at + 1)
    }

    /// A line of a changeset.
    fn inside(&mut self, at: usize, line: &str) -> Result<()> {
        let path = self.path;
        let Some(open) = &mut self.open else { return Ok(()) };
        if let Some(rest) = after(line, "rollback").filter(|rest| !rest.starts_with('-')) {
            open.rollback.push_str(rest.trim_start());
            open.rollback.push('\n');
        } else if let Some(rest) = after(line, "preconditions") {
            let line = format!(" {}", rest.trim());
            open.on_fail = option(&line, "onFail").unwrap_or_else(|| "HALT".to_owned()).to_ascii_uppercase();
            let on_error = option(&line, "onError").map(|text| text.to_ascii_uppercase());
            if on_error.as_deref().is_some_and(|on_error| on_error != "HALT") {
                let what = "`onError` is not carried over: a precondition that fails stops dbbuild";
                self.out.told.push((at + 1, what.to_owned(), ""));
            }
            open.has_preconditions = true;
        } else if let Some(rest) = after(line, "precondition").and_then(|rest| rest.strip_prefix('-')) {
            let (kind, body) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
            let check = match kind.trim() {
                "sql-check" => sql_check(body.trim()),
                "table-exists" => option(&format!(" {body}"), "table")
                    .map(|name| exists(&name, option(&format!(" {body}"), "schema"), "table")),
                "view-exists" => option(&format!(" {body}"), "view")
                    .map(|name| exists(&name, option(&format!(" {body}"), "schema"), "view")),
                _ => None,
            };
            let Some((expect, query)) = check else {
                return Err(Error::failed(format!("the precondition `{}` is not understood", rest.trim()))
                    .at(Location::new(path, at + 1, 0))
                    .help("write `--precondition-sql-check expectedResult:VALUE QUERY`"));
            };
            open.set.preconditions.push(Precondition { on_fail: String::new(), query, expect, line: at + 1 });
            open.has_preconditions = true;
        } else if let Some(rest) = after(line, "validCheckSum") {
            let _ = rest;
            open.set.any_checksum = true;
        } else if after(line, "comment").is_none() {
            open.runs.push_str(line);
            open.runs.push('\n');
        }
        Ok(())
    }

    fn long_rollback(&mut self, lines: &[&str], from: usize) -> usize {
        let Some(open) = &mut self.open else { return from };
        for (at, line) in lines.iter().enumerate().skip(from) {
            open.set.sql.push_str(line);
            match line.trim_end().strip_suffix("*/") {
                Some(last) => {
                    open.rollback.push_str(last);
                    return at + 1;
                }
                None => open.rollback.push_str(line),
            }
        }
        lines.len()
    }

    fn ignored(&self, lines: &[&str], at: usize, rest: &str) -> Result<usize> {
        let word = rest.trim_start_matches(':').trim();
        if let Ok(count) = word.parse::<usize>() {
            return Ok(at + 1 + count);
        }
        let ends = |line: &&str| after(line.trim_end(), "ignoreLines").is_some_and(|rest| rest.trim() == ":end");
        match lines.iter().skip(at + 1).position(ends) {
            Some(end) if word == "start" => Ok(at + 2 + end),
            _ => {
                Err(self.fault(at, "`--ignoreLines:start` has no `--ignoreLines:end`, or is neither that nor a number"))
            }
        }
    }

    fn property(&mut self, at: usize, rest: &str) -> Result<()> {
        let line = format!(" {}", rest.trim());
        let (Some(name), Some(value)) = (option(&line, "name"), option(&line, "value")) else {
            return Err(self.fault(at, "a property is written `--property name:NAME value:VALUE`"));
        };
        let dbms = option(&line, "dbms");
        if dbms.is_none_or(|dbms| super::for_postgresql(&dbms)) {
            let global = option(&line, "global").is_none_or(|global| global != "false");
            self.out.properties.push((at + 1, name, value, global));
        }
        Ok(())
    }

    fn begin(&mut self, at: usize, line: &str) -> Result<Open> {
        let rest = after(line, "changeset").unwrap_or_default().trim_start();
        let bad = || self.fault(at, "a changeset is written `--changeset AUTHOR:ID`");
        let (author, rest) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').and_then(|(author, rest)| Some((author, rest.strip_prefix(':')?))),
            None => rest.split_once(':'),
        }
        .ok_or_else(bad)?;
        let id = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or_else(bad)?.0,
            None => rest.split_whitespace().next().unwrap_or_default(),
        };
        if id.is_empty() || author.is_empty() || rest.starts_with(char::is_whitespace) {
            return Err(bad());
        }
        let truth = |key: &str, usual: bool| match option(line, key).map(|value| value.to_ascii_lowercase()).as_deref()
        {
            None => Ok(usual),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(self.fault(at, format!("`{key}` is `{other}`, neither true nor false"))),
        };
        let mut told = Vec::new();
        let mut tell = |what: String, help: &'static str| told.push((at + 1, what, help));
        if let Some(labels) = option(line, "labels") {
            tell(format!("the labels `{labels}` are not carried over"), "");
        }
        if !truth("failOnError", true)? {
            tell("`failOnError:false` is not carried over: an error stops dbbuild".to_owned(), "");
        }
        if let Some(runner) = option(line, "runWith") {
            tell(
                format!("runs with `{runner}` in Liquibase"),
                "where it needs psql, write `-- dbbuild:psql true` into its header",
            );
        }
        let dbms = option(line, "dbms").filter(|dbms| !super::for_postgresql(dbms));
        let skipped = match (dbms, truth("ignore", false)?) {
            (Some(dbms), _) => Some(format!("is for `{dbms}` alone: not carried over")),
            (None, true) => Some("is ignored by Liquibase: not carried over".to_owned()),
            _ => None,
        };
        let context = option(line, "contextFilter").filter(|text| !text.is_empty()).or_else(|| option(line, "context"));
        let set = ChangeSet {
            id: id.to_owned(),
            author: author.to_owned(),
            path: option(line, "logicalFilePath")
                .or_else(|| self.logical.clone())
                .unwrap_or_else(|| self.path.to_owned()),
            file: self.path.to_owned(),
            line: at + 1,
            run_on_change: truth("runOnChange", false)?,
            run_always: truth("runAlways", false)?,
            transaction: truth("runInTransaction", true)?,
            contexts: context.into_iter().collect(),
            preconditions: Vec::new(),
            sql: format!("{line}\n"),
            changes: Vec::new(),
            rollback: None,
            any_checksum: false,
            others: Vec::new(),
        };
        let split = truth("splitStatements", true)?;
        let (delimiter, rollback_delimiter) = (option(line, "endDelimiter"), option(line, "rollbackEndDelimiter"));
        self.out.told.extend(told);
        Ok(Open {
            set,
            runs: String::new(),
            rollback: String::new(),
            skipped,
            delimiter,
            rollback_delimiter,
            split,
            on_fail: "HALT".to_owned(),
            has_preconditions: false,
        })
    }

    /// Finishes the changeset that is open.
    fn close(&mut self) {
        let Some(mut open) = self.open.take() else { return };
        let mut set = open.set;
        if let Some(why) = open.skipped {
            self.out.told.push((set.line, why, ""));
            return;
        }
        set.changes.push(open.runs.trim().to_owned());
        if open.split {
            set.sql = with_semicolons(&set.sql, open.delimiter.as_deref());
        }
        set.preconditions.iter_mut().for_each(|precondition| precondition.on_fail.clone_from(&open.on_fail));
        if open.has_preconditions && set.preconditions.is_empty() {
            open.on_fail.clear();
        }
        let rollback = with_semicolons(open.rollback.trim(), open.rollback_delimiter.as_deref());
        let lower = rollback.to_ascii_lowercase();
        if lower.contains("changesetid") {
            let what = "its rollback names another changeset: not carried over";
            self.out.told.push((set.line, what.to_owned(), "write a down section that takes it back"));
        } else if !lower.is_empty() && !lower.starts_with("not required") && !lower.starts_with("empty") {
            set.rollback = Some(rollback);
        }
        self.out.changesets.push(set);
    }
}
