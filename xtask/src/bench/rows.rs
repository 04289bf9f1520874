//! The rows of the table: how each side is prepared and what is timed.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::measure::{Measured, Side, alternate, peak_memory};
use super::merging::merge_driver;
use super::postgres::{as_server_user, give_to_server_user, init_cluster};
use super::proving::{One, prove_again, prove_one, prove_one_in_docker};
use super::scratch::{Lab, Repository};
use super::{Row, downgrade, histories, tenants};
use crate::workspace;

/// All rows, in the order of the table.
pub const ROWS: &[Row] = &[
    Row {
        name: "apply",
        work: "apply 1,000 pending migrations, durable server",
        against: "one psql process: BEGIN, the file, one history row, COMMIT for each",
        limit: 1.10,
        run: apply_against_psql,
    },
    Row {
        name: "apply-dbmate",
        work: "apply 1,000 pending migrations, durable server",
        against: "dbmate up",
        limit: 0.95,
        run: apply_against_dbmate,
    },
    Row {
        name: "apply-crates-io",
        work: "apply the 285 migrations of crates_io, durable server",
        against: "one psql process with the same files in the same transactions",
        limit: 1.10,
        run: |lab| histories::apply(lab, "crates_io"),
    },
    Row {
        name: "apply-mint",
        work: "apply the 174 migrations of mint, durable server",
        against: "one psql process with the same files in the same transactions",
        limit: 1.10,
        run: |lab| histories::apply(lab, "mint"),
    },
    Row {
        name: "apply-cas-cif",
        work: "apply the 334 migrations of cas_cif, durable server",
        against: "one psql process with the same files in the same transactions",
        limit: 1.10,
        run: |lab| histories::apply(lab, "cas_cif"),
    },
    Row {
        name: "apply-zksync",
        work: "apply the 269 migrations of zksync, durable server",
        against: "one psql process with the same files in the same transactions",
        limit: 1.10,
        run: |lab| histories::apply(lab, "zksync"),
    },
    Row {
        name: "nothing",
        work: "dbbuild with nothing to do",
        against: "dbmate up with nothing to do",
        limit: 0.35,
        run: nothing_to_do,
    },
    Row {
        name: "verify",
        work: "verify 1,000 migrations from scratch, local throwaway",
        against: "psql and pg_dump by hand on a prepared copy of a fresh cluster",
        limit: 1.25,
        run: verify,
    },
    Row {
        name: "bootstrap",
        work: "bootstrap from the baseline of 1,000 migrations",
        against: "psql -1 -f of it",
        limit: 1.10,
        run: bootstrap,
    },
    Row {
        name: "hook-nothing",
        work: "pre-commit hook with nothing of the database staged",
        against: "git diff --cached --quiet",
        limit: 3.0,
        run: hook_with_nothing_staged,
    },
    Row {
        name: "hook-large",
        work: "pre-commit hook with nothing of the database staged, repository of 100,000 files",
        against: "git diff --cached --quiet",
        limit: 3.0,
        run: hook_in_large_repository,
    },
    Row {
        name: "hook-proved",
        work: "pre-commit hook with a verdict already proved",
        against: "git diff --cached --quiet",
        limit: 5.0,
        run: hook_with_verdict,
    },
    Row {
        name: "prove-one",
        work: "prove one new migration on 1,000 published ones, warm, local throwaway",
        against: "dbmate drop and up on a running server with durability off",
        limit: 0.45,
        run: |lab| prove_one(lab, &One::PUBLISHED),
    },
    Row {
        name: "prove-one-alone",
        work: "the same in a repository without an upstream",
        against: "dbmate drop and up on a running server with durability off",
        limit: 0.45,
        run: |lab| prove_one(lab, &One { published: false, ..One::PUBLISHED }),
    },
    Row {
        name: "prove-one-10000",
        work: "prove one new migration on 10,000 published ones, warm, changed objects really loaded",
        against: "dbmate drop and up on a running server with durability off",
        limit: 0.25,
        run: |lab| prove_one(lab, &One { migrations: 10_000, ..One::PUBLISHED }),
    },
    Row {
        name: "prove-one-whole",
        work: "the same with the whole baseline really loaded",
        against: "dbmate drop and up on a running server with durability off",
        limit: 0.45,
        run: |lab| prove_one(lab, &One { migrations: 10_000, whole: true, ..One::PUBLISHED }),
    },
    Row {
        name: "prove-one-docker",
        work: "prove one new migration on 1,000, warm, through Docker in a kept container",
        against: "the same in local throwaways",
        limit: 2.0,
        run: prove_one_in_docker,
    },
    Row {
        name: "prove-again",
        work: "verify what was proved before",
        against: "git diff --cached --quiet",
        limit: 5.0,
        run: prove_again,
    },
    Row {
        name: "merge-driver",
        work: "git merge of one migration each side, 1,000 before",
        against: "warm verify of one of them",
        limit: 2.0,
        run: merge_driver,
    },
    Row {
        name: "convert",
        work: "convert 1,000 files of dbmate into an empty project",
        against: "two seconds",
        limit: 1.0,
        run: convert,
    },
    Row {
        name: "tenants",
        work: "apply one migration to 1,000 databases, 8 at once, durable server",
        against: "xargs -P 8 over psql -1 -f",
        limit: 1.2,
        run: tenants::apply,
    },
    Row {
        name: "downgrade",
        work: "the last 20 migrations of the sample back and forth, 1,000,000 rows in the table that loses a column",
        against: "by hand: copies with a key, down and up by psql, UPDATE … FROM",
        limit: 0.9,
        run: downgrade::sample,
    },
    Row {
        name: "downgrade-indexed",
        work: "the same with three secondary indexes on that table",
        against: "the same by hand",
        limit: 0.6,
        run: downgrade::sample_with_indexes,
    },
    Row {
        name: "downgrade-lossless",
        work: "20 migrations that lose nothing back and forth on the same rows",
        against: "the bare scripts by one psql",
        limit: 1.2,
        run: downgrade::lossless,
    },
    Row { name: "memory", work: "apply 10,000 migrations", against: "96 MB of peak memory", limit: 96.0, run: memory },
];

