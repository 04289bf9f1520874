//! The two forms of a connection string, taken apart into parameters.
//!
//! A message never repeats any of the string but a known keyword: what looks like an unknown parameter may be the
//! second half of a password with a space or a question mark in it.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use super::keyword::{self, KEYWORDS};
use super::value::Secret;
use crate::error::{Error, Result};

const SCHEMES: [&str; 2] = ["postgresql://", "postgres://"];

/// What one source (a string, a service) says, by libpq's keyword.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters(BTreeMap<&'static str, Secret>);

impl Parameters {
    /// Takes a URL or a `key=value` string apart, as libpq does.
    pub fn parse(text: &str) -> Result<Parameters> {
        let text = text.trim();
        match SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)) {
            Some(rest) => parse_url(rest),
            None if text.contains("://") && !text.contains('=') => {
                Err(fault("it has the form of a URL, but not of PostgreSQL's", None))
            }
            None => parse_pairs(text),
        }
    }

    /// The value of a keyword, unless it is empty.
    pub fn get(&self, keyword: &str) -> Option<&str> {
        self.0.get(keyword).map(Secret::expose).filter(|value| !value.is_empty())
    }

    /// Whether a password stands in it.
    pub fn has_secret(&self) -> bool {
        self.get("password").is_some() || self.get("sslpassword").is_some()
    }

    pub(super) fn insert(&mut self, name: &str, value: impl Into<String>) -> Result<()> {
        let Some(known) = keyword::find(name) else {
            return Err(unknown(name));
        };
        self.0.insert(known.name, Secret::new(value));
        Ok(())
    }
}

fn fault(why: &str, help: Option<&str>) -> Error {
    Error::usage("the connection string is malformed").cause(why).help(
        help.unwrap_or(
            "it reads postgresql://USER@HOST:PORT/DATABASE, or host=HOST port=PORT dbname=DATABASE user=USER.",
        ),
    )
}

fn unknown(name: &str) -> Error {
    let near = KEYWORDS
        .iter()
        .map(|known| (strsim::jaro_winkler(&name.to_lowercase(), known.name), known.name))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(similarity, _)| *similarity >= 0.85);
    let help = match near {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None => "a password with special characters must be percent-encoded in a URL and quoted in key=value form."
            .to_owned(),
    };
    fault("it has a parameter that libpq does not know", Some(&help))
}

fn parse_url(rest: &str) -> Result<Parameters> {
    let mut parameters = Parameters::default();
    // As libpq: the credentials end at the first @ that comes before any slash.
    let rest = match rest.find(['@', '/']) {
        Some(end) if rest[end..].starts_with('@') => {
            let (user, password) = rest[..end].split_once(':').unwrap_or((&rest[..end], ""));
            store(&mut parameters, "user", user)?;
            store(&mut parameters, "password", password)?;
            &rest[end + 1..]
        }
        _ => rest,
    };
    let end = end_of_hosts(rest)?;
    let (hosts, ports) = hosts(&rest[..end])?;
    store(&mut parameters, "host", &hosts)?;
    store(&mut parameters, "port", &ports)?;
    let (database, query) = match rest[end..].split_once('?') {
        Some((database, query)) => (database, Some(query)),
        None => (&rest[end..], None),
    };
    store(&mut parameters, "dbname", database.strip_prefix('/').unwrap_or(database))?;
    for pair in query.unwrap_or("").split('&').filter(|pair| !pair.is_empty()) {
        let Some((name, value)) = pair.split_once('=').filter(|(_, value)| !value.contains('=')) else {
            return Err(fault("a parameter after `?` is not of the form name=value", None));
        };
        let name = decode(name)?;
        // JDBC's spelling, which libpq translates too.
        if name == "ssl" && value == "true" {
            parameters.insert("sslmode", "require")?;
        } else {
            parameters.insert(&name, decode(value)?)?;
        }
    }
    Ok(parameters)
}

fn store(parameters: &mut Parameters, name: &str, encoded: &str) -> Result<()> {
    if encoded.is_empty() { Ok(()) } else { parameters.insert(name, decode(encoded)?) }
}

/// Where the list of hosts ends; a colon or slash inside brackets belongs to an IPv6 address.
fn end_of_hosts(rest: &str) -> Result<usize> {
    let mut inside = false;
    for (at, c) in rest.char_indices() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            '/' | '?' if !inside => return Ok(at),
            _ => {}
        }
    }
    if inside { Err(fault("the bracket of an IPv6 address is not closed", None)) } else { Ok(rest.len()) }
}

/// Splits `a:1,[::1]:2` into `a,::1` and `1,2`.
fn hosts(list: &str) -> Result<(String, String)> {
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for part in list.split(',') {
        let (host, port) = if let Some(bracketed) = part.strip_prefix('[') {
            let (address, after) =
                bracketed.split_once(']').ok_or_else(|| fault("the bracket of an IPv6 address is not closed", None))?;
            if address.is_empty() {
                return Err(fault("the IPv6 address in brackets is empty", None));
            }
            match (after.is_empty(), after.strip_prefix(':')) {
                (true, _) => (address, ""),
                (_, Some(port)) => (address, port),
                _ => return Err(fault("only a port can follow the brackets of an IPv6 address", None)),
            }
        } else {
            part.split_once(':').unwrap_or((part, ""))
        };
        hosts.push(host);
        ports.push(port);
    }
    let joined = |parts: &[&str]| if parts.iter().all(|p| p.is_empty()) { String::new() } else { parts.join(",") };
    Ok((joined(&hosts), joined(&ports)))
}

fn decode(text: &str) -> Result<String> {
    let encoded = |at: usize| text.get(at + 1..at + 3).is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    if text.match_indices('%').any(|(at, _)| !encoded(at)) {
        let help = "a `%` itself is written %25 there; so are other special characters: @ is %40, : is %3A, / is %2F.";
        return Err(fault("a `%` is not followed by two hexadecimal digits", Some(help)));
    }
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| fault("it is not UTF-8 when decoded", None))?;
    if decoded.contains('\0') {
        return Err(fault("it holds a zero byte (%00)", None));
    }
    Ok(decoded.into_owned())
}

fn parse_pairs(text: &str) -> Result<Parameters> {
    let mut parameters = Parameters::default();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none() {
            return Ok(parameters);
        }
        let mut name = String::new();
        while let Some(c) = chars.next_if(|c| !c.is_whitespace() && *c != '=') {
            name.push(c);
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.next() != Some('=') {
            return Err(fault("there is a word with the `=` missing after it", None));
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let quoted = chars.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        let mut closed = !quoted;
        while let Some(c) = chars.next_if(|c| quoted || !c.is_whitespace()) {
            match c {
                '\\' => value.extend(chars.next()),
                '\'' if quoted => {
                    closed = true;
                    break;
                }
                _ => value.push(c),
            }
        }
        if !closed {
            return Err(fault("a quoted value is not closed", None));
        }
        parameters.insert(&name, value)?;
    }
}
