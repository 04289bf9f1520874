//! `db/baseline.sql`: a complete, deterministic dump of what a new production install needs.
//!
//! From `pg_dump`'s text to the file ([`normalise()`], [`render`]), back from the file ([`Baseline::parse`]), and what
//! differs between two of them ([`differences()`]). It runs no `pg_dump` and reads no file.

mod adopted;
mod carried;
mod differences;
mod dump;
mod facts;
mod header;
mod large_objects;
mod names;
mod normalise;
mod objects;
mod order;
mod part;
mod rewritten;
mod roles;
mod rows;
mod scan;
mod secrets;
mod sections;
mod volatile;
mod wanted;

pub use adopted::{adopted_migration, lost_rows, role_statements};
pub use carried::with_volatile_of;
pub use differences::{Change, Difference, differences, unified_diff};
pub use dump::{Dump, Entry, Part};
pub use facts::{AspectChange, Facts, ObjectChange, ObjectName};
pub use header::{Baseline, BaselineParts, conflict_marker, inputs_of, render};
pub use normalise::{NormaliseOptions, normalise};
pub use objects::Object;
pub use part::part;
pub use rewritten::{Rewritten, rewritten_of, with_rewritten};
pub use roles::RoleNeed;
pub use rows::{CopyBlock, copy_value};
pub use sections::entries_with;
pub use volatile::{Volatility, differing_rows, keep_committed, volatility};
pub use wanted::Wanted;

use std::fmt;

/// A column of a table, as dumps write it: qualified, each name quoted where needed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnName {
    /// `schema.table`
    pub table: String,
    /// The column alone.
    pub column: String,
}

impl fmt::Display for ColumnName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.table, self.column)
    }
}

/// Schema and name of a qualified name as statements write it, without quotes.
pub fn name_of(qualified: &str) -> Option<(Option<String>, String)> {
    Some((names::schema_name(qualified), names::last_name(qualified)?))
}

impl ColumnName {
    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<ColumnName> {
        let found = names::tokens(text);
        let [_schema, first_dot, table, second_dot, column] = found.as_slice() else { return None };
        let is_dot = |t: &names::Placed| t.token == scan::Token::Punctuation(b'.');
        if !is_dot(first_dot) || !is_dot(second_dot) {
            return None;
        }
        let (table, column) = (table.range()?, column.range()?);
        Some(ColumnName { table: text[..table.end].to_owned(), column: text[column].to_owned() })
    }
}
