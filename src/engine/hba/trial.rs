//! A throwaway server that reads access files: the real parser, of the pinned version.
//!
//! Files get there through SQL alone, so that it is the same for local programs and Docker. A file is read where it lies
//! and takes no effect; only [`Trial::load`] makes the server follow it, and nobody can log in as a superuser then.

use std::time::Duration;

use rcgen::generate_simple_self_signed;

use super::check::Logins;
use super::reach::Reach;
use super::view;
use crate::engine::prove::ThrowawayPlan;
use crate::engine::server::Throwaway;
use crate::engine::session::{self, ConnectOptions, Session};
use crate::error::{Error, OrFailed, Result};
use crate::model::config::Config;
use crate::model::hba::{Files, Parsed};
use crate::model::sql::literal;

/// How long a server may take to read its configuration again.
const RELOAD_LIMIT: Duration = Duration::from_secs(10);

/// The name of the file there, whatever its name is in the repository.
pub(super) const MAIN: &str = "pg_hba.conf";

/// See the module's page.
pub(super) struct Trial {
    server: Throwaway,
    notes: Vec<String>,
    session: Session,
    folder: String,
    /// Whether it was built with TLS.
    tls: bool,
    /// What was put there last, to be removed.
    written: Vec<String>,
}

impl Trial {
    /// Starts one.
    ///
    /// # Errors
    /// There are no programs and no Docker, or another version than is pinned.
    pub async fn start(config: &Config, logins: Logins) -> Result<Trial> {
        let (options, notes) = ThrowawayPlan::for_access(config).await?;
        let server = Throwaway::start(&options).await?;
        let session = session::connect(&server.address().settings("postgres"), &ConnectOptions::default()).await?;
        if let Some(pinned) = config.postgres.version.filter(|pinned| *pinned != session.server_version()) {
            let major = session.server_version();
            return Err(Error::failed(format!("the throwaway server runs PostgreSQL {major}, but {pinned} is pinned")));
        }
        let shown = session.query_rows("SELECT pg_catalog.current_setting('hba_file')").await?;
        let file = shown.first().and_then(|row| row.first().cloned().flatten()).unwrap_or_default();
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let mut trial = Trial { server, notes, session, folder, tls: true, written: Vec::new() };
        if logins == Logins::Tried {
            trial.offer_tls().await?;
        }
        Ok(trial)
    }

    /// "PostgreSQL 15.20"
    pub fn version(&self) -> String {
        let number = self.session.server_version_num();
        format!("PostgreSQL {}.{}", number / 10_000, number % 10_000)
    }

    /// What should be said once about the choice of the server.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.notes.clone();
        if !self.tls {
            notes.push(format!("{} is built here without TLS: no login with it is tried", self.version()));
        }
        notes
    }

    /// Where its file lies.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// Whether it speaks TLS.
    pub fn has_tls(&self) -> bool {
        self.tls
    }

    /// The session that stays open, whatever the rules say.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// How it is reached from its loopback and its socket; `None` where nobody can read what it logs.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn reach(&self) -> Result<Option<Reach>> {
        match self.server.inside() {
            Some(inside) => Reach::of(inside, &self.session).await.map(Some),
            None => Ok(None),
        }
    }

    /// Has the server read a file with all that it takes in.
    ///
    /// # Errors
    /// The file does not get there; what is wrong in it is in the value.
    pub async fn parse(&mut self, files: &Files) -> Result<Parsed> {
        self.put(files).await?;
        let mut parsed = view::read(&self.session, &self.folder, files).await?;
        if !self.tls {
            // That lines about TLS never fit is true of this server alone.
            parsed.refusals.retain(|refusal| !refusal.harmless);
        }
        Ok(parsed)
    }

    /// Has the server follow the file that it read last.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn load(&self) -> Result<()> {
        self.session.simple("ALTER ROLE postgres NOLOGIN").await?;
        reload(&self.session).await
    }

    /// Ends it.
    pub async fn end(self) {
        self.session.close().await;
        self.server.remove().await;
    }

    async fn put(&mut self, files: &Files) -> Result<()> {
        let old = std::mem::take(&mut self.written);
        self.run_program("rm -f --", &old).await?;
        let mut folders: Vec<String> =
            files.texts.keys().filter_map(|path| Some(self.place(path.rsplit_once('/')?.0))).collect();
        folders.dedup();
        self.run_program("mkdir -p --", &folders).await?;
        for (path, text) in &files.texts {
            let main = path == files.name();
            let place = if main { self.place(MAIN) } else { self.place(path) };
            self.write(&place, text).await?;
            if !main {
                self.written.push(place);
            }
        }
        Ok(())
    }

    fn place(&self, path: &str) -> String {
        format!("{}/{path}", self.folder)
    }

    async fn write(&self, place: &str, text: &str) -> Result<()> {
        let sql = format!(
            "BEGIN; SELECT pg_catalog.lo_from_bytea(1, pg_catalog.decode('{}', 'hex')); \
             SELECT pg_catalog.lo_export(1, {}); ROLLBACK",
            text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>(),
            literal(place)
        );
        self.session.simple(&sql).await.map(drop)
    }

    async fn run_program(&self, program: &str, places: &[String]) -> Result<()> {
        if places.is_empty() {
            return Ok(());
        }
        let words = places.iter().fold(program.to_owned(), |all, place| format!("{all} {}", shell_word(place)));
        self.session.simple(&format!("COPY (SELECT 1 WHERE false) TO PROGRAM {}", literal(&words))).await.map(drop)
    }

    /// A certificate of its own, so that lines about TLS are read, and tried, as on a server that has it.
    async fn offer_tls(&mut self) -> Result<()> {
        let made = generate_simple_self_signed(["localhost".to_owned()]).or_failed(|| "cannot make a certificate")?;
        let (certificate, key) = (self.place("server.crt"), self.place("server.key"));
        self.write(&certificate, &made.cert.pem()).await?;
        self.write(&key, "").await?;
        self.run_program("chmod 600 --", std::slice::from_ref(&key)).await?;
        self.write(&key, &made.signing_key.serialize_pem()).await?;
        self.session.simple("ALTER SYSTEM SET log_connections = on").await?;
        match self.session.simple("ALTER SYSTEM SET ssl = on").await {
            // "SSL is not supported by this build"
            Err(error) if error.code() == Some("22023") => self.tls = false,
            other => drop(other?),
        }
        reload(&self.session).await
    }
}

/// Has a server read its configuration and access file again, and waits until it has. A connection that is opened after
/// that is judged by the new rules: the server tells its sessions before it takes the next connection.
///
/// # Errors
/// The role may not, or the server does not answer.
pub(super) async fn reload(session: &Session) -> Result<()> {
    const LOADED: &str = "SELECT pg_catalog.pg_conf_load_time()::text";
    let before = session.query_rows(LOADED).await?;
    session.simple("SELECT pg_catalog.pg_reload_conf()").await?;
    let end = tokio::time::Instant::now() + RELOAD_LIMIT;
    while session.query_rows(LOADED).await? == before {
        if tokio::time::Instant::now() > end {
            return Err(Error::failed(format!(
                "the server did not read its configuration again within {} s",
                RELOAD_LIMIT.as_secs()
            )));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
