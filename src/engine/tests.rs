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
