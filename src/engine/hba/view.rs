//! What a server makes of its access file: `pg_hba_file_rules`, which reads the file anew each time it is asked.

use std::collections::BTreeMap;

use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::model::hba::lines::{Line, Token, lines};
use crate::model::hba::{Address, Files, Kind, Name, Parsed, Refusal, Rule, discreet};

/// Reads the view. `folder` is where the file lies on the server, `files` what lies there, as far as that is known.
///
/// # Errors
/// The role may not read the view, or the server cannot read its file.
pub(super) async fn read(session: &Session, folder: &str, files: &Files) -> Result<Parsed> {
    let version = session.server_version();
    let file = if version >= 16 { "file_name" } else { "NULL" };
    let sql = format!(
        "SELECT {file}, line_number, type, pg_catalog.array_to_json(database), pg_catalog.array_to_json(user_name), address, \
         netmask, auth_method, pg_catalog.array_to_json(options), error FROM pg_catalog.pg_hba_file_rules"
    );
    let rows = session.query_rows(&sql).await.map_err(may_not_read)?;
    let texts: BTreeMap<String, Vec<Line>> =
        files.texts.iter().map(|(path, text)| (files.path(path), lines(text))).collect();
    let mut parsed = Parsed { version, ..Parsed::default() };
    for row in rows {
        let row = Row { row, folder, files, texts: &texts, version };
        if let Some(message) = row.text(9) {
            let (path, line) = (row.path(), row.line());
            let message = row.own_paths(&message);
            parsed.refusals.push(Refusal { path, line, message, harmless: row.text(2).is_some() });
        }
        parsed.rules.extend(row.rule());
    }
    if parsed.rules.is_empty() && parsed.refusals.is_empty() {
        // The view does not say so; only the server's log does, when it is too late.
        let message = "it holds no rule: a running server keeps those that it has, and none starts with it".to_owned();
        parsed.refusals.push(Refusal { path: files.main.clone(), line: 0, message, harmless: false });
    }
    Ok(parsed)
}

fn may_not_read(error: Error) -> Error {
    let failed = Error::failed("cannot read the rules of the server's access file");
    let failed = error.causes().iter().fold(failed, |failed, cause| failed.cause(cause));
    if error.code() != Some("42501") {
        return failed;
    }
    failed
        .help("a superuser reads the rules of a server, and lets others do so, in this database:")
        .help("GRANT SELECT ON pg_catalog.pg_hba_file_rules TO ROLE; GRANT EXECUTE ON FUNCTION pg_catalog.pg_hba_file_rules() TO ROLE;")
}

struct Row<'a> {
    row: Vec<Option<String>>,
    folder: &'a str,
    files: &'a Files,
    texts: &'a BTreeMap<String, Vec<Line>>,
    version: u32,
}

impl Row<'_> {
    fn text(&self, i: usize) -> Option<String> {
        self.row.get(i).cloned().flatten()
    }

    fn line(&self) -> usize {
        self.text(1).and_then(|line| line.parse().ok()).unwrap_or(0)
    }

    fn list(&self, i: usize) -> Vec<String> {
        self.text(i).and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default()
    }

    fn path(&self) -> String {
        match self.text(0) {
            None => self.files.main.clone(),
            Some(path) => self.own_paths(&path),
        }
    }

    /// The server's folder is nobody's concern: messages speak of the files as the user knows them.
    fn own_paths(&self, text: &str) -> String {
        let own = self.files.path("");
        if self.folder.is_empty() { text.to_owned() } else { text.replace(&format!("{}/", self.folder), &own) }
    }

    fn rule(&self) -> Option<Rule> {
        let kind = Kind::parse(&self.text(2)?)?;
        let (path, line) = (self.path(), self.line());
        let fields = self.texts.get(&path).and_then(|lines| lines.iter().find(|l| l.number == line));
        let fields = fields.map_or(&[][..], |line| &line.fields[..]);
        let names = |i: usize, field: usize, read: fn(&str, bool, u32) -> Name| {
            let texts = self.list(i);
            let written = fields.get(field).map_or(&[][..], |tokens| &tokens[..]);
            let known = same(&texts, written);
            let quoted = |at: usize| known && written.get(at).is_some_and(|token| token.quoted);
            texts.iter().enumerate().map(|(at, text)| read(text, quoted(at), self.version)).collect::<Vec<_>>()
        };
        let (databases, users) = (names(3, 1, Name::database), names(4, 2, Name::user));
        let (address, mask, method) = (self.text(5), self.text(6), self.text(7).unwrap_or_default());
        let options = self.list(8);
        let address = address.map(|address| Address::of_view(&address, mask.as_deref()));
        let place = address.as_ref().map_or_else(String::new, |address| format!(" {address}"));
        let head = format!("{} {} {}{place} {method}", kind.as_str(), self.list(3).join(","), self.list(4).join(","));
        let with = |options: Vec<String>| options.iter().fold(head.clone(), |all, option| format!("{all} {option}"));
        let (shown, key) = (with(options.iter().map(|option| discreet(option)).collect()), with(options.clone()));
        Some(Rule { path, line, kind, databases, users, address, method, options, shown, key })
    }
}

/// Whether a field's words are those that the server took: where another file stands for some of them they are not.
fn same(texts: &[String], tokens: &[Token]) -> bool {
    texts.len() == tokens.len() && texts.iter().zip(tokens).all(|(text, token)| *text == token.text)
}
