//! Turns what the TOML parser and serde say into a usage error with path, line, column and the nearest known key.

use std::ops::Range;

use crate::error::{Error, Location};

/// Two names are near when most of their letters agree; below this a suggestion confuses.
const NEAR: f64 = 0.7;

pub(crate) fn from_toml(error: &toml::de::Error, text: &str, path: &str) -> Error {
    let at = error.span().map_or_else(|| Location::file(path), |span| location(text, path, &span));
    let message = error.message();
    let names = backticked(message);
    for (prefix, what) in [("unknown field", "key"), ("unknown variant", "value")] {
        if let (true, Some((name, known))) = (message.starts_with(prefix), names.split_first()) {
            let fault = Error::usage(format!("unknown {what} `{name}`")).at(at);
            return match nearest(name, known.iter().copied()) {
                Some(near) => fault.help(format!("did you mean `{near}`? Known are: {}.", known.join(", "))),
                None if known.is_empty() => fault,
                None => fault.help(format!("known are: {}.", known.join(", "))),
            };
        }
    }
    Error::usage("the configuration is wrong").at(at).cause(without_value(message))
}

/// serde repeats the value that it did not expect, which may be a connection string with its password, and names
/// types of this program.
fn without_value(message: &str) -> String {
    let parts = message.strip_prefix("invalid type: ").and_then(|rest| rest.rsplit_once(", expected "));
    let Some((found, expected)) = parts else { return message.replace('\n', ", ") };
    let end = found.find([' ', '`', '"']).unwrap_or(found.len());
    let expected = match expected {
        _ if expected.starts_with("struct ") => "a table",
        "i64" => "a whole number",
        "a sequence" => "a list in brackets: [\"…\", \"…\"]",
        _ => expected,
    };
    format!("invalid type: {}, expected {expected}", &found[..end])
}

pub(super) fn unknown_environment<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Error {
    let known: Vec<&str> = known.map(String::as_str).collect();
    let fault = Error::usage(format!("there is no environment `{name}` in the configuration"));
    match nearest(name, known.iter().copied()) {
        Some(near) => fault.help(format!("did you mean `{near}`? Known are: {}.", known.join(", "))),
        None => fault.help(format!("known are: {}. Another one is a table [env.{name}].", known.join(", "))),
    }
}

/// The known name that a misspelt one was most likely meant to be.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::jaro_winkler(&name.to_lowercase(), candidate), candidate))
        .filter(|(similarity, _)| *similarity >= NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Line and column, in characters, of the beginning of a byte range.
pub(crate) fn location(text: &str, path: &str, span: &Range<usize>) -> Location {
    let before = text.get(..span.start).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Location::new(path, before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn backticked(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}
