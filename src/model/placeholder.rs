//! Placeholders: `${name}` in a file of SQL stands for a value of the configuration or of an environment variable.
//!
//! A script is filled before it runs, with the places of its own text kept: messages tell lines of the file, and what is
//! stored is the text as it stands there. `${:name}` stands for the text `${name}` itself. `$${` is a dollar quote and a
//! brace. No value of an environment variable is shown: [`Values::mask`] puts the placeholder in its place.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::model::config::{Config, Placeholder};
use crate::model::conninfo::Environ;
use crate::model::plan::{Plan, Step};
use crate::model::script::Script;
use crate::model::sources::Sources;

/// A value shorter than this is masked only where it stands as a word of its own: it may be part of any other word.
const SHORT: usize = 6;

/// The values that hold for one database.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Values {
    /// Files are filled that do not say otherwise.
    active: bool,
    values: BTreeMap<String, Value>,
}

#[derive(Clone, PartialEq, Eq)]
enum Value {
    Given {
        text: String,
        secret: bool,
    },
    /// Why there is none.
    Unset(String),
}

/// Secrets are not shown.
impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.values.keys()).finish()
    }
}

impl Values {
    /// The values of an environment.
    pub fn of_environment(config: &Config, name: &str, environ: &Environ) -> Values {
        Values::of(config, Some(name), |placeholder| match placeholder {
            Placeholder::Value(text) => Value::Given { text: text.clone(), secret: false },
            Placeholder::Env { env, default, .. } => match (environ.get(env), default) {
                (Some(text), _) => Value::Given { text: text.to_owned(), secret: true },
                (None, Some(text)) => Value::Given { text: text.clone(), secret: false },
                (None, None) => Value::Unset(format!("the environment variable {env} is not set")),
            },
        })
    }

    /// The values of a proof, the same on every machine: no environment variable is read.
    pub fn of_proof(config: &Config, environment: Option<&str>) -> Values {
        Values::of(config, environment, |placeholder| match placeholder {
            Placeholder::Value(text) => Value::Given { text: text.clone(), secret: false },
            Placeholder::Env { env, default, proof } => match proof.as_ref().or(default.as_ref()) {
                Some(text) => Value::Given { text: text.clone(), secret: false },
                None => Value::Unset(format!(
                    "it comes from the environment variable {env}, which a proof does not read: give `proof = \"…\"` or a \
                     default beside it"
                )),
            },
        })
    }

    fn of(config: &Config, environment: Option<&str>, value: impl Fn(&Placeholder) -> Value) -> Values {
        let own = environment.and_then(|name| config.env.get(name)).map(|env| &env.placeholders);
        let all = config.placeholders.iter().chain(own.into_iter().flatten());
        let values: BTreeMap<String, Value> = all.map(|(name, one)| (name.clone(), value(one))).collect();
        Values { active: !values.is_empty(), values }
    }

    /// Everything that a proof's outcome depends on, as text; empty where there are no placeholders.
    pub fn digest_part(&self) -> String {
        let mut out = String::new();
        for (name, value) in &self.values {
            if let Value::Given { text, .. } = value {
                out.push_str(&format!(" {name}={text:?}"));
            }
        }
        out
    }

    /// The text with placeholders in place of the values of environment variables.
    pub fn mask(&self, text: &str) -> String {
        let mut secrets: Vec<(&str, &str)> = self.secrets().collect();
        secrets.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        secrets.into_iter().fold(text.to_owned(), |text, (name, value)| mask_one(&text, name, value))
    }

    /// An error that shows no value of an environment variable.
    #[must_use]
    pub fn mask_error(&self, error: Error) -> Error {
        if self.secrets().next().is_none() { error } else { error.map_texts(&|text| self.mask(text)) }
    }

    fn secrets(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().filter_map(|(name, value)| match value {
            Value::Given { text, secret: true } if !text.trim().is_empty() => Some((name.as_str(), text.as_str())),
            _ => None,
        })
    }

