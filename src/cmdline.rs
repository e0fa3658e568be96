//! The image's command line: upstream xenstored's options as far as they mean something in a domain of
//! its own, and `loglevel=`.
//!
//! A bad option is reported and skipped, its default stays: dom0 hangs without a store, so the store
//! starts with what it understood. Nothing is allocated and no input panics.

use core::fmt;
use core::ops::RangeInclusive;

use log::LevelFilter;

use crate::abi::{DomId, Port};
use crate::config::Settings;
use crate::quota::{Quota, Quotas};
use crate::wire::plain_number;

/// Longest path that the protocol can carry, `XENSTORE_ABS_PATH_MAX` less its leading part (io/xs_wire.h).
/// Larger values mean this one, as upstream.
const PATH_MAX_LIMIT: u32 = 2048;

/// The options of the command line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    pub settings: Settings,
    /// The port that dom0 keeps for us. Only init-xenstore-domain gives it.
    pub event: Option<Port>,
    /// At `Trace` all work is logged from the start, in the hypervisor's own log too.
    pub log_level: LevelFilter,
    /// The domain with all rights, whose ring is the first to be served.
    pub priv_domid: DomId,
    /// The domain that the store runs in, if given.
    pub master_domid: Option<DomId>,
    pub event_format: EventFormat,
    pub standalone: Standalone,
    /// CONTROL `fault` is followed.
    pub allow_fault: bool,
    /// Faults within a minute that are recovered from.
    pub restarts: u32,
    /// KiB of memory for the trace ring; `None` for the default, see [`crate::config::Capacities::default_trace`].
    pub trace_size: Option<u32>,
}

/// What is done without `--event`: the image is then a guest that tries its own store. Plain words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standalone {
    /// It does not end after its report, but waits for commands.
    pub stay: bool,
    /// It prints its trace on the console.
    pub dump: bool,
    /// One row of the self-test fails on purpose.
    pub fail: bool,
    /// How long the benchmark takes, seconds.
    pub seconds: u32,
}

/// Formats of event channels (event_channel.h).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventFormat {
    /// Bitmaps, 4096 ports: all hypervisors have them.
    TwoLevel,
    /// Queues, 131072 ports, where the hypervisor has them; else bitmaps.
    Fifo,
}

impl Options {
    pub const DEFAULT: Options = Options {
        settings: Settings::DEFAULT,
        event: None,
        log_level: LevelFilter::Info,
        priv_domid: DomId(0),
        master_domid: None,
        event_format: EventFormat::Fifo,
        standalone: Standalone { stay: false, dump: false, fail: false, seconds: 1 },
        allow_fault: false,
        restarts: 5,
        trace_size: None,
    };
}

/// Why a word of the command line was not followed. Displays as one line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem<'a> {
    /// No such option. `serves`: the line has `--event`, so a trial's words are none either.
    Unknown { word: &'a [u8], serves: bool },
    /// The option wants a value and the line ends.
    NoValue { option: &'static str, allowed: &'static str },
    /// The option takes no value.
    ValueNotWanted { option: &'static str, value: &'a [u8] },
    /// The value is not one of those allowed.
    BadValue { option: &'static str, value: &'a [u8], allowed: &'static str },
    /// An option of xenstored that a domain of its own has no use for.
    NoEffect { option: &'static str },
}

impl fmt::Display for Problem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Problem::Unknown { word, serves: false } => {
                let word = word.escape_ascii();
                write!(f, "unknown word \"{word}\"; known: stay dump fail seconds=, and the store's options")
            }
            Problem::Unknown { word, serves: true } => {
                write!(f, "unknown option \"{}\"; known: loglevel= --(", word.escape_ascii())?;
                let mut separator = "";
                for option in OPTIONS.iter().filter(|option| option.is_told()) {
                    write!(f, "{separator}{}", option.long)?;
                    separator = " ";
                }
                f.write_str(")")
            }
            Problem::NoValue { option, allowed } => {
                write!(f, "option {option} has no value, ignored; allowed is {allowed}")
            }
            Problem::ValueNotWanted { option, value } => {
                write!(f, "option {option} takes no value, \"{}\" ignored", value.escape_ascii())
            }
            Problem::BadValue { option, value, allowed } => {
                write!(f, "option {option}: \"{}\" ignored; allowed is {allowed}", value.escape_ascii())
            }
            Problem::NoEffect { option } => write!(f, "option {option} has no effect in a xenstore domain"),
        }
    }
}

