//! graphile-migrate: committed migrations chained by hashes, and the current one that is still being written.
//!
//! Every hash of the chain is checked as the tool checks it. The current migration becomes the last one: it is in no
//! bookkeeping, since the tool runs it again and again. `:NAME` becomes `${NAME}` where `.gmrc` says it is a placeholder.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::bookkeeping::{Bookkeeping, Meaning};
use super::input::{ToolFile, join};
use super::sqitch::sha1_hex;
use super::{Body, Imported, Input, Key, Part, Piece, Remark, Setting, Tool};
use crate::error::{Error, Location, Result};

mod settings;
#[cfg(test)]
mod tests;

use settings::Settings;

/// See [`super::TOOLS`].
pub const TOOL: Tool = Tool {
    name: "graphile-migrate",
    places: &[".gmrc", "migrations/committed", "db/migrations/committed", "database/migrations/committed"],
    beside: &[".gmrc", ".gmrc.js", ".gmrc.cjs"],
    scope: Some(scope),
    convert,
    bookkeeping: Some(&Bookkeeping {
        table: "graphile_migrate.migrations",
        query: "SELECT filename, hash, NULL::text FROM {table} ORDER BY filename",
        meaning: Meaning::Each,
    }),
};

/// The folder that holds `committed` and `current.sql`.
fn folder(input: &Input) -> Result<String> {
    let parent = |name: &str| input.place.strip_suffix(name).map(|folder| folder.trim_end_matches('/'));
    match (parent(".gmrc"), parent("committed")) {
        (Some(top), _) => settings::read(input)?.folder(top),
        (_, Some(folder)) => Ok(folder.to_owned()),
        _ => Ok(input.place.to_owned()),
    }
}

fn scope(input: &Input) -> Result<Vec<String>> {
    Ok(vec![folder(input)?])
}

fn convert(input: &Input) -> Result<Imported> {
    let settings = settings::read(input)?;
    let mut faults = Vec::new();
    input.below(&mut faults);
    let mut converter = Converter { input, settings, out: Imported::default(), faults };
    let folder = folder(input)?;
    converter.committed(&folder);
    converter.current(&folder);
    let Converter { settings, mut out, faults, .. } = converter;
    out.settings = settings.used();
    out.remarks.extend(settings.remarks);
    match Error::all(faults) {
        Some(error) => Err(error),
        None => Ok(out),
    }
}

/// A file taken apart: the capitalised headers, and everything behind them without white space around it.
struct Text {
    headers: Vec<(String, String, usize)>,
    body: String,
    first_line: usize,
}

impl Text {
    fn header(&self, key: &str) -> Option<(&str, usize)> {
        self.headers.iter().find(|(known, ..)| known == key).map(|(_, value, line)| (value.as_str(), *line))
    }
}

/// A migration as its file has it.
struct Found<'t> {
    number: Option<&'t str>,
    /// Its name as the file's name has it; may be empty.
    slug: String,
    message: Option<String>,
    path: &'t str,
    /// The text with what it includes.
    content: &'t str,
    text: Text,
    /// What the tool's table calls it.
    keys: Vec<Key>,
}

struct Converter<'a> {
    input: &'a Input<'a>,
    settings: Settings,
    out: Imported,
    faults: Vec<Error>,
}

