//! Who runs: what is written beside every row of the version table.

use super::optional;

/// The columns that tell who wrote a row; see [`Author`].
pub(super) const AUTHOR: &str = "git_commit, dbbuild_version, pipeline, run_by";

/// Who runs: written beside every row.
#[derive(Debug, Clone, Default)]
pub struct Author {
    /// The commit that is checked out, with a `+` where the work tree differs.
    pub commit: Option<String>,
    /// The run of a pipeline that this is.
    pub pipeline: Option<String>,
    /// Who started it.
    pub run_by: Option<String>,
}

impl Author {
    /// The values of the columns `git_commit, dbbuild_version, pipeline, run_by`.
    pub(super) fn values(&self) -> String {
        let [commit, pipeline, run_by] =
            [&self.commit, &self.pipeline, &self.run_by].map(|one| optional(one.as_deref()));
        format!("{commit}, '{}', {pipeline}, {run_by}", env!("CARGO_PKG_VERSION"))
    }

    /// The same as assignments.
    pub(super) fn assignments(&self) -> String {
        format!("(git_commit, dbbuild_version, pipeline, run_by) = ({})", self.values())
    }
}
