//! Child processes of dbbuild and processes that an earlier dbbuild left: spawning, asking, ending.
//!
//! Nothing here knows what PostgreSQL is told to do; it knows how a postmaster is recognised and killed.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigHandler, Signal, kill};
use nix::unistd::Pid;

use super::state::OsUser;
use crate::error::{Error, OrFailed, Result};

/// Environment variables that a PostgreSQL program needs; all others (addresses, passwords, time zones) stay away.
const KEPT_VARIABLES: [&str; 8] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "DYLD_FALLBACK_LIBRARY_PATH",
    "SYSTEMROOT",
    "NIX_LD_LIBRARY_PATH",
];

/// A command with a clean environment, run as `user` where one is given.
pub fn command(program: &Path, user: Option<&OsUser>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C").env("TZ", "UTC").current_dir("/").stdin(Stdio::null());
    for name in KEPT_VARIABLES {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid).env_remove("HOME");
    }
    hear_signals(&mut command);
    command
}

/// Signals that `nohup`, a shell's `&` or a service manager made this process ignore are heard by the child all the same.
///
/// What is ignored stays ignored across exec. A postmaster sets its own handlers only some milliseconds after its start: an
/// ignored SIGQUIT in that time would be lost, and the server would live on.
#[allow(unsafe_code)]
fn hear_signals(command: &mut Command) {
    // SAFETY: runs between fork and exec, calls only sigaction(2), which is async-signal-safe, and allocates nothing.
    unsafe {
        command.pre_exec(|| {
            for heard in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM] {
                nix::sys::signal::signal(heard, SigHandler::SigDfl).map_err(io::Error::from)?;
            }
            Ok(())
        });
    }
}

type Job = (Command, mpsc::Sender<io::Result<Child>>);

/// Spawns a child that dies with dbbuild, however dbbuild ends.
///
/// The signal of `PR_SET_PDEATHSIG` is sent when the *thread* that spawned the child ends, so one thread that never ends
/// spawns them all. Elsewhere than on Linux the next sweep does that work.
pub fn spawn_bound(mut command: Command) -> io::Result<Child> {
    bind_to_parent(&mut command);
    static KEEPER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, reply) in jobs {
                // A caller that is gone has nobody to hand the child to.
                if let Err(mpsc::SendError(Ok(mut orphan))) = reply.send(command.spawn()) {
                    let _ = orphan.kill();
                    let _ = orphan.wait();
                }
            }
        });
        sender
    });
    let (reply, answer) = mpsc::channel();
    let gone = |_| io::Error::other("the thread that spawns servers has ended");
    keeper.send((command, reply)).map_err(|_| gone(mpsc::RecvError))?;
    answer.recv().map_err(gone)?
}

#[allow(unsafe_code)]
fn bind_to_parent(command: &mut Command) {
    // Its own process group: Ctrl-C in a terminal reaches dbbuild alone, which then ends the server in order.
    command.process_group(0);
    #[cfg(target_os = "linux")]
    {
        let parent = nix::unistd::getpid();
        // SAFETY: runs between fork and exec and calls only prctl(2) and getppid(2), which are async-signal-safe; the
        // closure allocates nothing (errors are plain numbers).
        unsafe {
            command.pre_exec(move || {
                nix::sys::prctl::set_pdeathsig(Signal::SIGQUIT).map_err(io::Error::from)?;
                // dbbuild may have died before the signal was asked for; nobody would send it any more.
                if nix::unistd::getppid() != parent {
                    return Err(io::Error::from(nix::errno::Errno::ESRCH));
                }
                Ok(())
            });
        }
    }
}

/// Spawns a child that outlives dbbuild and its terminal: a session of its own.
#[allow(unsafe_code)]
pub fn spawn_detached(mut command: Command) -> io::Result<Child> {
    // SAFETY: runs between fork and exec and calls only setsid(2), which is async-signal-safe, and allocates nothing.
    unsafe {
        command.pre_exec(|| nix::unistd::setsid().map(|_| ()).map_err(io::Error::from));
    }
    command.spawn()
}