/// What an option does with its value. `Err` says what is allowed.
enum Action {
    Flag(fn(&mut Options)),
    Value(fn(&mut Options, &[u8]) -> Result<(), &'static str>, &'static str),
    /// The same by an older name: not told of, since `quota` says it as well.
    Older(fn(&mut Options, &[u8]) -> Result<(), &'static str>, &'static str),
    /// Known upstream; takes a value or not.
    NoEffect(Takes),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Value,
    /// Only with `=`.
    Perhaps,
}

struct Definition {
    long: &'static str,
    short: Option<u8>,
    action: Action,
}

const NUMBER: &str = "a number from 0 to 4294967295";
const DOMID: &str = "a domid from 0 to 32751";
const PORT: &str = "a port from 1 to 131071";
const TRACE_KIB: RangeInclusive<u32> = 4..=1 << 20;
const TRACE_SIZE: &str = "a number of KiB from 4 to 1048576";
const SECONDS: RangeInclusive<u32> = 1..=3600;
const SECONDS_ALLOWED: &str = "a number from 1 to 3600";
const QUOTA: &str = "NAME=NUMBER with NAME one of nodes, watches, outstanding, memory, transactions, \
                     transaction-nodes, node-permissions, path-max, node-size";
const SOFT_QUOTA: &str = "memory=NUMBER";
const MICROSECONDS: RangeInclusive<u32> = 0..=1_000_000;
const BUDGET: &str = "a number from 0 to 1000000";
const TIMEOUT: &str = "watch-event=SECONDS";
const EVENT_FORMAT: &str = "2l or fifo";
const LOG_LEVEL: &str = "error, warn, info, debug or trace";

impl Definition {
    fn is_told(&self) -> bool {
        !matches!(self.action, Action::Older(..) | Action::NoEffect(_))
    }
}

const fn define(long: &'static str, short: u8, action: Action) -> Definition {
    Definition { long, short: if short == 0 { None } else { Some(short) }, action }
}

const OPTIONS: &[Definition] = &[
    define("event", 0, Action::Value(event, PORT)),
    define("evtchn", 0, Action::Value(event_format, EVENT_FORMAT)),
    define("quota", b'Q', Action::Value(quota, QUOTA)),
    define("quota-soft", b'q', Action::Value(soft_quota, SOFT_QUOTA)),
    define("entry-nb", b'E', Action::Older(|options, value| set(&mut quotas(options).nodes, value), NUMBER)),
    define(
        "entry-size",
        b'S',
        Action::Older(|options, value| set(&mut quotas(options).node_size, value), NUMBER),
    ),
    define(
        "watch-nb",
        b'W',
        Action::Older(|options, value| set(&mut quotas(options).watches, value), NUMBER),
    ),
    define(
        "transaction",
        b't',
        Action::Older(|options, value| set(&mut quotas(options).transactions, value), NUMBER),
    ),
    define(
        "perm-nb",
        b'A',
        Action::Older(|options, value| set(&mut quotas(options).node_permissions, value), NUMBER),
    ),
    define("path-max", b'M', Action::Older(path_max, NUMBER)),
    define("budget", 0, Action::Value(budget, BUDGET)),
    define("timeout", b'w', Action::Value(timeout, TIMEOUT)),
    define("keep-orphans", b'K', Action::Flag(|options| options.settings.keep_orphans = true)),
    define("master-domid", 0, Action::Value(master_domid, DOMID)),
    define("priv-domid", 0, Action::Value(priv_domid, DOMID)),
    define("trace-size", 0, Action::Value(trace_size, TRACE_SIZE)),
    define("restarts", 0, Action::Value(|options, value| set(&mut options.restarts, value), NUMBER)),
    define("allow-fault", 0, Action::Flag(|options| options.allow_fault = true)),
    define("trace-file", b'T', Action::NoEffect(Takes::Value)),
    define("trace-control", 0, Action::NoEffect(Takes::Value)),
    define("pid-file", b'F', Action::NoEffect(Takes::Value)),
    define("no-fork", b'N', Action::NoEffect(Takes::Nothing)),
    define("live-update", b'U', Action::NoEffect(Takes::Nothing)),
    define("no-domain-init", b'D', Action::NoEffect(Takes::Nothing)),
    define("output-pid", b'P', Action::NoEffect(Takes::Nothing)),
    define("no-recovery", b'R', Action::NoEffect(Takes::Nothing)),
    define("internal-db", b'I', Action::NoEffect(Takes::Perhaps)),
    define("verbose", b'V', Action::NoEffect(Takes::Nothing)),
    define("help", b'H', Action::NoEffect(Takes::Nothing)),
];

