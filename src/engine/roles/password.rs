//! Passwords: fetched from their place, turned into SCRAM-SHA-256 verifiers, compared with what a server keeps.
//!
//! No message holds one, nor what a program printed.

use crate::engine::server::random_bits;
use crate::engine::session::{Environ, Session};
use crate::error::{Error, OrFailed, Result};
use crate::model::conninfo::Secret;
use crate::model::roles::Reference;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// A program that asks a person must not hold up a pipeline for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// Fetches a password.
///
/// # Errors
/// The place is empty or not there; the message names the place alone.
pub async fn resolve(reference: &Reference, root: &Path, environ: &Environ) -> Result<Secret> {
    let text = match reference {
        Reference::Env(name) => {
            let unset = || Error::usage(format!("the environment variable {name} is not set"));
            environ.get(name).ok_or_else(unset)?.to_owned()
        }
        Reference::File(path) => {
            let bytes = tokio::fs::read(root.join(path)).await;
            one_line(bytes.map_err(|e| Error::usage(format!("cannot read {reference}")).cause(e))?, reference)?
        }
        Reference::Command(words) => one_line(output(reference, words, root).await?, reference)?,
    };
    if text.is_empty() {
        return Err(Error::usage(format!("{reference} gives no password")).cause("it is empty"));
    }
    if text.contains('\0') {
        return Err(Error::usage(format!("{reference} gives no password")).cause("it holds a zero byte"));
    }
    Ok(Secret::new(text))
}

async fn output(reference: &Reference, words: &[String], root: &Path) -> Result<Vec<u8>> {
    let (program, arguments) = words.split_first().ok_or_else(|| Error::usage("a command has no program"))?;
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).current_dir(root).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(PATIENCE, command.output()).await;
    let failed = || Error::failed(format!("{reference} gives no password"));
    let done = ended
        .map_err(|_| failed().cause(format!("it was not done within {} s", PATIENCE.as_secs())))?
        .map_err(|e| failed().cause(e))?;
    if !done.status.success() {
        let help = "what it says is not shown, as it may be the password: run it by hand.";
        return Err(failed().cause(format!("it ended with {}", done.status)).help(help));
    }
    Ok(done.stdout)
}

/// The text without the newline at its end.
fn one_line(bytes: Vec<u8>, reference: &Reference) -> Result<String> {
    let wrong = |why: &str| Error::usage(format!("{reference} gives no password")).cause(why);
    let mut text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8"))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.contains('\n') { Err(wrong("it has several lines")) } else { Ok(text) }
}

/// What a server keeps instead of the password, with a salt of its own. A server that is given this never sees the
/// password.
pub(super) fn verifier(password: &Secret, iterations: u32) -> Result<Secret> {
    let salt = random_bits()?;
    let keys = || {
        let salted = salted(prepared(password).as_bytes(), &salt, iterations)?;
        Some((stored_key(&salted)?, keyed(&salted, &[b"Server Key"])?))
    };
    let (stored, server) = keys().ok_or_else(|| Error::failed("a password cannot be made a verifier"))?;
    let [salt, stored, server] = [&salt[..], &stored, &server].map(|bytes| STANDARD.encode(bytes));
    Ok(Secret::new(format!("SCRAM-SHA-256${iterations}:{salt}${stored}:{server}")))
}

/// How often the server wants a password hashed: its own setting from PostgreSQL 16 on, 4096 before.
pub(super) async fn iterations(session: &Session) -> Result<u32> {
    let rows = session.query_rows("SELECT pg_catalog.current_setting('scram_iterations', true)").await?;
    let text = rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(4096))
}

/// The verifiers that the server keeps, where this role may read them.
pub(super) async fn stored(session: &Session) -> Result<Option<BTreeMap<String, String>>> {
    const MAY: &str = "SELECT pg_catalog.has_column_privilege('pg_catalog.pg_authid', 'rolpassword', 'SELECT')";
    let rows = session.query_rows(MAY).await?;
    if rows.first().and_then(|row| row.first()).and_then(Option::as_deref) != Some("t") {
        return Ok(None);
    }
    let sql = "SELECT rolname, rolpassword FROM pg_catalog.pg_authid WHERE rolpassword IS NOT NULL";
    let rows = session.query_rows(sql).await.or_failed(|| "cannot read which passwords the server keeps")?;
    let pair = |row: Vec<Option<String>>| {
        let mut cells = row.into_iter().flatten();
        Some((cells.next()?, cells.next()?))
    };
    Ok(Some(rows.into_iter().filter_map(pair).collect()))
}