/// Runs in a row where one lasts only milliseconds.
pub(super) const MANY: u32 = 20;

fn thousand(lab: &Lab) -> Result<Repository<'_>> {
    lab.repository("thousand", 1000)
}

/// The repository with the baseline of its migrations committed.
fn thousand_with_baseline(lab: &Lab) -> Result<Repository<'_>> {
    let repository = thousand(lab)?;
    if !baseline(&repository).is_file() {
        workspace::output(&mut repository.dbbuild(&["baseline"]))?;
        repository.commit("baseline")?;
    }
    Ok(repository)
}

pub(super) fn baseline(repository: &Repository) -> PathBuf {
    repository.path.join("db/baseline.sql")
}

/// A side that runs a command on a database which is made anew before each run.
fn on_fresh<'a>(
    lab: &'a Lab,
    database: &'a str,
    command: impl Fn() -> Command + 'a,
) -> impl Fn() -> Result<Command> + 'a {
    move || {
        lab.server.fresh(database)?;
        Ok(command())
    }
}

pub(super) fn side<'a>(prepare: &'a dyn Fn() -> Result<Command>) -> Side<'a> {
    Side { prepare, accepted: &[0] }
}

fn apply_against_psql(lab: &Lab) -> Result<Measured> {
    let repository = thousand(lab)?;
    let script = lab.dir().join("apply.sql");
    fs::write(&script, script_of(&repository)?)?;
    let ours = on_fresh(lab, &repository.database, || repository.dbbuild(&["apply", "--env", "bench"]));
    let theirs = || {
        lab.server.fresh("by_psql")?;
        let history = "CREATE TABLE history (version bigint PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, \
                       at timestamptz NOT NULL DEFAULT now())";
        lab.server.psql("by_psql", history)?;
        let mut psql = lab.server.psql_command("by_psql");
        psql.arg("-f").arg(&script);
        Ok(psql)
    };
    alternate(lab.rounds, 1, &side(&ours), &side(&theirs))
}

