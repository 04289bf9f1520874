//! A person's word on a statement of which the catalogs cannot tell whether it was carried out.

use crate::engine::target::Target;
use crate::error::{Error, Result};
use crate::model::config::Config;
use crate::model::version::Version;
use std::str::FromStr;

/// `VERSION:STATEMENT=done` or `=retry`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    version: Version,
    ordinal: u32,
    done: bool,
}

impl FromStr for Settlement {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong = || format!("`{text}` is not VERSION:STATEMENT=done or VERSION:STATEMENT=retry");
        let (statement, answer) = text.split_once('=').ok_or_else(wrong)?;
        let (version, ordinal) = statement.split_once(':').ok_or_else(wrong)?;
        let done = match answer {
            "done" => true,
            "retry" => false,
            _ => return Err(wrong()),
        };
        Ok(Settlement {
            version: Version::parse(version).map_err(|_| wrong())?,
            ordinal: ordinal.parse().map_err(|_| wrong())?,
            done,
        })
    }
}

/// Writes the answers into the journal, under the lock.
///
/// # Errors
/// The journal has no such open statement.
pub async fn write(target: &Target, config: &Config, settlements: &[Settlement]) -> Result<()> {
    if settlements.is_empty() {
        return Ok(());
    }
    let session = target.connect_to_write(config).await?;
    let _lock = target.lock(config, &|_| {}).await?;
    for Settlement { version, ordinal, done } in settlements {
        let condition =
            format!("WHERE version::pg_catalog.numeric = '{version}' AND ordinal = {ordinal} AND state = 'started'");
        let sql = if *done {
            format!("UPDATE dbbuild.statement SET state = 'done' {condition} RETURNING 1")
        } else {
            format!("DELETE FROM dbbuild.statement {condition} RETURNING 1")
        };
        if session.query_rows(&sql).await?.is_empty() {
            return Err(Error::failed(format!("statement {ordinal} of {version} is not open in the journal"))
                .help("`dbbuild status` shows what was interrupted; nothing was changed."));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_answers_and_refuses_others() {
        let settled: Settlement = "20240101:3=done".parse().unwrap();
        assert!(settled.done && settled.ordinal == 3);
        for wrong in ["", "20240101", "20240101:3", "20240101:3=maybe", "x:3=done", "1:x=done"] {
            assert!(wrong.parse::<Settlement>().is_err(), "{wrong}");
        }
    }
}
