//! Sessions with a real PostgreSQL server: files of passwords and services, TLS, errors, poolers.

mod server;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::*;
use crate::engine::tests::free_port;
use crate::error::Status;
use server::TestServer;

fn options() -> ConnectOptions {
    ConnectOptions { connect_timeout: Duration::from_secs(10), ..ConnectOptions::default() }
}

fn environ(pairs: &[(&str, &str)]) -> Environ {
    [("HOME", "/nonexistent")].iter().chain(pairs).copied().collect()
}

async fn open_with(url: &str, pairs: &[(&str, &str)]) -> Result<Session> {
    connect(&resolve(Some(url), &environ(pairs))?, &options()).await
}

async fn open(url: &str) -> Result<Session> {
    open_with(url, &[]).await
}

async fn value(session: &Session, sql: &str) -> String {
    let rows = session.query_rows(sql).await.unwrap();
    rows[0][0].clone().unwrap_or_default()
}

fn shown(error: &Error) -> String {
    format!("{error} | {} | {}", error.helps().join(" "), error.details().join(" "))
}

/// A test body that needs a server; without PostgreSQL programs it says why it did nothing, and fails in CI.
macro_rules! server_test {
    ($name:ident, $server:ident, $body:block) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let Some($server) = TestServer::shared() else { return };
            $body
        }
    };
}

server_test!(a_session_is_fit_for_long_work, server, {
    server.psql("CREATE ROLE hurried LOGIN; ALTER ROLE hurried SET statement_timeout = '1s'; ALTER ROLE hurried SET idle_session_timeout = '1s'");
    let session = open(&server.socket_url("hurried", "postgres")).await.unwrap();
    assert_eq!(session.server_version(), session.server_version_num() / 10_000);
    assert_eq!(value(&session, "SHOW server_version_num").await, session.server_version_num().to_string());
    assert_eq!(value(&session, "SELECT pg_backend_pid()").await, session.backend_pid().to_string());
    assert_eq!((session.is_in_recovery(), session.transaction_read_only()), (false, false));
    session.run("RESET ALL").await.unwrap();
    assert_eq!(value(&session, "SHOW statement_timeout").await, "1s");
    session.run(&session.work_settings()).await.unwrap();
    for (setting, expected) in [
        ("statement_timeout", "0"),
        ("idle_session_timeout", "0"),
        ("client_connection_check_interval", "200ms"),
        ("application_name", "dbbuild"),
    ] {
        assert_eq!(value(&session, &format!("SHOW {setting}")).await, expected, "{setting}");
    }
    session.close().await;
});

server_test!(errors_keep_their_parts, server, {
    let session = open(&server.socket_url("postgres", "postgres")).await.unwrap();
    let error = session.simple_raw("SELECT 1; SELECT 2; SELECT 'ä', legacy_id; SELECT 3").await.unwrap_err();
    assert_eq!(error.sqlstate.as_deref(), Some("42703"));
    // The whole text is parsed statement by statement, so the first two are done.
    assert_eq!((error.completed, error.position, error.gone), (2, Some(33), false));
    assert_eq!(error.cause(), "column \"legacy_id\" does not exist (42703)");
    let syntax = session.simple_raw("SELECT 1; SELEC 2").await.unwrap_err();
    assert_eq!((syntax.completed, syntax.sqlstate.as_deref()), (0, Some("42601")));
    session.run("CREATE TEMP TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)").await.unwrap();
    let duplicate = session.run("INSERT INTO t VALUES (1)").await.unwrap_err();
    assert_eq!((duplicate.constraint.as_deref(), duplicate.table.as_deref()), (Some("t_pkey"), Some("t")));
    let error = duplicate.to_error("x failed");
    assert_eq!((error.code(), error.status()), (Some("23505"), Status::Failed));
    assert!(error.details()[0].contains("DETAIL: Key (id)=(1) already exists."), "{error:?}");
    let parameters = session.client().query("SELECT nothing", &[]).await.unwrap_err();
    assert_eq!(ServerError::from_driver(&parameters).sqlstate.as_deref(), Some("42703"));
    assert_eq!(session.run("SELECT generate_series(1, 1000); SELECT 1").await.unwrap(), 2);
    assert_eq!(value(&session, "SELECT NULL").await, "");
});

