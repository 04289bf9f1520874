//! Running repeatable files after a downgrade, whose schema may be older than they are.

use super::Event;
use super::back::drop_all;
use super::message::Unit;
use super::worker::Worker;
use crate::engine::history;
use crate::error::{Error, Result};
use crate::model::plan::FileKind;
use crate::model::reconcile::{Made, Reload};
use crate::model::sources::ScriptFile;

impl Worker<'_> {
    /// Runs a repeatable file after a downgrade. Where the server refuses one that may be newer than the schema, it counts as
    /// not run, and the answer says why.
    ///
    /// # Errors
    /// It failed and was rolled back, the connection is gone, or the version table cannot be written.
    pub async fn reload_file(&mut self, reload: &Reload) -> Result<Option<String>> {
        let file = &reload.file;
        let Err(error) = self.run_file(FileKind::Repeatable, file).await else { return Ok(None) };
        if self.session().is_closed() || error.code().is_none() {
            return Err(error);
        }
        if !reload.old.is_empty() && self.run_anew(file, &reload.old).await.is_ok() {
            return Ok(None);
        }
        if !reload.lenient {
            return Err(error);
        }
        self.execute_as_self(&history::remove_file(FileKind::Repeatable, &file.name)).await?;
        Ok(Some(error.causes().first().cloned().unwrap_or_else(|| error.message().to_owned())))
    }

    /// Runs a repeatable file in the place of what an older text of it made: a view cannot lose a column otherwise.
    async fn run_anew(&mut self, file: &ScriptFile, old: &[Made]) -> Result<()> {
        let row = history::upsert_file(FileKind::Repeatable, file, self.author());
        let closing = history::finish_file(FileKind::Repeatable, file);
        let unit = Unit::new(&file.script, drop_all(old, false, &[row]), closing)?;
        self.run_unit(&unit).await.map_err(|failure| Error::failed(failure.error.message.clone()))?;
        self.renew(&file.script).await?;
        self.tell(Event::Ran(FileKind::Repeatable, file.path.clone()));
        Ok(())
    }
}
