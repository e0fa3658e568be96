//! `health`: how the store is, as monitoring plugins say it: one line with figures behind `|`, and the status.

use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;

use crate::arguments::HealthOptions;
use crate::dump::OFF;
use crate::stats::Stats;
use store_client::Problem;
use store_client::Store;

const OK: u8 = 0;
const WARNING: u8 = 1;
const CRITICAL: u8 = 2;
pub const UNKNOWN: u8 = 3;

/// What was found: how bad it is, and what.
type Finding = (u8, String);

pub fn run(options: &HealthOptions) -> ExitCode {
    if options.warning > options.critical {
        let (warning, critical) = (options.warning, options.critical);
        return tell(vec![(UNKNOWN, format!("--warning {warning} is above --critical {critical}"))], "");
    }
    let (told, looked) = channel();
    let place = options.store.place.clone();
    // A store that hangs answers nothing, so somebody else waits for it.
    thread::spawn(move || drop(told.send(Box::new(look(place.as_deref())))));
    match looked.recv_timeout(options.timeout) {
        Ok(look) => match *look {
            Ok((stats, check)) => {
                let (findings, figures) = judge(&stats, &check, options);
                tell(findings, &figures)
            }
            Err(problem) => tell(vec![(CRITICAL, problem.to_string())], ""),
        },
        Err(RecvTimeoutError::Timeout) => {
            let seconds = options.timeout.as_secs_f64();
            tell(vec![(CRITICAL, format!("the store has not answered for {seconds} s"))], "")
        }
        Err(RecvTimeoutError::Disconnected) => tell(vec![(UNKNOWN, "nobody has looked".to_owned())], ""),
    }
}

/// The sums, and what the check of consistency has found.
fn look(place: Option<&std::path::Path>) -> Result<(Stats, String), Problem> {
    let mut store = Store::open(place)?;
    let stats = Stats::take(&mut store)?;
    Ok((stats, store.control(&["check"])?))
}

fn judge(stats: &Stats, check: &str, options: &HealthOptions) -> (Vec<Finding>, String) {
    let mut findings = Vec::new();
    let check = check.trim_end();
    if check != "OK" {
        findings.push((CRITICAL, format!("the check finds: {}", check.replace('\n', "; "))));
    }
    let mut figures = Vec::new();
    for level in &stats.sample.levels {
        let (percent, what) = (level.share() * 100.0, &level.what);
        let (warning, critical) = (options.warning, options.critical);
        let how = if percent >= f64::from(critical) { CRITICAL } else { WARNING };
        if percent >= f64::from(warning) {
            findings.push((how, format!("{what} {}/{} ({percent:.0} %)", level.used, level.room)));
        }
        figures.push(format!("'{what}'={percent:.1}%;{warning};{critical};0;100"));
    }
    let faults = stats.total("restarts");
    if faults > 0 {
        let s = if faults == 1 { "" } else { "s" };
        findings.push((WARNING, format!("{faults} fault{s} of the store since its start")));
    }
    if !stats.sample.recording {
        findings.push((WARNING, OFF.to_owned()));
    }
    if findings.is_empty() {
        let (domains, requests) = (stats.sample.domains.len(), stats.sample.requests);
        let s = if domains == 1 { "" } else { "s" };
        findings.push((OK, format!("{domains} domain{s}, {requests} requests, consistent")));
    }
    (findings, figures.join(" "))
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
    println!("XENSTORE {word} - {}{bar}{figures}", Problem::new(line));
    ExitCode::from(status)
}
