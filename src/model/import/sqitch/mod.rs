//! Sqitch: a plan with deploy, revert and verify scripts.
//!
//! Each change of the plan becomes a migration in the plan's order, its revert script the down part. The key of a change
//! is its id in `sqitch.changes`, computed from the plan, and its checksum the SHA-1 of the deploy script. A verify script
//! passes by raising no error, a check of dbbuild by returning no row: only scripts for which both are one are carried
//! over.

mod conf;
mod plan;
pub use plan::sha1_hex;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::bookkeeping::{Bookkeeping, Meaning};
use super::input::ToolFile;
use super::{Body, Imported, Input, Key, Part, Piece, Remark, ScriptPiece, Tool, meta};
use crate::error::{Error, Location, Result};
use crate::model::directive::FileKind;
use crate::model::migration::decode;
use crate::model::script::Script;
use crate::model::sql::{self, StatementKind, identifier};
use conf::{Conf, Places};
use plan::{Change, Plan};

/// See [`super::TOOLS`].
pub const TOOL: Tool = Tool {
    name: "sqitch",
    places: &["sqitch.conf", "sqitch.plan", "db/sqitch.plan", "sqitch/sqitch.plan", "database/sqitch.plan"],
    beside: &["sqitch.conf"],
    scope: Some(scope),
    convert,
    bookkeeping: Some(&Bookkeeping {
        table: "sqitch.changes",
        query: "SELECT change_id, script_hash, NULL::text FROM {table} ORDER BY committed_at, change_id",
        meaning: Meaning::Each,
    }),
};

const CONF: &str = "sqitch.conf";

/// The configuration that applies to a place, its path, and where it says that everything is.
fn configuration(input: &Input) -> Result<(Conf, String, Places)> {
    let folder = match input.place.strip_suffix("sqitch.plan").or_else(|| input.place.strip_suffix(CONF)) {
        Some(folder) => folder.trim_end_matches('/'),
        None => input.place,
    };
    // Sqitch is run where its configuration is; a plan in a folder of its own may be named by one at the top.
    let here = if folder.is_empty() { CONF.to_owned() } else { format!("{folder}/{CONF}") };
    let at_top = folder != input.place && input.get(&here).is_none() && input.get(CONF).is_some();
    let (path, folder) = if at_top { (CONF.to_owned(), "") } else { (here, folder) };
    let conf = match input.get(&path) {
        Some(file) => conf::parse(&path, &file.text()?)?,
        None => Conf::default(),
    };
    let places = conf.places(&path, folder)?;
    Ok((conf, path, places))
}

/// A folder as a whole; of the top, or where a file is named, only what the configuration names.
fn scope(input: &Input) -> Result<Vec<String>> {
    let (_, _, places) = configuration(input)?;
    let named = std::iter::once(places.plan).chain(places.scripts).chain(places.reworked);
    let whole = !input.place.is_empty() && input.get(input.place).is_none();
    Ok(named.chain(whole.then(|| input.place.to_owned())).collect())
}

fn convert(input: &Input) -> Result<Imported> {
    let (conf, conf_path, places) = configuration(input)?;
    let Some(file) = input.get(&places.plan) else {
        return Err(Error::failed("there is no plan of Sqitch")
            .at(Location::file(&places.plan))
            .help("name the folder that holds sqitch.plan or sqitch.conf"));
    };
    let plan = plan::parse(&places.plan, &file.text()?)?;
    let mut converter = Converter { input, places: &places, plan: &plan, out: Imported::default(), faults: Vec::new() };
    plan.changes.iter().for_each(|change| converter.change(change));
    converter.configuration(&conf, &conf_path);
    match Error::all(converter.faults) {
        Some(error) => Err(error),
        None => Ok(converter.out),
    }
}

struct Converter<'a> {
    input: &'a Input<'a>,
    places: &'a Places,
    plan: &'a Plan,
    out: Imported,
    faults: Vec<Error>,
}

/// Which script of a change.
const DEPLOY: usize = 0;
const REVERT: usize = 1;
const VERIFY: usize = 2;