impl<'a> Converter<'a> {
    /// The files that lie in a folder itself.
    fn files(&self, folder: &str) -> Vec<ToolFile<'a>> {
        let skip = if folder.is_empty() { 0 } else { folder.len() + 1 };
        let paths = self.input.files.under(folder).map(|(path, _)| path);
        let direct = paths.filter(|path| !path[skip..].contains('/'));
        direct.filter_map(|path| Some(ToolFile { name: &path[skip..], ..self.input.get(path)? })).collect()
    }

    fn committed(&mut self, folder: &str) {
        let mut files: Vec<(String, ToolFile)> = Vec::new();
        for file in self.files(&below(folder, "committed")) {
            match number(file.name) {
                Some(number) => files.push((number.to_owned(), file)),
                None if file.name.ends_with(".sql") => self.faults.push(
                    file.fault("is not called like 000001.sql or 000001-name.sql")
                        .help("rename it as graphile-migrate did, or move it away"),
                ),
                None => {}
            }
        }
        files.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.name.cmp(b.1.name)));
        let mut previous: Option<String> = None;
        let mut seen = BTreeSet::new();
        for (number, file) in files {
            if !seen.insert(number.clone()) {
                self.faults.push(file.fault(format!("number {number} is taken by another file")));
            }
            match self.committed_one(&number, &file, previous.as_deref()) {
                Ok(hash) => previous = Some(hash),
                Err(error) => {
                    // What follows would differ as well, and say nothing new.
                    self.faults.push(error);
                    return;
                }
            }
        }
    }

    fn committed_one(&mut self, number: &str, file: &ToolFile, previous: Option<&str>) -> Result<String> {
        let content = file.text()?;
        let text = parse(file.path, &content)?;
        let at = |line: usize| Location::new(file.path, line, 0);
        let header = |key: &str| {
            text.header(key).ok_or_else(|| {
                Error::failed(format!("lacks its `--! {key}:` line"))
                    .at(at(1))
                    .help("only what `graphile-migrate commit` wrote is a committed migration")
            })
        };
        let (wants, wants_line) = header("Previous")?;
        let (hash, hash_line) = header("Hash")?;
        if wants != previous.unwrap_or("-") {
            return Err(Error::failed(format!(
                "follows `{wants}`, but the one before it is `{}`",
                previous.unwrap_or("-")
            ))
            .at(at(wants_line))
            .help("a committed migration is missing, or two branches both committed one"));
        }
        let sum = hash_of(&text.body, previous);
        let allowed = text.header("AllowInvalidHash");
        if sum != hash && allowed.is_none() {
            return Err(Error::failed(format!("has the hash `{sum}`, not the one that it says"))
                .at(at(hash_line))
                .help("it was changed after it was committed: restore it, or write `--! AllowInvalidHash` below that line"));
        }
        if let Some((_, line)) = allowed.filter(|_| sum != hash) {
            let what = "its hash is wrong and allowed to be: what a database ran may be another text";
            self.out.remarks.push(Remark::line(file.path, line, what, ""));
        }
        let name = text.header("Message").map(|(message, _)| message.to_owned());
        let keys = vec![Key { key: format!("{number}.sql"), checksum: Some(hash.to_owned()) }];
        let slug =
            file.name.strip_suffix(".sql").unwrap_or(file.name)[number.len()..].trim_start_matches('-').to_owned();
        let hash = hash.to_owned();
        let number = Some(number);
        self.migration(Found { number, slug, message: name, path: file.path, content: &content, text, keys });
        Ok(hash)
    }

    fn current(&mut self, folder: &str) {
        let path = below(folder, "current.sql");
        let parts = self.files(&below(folder, "current"));
        let file = self.input.get(&path);
        if let (Some(file), false) = (&file, parts.is_empty()) {
            self.faults.push(file.fault(format!("stands beside the folder {}", below(folder, "current"))));
            return;
        }
        let mut numbered = Vec::new();
        for part in parts.iter().filter(|part| part.name.ends_with(".sql")) {
            match number(part.name).map(|digits| digits.trim_start_matches('0')) {
                Some(digits) if !digits.is_empty() => numbered.push((digits.len(), digits, part)),
                _ => self.faults.push(part.fault("is not called like 001.sql or 001-name.sql")),
            }
        }
        numbered.sort_by_key(|(len, digits, _)| (*len, *digits));
        for pair in numbered.windows(2).filter(|pair| pair[0].1 == pair[1].1) {
            self.faults.push(pair[1].2.fault(format!("has the number of {}", pair[0].2.path)));
        }
        let single = file.is_some();
        let files: Vec<ToolFile> =
            file.into_iter().chain(numbered.into_iter().map(|(.., part)| part.clone())).collect();
        let count = self.out.migrations.len();
        for file in &files {
            if let Err(error) = self.current_one(file, folder, single) {
                self.faults.push(error);
            }
        }
        if self.out.migrations.len() == count {
            let empty = files.iter().map(|file| Remark::file(file.path, "holds nothing yet: not carried over", ""));
            self.out.remarks.extend(empty);
        }
    }

    fn current_one(&mut self, file: &ToolFile, folder: &str, single: bool) -> Result<()> {
        let content = file.text()?;
        let mut trail = vec![file.path.to_owned()];
        let whole = self.included(file.path, &content, folder, &mut trail)?;
        let text = parse_loosely(&whole);
        if is_blank(&text.body) {
            return Ok(());
        }
        let name = if single { "current" } else { file.name.strip_suffix(".sql").unwrap_or(file.name) };
        let what = "is not committed yet: it became the last migration, which no database is taken to have";
        let help = "where a development database ran it already, it must bear to be run once more";
        self.out.remarks.push(Remark::file(file.path, what, help));
        let mut origins = vec![file.path.to_owned()];
        origins.extend(trail.into_iter().skip(1));
        let message = text.header("Message").map(|(message, _)| message.to_owned());
        let last = self.out.migrations.last().and_then(|piece| piece.number.as_deref()?.parse::<u64>().ok());
        let next = format!("{:06}", last.map_or(1, |last| last.saturating_add(1)));
        let (number, slug, keys) = (Some(next.as_str()), name.to_owned(), Vec::new());
        self.migration(Found { number, slug, message, path: file.path, content: &whole, text, keys });
        if let Some(piece) = self.out.migrations.last_mut() {
            piece.origins = origins;
        }
        Ok(())
    }

    /// The text with the files of `--! include` in place of those lines. `trail` gets every file that was read.
    fn included(&self, path: &str, text: &str, folder: &str, trail: &mut Vec<String>) -> Result<String> {
        self.include(path, text, &below(folder, "fixtures"), &mut vec![path.to_owned()], trail)
    }

    fn include(
        &self,
        path: &str,
        text: &str,
        fixtures: &str,
        open: &mut Vec<String>,
        trail: &mut Vec<String>,
    ) -> Result<String> {
        let mut out = String::with_capacity(text.len());
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let Some(name) = include_line(line.trim_end_matches('\n')) else {
                out.push_str(line);
                continue;
            };
            let at = || Location::new(path, index + 1, 0);
            let target = join(fixtures, name).map_err(|error| error.at(at()))?;
            if !target.starts_with(&format!("{fixtures}/")) {
                return Err(Error::failed(format!("`{name}` is not inside {fixtures}")).at(at()));
            }
            if open.contains(&target) {
                return Err(Error::failed(format!("{target} includes itself")).at(at()).detail(open.join("\n")));
            }
            let file =
                self.input.get(&target).ok_or_else(|| Error::failed(format!("there is no {target}")).at(at()))?;
            open.push(target.clone());
            let inner = self.include(&target, &file.text()?, fixtures, open, trail)?;
            open.pop();
            if !trail.contains(&target) {
                trail.push(target);
            }
            out.push_str(&inner);
            if line.ends_with('\n') && !inner.ends_with('\n') {
                out.push('\n');
            }
        }
        Ok(out)
    }

    fn migration(&mut self, found: Found<'_>) {
        let Found { number, slug, message, path, content, text, keys } = found;
        let transaction = !no_transaction(&text.body);
        let replaced = self.settings.replace(path, content, text.first_line);
        let unchanged = replaced.is_none();
        let mut header = Vec::new();
        let slug = if slug.is_empty() { message.clone().unwrap_or_else(|| "migration".to_owned()) } else { slug };
        if unchanged && self.settings.any() && content.contains("${") {
            header.push("placeholders false".to_owned());
        } else if !unchanged && content.contains("${") {
            let line = content.split("${").next().unwrap_or_default().matches('\n').count() + 1;
            let what = "`${` stands in a text with placeholders of graphile-migrate";
            self.faults.push(
                Error::failed(what)
                    .at(Location::new(path, line, 0))
                    .help("dbbuild would take it for a placeholder: write it in another way"),
            );
        }
        // The headers are comments: the bytes stay as they are wherever they can, so that git sees a renaming.
        let bytes: Arc<[u8]> = Arc::from(replaced.unwrap_or_else(|| content.to_owned()).into_bytes());
        self.out.migrations.push(Piece {
            number: number.map(str::to_owned),
            name: slug,
            body: Body::Parts { header, up: Part { bytes, transaction }, down: None },
            origins: vec![path.to_owned()],
            keys,
        });
    }
}