/// What a careful person would write by hand: each migration and its row in one transaction.
fn script_of(repository: &Repository) -> Result<String> {
    let mut script = String::from("SET client_min_messages = warning;\n");
    for file in repository.files()? {
        let name = file.file_stem().and_then(|name| name.to_str()).context("a migration without a name")?;
        let (version, title) = name.split_once('_').context("a migration without a version")?;
        writeln!(
            script,
            "BEGIN;\n\\i {}\nINSERT INTO history VALUES ({version}, '{title}', md5('{title}'));\nCOMMIT;",
            file.display()
        )?;
    }
    Ok(script)
}

fn apply_against_dbmate(lab: &Lab) -> Result<Measured> {
    let repository = thousand(lab)?;
    let ours = on_fresh(lab, &repository.database, || repository.dbbuild(&["apply", "--env", "bench"]));
    let theirs = on_fresh(lab, "by_dbmate", || repository.dbmate_up("by_dbmate"));
    alternate(lab.rounds, 1, &side(&ours), &side(&theirs))
}

fn nothing_to_do(lab: &Lab) -> Result<Measured> {
    let repository = thousand_with_baseline(lab)?;
    let checks = repository.path.join("db/checks");
    fs::create_dir_all(&checks)?;
    fs::write(checks.join("names.sql"), "SELECT id FROM t0 WHERE name = '';\n")?;
    lab.server.fresh(&repository.database)?;
    lab.server.fresh("by_dbmate")?;
    workspace::output(&mut repository.dbbuild(&[]))?;
    repository.commit("check")?;
    workspace::output(&mut repository.dbmate_up("by_dbmate"))?;
    let ours = || Ok(repository.dbbuild(&[]));
    let theirs = || Ok(repository.dbmate_up("by_dbmate"));
    alternate(lab.rounds, MANY / 4, &side(&ours), &side(&theirs))
}

/// Two copies of a prepared cluster in memory; all files into one, the baseline into the other; two dumps; compare.
const BY_HAND: &str = r#"set -eu
bin=$1 template=$2 list=$3 baseline=$4 work=$5
start() {
    cp -a "$template" "$work/$1"
    "$bin/postgres" -D "$work/$1" -c listen_addresses= -c unix_socket_directories="$work" -c port="$2" \
        -c fsync=off -c synchronous_commit=off -c full_page_writes=off >"$work/$1.log" 2>&1 &
    until "$bin/psql" -Xqc 'CREATE DATABASE bench' -h "$work" -p "$2" -U postgres postgres 2>/dev/null; do sleep 0.01; done
}
run() { port=$1; shift; "$bin/psql" -Xq -v ON_ERROR_STOP=1 -h "$work" -p "$port" -U postgres -d bench "$@"; }
dump() { "$bin/pg_dump" --restrict-key=same -N dbbuild -h "$work" -p "$2" -U postgres -f "$work/$1.sql" bench; }
trap 'kill -QUIT $(jobs -p); wait; rm -rf "$work"/*' EXIT
start one 1
PGOPTIONS='-c client_min_messages=warning' run 1 -f "$list"
start two 2
run 2 -f "$baseline" >/dev/null
dump one 1
dump two 2
cmp "$work/one.sql" "$work/two.sql"
"#;

fn verify(lab: &Lab) -> Result<Measured> {
    let repository = thousand_with_baseline(lab)?;
    let template = init_cluster(lab.server.bin(), lab.dir(), "template")?;
    let memory = Path::new("/dev/shm");
    let work =
        tempfile::Builder::new().prefix("bench-").tempdir_in(if memory.is_dir() { memory } else { lab.dir() })?;
    give_to_server_user(work.path())?;
    let list = lab.dir().join("files.sql");
    let lines = repository.files()?.iter().map(|file| format!("\\i {}\n", file.display())).collect::<String>();
    fs::write(&list, lines)?;

    let ours = || Ok(repository.dbbuild(&["verify", "--worktree", "--full"]));
    let theirs = || {
        let mut script = as_server_user(Path::new("bash"))?;
        script.args(["-c", BY_HAND, "by-hand"]).arg(lab.server.bin()).arg(&template);
        script.arg(&list).arg(baseline(&repository)).arg(work.path());
        Ok(script)
    };
    alternate(lab.rounds, 1, &side(&ours), &side(&theirs))
}

