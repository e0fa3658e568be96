//! Instructions that a server under `valgrind --tool=callgrind` has executed, asked for while it runs.

use std::io::{Error, Result};
use std::process::Command;

use crate::connection::Connection;
use crate::requests::Request;

/// The server whose valgrind was started with this `--vgdb-prefix`.
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

    fn count_while(&self, work: impl FnOnce() -> Result<()>) -> Result<u64> {
        let before = self.count()?;
        work()?;
        Ok(self.count()? - before)
    }

    /// Instructions for one request: the difference of a long and a short run, so that what they have in
    /// common does not count.
    pub fn per_request(&self, client: &mut Connection, request: Request, times: usize) -> Result<f64> {
        request.begin(client)?;
        let mut run = |times| (0..times).try_for_each(|_| request.once(client));
        run(times / 4)?;
        let short = self.count_while(|| run(times / 2))?;
        let long = self.count_while(|| run(times / 2 + times))?;
        request.end(client)?;
        Ok((long as f64 - short as f64) / times as f64)
    }

    /// Switches counting on in a server that was started with `--instr-atstart=no`. Until then it runs
    /// several times as fast.
    pub fn switch_on(&self) -> Result<()> {
        self.monitor(&["instrumentation", "on"]).map(drop)
    }

    /// What callgrind answers to a command.
    fn monitor(&self, command: &[&str]) -> Result<String> {
        let output = Command::new("vgdb")
            .arg(format!("--vgdb-prefix={}", self.prefix))
            .args(command)
            .output()
            .map_err(|error| Error::other(format!("vgdb, a part of valgrind, does not start: {error}")))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Error::other(format!("vgdb does not reach the server: {said}")));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
