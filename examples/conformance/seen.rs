//! What one peer did in one step, without the numbers that each peer chooses freely.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use conformance::message::{self, Brief, DIRECTORY_PART, Packet, Spelled, TRANSACTION_START, WATCH_EVENT};
use conformance::step::Request;

/// One message to a client.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Item {
    /// A watch event: path and token.
    Event(Vec<u8>),
    /// The answer to the request `to`.
    Reply { to: Rc<Request>, error: Option<String>, payload: Vec<u8> },
    /// A message nobody asked for.
    Stray(Packet),
}

/// A request that waits for its answer.
#[derive(Clone, Debug)]
pub struct Sent {
    pub request: Rc<Request>,
    pub req_id: u32,
    pub tx_id: u32,
}

impl Item {
    /// `sent` is the oldest request without an answer.
    pub fn from(packet: Packet, sent: Option<&Sent>) -> Item {
        if packet.kind == WATCH_EVENT && packet.req_id == 0 && packet.tx_id == 0 {
            return Item::Event(packet.payload);
        }
        let error = packet.error().map(str::to_string);
        let fits = sent.is_some_and(|sent| {
            sent.req_id == packet.req_id
                && sent.tx_id == packet.tx_id
                && (error.is_some() || packet.kind == sent.request.kind)
        });
        let (Some(sent), true) = (sent, fits) else { return Item::Stray(packet) };
        let payload = match (sent.request.kind, &error) {
            (_, Some(_)) => Vec::new(),
            (TRANSACTION_START, None) => hide_number(packet.payload),
            (DIRECTORY_PART, None) => hide_number(packet.payload),
            _ => packet.payload,
        };
        Item::Reply { to: Rc::clone(&sent.request), error, payload }
    }

    /// Name of the error, "OK", or that there is other content.
    pub fn gist(&self) -> &str {
        match self {
            Item::Event(_) => "event",
            Item::Stray(_) => "stray message",
            Item::Reply { error: Some(error), .. } => error,
            Item::Reply { payload, .. } if payload == b"OK\0" => "OK",
            Item::Reply { .. } => "content",
        }
    }

    pub fn error(&self) -> Option<&str> {
        match self {
            Item::Reply { error, .. } => error.as_deref(),
            _ => None,
        }
    }

    /// The same answer, be it to another request.
    pub fn says_the_same(&self, other: &Item) -> bool {
        match (self, other) {
            (Item::Reply { error, payload, .. }, Item::Reply { error: e, payload: p, .. }) => {
                error == e && payload == p
            }
            _ => self == other,
        }
    }

    /// The request that this is the answer to.
    pub fn request(&self) -> Option<&Request> {
        match self {
            Item::Reply { to, .. } => Some(to),
            _ => None,
        }
    }

    /// The decimal number that this answer is.
    pub fn number(&self) -> Option<u64> {
        let Item::Reply { error: None, payload, .. } = self else { return None };
        std::str::from_utf8(payload.strip_suffix(&[0])?).ok()?.parse().ok()
    }

    pub fn is_success(&self) -> bool {
        matches!(self, Item::Reply { error: None, .. })
    }

    pub fn is_event(&self) -> bool {
        matches!(self, Item::Event(_))
    }

    /// An event of a special node.
    pub fn is_special(&self) -> bool {
        self.path().is_some_and(|path| path.starts_with(b"@"))
    }

    /// An event's path.
    pub fn path(&self) -> Option<&[u8]> {
        match self {
            Item::Event(payload) => payload.split(|byte| *byte == 0).next(),
            _ => None,
        }
    }
}

/// Puts a mark in place of the decimal number, ended by NUL, that a payload starts with.
fn hide_number(payload: Vec<u8>) -> Vec<u8> {
    let digits = payload.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || payload.get(digits) != Some(&0) {
        return payload;
    }
    [b"#", &payload[digits..]].concat()
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Event(payload) => write!(f, "event {}", Spelled(payload)),
            Item::Reply { error: Some(error), .. } => f.write_str(error),
            Item::Reply { payload, .. } if payload == b"OK\0" => f.write_str("OK"),
            Item::Reply { payload, .. } => write!(f, "\"{}\"", Spelled(payload)),
            Item::Stray(packet) => write!(
                f,
                "stray {} req_id {} tx_id {} \"{}\"",
                message::name(packet.kind),
                packet.req_id,
                packet.tx_id,
                Spelled(&packet.payload)
            ),
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (who, items) in &self.items {
            for item in items {
                write!(f, "{who}: {}  ", Brief(item, 100))?;
            }
        }
        for (who, bytes) in &self.waiting {
            write!(f, "{who} waits with {bytes} bytes  ")?;
        }
        self.notes.iter().try_for_each(|note| write!(f, "\n      {}", Brief(note, 100)))
    }
}

/// All that one step brought.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Seen {
    pub items: BTreeMap<u16, Vec<Item>>,
    /// Bytes each client could not get rid of, where there are any.
    pub waiting: BTreeMap<u16, u32>,
    /// What a step that is no request found out, line by line.
    pub notes: Vec<String>,
}

impl Seen {
    pub fn replies(&self, who: u16) -> Vec<&Item> {
        self.items
            .get(&who)
            .map_or(Vec::new(), |items| items.iter().filter(|item| !item.is_event()).collect())
    }

    pub fn events(&self, who: u16) -> Vec<&Item> {
        self.items.get(&who).map_or(Vec::new(), |items| items.iter().filter(|item| item.is_event()).collect())
    }

    /// All answers with their requests, whoever got them.
    pub fn answers(&self) -> impl Iterator<Item = (u16, &Request, &Item)> {
        self.items.iter().flat_map(|(who, items)| {
            items.iter().filter_map(|item| item.request().map(|request| (*who, request, item)))
        })
    }

    pub fn add(&mut self, other: Seen) {
        for (who, items) in other.items {
            self.items.entry(who).or_default().extend(items);
        }
        self.notes.extend(other.notes);
        self.waiting = other.waiting;
    }
}
