//! `db/roles.toml`: the roles of a cluster as a file names them. This writes it; a later version reads it.
//!
//! A password never stands in it: whoever needs one is given its place (`password = { env = "VAR" }`) by hand.

use std::collections::BTreeMap;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, value};

/// One role. What is PostgreSQL's default is not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Its attributes that are on: `login`, `superuser`, `createdb`, `createrole`, `replication`, `bypassrls`.
    pub attributes: Vec<&'static str>,
    /// Whether it uses the privileges of its groups without `SET ROLE`; the default is that it does.
    pub inherit: bool,
    /// How many connections it may have; -1 for any number.
    pub connection_limit: i64,
    /// When its password ends.
    pub valid_until: Option<String>,
    /// The roles that it is a member of.
    pub member_of: Vec<String>,
    /// Its settings in every database.
    pub settings: BTreeMap<String, String>,
}

/// Whether a roles file names no role yet: it may be filled then. A file that is no TOML is left alone.
pub fn is_blank(text: &str) -> bool {
    text.parse::<DocumentMut>().is_ok_and(|document| document.is_empty())
}

/// Adds roles to a roles file that names none; its comments stay where they are.
pub fn with_roles(existing: &str, roles: &[Role]) -> String {
    let mut table = Table::new();
    table.set_implicit(true);
    for role in roles {
        table.insert(&role.name, Item::Table(described(role)));
    }
    let mut document = DocumentMut::new();
    document.insert("role", Item::Table(table));
    let head = existing.trim_end();
    let text = document.to_string();
    if head.is_empty() { text.trim_start().to_owned() } else { format!("{head}\n\n{}", text.trim_start()) }
}

fn described(role: &Role) -> Table {
    let mut table = Table::new();
    for attribute in &role.attributes {
        table.insert(attribute, value(true));
    }
    if !role.inherit {
        table.insert("inherit", value(false));
    }
    if role.connection_limit >= 0 {
        table.insert("connection_limit", value(role.connection_limit));
    }
    if let Some(until) = &role.valid_until {
        table.insert("valid_until", value(until));
    }
    if !role.member_of.is_empty() {
        table.insert("member_of", value(role.member_of.iter().collect::<Array>()));
    }
    if !role.settings.is_empty() {
        table.insert("settings", value(role.settings.iter().collect::<InlineTable>()));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str) -> Role {
        Role {
            name: name.to_owned(),
            attributes: Vec::new(),
            inherit: true,
            connection_limit: -1,
            valid_until: None,
            member_of: Vec::new(),
            settings: BTreeMap::new(),
        }
    }

    #[test]
    fn roles_are_written_below_the_comments_that_were_there() {
        let mut app = role("app");
        app.attributes = vec!["login"];
        app.member_of = vec!["odd \"one\"".to_owned()];
        app.settings = BTreeMap::from([("statement_timeout".to_owned(), "30s".to_owned())]);
        let text = with_roles("# about\n#\n# [role.x]\n", &[app, role("odd \"one\"")]);
        assert_eq!(
            text,
            "# about\n#\n# [role.x]\n\n[role.app]\nlogin = true\nmember_of = ['odd \"one\"']\n\
             settings = { statement_timeout = \"30s\" }\n\n[role.'odd \"one\"']\n"
        );
        assert!(text.parse::<DocumentMut>().is_ok());
        assert!(is_blank("# only words\n") && !is_blank(&text) && !is_blank("no = toml ="));
    }
}
