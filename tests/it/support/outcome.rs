//! What a program did: status and output, with assertions that show all of it when they fail, and a form for snapshots
//! in which times and places that differ from run to run are replaced.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// No command of a test takes this long; one that hangs is killed and shown.
const LIMIT: Duration = Duration::from_secs(300);

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The command line, for messages.
    pub command: String,
    /// The exit status; 128 and the number for a signal, as shells count.
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
    /// Paths of this run and what stands for them in a snapshot.
    pub places: Vec<(String, &'static str)>,
}

/// Runs a command to its end, without standard input.
#[track_caller]
pub fn run(command: &mut Command) -> Outcome {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line = words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {line}: {error}"));
    let said = Said::of(&mut child);
    finish(child, said, line)
}

/// What a program whose outputs are piped has written.
pub(super) struct Said {
    stdout: Pipe,
    stderr: Pipe,
}

/// The bytes so far, and the thread that reads to the end.
pub(super) struct Pipe {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: thread::JoinHandle<()>,
}

impl Said {
    /// Begins to read.
    pub(super) fn of(child: &mut Child) -> Said {
        Said { stdout: Pipe::of(child.stdout.take().unwrap()), stderr: Pipe::of(child.stderr.take().unwrap()) }
    }

    /// Standard output and error up to now.
    pub(super) fn so_far(&self) -> [String; 2] {
        [&self.stdout, &self.stderr].map(Pipe::so_far)
    }
}

impl Pipe {
    pub(super) fn of(mut pipe: impl Read + Send + 'static) -> Pipe {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let all = bytes.clone();
        let reader = thread::spawn(move || {
            let mut piece = [0; 4096];
            loop {
                match pipe.read(&mut piece) {
                    Ok(0) => return,
                    Ok(length) => all.lock().unwrap().extend_from_slice(&piece[..length]),
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
        Pipe { bytes, reader }
    }

    pub(super) fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    pub(super) fn whole(self) -> String {
        self.reader.join().unwrap();
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }
}

/// Waits for the end of a command.
#[track_caller]
pub(super) fn finish(mut child: Child, said: Said, line: String) -> Outcome {
    use std::os::unix::process::ExitStatusExt;
    let ended = wait(&mut child);
    let outcome = Outcome {
        command: line,
        status: ended.map_or(-1, |status| status.code().unwrap_or(128 + status.signal().unwrap_or(0))),
        stdout: said.stdout.whole(),
        stderr: said.stderr.whole(),
        places: Vec::new(),
    };
    assert!(ended.is_some(), "killed after {LIMIT:?}\n{}", outcome.show());
    outcome
}

pub(super) fn wait(child: &mut Child) -> Option<std::process::ExitStatus> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(500);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if start.elapsed() > LIMIT {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

impl Outcome {
    /// Asserts exit status 0.
    #[track_caller]
    pub fn ok(&self) -> &Self {
        assert!(self.status == 0, "should have succeeded\n{}", self.show());
        self
    }

    /// Asserts an exit status that is not 0.
    #[track_caller]
    pub fn fails(&self, status: i32) -> &Self {
        assert!(status != 0, "a failure has another status than 0");
        assert!(self.status == status, "should have failed with {status}\n{}", self.show());
        self
    }

    /// Asserts that the text stands in one of the outputs.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        assert!(self.mentions(text), "should say {text:?}\n{}", self.show());
        self
    }

    /// Asserts that the text stands in neither output.
    #[track_caller]
    pub fn says_not(&self, text: &str) -> &Self {
        assert!(!self.mentions(text), "should not say {text:?}\n{}", self.show());
        self
    }

    fn mentions(&self, text: &str) -> bool {
        self.stdout.contains(text) || self.stderr.contains(text)
    }

    /// What stdout says, as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{}", self.show()))
    }

    /// Everything, for a message.
    pub fn show(&self) -> String {
        let Outcome { command, status, stdout, stderr, .. } = self;
        format!("$ {command}\nexit status {status}\n--- stdout\n{stdout}--- stderr\n{stderr}---")
    }

    /// Status and output for a snapshot, without what differs from run to run.
    pub fn snapshot(&self) -> String {
        let mut text = format!("exit status {}\n", self.status);
        for (name, output) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !output.is_empty() {
                text.push_str(&format!("--- {name}\n{}", redact(output, &self.places)));
            }
        }
        text
    }
}

/// Replaces paths of this run, durations, points in time, ports and process ids.
pub fn redact(text: &str, places: &[(String, &'static str)]) -> String {
    let mut text = text.to_owned();
    for (place, name) in places {
        text = text.replace(place, name);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(c) = rest.chars().next() {
        let inside_word = out.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'));
        let replaced = if c.is_ascii_digit() && !inside_word { replacement(rest, &out) } else { None };
        let (length, with) = replaced.unwrap_or((c.len_utf8(), &rest[..c.len_utf8()]));
        out.push_str(with);
        rest = &rest[length..];
    }
    out
}

/// How many bytes of the text, which begins with a digit, are replaced, and by what.
fn replacement<'a>(text: &str, before: &str) -> Option<(usize, &'a str)> {
    let length = |allowed: &str| text.find(|c: char| !c.is_ascii_digit() && !allowed.contains(c)).unwrap_or(text.len());
    let time = length("-:.TZ ");
    let moment = text[..time].trim_end_matches([' ', '.']);
    if moment.len() >= 16 && moment[4..].starts_with('-') && moment[7..].starts_with('-') && moment.contains(':') {
        return Some((moment.len(), "[TIME]"));
    }
    let number = length(".");
    let after = &text[number..];
    let unit = ["ms", "µs", "s", "min"].into_iter().find(|unit| {
        let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric());
        after.trim_start_matches(' ').strip_prefix(unit).is_some_and(ends)
    });
    if let Some(unit) = unit {
        let spaces = after.len() - after.trim_start_matches(' ').len();
        return Some((number + spaces + unit.len(), "[DURATION]"));
    }
    if before.ends_with("127.0.0.1:") || before.ends_with("localhost:") || before.ends_with("port=") {
        return Some((length(""), "[PORT]"));
    }
    before.ends_with("pid ").then(|| (length(""), "[PID]"))
}
