//! A session: what domains and toolstack do, one step after another, in a form that can be read and replayed.

use std::fmt;

use crate::message::{self, Spelled};
use crate::page::Word;

/// The transaction a request names. Peers give out their own ids, so a session knows only slots.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Tx {
    None,
    /// Whatever id the TRANSACTION_START that filled this slot was answered with.
    Slot(u8),
    /// This very number, which no peer has given out.
    Number(u32),
}

/// One request of a client.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Request {
    pub kind: u32,
    pub tx: Tx,
    pub payload: Vec<u8>,
    /// TRANSACTION_START: the slot for the new id.
    pub opens: Option<u8>,
    /// What our server must answer, where the reference behaviour is known from elsewhere.
    pub expect: Option<String>,
}

impl Request {
    pub fn new(kind: u32, payload: impl Into<Vec<u8>>) -> Request {
        Request { kind, tx: Tx::None, payload: payload.into(), opens: None, expect: None }
    }

    /// The number of the first entry of SET_PERMS.
    pub fn new_owner(&self) -> Option<&[u8]> {
        self.payload.split(|byte| *byte == 0).nth(1)?.get(1..)
    }

    /// The first string of the payload, made absolute, if it is a node's path.
    pub fn path(&self, who: u16) -> Option<String> {
        if !message::is_about_a_node(self.kind) {
            return None;
        }
        absolute(who, self.payload.split(|byte| *byte == 0).next()?)
    }
}

/// A path as the server sees it.
pub fn absolute(who: u16, path: &[u8]) -> Option<String> {
    let path = std::str::from_utf8(path).ok()?;
    Some(if path.starts_with(['/', '@']) { path.to_string() } else { format!("/local/domain/{who}/{path}") })
}

/// What the hypervisor says of a domain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    /// Newly built: an all-zero ring page and an identity no domain had before.
    Built,
    ShutDown,
    /// Running again after a shutdown.
    Resumed,
    Dying,
    Dead,
    Gone,
}

impl Life {
    pub const ALL: [(&'static str, Life); 6] = [
        ("built", Life::Built),
        ("shutdown", Life::ShutDown),
        ("resumed", Life::Resumed),
        ("dying", Life::Dying),
        ("dead", Life::Dead),
        ("gone", Life::Gone),
    ];
}

/// Several steps in one line of a session are written as one step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// One or more requests in one burst.
    Requests(u16, Vec<Request>),
    /// A request sent in pieces of so many bytes.
    Pieces(u16, u32, Request),
    /// Bytes that need not be a message.
    Bytes(u16, Vec<u8>),
    /// The same request with another number in it, until one fails: how often it worked, and the error.
    Fill(u16, usize, String),
    /// The whole child list, by DIRECTORY_PART.
    List(u16, Vec<u8>),
    /// Whether the node has another generation than when this was last asked.
    Generation(u16, Vec<u8>),
    /// A change of a domain's state, reported to the server.
    Domain(u16, Life),
    /// The same, not reported.
    Quietly(u16, Life),
    /// VIRQ_DOM_EXC.
    Virq,
    /// An event on the domain's channel.
    Kick(u16),
    /// The domain stops or starts taking answers out of its ring.
    Reading(u16, bool),
    /// The domain fills both buffers with 0xff and zeroes the indexes, as hvmloader does.
    Wipe(u16),
    /// The domain writes a word of its page.
    Poke(u16, Word, u32),
    /// Compares a word of the page.
    Peek(u16, Word),
    /// Milliseconds pass.
    Wait(u32),
    /// Compares the whole store.
    Store,
    /// The reference replaces itself by a live update. It goes on from its own state, or with `give` from ours; with
    /// `take`, our server is replaced by one that is made from the reference's.
    Update { take: bool, give: bool },
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tx {
            Tx::None => {}
            Tx::Slot(slot) => write!(f, "t{slot} ")?,
            Tx::Number(number) => write!(f, "tx={number} ")?,
        }
        write!(f, "{} {}", message::name(self.kind), Spelled(&self.payload))?;
        if let Some(slot) = self.opens {
            write!(f, " -> t{slot}")?;
        }
        if let Some(expect) = &self.expect {
            write!(f, " => {expect}")?;
        }
        Ok(())
    }
}

fn name_of<T: PartialEq>(table: &[(&'static str, T)], value: &T) -> &'static str {
    table.iter().find(|row| row.1 == *value).map_or("?", |row| row.0)
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Requests(who, requests) => {
                for (index, request) in requests.iter().enumerate() {
                    if index == 0 {
                        write!(f, "{who} {request}")?;
                    } else {
                        write!(f, " ; {request}")?;
                    }
                }
                Ok(())
            }
            Step::Pieces(who, size, request) => write!(f, "! pieces {who} {size} {request}"),
            Step::Bytes(who, bytes) => write!(f, "! bytes {who} {}", Spelled(bytes)),
            Step::Fill(who, most, template) => write!(f, "! fill {who} {most} {template}"),
            Step::Generation(who, path) => write!(f, "! generation {who} {}", Spelled(path)),
            Step::List(who, path) => write!(f, "! list {who} {}", Spelled(path)),
            Step::Domain(who, life) => write!(f, "! domain {who} {}", name_of(&Life::ALL, life)),
            Step::Quietly(who, life) => write!(f, "! quietly {who} {}", name_of(&Life::ALL, life)),
            Step::Virq => f.write_str("! virq"),
            Step::Kick(who) => write!(f, "! kick {who}"),
            Step::Reading(who, on) => write!(f, "! reading {who} {}", if *on { "on" } else { "off" }),
            Step::Wipe(who) => write!(f, "! wipe {who}"),
            Step::Poke(who, word, value) => write!(f, "! poke {who} {} {value}", word.name()),
            Step::Peek(who, word) => write!(f, "! peek {who} {}", word.name()),
            Step::Wait(milliseconds) => write!(f, "! wait {milliseconds}"),
            Step::Store => f.write_str("! store"),
            Step::Update { take, give } => {
                let words = [("take", take), ("give", give)].into_iter().filter(|(_, on)| **on);
                words.fold(f.write_str("! update"), |so_far, (word, _)| {
                    so_far.and_then(|()| write!(f, " {word}"))
                })
            }
        }
    }
}

/// A quota that differs from the default, by upstream's name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quota {
    pub name: String,
    pub value: u32,
}

/// A list of steps with a name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Session {
    pub name: String,
    pub quotas: Vec<Quota>,
    /// The hypervisor lists the domains that have changed; otherwise the server must ask about each.
    pub lists_changes: bool,
    pub steps: Vec<Step>,
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# {}", self.name)?;
        for quota in &self.quotas {
            writeln!(f, "! quota {} {}", quota.name, quota.value)?;
        }
        if self.lists_changes {
            writeln!(f, "! lists-changes")?;
        }
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        Ok(())
    }
}
