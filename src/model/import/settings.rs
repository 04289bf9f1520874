//! Settings that an import wants, written into the text of `dbbuild.toml` with everything else as it stands.

use super::Setting;
use super::layout::NewFile;
use crate::error::{Error, Result};
use toml_edit::{DocumentMut, Item, Table};

/// What an imported history can live with: its files were not written to run twice, and may hold clock and chance.
pub fn usual() -> Vec<Setting> {
    let why = "The imported files were not written to run twice. Once they are published, set this to \"error\": \
               only new files are judged then.";
    let value = |text: &str| toml::Value::String(text.to_owned());
    vec![
        Setting { key: "migrations.idempotent".to_owned(), value: value("off"), why: Some(why.to_owned()) },
        Setting { key: "migrations.volatile".to_owned(), value: value("warn"), why: None },
    ]
}

/// Leaves the tool's own table out of baseline and drift, with its index and sequence; not where a migration names it, as
/// it is then part of what the files make.
pub fn without_table(table: &str, files: &[NewFile]) -> Option<Setting> {
    // A schema of its own holds nothing but the tool's.
    let bare = table.rsplit_once('.').map_or(table, |(schema, _)| schema);
    let named =
        |file: &NewFile| file.bytes.windows(bare.len()).any(|window| window.eq_ignore_ascii_case(bare.as_bytes()));
    if files.iter().filter(|file| file.version.is_some()).any(named) {
        return None;
    }
    let pattern = if table.contains('.') { format!("{bare}.*") } else { format!("public.{table}*") };
    Some(Setting {
        key: "baseline.exclude".to_owned(),
        value: toml::Value::Array(vec![toml::Value::String(pattern)]),
        why: Some("What the other tool applied stands there in databases that it has made.".to_owned()),
    })
}

/// The text with the settings in it.
pub fn apply(text: &str, settings: &[Setting]) -> Result<String> {
    let fault = |key: &str, cause: &str| Error::failed(format!("cannot set {key}")).cause(cause);
    let mut document: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| fault("anything", e.message()))?;
    for setting in settings {
        let parts: Vec<&str> = setting.key.split('.').collect();
        let Some((last, tables)) = parts.split_last() else { continue };
        let mut table: &mut Table = document.as_table_mut();
        for part in tables {
            let mut new = Table::new();
            new.set_implicit(true);
            let item = table.entry(part).or_insert(Item::Table(new));
            table = item.as_table_mut().ok_or_else(|| fault(&setting.key, "it is no table there"))?;
        }
        let value: toml_edit::Value = literal(&setting.value)?;
        match table.get_mut(last).and_then(Item::as_value_mut) {
            Some(old) => {
                let decor = old.decor().clone();
                *old = value;
                *old.decor_mut() = decor;
            }
            None => drop(table.insert(last, Item::Value(value))),
        }
        if let (Some(why), Some(mut key)) = (&setting.why, table.key_mut(last)) {
            let before = key.leaf_decor().prefix().and_then(|raw| raw.as_str()).unwrap_or_default().to_owned();
            key.leaf_decor_mut().set_prefix(format!("{before}# {why}\n"));
        }
    }
    Ok(document.to_string())
}

fn literal(value: &toml::Value) -> Result<toml_edit::Value> {
    value.to_string().parse().map_err(|e: toml_edit::TomlError| Error::failed("cannot write a setting").cause(e))
}

/// Those of the settings that the text does not have.
pub fn missing(text: &str, settings: &[Setting]) -> Vec<Setting> {
    let root: toml::Value = toml::Value::Table(text.parse().unwrap_or_default());
    let has = |setting: &&Setting| {
        let found = setting.key.split('.').try_fold(&root, |value, part| value.get(part));
        found != Some(&setting.value)
    };
    settings.iter().filter(has).cloned().collect()
}

/// The settings as they would stand in `dbbuild.toml`, one a line, for a person to add.
pub fn shown(settings: &[Setting]) -> Vec<String> {
    settings.iter().map(|setting| format!("{} = {}", setting.key, setting.value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_replace_and_join_what_is_there() {
        let text = "# about\n[migrations]\n# Rule.\nidempotent = \"error\"\n\n[env.production]\nprotected = true\n";
        let mut settings = usual();
        let url = toml::Value::String("P_URL".to_owned());
        settings.push(Setting { key: "env.staging.url_env".to_owned(), value: url, why: None });
        let text = apply(text, &settings).unwrap();
        assert!(missing(&text, &settings).is_empty());
        assert_eq!(missing("[migrations]\nvolatile = \"warn\"", &usual()).len(), 1);
        assert!(text.starts_with("# about\n[migrations]\n# Rule.\n# The imported"), "{text}");
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["migrations"]["idempotent"].as_str(), Some("off"));
        assert_eq!(table["migrations"]["volatile"].as_str(), Some("warn"));
        assert_eq!(table["env"]["staging"]["url_env"].as_str(), Some("P_URL"));
        assert_eq!(table["env"]["production"]["protected"].as_bool(), Some(true));
    }

    #[test]
    fn the_tools_table_is_left_out_unless_a_migration_names_it() {
        let file = |text: &str| NewFile {
            path: "db/migrations/1_a.sql".to_owned(),
            version: Some("1".to_owned()),
            bytes: std::sync::Arc::from(text.as_bytes()),
            origins: Vec::new(),
        };
        let setting = without_table("schema_migrations", &[file("CREATE TABLE a ();")]).unwrap();
        let text = apply("[postgres]\nversion = 15\n", &[setting]).unwrap();
        assert!(text.contains("exclude = [\"public.schema_migrations*\"]"), "{text}");
        assert_eq!(without_table("schema_migrations", &[file("CREATE TABLE public.SCHEMA_MIGRATIONS ();")]), None);
    }

    #[test]
    fn what_is_no_table_is_told() {
        let url = toml::Value::Integer(1);
        let setting = Setting { key: "env.a".to_owned(), value: url, why: None };
        assert!(apply("env = 1\n", &[setting]).is_err());
    }
}
