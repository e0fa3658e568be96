//! `health`: how the store is, as monitoring plugins say it: one line with figures behind `|`, and the status.

use std::path::Path;
use std::process::ExitCode;

use crate::arguments::HealthOptions;
use crate::dump::{self, OFF};
use crate::top::{Sample, uptime};
use store_client::{Problem, plural};

const OK: u8 = 0;
const WARNING: u8 = 1;
const CRITICAL: u8 = 2;
const UNKNOWN: u8 = 3;

/// What was found: how bad it is, and what.
type Finding = (u8, String);

pub fn run(options: &HealthOptions) -> ExitCode {
    if options.warning > options.critical {
        let (warning, critical) = (options.warning, options.critical);
        return unknown(format!("--warning {warning} is above --critical {critical}"));
    }
    match look(options) {
        Ok((sample, check)) => {
            let (findings, figures) = judge(&sample, check.as_deref(), options);
            tell(findings, &figures)
        }
        // Whoever may not ask, or asks another kind of store, does not know how it is.
        Err(problem) if problem.is("EACCES") || matches!(problem, Problem::Told(_)) => {
            unknown(problem.to_string())
        }
        Err(problem) => tell(vec![(CRITICAL, problem.to_string())], ""),
    }
}

/// The sums, and what the check of consistency has found, if that is wanted.
fn look(options: &HealthOptions) -> Result<(Sample, Option<String>), Problem> {
    let mut store = options.store.open()?.in_all();
    let sample = Sample::totals(&mut store)?;
    Ok((sample, options.check.then(|| store.control(&["check"])).transpose()?))
}

fn judge(sample: &Sample, check: Option<&str>, options: &HealthOptions) -> (Vec<Finding>, String) {
    let mut findings = Vec::new();
    if let Some(found) = check.map(str::trim_end).filter(|found| *found != "OK") {
        findings.push((CRITICAL, format!("the check finds: {}", found.replace('\n', "; "))));
    }
    let mut figures = Vec::new();
    for level in &sample.levels {
        let (percent, what) = (level.share() * 100.0, &level.what);
        let (warning, critical) = (options.warning, options.critical);
        let how = if percent >= f64::from(critical) { CRITICAL } else { WARNING };
        if percent >= f64::from(warning) {
            findings.push((how, format!("{what} {}/{} ({percent:.0} %)", level.used, level.room)));
        }
        figures.push(format!("'{what}'={percent:.1}%;{warning};{critical};0;100"));
    }
    let faults = sample.faults;
    if faults > 0 {
        findings.push((WARNING, format!("{} of the store since its start", plural(faults, "fault"))));
    }
    if !sample.recording {
        findings.push((WARNING, OFF.to_owned()));
    }
    if findings.is_empty() {
        let (up, requests) = (uptime(sample.running_ms), plural(sample.requests, "request"));
        let consistent = if check.is_some() { ", consistent" } else { "" };
        findings.push((OK, format!("up {up}, {requests}{consistent}")));
    }
    (findings, figures.join(" "))
}

/// Prints why nothing is known of the store.
pub fn unknown(why: String) -> ExitCode {
    tell(vec![(UNKNOWN, why)], "")
}

/// Prints the line, the worst first.
fn tell(mut findings: Vec<Finding>, figures: &str) -> ExitCode {
    findings.sort_by_key(|(status, _)| std::cmp::Reverse(*status));
    let status = findings.first().map_or(UNKNOWN, |(status, _)| *status);
    let word = match status {
        OK => "OK",
        WARNING => "WARNING",
        CRITICAL => "CRITICAL",
        _ => "UNKNOWN",
    };
    let texts: Vec<String> = findings.into_iter().map(|(_, text)| text).collect();
    let bar = if figures.is_empty() { "" } else { " | " };
    // What others have written must neither reach a terminal as control characters nor begin the figures.
    let line = texts.join(", ").replace('|', "/");
    let line = format!("XENSTORE {word} - {}{bar}{figures}\n", Problem::new(line));
    match dump::write(Path::new("-"), line.as_bytes()) {
        Ok(()) => ExitCode::from(status),
        Err(problem) => {
            store_client::tell(format_args!("xs-trace: {problem}"));
            ExitCode::from(UNKNOWN)
        }
    }
}
