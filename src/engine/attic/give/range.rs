//! Gives back as much as goes: all at once, and where the server refuses that, in ever smaller parts down to the single
//! rows that it refuses.

use super::facts::Held;
use crate::engine::attic::stored::{Answer, rows as query};
use crate::engine::session::{ServerError, Session};
use crate::model::sql::literal;
use tokio_postgres::SimpleQueryMessage;

/// Why a row is in conflict that meets another one.
const TAKEN: &str = "another row has its key or a value that must be unique";

/// Why a row or value is in conflict that a column takes as another one.
pub(super) const OTHER: &str = "the column would hold another value now";

/// Some rows of a table that holds an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Range {
    All,
    /// Blocks from, up to but without.
    Blocks(u64, u64),
    Rows(Vec<String>),
}

impl Range {
    fn condition(&self) -> String {
        match self {
            Range::All => "true".to_owned(),
            Range::Blocks(from, to) => format!("k.ctid >= '({from},0)'::tid AND k.ctid < '({to},0)'::tid"),
            Range::Rows(rows) => format!("k.ctid = ANY ('{{{}}}'::tid[])", list(rows)),
        }
    }
}

/// Row identities as elements of an array's text.
fn list(rows: &[String]) -> String {
    rows.iter().map(|row| format!("\"{row}\"")).collect::<Vec<_>>().join(",")
}

/// Runs a statement over the rows of an entry. `statement` gets a condition on `k`. With `wanted`, a condition too, the
/// statement must touch as many rows as that counts. Rows that are refused are noted with the reason.
pub(super) async fn over(
    session: &Session,
    held: &Held,
    statement: &(dyn Fn(&str) -> String + Sync),
    wanted: Option<&str>,
) -> Answer<()> {
    let mut todo = vec![Range::All];
    while let Some(range) = todo.pop() {
        let condition = range.condition();
        let refused = attempt(session, held, &statement(&condition), wanted, &condition).await?;
        let Some(why) = refused else { continue };
        let blocks = match &range {
            Range::All => Some((0, held.blocks)),
            Range::Blocks(from, to) => Some((*from, *to)),
            Range::Rows(_) => None,
        };
        if let Some((from, to)) = blocks.filter(|(from, to)| to - from > 1) {
            let middle = from + (to - from) / 2;
            todo.extend([Range::Blocks(middle, to), Range::Blocks(from, middle)]);
            continue;
        }
        let rows = match range {
            Range::Rows(rows) => rows,
            _ => within(session, held, wanted, &condition).await?,
        };
        match rows.as_slice() {
            [] => {}
            [row] => refuse(session, held, row, &why).await?,
            rows => {
                let (first, second) = rows.split_at(rows.len() / 2);
                todo.extend([Range::Rows(second.to_vec()), Range::Rows(first.to_vec())]);
            }
        }
    }
    Ok(())
}

/// None where it went well; else why not, all of it undone.
async fn attempt(
    session: &Session,
    held: &Held,
    statement: &str,
    wanted: Option<&str>,
    condition: &str,
) -> Answer<Option<String>> {
    session.simple_raw("SAVEPOINT dbbuild_give").await?;
    let why = match session.simple_raw(statement).await {
        Ok(messages) => match wanted {
            None => None,
            Some(wanted) => {
                let sql = format!("SELECT pg_catalog.count(*) FROM {} k WHERE {wanted} AND {condition}", held.sql());
                let wanted = query(session, &sql).await?.into_iter().flatten().flatten().next();
                let done = messages.iter().rev().find_map(|message| match message {
                    SimpleQueryMessage::CommandComplete(rows) => Some(rows.to_string()),
                    _ => None,
                });
                (wanted != done).then(|| OTHER.to_owned())
            }
        },
        Err(error) if is_of_rows(&error) => Some(reason(&error, wanted.is_some())),
        Err(error) => return Err(error),
    };
    let end = if why.is_some() { "ROLLBACK TO SAVEPOINT dbbuild_give; " } else { "" };
    session.simple_raw(&format!("{end}RELEASE SAVEPOINT dbbuild_give")).await?;
    Ok(why)
}

async fn within(session: &Session, held: &Held, wanted: Option<&str>, condition: &str) -> Answer<Vec<String>> {
    let wanted = wanted.unwrap_or("true");
    let sql = format!("SELECT k.ctid::text FROM {} k WHERE {wanted} AND {condition}", held.sql());
    Ok(query(session, &sql).await?.into_iter().flatten().flatten().collect())
}

async fn refuse(session: &Session, held: &Held, row: &str, why: &str) -> Answer<()> {
    let values = format!("({}, '{row}', false, {})", held.entry.id, literal(why));
    session.simple_raw(&format!("INSERT INTO dbbuild_attic.look VALUES {values}")).await.map(|_| ())
}

/// Why rows or values were refused; of whole rows what they met needs no name.
fn reason(error: &ServerError, of_rows: bool) -> String {
    match error.sqlstate.as_deref() {
        Some("23505" | "23P01") if of_rows => TAKEN.to_owned(),
        _ => error.message.clone(),
    }
}

/// Whether an error is about values: data (22), constraints (23), what a function of a check raised (P0), a check option (44).
pub(super) fn is_of_rows(error: &ServerError) -> bool {
    let class = error.sqlstate.as_deref().and_then(|code| code.get(..2));
    !error.gone && matches!(class, Some("22" | "23" | "P0" | "44"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_name_rows_of_a_table_of_the_attic() {
        assert_eq!(Range::Blocks(2, 4).condition(), "k.ctid >= '(2,0)'::tid AND k.ctid < '(4,0)'::tid");
        let rows = Range::Rows(vec!["(0,1)".to_owned(), "(0,2)".to_owned()]);
        assert_eq!(rows.condition(), "k.ctid = ANY ('{\"(0,1)\",\"(0,2)\"}'::tid[])");
    }
}
