//! libpq's parameter keywords, the environment variable of each, and what dbbuild does with them.

/// What happens to a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Support {
    /// It is honoured.
    Used,
    /// It changes nothing that dbbuild does.
    Ignored,
    /// Ignoring it would weaken what the user asked for, so it is refused.
    Refused,
}

#[derive(Debug)]
pub(super) struct Keyword {
    pub(super) name: &'static str,
    pub(super) variable: Option<&'static str>,
    pub(super) support: Support,
}

const fn used(name: &'static str, variable: &'static str) -> Keyword {
    Keyword { name, variable: Some(variable), support: Support::Used }
}

const fn other(name: &'static str, variable: Option<&'static str>, support: Support) -> Keyword {
    Keyword { name, variable, support }
}

pub(super) static KEYWORDS: &[Keyword] = &[
    used("service", "PGSERVICE"),
    other("servicefile", Some("PGSERVICEFILE"), Support::Used),
    used("user", "PGUSER"),
    used("password", "PGPASSWORD"),
    used("passfile", "PGPASSFILE"),
    used("dbname", "PGDATABASE"),
    used("host", "PGHOST"),
    used("hostaddr", "PGHOSTADDR"),
    used("port", "PGPORT"),
    used("options", "PGOPTIONS"),
    used("application_name", "PGAPPNAME"),
    used("connect_timeout", "PGCONNECT_TIMEOUT"),
    used("channel_binding", "PGCHANNELBINDING"),
    used("sslmode", "PGSSLMODE"),
    used("sslcert", "PGSSLCERT"),
    used("sslkey", "PGSSLKEY"),
    used("sslrootcert", "PGSSLROOTCERT"),
    used("target_session_attrs", "PGTARGETSESSIONATTRS"),
    other("keepalives", None, Support::Used),
    other("keepalives_idle", None, Support::Used),
    other("keepalives_interval", None, Support::Used),
    other("keepalives_count", None, Support::Used),
    other("tcp_user_timeout", None, Support::Used),
    other("fallback_application_name", None, Support::Ignored),
    other("client_encoding", Some("PGCLIENTENCODING"), Support::Ignored),
    other("sslcompression", Some("PGSSLCOMPRESSION"), Support::Ignored),
    other("sslsni", Some("PGSSLSNI"), Support::Ignored),
    other("sslcertmode", Some("PGSSLCERTMODE"), Support::Ignored),
    other("ssl_min_protocol_version", Some("PGSSLMINPROTOCOLVERSION"), Support::Ignored),
    other("ssl_max_protocol_version", Some("PGSSLMAXPROTOCOLVERSION"), Support::Ignored),
    other("min_protocol_version", Some("PGMINPROTOCOLVERSION"), Support::Ignored),
    other("max_protocol_version", Some("PGMAXPROTOCOLVERSION"), Support::Ignored),
    other("gssencmode", Some("PGGSSENCMODE"), Support::Ignored),
    other("gssdelegation", Some("PGGSSDELEGATION"), Support::Ignored),
    other("krbsrvname", Some("PGKRBSRVNAME"), Support::Ignored),
    other("gsslib", Some("PGGSSLIB"), Support::Ignored),
    other("load_balance_hosts", Some("PGLOADBALANCEHOSTS"), Support::Ignored),
    other("sslnegotiation", Some("PGSSLNEGOTIATION"), Support::Refused),
    other("sslpassword", None, Support::Refused),
    other("sslcrl", Some("PGSSLCRL"), Support::Refused),
    other("sslcrldir", Some("PGSSLCRLDIR"), Support::Refused),
    other("requirepeer", Some("PGREQUIREPEER"), Support::Refused),
    other("require_auth", Some("PGREQUIREAUTH"), Support::Refused),
    other("replication", None, Support::Refused),
];

/// Every environment variable that libpq reads for a connection. A child that is to use only
/// [`super::ConnectionSettings::libpq_env`] must not inherit them.
pub const LIBPQ_VARIABLES: &[&str] = &[
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGSYSCONFDIR",
    "PGUSER",
    "PGPASSWORD",
    "PGPASSFILE",
    "PGDATABASE",
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGOPTIONS",
    "PGAPPNAME",
    "PGCONNECT_TIMEOUT",
    "PGCHANNELBINDING",
    "PGSSLMODE",
    "PGREQUIRESSL",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGSSLROOTCERT",
    "PGTARGETSESSIONATTRS",
    "PGCLIENTENCODING",
    "PGSSLCOMPRESSION",
    "PGSSLSNI",
    "PGSSLCERTMODE",
    "PGSSLMINPROTOCOLVERSION",
    "PGSSLMAXPROTOCOLVERSION",
    "PGMINPROTOCOLVERSION",
    "PGMAXPROTOCOLVERSION",
    "PGGSSENCMODE",
    "PGGSSDELEGATION",
    "PGKRBSRVNAME",
    "PGGSSLIB",
    "PGLOADBALANCEHOSTS",
    "PGSSLNEGOTIATION",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGREQUIREPEER",
    "PGREQUIREAUTH",
    "PGTZ",
    "PGDATESTYLE",
    "PGGEQO",
];

pub(super) fn find(name: &str) -> Option<&'static Keyword> {
    KEYWORDS.iter().find(|keyword| keyword.name == name)
}
