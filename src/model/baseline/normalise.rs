//! Makes what `pg_dump` wrote say the same on every machine: nobody's name in it but the roles that migrations named,
//! no meta-commands, no versions, no passwords, and (through [`super::order`]) one order.
//!
//! It does not settle a dump: loading it and dumping again may still change how an expression is written.

use super::dump::{self, Dump, Entry, Part};
use super::names::{LOADER, Placed, literal_value, splice, tokens, unquote};
use super::scan::Token;
use super::{order, secrets};
use crate::error::{Error, Result};
use crate::model::sql::{identifier, literal};
use std::collections::BTreeMap;
use std::ops::Range;

/// What a dump must not name, and what goes without saying.
#[derive(Debug, Clone, Default)]
pub struct NormaliseOptions {
    /// The roles whose objects carry no owner: who runs migrations, and the throwaway's superuser.
    pub own_roles: Vec<String>,
    /// The dumped database's name; statements about it (from `pg_dump --create`) then speak of the current database.
    pub database: Option<String>,
    /// The comment that each extension brings: only its owner may comment on it, so the same comment is left out.
    pub extension_comments: BTreeMap<String, String>,
}

/// Normalises the output of `pg_dump`.
///
/// # Errors
/// Where the text is not UTF-8, is no dump of `pg_dump`, is cut off, or holds a meta-command that cannot be left out.
pub fn normalise(dump: &[u8], options: &NormaliseOptions) -> Result<Dump> {
    let text = std::str::from_utf8(dump).map_err(|e| {
        Error::failed("pg_dump wrote text that is not UTF-8")
            .cause(e)
            .help("run pg_dump with --encoding=UTF8; a database in SQL_ASCII cannot have a baseline.")
    })?;
    let parsed = dump::parse(text)?;
    if !parsed.comments.iter().any(|line| line.contains("PostgreSQL database dump")) {
        return Err(Error::failed("this is not the output of pg_dump in its plain format"));
    }
    for line in &parsed.meta {
        let word = line.split_ascii_whitespace().next().unwrap_or_default();
        // A name that psql must not take for a connection string is connected to in a neutral encoding.
        let connects = matches!(word, "\\connect" | "\\encoding") && options.database.is_some();
        if !connects && !matches!(word, "\\restrict" | "\\unrestrict") {
            return Err(Error::failed(format!("the dump holds the meta-command `{word}`, which only psql can run")));
        }
    }
    let mut entries: Vec<Entry> = parsed.entries.into_iter().filter_map(|entry| options.entry(entry)).collect();
    order::canonicalise(&mut entries)?;
    for entry in &mut entries {
        options.speak_of_current_database(entry);
    }
    Ok(Dump { entries })
}

impl NormaliseOptions {
    fn is_own(&self, identifier: &str) -> bool {
        let name = unquote(identifier);
        self.own_roles.contains(&name)
    }

    /// The entry without what names an own role; `None` where nothing is left to run.
    fn entry(&self, mut entry: Entry) -> Option<Entry> {
        if entry.kind == "DATABASE" {
            entry.parts.clear();
        }
        if entry.kind == "DATABASE PROPERTIES" {
            // The settings that pg_dump repeats after its \connect stand here too.
            entry.parts.retain(|part| matches!(part, Part::Statement(text) if text.starts_with("ALTER ")));
        }
        if entry.owner.as_ref().is_some_and(|owner| self.own_roles.contains(owner)) {
            entry.owner = None;
        }
        self.rename(&mut entry);
        let mut own_grantor = false;
        let parts = std::mem::take(&mut entry.parts);
        for part in parts {
            match part {
                Part::Statement(text) if self.is_session_of_own_role(&text) => own_grantor = true,
                Part::Statement(text) if own_grantor && text.starts_with("RESET SESSION AUTHORIZATION") => {
                    own_grantor = false;
                }
                Part::Statement(text) => entry.parts.extend(self.statement(text).map(Part::Statement)),
                rows @ Part::Rows(_) => entry.parts.push(rows),
            }
        }
        (!entry.parts.is_empty()).then_some(entry)
    }

    /// Headings of user mappings and of the database name what the statements no longer do.
    fn rename(&self, entry: &mut Entry) {
        if entry.kind == "USER MAPPING" {
            let prefix = self.own_roles.iter().map(|role| format!("USER MAPPING {role} SERVER "));
            if let Some(server) = prefix.filter_map(|p| entry.name.strip_prefix(&p).map(str::to_owned)).next() {
                entry.name = format!("USER MAPPING {LOADER} SERVER {server}");
            }
        }
        if let Some(database) = &self.database {
            let is_its = entry.name == *database && entry.kind.starts_with("DATABASE")
                || entry.schema.is_none() && entry.name == format!("DATABASE {database}");
            if is_its {
                entry.name = "DATABASE".to_owned();
            }
        }
    }

    fn is_session_of_own_role(&self, text: &str) -> bool {
        text.strip_prefix("SET SESSION AUTHORIZATION ")
            .and_then(|rest| rest.strip_suffix(';'))
            .is_some_and(|role| self.is_own(&literal_value(role).map_or(role.to_owned(), |r| identifier(&r))))
    }

