//! What a proof and a baseline are made from, in one sum each.
//!
//! The roles file counts as far as it matters: its comments, passwords, limits and dates make no other database.

use super::testdata;
use crate::engine::roles;
use crate::model::baseline::inputs_of;
use crate::model::checksum::Checksum;
use crate::model::config::Config;
use crate::model::placeholder::Values;
use crate::model::published::Base;
use crate::model::sources::Sources;

/// The inputs of the baseline beside the files: part of its digest.
pub fn config_part(config: &Config) -> String {
    let pg = &config.postgres;
    let placeholders = Values::of_proof(config, None).digest_part();
    let placeholders = if placeholders.is_empty() { placeholders } else { format!(" placeholders={placeholders}") };
    format!(
        "version={:?} database={:?} encoding={:?} locale={:?} role={:?} settings={:?} exclude={:?}{placeholders}",
        pg.version, pg.database, pg.encoding, pg.locale, pg.role, pg.settings, config.baseline.exclude
    )
}

/// The digest that stands in the baseline's header.
pub fn inputs(config: &Config, sources: &Sources) -> Checksum {
    let config_part = config_part(config);
    let Some(text) = &sources.roles else { return sources.inputs_digest(&config_part, None) };
    // Once the whole text of the roles file was an input. A baseline that was made so keeps its digest until the text
    // changes.
    let whole = sources.inputs_digest(&config_part, Some(text));
    let committed = sources.baseline.as_deref().map(String::from_utf8_lossy);
    if committed.is_some_and(|baseline| inputs_of(&baseline) == Some(whole)) {
        return whole;
    }
    match roles::spoken_of(config, sources) {
        Ok(part) => sources.inputs_digest(&config_part, part.as_deref()),
        // What is wrong with the file, whoever reads it says.
        Err(_) => whole,
    }
}

/// The digest of everything that a verdict depends on.
pub fn verdict_key(config: &Config, sources: &Sources, base: Option<&Base>) -> Checksum {
    let rules = &config.migrations;
    let against = base.map_or_else(String::new, |base| {
        let roles_part = roles_part(&base.config, &base.sources);
        base.digest(&config_part(&base.config), roles_part.as_deref()).to_string()
    });
    let environments = testdata::lists(config, sources);
    let own: String = config.env.keys().map(|name| Values::of_proof(config, Some(name)).digest_part()).collect();
    // Which environments there are says which migrations that stand apart run together.
    let apart = if sources.apart.is_empty() { String::new() } else { format!(" apart={:?}", config.env.keys()) };
    let config_part =
        format!("{} rules={rules:?} env={environments:?}{own}{apart} against={against}", config_part(config));
    sources.proof_digest(&config_part, roles_part(config, sources).as_deref())
}

/// The declared roles as throwaways have them: all of them, since a file may find one that it does not name.
fn roles_part(config: &Config, sources: &Sources) -> Option<String> {
    match roles::made_first(config, sources) {
        Ok(made) => Some(made.sql).filter(|sql| !sql.is_empty()),
        Err(_) => sources.roles.as_deref().map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRANTS: (&str, &str) = ("migrations/1_a.sql", "GRANT SELECT ON t TO shop_reader, \"Odd role\";\n");
    const ROLES: &str = "[role.shop_reader]\n[role.\"Odd role\"]\n[role.shop_owner]\nmember_of = [\"shop_reader\"]\n";

    fn of(roles: &str) -> (Checksum, Checksum) {
        let mut config = Config::default();
        config.postgres.role = Some("shop_owner".to_owned());
        config.env.insert("production".to_owned(), Default::default());
        let sources =
            Sources::of_files(&[GRANTS, ("migrations/2_b.sql", "CREATE ROLE made;\n"), ("roles.toml", roles)]);
        (inputs(&config, &sources), verdict_key(&config, &sources, None))
    }

    #[test]
    fn what_makes_no_other_database_is_no_input() {
        let base = of(ROLES);
        for same in [
            format!("# a comment\n{ROLES}"),
            ROLES.replace(
                "[role.\"Odd role\"]",
                "[role.\"Odd role\"]\nconnection_limit = 3\nvalid_until = \"2030-01-01\"",
            ),
            ROLES.replace("[role.shop_owner]", "[role.shop_owner]\npassword = { env = \"P\" }\nlogin = true"),
            ROLES.replace(
                "[role.\"Odd role\"]",
                "[role.\"Odd role\"]\nmember_of = [\"pg_monitor\"]\nsettings = { jit = \"off\" }",
            ),
            format!("prune = true\nheir = \"shop_owner\"\n{ROLES}"),
            format!("{ROLES}[role.made]\nlogin = true\n"),
        ] {
            assert_eq!(of(&same), base, "{same}");
        }
    }

    #[test]
    fn a_role_that_no_file_names_is_an_input_of_the_proof_alone() {
        let base = of(ROLES);
        let more = of(&format!("{ROLES}[role.alice]\nlogin = true\nmember_of = [\"shop_reader\"]\n"));
        assert!(more.0 == base.0 && more.1 != base.1);
    }

    #[test]
    fn roles_that_the_files_name_are_inputs() {
        let base = of(ROLES);
        for other in [
            ROLES.replace("[role.shop_reader]\n", ""),
            ROLES.replace("Odd role", "Odd rule"),
            ROLES.replace("member_of = [\"shop_reader\"]", ""),
            format!("{ROLES}[role.t]\n"),
            format!("{ROLES}[role.broken]\nlogim = true\n"),
        ] {
            let other = of(&other);
            assert!(other.0 != base.0 && other.1 != base.1);
        }
    }

    #[test]
    fn a_baseline_of_the_whole_text_stays_what_it_is() {
        let config = Config::default();
        let read = |roles: &str, baseline: &str| {
            Sources::of_files(&[GRANTS, ("roles.toml", roles), ("baseline.sql", baseline)])
        };
        let before = read(ROLES, "").inputs_digest(&config_part(&config), Some(ROLES));
        let baseline = format!("-- dbbuild baseline: generated\n-- dbbuild:inputs {before}\n");
        assert_eq!(inputs(&config, &read(ROLES, &baseline)), before);
        let edited = format!("# edited\n{ROLES}");
        let after = inputs(&config, &read(&edited, &baseline));
        assert_ne!(after, before);
        assert_eq!(after, inputs(&config, &read(ROLES, "")));
    }
}
