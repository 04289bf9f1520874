//! Shell scripts: they parse, and whoever clones the repository can run them.

use std::io::Write;
use std::process::{Command, Stdio};

use super::{Fault, Tree};

/// Lists scripts that their shell does not parse, and scripts without the executable bit.
pub fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, file) in &tree.files {
        let Some(text) = file.text() else { continue };
        let Some(shell) = shell_of(text) else { continue };
        if !file.executable {
            faults.push(Fault::file(path, "begins with `#!` but is not executable"));
        }
        if let Err(message) = parses(shell, text) {
            faults.push(Fault::file(path, message));
        }
    }
    faults
}

/// The shell that a script's first line asks for.
fn shell_of(text: &str) -> Option<&'static str> {
    let line = text.strip_prefix("#!")?.lines().next()?;
    let program = line.split([' ', '/']).rfind(|word| !word.is_empty() && !word.starts_with('-'))?;
    ["bash", "sh"].into_iter().find(|shell| *shell == program)
}

fn parses(shell: &str, text: &str) -> Result<(), String> {
    let parse = || -> std::io::Result<std::process::Output> {
        let mut command = Command::new(shell);
        command.arg("-n").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A shell that gives up early closes its end; its own message is the one to show.
            let _ = stdin.write_all(text.as_bytes());
        }
        child.wait_with_output()
    };
    match parse() {
        Ok(done) if done.status.success() => Ok(()),
        Ok(done) => Err(String::from_utf8_lossy(&done.stderr).trim_end().to_owned()),
        Err(error) => Err(format!("cannot run {shell}: {error}")),
    }
}
