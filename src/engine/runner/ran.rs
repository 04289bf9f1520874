//! In which way a migration ran, or why it did not.

/// In which way a migration ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ran {
    /// In one transaction with its row.
    Transaction,
    /// Statement by statement, because the file says so.
    Statements,
    /// Statement by statement, because PostgreSQL refused it inside a transaction; with its words.
    StatementsFound(String),
    /// By psql, in one transaction with its row.
    Psql,
    /// Not at all: its precondition says that it counts as applied.
    Marked(String),
    /// Not at all: its precondition says to ask again another time.
    Skipped(String),
}

impl Ran {
    /// PostgreSQL's words, where it was found out that the migration cannot share a transaction.
    pub fn found(&self) -> Option<String> {
        match self {
            Ran::StatementsFound(why) => Some(why.clone()),
            _ => None,
        }
    }

    /// What a report says of it, if anything.
    pub fn describe(&self) -> Option<String> {
        match self {
            Ran::Transaction => None,
            Ran::Statements => Some("ran as transaction:false".to_owned()),
            Ran::StatementsFound(why) => Some(format!("ran as transaction:false without being told: {why}")),
            Ran::Psql => Some("psql ran it".to_owned()),
            Ran::Marked(why) => Some(format!("marked as applied without running: {why}")),
            Ran::Skipped(why) => Some(format!("skipped: {why}")),
        }
    }
}