/// Whether a verifier is one of this password: computed again with its salt and iterations. An MD5 hash never fits, so
/// that it gives way to a verifier.
pub(super) fn fits(stored: &str, password: &Secret) -> bool {
    let parts = || {
        let (parameters, keys) = stored.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
        let (iterations, salt) = parameters.split_once(':')?;
        let (stored_key, _) = keys.split_once(':')?;
        Some((iterations.parse::<u32>().ok()?, STANDARD.decode(salt).ok()?, STANDARD.decode(stored_key).ok()?))
    };
    let Some((iterations, salt, stored_key)) = parts() else { return false };
    let key = salted(prepared(password).as_bytes(), &salt, iterations).and_then(|salted| self::stored_key(&salted));
    key.is_some_and(|key| key == stored_key)
}

/// As PostgreSQL does: a password that SASLprep refuses counts as it is.
fn prepared(password: &Secret) -> Cow<'_, str> {
    let clear = password.expose();
    stringprep::saslprep(clear).unwrap_or(Cow::Borrowed(clear))
}

fn stored_key(salted: &[u8]) -> Option<Vec<u8>> {
    keyed(salted, &[b"Client Key"]).map(|client_key| Sha256::digest(&client_key).to_vec())
}

/// `Hi` of RFC 5802.
fn salted(password: &[u8], salt: &[u8], iterations: u32) -> Option<Vec<u8>> {
    let mut block = keyed(password, &[salt, &[0, 0, 0, 1]])?;
    let mut sum = block.clone();
    for _ in 1..iterations {
        block = keyed(password, &[&block])?;
        sum.iter_mut().zip(&block).for_each(|(sum, byte)| *sum ^= byte);
    }
    Some(sum)
}

fn keyed(key: &[u8], parts: &[&[u8]]) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    parts.iter().for_each(|part| mac.update(part));
    Some(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_fits_its_own_password_alone() {
        let verifier = |clear: &str| verifier(&Secret::new(clear), 4096).unwrap();
        for clear in ["secret", "pässwörd ☃", "a\u{00a0}b", "\u{2168}", "x\u{0007}y"] {
            let kept = verifier(clear);
            assert!(kept.expose().starts_with("SCRAM-SHA-256$4096:") && !kept.expose().contains(clear));
            assert!(fits(kept.expose(), &Secret::new(clear)), "{clear:?}");
            assert!(!fits(kept.expose(), &Secret::new("other")), "{clear:?}");
            assert_ne!(kept.expose(), verifier(clear).expose());
        }
        // SASLprep: the Roman numeral nine is the letters.
        assert!(fits(verifier("\u{2168}").expose(), &Secret::new("IX")));
        for other in ["md5a3556571e93b0d20722ba62be61e8c2d", "", "SCRAM-SHA-256$x", "secret"] {
            assert!(!fits(other, &Secret::new("secret")), "{other}");
        }
    }

    /// Made by PostgreSQL 15 from `secret`, with 4096 and with other iterations.
    #[test]
    fn other_salts_and_iterations_are_taken_from_what_is_stored() {
        let salt = b"0123456789abcdef";
        for iterations in [1, 4096, 5000] {
            let key = Sha256::digest(keyed(&salted(b"secret", salt, iterations).unwrap(), &[b"Client Key"]).unwrap());
            let stored = format!("SCRAM-SHA-256${iterations}:{}${}:x", STANDARD.encode(salt), STANDARD.encode(key));
            assert!(fits(&stored, &Secret::new("secret")));
        }
    }

    #[tokio::test]
    async fn places_are_read_and_named_but_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("good"), "s3cret\r\n").unwrap();
        std::fs::write(folder.path().join("two"), "s3cret\nmore\n").unwrap();
        std::fs::write(folder.path().join("empty"), "\n").unwrap();
        let environ: Environ = [("SET", "s3cret")].into_iter().collect();
        let command = |words: &[&str]| Reference::Command(words.iter().map(|word| (*word).to_owned()).collect());
        let good =
            [Reference::Env("SET".into()), Reference::File("good".into()), command(&["sh", "-c", "echo s3cret"])];
        for place in good {
            assert_eq!(resolve(&place, folder.path(), &environ).await.unwrap().expose(), "s3cret", "{place}");
        }
        for (place, why) in [
            (Reference::Env("UNSET".into()), "the environment variable UNSET is not set"),
            (Reference::File("none".into()), "cannot read the file none"),
            (Reference::File("two".into()), "several lines"),
            (Reference::File("empty".into()), "it is empty"),
            (command(&["sh", "-c", "echo s3cret; exit 3"]), "the command sh gives no password"),
            (command(&["no-such-program-here", "s3cret"]), "the command no-such-program-here gives no password"),
        ] {
            let error = resolve(&place, folder.path(), &environ).await.unwrap_err();
            assert!(format!("{error}").contains(why), "{error}");
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }
}
