//! Which statements of a script are repeated, and what stands against that.

use std::collections::BTreeMap;

use super::Script;
use crate::error::{Error, Location, Result};
use crate::model::directive::Batch;
use crate::model::sql::{self, Statement, StatementKind};

impl Script {
    /// The statement that each batch repeats, by index.
    ///
    /// # Errors
    /// It does not lex, or no statement follows a batch's line.
    pub fn batches(&self, statements: &[Statement]) -> Result<BTreeMap<usize, &Batch>> {
        let mut found = BTreeMap::new();
        for batch in &self.means.batches {
            let at = Location::new(self.path.clone(), batch.line, 0);
            let n = statements.iter().position(|statement| statement.range.start > batch.offset).ok_or_else(|| {
                Error::failed("no statement follows `-- dbbuild:batch`")
                    .at(at.clone())
                    .help("it stands on the line before the statement that it repeats")
            })?;
            if found.insert(n, batch).is_some() {
                return Err(Error::failed("two `-- dbbuild:batch` stand before one statement").at(at));
            }
        }
        Ok(found)
    }

    /// What stands against the batches of a file.
    ///
    /// # Errors
    /// The first fault, with its line.
    pub fn check_batches(&self) -> Result<()> {
        let Some(first) = self.means.batches.first() else { return Ok(()) };
        if self.means.psql.is_some() {
            return Err(Error::failed("a file that psql runs has no batches")
                .at(Location::new(self.path.clone(), first.line, 0))
                .help("put the statement into a migration of its own, without `-- dbbuild:psql true`"));
        }
        let statements = self.split()?;
        let groups = |n: usize| {
            statements[..n].iter().fold(false, |open, statement| match statement.kind {
                StatementKind::Begin => true,
                StatementKind::Commit | StatementKind::Rollback => false,
                _ => open,
            })
        };
        for n in self.batches(&statements)?.into_keys() {
            let Some(statement) = statements.get(n) else { continue };
            let text = self.statement_text(statement);
            let at = self.location(statement.range.start);
            let verb = text.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
            if !["update", "delete", "insert", "merge", "with"].iter().any(|known| verb.eq_ignore_ascii_case(known)) {
                return Err(Error::failed("only INSERT, UPDATE, DELETE or MERGE can be a batch").at(at));
            }
            if groups(n) {
                return Err(Error::failed("a batch stands inside BEGIN … COMMIT")
                    .at(at)
                    .help("it commits by itself; move it out of the transaction"));
            }
            if sql::parameter(text, "size").is_empty() {
                return Err(Error::failed("the statement of a batch does not say `:size`")
                    .at(at)
                    .help("let it touch so many rows at once: … WHERE id IN (SELECT id FROM … WHERE … LIMIT :size)"));
            }
        }
        Ok(())
    }
}