fn below(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// The digits of `000001.sql` and `000001-name.sql`.
fn number(name: &str) -> Option<&str> {
    let stem = name.strip_suffix(".sql")?;
    let end = stem.find(|c: char| !c.is_ascii_digit()).unwrap_or(stem.len());
    let (digits, slug) = stem.split_at(end);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    (!digits.is_empty() && (slug.is_empty() || slug.starts_with('-')) && slug.chars().all(plain)).then_some(digits)
}

/// Takes a committed file apart; its headers are followed by an empty line.
fn parse(path: &str, content: &str) -> Result<Text> {
    let text = parse_loosely(content);
    for (index, (key, _, line)) in text.headers.iter().enumerate() {
        if text.headers[..index].iter().any(|(known, ..)| known == key) {
            return Err(Error::failed(format!("the header `{key}` is given twice")).at(Location::new(path, *line, 0)));
        }
    }
    if content.lines().nth(text.headers.len()).is_none_or(|line| !line.is_empty()) {
        let line = text.headers.len() + 1;
        return Err(Error::failed("an empty line must follow the headers")
            .at(Location::new(path, line, 0))
            .help("is the file cut off here?"));
    }
    Ok(text)
}

fn parse_loosely(content: &str) -> Text {
    let mut headers = Vec::new();
    let mut rest = content;
    while let Some((key, value)) = rest.lines().next().and_then(header_line) {
        headers.push((key.to_owned(), trim(value).to_owned(), headers.len() + 1));
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    let first_line = headers.len() + 1;
    Text { headers, body: format!("{}\n", trim(rest)), first_line }
}

/// `--! Key: value` or `--! Key`, the key being capitalised.
fn header_line(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix("--! ")?;
    let (key, value) = rest.split_once(':').unwrap_or((rest, ""));
    let word = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (key.starts_with(|c: char| c.is_ascii_uppercase()) && word).then_some((key, value))
}

/// The file that `--! include FILE.sql` names.
fn include_line(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("--!")?.trim_start_matches([' ', '\t']).strip_prefix("include")?;
    let name = rest.trim_matches([' ', '\t']);
    (rest.starts_with([' ', '\t']) && name.ends_with(".sql")).then_some(name)
}

fn no_transaction(body: &str) -> bool {
    let line = body.lines().next().unwrap_or_default();
    let word = line.strip_prefix("--!").map(str::trim_start).and_then(|rest| rest.strip_prefix("no-transaction"));
    word.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
}

/// Nothing but comments.
fn is_blank(body: &str) -> bool {
    crate::model::sql::split(body).is_ok_and(|statements| statements.is_empty())
}

/// What JavaScript calls white space, at both ends.
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| (c.is_whitespace() && c != '\u{85}') || c == '\u{feff}')
}

/// The hash of a committed migration, over the one before it and its body.
fn hash_of(body: &str, previous: Option<&str>) -> String {
    let text = format!("{}\n{}", previous.unwrap_or_default(), trim(body));
    format!("sha1:{}", sha1_hex(format!("{}\n", trim(&text)).as_bytes()))
}

/// What `dbbuild.toml` says of a placeholder.
fn placeholder(name: &str, value: toml::Value, why: Option<&str>) -> Setting {
    Setting { key: format!("placeholders.{name}"), value, why: why.map(str::to_owned) }
}