/// Reads a command line, words between white space or commas: upstream's `launch-xenstore` hands over one word
/// only, and no value has a comma in it. `report` is called for each word that is not followed, in order.
pub fn parse<'a>(line: &'a [u8], mut report: impl FnMut(Problem<'a>)) -> Options {
    parse_onto(Options::DEFAULT, line, &mut report)
}

/// The same, where what the line does not name stays as it is.
pub fn parse_onto<'a>(mut options: Options, line: &'a [u8], report: &mut dyn FnMut(Problem<'a>)) -> Options {
    let mut words =
        line.split(|byte| byte.is_ascii_whitespace() || *byte == b',').filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        if let Some(level) = word.strip_prefix(b"loglevel=") {
            match log_level(level) {
                Some(level) => options.log_level = level,
                None => report(Problem::BadValue { option: "loglevel", value: level, allowed: LOG_LEVEL }),
            }
            continue;
        }
        if let Some((option, followed)) = trial_word(&mut options.standalone, word) {
            let followed = if options.event.is_some() { Err(Problem::NoEffect { option }) } else { followed };
            followed.unwrap_or_else(&mut *report);
            continue;
        }
        match find(word) {
            Some((definition, value)) => {
                if let Err(problem) = apply(&mut options, definition, value, &mut words) {
                    report(problem);
                }
            }
            None => report(Problem::Unknown { word, serves: options.event.is_some() }),
        }
    }
    options
}

/// Follows a word that only a trial accepts. Returns its name, and whether it could be followed.
fn trial_word<'a>(trial: &mut Standalone, word: &'a [u8]) -> Option<(&'static str, Result<(), Problem<'a>>)> {
    let (option, wanted) = match word {
        b"stay" => ("stay", &mut trial.stay),
        b"dump" => ("dump", &mut trial.dump),
        b"fail" => ("fail", &mut trial.fail),
        _ => {
            let (option, value) = ("seconds", word.strip_prefix(b"seconds=")?);
            let seconds = plain_number(value).filter(|seconds| SECONDS.contains(seconds));
            trial.seconds = seconds.unwrap_or(trial.seconds);
            let bad = Problem::BadValue { option, value, allowed: SECONDS_ALLOWED };
            return Some((option, seconds.map(drop).ok_or(bad)));
        }
    };
    *wanted = true;
    Some((option, Ok(())))
}

/// The option that a word names, with the value that is part of the word: `--opt`, `--opt=value`, `-o`,
/// `-ovalue`.
fn find(word: &[u8]) -> Option<(&'static Definition, Option<&[u8]>)> {
    if let Some(long) = word.strip_prefix(b"--") {
        let (name, value) = match split_once(long) {
            Some((name, value)) => (name, Some(value)),
            None => (long, None),
        };
        return OPTIONS.iter().find(|option| option.long.as_bytes() == name).map(|option| (option, value));
    }
    let (&short, value) = word.strip_prefix(b"-")?.split_first()?;
    let option = OPTIONS.iter().find(|option| option.short == Some(short))?;
    Some((option, if value.is_empty() { None } else { Some(value) }))
}

fn apply<'a>(
    options: &mut Options,
    definition: &Definition,
    attached: Option<&'a [u8]>,
    words: &mut impl Iterator<Item = &'a [u8]>,
) -> Result<(), Problem<'a>> {
    let option = definition.long;
    let refuse_value = |attached: Option<&'a [u8]>| match attached {
        Some(value) => Err(Problem::ValueNotWanted { option, value }),
        None => Ok(()),
    };
    match definition.action {
        Action::Flag(set) => {
            set(options);
            refuse_value(attached)
        }
        Action::Value(set, allowed) | Action::Older(set, allowed) => {
            let value = attached.or_else(|| words.next()).ok_or(Problem::NoValue { option, allowed })?;
            set(options, value).map_err(|allowed| Problem::BadValue { option, value, allowed })
        }
        Action::NoEffect(takes) => {
            if takes == Takes::Value && attached.is_none() {
                words.next();
            }
            Err(Problem::NoEffect { option })
        }
    }
}

fn quotas(options: &mut Options) -> &mut Quotas {
    &mut options.settings.quotas
}

fn split_once(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&byte| byte == b'=')?;
    Some((&text[..at], &text[at + 1..]))
}