impl<'a> Converter<'a> {
    /// Where a script of a change is: a reworked one carries the first of its tags for which there is a deploy script.
    fn script(&self, change: &Change, which: usize) -> String {
        let tag = self.tag(change).map(|tag| format!("@{tag}")).unwrap_or_default();
        self.path(change, which, &tag)
    }

    fn path(&self, change: &Change, which: usize, tag: &str) -> String {
        let folders = if change.rework_tags.is_empty() { &self.places.scripts } else { &self.places.reworked };
        format!("{}/{}{tag}.{}", folders[which], change.name, self.places.extension)
    }

    /// The tag in the names of a reworked change's files.
    fn tag<'c>(&self, change: &'c Change) -> Option<&'c str> {
        let there = |tag: &&String| self.input.get(&self.path(change, DEPLOY, &format!("@{tag}"))).is_some();
        change.rework_tags.iter().find(there).or(change.rework_tags.first()).map(String::as_str)
    }

    fn change(&mut self, change: &Change) {
        let at = || Location::new(&self.places.plan, change.line, 0);
        let path = self.script(change, DEPLOY);
        let Some(deploy) = self.input.get(&path) else {
            self.faults.push(
                Error::failed(format!("change `{}` has no deploy script {path}", change.name))
                    .at(at())
                    .help("restore the file, or take the change out of the plan"),
            );
            return;
        };
        let revert = self.script(change, REVERT);
        let revert = self.input.get(&revert);
        let mut header = Vec::new();
        let about = self.description(change);
        if !about.is_empty() {
            header.push(format!("description {about}"));
        }
        let psql = self.meta_commands(&deploy, true);
        // psql runs what applies a migration, and nothing else.
        let revert = revert.filter(|file| !self.meta_commands(file, false));
        let both = [Some(&deploy), revert.as_ref()];
        if psql {
            header.push("psql true".to_owned());
        }
        let checksum = Some(plan::sha1_hex(&deploy.bytes));
        let part = |file: &ToolFile| {
            let transaction = psql || commits_once_at_most(file.path, &file.bytes);
            Part { bytes: file.bytes.clone(), transaction }
        };
        self.out.migrations.push(Piece {
            number: None,
            name: self.name(change),
            body: Body::Parts { header, up: part(&deploy), down: revert.as_ref().map(part) },
            origins: both.into_iter().flatten().map(|file| file.path.to_owned()).collect(),
            keys: vec![Key { key: change.id.clone(), checksum }],
        });
        for wanted in change.conflicts.iter() {
            let what = format!("change `{}` must not meet `{wanted}`: conflicts are not carried over", change.name);
            self.remark(change.line, what, "");
        }
        for wanted in change.requires.iter().filter(|wanted| wanted.contains(':')) {
            let what = format!("change `{}` requires `{wanted}` of another project: not carried over", change.name);
            self.remark(change.line, what, "what that project makes must be there before dbbuild runs");
        }
        self.verify(change);
    }

    fn remark(&mut self, line: usize, what: String, help: &str) {
        self.out.remarks.push(Remark::line(&self.places.plan, line, what, help));
    }

    /// Note and tags of a change on one line.
    fn description(&self, change: &Change) -> String {
        let mut words: Vec<String> = change.note.split_whitespace().map(str::to_owned).collect();
        words.extend(change.tags.iter().map(|tag| format!("@{tag}")));
        words.join(" ")
    }

    /// `folder-name`, and the tag before which a reworked change was that.
    fn name(&self, change: &Change) -> String {
        let name = change.name.replace('/', "-");
        match self.tag(change) {
            Some(tag) => format!("{name}_{tag}"),
            None => name,
        }
    }

    /// Whether psql is needed, with a remark on each command that needs something beside the text; in a script that
    /// reverts, on the first of all.
    fn meta_commands(&mut self, file: &ToolFile, deploys: bool) -> bool {
        let text = match file.text() {
            Ok(text) => text,
            Err(error) => {
                self.faults.push(error);
                return false;
            }
        };
        let commands = meta::commands(&text);
        let mut remark = |line: usize, what: String, help: &str| {
            self.out.remarks.push(Remark::line(file.path, line, what, help));
        };
        match commands.first() {
            Some(first) if !deploys => {
                let what =
                    format!("`{}` wants psql, which takes nothing back: the script is left as it is", first.command);
                remark(first.line, what, "write it in SQL, as the down section of the migration");
            }
            _ => {
                for command in &commands {
                    if let Some(needs) = command.needs() {
                        remark(command.line, format!("`{}` {needs}", command.command), NEEDS_HELP);
                    }
                }
            }
        }
        !commands.is_empty()
    }

    fn verify(&mut self, change: &Change) {
        let path = self.script(change, VERIFY);
        let Some(file) = self.input.get(&path) else { return };
        let reworked = !change.rework_tags.is_empty();
        match as_check(&path, &file.bytes) {
            Some(text) if !reworked => self.out.scripts.push(ScriptPiece {
                kind: FileKind::Check,
                name: format!("{}.sql", self.name(change)),
                text: Arc::from(text.into_bytes()),
                origins: vec![path],
                keys: Vec::new(),
            }),
            _ => {
                let what = if reworked {
                    "verifies a state that was reworked since: left as it is"
                } else {
                    "passes by raising no error, where a check of dbbuild is a query for what is wrong: left as it is"
                };
                let help = if reworked { "" } else { "write it as a query in db/checks, where it still matters" };
                self.out.remarks.push(Remark::file(&path, what, help));
            }
        }
    }

    /// What the configuration gives to psql and dbbuild cannot.
    fn configuration(&mut self, conf: &Conf, path: &str) {
        for section in ["core.variables", "deploy.variables", "revert.variables", "engine.pg.variables"] {
            for (name, _, line) in conf.below(section) {
                let what = format!("the variable `{name}` is not carried over");
                let help = "where a script uses it, write `\\set NAME VALUE` at its top and `-- dbbuild:psql true`";
                self.out.remarks.push(Remark::line(path, line, what, help));
            }
        }
        if let Some((registry, _)) = conf.get("engine.pg.registry").filter(|(registry, _)| *registry != "sqitch") {
            self.out.table = Some(format!("{}.changes", identifier(registry)));
        }
        if self.input.get(path).is_some() {
            let what = "was read for folders and variables; targets and users stay there";
            self.out.remarks.push(Remark::file(path, what, ""));
        }
        let what = format!("was read: its {} changes and their tags are in the migrations", self.plan.changes.len());
        self.out.remarks.push(Remark::file(&self.places.plan, what, ""));
    }
}