    /// One statement as it stands in a baseline; `None` where it is left out.
    fn statement(&self, text: String) -> Option<String> {
        let verb = text.split_ascii_whitespace().next().unwrap_or_default();
        match verb {
            "ALTER" => self.alter(text),
            "GRANT" | "REVOKE" => Some(self.grant(&text)),
            "CREATE" if text.starts_with("CREATE POLICY ") => Some(self.policy(&text)),
            "CREATE" if text.starts_with("CREATE USER MAPPING FOR ") => {
                let text = self.replace_role_after(&text, "FOR");
                Some(secrets::without_password_option(&text))
            }
            "CREATE" if text.starts_with("CREATE SERVER ") => Some(secrets::without_password_option(&text)),
            "CREATE" if text.starts_with("CREATE SUBSCRIPTION ") => Some(secrets::without_connection_password(&text)),
            "COMMENT" if text.starts_with("COMMENT ON EXTENSION ") => self.extension_comment(text),
            _ => Some(text),
        }
    }

    fn alter(&self, text: String) -> Option<String> {
        if text.starts_with("ALTER DEFAULT PRIVILEGES ") {
            return Some(self.default_privileges(&text));
        }
        if text.starts_with("ALTER ROLE ") {
            return Some(self.replace_role_after(&text, "ROLE"));
        }
        let found = tokens(&text);
        let [.., owner, to, role, Placed { token: Token::Punctuation(b';'), .. }] = found.as_slice() else {
            return Some(text);
        };
        let Some(range) = role.range().filter(|_| owner.is_word(&text, "OWNER") && to.is_word(&text, "TO")) else {
            return Some(text);
        };
        if text.starts_with("ALTER DATABASE ") {
            return None;
        }
        if !self.is_own(&text[range.clone()]) {
            return Some(text);
        }
        // Every database has this schema, owned by a role of its own: that it was taken over must be said.
        text.starts_with("ALTER SCHEMA public OWNER").then(|| splice(&text, &[(range, LOADER.to_owned())]))
    }

    /// `ALTER DEFAULT PRIVILEGES FOR ROLE own IN SCHEMA s GRANT … TO role`.
    fn default_privileges(&self, text: &str) -> String {
        let found = tokens(text);
        let mut changes = Vec::new();
        if let [_, _, _, for_, role_, role, next, ..] = found.as_slice()
            && for_.is_word(text, "FOR")
            && role_.is_word(text, "ROLE")
            && let (Some(start), Some(name), Some(end)) = (for_.range(), role.range(), next.range())
            && self.is_own(&text[name])
        {
            changes.push((start.start..end.start, String::new()));
        }
        changes.extend(self.grantee(text, &found));
        splice(text, &changes)
    }

    fn grant(&self, text: &str) -> String {
        splice(text, &self.grantee(text, &tokens(text)).into_iter().collect::<Vec<_>>())
    }

    /// Where a GRANT or REVOKE names an own role: after its last TO or FROM outside parentheses.
    fn grantee(&self, text: &str, found: &[Placed]) -> Option<(Range<usize>, String)> {
        let at = found.iter().rposition(|t| t.depth == 0 && (t.is_word(text, "TO") || t.is_word(text, "FROM")))?;
        let range = found.get(at + 1)?.range()?;
        self.is_own(&text[range.clone()]).then(|| (range, LOADER.to_owned()))
    }

    /// Role lists of policies come in the order in which the roles were created: sort them.
    fn policy(&self, text: &str) -> String {
        let found = tokens(text);
        let Some(to) = found.iter().position(|t| t.depth == 0 && t.is_word(text, "TO")) else {
            return text.to_owned();
        };
        let mut list: Vec<Range<usize>> = Vec::new();
        for pair in found[to + 1..].chunks(2) {
            list.extend(pair[0].range());
            if pair.get(1).is_none_or(|next| next.token != Token::Punctuation(b',')) {
                break;
            }
        }
        let (Some(first), Some(last)) = (list.first(), list.last()) else { return text.to_owned() };
        let mut roles: Vec<String> = list
            .iter()
            .map(|r| if self.is_own(&text[r.clone()]) { LOADER.to_owned() } else { text[r.clone()].to_owned() })
            .collect();
        roles.sort();
        roles.dedup();
        splice(text, &[(first.start..last.end, roles.join(", "))])
    }

    fn replace_role_after(&self, text: &str, word: &str) -> String {
        let found = tokens(text);
        let role = found.iter().position(|t| t.is_word(text, word)).and_then(|at| found.get(at + 1)?.range());
        match role {
            Some(range) if self.is_own(&text[range.clone()]) => splice(text, &[(range, LOADER.to_owned())]),
            _ => text.to_owned(),
        }
    }

    fn extension_comment(&self, text: String) -> Option<String> {
        let found = tokens(&text);
        let name = found.get(3).and_then(Placed::range).map(|r| unquote(&text[r]))?;
        let comment = found.get(5).and_then(Placed::range).and_then(|r| literal_value(&text[r]))?;
        (self.extension_comments.get(&name) != Some(&comment)).then_some(text)
    }

    /// A baseline loads into a database of any name: statements that name it are built when they run.
    fn speak_of_current_database(&self, entry: &mut Entry) {
        let Some(database) = &self.database else { return };
        if entry.name != "DATABASE" || entry.schema.is_some() {
            return;
        }
        for part in &mut entry.parts {
            let Part::Statement(text) = part else { continue };
            let found = tokens(text);
            let name = found.iter().position(|t| t.is_word(text, "DATABASE")).and_then(|at| found.get(at + 1)?.range());
            if let Some(range) = name.filter(|r| unquote(&text[r.clone()]) == *database) {
                let (front, back) = (&text[..range.start], text[range.end..].trim_end_matches(';'));
                let format = format!("{}%I{}", front.replace('%', "%%"), back.replace('%', "%%"));
                let run = format!("EXECUTE pg_catalog.format({}, pg_catalog.current_database());", literal(&format));
                *text = super::roles::anonymous_block(&run);
            }
        }
    }
}

#[cfg(test)]
#[path = "normalise_tests.rs"]
mod tests;
