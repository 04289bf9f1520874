//! The rows that prove one new migration: on published ones, whole or by parts, in local throwaways and through Docker.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::measure::{Measured, Side, alternate};
use super::postgres::Server;
use super::rows::{MANY, baseline, side};
use super::scratch::{Lab, Repository};
use crate::workspace;

/// A proof of one new migration.
pub(super) struct One {
    /// So many stand before it.
    pub migrations: u32,
    /// They are upstream's, so that the way from its baseline is proved too.
    pub published: bool,
    /// The whole baseline is loaded, as it is at each twenty-first proof, and not only what changed in it.
    pub whole: bool,
    /// Throwaways run in Docker, for which an engine with the image is needed.
    pub docker: bool,
}

impl One {
    pub const PUBLISHED: One = One { migrations: 1000, published: true, whole: false, docker: false };
}

/// A history whose baseline was proved, and one migration more with its baseline.
fn one_more<'a>(lab: &'a Lab, one: &One) -> Result<Repository<'a>> {
    let upstream = if one.published { "published" } else { "alone" };
    let place = if one.docker { "-docker" } else { "" };
    let repository = lab.repository(&format!("one-more-{}-{upstream}{place}", one.migrations), one.migrations)?;
    if !baseline(&repository).is_file() {
        if one.docker {
            let file = repository.path.join("dbbuild.toml");
            let text = fs::read_to_string(&file)?.replace("\"local\"", "\"docker\"\nimage = \"postgres:15\"");
            fs::write(&file, text)?;
        }
        workspace::output(&mut repository.dbbuild(&["baseline"]))?;
        repository.commit("baseline")?;
        if one.published {
            repository.git(&["remote", "add", "origin", "."])?;
            repository.git(&["fetch", "--quiet", "origin"])?;
        }
        copy_folder(&repository.path.join(KNOWN), &repository.path.join(KNOWN_BEFORE))?;
        repository.add_history(1, one.migrations)?;
        workspace::output(&mut repository.dbbuild(&["baseline"]))?;
        repository.git(&["add", "--all"])?;
    }
    Ok(repository)
}

/// What was found out in a repository.
const KNOWN: &str = ".git/dbbuild";
/// The same before the last migration was written.
const KNOWN_BEFORE: &str = ".git/known-before";

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    workspace::output(Command::new("cp").arg("-a").arg(from).arg(to)).map(drop)
}

/// The first proof of the last migration. Its baseline was made with it, so that it is known by now.
fn first_proof(repository: &Repository, one: &One) -> Result<Command> {
    let known = repository.path.join(KNOWN);
    fs::remove_dir_all(&known)?;
    copy_folder(&repository.path.join(KNOWN_BEFORE), &known)?;
    if one.whole {
        // Without a baseline that is known to be settled the whole is loaded.
        fs::remove_dir_all(known.join("settled"))?;
    }
    Ok(repository.dbbuild(&["verify"]))
}

pub(super) fn prove_one(lab: &Lab, one: &One) -> Result<Measured> {
    let repository = one_more(lab, one)?;
    let place = tempfile::Builder::new().prefix("relaxed-").tempdir_in(lab.dir())?;
    fs::set_permissions(place.path(), Permissions::from_mode(0o755))?;
    let relaxed = Server::start_relaxed(place.path())?;
    workspace::output(&mut repository.dbmate_rebuild(&relaxed, "by_dbmate"))?;
    let ours = || first_proof(&repository, one);
    let theirs = || Ok(repository.dbmate_rebuild(&relaxed, "by_dbmate"));
    alternate(lab.rounds, 1, &side(&ours), &side(&theirs))
}

/// The same inputs with both kinds of throwaway servers.
pub(super) fn prove_one_in_docker(lab: &Lab) -> Result<Measured> {
    let in_docker = One { docker: true, ..One::PUBLISHED };
    let (local, docker) = (one_more(lab, &One::PUBLISHED)?, one_more(lab, &in_docker)?);
    for (repository, one) in [(&local, &One::PUBLISHED), (&docker, &in_docker)] {
        workspace::output(&mut first_proof(repository, one)?)?;
    }
    let ours = || first_proof(&docker, &in_docker);
    let theirs = || first_proof(&local, &One::PUBLISHED);
    let measured = alternate(lab.rounds, 1, &side(&ours), &side(&theirs));
    workspace::output(&mut docker.dbbuild(&["server", "prune"]))?;
    measured
}

pub(super) fn prove_again(lab: &Lab) -> Result<Measured> {
    let repository = one_more(lab, &One::PUBLISHED)?;
    workspace::output(&mut repository.dbbuild(&["verify"]))?;
    let ours = || Ok(repository.dbbuild(&["verify"]));
    let theirs = || Ok(repository.git_command(&["diff", "--cached", "--quiet"]));
    let git = Side { accepted: &[1], ..side(&theirs) };
    alternate(lab.rounds, MANY, &side(&ours), &git)
}