const NEEDS_HELP: &str = "put the file below db/include and name it so, or write the statement in SQL";

/// Whether a script is one transaction: without BEGIN and COMMIT, or wrapped as a whole. One that does not lex is left
/// to dbbuild, which says where it fails.
fn commits_once_at_most(path: &str, bytes: &[u8]) -> bool {
    let Ok(text) = decode(path, bytes) else { return true };
    let script = Script::of_file(path, &*text);
    script.body().map_or(true, |body| body.transaction_control.is_none())
}

/// The query of a verify script that selects from something `WHERE FALSE`, between BEGIN and ROLLBACK or not.
fn as_check(path: &str, bytes: &[u8]) -> Option<String> {
    let text = decode(path, bytes).ok()?;
    let statements = sql::split(&text).ok()?;
    let mut queries = Vec::new();
    for statement in &statements {
        let words = &text[statement.range.clone()];
        match statement.kind {
            StatementKind::Begin | StatementKind::Rollback => {}
            _ if selects_nothing(words) => queries.push(words),
            _ => return None,
        }
    }
    (!queries.is_empty()).then(|| queries.iter().map(|query| format!("{query};\n")).collect())
}

/// `SELECT … WHERE FALSE`: fails where a column is missing, and finds no row otherwise.
fn selects_nothing(statement: &str) -> bool {
    let words: Vec<&str> = statement.split_whitespace().collect();
    let is = |word: Option<&&str>, keyword: &str| word.is_some_and(|word| word.eq_ignore_ascii_case(keyword));
    let end = words.len();
    is(words.first(), "select")
        && end > 3
        && is(words.get(end - 1), "false")
        && is(words.get(end - 2), "where")
        && words.iter().filter(|word| word.eq_ignore_ascii_case("select")).count() == 1
}
