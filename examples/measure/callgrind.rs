//! What a program under `valgrind --tool=callgrind` has done, asked for while it runs.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Error, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Events by their names: `Ir` are instructions. Caches and branches are counted only if callgrind simulates them.
pub type Counts = BTreeMap<String, u64>;

/// The program whose valgrind was started with this `--vgdb-prefix`.
pub struct Callgrind<'a> {
    pub prefix: &'a str,
}

impl Callgrind<'_> {
    /// All events since the start.
    pub fn counts(&self) -> Result<Counts> {
        let text = self.monitor(&["status", "internal"])?;
        let words = |key| text.lines().find_map(|line| Some(line.strip_prefix(key)?.split_whitespace()));
        let (Some(names), Some(counts)) = (words("events: "), words("events-1: ")) else {
            return Err(Error::other(format!("callgrind tells no count: {text}")));
        };
        // Those at the end that are 0 are not told.
        let counts = counts.map(str::parse).chain(std::iter::repeat(Ok(0)));
        let counts =
            names.zip(counts).map(|(name, count)| Ok((name.to_string(), count.map_err(Error::other)?)));
        counts.collect()
    }

    /// Instructions since the start.
    fn count(&self) -> Result<u64> {
        self.counts()?.get("Ir").copied().ok_or_else(|| Error::other("callgrind counts no instructions"))
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

    /// Instructions that the work takes, by function, without those that it calls; the most first. `file` is callgrind's
    /// `--callgrind-out-file`.
    pub fn profile_while(
        &self,
        file: &Path,
        work: impl FnOnce() -> Result<()>,
    ) -> Result<Vec<(String, u64)>> {
        self.monitor(&["zero"])?;
        work()?;
        self.monitor(&["dump"])?;
        let part = PathBuf::from(format!("{}.1", file.display()));
        own_costs(BufReader::new(std::fs::File::open(part)?))
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

/// A function's name without what says of what type it is.
fn short(name: &str) -> String {
    let (mut depth, mut short) = (0, String::new());
    for part in name.split_inclusive(['<', '>']) {
        if depth == 0 {
            short.push_str(part.trim_end_matches(['<', '>']));
        }
        depth += i32::from(part.ends_with('<')) - i32::from(part.ends_with('>'));
    }
    let short = short.replace("::::", "::");
    short.trim_matches(':').trim_start_matches("xenstore::").to_string()
}

/// By function, from callgrind's file, see "Callgrind Format Specification" in valgrind's manual.
fn own_costs(lines: impl BufRead) -> Result<Vec<(String, u64)>> {
    let mut names = BTreeMap::new();
    let mut costs = BTreeMap::<String, u64>::new();
    let mut function = String::new();
    let mut is_call = false;
    for line in lines.lines() {
        let line = line?;
        if let Some((key, value)) = line.split_once('=') {
            is_call = key == "calls";
            if matches!(key, "fn" | "cfn") {
                // A name stands there once, at its number's first use.
                let (number, name) = value.split_once(' ').unwrap_or((value, ""));
                if !name.is_empty() {
                    names.insert(number.to_string(), short(name));
                }
                if key == "fn" {
                    function = names.get(number).cloned().unwrap_or_default();
                }
            }
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            // Behind a call stands what it has cost in the function that was called.
            if !std::mem::take(&mut is_call) {
                let cost = line.split(' ').nth(1).and_then(|cost| cost.parse::<u64>().ok()).unwrap_or(0);
                *costs.entry(function.clone()).or_default() += cost;
            }
        }
    }
    let mut costs: Vec<_> = costs.into_iter().filter(|(_, cost)| *cost > 0).collect();
    costs.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
    Ok(costs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_of_calls_are_the_called_ones() {
        let file = "events: Ir Dr\nfn=(1) a::<impl b::C<D>>::serve\n0 7 1\n+3 2\ncfn=(2) <E as F<G>>::get\ncalls=1 0\n* 500\n-2 1\n\
                    fn=(2)\n0 30\nfn=(1)\n0 1\nfn=(3) unused\n0 0\ntotals: 541\n";
        let expected = [("get", 30), ("a::serve", 11)].map(|(name, cost)| (name.to_string(), cost));
        assert_eq!(own_costs(file.as_bytes()).expect("it is read"), expected);
    }
}
