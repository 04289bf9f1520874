//! The first rule that fits a connection: the one that decides, as the server's own rule is.
//!
//! What only the server can know (its networks, names of hosts, memberships that nobody declared) is said, not guessed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{Name, Rule, wire};

/// Somebody who wants to connect.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt {
    /// As whom.
    pub user: String,
    /// To which database; none for physical replication.
    pub database: Option<String>,
    /// From where.
    pub peer: Peer,
}

/// Where somebody comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// Through the unix socket.
    Local,
    /// Over TCP, with TLS or without.
    Tcp {
        /// The client's address.
        address: IpAddr,
        /// Whether with TLS.
        tls: bool,
    },
}

/// What is known beside the rules.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The roles that each declared role is a member of, however indirectly.
    pub members: BTreeMap<String, BTreeSet<String>>,
    /// What a server said about pattern and name.
    pub patterns: BTreeMap<(String, String), bool>,
}

impl Known {
    /// Whether a role is a member of another; `None` where it is not declared.
    pub(super) fn is_member(&self, role: &str, of: &str) -> Option<bool> {
        if role == of {
            return Some(true);
        }
        self.members.get(role).map(|roles| roles.contains(of))
    }

    pub(super) fn matches(&self, pattern: &str, name: &str) -> Option<bool> {
        self.patterns.get(&(pattern.to_owned(), name.to_owned())).copied()
    }
}

/// What decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum First {
    /// The rule of this position.
    Rule(usize),
    /// None fits, so the connection is refused.
    Nothing,
    /// It depends on whether the rule of this position fits, which cannot be told here.
    Unclear(usize, String),
}

enum Fit {
    Yes,
    No,
    Unclear(String),
}

/// Finds the rule that decides.
pub fn first(rules: &[Rule], attempt: &Attempt, known: &Known) -> First {
    for (at, rule) in rules.iter().enumerate() {
        let mut unclear = None;
        let mut no = false;
        for fit in [peer(rule, attempt), database(rule, attempt, known), user(rule, attempt, known)] {
            match fit {
                Fit::Yes => {}
                Fit::No => no = true,
                Fit::Unclear(why) => unclear = unclear.or(Some(why)),
            }
        }
        match (no, unclear) {
            (true, _) => {}
            (false, Some(why)) => return First::Unclear(at, why),
            (false, None) => return First::Rule(at),
        }
    }
    First::Nothing
}

fn peer(rule: &Rule, attempt: &Attempt) -> Fit {
    let (wire, address) = match attempt.peer {
        Peer::Local => (wire::SOCKET, None),
        Peer::Tcp { address, tls } => (if tls { wire::TLS } else { wire::PLAIN }, Some(address)),
    };
    if rule.kind.wires() & wire == 0 {
        return Fit::No;
    }
    match (&rule.address, address) {
        (Some(net), Some(from)) => match net.fits(from) {
            Some(true) => Fit::Yes,
            Some(false) => Fit::No,
            None => Fit::Unclear("its address means what the server's networks and name service say".to_owned()),
        },
        _ => Fit::Yes,
    }
}

fn database(rule: &Rule, attempt: &Attempt, known: &Known) -> Fit {
    any(&rule.databases, |name| {
        let Some(database) = &attempt.database else { return of(*name == Name::Replication) };
        match name {
            Name::All => Fit::Yes,
            Name::SameUser => of(*database == attempt.user),
            Name::SameRole => member(known, &attempt.user, database),
            Name::Replication | Name::Members(_) => Fit::No,
            Name::Pattern(pattern) => pattern_fits(known, pattern, database),
            Name::Plain(name) => of(name == database),
        }
    })
}

fn user(rule: &Rule, attempt: &Attempt, known: &Known) -> Fit {
    any(&rule.users, |name| match name {
        Name::All => Fit::Yes,
        Name::Members(group) => member(known, &attempt.user, group),
        Name::Pattern(pattern) => pattern_fits(known, pattern, &attempt.user),
        Name::Plain(name) => of(*name == attempt.user),
        Name::SameUser | Name::SameRole | Name::Replication => Fit::No,
    })
}

