//! The texts that `dbbuild new` and `dbbuild init` start from. They are filled in here and written elsewhere: no file is
//! touched, no version chosen.
//!
//! A template is one or several migrations. Each can run twice without a change, and where a change needs several steps to
//! go without downtime (expand, backfill, contract), each step is a file of its own.

mod fill;
mod identifier;
mod init;
mod rows;
mod secure;
mod slug;

pub use init::{
    DRIVERS, GIT_IGNORE, InitFile, InitOptions, adopted_configuration, append_lines, driver_attributes, git_attributes,
    init_files,
};
pub use rows::{Table, Text, render_rows};
pub use secure::{first_body, stand_in};
pub use slug::slug;

use crate::error::{Error, Result};
use fill::{Values, fill};

/// A template of `dbbuild new --template NAME`.
#[derive(Debug, Clone, Copy)]
pub struct Template {
    /// What it is called on the command line.
    pub name: &'static str,
    /// One line for lists and help.
    pub about: &'static str,
    /// The files in the order in which they run: what is added to the name, and the text.
    files: &'static [(&'static str, &'static str)],
    /// What is assumed where the command line is silent, beside the general defaults.
    defaults: &'static [(&'static str, &'static str)],
}

/// What the command line says about the objects of a template. Names are taken as they are and quoted where necessary; a
/// table may be `schema.table`.
#[derive(Debug, Clone, Default)]
pub struct Params {
    /// `--table`
    pub table: Option<String>,
    /// `--column`
    pub column: Option<String>,
    /// `--type`: the column's type, or the enum's name; for `change-type` the new one.
    pub type_name: Option<String>,
    /// `--from-type`: the type before, for `change-type`.
    pub from_type: Option<String>,
    /// `--to`: the new name; for `split-column` two, joined by a comma.
    pub to: Option<String>,
    /// `--references`: the table that a foreign key points at.
    pub references: Option<String>,
    /// `--key`: the column that batches are cut by, or that a foreign key points at.
    pub key: Option<String>,
    /// `--value`: an SQL expression for `backfill`, the new value for `add-enum-value`.
    pub value: Option<String>,
    /// `--check`: the condition of `add-check`, in SQL.
    pub check: Option<String>,
}

/// One migration made from a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateFile {
    /// The name without version and extension: `rename_title_expand`.
    pub name: String,
    /// The whole text, with LF endings.
    pub text: String,
}

macro_rules! template {
    ($name:literal, $about:literal, [$($suffix:literal => $file:literal),+] $(, $key:literal = $value:literal)*) => {
        Template {
            name: $name,
            about: $about,
            files: &[$(($suffix, include_str!(concat!("texts/", $file, ".sql")))),+],
            defaults: &[$(($key, $value)),*],
        }
    };
}

/// The template that is used where none is named.
pub const BLANK: &str = "blank";

const TEMPLATES: &[Template] = &[
    template!("blank", "empty up and down sections", ["" => "blank"]),
    template!("add-column", "a column that rewrites nothing", ["" => "add_column"]),
    template!("create-table", "a table with a key and comments", ["" => "create_table"]),
    template!("create-index", "an index, built while others write", ["" => "create_index"]),
    template!("rename-column", "a new name for a column, in three steps",
        ["_expand" => "rename_column_expand", "_backfill" => "rename_column_backfill", "_contract" => "rename_column_contract"]),
    template!("change-type", "another type for a column, in three steps",
        ["_expand" => "change_type_expand", "_backfill" => "change_type_backfill", "_contract" => "change_type_contract"],
        "type" = "bigint"),
    template!("split-column", "two columns from one, in three steps",
        ["_expand" => "split_column_expand", "_backfill" => "split_column_backfill", "_contract" => "split_column_contract"]),
    template!("backfill", "new values for a column, in batches", ["" => "backfill"]),
    template!("add-foreign-key", "a foreign key, added and then validated",
        ["_add" => "add_foreign_key_add", "_validate" => "add_foreign_key_validate"], "suffix" = "fkey"),
    template!("add-check", "a check constraint, added and then validated",
        ["_add" => "add_check_add", "_validate" => "add_check_validate"], "suffix" = "check"),
    template!("add-not-null", "NOT NULL by way of a check, in three steps",
        ["_check" => "add_not_null_check", "_validate" => "add_not_null_validate", "_set" => "add_not_null_set"],
        "suffix" = "present"),
    template!("add-enum-value", "one more value for an enum", ["" => "add_enum_value"],
        "type" = "my_type", "value" = "new_value"),
    template!("drop-column", "a column less, in two steps",
        ["_relax" => "drop_column_relax", "_drop" => "drop_column_drop"]),
    template!("drop-table", "a table less", ["" => "drop_table"]),
    template!("create-function", "a plpgsql function", ["" => "create_function"]),
    template!("create-view", "a view", ["" => "create_view"]),
];

/// All templates in the order in which help lists them.
pub fn names() -> &'static [Template] {
    TEMPLATES
}

/// Fills in a template. `name` is the migration's name, already a [`slug`]. Fails for an unknown template, naming the
/// others, and for a parameter that cannot stand in SQL.
pub fn render(template: &str, name: &str, params: &Params) -> Result<Vec<TemplateFile>> {
    let template = TEMPLATES.iter().find(|t| t.name == template).ok_or_else(|| {
        let known: Vec<&str> = TEMPLATES.iter().map(|t| t.name).collect();
        Error::usage(format!("there is no template {template:?}"))
            .help(format!("the templates are: {}", known.join(", ")))
    })?;
    let values = Values::new(name, params, template.defaults)?;
    let file =
        |&(suffix, text): &(&str, &str)| TemplateFile { name: format!("{name}{suffix}"), text: fill(text, &values) };
    Ok(template.files.iter().map(file).collect())
}

#[cfg(test)]
mod tests;
