//! Judges access files: what a server of the pinned version reads in them, what is dangerous, what is expected.

use std::collections::{BTreeMap, BTreeSet};

use super::logins::{Answer, Door, can_try};
use super::texts::{Question, Texts};
use super::trial::Trial;
use crate::engine::project::Project;
use crate::error::{Error, Location, Result};
use crate::model::access::Expectation;
use crate::model::config::Config;
use crate::model::hba::{
    self, Accepted, Attempt, Files, Finding, First, Known, Level, Name, Parsed, Peer, Refusal, accepted, findings,
    first,
};
use crate::model::sql::literal;

/// One file, judged.
#[derive(Debug)]
pub struct Judged {
    /// The file with what it takes in.
    pub files: Files,
    /// The environments that it counts for.
    pub environments: Vec<String>,
    /// The rules.
    pub parsed: Parsed,
    /// What is dangerous.
    pub findings: Vec<Finding>,
    /// What became of each expectation.
    pub outcomes: Vec<Outcome>,
    /// Acceptances that accept nothing.
    pub idle: Vec<Accepted>,
}

/// What became of an expectation.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its line in the file of expectations.
    pub line: usize,
    /// Who, from where: "`app` to `shop` from 10.1.2.3 with TLS".
    pub about: String,
    /// "`scram-sha-256`" or "refused".
    pub wanted: String,
    /// What happens instead; none where it holds.
    pub instead: Option<String>,
    /// The rule that decides, as `path:line`.
    pub rule: Option<String>,
    /// How it was found out: a real login, or the first match alone, and why.
    pub login: std::result::Result<(), String>,
}

/// Everything that was judged.
#[derive(Debug)]
pub struct Report {
    /// The files.
    pub judged: Vec<Judged>,
    /// "PostgreSQL 15.20"
    pub server: String,
    /// The path of the expectations.
    pub access: String,
    /// What should be said.
    pub notes: Vec<String>,
}

impl Report {
    /// Everything that is an error, in the order of the files; `strict` makes errors of warnings.
    pub fn faults(&self, strict: bool) -> Vec<Error> {
        let mut faults = Vec::new();
        for one in &self.judged {
            let at = |path: &str, line: usize| Location::new(path, line, 0);
            for refusal in one.parsed.refusals.iter().filter(|refusal| strict || !refusal.harmless) {
                faults.push(self.refused(refusal));
            }
            for finding in one.findings.iter().filter(|finding| finding.accepted.is_none()) {
                if strict || finding.level == Level::Error {
                    let error = Error::failed(&finding.message).at(at(&finding.path, finding.line));
                    faults.push(error.help(format!("{} {}", finding.remedy, acceptance(finding))));
                }
            }
            for outcome in &one.outcomes {
                if let Some(instead) = &outcome.instead {
                    let message = format!("{} should be {}", outcome.about, outcome.wanted);
                    faults.push(Error::failed(message).at(at(&self.access, outcome.line)).cause(instead));
                }
            }
            if strict {
                faults.extend(one.idle.iter().map(|one| {
                    Error::failed("`dbbuild:accept` accepts nothing").at(at(&one.path, one.line)).help("remove it.")
                }));
            }
        }
        faults
    }

    fn refused(&self, refusal: &Refusal) -> Error {
        let what = if refusal.line == 0 { "file" } else { "line" };
        let error = Error::failed(format!("{} does not take this {what}", self.server)).cause(&refusal.message);
        let error = error.at(Location::new(&refusal.path, refusal.line, 0));
        match refusal.message.contains('\u{feff}') {
            true => error.help("the file begins with a byte order mark: save it as UTF-8 without one."),
            false => error,
        }
    }
}

/// How a finding is accepted, for a message.
pub fn acceptance(finding: &Finding) -> String {
    format!("If it is meant, say so in the line before: `# dbbuild:accept {} REASON`.", finding.code.as_str())
}

/// Whether expectations are tried by real logins, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logins {
    /// Where that can be done.
    Tried,
    /// The first match alone counts.
    Left,
}

/// Judges the file of one environment on disk, or those of all.
///
/// # Errors
/// There is nothing to judge, or no server to judge it. What is wrong with a file is in the report.
pub async fn check(project: &Project, environment: Option<&str>) -> Result<Report> {
    let texts = Texts::on_disk(project);
    let question = texts.question(environment)?;
    if environment.is_none() {
        texts.no_strays(&question)?;
    }
    if question.files.is_empty() {
        return Err(texts.no_file(&project.config.default_env));
    }
    answer(&project.config, &question, Logins::Tried).await
}

