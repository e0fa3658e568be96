//! Instructions that a program under `valgrind --tool=callgrind` has executed, asked for while it runs.

use std::io::{Error, Result};
use std::process::Command;

/// The program whose valgrind was started with this `--vgdb-prefix`.
pub struct Callgrind<'a> {
    pub prefix: &'a str,
}

impl Callgrind<'_> {
    /// Instructions since the start.
    fn count(&self) -> Result<u64> {
        let text = self.monitor(&["status", "internal"])?;
        let count = text.lines().find_map(|line| line.strip_prefix("events-1: ")?.trim().parse().ok());
        count.ok_or_else(|| Error::other(format!("callgrind tells no count: {text}")))
    }

    /// Instructions that the work takes.
    pub fn count_while(&self, work: impl FnOnce() -> Result<()>) -> Result<u64> {
        let before = self.count()?;
        work()?;
        Ok(self.count()? - before)
    }

    /// Switches counting on in a program that was started with `--instr-atstart=no`, or off. Without it, it
    /// runs several times as fast.
    pub fn switch(&self, on: bool) -> Result<()> {
        self.monitor(&["instrumentation", if on { "on" } else { "off" }]).map(drop)
    }

    /// What callgrind answers to a command.
    fn monitor(&self, command: &[&str]) -> Result<String> {
        let output = Command::new("vgdb")
            .arg(format!("--vgdb-prefix={}", self.prefix))
            // A program that waits would not look by itself; by default it is given time to.
            .arg("--max-invoke-ms=1")
            .args(command)
            .output()
            .map_err(|error| Error::other(format!("vgdb, a part of valgrind, does not start: {error}")))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Error::other(format!("vgdb does not reach the program: {said}")));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