server_test!(notices_are_collected_and_bounded, server, {
    let session = open(&server.socket_url("postgres", "postgres")).await.unwrap();
    session.run("DO $$ BEGIN RAISE WARNING 'careful' USING HINT = 'look'; END $$").await.unwrap();
    let notices = session.take_notices();
    assert_eq!((notices[0].severity.as_str(), notices[0].message.as_str()), ("WARNING", "careful"));
    assert_eq!((notices[0].hint.as_deref(), notices[0].code.as_str()), (Some("look"), "01000"));
    session.run("DO $$ BEGIN FOR i IN 1..1500 LOOP RAISE NOTICE '%', i; END LOOP; END $$").await.unwrap();
    let notices = session.take_notices();
    assert_eq!(notices.len(), 1001);
    assert_eq!(notices[1000].message, "500 more notices were left out");
    assert!(session.take_notices().is_empty());
});

server_test!(copy_streams_and_reports, server, {
    let session = open(&server.socket_url("postgres", "postgres")).await.unwrap();
    session.run("CREATE TEMP TABLE c (id int, t text)").await.unwrap();
    let data: String = (0..50_000).map(|i| format!("{i}\tsome text {i}\n")).collect();
    let mut last = 0;
    let rows = session.copy_in_raw("COPY c FROM stdin", data.as_bytes(), |done| last = done).await.unwrap();
    assert_eq!((rows, last), (50_000, data.len()));
    let bad = data.replacen("7\t", "x\t", 1);
    let error = session.copy_in("COPY c FROM stdin", bad.as_bytes()).await.unwrap_err();
    assert_eq!(error.code(), Some("22P02"));
    assert!(error.details()[0].contains("COPY c, line 8"), "{error:?}");
    assert_eq!(value(&session, "SELECT count(*) FROM c").await, "50000");
    assert_eq!(session.copy_in("COPY nowhere FROM stdin", b"").await.unwrap_err().code(), Some("42P01"));
});

/// Waits until a server process sleeps.
async fn sleeps(looker: &Session, pid: i32) {
    let asks = format!("SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = {pid}");
    while value(looker, &asks).await != "t" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

server_test!(a_lost_connection_says_why, server, {
    let session = open(&server.socket_url("postgres", "postgres")).await.unwrap();
    let killer = open(&server.socket_url("postgres", "postgres")).await.unwrap();
    let kill = format!("SELECT pg_terminate_backend({})", session.backend_pid());
    let (slept, _) = tokio::join!(session.run("SELECT pg_sleep(60)"), async {
        sleeps(&killer, session.backend_pid()).await;
        killer.run(&kill).await
    });
    let error = slept.unwrap_err();
    assert_eq!((error.sqlstate.as_deref(), error.gone), (Some("57P01"), true));
    let idle = open(&server.socket_url("postgres", "postgres")).await.unwrap();
    killer.run(&format!("SELECT pg_terminate_backend({}, 5000)", idle.backend_pid())).await.unwrap();
    while !idle.is_closed() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let error = idle.run("SELECT 1").await.unwrap_err();
    assert_eq!((error.sqlstate.as_deref(), error.gone), (Some("57P01"), true), "{error:?}");
    assert!(idle.is_closed());
});

server_test!(a_query_can_be_cancelled, server, {
    let session = open(&server.socket_url("postgres", "postgres")).await.unwrap();
    let canceller = session.cancel_token();
    let looker = open(&server.socket_url("postgres", "postgres")).await.unwrap();
    let (slept, _) = tokio::join!(session.run("SELECT pg_sleep(60)"), async {
        sleeps(&looker, session.backend_pid()).await;
        canceller.cancel().await.unwrap();
    });
    let error = slept.unwrap_err();
    assert_eq!((error.sqlstate.as_deref(), error.gone), (Some("57014"), false));
    assert_eq!(value(&session, "SELECT 1").await, "1");
});

server_test!(passwords_come_from_all_places, server, {
    let url = server.tcp_url("scram", "postgres");
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode: u32| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let entry = format!("127.0.0.1:{}:*:scram:s3c\\:ret\n", server.port());
    let good = file("good", &format!("# one\n*:1:*:*:no\n{entry}"), 0o600);
    let open_to_all = file("open", &entry, 0o644);
    let service =
        format!("[shop]\nhost=127.0.0.1\nport={}\nuser=scram\npassword=s3c:ret\ndbname=postgres\n", server.port());
    let services = file("services", &service, 0o644);

    assert!(open(&url.replace("scram@", "scram:s3c%3Aret@")).await.is_ok());
    assert!(open_with(&url, &[("PGPASSWORD", "s3c:ret")]).await.is_ok());
    assert!(open_with(&url, &[("PGPASSFILE", &good)]).await.is_ok());
    let by_service = open_with("service=shop", &[("PGSERVICEFILE", &services)]).await.unwrap();
    assert_eq!(value(&by_service, "SELECT current_user").await, "scram");
    let unknown = open_with("service=shopp", &[("PGSERVICEFILE", &services)]).await.unwrap_err();
    assert!(unknown.status() == Status::Usage && shown(&unknown).contains("`shopp`"), "{unknown}");

    let wrong = open_with(&url, &[("PGPASSWORD", "s3cret")]).await.unwrap_err();
    assert_eq!(wrong.code(), Some("28P01"));
    assert!(shown(&wrong).contains("as `scram`") && !shown(&wrong).contains("s3cret"), "{}", shown(&wrong));
    let missing = open(&url).await.unwrap_err();
    assert!(shown(&missing).contains("wants a password"), "{}", shown(&missing));
    let passed_over = open_with(&url, &[("PGPASSFILE", &open_to_all)]).await.unwrap_err();
    assert!(shown(&passed_over).contains("chmod 600"), "{}", shown(&passed_over));
});

/// User, host, sslmode, root certificate; and whether TLS is used, or what the error says.
type TlsCase<'a> = (&'a str, &'a str, &'a str, &'a str, std::result::Result<bool, &'a str>);

