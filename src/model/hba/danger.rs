//! What is dangerous about rules, each with its remedy.
//!
//! An error is what hardly anybody means: a door without a lock, a password in clear text over a network, a rule that
//! promises what an earlier one breaks. A warning is what may be meant.

use super::hidden::hidden_by;
use super::{Accepted, Kind, Known, Rule, known_method};

/// What kind of danger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// `trust` for others than this machine.
    Trust,
    /// `0.0.0.0/0`, `::/0` or `all`.
    AnyAddress,
    /// The method `md5`.
    Md5,
    /// The method `password`.
    Password,
    /// The method `ident` over a network.
    Ident,
    /// Passwords from other machines without TLS.
    NoTls,
    /// An earlier line decides about all that this one is about.
    Hidden,
    /// A password of a directory in a file that git keeps.
    Secret,
}

impl Code {
    /// All of them.
    pub const ALL: [Code; 8] = [
        Code::Trust,
        Code::AnyAddress,
        Code::Md5,
        Code::Password,
        Code::Ident,
        Code::NoTls,
        Code::Hidden,
        Code::Secret,
    ];

    /// The word for it, which stays.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::Trust => "trust",
            Code::AnyAddress => "any-address",
            Code::Md5 => "md5",
            Code::Password => "password",
            Code::Ident => "ident",
            Code::NoTls => "no-tls",
            Code::Hidden => "hidden",
            Code::Secret => "secret",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Code> {
        Code::ALL.into_iter().find(|code| code.as_str() == text)
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Said.
    Warning,
    /// Refused.
    Error,
}

/// One danger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub path: String,
    /// The line of the rule.
    pub line: usize,
    /// What kind.
    pub code: Code,
    /// How bad.
    pub level: Level,
    /// What it is.
    pub message: String,
    /// What helps.
    pub remedy: String,
    /// Why a person accepted it.
    pub accepted: Option<String>,
}

/// Finds all dangers, in the order of the rules; a finding that was accepted carries the reason.
pub fn findings(rules: &[Rule], accepted: &[Accepted], known: &Known) -> Vec<Finding> {
    let mut found = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        let mut add = |code: Code, level: Level, message: String, remedy: String| {
            let reason = accepted
                .iter()
                .find(|one| one.path == rule.path && one.rule == rule.line && one.codes.contains(&code))
                .map(|one| one.reason.clone());
            let (path, line) = (rule.path.clone(), rule.line);
            found.push(Finding { path, line, code, level, message, remedy, accepted: reason });
        };
        of_method(rule, &mut add);
        let by = hidden_by(rules, at, known);
        if !by.is_empty() {
            hidden(rule, &by.iter().filter_map(|at| rules.get(*at)).collect::<Vec<_>>(), &mut add);
        }
    }
    found
}

type Add<'a> = dyn FnMut(Code, Level, String, String) + 'a;

fn of_method(rule: &Rule, add: &mut Add<'_>) {
    if rule.key != rule.shown {
        add(
            Code::Secret,
            Level::Warning,
            "a password stands in a file that git keeps".to_owned(),
            "use a method without one, such as ldap with `ldapprefix`; what was committed must be changed.".to_owned(),
        );
    }
    let Some(address) = &rule.address else {
        if rule.method == "password" || rule.method == "md5" {
            weak(rule, false, add);
        }
        return;
    };
    let outside = !address.is_own();
    let method = rule.method.as_str();
    if method == "trust" && outside {
        add(
            Code::Trust,
            Level::Error,
            "`trust` lets others than this machine in without a password".to_owned(),
            "write `scram-sha-256`, or narrow the address to 127.0.0.1/32 or ::1/128.".to_owned(),
        );
    }
    if address.is_anywhere() && method != "reject" {
        add(
            Code::AnyAddress,
            Level::Warning,
            "everybody who reaches the port may try".to_owned(),
            "name the network of those who need it.".to_owned(),
        );
    }
    let plain = !matches!(rule.kind, Kind::HostSsl | Kind::HostGss);
    weak(rule, outside && plain, add);
    if method == "ident" && outside {
        add(
            Code::Ident,
            Level::Warning,
            "`ident` believes whatever the client's machine says".to_owned(),
            "write `scram-sha-256`, or `cert` with hostssl.".to_owned(),
        );
    }
    if outside && plain && method != "password" && known_method(method).is_some_and(|method| method.asks_password) {
        add(
            Code::NoTls,
            Level::Warning,
            format!("`{}` lets passwords come from other machines without TLS", rule.kind.as_str()),
            "write `hostssl`.".to_owned(),
        );
    }
}

