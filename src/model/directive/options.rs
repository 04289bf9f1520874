//! `key=value` options of a directive's line; a value with spaces stands in quotes, which are doubled inside.

use super::{shown, unknown};
use crate::error::{Error, Result};

/// Reads all options of a line. Each of `known` may stand once.
pub(super) fn read<'k>(directive: &str, line: &str, known: &[&'k str]) -> Result<Vec<(&'k str, String)>> {
    let mut options: Vec<(&str, String)> = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let Some(after) = after.strip_prefix('=') else {
            return Err(Error::failed(format!("`{}` is no option of `{directive}`", shown(name)))
                .help(format!("options are written `{}`", write_all(known))));
        };
        let Some(key) = known.iter().find(|key| name.eq_ignore_ascii_case(key)) else {
            return Err(unknown("option", name, known, |name| format!("{name}=")));
        };
        if options.iter().any(|(given, _)| given == key) {
            return Err(Error::failed(format!("option `{key}` is given twice")));
        }
        let (value, after) = value(after).ok_or_else(|| {
            Error::failed(format!("the value of `{key}` has no closing quote"))
                .help("a quote inside the value is written twice")
        })?;
        options.push((key, value));
        rest = after.trim_start();
    }
    Ok(options)
}

fn write_all(known: &[&str]) -> String {
    known.iter().map(|key| format!("{key}=…")).collect::<Vec<_>>().join(" ")
}

/// A value, and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '\'' | '"')) else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut out = String::new();
    let mut rest = &text[1..];
    loop {
        let at = rest.find(quote)?;
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.strip_prefix(quote) {
            Some(after) => {
                out.push(quote);
                rest = after;
            }
            None => return Some((out, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_be_quoted() {
        let read = |line| read("x", line, &["a", "b"]).map_err(|e| e.to_string());
        assert_eq!(read("a=1  B='it''s \"x\"'").unwrap(), [("a", "1".to_owned()), ("b", "it's \"x\"".to_owned())]);
        assert_eq!(read("a=\"\"").unwrap(), [("a", String::new())]);
        assert_eq!(read("a='x").unwrap_err(), "the value of `a` has no closing quote");
        assert_eq!(read("a=1 a=2").unwrap_err(), "option `a` is given twice");
        assert_eq!(read("c=1").unwrap_err(), "unknown option `c`");
        assert_eq!(read("a").unwrap_err(), "`a` is no option of `x`");
    }
}
