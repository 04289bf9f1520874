//! Both string forms, their merge, and that nothing shows a password.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn defaults() -> Defaults {
    Defaults { user: "me".into(), host: "/run/postgresql".into(), home: Some("/home/me".into()) }
}

fn settings_with(text: &str, environ: &[(&str, &str)]) -> ConnectionSettings {
    let environ: Environ = environ.iter().copied().collect();
    ConnectionSettings::merge(&Parameters::parse(text).unwrap(), None, &environ, &defaults()).unwrap()
}

fn settings(text: &str) -> ConnectionSettings {
    settings_with(text, &[])
}

#[test]
fn both_forms_are_understood() {
    let cases = [
        ("postgres://", "`me` on /run/postgresql:5432", "me"),
        ("postgresql:///shop", "`shop` on /run/postgresql:5432", "me"),
        ("postgres://you@db1/shop", "`shop` on db1:5432", "you"),
        ("postgres://you:pw@db1:6000/shop?sslmode=disable", "`shop` on db1:6000", "you"),
        ("postgres://[::1]:6000/shop", "`shop` on [::1]:6000", "me"),
        ("postgres://a:1,b,[::1]:3/shop", "`shop` on a:1,b:5432,[::1]:3", "me"),
        ("postgres://%2Frun%2Fdir/shop", "`shop` on /run/dir:5432", "me"),
        ("postgres:///shop?host=/run/dir&port=5433&user=you", "`shop` on /run/dir:5433", "you"),
        ("postgres://u%40x:p%3Aw@h/d%20b", "`d b` on h:5432", "u@x"),
        ("host=db1 dbname=shop user=you", "`shop` on db1:5432", "you"),
        (r"host = 'db1'  dbname='a \'b\' \\c' user=y\ ou", r"`a 'b' \c` on db1:5432", "y ou"),
        ("hostaddr=127.0.0.1 port=6 dbname=x", "`x` on 127.0.0.1:6", "me"),
        ("", "`me` on /run/postgresql:5432", "me"),
    ];
    for (text, shown, user) in cases {
        let settings = settings(text);
        assert_eq!(settings.to_string(), shown, "{text}");
        assert_eq!(settings.user(), user, "{text}");
    }
    assert_eq!(settings("postgres://u:p%3Aw@h/d").password().unwrap().expose(), "p:w");
    assert_eq!(settings("postgres://h/d?ssl=true").tls().mode, SslMode::Require);
}

#[test]
fn the_environment_fills_what_the_string_leaves_open() {
    let environ = [
        ("PGHOST", "db2"),
        ("PGPORT", "77"),
        ("PGDATABASE", "env"),
        ("PGUSER", "envuser"),
        ("PGPASSWORD", "hidden"),
        ("PGSSLMODE", "verify-full"),
        ("PGCONNECT_TIMEOUT", "7"),
        ("PGTARGETSESSIONATTRS", "primary"),
        ("PGAPPNAME", ""),
    ];
    let all = settings_with("", &environ);
    assert_eq!(all.to_string(), "`env` on db2:77");
    assert_eq!((all.tls().mode, all.target()), (SslMode::VerifyFull, TargetSession::Primary));
    assert_eq!((all.connect_timeout(), all.application_name()), (Some(Duration::from_secs(7)), None));
    assert_eq!(all.passfile(), Some("/home/me/.pgpass"));
    assert_eq!(settings_with("host=db1 dbname=x", &environ).to_string(), "`x` on db1:77");
}

#[test]
fn a_service_stands_between_string_and_environment() {
    let text = "# services\n[other]\nhost=no\n\n[shop]\nhost=db3\nport=99\nsslmode=require\n[shop]\nhost=late\n";
    let service = service::lookup(text, "shop", "pg_service.conf").unwrap();
    let explicit = Parameters::parse("service=shop port=1").unwrap();
    let environ: Environ = [("PGHOST", "db2"), ("PGUSER", "envuser")].into_iter().collect();
    assert_eq!(explicit.service(&environ), Some("shop"));
    let merged = ConnectionSettings::merge(&explicit, service.as_ref(), &environ, &defaults()).unwrap();
    assert_eq!((merged.to_string().as_str(), merged.tls().mode), ("`envuser` on db3:1", SslMode::Require));
    assert_eq!(service::lookup(text, "none", "f").unwrap(), None);
    assert!(service::lookup("[a]\nhots=x\n", "a", "f").unwrap_err().to_string().contains("at f:2"));
    assert!(service::lookup("[a]\nnonsense\n", "a", "f").is_err());
}

#[test]
fn malformed_strings_are_refused_without_repeating_them() {
    let cases = [
        ("postgres://me:s3cret@db:port/x", "port"),
        ("postgres://me:s3cret@[::1/x", "bracket"),
        ("postgres://me:s3cret%zz@db/x", "hexadecimal"),
        ("postgres://me:s3%00cret@db/x", "zero byte"),
        ("postgres://me:s3cret@db/x?sslmodee=require", "did you mean `sslmode`"),
        ("postgres://db/x?s3cret", "name=value"),
        ("postgres://db/x?a=s3cret=", "name=value"),
        ("mysql://me:s3cret@db/x", "not of PostgreSQL's"),
        ("password=my s3cret host=db", "`=`"),
        ("password='s3cret", "not closed"),
        ("password=a s3cret=db", "libpq does not know"),
        ("host=db password=s3cret sslmode=s3cret", "verify-full"),
        ("host=a,b password=s3cret port=1,2,3", "one for each host"),
        ("host=db password=s3cret sslcrl=/x", "not supported"),
        ("host=db password=s3cret connect_timeout=s3cret", "a number"),
    ];
    for (text, part) in cases {
        let error = Parameters::parse(text)
            .and_then(|p| ConnectionSettings::merge(&p, None, &Environ::default(), &defaults()))
            .expect_err(text);
        let message = format!("{error} {}", error.helps().join(" "));
        assert!(message.contains(part), "{text}: {message}");
        assert!(!message.contains("s3cret") && !message.contains("cret"), "{text}: {message}");
        assert_eq!(error.status(), crate::error::Status::Usage);
    }
}

