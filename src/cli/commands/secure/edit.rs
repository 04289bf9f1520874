//! `dbbuild secure edit`: a body in an editor. It lies in a folder that nobody else can enter, in memory where the system
//! has such a place, and is overwritten before that folder goes.

use super::find;
use crate::cli::{Context, Done};
use crate::engine::project::Project;
use crate::engine::secure::Places;
use crate::error::{Error, OrFailed, Result};
use crate::model::secure::{file_name, with_body};
use crate::model::template;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Where files never reach a disk.
const MEMORY: &str = "/dev/shm";

/// Lets a person edit the body of each environment.
///
/// # Errors
/// There is no editor, it fails, or the new body cannot run: then the old one stands.
pub(super) async fn run(context: &Context, project: &Project, environments: &[String], wanted: &str) -> Result<Done> {
    let sources = project.sources()?;
    let migration = find(&sources, wanted)?;
    let editor = editor()?;
    let mut written = Vec::new();
    for environment in environments {
        let places = Places::open(project, environment)?;
        if places.is_empty() {
            return Err(Error::usage(format!("[env.{environment}] has no secure_path")));
        }
        let old = places.find(migration).await?.map(|found| found.bytes);
        let name = file_name(migration);
        let start = old.clone().unwrap_or_else(|| template::first_body(&migration.label(), environment).into_bytes());
        let new = edited(&editor, &name, &start).await?;
        if old.as_ref() == Some(&new) {
            context.output.line(&format!("{environment}: unchanged"));
            continue;
        }
        with_body(migration, &name, &new).map_err(|e| e.help("the old body stands as it was."))?;
        let path = places.put(migration, &new).await?;
        context.output.answer(&format!("{environment}: {path}"));
        written.push(serde_json::json!({ "environment": environment, "path": path }));
    }
    context.output.json(&serde_json::json!({ "migration": migration.label(), "written": written }));
    Ok(Done::Well)
}

fn editor() -> Result<String> {
    let named = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    named("VISUAL").or_else(|| named("EDITOR")).ok_or_else(|| {
        Error::usage("neither VISUAL nor EDITOR names an editor")
            .help("set one, or use `dbbuild secure get` and `dbbuild secure put`.")
    })
}

/// Runs the editor on a private copy, and gives what it left.
async fn edited(editor: &str, name: &str, start: &[u8]) -> Result<Vec<u8>> {
    let failed = || "cannot make a private file to edit";
    let mut builder = tempfile::Builder::new();
    builder.prefix("dbbuild-secure-").permissions(std::fs::Permissions::from_mode(0o700));
    let folder = match Path::new(MEMORY).is_dir() {
        true => builder.tempdir_in(MEMORY).or_else(|_| builder.tempdir()),
        false => builder.tempdir(),
    };
    let folder = Wiped(folder.or_failed(failed)?);
    let file = folder.0.path().join(name);
    std::fs::write(&file, start).or_failed(failed)?;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).or_failed(failed)?;
    // As git does it: the variable may hold options.
    let status = tokio::process::Command::new("sh")
        .args(["-c", &format!("{editor} \"$@\""), editor])
        .arg(&file)
        .status()
        .await
        .or_failed(|| format!("cannot start the editor {editor}"))?;
    if !status.success() {
        return Err(Error::failed(format!("the editor ended with {status}")).help("the old body stands as it was."));
    }
    std::fs::read(&file).or_failed(|| "cannot read what the editor left")
}

/// A folder whose files are overwritten before they go, an editor's copies among them.
struct Wiped(tempfile::TempDir);

impl Drop for Wiped {
    fn drop(&mut self) {
        for entry in std::fs::read_dir(self.0.path()).into_iter().flatten().flatten() {
            let length = entry.metadata().map_or(0, |metadata| metadata.len());
            let zeros = vec![0; usize::try_from(length).unwrap_or(0)];
            if let Ok(mut file) = std::fs::OpenOptions::new().write(true).open(entry.path()) {
                // What cannot be overwritten is removed all the same.
                let _ = std::io::Write::write_all(&mut file, &zeros).and_then(|()| file.sync_all());
            }
        }
    }
}
