//! `db/access.toml`: who is expected to get in, from where and how, or to be refused.
//!
//! It holds no addresses of servers and no passwords. Whether the access file fulfils it, `engine::hba` finds out.

use serde::Deserialize;
use toml::Spanned;

use crate::error::{Error, Location, Result};
use crate::model::config::{at_span, nearest, toml_fault};
use crate::model::hba::{Attempt, METHODS, Peer, known_method};

/// One expectation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// Its line in the file.
    pub line: usize,
    /// Everything that it says of one and the same: with TLS and without, where it does not say which.
    pub attempts: Vec<Attempt>,
    /// The method that is expected; none where a refusal is.
    pub method: Option<String>,
    /// The environments that it holds in; empty for all.
    pub environments: Vec<String>,
}

impl Expectation {
    /// Whether it holds in an environment; without one, only what holds everywhere does.
    pub fn holds_in(&self, environment: Option<&str>) -> bool {
        self.environments.is_empty() || environment.is_some_and(|name| self.environments.iter().any(|one| one == name))
    }

    /// "refused", or the method.
    pub fn wanted(&self) -> String {
        self.method.as_ref().map_or_else(|| "refused".to_owned(), |method| format!("`{method}`"))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    expect: Vec<Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    user: String,
    database: Option<String>,
    #[serde(default)]
    replication: bool,
    address: String,
    tls: Option<bool>,
    method: Option<String>,
    #[serde(default)]
    refused: bool,
    #[serde(default)]
    environments: Vec<String>,
}

/// Reads the file; `known` are the environments of the configuration. Every fault is a usage error with its place.
pub fn parse(text: &str, path: &str, known: &[&str]) -> Result<Vec<Expectation>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let file: File = toml::from_str(text).map_err(|error| toml_fault(&error, text, path))?;
    let (mut expectations, mut faults) = (Vec::new(), Vec::new());
    for entry in file.expect {
        let at = at_span(text, path, &entry.span());
        match read(entry.into_inner(), at.line, known) {
            Ok(expectation) => expectations.push(expectation),
            Err((message, help)) => faults.push(Error::usage(message).at(Location { column: 0, ..at }).help(help)),
        }
    }
    Error::all(faults).map_or(Ok(expectations), Err)
}

fn read(entry: Entry, line: usize, known: &[&str]) -> std::result::Result<Expectation, (String, String)> {
    let wrong = |message: &str, help: &str| Err((message.to_owned(), help.to_owned()));
    if entry.user.is_empty() || entry.database.as_deref() == Some("") {
        return wrong("an expectation is about a user and a database by name", "give the name.");
    }
    let method = match (entry.method, entry.refused) {
        (Some(method), false) if method == "reject" => {
            return wrong("nobody is expected to get in by `reject`", "write `refused = true`.");
        }
        (Some(method), false) if known_method(&method).is_none() => {
            let known = METHODS.iter().map(|method| method.name);
            let near = nearest(&method, known).map_or_else(String::new, |near| format!("did you mean `{near}`? "));
            let message = format!("PostgreSQL has no method `{}`", method.escape_debug());
            return wrong(&message, &format!("{near}Write it as in pg_hba.conf."));
        }
        (Some(method), false) => Some(method),
        (None, true) => None,
        _ => return wrong("an expectation has a method or a refusal", "write `method = \"…\"` or `refused = true`."),
    };
    let database = match (entry.database, entry.replication) {
        (Some(database), false) => Some(database),
        (None, true) => None,
        _ => {
            let help = "write `database = \"…\"`, or `replication = true` for physical replication.";
            return wrong("an expectation has a database or is about replication", help);
        }
    };
    let peers = match (entry.address.as_str(), entry.address.parse(), entry.tls) {
        ("local", _, None) => vec![Peer::Local],
        ("local", _, Some(_)) => {
            return wrong("a unix socket has no TLS", "leave `tls` out where the address is local.");
        }
        (_, Ok(address), Some(tls)) => vec![Peer::Tcp { address, tls }],
        (_, Ok(address), None) => [true, false].map(|tls| Peer::Tcp { address, tls }).to_vec(),
        (other, Err(_), _) => {
            let message = format!("`{}` is not an address", other.escape_debug());
            return wrong(
                &message,
                "write one address such as \"10.1.2.3\" or \"::1\", or \"local\" for the unix socket.",
            );
        }
    };
    if let Some(name) = entry.environments.iter().find(|name| !known.contains(&name.as_str())) {
        let message = format!("there is no environment `{}` in the configuration", name.escape_debug());
        return wrong(&message, &format!("known are: {}.", known.join(", ")));
    }
    let user = entry.user;
    let attempts = peers.into_iter().map(|peer| Attempt { user: user.clone(), database: database.clone(), peer });
    Ok(Expectation { line, attempts: attempts.collect(), method, environments: entry.environments })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_are_read() {
        let text = "# who\n[[expect]]\nuser = \"app\"\ndatabase = \"shop\"\naddress = \"10.1.2.3\"\nmethod = \"scram-sha-256\"\n\n\
                    [[expect]]\nuser = \"r\"\nreplication = true\naddress = \"local\"\nrefused = true\nenvironments = [\"production\"]\n";
        let read = parse(text, "db/access.toml", &["production"]).unwrap();
        assert_eq!((read[0].line, read[1].line), (2, 8));
        assert_eq!(read[0].attempts.len(), 2, "with TLS and without");
        assert_eq!(read[1].attempts, [Attempt { user: "r".to_owned(), database: None, peer: Peer::Local }]);
        assert!(read[0].holds_in(None) && !read[1].holds_in(None) && read[1].holds_in(Some("production")));
        assert_eq!((read[0].wanted().as_str(), read[1].wanted().as_str()), ("`scram-sha-256`", "refused"));
        assert_eq!(parse("", "db/access.toml", &[]).unwrap(), []);
    }

    #[test]
    fn faults_carry_their_place() {
        let one = |more: &str| format!("[[expect]]\nuser = \"a\"\n{more}\n");
        for (text, says) in [
            ("[[expect]]\nuser = \"a\"\nadress = \"local\"\n".to_owned(), "unknown key `adress` at db/access.toml:3:1"),
            ("[[expct]]\n".to_owned(), "unknown key `expct` at db/access.toml:1:3"),
            (one("database = \"d\"\naddress = \"local\""), "has a method or a refusal at db/access.toml:1"),
            (one("address = \"local\"\nrefused = true"), "has a database or is about replication"),
            (one("database = \"d\"\naddress = \"local\"\ntls = true\nrefused = true"), "a unix socket has no TLS"),
            (one("database = \"d\"\naddress = \"10.0.0.0/8\"\nrefused = true"), "`10.0.0.0/8` is not an address"),
            (one("database = \"d\"\naddress = \"::1\"\nrefused = true\nenvironments = [\"x\"]"), "no environment `x`"),
            (one("database = \"\"\naddress = \"::1\"\nrefused = true"), "about a user and a database by name"),
            (
                one("database = \"d\"\naddress = \"::1\"\nmethod = \"reject\""),
                "nobody is expected to get in by `reject`",
            ),
            (one("database = \"d\"\naddress = \"::1\"\nmethod = \"scram-sha256\""), "no method `scram-sha256`"),
            (one("database = 3\naddress = \"::1\"\nrefused = true"), "wrong at db/access.toml:3:12"),
        ] {
            let error = parse(&text, "db/access.toml", &["production"]).unwrap_err();
            assert!(error.to_string().contains(says), "{text}: {error}");
            assert_eq!(error.status().code(), 2);
        }
    }
}
