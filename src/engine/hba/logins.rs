//! Real logins: the server of a trial is asked who gets in, from the addresses of the loopback.
//!
//! Only methods that need nothing but the server itself are tried: no directory, no domain and no client's machine is ever
//! asked. Which line decided stands in the server's log.

use std::collections::{BTreeMap, BTreeSet};

use super::reach::Reach;
use super::trial::{MAIN, Trial};
use crate::engine::server::docker_relay::Said;
use crate::engine::server::random_token;
use crate::engine::session::{Knock, Secret, ServerError, Session, knock};
use crate::error::Result;
use crate::model::hba::{Attempt, Files, Known, Name, Parsed, Peer, known_method};
use crate::model::sql::{identifier, literal};

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It turned the connection away without asking for anything.
    Refused,
    /// It went by this method, and by the rule of this line where the log tells it.
    Method(String, Option<(String, usize)>),
    /// It was not asked, for this reason.
    NotTried(String),
}

/// A trial whose server follows a file.
pub(super) struct Door<'a> {
    reach: Reach,
    session: &'a Session,
    /// Where the file lies on the server.
    folder: String,
    parsed: &'a Parsed,
    files: &'a Files,
    password: Secret,
    /// Whether the server speaks TLS.
    tls: bool,
    /// Roles that are not as they are declared, and why.
    lacking: BTreeMap<String, String>,
}

/// Whether a rule of this method and these options can be tried here.
pub(super) fn can_try(method: &str, options: &[String]) -> bool {
    let by_server_alone = known_method(method).is_some_and(|method| method.by_server_alone);
    by_server_alone && !options.iter().any(|option| option.starts_with("clientcert="))
}

impl<'a> Door<'a> {
    /// Makes the roles, and has the server follow the file that it read last; `None` where it cannot be reached from its
    /// loopback.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn open<'t>(
        trial: &'a Trial,
        parsed: &'a Parsed,
        files: &'a Files,
        attempts: impl Iterator<Item = &'t Attempt>,
        known: &Known,
    ) -> Result<Option<Door<'a>>> {
        let Some(reach) = trial.reach().await? else { return Ok(None) };
        let password = Secret::new(random_token()?);
        let users: BTreeSet<&str> = attempts.map(|attempt| attempt.user.as_str()).collect();
        let lacking = make_roles(trial, parsed, &users, known, &password).await;
        trial.load().await?;
        let (folder, tls) = (trial.folder().to_owned(), trial.has_tls());
        Ok(Some(Door { reach, session: trial.session(), folder, parsed, files, password, tls, lacking }))
    }

    /// Knocks.
    ///
    /// # Errors
    /// TLS cannot be set up here.
    pub async fn ask(&self, attempt: &Attempt) -> Result<Answer> {
        let Some(database) = &attempt.database else {
            return Ok(Answer::NotTried("replication is not tried".to_owned()));
        };
        if let Some(why) = self.lacking.get(&attempt.user) {
            return Ok(Answer::NotTried(why.clone()));
        }
        let tls = matches!(attempt.peer, Peer::Tcp { tls: true, .. });
        if tls && !self.tls {
            return Ok(Answer::NotTried("the throwaway server is built without TLS".to_owned()));
        }
        let who = Knock { user: &attempt.user, database, password: &self.password, tls };
        let before = self.reach.log(self.session).await?;
        let (stream, said) = match self.reach.stream(attempt.peer).await? {
            Ok(opened) => opened,
            Err(why) => return Ok(Answer::NotTried(unreachable(attempt, &why))),
        };
        let answer = knock(stream, &who).await?;
        // A relay that could not get there says why; the server has heard of nobody then.
        if let Some(why) =
            said_of(said).await.filter(|_| answer.as_ref().is_err_and(|refusal| refusal.sqlstate.is_none()))
        {
            return Ok(Answer::NotTried(unreachable(attempt, &why)));
        }
        // The log is written before the client hears anything.
        let log = self.reach.log(self.session).await?;
        Ok(self.judge(&answer, log.get(before.len()..).unwrap_or_default()))
    }

    fn judge(&self, answer: &std::result::Result<(), Box<ServerError>>, log: &str) -> Answer {
        let line = self.line_in(log);
        if let Some(method) = after(log, " method=") {
            return Answer::Method(method.to_owned(), line);
        }
        let of_line = || {
            let (path, number) = line.as_ref()?;
            self.parsed.rules.iter().find(|rule| rule.path == *path && rule.line == *number)
        };
        let Err(refusal) = answer else { return Answer::Method("trust".to_owned(), line) };
        let message = refusal.message.as_str();
        let turned_away =
            ["no pg_hba.conf entry", "pg_hba.conf rejects"].iter().any(|start| message.starts_with(start));
        let gone_in = message.starts_with("database ") || message.ends_with("is not permitted to log in");
        match of_line() {
            _ if turned_away => Answer::Refused,
            Some(rule) => Answer::Method(rule.method.clone(), line),
            None if gone_in => Answer::Method("trust".to_owned(), line),
            None => Answer::NotTried(format!("the server said: {message}")),
        }
    }

    /// `(/folder/pg_hba.conf:7)`, `Connection matched pg_hba.conf line 7:`, `Connection matched file "…" line 7:`
    fn line_in(&self, log: &str) -> Option<(String, usize)> {
        let known = |name: &str| {
            let relative = name.strip_prefix(&format!("{}/", self.folder)).unwrap_or(name);
            if relative == MAIN { self.files.main.clone() } else { self.files.path(relative) }
        };
        if let Some(text) = after_text(log, " method=").and_then(|rest| after_text(rest, "(")) {
            let (file, number) = text.split_once(')')?.0.rsplit_once(':')?;
            return Some((known(file), number.parse().ok()?));
        }
        let text = after_text(log, "Connection matched ")?;
        let (file, rest) = text.split_once(" line ")?;
        let name = file.trim_start_matches("file ").trim_matches('"');
        Some((known(name), rest.split(':').next()?.parse().ok()?))
    }
}

