//! Finds where two peers differ in one step. "expected" is the reference's side throughout.

use std::collections::BTreeSet;
use std::fmt;

use crate::seen::{Item, Seen};
use conformance::message::{self, Brief, Spelled};
use conformance::peer::HANGS;
use conformance::step::Request;

/// One difference.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Difference {
    /// Answers to one request.
    Reply { who: u16, request: Request, expected: Item, got: Item },
    /// A client got another number of answers, or one without a request.
    Replies { who: u16, expected: Vec<Item>, got: Vec<Item> },
    /// Watch events of one client.
    Events { who: u16, expected: Vec<Item>, got: Vec<Item> },
    /// The same events and answers, in another order.
    Order { who: u16, expected: Vec<Item>, got: Vec<Item> },
    /// Bytes that the server did not take from the client's ring.
    Waiting { who: u16, expected: u32, got: u32 },
    /// The result of a step that is no request.
    Note { expected: String, got: String },
    /// Our answer is not the one that the case states.
    Stated { request: Request, got: Item },
    /// Our server's consistency check has findings.
    Unsound { finding: String },
    /// One of the peers ended.
    Gone { ours: bool, how: String },
}

/// All differences of one step.
pub fn compare(expected: &Seen, got: &Seen) -> Vec<Difference> {
    let mut found = Vec::new();
    let clients: BTreeSet<u16> = expected.items.keys().chain(got.items.keys()).copied().collect();
    for who in clients {
        compare_replies(who, expected, got, &mut found);
        compare_events(who, expected, got, &mut found);
    }
    let waiting: BTreeSet<u16> = expected.waiting.keys().chain(got.waiting.keys()).copied().collect();
    for who in waiting {
        let of = |seen: &Seen| seen.waiting.get(&who).copied().unwrap_or(0);
        if of(expected) != of(got) {
            found.push(Difference::Waiting { who, expected: of(expected), got: of(got) });
        }
    }
    let lines = expected.notes.len().max(got.notes.len());
    for line in 0..lines {
        let of = |seen: &Seen| seen.notes.get(line).cloned().unwrap_or_default();
        if of(expected) != of(got) {
            found.push(Difference::Note { expected: of(expected), got: of(got) });
            break;
        }
    }
    found
}

fn owned(items: &[&Item]) -> Vec<Item> {
    items.iter().map(|item| (*item).clone()).collect()
}

fn compare_replies(who: u16, expected: &Seen, got: &Seen, found: &mut Vec<Difference>) {
    let (theirs, ours) = (expected.replies(who), got.replies(who));
    let same_requests = theirs.len() == ours.len()
        && theirs.iter().zip(&ours).all(|(theirs, ours)| theirs.request() == ours.request());
    if !same_requests {
        found.push(Difference::Replies { who, expected: owned(&theirs), got: owned(&ours) });
        return;
    }
    for (theirs, ours) in theirs.into_iter().zip(ours).filter(|(theirs, ours)| theirs != ours) {
        match ours.request() {
            Some(request) => found.push(Difference::Reply {
                who,
                request: request.clone(),
                expected: theirs.clone(),
                got: ours.clone(),
            }),
            None => found.push(Difference::Replies {
                who,
                expected: vec![theirs.clone()],
                got: vec![ours.clone()],
            }),
        }
    }
}

fn compare_events(who: u16, expected: &Seen, got: &Seen, found: &mut Vec<Difference>) {
    let (theirs, ours) = (expected.events(who), got.events(who));
    if theirs != ours {
        found.push(Difference::Events { who, expected: owned(&theirs), got: owned(&ours) });
        return;
    }
    let shape = |seen: &Seen| -> Vec<bool> {
        seen.items.get(&who).map_or(Vec::new(), |items| items.iter().map(Item::is_event).collect())
    };
    if shape(expected) != shape(got) && expected.replies(who).len() == got.replies(who).len() {
        let items = |seen: &Seen| seen.items.get(&who).cloned().unwrap_or_default();
        found.push(Difference::Order { who, expected: items(expected), got: items(got) });
    }
}

