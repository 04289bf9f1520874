//! `-- dbbuild:precondition`: a question to the database, and what to do where the answer is another than expected.

use super::lines::{Candidate, is_directive};
use super::{options, unknown};
use crate::error::{Error, Result};
use crate::model::script::Script;
use crate::model::sql::StatementKind;

/// What happens to a migration whose precondition does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFail {
    /// The run stops with an error; the migration is not run.
    Halt,
    /// The migration is recorded as applied and not run.
    MarkRan,
    /// The migration is neither run nor recorded, and asked again at the next run.
    Skip,
}

impl OnFail {
    /// As the directive writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            OnFail::Halt => "halt",
            OnFail::MarkRan => "mark-ran",
            OnFail::Skip => "skip",
        }
    }
}

/// One precondition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precondition {
    /// What to do where it does not hold.
    pub on_fail: OnFail,
    /// The only value that the query is to give, as PostgreSQL writes it.
    pub expect: String,
    /// The query, at its place in the file: spaces stand for the dashes before its lines.
    pub query: Script,
    /// The line of the directive.
    pub line: usize,
}

impl Precondition {
    /// Whether a value is the expected one. PostgreSQL writes booleans as `t` and `f`.
    pub fn holds(&self, found: Option<&str>) -> bool {
        let Some(found) = found else { return self.expect.eq_ignore_ascii_case("null") };
        let truth = |text: &str| match text.to_ascii_lowercase().as_str() {
            "t" | "true" => Some(true),
            "f" | "false" => Some(false),
            _ => None,
        };
        found == self.expect || (matches!(found, "t" | "f") && truth(&self.expect) == truth(found))
    }
}

/// Reads the options on the line, and the query in the comment lines below it.
pub(super) fn read(path: &str, text: &str, value: &str, line: &Candidate<'_>) -> Result<Precondition> {
    let (mut on_fail, mut expect) = (OnFail::Halt, None);
    for (key, value) in options::read("precondition", value, &["on-fail", "expect"])? {
        match (key, value.to_ascii_lowercase().as_str()) {
            ("expect", _) => expect = Some(value),
            (_, "halt") => on_fail = OnFail::Halt,
            (_, "mark-ran") => on_fail = OnFail::MarkRan,
            (_, "skip") => on_fail = OnFail::Skip,
            _ => {
                let known = ["halt", "mark-ran", "skip"];
                return Err(unknown("value", &value, &known, |value| format!("on-fail={value}")));
            }
        }
    }
    let help = "write `-- dbbuild:precondition on-fail=halt|mark-ran|skip expect=VALUE` and below it one query in \
                comment lines";
    let expect = expect.ok_or_else(|| Error::failed("directive `precondition` lacks `expect=`").help(help))?;
    let query = Script::of_section(path, line.number + 1, query_lines(&text[line.end..]));
    let statements = query.split()?;
    let [statement] = statements.as_slice() else {
        let what = if statements.is_empty() { "lacks a query" } else { "has more than one query" };
        return Err(Error::failed(format!("directive `precondition` {what}")).help(help));
    };
    let word = query.statement_text(statement).split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    let asks = ["select", "with", "values", "table", "show", ""].iter().any(|known| word.eq_ignore_ascii_case(known));
    if !asks || matches!(statement.kind, StatementKind::CopyFromStdin) {
        return Err(Error::failed("the precondition is no query")
            .at(query.location(statement.range.start))
            .help("it only looks: write a SELECT that gives one value"));
    }
    Ok(Precondition { on_fail, expect, query, line: line.number })
}

/// The comment lines at the beginning of a text up to an empty one or another directive, without their dashes.
fn query_lines(text: &str) -> String {
    let mut query = String::new();
    for line in text.split_inclusive('\n') {
        let inner = line.trim_start();
        let Some(comment) = inner.strip_prefix("--") else { break };
        if comment.trim().is_empty() || is_directive(comment) {
            break;
        }
        query.extend(std::iter::repeat_n(' ', line.chars().count() - comment.chars().count()));
        query.push_str(comment);
    }
    query
}
