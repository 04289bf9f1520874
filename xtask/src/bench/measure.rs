//! Timing commands and judging what was measured. Peak memory is asked of a process of its own, since the system counts
//! it over all children that a process ever had.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};

use crate::workspace;

/// What a row brought.
pub enum Measured {
    /// Seconds of both sides.
    Times { ours: Vec<f64>, theirs: Vec<f64> },
    /// Peak memory in MB.
    Memory(f64),
}

/// A measurement beside its limit, with both sides as text.
pub struct Verdict {
    pub ours: String,
    pub theirs: String,
    pub value: f64,
    pub ok: bool,
}

impl Measured {
    /// Compares with the limit: a ratio of medians, or MB.
    pub fn verdict(&self, limit: f64) -> Verdict {
        let (ours, theirs, value) = match self {
            Measured::Times { ours, theirs } => {
                let (ours, theirs) = (median(ours), median(theirs));
                (show_seconds(ours), show_seconds(theirs), ours / theirs)
            }
            Measured::Memory(mb) => (format!("{mb:.1} MB"), "-".into(), *mb),
        };
        Verdict { ours, theirs, value, ok: value <= limit }
    }
}

fn show_seconds(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.2} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

/// The middle value, or the mean of the two in the middle; NaN, which is over any limit, for none.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len(), sorted.len() / 2) {
        (0, _) => f64::NAN,
        (n, middle) if n % 2 == 1 => sorted[middle],
        (_, middle) => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// How one side is measured: `prepare` is not timed and gives the command that is, `repeat` times in a row.
pub struct Side<'a> {
    pub prepare: &'a dyn Fn() -> Result<Command>,
    /// Exit statuses that count as done.
    pub accepted: &'a [i32],
}

/// Measures two sides alternately, so that a slow minute of the machine hits both.
pub fn alternate(rounds: u32, repeat: u32, ours: &Side, theirs: &Side) -> Result<Measured> {
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        our_times.push(sample(ours, repeat)?);
        their_times.push(sample(theirs, repeat)?);
    }
    Ok(Measured::Times { ours: our_times, theirs: their_times })
}

/// The mean of so many runs in a row, after one that warms the caches where there are several.
fn sample(side: &Side, repeat: u32) -> Result<f64> {
    let mut command = (side.prepare)()?;
    if repeat > 1 {
        timed(&mut command, side.accepted)?;
    }
    let mut total = 0.0;
    for _ in 0..repeat {
        total += timed(&mut command, side.accepted)?;
    }
    Ok(total / f64::from(repeat))
}

fn timed(command: &mut Command, accepted: &[i32]) -> Result<f64> {
    // Into a file, not a pipe, which would have to be read; its text is only wanted when something went wrong.
    let log = tempfile::tempfile()?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.try_clone()?);
    let start = Instant::now();
    let status = command.status().with_context(|| format!("cannot start {}", workspace::show(command)))?;
    let seconds = start.elapsed().as_secs_f64();
    if !status.code().is_some_and(|code| accepted.contains(&code)) {
        bail!("{} failed ({status})\n{}", workspace::show(command), read_back(log)?);
    }
    Ok(seconds)
}

fn read_back(mut log: std::fs::File) -> Result<String> {
    use std::io::{Read, Seek};
    let mut text = String::new();
    log.rewind()?;
    log.read_to_string(&mut text)?;
    Ok(text)
}

/// A program and its arguments, to be run for its peak memory.
#[derive(clap::Args)]
pub struct MeasureOptions {
    /// File to which the peak is written, in KiB
    report: std::path::PathBuf,
    /// Program and arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    command: Vec<String>,
}

/// Runs the command and writes the greatest resident set of it and its children.
pub fn run_measured(options: &MeasureOptions) -> Result<bool> {
    let (program, arguments) = options.command.split_first().context("no program")?;
    let status = Command::new(program).args(arguments).status().with_context(|| format!("cannot start {program}"))?;
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    std::fs::write(&options.report, usage.max_rss().to_string())?;
    Ok(status.success())
}

/// The peak memory of a command in MB, measured by a small process in between.
pub fn peak_memory(command: &Command, scratch: &Path) -> Result<Measured> {
    let report = scratch.join("peak");
    let mut outer = Command::new(std::env::current_exe()?);
    outer.arg("measure").arg(&report).arg(command.get_program()).args(command.get_args());
    if let Some(dir) = command.get_current_dir() {
        outer.current_dir(dir);
    }
    outer.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    timed(&mut outer, &[0])?;
    let unit = if cfg!(target_os = "macos") { 1.0 } else { 1024.0 };
    let peak: f64 = std::fs::read_to_string(&report)?.trim().parse()?;
    Ok(Measured::Memory(peak * unit / 1e6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_verdict_is_over_only_beyond_its_limit() {
        let times = |ours: f64| Measured::Times { ours: vec![ours], theirs: vec![1.0] };
        assert!(times(1.1).verdict(1.1).ok);
        assert!(!times(1.2).verdict(1.1).ok);
        assert!(!Measured::Times { ours: vec![], theirs: vec![] }.verdict(1.1).ok);
        assert!(!Measured::Memory(97.0).verdict(96.0).ok);
    }

    #[test]
    fn a_side_that_fails_is_an_error_with_its_message() {
        let fails = || {
            let mut command = Command::new("sh");
            command.args(["-c", "echo no >&2; exit 3"]);
            Ok(command)
        };
        let side = |accepted| Side { prepare: &fails, accepted };
        assert!(sample(&side(&[0]), 1).unwrap_err().to_string().ends_with("no\n"));
        assert!(sample(&side(&[0, 3]), 1).is_ok());
    }
}
