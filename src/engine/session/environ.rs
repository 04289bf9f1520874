//! The environment that counts: the process's variables, then `.env.ENV`, then `.env` of the repository's folder.

use std::fs;
use std::io::{self, Cursor};
use std::path::Path;

use crate::error::{Error, Location, OrFailed, Result};
use crate::model::conninfo::Environ;
use crate::model::migration;

/// The process's variables alone; those that are not UTF-8 are passed over.
pub fn of_process() -> Environ {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Joins the process's variables with the files; a missing file is no error, a broken one is (status 2).
pub fn read(folder: &Path, env: Option<&str>) -> Result<Environ> {
    let mut environ = of_process();
    add_files(&mut environ, folder, env)?;
    Ok(environ)
}

/// Adds the files' variables below those that are there.
fn add_files(environ: &mut Environ, folder: &Path, env: Option<&str>) -> Result<()> {
    let specific = env.map(|name| format!(".env.{name}"));
    for name in specific.iter().map(String::as_str).chain([".env"]) {
        let path = folder.join(name);
        let text = match fs::read(&path) {
            Ok(bytes) => String::from_utf8(bytes).map_err(|error| {
                migration::not_utf8(&path.to_string_lossy(), error.as_bytes(), error.utf8_error()).of_usage()
            })?,
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => continue,
            Err(e) if e.kind() == io::ErrorKind::IsADirectory => continue,
            other => other.map(|_| String::new()).or_failed(|| format!("cannot read {}", path.display()))?,
        };
        for (key, value) in parse(&text, &path)? {
            environ.set_default(key, value);
        }
    }
    Ok(())
}

fn parse(text: &str, path: &Path) -> Result<Vec<(String, String)>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    dotenvy::from_read_iter(Cursor::new(text)).map(|line| line.map_err(|e| broken(&e, text, path))).collect()
}

/// The message must not repeat the line: it may be a password's.
fn broken(error: &dotenvy::Error, text: &str, path: &Path) -> Error {
    let line = match error {
        dotenvy::Error::LineParse(line, _) => {
            text.find(line.trim_end()).map_or(0, |at| text[..at].matches('\n').count() + 1)
        }
        _ => 0,
    };
    Error::usage("a line is not of the form NAME=value")
        .at(Location::new(path.display().to_string(), line, 0))
        .help("a value with spaces, `#` or quotes stands in single quotes.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(pairs: &[(&str, &str)], env: Option<&str>, process: &[(&str, &str)]) -> Result<Environ> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in pairs {
            fs::write(folder.path().join(name), text).expect("a file");
        }
        let mut environ: Environ = process.iter().copied().collect();
        add_files(&mut environ, folder.path(), env).map(|()| environ)
    }

    #[test]
    fn the_process_counts_most_and_the_general_file_least() {
        let both = [(".env", "\u{feff}A=1\nB=1\nC=1\n"), (".env.test", "B=2\nC='2 # x'\n")];
        let environ = files(&both, Some("test"), &[("C", "3")]).unwrap();
        assert_eq!((environ.get("A"), environ.get("B"), environ.get("C")), (Some("1"), Some("2"), Some("3")));
        assert_eq!(files(&both, None, &[]).unwrap().get("B"), Some("1"));
        assert_eq!(files(&[], Some("test"), &[]).unwrap(), Environ::default());
    }

    #[test]
    fn a_broken_line_is_named_but_not_shown() {
        let error = files(&[(".env", "A=1\n\nPASSWORD=s3cret two words\n")], None, &[]).unwrap_err();
        assert_eq!(error.status(), crate::error::Status::Usage);
        assert!(error.to_string().ends_with(".env:3"), "{error}");
        assert!(!format!("{error:?}").contains("s3cret"));
    }
}