/// Checks our answers against what the case states.
pub fn stated(got: &Seen) -> Vec<Difference> {
    got.answers()
        .filter(|(_, request, item)| {
            let said = match item {
                Item::Reply { error: None, payload, .. } if payload.is_empty() => "(empty)".to_string(),
                Item::Reply { error: None, payload, .. } if payload != b"OK\0" => {
                    Spelled(payload).to_string()
                }
                _ => item.to_string(),
            };
            request.expect.as_ref().is_some_and(|expect| *expect != said)
        })
        .map(|(_, request, item)| Difference::Stated { request: request.clone(), got: item.clone() })
        .collect()
}

impl Difference {
    /// It takes a long wait to appear.
    pub fn is_slow(&self) -> bool {
        matches!(self, Difference::Gone { how, .. } if how.starts_with(HANGS))
    }

    /// A short form that distinguishes kinds of differences and stays the same while the session is made smaller.
    pub fn kind(&self) -> String {
        match self {
            Difference::Reply { request, expected, got, .. } => {
                format!("{}: {} / {}", message::name(request.kind), expected.gist(), got.gist())
            }
            Difference::Replies { expected, got, .. } => {
                format!("{} answers / {}", expected.len(), got.len())
            }
            Difference::Events { expected, got, .. } => match expected.len().cmp(&got.len()) {
                std::cmp::Ordering::Less => "more events".to_string(),
                std::cmp::Ordering::Equal => "other events".to_string(),
                std::cmp::Ordering::Greater => "fewer events".to_string(),
            },
            Difference::Order { .. } => "order".to_string(),
            Difference::Waiting { expected, got, .. } => {
                let side = if expected < got { "less" } else { "more" };
                format!("{side} taken from the ring")
            }
            Difference::Note { .. } => "note".to_string(),
            Difference::Stated { request, got } => {
                format!("{}: stated / {}", message::name(request.kind), got.gist())
            }
            Difference::Unsound { .. } => "unsound".to_string(),
            Difference::Gone { ours: true, .. } => "ours ended".to_string(),
            Difference::Gone { ours: false, .. } => "the reference ended".to_string(),
        }
    }
}

/// The most characters of an answer that are shown.
const LONG: usize = 400;

/// The two sides, one below the other.
fn sides(
    f: &mut fmt::Formatter<'_>,
    about: impl fmt::Display,
    expected: impl fmt::Display,
    got: impl fmt::Display,
) -> fmt::Result {
    write!(f, "{about}\n      expected {}\n      got      {}", Brief(expected, LONG), Brief(got, LONG))
}

fn list(items: &[Item]) -> String {
    if items.is_empty() {
        return "nothing".to_string();
    }
    items.iter().map(|item| Brief(item, LONG).to_string()).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Reply { who, request, expected, got } => {
                sides(f, format_args!("{who} {}", Brief(request, LONG)), expected, got)
            }
            Difference::Replies { who, expected, got } => {
                sides(f, format_args!("answers to {who}"), list(expected), list(got))
            }
            Difference::Events { who, expected, got } => {
                sides(f, format_args!("events for {who}"), list(expected), list(got))
            }
            Difference::Order { who, expected, got } => {
                sides(f, format_args!("order for {who}"), list(expected), list(got))
            }
            Difference::Waiting { who, expected, got } => {
                sides(f, format_args!("bytes that {who} cannot send"), expected, got)
            }
            Difference::Note { expected, got } => sides(f, "found out", expected, got),
            Difference::Stated { request, got } => {
                write!(f, "{}\n      got {}", Brief(request, LONG), Brief(got, LONG))
            }
            Difference::Unsound { finding } => write!(f, "our server's own check: {finding}"),
            Difference::Gone { ours, how } => {
                write!(f, "{} ended: {how}", if *ours { "our server" } else { "the reference" })
            }
        }
    }
}
