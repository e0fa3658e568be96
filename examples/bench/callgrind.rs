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
        let output = Command::new("vgdb")
            .arg(format!("--vgdb-prefix={}", self.prefix))
            .args(["status", "internal"])
            .output()
            .map_err(|error| Error::other(format!("vgdb, a part of valgrind, does not start: {error}")))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let count = text.lines().find_map(|line| line.strip_prefix("events-1: ")?.trim().parse().ok());
        count.ok_or_else(|| {
            Error::other(format!("vgdb gives no count: {text}{}", String::from_utf8_lossy(&output.stderr)))
        })
    }

    fn count_while(&self, work: impl FnOnce() -> Result<()>) -> Result<u64> {
        let before = self.count()?;
        work()?;
        Ok(self.count()? - before)
    }

    /// Instructions for one request: the difference of a long and a short run, so that what they have in
    /// common does not count.
    pub fn per_request(&self, client: &mut Connection, request: Request, times: usize) -> Result<f64> {
        request.repeat(client, times / 4)?;
        let short = self.count_while(|| request.repeat(client, times / 2))?;
        let long = self.count_while(|| request.repeat(client, times / 2 + times))?;
        Ok((long as f64 - short as f64) / times as f64)
    }
}
