//! Takes the access file of a running server, with what it takes in, into the repository.

use super::hand::Hand;
use super::live::{self, Live};
use super::texts::Texts;
use crate::engine::files;
use crate::engine::project::Project;
use crate::engine::target::Target;
use crate::error::{Error, Location, OrFailed, Result};
use crate::model::hba::{self, Files};
use std::path::Path;

/// How to adopt.
#[derive(Debug, Clone, Copy, Default)]
pub struct AdoptOptions {
    /// Replace files that have other content.
    pub force: bool,
    /// Into a file of the environment's own.
    pub own: bool,
}

/// What was written.
#[derive(Debug)]
pub struct Adopted {
    /// The server's file.
    pub from: String,
    /// Files that were written.
    pub written: Vec<String>,
    /// Files that were so already.
    pub same: Vec<String>,
}

/// Adopts.
///
/// # Errors
/// The file cannot be read, or a file of the repository has other content; nothing was written.
pub async fn adopt(project: &Project, target: &Target, options: AdoptOptions) -> Result<Adopted> {
    live::not_embedded(target)?;
    let environment = &target.selected.name;
    let common = &project.config.paths.hba;
    let own = hba::of_environment(common, environment);
    let has_own = options.own || Texts::on_disk(project).files(&own)?.is_some();
    let main = if has_own { own } else { common.clone() };
    let session = target.connect().await?;
    let live = live::read(&session, &main).await?;
    let found = text(project, &live, &main, environment)?;
    let (mut written, mut same, mut other) = (Vec::new(), Vec::new(), Vec::new());
    for (name, text) in &found.texts {
        let path = found.path(name);
        match std::fs::read(project.root.join(&path)) {
            Ok(bytes) if bytes == text.as_bytes() => same.push(path),
            Ok(_) if !options.force => other.push(path),
            _ => written.push((path, text)),
        }
    }
    if !other.is_empty() {
        let faults = other.iter().map(|path| {
            let error = Error::failed("this file has other content than the server's").at(Location::file(path));
            error.help("`dbbuild hba plan` shows the difference; `--force` replaces the file, `--own` writes one for this environment alone. Nothing was written.")
        });
        return Err(Error::all(faults).unwrap_or_else(|| Error::failed("a file has other content")));
    }
    for (path, text) in &written {
        let place = project.root.join(path);
        let put = place.parent().map_or(Ok(()), std::fs::create_dir_all);
        put.and_then(|()| files::replace(&place, text.as_bytes())).or_failed(|| format!("cannot write {path}"))?;
    }
    let from = live.file.unwrap_or_default();
    Ok(Adopted { from, written: written.into_iter().map(|(path, _)| path).collect(), same })
}

/// The text as the server gives it, else as it lies on this machine.
fn text(project: &Project, live: &Live, main: &str, environment: &str) -> Result<Files> {
    let why = match &live.files {
        Ok(files) => return Ok(files.clone()),
        Err(why) => why,
    };
    let cannot = || {
        Error::failed("cannot read the server's access file").cause(why).help(
            "a superuser reads it, and a role with pg_read_all_settings, pg_read_server_files and EXECUTE on pg_read_binary_file; \
             on the server's machine also a user who may read the file, or `run_as`. Nothing was written.",
        )
    };
    let Some(file) = &live.file else { return Err(cannot()) };
    let run_as = project.config.env.get(environment).map_or(&[][..], |env| &env.run_as[..]);
    let hand = Hand::of(Path::new(file), run_as);
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let own = Files { main: main.to_owned(), ..Files::default() };
    let place = |path: &str| {
        let relative = path.strip_prefix(&own.path("")).unwrap_or(path);
        if path == main { file.clone() } else { format!("{folder}/{relative}") }
    };
    let read = |path: &str| {
        let bytes = hand.read(&place(path)).map_err(|e| cannot().cause(e))?;
        bytes.map(String::from_utf8).transpose().map_err(|_| Error::failed(format!("{} is not UTF-8", place(path))))
    };
    // What is missed so shows below: the server then has other rules.
    let list = |folder: &str| Ok(hand.list(&place(folder)).unwrap_or_default());
    let found = hba::gather(main, &read, &list)?.ok_or_else(cannot)?;
    let same = view_fits(&found, live);
    if same { Ok(found) } else { Err(cannot().cause(format!("{file} on this machine is another file"))) }
}

/// Whether a file has as many lines with rules as the server sees: another machine's file hardly has.
fn view_fits(files: &Files, live: &Live) -> bool {
    live.parsed.rules.iter().filter(|rule| rule.path == files.main).all(|rule| {
        hba::lines::lines(files.text()).iter().any(|line| {
            line.number == rule.line
                && line.fields.first().and_then(|f| f.first()).map(|t| t.text.as_str()) == Some(rule.kind.as_str())
        })
    })
}
