//! The texts of `dbbuild secure new`: a stand-in for git, and a first body for each environment.

/// What stands in git.
pub fn stand_in(label: &str) -> String {
    format!(
        "-- dbbuild:secure\n\
         -- The body lies under secure_path of each environment: `dbbuild secure edit {label} --env NAME`.\n\
         -- What stands here runs where an environment has no secure_path, and is tried by verification: write\n\
         -- statements of the same kind with values that anybody may see.\n\n\
         -- migrate:up\n\n"
    )
}

/// What stands in an environment until somebody edits it. It holds no statement, and so is refused.
pub fn first_body(label: &str, environment: &str) -> String {
    format!("-- The body of {label} for {environment}: statements that change rows only, and that may run twice.\n")
}
