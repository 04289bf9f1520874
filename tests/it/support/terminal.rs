//! A program at a terminal, and what stands on its screen: enough of one for progress bars. The screen is as high as it
//! must be.

use std::fs::File;
use std::io::{self, Read};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::outcome::{Pipe, wait};

const SIZE: Winsize = Winsize { ws_row: 40, ws_col: 160, ws_xpixel: 0, ws_ypixel: 0 };

/// A program that was started at a terminal. Dropping it kills it.
pub struct Terminal {
    child: Child,
    written: Option<Pipe>,
}

impl Terminal {
    /// Starts a command whose input and outputs are one terminal.
    pub fn start(mut command: Command) -> Terminal {
        let pty = openpty(&SIZE, None).unwrap();
        let slave = || pty.slave.try_clone().unwrap();
        command.env("TERM", "xterm").stdin(slave()).stdout(slave()).stderr(slave());
        let child = command.spawn().unwrap();
        // The command and the pair hold ends that would keep the terminal open.
        drop(command);
        Terminal { child, written: Some(Pipe::of(Master(pty.master.into()))) }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Waits until the screen is as it should be.
    #[track_caller]
    pub fn until(&self, is: impl Fn(&[String]) -> bool) {
        let start = Instant::now();
        loop {
            let screen = screen(&self.written.as_ref().unwrap().so_far());
            if is(&screen) {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(120), "the screen never became that:\n{}", screen.join("\n"));
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for the end: the exit status, and the lines that stay on the screen.
    #[track_caller]
    pub fn wait(mut self) -> (i32, Vec<String>) {
        let ended = wait(&mut self.child).expect("it hung and was killed");
        (ended.code().unwrap_or(-1), screen(&self.written.take().unwrap().whole()))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The other end, which tells that the terminal was closed by an error.
struct Master(File);

impl Read for Master {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self.0.read(bytes) {
            Err(error) if error.raw_os_error() == Some(Errno::EIO as i32) => Ok(0),
            read => read,
        }
    }
}

/// What stands on the screen after all this was written to it.
fn screen(written: &str) -> Vec<String> {
    let mut lines: Vec<Vec<char>> = vec![Vec::new()];
    let (mut row, mut column) = (0_usize, 0_usize);
    let mut rest = written.chars();
    while let Some(c) = rest.next() {
        match c {
            '\r' => column = 0,
            '\n' => row += 1,
            '\x1b' => {
                let mut sequence = String::new();
                // One that is cut off is not whole yet.
                for c in rest.by_ref() {
                    sequence.push(c);
                    if c.is_ascii_alphabetic() {
                        break;
                    }
                }
                let count = || sequence[1..sequence.len() - 1].parse().unwrap_or(1);
                match sequence.chars().last() {
                    Some('A') => row = row.saturating_sub(count()),
                    Some('B') => row += count(),
                    Some('C') => column += count(),
                    Some('D') => column = column.saturating_sub(count()),
                    Some('K') if sequence == "[2K" => lines[row].clear(),
                    Some('K') => lines[row].truncate(column),
                    Some('h' | 'l' | 'm') => {}
                    Some(c) if c.is_ascii_alphabetic() => panic!("this screen does not know {sequence:?}"),
                    _ => break,
                }
            }
            c => {
                // A full line goes on below once there is more, and not before.
                if column == usize::from(SIZE.ws_col) {
                    (row, column) = (row + 1, 0);
                }
                lines.resize(lines.len().max(row + 1), Vec::new());
                let line = &mut lines[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = c;
                column += 1;
            }
        }
        lines.resize(lines.len().max(row + 1), Vec::new());
    }
    let mut lines: Vec<String> =
        lines.into_iter().map(|line| line.into_iter().collect::<String>().trim_end().to_owned()).collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}
