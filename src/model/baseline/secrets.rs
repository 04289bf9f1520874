//! Passwords that `pg_dump` writes into definitions (user mappings, subscriptions): they never reach a baseline.

use super::names::{Placed, literal_value, splice, tokens};
use super::rows::split_list;
use crate::model::sql::literal;

/// `CREATE USER MAPPING … OPTIONS (…)` without its `password` options.
pub(super) fn without_password_option(text: &str) -> String {
    let Some((front, list)) = text.split_once(" OPTIONS (") else { return text.to_owned() };
    let Some(list) = list.strip_suffix(");") else { return text.to_owned() };
    let options = split_list(list);
    let kept: Vec<&String> = options.iter().filter(|option| !is_secret(option)).collect();
    if kept.len() == options.len() {
        return text.to_owned();
    }
    if kept.is_empty() {
        return format!("{front};");
    }
    let lines: Vec<String> = kept.iter().map(|option| format!("    {option}")).collect();
    format!("{front} OPTIONS (\n{}\n);", lines.join(",\n"))
}

fn is_secret(option: &str) -> bool {
    let name = option.split_ascii_whitespace().next().unwrap_or_default().trim_matches('"').to_ascii_lowercase();
    name.contains("password") && name != "password_required"
}

/// `CREATE SUBSCRIPTION … CONNECTION '…'` without the password in its connection string.
pub(super) fn without_connection_password(text: &str) -> String {
    let found = tokens(text);
    let connection = found.iter().position(|t| t.is_word(text, "CONNECTION"));
    let Some(range) = connection.and_then(|at| found.get(at + 1)).and_then(Placed::range) else {
        return text.to_owned();
    };
    match literal_value(&text[range.clone()]) {
        Some(value) => splice(text, &[(range, literal(&without_password_keyword(&value)))]),
        None => text.to_owned(),
    }
}

/// A libpq connection string or URL without its password.
fn without_password_keyword(conninfo: &str) -> String {
    if let Some((scheme, rest)) = conninfo.split_once("://") {
        let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let authority = match authority.rsplit_once('@') {
            Some((user, host)) => format!("{}@{host}", user.split_once(':').map_or(user, |(user, _)| user)),
            None => authority.to_owned(),
        };
        return format!("{scheme}://{authority}{tail}");
    }
    let mut out = conninfo.to_owned();
    while let Some(at) = password_at(&out) {
        let value = at + out[at..].find('=').map_or(0, |n| n + 1);
        let start = value + (out[value..].len() - out[value..].trim_start().len());
        let end = start + value_length(&out[start..]);
        out.replace_range(at..end, "");
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn password_at(conninfo: &str) -> Option<usize> {
    conninfo.match_indices("password").map(|(at, _)| at).find(|&at| {
        let starts = at == 0 || conninfo[..at].ends_with(char::is_whitespace);
        starts && conninfo[at + "password".len()..].trim_start().starts_with('=')
    })
}

fn value_length(rest: &str) -> usize {
    let quoted = rest.starts_with('\'');
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(usize::from(quoted)) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\'' if quoted => return at + 1,
            c if !quoted && c.is_whitespace() => return at,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_mappings_lose_their_password() {
        let text = "CREATE USER MAPPING FOR bob SERVER s OPTIONS (\n    password 'x, y',\n    \"user\" 'u'\n);";
        assert_eq!(
            without_password_option(text),
            "CREATE USER MAPPING FOR bob SERVER s OPTIONS (\n    \"user\" 'u'\n);"
        );
        let only = "CREATE USER MAPPING FOR bob SERVER s OPTIONS (\n    password 'x'\n);";
        assert_eq!(without_password_option(only), "CREATE USER MAPPING FOR bob SERVER s;");
    }

    #[test]
    fn subscriptions_lose_their_password() {
        let text = "CREATE SUBSCRIPTION s CONNECTION 'host=h password = ''a b'' user=u' PUBLICATION p;";
        assert_eq!(
            without_connection_password(text),
            "CREATE SUBSCRIPTION s CONNECTION 'host=h user=u' PUBLICATION p;"
        );
        assert_eq!(without_password_keyword("postgresql://u:p@h/d?x=1"), "postgresql://u@h/d?x=1");
    }
}
