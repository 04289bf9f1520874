//! The password file: `host:port:database:user:password`, `*` for anything, `\:` and `\\` for the characters themselves.
//! <https://www.postgresql.org/docs/current/libpq-pgpass.html>

use super::settings::{Host, Server};
use super::value::Secret;

/// Folders that PostgreSQL's packages use for sockets; an entry for `localhost` counts for them.
const SOCKET_FOLDERS: [&str; 3] = ["/var/run/postgresql", "/run/postgresql", "/tmp"];

/// The password of the first line that fits; lines that are comments or too short are passed over, as libpq does.
pub fn lookup(text: &str, server: &Server, database: &str, user: &str) -> Option<Secret> {
    let host = match (&server.host, server.address) {
        (Host::Unix(folder), _) if SOCKET_FOLDERS.contains(&folder.as_str()) => "localhost".to_owned(),
        (Host::Tcp(name), Some(address)) if name.is_empty() => address.to_string(),
        (host, _) => host.as_str().to_owned(),
    };
    let wanted = [host, server.port.to_string(), database.to_owned(), user.to_owned()];
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = split(line);
        let (password, keys) = fields.get(..5)?.split_last()?;
        let fits = keys.iter().zip(&wanted).all(|(key, value)| key.any || key.text == *value);
        (fits && !password.text.is_empty()).then(|| Secret::new(password.text.as_str()))
    })
}

#[derive(Default)]
struct Field {
    text: String,
    /// A lone `*` that was not escaped.
    any: bool,
}

fn split(line: &str) -> Vec<Field> {
    let mut fields = vec![Field::default()];
    let mut raw = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let Some(field) = fields.last_mut() else { break };
        match c {
            ':' => {
                field.any = raw == "*";
                raw.clear();
                fields.push(Field::default());
            }
            '\\' => {
                raw.push(c);
                // A backslash that ends the line stands for itself.
                field.text.push(chars.next().unwrap_or('\\'));
            }
            _ => {
                raw.push(c);
                field.text.push(c);
            }
        }
    }
    fields
}