/// Judges files that were read.
///
/// # Errors
/// There is no server to judge them.
pub async fn answer(config: &Config, question: &Question, logins: Logins) -> Result<Report> {
    let mut judged = Vec::new();
    let (mut server, mut notes) = (String::new(), Vec::new());
    for (files, environments) in &question.files {
        // A server each: one that follows a file lets in whom that file says.
        let mut trial = Trial::start(config, logins).await?;
        server = trial.version();
        notes.extend(trial.notes());
        let one = judge(&mut trial, files, environments, question, logins).await;
        trial.end().await;
        judged.push(one?);
    }
    notes.dedup();
    Ok(Report { judged, server, access: config.paths.access.clone(), notes })
}

async fn judge(
    trial: &mut Trial,
    files: &Files,
    environments: &[String],
    question: &Question,
    logins: Logins,
) -> Result<Judged> {
    let mut known = question.known.clone();
    let parsed = trial.parse(files).await?;
    let (accepted, faults) = acceptances(files);
    Error::all(faults).map_or(Ok(()), Err)?;
    let expected: Vec<&Expectation> = question
        .expectations
        .iter()
        .filter(|one| match environments {
            [] => one.holds_in(None),
            names => names.iter().any(|name| one.holds_in(Some(name))),
        })
        .collect();
    known.patterns = patterns(trial, &parsed, &expected).await?;
    let findings = findings(&parsed.rules, &accepted, &known);
    let idle = accepted
        .into_iter()
        .filter(|one| !findings.iter().any(|f| f.path == one.path && f.line == one.rule && one.codes.contains(&f.code)))
        .collect();
    // Rules after one that is refused would be tried without it.
    let broken = parsed.refusals.iter().any(|refusal| !refusal.harmless);
    let outcomes = if broken { Vec::new() } else { outcomes(trial, &parsed, files, &expected, &known, logins).await? };
    let (files, environments) = (files.clone(), environments.to_vec());
    Ok(Judged { files, environments, parsed, findings, outcomes, idle })
}

fn acceptances(files: &Files) -> (Vec<Accepted>, Vec<Error>) {
    let (mut all, mut faults) = (Vec::new(), Vec::new());
    for (path, text) in &files.texts {
        let (found, wrong) = accepted(&files.path(path), text);
        all.extend(found);
        faults.extend(wrong);
    }
    (all, faults)
}

/// Has the server say which names fit the patterns of the rules.
async fn patterns(
    trial: &Trial,
    parsed: &Parsed,
    expected: &[&Expectation],
) -> Result<BTreeMap<(String, String), bool>> {
    let names = || parsed.rules.iter().flat_map(|rule| rule.databases.iter().chain(&rule.users));
    let patterns: BTreeSet<&str> =
        names().filter_map(|name| if let Name::Pattern(text) = name { Some(text.as_str()) } else { None }).collect();
    let mut plain: BTreeSet<&str> =
        names().filter_map(|name| if let Name::Plain(text) = name { Some(text.as_str()) } else { None }).collect();
    for attempt in expected.iter().flat_map(|one| &one.attempts) {
        plain.insert(&attempt.user);
        plain.extend(attempt.database.as_deref());
    }
    let mut fits = BTreeMap::new();
    for pattern in patterns {
        for name in &plain {
            let sql = format!("SELECT {} COLLATE \"C\" ~ {}", literal(name), literal(pattern));
            // A pattern that cannot be understood is refused with its line.
            let Ok(rows) = trial.session().query_rows(&sql).await else { continue };
            let fit = rows.first().and_then(|row| row.first().cloned().flatten()).as_deref() == Some("t");
            fits.insert((pattern.to_owned(), (*name).to_owned()), fit);
        }
    }
    Ok(fits)
}

