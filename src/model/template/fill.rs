//! Puts values into the placeholders of a template. `{{table}}` is SQL, `{{table_literal}}` the same for the inside of a
//! string constant; names that follow from others (indexes, constraints, triggers) are made here too.

use std::collections::BTreeMap;

use super::Params;
use super::identifier::{Name, quote};
use crate::error::{Error, Result};

/// Placeholder → text.
pub struct Values(BTreeMap<&'static str, String>);

impl Values {
    /// From the command line, the template's defaults and then the general ones.
    pub fn new(slug: &str, params: &Params, defaults: &[(&str, &str)]) -> Result<Self> {
        let default = |key: &str, general: &str| {
            defaults.iter().find(|(k, _)| *k == key).map_or(general, |(_, value)| *value).to_owned()
        };
        let or =
            |given: &Option<String>, key: &str, general: &str| given.clone().unwrap_or_else(|| default(key, general));
        check_params(params)?;

        let table = Name::new(&match &params.table {
            Some(table) => table.clone(),
            None => made_by(slug, "table").unwrap_or_else(|| "my_table".to_owned()),
        });
        let column = or(&params.column, "column", "my_column");
        let type_name = or(&params.type_name, "type", "text");
        let to = params.to.clone().unwrap_or_else(|| format!("{column}_new"));
        let (first, second) = match params.to.as_deref().and_then(|to| to.split_once(',')) {
            Some((first, second)) => (first.trim().to_owned(), second.trim().to_owned()),
            None => (format!("{column}_first"), format!("{column}_rest")),
        };
        let constraint = table.beside(&[&column, &default("suffix", "check")]).bare().to_owned();
        let value = or(&params.value, "value", "'unknown'");
        let check = params.check.clone().unwrap_or_else(|| format!("{} <> ''", quote(&column)));
        let object = Name::new(&made_by(slug, "").unwrap_or_else(|| slug.to_owned()));

        let mut values = BTreeMap::from([
            ("table", table.quoted()),
            ("table_literal", inside(&table.quoted())),
            ("schema_dot", table.schema_dot()),
            ("column", quote(&column)),
            ("column_name", inside(&column)),
            ("column_comment", format!("{}.{}", table.quoted(), quote(&column))),
            ("to", quote(&to)),
            ("to_comment", quote(&to)),
            ("first", quote(&first)),
            ("second", quote(&second)),
            ("type", type_name.clone()),
            ("type_literal", inside(&type_name)),
            ("old_type", params.from_type.clone().unwrap_or_else(|| "text".to_owned())),
            ("enum", Name::new(&type_name).quoted()),
            ("key", quote(params.key.as_deref().unwrap_or("id"))),
            ("references", Name::new(params.references.as_deref().unwrap_or("other_table")).quoted()),
            ("constraint", quote(&constraint)),
            ("constraint_name", inside(&constraint)),
            ("index", quote(table.beside(&[&column, "idx"]).bare())),
            ("object", object.quoted()),
        ]);
        let sync = table.beside(&[&column, "sync"]);
        values.insert("sync", sync.quoted());
        values.insert("sync_trigger", quote(sync.bare()));
        values.insert("value_literal", inside(&value));
        values.insert("value", value);
        values.insert("check", check);
        Ok(Values(values))
    }
}

/// Replaces every `{{placeholder}}`; an unknown one stays, and the tests of the templates find it.
pub fn fill(text: &str, values: &Values) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        match after.split_once("}}").and_then(|(key, tail)| values.0.get(key).map(|value| (value, tail))) {
            Some((value, tail)) => {
                filled.push_str(value);
                rest = tail;
            }
            None => {
                filled.push_str("{{");
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// `create_orders` → `orders`, `create_orders_table` → `orders` (with `suffix` = `table`); `None` where the migration
/// does not say that it creates something.
fn made_by(slug: &str, suffix: &str) -> Option<String> {
    let object = slug.strip_prefix("create_")?;
    let object = if suffix.is_empty() { object } else { object.strip_suffix(&format!("_{suffix}")).unwrap_or(object) };
    Some(object.to_owned())
}

/// For the inside of a string constant, whose quotes the template has.
fn inside(text: &str) -> String {
    text.replace('\'', "''")
}

/// Values go into bodies between `$migration$` and into comments: what would end either is refused.
fn check_params(params: &Params) -> Result<()> {
    let given = [
        ("--table", &params.table),
        ("--column", &params.column),
        ("--type", &params.type_name),
        ("--from-type", &params.from_type),
        ("--to", &params.to),
        ("--references", &params.references),
        ("--key", &params.key),
        ("--value", &params.value),
        ("--check", &params.check),
    ];
    for (option, value) in given {
        let Some(value) = value else { continue };
        if value.trim().is_empty() {
            return Err(Error::usage(format!("{option} is empty")));
        }
        if value.chars().any(char::is_control) || value.contains("$migration$") || value.contains("$function$") {
            return Err(Error::usage(format!("{option} {value:?} cannot stand in a template"))
                .help("leave the option out and edit the file"));
        }
    }
    Ok(())
}
