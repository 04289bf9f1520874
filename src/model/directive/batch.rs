//! `-- dbbuild:batch`: the statement below the line is repeated, committing in between, until it touches no row.

use std::time::Duration;

use super::lines::Candidate;
use super::{options, shown};
use crate::error::{Error, Result};
use crate::model::config::parse_duration;

/// One `dbbuild:batch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// What `:size` in the statement stands for.
    pub size: u64,
    /// The pause between two batches.
    pub pause: Duration,
    /// The most rows that it may touch in all; without it, what the tables of the statement hold is the measure.
    pub most: Option<u64>,
    /// Where the line stands, in bytes of the text it was read from.
    pub offset: usize,
    /// The line of the directive.
    pub line: usize,
}

pub(super) fn read(value: &str, line: &Candidate<'_>) -> Result<Batch> {
    let mut batch = Batch { size: 0, pause: Duration::ZERO, most: None, offset: line.offset, line: line.number };
    for (key, value) in options::read("batch", value, &["size", "pause", "max"])? {
        match key {
            "size" => batch.size = number(key, &value)?,
            "max" => batch.most = Some(number(key, &value)?),
            _ => batch.pause = parse_duration(&value).map_err(Error::failed)?,
        }
    }
    if batch.size == 0 {
        return Err(Error::failed("directive `batch` lacks `size=`")
            .help("write `-- dbbuild:batch size=10000 pause=50ms`, and `LIMIT :size` in the statement below it"));
    }
    Ok(batch)
}

fn number(key: &str, value: &str) -> Result<u64> {
    let digits = value.replace('_', "");
    digits.parse().ok().filter(|n| *n > 0 && i64::try_from(*n).is_ok()).ok_or_else(|| {
        Error::failed(format!("`{}` is no number of rows", shown(value))).help(format!("write `{key}=10000`"))
    })
}
