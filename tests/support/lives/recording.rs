//! The life of a guest, as recorded: the requests of its host and of the guest itself.
//!
//! As text, a line is `WHO REQUEST TRANSACTION RESULT PAYLOAD`, or `xen made` where there is a new domain, or `xen
//! gone` where Xen reports its end. WHO is `dom0`, for every program in it, or `guest`. TRANSACTION is `-`, or a number
//! of the section's own for the one that the request names, or opens. RESULT is `ok` or an error. `== NAME` begins a
//! section, `#` a comment.

use std::fmt;
use std::str::FromStr;

use xenstore::wire::MessageType;

use super::template::Template;

#[derive(Default)]
pub struct Recording {
    /// What dom0 does once, as it comes up.
    pub host: Section,
    /// From `xl create` until the guest is up and idle.
    pub start: Section,
    /// `xl destroy`.
    pub stop: Section,
}

#[derive(Default)]
pub struct Section {
    pub steps: Vec<Step>,
    /// How many transactions it has.
    pub transactions: usize,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    Request(Request),
    /// The domain is there, for Xen.
    Made,
    /// It has ended, and Xen reports that to the store.
    Gone,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    pub who: Who,
    pub kind: MessageType,
    /// Which of the section's transactions it is in, or opens.
    pub tx: Option<usize>,
    /// The error of its answer, if any.
    pub error: Option<String>,
    pub payload: Template,
}

impl Request {
    /// Whether it asks for a list that all guests have a place in.
    pub fn is_shared_list(&self) -> bool {
        self.kind == MessageType::Directory && self.payload.is_fixed()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    Dom0,
    Guest,
}

const NAMES: [(&str, Who); 2] = [("dom0", Who::Dom0), ("guest", Who::Guest)];
const MADE: &str = "xen made";
const GONE: &str = "xen gone";

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let request = match self {
            Step::Request(request) => request,
            Step::Made => return f.write_str(MADE),
            Step::Gone => return f.write_str(GONE),
        };
        let who = NAMES.iter().find(|name| name.1 == request.who).map_or("", |name| name.0);
        let tx = request.tx.map_or_else(|| "-".to_string(), |tx| (tx + 1).to_string());
        let result = request.error.as_deref().unwrap_or("ok");
        write!(f, "{who} {} {tx} {result} {}", request.kind.name(), request.payload)
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(line: &str) -> Result<Step, String> {
        match line {
            MADE => return Ok(Step::Made),
            GONE => return Ok(Step::Gone),
            _ => {}
        }
        let mut words = line.splitn(5, ' ');
        let mut word = |what| words.next().ok_or(format!("no {what}"));
        let (who, kind, tx, result) = (word("who")?, word("request")?, word("transaction")?, word("result")?);
        let payload = word("payload")?;
        let who = NAMES.iter().find(|name| name.0 == who).ok_or(format!("who is {who}?"))?.1;
        let kind = kind_named(kind).ok_or(format!("no request {kind}"))?;
        let tx = match tx {
            "-" => None,
            number => {
                Some(number.parse::<usize>().ok().and_then(|n| n.checked_sub(1)).ok_or("no transaction")?)
            }
        };
        let error = (result != "ok").then(|| result.to_string());
        Ok(Step::Request(Request { who, kind, tx, error, payload: payload.parse()? }))
    }
}

/// The message type that the wire's header file calls so.
pub fn kind_named(name: &str) -> Option<MessageType> {
    MessageType::ALL.iter().copied().find(|kind| kind.name() == name)
}

impl FromStr for Recording {
    type Err = String;

    fn from_str(text: &str) -> Result<Recording, String> {
        let mut recording = Recording::default();
        let mut section = None;
        for (line, number) in text.lines().zip(1..) {
            let at = |problem: String| format!("line {number}: {problem}");
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(name) = line.strip_prefix("== ") {
                section = Some(match name {
                    "host" => &mut recording.host,
                    "start" => &mut recording.start,
                    "stop" => &mut recording.stop,
                    _ => return Err(at(format!("no section {name}"))),
                });
                continue;
            }
            let section = section.as_deref_mut().ok_or_else(|| at("before any section".to_string()))?;
            section.steps.push(line.parse().map_err(at)?);
        }
        for section in [&mut recording.host, &mut recording.start, &mut recording.stop] {
            let txs = section.steps.iter().filter_map(|step| match step {
                Step::Request(request) => request.tx,
                Step::Made | Step::Gone => None,
            });
            section.transactions = txs.max().map_or(0, |last| last + 1);
        }
        Ok(recording)
    }
}