fn bootstrap(lab: &Lab) -> Result<Measured> {
    let repository = thousand_with_baseline(lab)?;
    let ours = on_fresh(lab, &repository.database, || repository.dbbuild(&["bootstrap", "--env", "bench"]));
    let theirs = on_fresh(lab, "by_psql", || {
        let mut psql = lab.server.psql_command("by_psql");
        psql.args(["-1", "-f"]).arg(baseline(&repository));
        psql
    });
    alternate(lab.rounds, 1, &side(&ours), &side(&theirs))
}

/// The hook in a repository with something staged, beside the git command that any hook has to beat.
fn hook(lab: &Lab, repository: &Repository) -> Result<Measured> {
    let ours = || Ok(repository.pre_commit());
    let theirs = || Ok(repository.git_command(&["diff", "--cached", "--quiet"]));
    // Exit status 1 says that something is staged.
    let git = Side { accepted: &[1], ..side(&theirs) };
    alternate(lab.rounds, MANY, &side(&ours), &git)
}

fn hook_with_nothing_staged(lab: &Lab) -> Result<Measured> {
    let repository = thousand_with_baseline(lab)?;
    workspace::output(&mut repository.dbbuild(&["hooks", "install"]))?;
    repository.commit("hooks")?;
    fs::write(repository.path.join("notes.txt"), "nothing of the database\n")?;
    repository.git(&["add", "notes.txt"])?;
    let measured = hook(lab, &repository);
    repository.commit("notes")?;
    measured
}

/// Something is staged beside the database among 100,000 files in a thousand folders.
fn hook_in_large_repository(lab: &Lab) -> Result<Measured> {
    let repository = lab.repository("large", 2)?;
    workspace::output(&mut repository.dbbuild(&["hooks", "install"]))?;
    for folder in 0..1000 {
        let folder = repository.path.join(format!("src/module{folder:04}"));
        fs::create_dir_all(&folder)?;
        for file in 0..100 {
            fs::write(folder.join(format!("file{file:03}.txt")), format!("{}/{file}\n", folder.display()))?;
        }
    }
    repository.commit("large")?;
    fs::write(repository.path.join("notes.txt"), "nothing of the database\n")?;
    repository.git(&["add", "notes.txt"])?;
    hook(lab, &repository)
}

fn hook_with_verdict(lab: &Lab) -> Result<Measured> {
    let repository = lab.repository("proved", 1000)?;
    workspace::output(&mut repository.dbbuild(&["hooks", "install"]))?;
    workspace::output(&mut repository.dbbuild(&["baseline"]))?;
    repository.commit("baseline")?;
    repository.add_history(1, 1000)?;
    workspace::output(&mut repository.dbbuild(&["baseline"]))?;
    repository.git(&["add", "--all"])?;
    workspace::output(&mut repository.pre_commit())?;
    hook(lab, &repository)
}

fn memory(lab: &Lab) -> Result<Measured> {
    let repository = lab.repository("ten-thousand", 10_000)?;
    lab.server.fresh(&repository.database)?;
    let measured = peak_memory(&repository.dbbuild(&["apply", "--env", "bench"]), lab.dir());
    lab.server.psql("postgres", &format!("DROP DATABASE {} WITH (FORCE)", repository.database))?;
    measured
}

/// Into a new project, from a commit that holds the files: they are read, converted, written, and the originals removed.
fn convert(lab: &Lab) -> Result<Measured> {
    let repository = lab.repository("convert", 1000)?;
    if repository.migrations().is_dir() {
        repository.git(&["mv", "db/migrations", "old"])?;
        repository.git(&["rm", "--quiet", "dbbuild.toml"])?;
        repository.commit("as another tool has it")?;
    }
    let ours = || {
        repository.git(&["reset", "--quiet", "--hard"])?;
        repository.git(&["clean", "--quiet", "-ffdx"])?;
        Ok(repository.dbbuild(&["init", "--from", "dbmate", "old", "--no-hooks"]))
    };
    let theirs = || {
        let mut sleep = Command::new("sleep");
        sleep.arg("2");
        Ok(sleep)
    };
    alternate(lab.rounds, 1, &side(&ours), &side(&theirs))
}