fn set(target: &mut u32, value: &[u8]) -> Result<(), &'static str> {
    *target = plain_number(value).ok_or(NUMBER)?;
    Ok(())
}

fn quota(options: &mut Options, value: &[u8]) -> Result<(), &'static str> {
    let (name, value) = split_once(value).ok_or(QUOTA)?;
    let number = plain_number(value).ok_or(QUOTA)?;
    let is_named = |quota: &&Quota| {
        quota.name.as_bytes() == name || quota.other_name.is_some_and(|other| other.as_bytes() == name)
    };
    let quota = Quota::hard().find(is_named).ok_or(QUOTA)?;
    let most = if quota.name == Quota::PATH_MAX.name { PATH_MAX_LIMIT } else { u32::MAX };
    (quota.set)(quotas(options), number.min(most));
    Ok(())
}

fn soft_quota(options: &mut Options, value: &[u8]) -> Result<(), &'static str> {
    let (name, value) = split_once(value).ok_or(SOFT_QUOTA)?;
    let number = plain_number(value).ok_or(SOFT_QUOTA)?;
    (Quota::soft_named(name).ok_or(SOFT_QUOTA)?.set)(quotas(options), number);
    Ok(())
}

fn path_max(options: &mut Options, value: &[u8]) -> Result<(), &'static str> {
    quotas(options).path_max = plain_number(value).ok_or(NUMBER)?.min(PATH_MAX_LIMIT);
    Ok(())
}

fn budget(options: &mut Options, value: &[u8]) -> Result<(), &'static str> {
    options.settings.budget =
        plain_number(value).filter(|micros| MICROSECONDS.contains(micros)).ok_or(BUDGET)?;
    Ok(())
}

fn timeout(options: &mut Options, value: &[u8]) -> Result<(), &'static str> {
    match split_once(value) {
        Some((b"watch-event", seconds)) => {
            options.settings.watch_event_timeout = plain_number(seconds).ok_or(TIMEOUT)?;
            Ok(())
        }
        _ => Err(TIMEOUT),
    }
}

fn domid(value: &[u8]) -> Result<DomId, &'static str> {
    let number = plain_number(value).and_then(|number| u16::try_from(number).ok()).ok_or(DOMID)?;
    if DomId(number) < DomId::FIRST_RESERVED { Ok(DomId(number)) } else { Err(DOMID) }
}

fn priv_domid(options: &mut Options, value: &[u8]) -> Result<(), &'static str> {
    options.priv_domid = domid(value)?;
    Ok(())
}

fn trace_size(options: &mut Options, value: &[u8]) -> Result<(), &'static str> {
    options.trace_size = Some(plain_number(value).filter(|kib| TRACE_KIB.contains(kib)).ok_or(TRACE_SIZE)?);
    Ok(())
}

fn master_domid(options: &mut Options, value: &[u8]) -> Result<(), &'static str> {
    options.master_domid = Some(domid(value)?);
    Ok(())
}

fn event(options: &mut Options, value: &[u8]) -> Result<(), &'static str> {
    let port = plain_number(value).filter(|port| (1..1 << 17).contains(port)).ok_or(PORT)?;
    options.event = Some(Port(port));
    Ok(())
}

fn event_format(options: &mut Options, value: &[u8]) -> Result<(), &'static str> {
    options.event_format = match value {
        b"2l" => EventFormat::TwoLevel,
        b"fifo" => EventFormat::Fifo,
        _ => return Err(EVENT_FORMAT),
    };
    Ok(())
}

fn log_level(text: &[u8]) -> Option<LevelFilter> {
    match text {
        b"error" => Some(LevelFilter::Error),
        b"warn" => Some(LevelFilter::Warn),
        b"info" => Some(LevelFilter::Info),
        b"debug" => Some(LevelFilter::Debug),
        b"trace" => Some(LevelFilter::Trace),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use super::*;

    #[test]
    fn the_allowed_soft_quotas_are_those_of_the_table() {
        let names: std::vec::Vec<_> = Quota::soft().map(|(name, _)| String::from(name) + "=NUMBER").collect();
        assert_eq!(names, [SOFT_QUOTA]);
    }

    #[test]
    fn the_allowed_quotas_are_those_of_the_table() {
        let names = Quota::hard().map(|quota| quota.name).fold(String::new(), |names, name| {
            if names.is_empty() { name.into() } else { names + ", " + name }
        });
        assert_eq!(QUOTA.split_once("one of ").map(|(_, names)| names), Some(names.as_str()));
    }
}
