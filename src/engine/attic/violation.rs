//! What a constraint or unique index demands, and the query that finds the rows which do not fulfil it. Pure.

use super::facts::Table;
use super::plan::key;
use crate::model::sql::{identifier, qualified};
use serde::Deserialize;
use std::collections::BTreeSet;

/// A constraint or unique index, as the catalog has it.
#[derive(Debug, Deserialize)]
pub(super) struct Definition {
    kind: Option<String>,
    check: Option<String>,
    own: Vec<String>,
    other: Option<(String, String, String)>,
    keys: Vec<String>,
    operators: Vec<String>,
    expressions: Vec<String>,
    unique: bool,
    #[serde(rename = "where")]
    predicate: Option<String>,
    nulls: bool,
}

/// How rows are found that violate something.
pub(super) enum Violation {
    /// Each by itself, and the table that is asked besides.
    Rows(String, Option<String>),
    /// All but the first of equal ones: what they are compared by, and which are.
    Equal(Vec<String>, String),
    /// Those that exclude one before them.
    Excluded(Vec<(String, String)>, String),
}

impl Definition {
    /// What it demands.
    pub fn violation(&self) -> Violation {
        let predicate = self.predicate.clone().unwrap_or_else(|| "true".to_owned());
        match (self.kind.as_deref(), &self.check, &self.other) {
            (Some("c"), Some(check), _) => Violation::Rows(format!("NOT ({check})"), None),
            (Some("f"), _, Some((schema, table, kind))) => {
                let only = if kind == "p" { "" } else { "ONLY " };
                let pairs: Vec<String> = self
                    .own
                    .iter()
                    .zip(&self.keys)
                    .map(|(own, key)| format!("r.{} = t.{}", identifier(key), identifier(own)))
                    .collect();
                let present: Vec<String> =
                    self.own.iter().map(|own| format!("t.{} IS NOT NULL", identifier(own))).collect();
                let other = qualified(schema, table);
                let condition = format!(
                    "{} AND NOT EXISTS (SELECT FROM {only}{other} r WHERE {})",
                    present.join(" AND "),
                    pairs.join(" AND ")
                );
                Violation::Rows(condition, Some(other))
            }
            (Some("x"), ..) if !self.operators.is_empty() => Violation::Excluded(
                self.expressions.iter().cloned().zip(self.operators.iter().cloned()).collect(),
                predicate,
            ),
            _ if self.unique => {
                let present = self.expressions.iter().filter(|_| !self.nulls).map(|one| format!("({one}) IS NOT NULL"));
                let all: Vec<String> = std::iter::once(format!("({predicate})")).chain(present).collect();
                Violation::Equal(self.expressions.clone(), all.join(" AND "))
            }
            _ => Violation::Rows("false".to_owned(), None),
        }
    }
}

impl Violation {
    /// The query that finds them, in a table as it is now.
    pub fn query(&self, now: &Table, locator: &str, before: &Table) -> String {
        let key = key(before, &BTreeSet::new(), &BTreeSet::new());
        let mut order: Vec<String> = key
            .columns
            .iter()
            .filter_map(|number| now.column(*number))
            .map(|column| format!("t.{}", identifier(&column.name)))
            .collect();
        order.push("t.ctid".to_owned());
        let (order, rows) = (order.join(", "), now.rows());
        match self {
            Violation::Rows(condition, _) => format!("SELECT {locator} FROM {rows} t WHERE {condition}"),
            Violation::Equal(by, condition) => format!(
                "SELECT w.loc FROM (SELECT {locator} AS loc, pg_catalog.row_number() OVER (PARTITION BY {} ORDER BY {order}) AS nth \
                 FROM {rows} t WHERE {condition}) w WHERE w.nth > 1",
                by.join(", ")
            ),
            Violation::Excluded(by, condition) => {
                let values: Vec<String> =
                    by.iter().enumerate().map(|(n, (one, _))| format!("({one}) AS e{n}")).collect();
                let same: Vec<String> =
                    by.iter().enumerate().map(|(n, (_, operator))| format!("a.e{n} {operator} b.e{n}")).collect();
                format!(
                    "WITH w AS (SELECT {locator} AS loc, pg_catalog.row_number() OVER (ORDER BY {order}) AS nth, {} FROM {rows} t \
                     WHERE {condition}) SELECT a.loc FROM w a WHERE EXISTS (SELECT FROM w b WHERE b.nth < a.nth AND {})",
                    values.join(", "),
                    same.join(" AND ")
                )
            }
        }
    }
}