#[test]
fn nothing_shows_a_password() {
    let s = settings("postgres://me:s3cret@db/shop?sslmode=require");
    for shown in [format!("{s}"), format!("{s:?}"), s.url_without_password()] {
        assert!(!shown.contains("s3cret"), "{shown}");
    }
    assert_eq!(s.url_without_password(), "postgresql://me@db:5432/shop?sslmode=require");
    assert_eq!(format!("{:?}", Parameters::parse("password=s3cret").unwrap()), "Parameters({\"password\": ***})");
    let environ: Environ = [("PGPASSWORD", "s3cret")].into_iter().collect();
    assert_eq!(format!("{environ:?}"), "{\"PGPASSWORD\"}");
    assert!(s.libpq_env().contains(&("PGPASSWORD".to_owned(), "s3cret".to_owned())));
}

#[test]
fn a_child_reaches_the_same_database() {
    let s = settings("postgres://you:pw@a:1,b:2/shop?target_session_attrs=primary&sslrootcert=/r&connect_timeout=3");
    let environ: Environ = s.libpq_env().into_iter().collect();
    assert_eq!(ConnectionSettings::merge(&Parameters::default(), None, &environ, &defaults()).unwrap(), s);
    assert!(s.libpq_env().iter().all(|(name, _)| LIBPQ_VARIABLES.contains(&name.as_str())));
    let socket = ConnectionSettings::new("/run/x", 5433, "postgres", None, "shop");
    assert_eq!(socket.url_without_password(), "postgresql://postgres@/shop?host=%2Frun%2Fx&port=5433");
    assert_eq!(settings(&socket.url_without_password()).to_string(), "`shop` on /run/x:5433");
    assert_eq!(socket.with_database("other").database(), "other");
}

#[test]
fn every_variable_of_a_keyword_is_kept_from_children() {
    for keyword in super::keyword::KEYWORDS {
        if let Some(variable) = keyword.variable {
            assert!(LIBPQ_VARIABLES.contains(&variable), "{variable}");
        }
    }
}

#[test]
fn the_password_file_is_read_as_libpq_reads_it() {
    let text = "# comment:1:2:3:no\nshort:line\ndb1:5432:shop:you:first\n*:*:*:you:p\\:w\\\\d:ignored\r\n\
                localhost:*:*:me:socket\n\\*:*:*:star:no\nh:1:a\\:b:u:colon\n";
    let at = |host: &str, port| Server { host: Host::parse(host), address: None, port };
    let cases = [
        ("db1", 5432, "shop", "you", Some("first")),
        ("db1", 5433, "shop", "you", Some("p:w\\d")),
        ("/var/run/postgresql", 5432, "x", "me", Some("socket")),
        ("/srv/socket", 5432, "x", "me", None),
        ("db1", 5432, "x", "star", None),
        ("h", 1, "a:b", "u", Some("colon")),
    ];
    for (host, port, database, user, password) in cases {
        let found = pgpass::lookup(text, &at(host, port), database, user);
        assert_eq!(found.as_ref().map(Secret::expose), password, "{host}:{port}:{database}:{user}");
    }
}

fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

proptest! {
    #[test]
    fn parsing_never_panics(text in ".{0,60}", rest in "[a-z0-9:@/?&=,%\\[\\]' \\\\]{0,60}") {
        for text in [text, format!("postgres://{rest}"), rest] {
            if let Ok(parameters) = Parameters::parse(&text) {
                let merged = ConnectionSettings::merge(&parameters, None, &Environ::default(), &defaults());
                let _ = merged.map(|settings| (settings.to_string(), settings.url_without_password()));
            }
            let _ = service::lookup(&text, "a", "f");
            let server = Server { host: Host::parse("h"), address: None, port: 1 };
            let _ = pgpass::lookup(&text, &server, "d", "u");
        }
    }

    #[test]
    fn a_url_comes_back(user in "[^\0]{1,12}", database in "[^\0]{1,12}", host in "[a-z0-9.-]{1,12}", port in 1u16..) {
        let s = ConnectionSettings::new(&host, port, &user, None, &database);
        let again = settings(&s.url_without_password());
        prop_assert_eq!((again.user(), again.database(), again.servers()), (s.user(), s.database(), s.servers()));
    }

    #[test]
    fn pairs_come_back(user in "[^\0]{1,12}", password in "[^\0]{1,12}", database in "[^\0]{1,12}") {
        let text = format!("user={} password={} dbname = {}", quote(&user), quote(&password), quote(&database));
        let s = settings(&text);
        prop_assert_eq!(s.user(), user);
        prop_assert_eq!(s.database(), database);
        prop_assert_eq!(s.password().map(Secret::expose), Some(password.as_str()));
    }
}
