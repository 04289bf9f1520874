//! Migrations that stand outside the baseline: limited to environments, or with a body that is not in git.
//!
//! Both change rows only, so that every database has the same schema whatever ran there. Where a body lies and what it
//! holds is [`crate::model::secure`]'s business; that a migration keeps to rows is found out by running it.

use crate::error::{Error, Location, Result};
use crate::model::migration::Migration;

/// What sets a migration apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Apart {
    /// `dbbuild:env`: the environments that it is limited to; empty for all.
    pub environments: Vec<String>,
    /// `dbbuild:secure`: the text in git is a stand-in.
    pub secure: bool,
}

impl Apart {
    /// Whether it is an ordinary migration, which the baseline holds.
    pub fn is_none(&self) -> bool {
        self.environments.is_empty() && !self.secure
    }

    /// Whether it runs in an environment.
    pub fn runs_in(&self, environment: &str) -> bool {
        self.environments.is_empty() || self.environments.iter().any(|name| name == environment)
    }

    /// Adds what a `dbbuild:env` names.
    ///
    /// # Errors
    /// It names none, or one twice.
    pub(super) fn limit(&mut self, value: &str) -> Result<()> {
        for name in value.split_whitespace() {
            if self.environments.iter().any(|known| known == name) {
                return Err(Error::failed(format!("directive `env` names `{}` twice", name.escape_debug())));
            }
            self.environments.push(name.to_owned());
        }
        if self.environments.is_empty() {
            return Err(Error::failed("directive `env` lacks an environment").help("write `-- dbbuild:env NAME…`"));
        }
        Ok(())
    }

    /// "limited to staging, production; secure", for people.
    pub fn describe(&self) -> String {
        let limited = (!self.environments.is_empty()).then(|| format!("limited to {}", self.environments.join(", ")));
        let secure = self.secure.then(|| "secure".to_owned());
        limited.into_iter().chain(secure).collect::<Vec<_>>().join("; ")
    }
}

/// What stands against the directives of migrations that stand apart: environments that are not configured.
pub fn faults<'a>(apart: impl Iterator<Item = &'a Migration>, known: &[&str]) -> Vec<Error> {
    let mut faults = Vec::new();
    for migration in apart {
        let names = &migration.settings.apart.environments;
        for name in names.iter().filter(|name| !known.contains(&name.as_str())) {
            let help = match crate::model::directive::nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `-- dbbuild:env {near}`?"),
                None => format!("the environments are: {}", known.join(", ")),
            };
            let message =
                format!("`-- dbbuild:env` names the environment {}, which is not configured", name.escape_debug());
            faults.push(Error::failed(message).at(Location::file(&migration.path)).help(help));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(text: &str) -> Result<Apart> {
        Migration::parse("1_a.sql", text.as_bytes()).map(|migration| migration.settings.apart)
    }

    #[test]
    fn the_header_sets_apart() {
        assert!(apart("SELECT 1").unwrap().is_none());
        let both = apart("-- dbbuild:env staging production\n-- dbbuild:secure\nSELECT 1").unwrap();
        assert_eq!(both.describe(), "limited to staging, production; secure");
        assert!(both.runs_in("staging") && !both.runs_in("development"));
        assert!(apart("-- dbbuild:secure\nSELECT 1").unwrap().runs_in("anywhere"));
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for (text, expected) in [
            ("-- dbbuild:env\nSELECT 1", "directive `env` lacks an environment at 1_a.sql:1"),
            ("-- dbbuild:env a a\nSELECT 1", "directive `env` names `a` twice at 1_a.sql:1"),
            ("-- dbbuild:secure yes\nSELECT 1", "`yes` is too much for this directive at 1_a.sql:1"),
            (
                "-- dbbuild:env a\n-- migrate:up transaction:false\nSELECT 1",
                "a migration that is limited to environments runs in one transaction at 1_a.sql",
            ),
            (
                "-- dbbuild:env a\n-- dbbuild:psql true\nSELECT 1",
                "a migration that stands outside the baseline is not run by psql at 1_a.sql",
            ),
            (
                "-- dbbuild:env a\n-- migrate:up\n-- dbbuild:batch size=10\nDELETE FROM t WHERE id < :size",
                "a migration that is limited to environments runs in one transaction at 1_a.sql",
            ),
            (
                "-- dbbuild:secure\n-- dbbuild:transaction false\nSELECT 1",
                "a secure migration runs in one transaction at 1_a.sql",
            ),
        ] {
            assert_eq!(apart(text).unwrap_err().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn environments_must_be_configured() {
        let migration = Migration::parse("1_a.sql", b"-- dbbuild:env prodution other\nSELECT 1").unwrap();
        let faults = faults([&migration].into_iter(), &["development", "production"]);
        let helps: Vec<String> = faults.iter().map(|fault| fault.helps().join(" ")).collect();
        assert_eq!(
            helps,
            ["did you mean `-- dbbuild:env production`?", "the environments are: development, production"]
        );
    }
}
