//! A plan up to a version: newer migrations stay out, and so does what refers to what they make.

use super::{History, PlanOptions};
use crate::error::{Error, Result};
use crate::model::sources::Sources;
use crate::model::version::Version;

/// How far a plan goes.
pub(super) struct UpTo<'a> {
    to: Option<&'a Version>,
    /// How many pending migrations are newer.
    left: usize,
}

impl<'a> UpTo<'a> {
    /// Reads the options.
    ///
    /// # Errors
    /// No file has the version (exit status 2), or the database is beyond it.
    pub(super) fn of(sources: &Sources, history: &History, options: &'a PlanOptions) -> Result<UpTo<'a>> {
        let Some(to) = &options.to else { return Ok(UpTo { to: None, left: 0 }) };
        if sources.migration(to).is_none() {
            let newest = sources.migrations.iter().map(|one| &one.version).max();
            return Err(Error::usage(format!("no migration here has the version {to}")).help(newest.map_or_else(
                || "there is no migration at all.".to_owned(),
                |newest| format!("the newest is {newest}; `dbbuild status` lists what is pending."),
            )));
        }
        if let Some(beyond) =
            history.applied.iter().filter(|row| row.version > *to).max_by(|a, b| a.version.cmp(&b.version))
        {
            return Err(Error::failed(format!(
                "{}_{} is applied already, which is newer than {to}",
                beyond.version, beyond.name
            ))
            .help(format!("`dbbuild downgrade --to {to}` goes back. Nothing was run.")));
        }
        let all = sources.all_migrations();
        let newer = all.iter().filter(|one| one.version > *to && one.settings.apart.runs_in(&options.environment));
        Ok(UpTo { to: Some(to), left: newer.count() })
    }

    /// Whether a migration stays out.
    pub(super) fn leaves_out(&self, version: &Version) -> bool {
        self.to.is_some_and(|to| version > to)
    }

    /// Whether nothing stays out.
    pub(super) fn is_all(&self) -> bool {
        self.left == 0
    }

    /// What a person should know.
    pub(super) fn note(&self) -> Option<String> {
        let to = self.to.filter(|_| !self.is_all())?;
        let newer = if self.left == 1 {
            "1 newer migration stays".to_owned()
        } else {
            format!("{} newer migrations stay", self.left)
        };
        Some(format!(
            "up to {to} only: {newer} out, and with them repeatable files, init data and checks, which are the newest's"
        ))
    }
}
