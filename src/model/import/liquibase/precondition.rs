//! Preconditions as questions with one answer.

use super::changeset::Precondition;
use super::element::Element;
use crate::error::{Error, Location, Result};
use crate::model::sql::literal;

/// `expectedResult:VALUE QUERY` or `VALUE QUERY`, the value in quotes or not: the value and the query.
pub fn sql_check(body: &str) -> Option<(String, String)> {
    let body = match body.get(..15) {
        Some(front) if front.eq_ignore_ascii_case("expectedResult:") => &body[15..],
        _ => body,
    };
    let quote = body.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let (expect, query) = match quote {
        Some(quote) => body[1..].split_once(quote)?,
        None => body.split_once(' ')?,
    };
    (!query.trim().is_empty()).then(|| (expect.to_owned(), query.trim().to_owned()))
}

/// Whether a relation of a kind is there: the value and the query.
pub fn exists(name: &str, schema: Option<String>, kind: &str) -> (String, String) {
    let kinds = match kind {
        "view" => "'v', 'm'",
        "index" => "'i', 'I'",
        "sequence" => "'S'",
        _ => "'r', 'p', 'f'",
    };
    let place = schema.map_or_else(
        || "pg_table_is_visible(oid)".to_owned(),
        |schema| format!("relnamespace::regnamespace::text = {}", literal(&schema)),
    );
    let query = format!(
        "SELECT EXISTS (SELECT FROM pg_class WHERE lower(relname) = lower({}) AND relkind IN ({kinds}) AND {place})",
        literal(name)
    );
    ("true".to_owned(), query)
}

/// The preconditions of an element `preConditions`, and what is said of its options.
pub fn read(path: &str, element: &Element, told: &mut Vec<(usize, String, &'static str)>) -> Result<Vec<Precondition>> {
    let on_fail = element.get("onFail").unwrap_or("HALT").to_ascii_uppercase();
    if element.get("onError").is_some_and(|on_error| !on_error.eq_ignore_ascii_case("HALT")) {
        let what = "`onError` is not carried over: a precondition that fails stops dbbuild";
        told.push((element.line, what.to_owned(), ""));
    }
    let mut found = Vec::new();
    all(path, element, true, &on_fail, &mut found)?;
    Ok(found)
}

const OPTIONS: &[&str] = &["onFail", "onError", "onFailMessage", "onErrorMessage", "onSqlOutput", "onUpdateSQL"];

fn all(path: &str, element: &Element, holds: bool, on_fail: &str, found: &mut Vec<Precondition>) -> Result<()> {
    for child in element.children.iter().filter(|child| !OPTIONS.contains(&child.name.as_str())) {
        let of = |kind: &str, name: &str| {
            child.get(name).map(|name| exists(name, child.get("schemaName").map(str::to_owned), kind))
        };
        let question = match child.name.as_str() {
            "and" => {
                all(path, child, holds, on_fail, found)?;
                continue;
            }
            "not" if child.children.len() == 1 => {
                all(path, child, !holds, on_fail, found)?;
                continue;
            }
            "dbms" if child.get("type").is_some_and(super::for_postgresql) && holds => continue,
            "sqlCheck" => {
                let query = child.get("sql").unwrap_or(&child.text).trim().to_owned();
                child.get("expectedResult").filter(|_| !query.is_empty()).map(|expect| (expect.to_owned(), query))
            }
            "tableExists" => of("table", "tableName"),
            "viewExists" => of("view", "viewName"),
            "indexExists" => of("index", "indexName"),
            "sequenceExists" => of("sequence", "sequenceName"),
            _ => None,
        };
        let Some((mut expect, mut query)) = question else {
            return Err(Error::failed(format!("the precondition `{}` is not understood", child.name))
                .at(Location::new(path, child.line, 0))
                .help("write it as a `sqlCheck`"));
        };
        if !holds {
            query = format!("SELECT ({}) IS DISTINCT FROM {}", query.trim_end_matches(';'), as_sql(&expect));
            expect = "true".to_owned();
        }
        found.push(Precondition { on_fail: on_fail.to_owned(), query, expect, line: child.line });
    }
    Ok(())
}

/// A value as a query compares it.
fn as_sql(value: &str) -> String {
    let plain = matches!(value, "true" | "false") || value.parse::<i64>().is_ok();
    if plain { value.to_owned() } else { literal(value) }
}