fn any(names: &[Name], fit: impl Fn(&Name) -> Fit) -> Fit {
    let mut unclear = None;
    for name in names {
        match fit(name) {
            Fit::Yes => return Fit::Yes,
            Fit::No => {}
            Fit::Unclear(why) => unclear = Some(why),
        }
    }
    unclear.map_or(Fit::No, Fit::Unclear)
}

fn of(fits: bool) -> Fit {
    if fits { Fit::Yes } else { Fit::No }
}

fn member(known: &Known, role: &str, of_role: &str) -> Fit {
    match known.is_member(role, of_role) {
        Some(is) => of(is),
        None => Fit::Unclear(format!("whether `{role}` is a member of `{of_role}` is not declared in the roles file")),
    }
}

fn pattern_fits(known: &Known, pattern: &str, name: &str) -> Fit {
    match known.matches(pattern, name) {
        Some(is) => of(is),
        None => Fit::Unclear(format!("no server was asked whether `{name}` fits /{pattern}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::rules;
    use super::*;

    fn attempt(user: &str, database: &str, from: &str, tls: bool) -> Attempt {
        let peer = match from {
            "local" => Peer::Local,
            address => Peer::Tcp { address: address.parse().unwrap(), tls },
        };
        let database = (database != "replication").then(|| database.to_owned());
        Attempt { user: user.to_owned(), database, peer }
    }

    #[test]
    fn the_first_line_that_fits_decides() {
        let rules = rules(
            "local all postgres peer\nlocal sameuser all scram-sha-256\nhostssl shop app,web 10.0.0.0/8 scram-sha-256\n\
             hostnossl all all 10.0.0.0/8 reject\nhost \"all\" all 127.0.0.1/32 trust\nhost replication standby 10.9.0.0/16 scram-sha-256\n\
             host all +admin all scram-sha-256\nhost samerole all ::1/128 md5",
        );
        let mut known = Known::default();
        known.members.insert("ada".to_owned(), BTreeSet::from(["admin".to_owned()]));
        known.members.insert("bob".to_owned(), BTreeSet::new());
        let cases = [
            ("postgres", "shop", "local", false, First::Rule(0)),
            ("ada", "ada", "local", false, First::Rule(1)),
            ("ada", "shop", "local", false, First::Nothing),
            ("app", "shop", "10.1.2.3", true, First::Rule(2)),
            ("app", "shop", "10.1.2.3", false, First::Rule(3)),
            ("app", "all", "127.0.0.1", false, First::Rule(4)),
            ("bob", "shop", "127.0.0.1", false, First::Nothing),
            ("ada", "shop", "127.0.0.1", false, First::Rule(6)),
            ("standby", "replication", "10.9.1.1", true, First::Rule(5)),
            ("ada", "replication", "192.168.0.1", true, First::Nothing),
            ("bob", "bob", "::1", true, First::Rule(7)),
        ];
        for (user, database, from, tls, expected) in cases {
            assert_eq!(
                first(&rules, &attempt(user, database, from, tls), &known),
                expected,
                "{user} {database} {from} {tls}"
            );
        }
        let unclear = first(&rules, &attempt("eve", "shop", "192.168.0.1", true), &known);
        assert!(matches!(&unclear, First::Unclear(6, why) if why.contains("`eve`")), "{unclear:?}");
    }

    #[test]
    fn what_only_a_server_knows_is_said() {
        let rules = rules("host all all samenet trust\nhost all all db.example.org md5\nhost all /^a 10.0.0.0/8 md5");
        let known = Known::default();
        assert!(matches!(first(&rules, &attempt("a", "d", "10.0.0.1", false), &known), First::Unclear(0, _)));
        assert!(matches!(first(&rules[1..], &attempt("a", "d", "10.0.0.1", false), &known), First::Unclear(0, _)));
        assert!(matches!(first(&rules[2..], &attempt("a", "d", "10.0.0.1", false), &known), First::Unclear(0, _)));
        let mut told = Known::default();
        told.patterns.insert(("^a".to_owned(), "a".to_owned()), true);
        assert_eq!(first(&rules[2..], &attempt("a", "d", "10.0.0.1", false), &told), First::Rule(0));
    }
}