    /// Fills a script.
    ///
    /// # Errors
    /// Every placeholder without a value, with its place.
    pub fn fill(&self, script: &mut Script) -> Result<()> {
        self.fill_where(script, true)
    }

    /// Fills what the version table kept. Whether its file had placeholders filled is not known any more: a name without
    /// a value stays as it is.
    pub fn fill_kept(&self, script: &mut Script) {
        // Without strictness there is no error.
        let _ = self.fill_where(script, false);
    }

    fn fill_where(&self, script: &mut Script, strict: bool) -> Result<()> {
        if !script.means.placeholders.unwrap_or(self.active) || !script.text.contains("${") {
            return Ok(());
        }
        let (mut out, mut edits, mut faults) = (String::new(), Vec::new(), Vec::new());
        let mut at = 0;
        for found in placeholders(&script.text) {
            let name = &script.text[found.name.clone()];
            let text = match (found.escaped, self.values.get(name)) {
                (true, _) => format!("${{{name}}}"),
                (false, Some(Value::Given { text, .. })) => text.clone(),
                (false, _) if !strict => continue,
                (false, value) => {
                    faults.push(self.unset(name, value).at(script.location(found.range.start)));
                    continue;
                }
            };
            out.push_str(&script.text[at..found.range.start]);
            edits.push(Edit { filled: out.len()..out.len() + text.len(), source: found.range.clone() });
            out.push_str(&text);
            at = found.range.end;
        }
        Error::all(faults).map_or(Ok(()), Err)?;
        if edits.is_empty() {
            return Ok(());
        }
        out.push_str(&script.text[at..]);
        let filled = Filled { source: Arc::clone(&script.text), edits };
        for batch in &mut script.means.batches {
            batch.offset = filled.filled_offset(batch.offset);
        }
        script.text = Arc::from(out);
        script.means.filled = Some(Arc::new(filled));
        Ok(())
    }

    fn unset(&self, name: &str, value: Option<&Value>) -> Error {
        let error = Error::failed(format!("the placeholder ${{{name}}} has no value"));
        match value {
            Some(Value::Unset(why)) => error.cause(why),
            _ => error.help(format!(
                "give it in dbbuild.toml: `[placeholders] {name} = \"…\"`; for the text itself write `${{:{name}}}`, or \
                 `-- dbbuild:placeholders false` in the file's header"
            )),
        }
    }

    /// Fills everything that a plan runs.
    ///
    /// # Errors
    /// Every placeholder without a value, with its place; nothing was run.
    pub fn fill_plan(&self, plan: &mut Plan) -> Result<()> {
        let mut faults = Vec::new();
        for step in &mut plan.steps {
            match step {
                Step::Migration { migration, .. } => {
                    faults.extend(self.fill(&mut migration.up).err());
                    for precondition in &mut migration.settings.preconditions {
                        faults.extend(self.fill(&mut precondition.query).err());
                    }
                }
                Step::Reload(reload) => faults.extend(self.fill(&mut reload.file.script).err()),
                Step::File { file, .. } | Step::Check { file } => faults.extend(self.fill(&mut file.script).err()),
                Step::TakeBack(back) => self.fill_kept(&mut back.down),
                _ => {}
            }
        }
        Error::all(faults.into_iter().map(|fault| fault.help("nothing was run."))).map_or(Ok(()), Err)
    }
}

