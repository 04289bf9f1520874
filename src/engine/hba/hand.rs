//! Who reads and writes the files of a server on this machine: this user, or the server's through `run_as`.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::{AccessFlags, access, geteuid};

use crate::engine::files;

const SCRIPT: &str = include_str!("hand.sh");

/// The script's status where a file is not there.
const NOT_THERE: i32 = 3;

/// See the module's page.
#[derive(Debug, Clone)]
pub(super) struct Hand {
    /// The words before a program; none where this user does it.
    words: Vec<String>,
}

/// What tells one file from another: size, and the seconds of its last changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub size: i64,
    pub modified: i64,
    pub changed: i64,
}

impl Hand {
    /// This user where it may replace the file, else the one of `run_as` where that is configured.
    pub fn of(file: &Path, run_as: &[String]) -> Hand {
        let folder = file.parent().unwrap_or(Path::new("/"));
        let owns = fs::metadata(file).is_ok_and(|meta| geteuid().is_root() || meta.uid() == geteuid().as_raw());
        let may = owns && access(folder, AccessFlags::W_OK).is_ok();
        Hand { words: if may { Vec::new() } else { run_as.to_vec() } }
    }

    /// "this user", or the words.
    pub fn describe(&self) -> String {
        if self.words.is_empty() { "this user".to_owned() } else { format!("`{}`", self.words.join(" ")) }
    }

    /// Who else could do what was refused.
    pub fn advice(&self) -> &'static str {
        if self.words.is_empty() {
            "run it as root or the owner of the file, or set `run_as = [\"sudo\", \"-u\", \"postgres\"]` for this environment."
        } else {
            "`run_as` of this environment must lead, without a question, to the owner of the file or to root."
        }
    }

    pub fn stat(&self, file: &str) -> io::Result<Option<Stat>> {
        if self.words.is_empty() {
            return there(fs::metadata(file)).map(|meta| {
                meta.map(|meta| Stat { size: meta.size() as i64, modified: meta.mtime(), changed: meta.ctime() })
            });
        }
        let Some(out) = self.run(&["stat", file], &[])? else { return Ok(None) };
        let text = String::from_utf8_lossy(&out).into_owned();
        let numbers: Vec<i64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        match numbers[..] {
            [size, modified, changed] => Ok(Some(Stat { size, modified, changed })),
            _ => Err(io::Error::other(format!("cannot read what stat says of {file}"))),
        }
    }

    pub fn read(&self, file: &str) -> io::Result<Option<Vec<u8>>> {
        if self.words.is_empty() { there(fs::read(file)) } else { self.run(&["read", file], &[]) }
    }

    pub fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        if self.words.is_empty() {
            let entries = fs::read_dir(folder)?;
            return Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect());
        }
        let out = self.run(&["list", folder], &[])?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&out).lines().map(str::to_owned).collect())
    }

    /// Replaces a file atomically, with its owner and mode; a new one gets those of `like`.
    pub fn replace(&self, file: &str, bytes: &[u8], like: &str) -> io::Result<()> {
        if self.words.is_empty() {
            return files::replace_owned(Path::new(file), bytes, Path::new(like));
        }
        self.run(&["replace", file, like], bytes).map(drop)
    }

    /// Where a file really lies, behind links; as it is where it is not there.
    pub fn resolve(&self, file: &str) -> io::Result<String> {
        let found = if self.words.is_empty() {
            there(fs::canonicalize(file))?.map(|path| path.to_string_lossy().into_owned())
        } else {
            self.run(&["resolve", file], &[])?
                .map(|out| String::from_utf8_lossy(&out).trim_end_matches('\n').to_owned())
        };
        Ok(found.unwrap_or_else(|| file.to_owned()))
    }

    /// Gives a file that is about to be replaced a second name, under which it stays as it is, owner, mode and times;
    /// where the file system cannot do that, a copy.
    pub fn keep(&self, file: &str, as_name: &str) -> io::Result<()> {
        if !self.words.is_empty() {
            return self.run(&["keep", file, as_name], &[]).map(drop);
        }
        match fs::hard_link(file, as_name) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(e),
            Err(_) => files::replace_owned(Path::new(as_name), &fs::read(file)?, Path::new(file)),
        }
    }

    pub fn rename(&self, file: &str, to: &str) -> io::Result<()> {
        if self.words.is_empty() { fs::rename(file, to) } else { self.run(&["rename", file, to], &[]).map(drop) }
    }

    pub fn remove(&self, file: &str) -> io::Result<()> {
        if self.words.is_empty() {
            return there(fs::remove_file(file)).map(drop);
        }
        self.run(&["remove", file], &[]).map(drop)
    }

    /// Runs the script as the other user; `None` where the file is not there.
    fn run(&self, arguments: &[&str], input: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let Some((program, words)) = self.words.split_first() else { return Ok(None) };
        let mut command = Command::new(program);
        command.args(words).args(["/bin/sh", "-c", SCRIPT, "sh"]).args(arguments).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().map_err(|e| io::Error::new(e.kind(), format!("cannot start {program}: {e}")))?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that reads nothing may have ended already.
            let _ = stdin.write_all(input);
        }
        let output = child.wait_with_output()?;
        match output.status.code() {
            Some(0) => Ok(Some(output.stdout)),
            Some(NOT_THERE) => Ok(None),
            _ => {
                let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                Err(io::Error::other(format!("{} failed ({}): {words}", self.describe(), output.status)))
            }
        }
    }
}

fn there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What dbbuild does by itself, and what the script does.
    #[test]
    fn both_hands_replace_a_file_behind_its_link_with_its_mode_and_keep_the_old_one() {
        for words in [vec![], vec!["env".to_owned(), "-i".to_owned()]] {
            let hand = Hand { words };
            let folder = tempfile::tempdir().unwrap();
            let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
            let (file, link, copy) = (at("file"), at("link"), at("copy"));
            fs::write(&file, "old").unwrap();
            fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o604)).unwrap();
            std::os::unix::fs::symlink(&file, &link).unwrap();
            assert_eq!(hand.resolve(&link).unwrap(), fs::canonicalize(&file).unwrap().to_string_lossy());
            let stat = hand.stat(&link).unwrap().unwrap();
            assert_eq!(stat.size, 3);
            hand.keep(&file, &copy).unwrap();
            hand.replace(&link, b"new one", &link).unwrap();
            assert_eq!(hand.read(&file).unwrap().unwrap(), b"new one");
            assert_eq!(hand.read(&copy).unwrap().unwrap(), b"old");
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
            assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o604);
            hand.replace(&at("below/new"), b"more", &file).unwrap();
            assert_eq!(fs::metadata(at("below")).unwrap().mode() & 0o777, 0o700);
            assert_eq!(fs::metadata(at("below/new")).unwrap().mode() & 0o777, 0o604);
            hand.rename(&copy, &file).unwrap();
            assert_eq!(hand.read(&file).unwrap().unwrap(), b"old");
            hand.remove(&file).unwrap();
            assert_eq!(hand.read(&file).unwrap(), None);
            let names = hand.list(&at("")).unwrap();
            assert!(!names.iter().any(|name| name.starts_with(".dbbuild")), "{names:?}");
        }
    }
}
