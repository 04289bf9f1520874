//! Loads a baseline over the protocol, in one transaction, with COPY data streamed.

use super::failure::describe;
use super::message::{BEFORE, Unit};
use super::worker::Worker;
use crate::error::Result;
use crate::model::script::Script;
use std::sync::Arc;

/// Loads a baseline into an empty database: all of it or nothing.
///
/// # Errors
/// It holds psql meta-commands, or the server refuses a statement: nothing was loaded.
pub async fn load_baseline(worker: &Worker<'_>, path: &str, text: &Arc<str>) -> Result<()> {
    let script = Script::of_file(path, Arc::clone(text));
    let unit = Unit::new(&script, "SELECT 1".to_owned(), "SELECT 1".to_owned())?;
    if let Err(failure) = worker.run_unit(&unit).await {
        let n = failure.completed.saturating_sub(BEFORE);
        let place = unit.place(failure.completed, failure.position, worker.envelope());
        return Err(describe(&failure.error, "loading the baseline", place, unit.ordinal(n))
            .help("nothing was loaded. `dbbuild verify` tells whether the baseline is sound."));
    }
    worker.execute(&worker.envelope().reset).await
}
