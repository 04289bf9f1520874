//! Programs that the tests live beside: those that run git hooks (husky, lefthook, the pre-commit framework), and a server
//! with the API of S3. Fetched by npm and pip in pinned versions, kept below `target/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{fetch, workspace};

/// What npm brings, and what pip does.
const NPM: [&str; 2] = ["husky@9.1.7", "lefthook@2.2.2"];
const PRE_COMMIT: &str = "pre-commit==4.7.0";
const MOTO: &str = "moto[server]==5.2.5";

/// Debian's bundle of certificate authorities.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The variables by which the tests find each program, with how to get it.
pub const ALL: [(&str, Fetch); 4] = [
    ("DBBUILD_TEST_HUSKY", || Ok(npm()?.join("node_modules/husky/bin.js"))),
    ("DBBUILD_TEST_LEFTHOOK", || lefthook(&npm()?)),
    ("DBBUILD_TEST_PRE_COMMIT", || Ok(pip(PRE_COMMIT)?.join("bin/pre-commit"))),
    ("DBBUILD_TEST_MOTO", || Ok(pip(MOTO)?.join("bin/moto_server"))),
];

/// Fetches a program, unless it is there, and gives its path.
pub type Fetch = fn() -> Result<PathBuf>;

fn npm() -> Result<PathBuf> {
    kept(&NPM.join(",").replace('@', "-"), |place| {
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=4"]);
        npm.arg("--prefix").arg(place);
        // Node has a list of authorities of its own; pip, git and cargo trust those of the system.
        if std::env::var_os("NODE_EXTRA_CA_CERTS").is_none() && Path::new(SYSTEM_AUTHORITIES).exists() {
            npm.env("NODE_EXTRA_CA_CERTS", SYSTEM_AUTHORITIES);
        }
        workspace::output(npm.args(NPM)).context("fetching it wants npm (Debian: apt-get install npm)").map(drop)
    })
}

/// The package is a starter in JavaScript; the program itself comes in one for each system.
fn lefthook(folder: &Path) -> Result<PathBuf> {
    let modules = folder.join("node_modules").read_dir().context("npm brought nothing")?;
    let mut programs = modules.filter_map(|entry| Some(entry.ok()?.path().join("bin/lefthook")));
    programs.find(|program| program.is_file()).context("npm brought no lefthook for this system")
}

fn pip(package: &str) -> Result<PathBuf> {
    kept(&package.replace("==", "-").replace(['[', ']'], "_"), |place| {
        let venv = Command::new(fetch::python()?).args(["-m", "venv"]).arg(place).output()?;
        ensure!(venv.status.success(), "fetching it wants venv (Debian: apt-get install python3-venv)");
        workspace::output(Command::new(place.join("bin/python")).args(["-m", "pip", "install", "--quiet", package]))
            .map(drop)
    })
}

/// A folder below `target/` that is filled once. It is filled in place, since what is installed may name it; a mark says
/// that it is whole.
fn kept(name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let place = workspace::target_dir()?.join("xtask/runners").join(name);
    let mark = place.join(".whole");
    if !mark.is_file() {
        println!("fetching {name}");
        // What an interrupted run left.
        let _ = std::fs::remove_dir_all(&place);
        std::fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
        fill(&place)?;
        std::fs::write(&mark, "").with_context(|| format!("cannot write {}", mark.display()))?;
    }
    Ok(place)
}