/// Runs a program to its end and takes what it wrote; a failure carries its stderr.
pub fn run_bound(mut command: Command, what: &str) -> Result<Output> {
    let program = PathBuf::from(command.get_program());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = spawn_bound(command)
        .and_then(Child::wait_with_output)
        .or_failed(|| format!("cannot run {}", program.display()))?;
    if output.status.success() {
        return Ok(output);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(Error::failed(format!("{what} failed ({})", output.status)).detail(stderr.trim_end().to_owned()))
}

/// What stands in `postmaster.pid` of a data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostmasterFile {
    /// The postmaster's process id.
    pub pid: i32,
    /// Key and id of its System V shared memory segment, where it has one.
    pub shared_memory: Option<(u64, u64)>,
}

impl PostmasterFile {
    /// Reads the file of a data directory; `None` where there is none, or none that makes sense.
    pub fn read(data: &Path) -> Option<PostmasterFile> {
        Self::parse(&std::fs::read_to_string(data.join("postmaster.pid")).ok()?)
    }

    fn parse(text: &str) -> Option<PostmasterFile> {
        let pid = text.lines().next()?.trim().trim_start_matches('-').parse().ok().filter(|pid| *pid > 1)?;
        let mut words = text.lines().nth(6).unwrap_or("").split_whitespace().map(|word| word.parse().ok());
        let shared_memory = match (words.next().flatten(), words.next().flatten()) {
            (Some(key), Some(id)) => Some((key, id)),
            _ => None,
        };
        Some(PostmasterFile { pid, shared_memory })
    }
}

/// The running postmaster of a data directory: the file's process, if it lives and really works on that directory.
pub fn running_postmaster(data: &Path) -> Option<i32> {
    let pid = PostmasterFile::read(data)?.pid;
    (alive(pid) && works_in(pid, data)).then_some(pid)
}

/// Does a process exist, and is it more than an entry that waits to be collected?
pub fn alive(pid: i32) -> bool {
    match kill(Pid::from_raw(pid), None) {
        Ok(()) | Err(nix::errno::Errno::EPERM) => !is_zombie(pid),
        Err(_) => false,
    }
}

fn is_zombie(pid: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The name in parentheses may hold anything, a parenthesis too: the state follows the last one.
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'))
}

/// Process ids are used again: a postmaster is told by its current directory, which is its data directory.
fn works_in(pid: i32, data: &Path) -> bool {
    let data = data.canonicalize().unwrap_or_else(|_| data.to_path_buf());
    if cfg!(target_os = "linux") {
        return std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == data);
    }
    let ps = Command::new("ps").args(["-ww", "-o", "command=", "-p", &pid.to_string()]).output();
    ps.is_ok_and(|out| contains(&out.stdout, data.as_os_str()))
}

fn contains(text: &[u8], part: &OsStr) -> bool {
    let part = part.as_encoded_bytes();
    !part.is_empty() && text.windows(part.len()).any(|window| window == part)
}

/// Sends a signal; a process that is gone is no error.
pub fn signal(pid: i32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid), signal);
}

