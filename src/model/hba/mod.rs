//! Host-based access: rules as a real server understood them, what they decide, and what is dangerous about them.
//!
//! The rules come from a server's `pg_hba_file_rules`; no file is parsed here to find out what it means. Which file counts,
//! and how a server is asked, is the engine's business.

mod accepted;
mod address;
mod danger;
mod difference;
mod files;
mod first;
mod hidden;
pub mod lines;
mod members;
mod method;

pub use accepted::{Accepted, accepted};
pub use address::Address;
pub use danger::{Code, Finding, Level, findings};
pub use difference::{RuleChange, discreet, rule_changes, unified};
pub use files::{Files, gather, of_environment};
pub use first::{Attempt, First, Known, Peer, first};
pub use members::members;
pub use method::{METHODS, Method, known_method};

/// What kind of connection a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A unix socket.
    Local,
    /// TCP, in whatever form.
    Host,
    /// TCP with TLS.
    HostSsl,
    /// TCP without TLS.
    HostNoSsl,
    /// TCP with GSSAPI encryption.
    HostGss,
    /// TCP without GSSAPI encryption.
    HostNoGss,
}

impl Kind {
    const NAMES: [(Kind, &'static str); 6] = [
        (Kind::Local, "local"),
        (Kind::Host, "host"),
        (Kind::HostSsl, "hostssl"),
        (Kind::HostNoSsl, "hostnossl"),
        (Kind::HostGss, "hostgssenc"),
        (Kind::HostNoGss, "hostnogssenc"),
    ];

    /// The word of the file.
    pub fn as_str(self) -> &'static str {
        Kind::NAMES.iter().find(|(kind, _)| *kind == self).map_or("host", |(_, name)| name)
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Kind> {
        Kind::NAMES.iter().find(|(_, name)| *name == text).map(|(kind, _)| *kind)
    }

    /// The ways of connecting that it is about.
    fn wires(self) -> u8 {
        match self {
            Kind::Local => wire::SOCKET,
            Kind::Host => wire::TLS | wire::PLAIN | wire::GSS,
            Kind::HostSsl => wire::TLS,
            Kind::HostNoSsl => wire::PLAIN | wire::GSS,
            Kind::HostGss => wire::GSS,
            Kind::HostNoGss => wire::TLS | wire::PLAIN,
        }
    }
}

/// The ways of connecting, of which each connection uses one.
mod wire {
    pub const SOCKET: u8 = 1;
    pub const TLS: u8 = 2;
    pub const PLAIN: u8 = 4;
    pub const GSS: u8 = 8;
    pub const ALL: [u8; 4] = [SOCKET, TLS, PLAIN, GSS];
}

/// A database or user as a rule names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// `all`
    All,
    /// `sameuser`
    SameUser,
    /// `samerole`, `samegroup`
    SameRole,
    /// `replication`: physical replication, which names no database.
    Replication,
    /// `+name`: members of a role, however indirectly.
    Members(String),
    /// `/pattern`, from PostgreSQL 16 on.
    Pattern(String),
    /// A name.
    Plain(String),
}

impl Name {
    /// Reads a database; `quoted` names are no keywords.
    pub fn database(text: &str, quoted: bool, version: u32) -> Name {
        match text {
            "all" if !quoted => Name::All,
            "sameuser" if !quoted => Name::SameUser,
            "samerole" | "samegroup" if !quoted => Name::SameRole,
            "replication" if !quoted => Name::Replication,
            _ => Name::pattern_or_plain(text, version),
        }
    }

    /// Reads a user.
    pub fn user(text: &str, quoted: bool, version: u32) -> Name {
        match text.strip_prefix('+') {
            Some(group) if !quoted => Name::Members(group.to_owned()),
            _ if text == "all" && !quoted => Name::All,
            _ => Name::pattern_or_plain(text, version),
        }
    }

    fn pattern_or_plain(text: &str, version: u32) -> Name {
        match text.strip_prefix('/') {
            Some(pattern) if version >= 16 => Name::Pattern(pattern.to_owned()),
            _ => Name::Plain(text.to_owned()),
        }
    }
}

/// A line that a server understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The file, as the user knows it.
    pub path: String,
    /// Its line.
    pub line: usize,
    /// What kind of connection it is about.
    pub kind: Kind,
    /// The databases, as read.
    pub databases: Vec<Name>,
    /// The users, as read.
    pub users: Vec<Name>,
    /// Where connections come from; none for a socket.
    pub address: Option<Address>,
    /// The method.
    pub method: String,
    /// `name=value` of the method, as the server shows them.
    pub options: Vec<String>,
    /// The whole rule on one line, without secrets.
    pub shown: String,
    /// The same with them, for comparing: it is never printed.
    pub key: String,
}

impl Rule {
    /// `db/pg_hba.conf:7`
    pub fn place(&self) -> String {
        format!("{}:{}", self.path, self.line)
    }
}

/// A line that a server refused, or that it took with a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The file, as the user knows it.
    pub path: String,
    /// Its line; 0 where only the file is known.
    pub line: usize,
    /// The server's words.
    pub message: String,
    /// The server reads the file all the same: the line only never fits.
    pub harmless: bool,
}

/// A file as a server understood it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The rules in the order in which they are tried.
    pub rules: Vec<Rule>,
    /// What it refused.
    pub refusals: Vec<Refusal>,
    /// The server's major version.
    pub version: u32,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A rule of a line of plain words, for tests of what needs no server.
    pub(crate) fn rule(number: usize, line: &str) -> Rule {
        let parsed = lines::lines(line).remove(0);
        let text = |i: usize| parsed.fields[i][0].text.clone();
        let kind = Kind::parse(&text(0)).unwrap();
        let names = |i: usize, read: fn(&str, bool, u32) -> Name| {
            parsed.fields[i].iter().map(|token| read(&token.text, token.quoted, 16)).collect::<Vec<_>>()
        };
        let address = (kind != Kind::Local).then(|| Address::of_file(&text(3)));
        let method = text(if kind == Kind::Local { 3 } else { 4 });
        Rule {
            path: "db/pg_hba.conf".to_owned(),
            line: number,
            kind,
            databases: names(1, Name::database),
            users: names(2, Name::user),
            address,
            method,
            options: Vec::new(),
            shown: line.to_owned(),
            key: line.to_owned(),
        }
    }

    pub(crate) fn rules(text: &str) -> Vec<Rule> {
        text.lines().enumerate().map(|(at, line)| rule(at + 1, line)).collect()
    }
}