fn weak(rule: &Rule, in_clear_text_outside: bool, add: &mut Add<'_>) {
    let remedy = "write `scram-sha-256`; who has an md5 password must set it anew first.".to_owned();
    match rule.method.as_str() {
        "md5" => add(Code::Md5, Level::Warning, "`md5` is broken, and going away".to_owned(), remedy),
        "password" if in_clear_text_outside => {
            let message = "`password` sends the password in clear text over the network".to_owned();
            add(Code::Password, Level::Error, message, "write `hostssl` and `scram-sha-256`.".to_owned());
        }
        "password" => {
            let message = "`password` tells the server the password itself".to_owned();
            add(Code::Password, Level::Warning, message, "write `scram-sha-256`.".to_owned());
        }
        _ => {}
    }
}

fn hidden(rule: &Rule, by: &[&Rule], add: &mut Add<'_>) {
    let same = by.iter().all(|earlier| earlier.method == rule.method && earlier.options == rule.options);
    let lines: Vec<String> = by
        .iter()
        .map(|earlier| if earlier.path == rule.path { format!("line {}", earlier.line) } else { earlier.place() })
        .collect();
    let lines = lines.join(" and ");
    let verb = if by.len() == 1 { "decides" } else { "decide" };
    let (level, consequence) = if same {
        (Level::Warning, "with the same method".to_owned())
    } else {
        let methods: Vec<&str> = by.iter().map(|earlier| earlier.method.as_str()).collect();
        (Level::Error, format!("by `{}`, so `{}` never happens", methods.join("`, `"), rule.method))
    };
    add(
        Code::Hidden,
        level,
        format!("{lines} already {verb} about all of this, {consequence}"),
        "move it up, narrow what stands before it, or remove it.".to_owned(),
    );
}

#[cfg(test)]
mod tests {
    use super::super::tests::rules;
    use super::*;

    fn codes(text: &str) -> Vec<(usize, &'static str, Level)> {
        let found = findings(&rules(text), &[], &Known::default());
        found.iter().map(|one| (one.line, one.code.as_str(), one.level)).collect()
    }

    #[test]
    fn dangers_are_named() {
        use Level::{Error, Warning};
        type Expected = &'static [(usize, &'static str, Level)];
        let cases: &[(&str, Expected)] = &[
            ("local all all trust\nhost all all 127.0.0.1/32 trust\nhost all all ::1/128 trust", &[]),
            ("host all all 127.0.0.0/7 trust", &[(1, "trust", Error)]),
            ("host all all samenet trust", &[(1, "trust", Error)]),
            ("hostssl shop app all trust", &[(1, "trust", Error), (1, "any-address", Warning)]),
            ("hostssl shop app 0.0.0.0/0 scram-sha-256", &[(1, "any-address", Warning)]),
            ("host all all ::/0 reject", &[]),
            ("hostssl shop app 10.0.0.0/8 md5", &[(1, "md5", Warning)]),
            ("local all all md5", &[(1, "md5", Warning)]),
            ("host shop app 10.0.0.0/8 scram-sha-256", &[(1, "no-tls", Warning)]),
            ("host shop app 127.0.0.1/32 scram-sha-256", &[]),
            ("hostnossl shop app 10.0.0.0/8 password", &[(1, "password", Error)]),
            ("hostssl shop app 10.0.0.0/8 password", &[(1, "password", Warning)]),
            ("host shop app 10.0.0.0/8 ident", &[(1, "ident", Warning)]),
            ("local all all peer\nlocal all app scram-sha-256", &[(2, "hidden", Error)]),
            ("local all all peer\nlocal all app peer", &[(2, "hidden", Warning)]),
        ];
        for (text, expected) in cases {
            assert_eq!(codes(text), *expected, "{text}");
        }
    }

    #[test]
    fn what_was_accepted_carries_the_reason() {
        let rules = rules("host all all samenet trust");
        let accepted = Accepted {
            path: "db/pg_hba.conf".to_owned(),
            line: 0,
            rule: 1,
            codes: vec![Code::Trust],
            reason: "a lab".to_owned(),
        };
        let found = findings(&rules, &[accepted], &Known::default());
        assert_eq!(found[0].accepted.as_deref(), Some("a lab"));
    }
}