/// The sources as a proof runs them.
///
/// # Errors
/// Every placeholder without a value, with its place.
pub fn fill_for_proof(config: &Config, sources: &Sources) -> Result<Sources> {
    let mut sources = sources.clone();
    let values = Values::of_proof(config, None);
    let mut faults = Vec::new();
    for migration in &mut sources.migrations {
        faults.extend(values.fill(&mut migration.up).err());
        faults.extend(migration.down.as_mut().and_then(|down| values.fill(down).err()));
        for precondition in &mut migration.settings.preconditions {
            faults.extend(values.fill(&mut precondition.query).err());
        }
    }
    for migration in &mut sources.apart {
        // What it is limited to, it is tried with: the values of the first of its environments.
        let values = Values::of_proof(config, migration.settings.apart.environments.first().map(String::as_str));
        faults.extend(values.fill(&mut migration.up).err());
        for precondition in &mut migration.settings.preconditions {
            faults.extend(values.fill(&mut precondition.query).err());
        }
    }
    let files = sources.repeatable.iter_mut().chain(&mut sources.init).chain(&mut sources.checks);
    for file in files.chain(sources.testdata.values_mut().flatten()) {
        faults.extend(values.fill(&mut file.script).err());
    }
    for (environment, files) in &mut sources.env_init {
        let values = Values::of_proof(config, Some(environment));
        faults.extend(files.iter_mut().filter_map(|file| values.fill(&mut file.script).err()));
    }
    Error::all(faults).map_or(Ok(sources), Err)
}

/// Whether a name can stand between the braces.
pub fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | ':'))
}

/// A text that was filled, and where.
#[derive(Clone, PartialEq, Eq)]
pub struct Filled {
    source: Arc<str>,
    edits: Vec<Edit>,
}

/// The text is shown as it stands in the file.
impl fmt::Debug for Filled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filled").field(&self.source).finish()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Edit {
    filled: Range<usize>,
    source: Range<usize>,
}

impl Filled {
    /// The text before.
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// Where a byte of the filled text comes from; within a value, where its placeholder begins.
    pub fn source_offset(&self, at: usize) -> usize {
        let Some(edit) = self.edits.iter().rev().find(|edit| edit.filled.start <= at) else { return at };
        if at < edit.filled.end { edit.source.start } else { edit.source.end + (at - edit.filled.end) }
    }

    /// A part of the filled text as it stands in the file.
    pub fn source_of(&self, range: Range<usize>) -> &str {
        let end = match self.edits.iter().find(|edit| edit.filled.start < range.end && range.end <= edit.filled.end) {
            Some(edit) => edit.source.end,
            None => self.source_offset(range.end),
        };
        self.source.get(self.source_offset(range.start)..end).unwrap_or_default()
    }

    fn filled_offset(&self, at: usize) -> usize {
        let Some(edit) = self.edits.iter().rev().find(|edit| edit.source.start <= at) else { return at };
        if at < edit.source.end { edit.filled.start } else { edit.filled.end + (at - edit.source.end) }
    }
}

struct Found {
    range: Range<usize>,
    name: Range<usize>,
    escaped: bool,
}

/// Every `${name}` and `${:name}` of a text, in order.
fn placeholders(text: &str) -> impl Iterator<Item = Found> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(found) = text.get(at..)?.find("${") {
            let start = at + found;
            at = start + 2;
            // An even number of dollars is a dollar quote, and the brace is its text.
            let dollars = text[..start].bytes().rev().take_while(|b| *b == b'$').count();
            let Some(close) = text[at..].find('}').map(|close| at + close) else { continue };
            let inner = &text[at..close];
            let (escaped, name) = inner.strip_prefix(':').map_or((false, inner), |name| (true, name));
            if dollars.is_multiple_of(2) && is_name(name) {
                let range = start..close + 1;
                let name = close - name.len()..close;
                at = close + 1;
                return Some(Found { range, name, escaped });
            }
        }
        None
    })
}

