//! One folder for everything that a run of the tests leaves behind, and its removal. The test program may be killed, so
//! the cleaning is done by a process of its own that notices the end of this one.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;

/// Waits for the end of its standard input, then stops every server that has its data below the folder and removes it.
const KEEPER: &str = r#"
cat >/dev/null
pids=$(find "$1" -name postmaster.pid -exec head -n 1 {} \;)
for pid in $pids; do kill -QUIT "$pid"; done
for pid in $pids; do
    tries=0
    while kill -0 "$pid" && [ $tries -lt 100 ]; do sleep 0.05; tries=$((tries + 1)); done
done
for owner in /dev/shm/dbbuild-*/kept-*/owner /tmp/dbbuild-*/kept-*/owner; do
    case "$(cat "$owner")" in "$1"/*) rm -rf "${owner%/owner}" ;; esac
done
docker ps --filter label=dbbuild.kept --format '{{.ID}} {{.Label "dbbuild.kept"}}' | while read -r id owner; do
    case "$owner" in "$1"/*) docker rm --force "$id" ;; esac
done
rm -rf "$1"
"#;

struct RunDir {
    path: PathBuf,
    /// Closed by the system when this process ends, however that happens.
    _keeper: ChildStdin,
}

/// The folder of this run. Every user may pass through it, since root runs servers as another user.
pub fn path() -> &'static Path {
    static RUN: OnceLock<RunDir> = OnceLock::new();
    &RUN.get_or_init(make).path
}

fn make() -> RunDir {
    let path = tempfile::Builder::new().prefix("dbbuild-it-").tempdir_in(short_temp_dir()).unwrap().keep();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    let mut keeper = Command::new("sh");
    keeper.args(["-c", KEEPER, "sh"]).arg(&path).current_dir("/");
    // A group of its own, so that Ctrl-C reaches the tests and not what cleans up after them.
    keeper.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let stdin = keeper.spawn().unwrap().stdin.take().unwrap();
    RunDir { path, _keeper: stdin }
}

/// A path of a socket has at most 107 bytes.
fn short_temp_dir() -> PathBuf {
    let usual = std::env::temp_dir();
    if usual.as_os_str().len() <= 40 { usual } else { PathBuf::from("/tmp") }
}