async fn said_of(said: Option<Said>) -> Option<String> {
    said?.await.ok().filter(|why| !why.is_empty())
}

fn unreachable(attempt: &Attempt, why: &str) -> String {
    match attempt.peer {
        Peer::Local => format!("its socket cannot be had here: {why}"),
        Peer::Tcp { address, .. } => format!("{address} cannot be had here: {why}"),
    }
}

fn after_text<'t>(text: &'t str, mark: &str) -> Option<&'t str> {
    text.split_once(mark).map(|(_, rest)| rest)
}

fn after<'t>(text: &'t str, mark: &str) -> Option<&'t str> {
    after_text(text, mark)?.split(|c: char| c.is_whitespace()).next()
}

/// PostgreSQL's own roles, such as `pg_execute_server_program`. Nobody is made a member of one here: whoever a file lets in
/// without a password, every user of this machine may be for as long as the server follows it.
const POWERS: &str = "pg_";

/// Makes the roles that knock, with a password that nobody has, and those that they are members of. Gives those that
/// are not as they are declared, and why.
async fn make_roles(
    trial: &Trial,
    parsed: &Parsed,
    users: &BTreeSet<&str>,
    known: &Known,
    password: &Secret,
) -> BTreeMap<String, String> {
    let session = trial.session();
    let named = |group: &String| {
        let mut users = parsed.rules.iter().flat_map(|rule| &rule.users);
        users.any(|name| matches!(name, Name::Members(named) if named == group))
    };
    let mut lacking = BTreeMap::new();
    let groups = known.members.values().flatten().map(String::as_str);
    let declared = known.members.keys().map(String::as_str);
    for role in groups.chain(declared).collect::<BTreeSet<&str>>().difference(users) {
        // One that is there is as good.
        let _ = session.simple(&format!("CREATE ROLE {} NOLOGIN", identifier(role))).await;
    }
    for user in users {
        let name = identifier(user);
        let password = literal(password.expose());
        let made = match session.simple(&format!("CREATE ROLE {name} LOGIN PASSWORD {password}")).await {
            Err(error) if error.code() == Some("42710") => {
                session.simple(&format!("ALTER ROLE {name} PASSWORD {password}")).await
            }
            other => other,
        };
        let of_powers = known.members.get(*user).into_iter().flatten();
        if made.is_err() {
            lacking.insert((*user).to_owned(), format!("PostgreSQL takes no role `{user}`"));
        } else if let Some(group) = of_powers.filter(|group| group.starts_with(POWERS)).find(|group| named(group)) {
            lacking.insert((*user).to_owned(), format!("no throwaway makes anybody a member of `{group}`"));
        }
    }
    for (member, groups) in &known.members {
        for group in groups.iter().filter(|group| *group != member && !group.starts_with(POWERS)) {
            // Loops are refused by the server, and by the commands about roles.
            let _ = session.simple(&format!("GRANT {} TO {}", identifier(group), identifier(member))).await;
        }
    }
    lacking
}