async fn outcomes(
    trial: &Trial,
    parsed: &Parsed,
    files: &Files,
    expected: &[&Expectation],
    known: &Known,
    logins: Logins,
) -> Result<Vec<Outcome>> {
    let attempts = || expected.iter().flat_map(|one| &one.attempts);
    let on_loopback = |attempt: &Attempt| match attempt.peer {
        Peer::Local => true,
        Peer::Tcp { address, .. } => address.is_loopback(),
    };
    let door = match logins == Logins::Tried && attempts().any(on_loopback) {
        true => Door::open(trial, parsed, files, attempts().filter(|one| on_loopback(one)), known).await?,
        false => None,
    };
    let mut outcomes = Vec::new();
    for one in expected {
        for attempt in &one.attempts {
            let found = first(&parsed.rules, attempt, known);
            let decided = decided(parsed, &found);
            let asked = match (&door, &decided) {
                (_, Err(why)) => Answer::NotTried(why.clone()),
                (None, _) if on_loopback(attempt) => {
                    Answer::NotTried("the container is not kept, so its log cannot be read".to_owned())
                }
                (Some(door), Ok(tried)) if on_loopback(attempt) => match tried {
                    Some((method, options)) if !can_try(method, options) => {
                        Answer::NotTried(format!("`{method}` asks more than the server"))
                    }
                    _ => door.ask(attempt).await?,
                },
                _ => Answer::NotTried("its address is not one of the loopback".to_owned()),
            };
            outcomes.push(outcome(one, attempt, parsed, &found, asked));
        }
    }
    Ok(outcomes)
}

type Decision = std::result::Result<Option<(String, Vec<String>)>, String>;

/// Method and options that decide; none for a refusal.
fn decided(parsed: &Parsed, found: &First) -> Decision {
    match found {
        First::Nothing => Ok(None),
        First::Rule(at) => Ok(parsed.rules.get(*at).map(|rule| (rule.method.clone(), rule.options.clone()))),
        First::Unclear(_, why) => Err(why.clone()),
    }
}

/// What decides about an attempt: the method, none for a refusal, and the place of the rule where one is known.
type Verdict = (Option<String>, Option<String>);

fn outcome(one: &Expectation, attempt: &Attempt, parsed: &Parsed, found: &First, answer: Answer) -> Outcome {
    let place = |at: usize| parsed.rules.get(at).map(hba::Rule::place);
    let (by_login, login) = by_login(answer);
    let (instead, rule) = match found {
        First::Unclear(at, why) => {
            let place = place(*at).unwrap_or_default();
            (Some(format!("whether {place} decides cannot be told here: {why}")), None)
        }
        First::Nothing => weigh(one, (None, None), by_login),
        First::Rule(at) => {
            let method = parsed.rules.get(*at).map(|rule| rule.method.clone()).filter(|method| method != "reject");
            weigh(one, (method, place(*at)), by_login)
        }
    };
    Outcome { line: one.line, about: about(attempt), wanted: one.wanted(), instead, rule, login }
}

fn by_login(answer: Answer) -> (Option<Verdict>, std::result::Result<(), String>) {
    match answer {
        Answer::NotTried(why) => (None, Err(why)),
        Answer::Refused => (Some((None, None)), Ok(())),
        Answer::Method(method, line) => {
            let place = line.map(|(path, number)| format!("{path}:{number}"));
            (Some((Some(method).filter(|method| method != "reject"), place)), Ok(()))
        }
    }
}

/// What happens instead of what is expected, and the rule that decides. A login counts more than the first match; where
/// they differ, nothing is fulfilled.
fn weigh(one: &Expectation, matched: Verdict, real: Option<Verdict>) -> (Option<String>, Option<String>) {
    let Some((method, place)) = real else {
        return ((matched.0 != one.method).then(|| in_words(&matched)), matched.1);
    };
    let agree = method == matched.0 && (place.is_none() || place == matched.1);
    let real = (method, if place.is_none() && agree { matched.1.clone() } else { place });
    let instead = match agree {
        true => (real.0 != one.method).then(|| format!("at a real login {}", in_words(&real))),
        false => Some(format!("at a real login {}, where {}", in_words(&real), in_words(&matched))),
    };
    (instead, real.1)
}

fn in_words((method, place): &Verdict) -> String {
    match (method, place) {
        (None, None) => "no line fits, so it is refused".to_owned(),
        (None, Some(place)) => format!("{place} refuses it"),
        (Some(method), place) => format!("{} decides by `{method}`", place.as_deref().unwrap_or("a line")),
    }
}

fn about(attempt: &Attempt) -> String {
    let to = attempt.database.as_ref().map_or_else(|| "replication".to_owned(), |name| format!("`{name}`"));
    let from = match attempt.peer {
        Peer::Local => "through the socket".to_owned(),
        Peer::Tcp { address, tls: true } => format!("from {address} with TLS"),
        Peer::Tcp { address, tls: false } => format!("from {address} without TLS"),
    };
    format!("`{}` to {to} {from}", attempt.user)
}
