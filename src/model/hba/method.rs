//! What is known of PostgreSQL's methods; a server alone says which ones it takes.

/// A method of `pg_hba.conf`.
#[derive(Debug, PartialEq, Eq)]
pub struct Method {
    /// Its word.
    pub name: &'static str,
    /// The client sends a password, in whatever form.
    pub asks_password: bool,
    /// It is decided between server and client alone, without a directory, a domain or a file of the server's machine.
    pub by_server_alone: bool,
}

/// All of PostgreSQL 15 to 18.
pub const METHODS: [Method; 15] = [
    method("trust", false, true),
    method("reject", false, true),
    method("scram-sha-256", true, true),
    method("md5", true, true),
    method("password", true, true),
    method("peer", false, true),
    method("ident", false, false),
    method("cert", false, false),
    method("gss", false, false),
    method("sspi", false, false),
    method("ldap", true, false),
    method("radius", true, false),
    method("pam", true, false),
    method("bsd", true, false),
    method("oauth", true, false),
];

const fn method(name: &'static str, asks_password: bool, by_server_alone: bool) -> Method {
    Method { name, asks_password, by_server_alone }
}

/// What is known of a method by its word.
pub fn known_method(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}