fn mask_one(text: &str, name: &str, value: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(value) {
        let end = at + value.len();
        let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let before = rest[..at].chars().next_back().or(out.chars().next_back().filter(|_| at == 0));
        let part_of_word = value.chars().count() < SHORT && (is_part(before) || is_part(rest[end..].chars().next()));
        out.push_str(&rest[..at]);
        match part_of_word {
            true => out.push_str(value),
            false => out.push_str(&format!("${{{name}}}")),
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(config: &str, environ: &[(&str, &str)]) -> Values {
        let config = Config::parse(config, "dbbuild.toml").unwrap();
        Values::of_environment(&config, "development", &environ.iter().copied().collect())
    }

    fn filled(values: &Values, text: &str) -> Result<Script> {
        let mut script = Script::of_section("a.sql", 3, text);
        values.fill(&mut script).map(|()| script)
    }

    const CONFIG: &str = "[placeholders]\na = \"AA\"\nlong = { env = \"LONG\", default = \"d\" }\n\
                          none = { env = \"NONE\" }\nn = 5\n[env.development.placeholders]\na = \"BB\"\n\"x:y.z\" = \"\"\n";

    #[test]
    fn values_stand_in_place_of_their_names_and_places_stay_those_of_the_file() {
        let values = values(CONFIG, &[("LONG", "quite a long value")]);
        let script = filled(&values, "SELECT '${a}', ${n};\nSELECT ${long}|${x:y.z}| x;").unwrap();
        assert_eq!(&*script.text, "SELECT 'BB', 5;\nSELECT quite a long value|| x;");
        let at = script.text.rfind('x').unwrap();
        assert_eq!(script.location(at).to_string(), "a.sql:4:26");
        assert_eq!(script.location(script.text.find("long").unwrap()).to_string(), "a.sql:4:8");
        assert_eq!(&**script.source(), "SELECT '${a}', ${n};\nSELECT ${long}|${x:y.z}| x;");
        let statements = script.split().unwrap();
        assert_eq!(script.source_of(statements[1].range.clone()), "SELECT ${long}|${x:y.z}| x");
        assert_eq!(filled(&values, "SELECT ${n}").map(|s| s.source_of(0..8).to_owned()).unwrap(), "SELECT ${n}");
    }

    #[test]
    fn what_only_looks_like_one_stays() {
        let values = values(CONFIG, &[]);
        for (text, expected) in [
            ("${:a} $${a}$$ $$${a}$$", "${a} $${a}$$ $$BB$$"),
            ("$a {a} ${ a} ${a b} ${", "$a {a} ${ a} ${a b} ${"),
            ("${long}", "d"),
        ] {
            assert_eq!(&*filled(&values, text).unwrap().text, expected, "{text}");
        }
        let mut script = Script::of_file("a.sql", "${a}");
        script.means.placeholders = Some(false);
        values.fill(&mut script).unwrap();
        assert_eq!(&*script.text, "${a}");
        assert_eq!(&*filled(&Values::default(), "${a}").unwrap().text, "${a}");
    }

    #[test]
    fn what_has_no_value_is_told_with_its_place() {
        let values = values(CONFIG, &[]);
        let error = filled(&values, "SELECT 1,\n ${none} ${nowhere};").unwrap_err();
        let expected = "the placeholder ${none} has no value at a.sql:4:2: the environment variable NONE is not set";
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.others()[0].to_string(), "the placeholder ${nowhere} has no value at a.sql:4:10");
        let config = Config::parse(CONFIG, "dbbuild.toml").unwrap();
        let error = filled(&Values::of_proof(&config, None), "${none}").unwrap_err();
        assert!(error.causes()[0].contains("NONE, which a proof does not read"), "{error:?}");
    }

    #[test]
    fn no_value_of_an_environment_variable_is_shown() {
        let values = values(CONFIG, &[("LONG", "s3cret!"), ("NONE", "ab")]);
        assert_eq!(values.mask("xs3cret!y \"ab\" cab ab"), "x${long}y \"${none}\" cab ${none}");
        let error = Error::failed("s3cret! failed").cause("at s3cret!").detail("LINE 1: s3cret!").help("ab");
        let shown = format!("{:?}", values.mask_error(error));
        assert!(!shown.contains("s3cret") && !format!("{values:?}").contains("s3cret"), "{shown}");
    }
}
