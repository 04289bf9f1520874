//! What the tests of several edges share.

/// A test that lacks something says so, is counted by `cargo xtask test`, and fails where `DBBUILD_NO_SKIP` forbids it.
pub(crate) fn skip(want: &str) {
    use std::io::Write;
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    if let Some(log) = std::env::var_os("DBBUILD_SKIP_LOG") {
        let mut log = std::fs::OpenOptions::new().append(true).open(log).unwrap();
        log.write_all(format!("{test}\t{want}\n").as_bytes()).unwrap();
    }
    let forbidden = std::env::var("DBBUILD_NO_SKIP").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
    assert!(!forbidden, "{test} would be skipped for want of {want}, which DBBUILD_NO_SKIP forbids");
    eprintln!("skipped: {want}");
}

/// A port on which nobody listens, that no other test gets, and that the system gives to no client.
pub(crate) fn free_port() -> u16 {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        // Runs at the same time begin at different places.
        let first = u16::try_from(std::process::id() % 11_000).unwrap();
        let port = 20_000 + first + NEXT.fetch_add(1, Ordering::Relaxed) % 1000;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