server_test!(tls_is_what_sslmode_says, server, {
    let Some(ca) = server.certificates() else { return };
    let other = ca.replace("ca.crt", "other.crt");
    let cases: [TlsCase<'_>; 18] = [
        ("open", "localhost", "disable", "", Ok(false)),
        ("open", "localhost", "allow", "", Ok(false)),
        ("tlsonly", "localhost", "allow", "", Ok(true)),
        ("open", "localhost", "prefer", "", Ok(true)),
        ("plainonly", "localhost", "prefer", "", Ok(false)),
        ("tlsonly", "localhost", "prefer", "", Ok(true)),
        ("tlsonly", "localhost", "disable", "", Err("pg_hba.conf")),
        ("plainonly", "localhost", "require", "", Err("pg_hba.conf")),
        ("open", "localhost", "require", "", Ok(true)),
        ("open", "localhost", "require", &ca, Ok(true)),
        ("open", "localhost", "require", &other, Err("UnknownIssuer")),
        ("open", "127.0.0.1", "verify-ca", &ca, Ok(true)),
        ("open", "localhost", "verify-ca", &other, Err("UnknownIssuer")),
        ("open", "localhost", "verify-ca", "", Err("root certificate")),
        ("open", "localhost", "verify-full", &ca, Ok(true)),
        ("open", "127.0.0.1", "verify-full", &ca, Err("not valid for name")),
        ("open", "localhost", "verify-full", "/nonexistent.crt", Err("/nonexistent.crt")),
        ("open", "localhost", "verify-ca", "system", Err("too weak")),
    ];
    for (user, host, mode, root, expected) in cases {
        let url = format!(
            "host={host} port={} user={user} dbname=postgres sslmode={mode} sslrootcert='{root}'",
            server.port()
        );
        let session = open_with(&url, &[("PGPASSWORD", "s3c:ret")]).await;
        match (session, expected) {
            (Ok(session), Ok(tls)) => {
                let used = value(&session, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").await;
                assert_eq!(used == "t", tls, "{url}");
            }
            (Err(e), Err(part)) => assert!(shown(&e).contains(part), "{url}: {}", shown(&e)),
            (got, _) => panic!("{url}: {expected:?}, got {:?}", got.map(|_| "a session")),
        }
    }
});

server_test!(clients_can_show_a_certificate, server, {
    let Some(ca) = server.certificates() else { return };
    let folder = ca.trim_end_matches("/ca.crt");
    let url = format!("{}?sslmode=verify-full&sslrootcert={ca}", server.tcp_url("certuser", "postgres"))
        .replace("127.0.0.1", "localhost");
    let cert = format!("&sslcert={folder}/client.crt&sslkey={folder}/client.key");
    assert!(open(&format!("{url}{cert}")).await.is_ok());
    let none = open(&url).await.unwrap_err();
    assert!(shown(&none).contains("certificate"), "{}", shown(&none));
    let readable = format!("{folder}/readable.key");
    fs::copy(format!("{folder}/client.key"), &readable).unwrap();
    fs::set_permissions(&readable, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = open(&format!("{url}{}", cert.replace("client.key", "readable.key"))).await.unwrap_err();
    assert!(shown(&refused).contains("can be read by others"), "{}", shown(&refused));
    let session = open(&format!("{url}{cert}")).await.unwrap();
    let canceller = session.cancel_token();
    let looker = open(&server.socket_url("postgres", "postgres")).await.unwrap();
    let (slept, _) = tokio::join!(session.run("SELECT pg_sleep(60)"), async {
        sleeps(&looker, session.backend_pid()).await;
        canceller.cancel().await.unwrap();
    });
    assert_eq!(slept.unwrap_err().sqlstate.as_deref(), Some("57014"));
});

#[tokio::test]
async fn a_self_signed_certificate_may_be_its_own_root() {
    let Some(server) = TestServer::self_signed() else { return };
    let Some(root) = server.certificates() else { return };
    let url = server.tcp_url("open", "postgres").replace("127.0.0.1", "localhost");
    assert!(open(&format!("{url}?sslmode=verify-full&sslrootcert={root}")).await.is_ok());
    let other_name = format!("{}?sslmode=verify-full&sslrootcert={root}", server.tcp_url("open", "postgres"));
    assert!(open(&other_name).await.is_err());
    assert!(open(&format!("{url}?sslmode=prefer")).await.is_ok());
}

server_test!(failures_to_connect_say_what_helps, server, {
    server.psql("CREATE ROLE crowded LOGIN CONNECTION LIMIT 0; CREATE ROLE barred NOLOGIN");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_url = format!("postgres://u@{}/d?connect_timeout=1&sslmode=disable", silent.local_addr().unwrap());
    let closed = format!("127.0.0.1:{}", free_port());
    let missing = server.socket_url("postgres", "no such");
    let cases = [
        (
            format!("postgres://u:s3cret@{closed}/shop"),
            Some("08001"),
            vec!["`shop` on 127.0.0.1", "Connection refused", "start it"],
        ),
        (
            "postgres:///d?host=/nonexistent&user=u".to_owned(),
            Some("08001"),
            vec!["`d` on /nonexistent:5432", "No such file"],
        ),
        ("postgres://u@no.invalid/d".to_owned(), Some("08001"), vec!["`d` on no.invalid:5432", "check host"]),
        (silent_url, Some("08001"), vec!["no answer within 1 s"]),
        (missing, Some("3D000"), vec!["database `no such` on", "does not exist"]),
        (server.socket_url("crowded", "postgres"), Some("53300"), vec!["too many connections", "max_connections"]),
        (server.socket_url("barred", "postgres"), Some("28000"), vec!["not permitted to log in"]),
    ];
    for (url, code, parts) in cases {
        let error = open(&url).await.unwrap_err();
        assert_eq!((error.code(), error.status()), (code, Status::Failed), "{url}: {error}");
        for part in parts {
            assert!(shown(&error).contains(part), "{url}: {} lacks {part}", shown(&error));
        }
        assert!(!shown(&error).contains("s3cret") && !error.helps().is_empty(), "{url}");
    }
});

server_test!(servers_are_tried_in_order, server, {
    let closed = free_port();
    let list = format!("host=127.0.0.1,127.0.0.1 port={closed},{} user=open dbname=postgres", server.port());
    let session = open(&list).await.unwrap();
    assert_eq!(session.settings().servers()[0].port, server.port());
    assert!(open(&format!("{list} target_session_attrs=primary")).await.is_ok());
    assert!(open(&format!("{list} target_session_attrs=prefer-standby")).await.is_ok());
    let standby = open(&format!("{list} target_session_attrs=standby")).await.unwrap_err();
    assert!(shown(&standby).contains("Connection refused"), "{}", shown(&standby));
    assert!(standby.others()[0].to_string().contains("not a replica"), "{standby:?}");
});

server_test!(a_direct_connection_is_no_pooler, server, {
    let settings = resolve(Some(&server.socket_url("postgres", "postgres")), &environ(&[])).unwrap();
    detect_pooler(&settings, &options()).await.unwrap();
});

server_test!(transaction_pooling_is_refused, server, {
    for (mode, pooled) in [("transaction", true), ("session", false)] {
        let Some(pooler) = server.pooler(mode) else { return };
        let settings = resolve(Some(&pooler.url), &environ(&[])).unwrap();
        let verdict = detect_pooler(&settings, &options()).await;
        assert_eq!(verdict.is_err(), pooled, "{mode}: {verdict:?}");
        if let Err(e) = verdict {
            assert!(shown(&e).contains("directly"), "{}", shown(&e));
        }
        assert!(open(&pooler.url).await.is_ok(), "{mode}");
        let refused = open(&format!("{}&options=-c%20geqo%3Doff", pooler.url)).await.unwrap_err();
        assert!(shown(&refused).contains("a connection pooler refuses"), "{}", shown(&refused));
    }
});