/// Waits until a process that is not our child has ended.
pub fn wait_gone(pid: i32, limit: Duration) -> bool {
    let end = Instant::now() + limit;
    while alive(pid) {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// Ends a child at once (immediate shutdown, then SIGKILL) and collects it.
pub fn end_child(child: &mut Child, limit: Duration) {
    if matches!(child.try_wait(), Ok(Some(_))) {
        return;
    }
    if let Ok(pid) = i32::try_from(child.id()) {
        signal(pid, Signal::SIGQUIT);
    }
    let end = Instant::now() + limit;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Ends the server of a data directory that an earlier dbbuild left, and frees what a killed one could not free itself.
pub fn end_leftover(data: &Path) {
    if let Some(pid) = running_postmaster(data) {
        signal(pid, Signal::SIGQUIT);
        if !wait_gone(pid, Duration::from_secs(6)) {
            signal(pid, Signal::SIGKILL);
            wait_gone(pid, Duration::from_secs(2));
        }
    }
    if let Some((key, id)) = PostmasterFile::read(data).and_then(|file| file.shared_memory) {
        free_shared_memory(key, id);
    }
}

/// Makes a kept data directory and its socket's folder ready to start after the server was killed.
///
/// PostgreSQL overcomes stale lock files by itself, unless their process id belongs to another process by now or was never
/// collected (containers without an init). They may go only once no orphan of the old server uses its memory any more;
/// where they need not go they stay, since a new server finds by them what the old one left in shared memory.
pub fn clear_stale(data: &Path, socket_dir: &Path) {
    let Some(file) = PostmasterFile::read(data) else { return };
    if running_postmaster(data).is_some() || kill(Pid::from_raw(file.pid), None).is_err() {
        return;
    }
    let end = Instant::now() + Duration::from_secs(5);
    let in_use = |(key, id)| segment_users(key, id).is_some_and(|users| users > 0);
    while file.shared_memory.is_some_and(in_use) {
        if Instant::now() > end {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    for stale in [data.join("postmaster.pid"), socket_dir.join(".s.PGSQL.5432.lock")] {
        let _ = std::fs::remove_file(stale);
    }
}

/// A postmaster killed by SIGKILL leaves its small System V segment, of which a machine has only some thousands.
fn free_shared_memory(key: u64, id: u64) {
    if segment_users(key, id) == Some(0) {
        let _ = Command::new("ipcrm")
            .args(["-m", &id.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

/// How many processes use a System V segment; `None` where there is none of that key and id, or no such table.
fn segment_users(key: u64, id: u64) -> Option<i64> {
    let table = std::fs::read_to_string("/proc/sysvipc/shm").ok()?;
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<i64> = line.split_whitespace().map(|word| word.parse().unwrap_or(-1)).collect();
        // key shmid perms size cpid lpid nattch …; the key is printed as a signed number.
        let same = fields.len() > 6 && fields[0] as u32 == key as u32 && fields[1] == id as i64;
        same.then(|| fields[6])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_postmaster_file_is_read() {
        let text = "4711\n/data\n1700000000\n5432\n/run\n\n  5432001         7\nready   \n";
        assert_eq!(PostmasterFile::parse(text), Some(PostmasterFile { pid: 4711, shared_memory: Some((5432001, 7)) }));
        assert_eq!(PostmasterFile::parse("12\n"), Some(PostmasterFile { pid: 12, shared_memory: None }));
        for broken in ["", "x\n", "0\n", "1\n", "99999999999999\n"] {
            assert_eq!(PostmasterFile::parse(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn a_process_of_another_folder_is_no_postmaster_of_this_one() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("postmaster.pid"), format!("{}\n", std::process::id())).unwrap();
        assert_eq!(running_postmaster(temp.path()), None);
    }

    #[test]
    fn a_child_is_ended_and_collected() {
        let mut command = Command::new("sleep");
        command.arg("60");
        let mut child = spawn_bound(command).unwrap();
        let pid = child.id() as i32;
        assert!(alive(pid));
        end_child(&mut child, Duration::from_secs(5));
        assert!(!alive(pid));
    }

    #[test]
    fn a_child_ignores_no_signal_that_ends_it() {
        let mut grep = command(Path::new("/bin/grep"), None);
        grep.args(["SigIgn", "/proc/self/status"]);
        let text = String::from_utf8(grep.output().unwrap().stdout).unwrap();
        let ignored = u64::from_str_radix(text.trim().rsplit('\t').next().unwrap(), 16).unwrap();
        for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM] {
            assert_eq!(ignored & 1 << (signal as u64 - 1), 0, "{signal} in {text}");
        }
    }

    #[test]
    fn so_it_is_where_this_process_ignores_them() {
        let mut ignoring = Command::new("sh");
        ignoring
            .args(["-c", "trap '' INT QUIT TERM; exec \"$0\" --exact \"$1\""])
            .arg(std::env::current_exe().unwrap());
        ignoring.arg("engine::server::process::tests::a_child_ignores_no_signal_that_ends_it");
        let output = ignoring.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }

    #[test]
    fn a_program_that_fails_shows_its_stderr() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo reason >&2; exit 3"]);
        let error = run_bound(command, "the program").unwrap_err();
        assert_eq!(error.details(), ["reason"]);
    }
}
