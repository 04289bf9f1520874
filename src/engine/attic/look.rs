//! Reading a [`Look`]: one query, whose rows may stand among those of other statements.

use crate::model::attic::effect::{Look, Relation, Shape};
use tokio_postgres::SimpleQueryMessage;

/// The query. Its rows begin with a word of their own, since a script may return rows too.
pub(super) const LOOK: &str = include_str!("look.sql");

/// The word.
const WORD: &str = "dbbuild look";

/// The looks among the messages of a text of statements, in order.
pub(super) fn read(messages: &[SimpleQueryMessage]) -> Vec<Look> {
    let mut looks = Vec::new();
    let mut current: Option<Look> = None;
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) if columns.len() == 13 => current = Some(Look::default()),
            SimpleQueryMessage::Row(row) if row.len() == 13 && row.get(0) == Some(WORD) => {
                let look = current.get_or_insert_with(Look::default);
                let number = |i: usize| row.get(i).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
                look.large_objects = number(12);
                let kind = row.get(2).and_then(|kind| kind.chars().next()).unwrap_or_default();
                let truth = row.get(11) == Some("t");
                let relation = Relation {
                    kind,
                    parent: row.get(3).and_then(|oid| oid.parse().ok()),
                    own: row.get(4) == Some("t"),
                    file: row.get(5).and_then(|file| file.parse().ok()).unwrap_or(0),
                    counts: [number(6), number(7), number(8)],
                    columns: row.get(9).map(columns).unwrap_or_default(),
                    position: row.get(10).and_then(|at| at.parse().ok()).map(|at| (at, truth)),
                    locked_for_writing: kind == 'f' && truth,
                };
                look.relations.insert(row.get(1).and_then(|oid| oid.parse().ok()).unwrap_or(0), relation);
            }
            SimpleQueryMessage::CommandComplete(_) => {
                looks.extend(current.take());
            }
            _ => {}
        }
    }
    looks
}

/// `1 23 -1 0,2 25 -1 100 generated`
fn columns(text: &str) -> std::collections::BTreeMap<i16, Shape> {
    let column = |text: &str| {
        let (number, kind) = text.split_once(' ')?;
        let (kind, generated) = kind.strip_suffix(" generated").map_or((kind, false), |kind| (kind, true));
        Some((number.parse().ok()?, Shape { kind: kind.to_owned(), generated }))
    };
    text.split(',').filter_map(column).collect()
}
