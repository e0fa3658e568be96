//! A client of a storm: what it asks, and what it waits for.

use std::collections::VecDeque;

use fastrand::Rng;
use support::{Client, request};
use xenstore::wire::{Header, MessageType as M, TxId};

use super::super::image::GOOD;
use super::GUESTS;

/// Requests that a client has unanswered at most.
const ASKED: usize = 30;

const NAMES: &[&str] =
    &["a", "b", "c", "1", "state", "frontend", "event-channel", "forty-bytes-and-more-as-few-names-are-long"];

const TOPS: &[&str] = &[
    "/",
    "/shared",
    "/shared",
    "/shared/x",
    "data",
    "data",
    "/local/domain",
    "/local/domain/1/data",
    "/local/domain/2",
    "@releaseDomain",
    "@introduceDomain",
];

pub fn one_of<T: Copy>(random: &mut Rng, all: &[T]) -> T {
    all[random.usize(..all.len())]
}

fn path(random: &mut Rng) -> String {
    let mut path = one_of(random, TOPS).to_string();
    for _ in 0..random.u8(..4) {
        let slash = if path.ends_with('/') { "" } else { "/" };
        path = format!("{path}{slash}{}", one_of(random, NAMES));
    }
    path
}

fn permissions(random: &mut Rng) -> String {
    let mut entry = || format!("{}{}|", one_of(random, &['n', 'r', 'b', 'w']), random.u16(..=GUESTS));
    (0..6).map(|_| entry()).collect::<String>()[..].split_inclusive('|').take(1 + random.usize(..6)).collect()
}

/// What anybody may ask.
fn asked(random: &mut Rng) -> (M, String) {
    let at = path(random);
    let value = "v".repeat(one_of(random, &[0, 3, 7, 8, 40, 41, 200, 2000]));
    let token = "token".repeat(random.usize(1..30));
    match random.u8(..36) {
        0..9 => (M::Write, format!("{at}|{value}")),
        9..12 => (M::Mkdir, format!("{at}|")),
        12..15 => (M::Rm, format!("{at}|")),
        15..17 => (M::Read, format!("{at}|")),
        17..19 => (M::Directory, format!("{at}|")),
        19 => (M::DirectoryPart, format!("{at}|{}|", random.u8(..30))),
        20 => (M::GetPerms, format!("{at}|")),
        21..24 => (M::SetPerms, format!("{at}|{}", permissions(random))),
        24..26 => (M::Watch, format!("{at}|t|")),
        26..28 => (M::Watch, format!("{at}|{token}|")),
        28 => (M::Unwatch, format!("{at}|t|")),
        29 => (M::ResetWatches, "|".into()),
        30..33 => (M::TransactionStart, "|".into()),
        _ => (M::TransactionEnd, one_of(random, &["T|", "T|", "F|"]).into()),
    }
}

/// What only dom0 may.
fn ordered(random: &mut Rng) -> (M, String) {
    let guest = random.u16(1..=GUESTS);
    match random.u8(..12) {
        0..2 => (M::SetTarget, format!("{guest}|{}|", random.u16(..=GUESTS))),
        2..4 => {
            let quota = one_of(random, &["nodes", "watches", "outstanding", "memory", "transactions"]);
            (M::SetQuota, format!("{guest}|{quota}|{}|", one_of(random, &[0, 1, 5, 50, 3000])))
        }
        4 => (M::GetQuota, format!("{guest}|nodes|")),
        5 => (M::SetFeature, format!("{guest}|15|")),
        6 => (M::Resume, format!("{guest}|")),
        7 => (M::Control, one_of(random, &["memreport|", "stats|domains|", "quota|"]).into()),
        _ => (M::Control, "check|".into()),
    }
}

/// A request that has no answer.
#[derive(Debug)]
pub struct Asked {
    id: u32,
    kind: u32,
    /// An update may put it off, so that later ones are answered before.
    may_wait: bool,
}

/// A client, and what it waits for.
pub struct Peer {
    pub client: Client,
    /// Identifiers and types of requests that have no answer. `None` for who has broken the protocol, or is given up.
    pub asked: Option<VecDeque<Asked>>,
    /// What its ring has no room for.
    unsent: VecDeque<u8>,
    latest: u32,
    /// Steps of a live update.
    sent: u8,
    /// The transaction that it has begun last.
    tx: u32,
}

impl Peer {
    pub fn new(client: Client) -> Peer {
        Peer { client, asked: Some(VecDeque::new()), unsent: VecDeque::new(), latest: 0, sent: 2, tx: 0 }
    }

    pub fn is_idle(&self) -> bool {
        self.asked.as_ref().is_none_or(|asked| asked.is_empty() && self.unsent.is_empty())
    }

    /// Writes what fits; nothing if it has put its own indexes out of range.
    pub fn write(&mut self) {
        if self.client.unread() <= 1024 {
            let put = self.client.write(self.unsent.make_contiguous());
            self.unsent.drain(..put);
        }
    }

    pub fn ask(&mut self, (kind, text): (M, String), tx: u32) {
        self.ask_raw(kind, text.replace('|', "\0").as_bytes(), tx);
    }

    fn ask_raw(&mut self, kind: M, payload: &[u8], tx: u32) {
        self.latest += 1;
        if let Some(asked) = &mut self.asked {
            asked.push_back(Asked {
                id: self.latest,
                kind: kind as u32,
                may_wait: kind == M::TransactionStart || payload.starts_with(b"live-update\0-s\0"),
            });
        }
        self.unsent.extend(request(kind as u32, self.latest, TxId(tx), payload));
        self.write();
    }

    pub fn ask_anything(&mut self, random: &mut Rng, orders: bool) {
        if self.asked.as_ref().is_some_and(|asked| asked.len() >= ASKED) || self.unsent.len() > 4096 {
            return;
        }
        if orders && random.u8(..6) == 0 {
            return self.operate(random);
        }
        let orders = orders && random.u8(..16) == 0;
        let (kind, text) = if orders { ordered(random) } else { asked(random) };
        let tx = match kind {
            M::TransactionStart => 0,
            M::TransactionEnd => std::mem::take(&mut self.tx),
            _ => one_of(random, &[0, self.tx]),
        };
        self.ask((kind, text), tx);
    }

    /// A step of a live update, or what takes memory otherwise.
    fn operate(&mut self, random: &mut Rng) {
        let file = GOOD.file();
        let mut part = format!("live-update\0-d\0{}\0", file.len()).into_bytes();
        part.extend(&file);
        part.push(0);
        let start = one_of(random, &["", "-F|", "-t|0|", "-t|3|", "-t|1|-F|"]);
        self.sent = (self.sent + 1) % 3;
        let next = if random.u8(..3) > 0 { self.sent * 3 } else { random.u8(..18) };
        let step = match next {
            0..3 => format!("live-update|-b|{}|", file.len()),
            3..6 => return self.ask_raw(M::Control, &part, 0),
            6..8 => format!("live-update|-s|{start}"),
            8 => "live-update|-c|loglevel=debug|".into(),
            9 => "live-update|-a|".into(),
            10 => "state|dump|".into(),
            11 => "layers|diff|".into(),
            _ => "layers|diff|all|".into(),
        };
        self.ask((M::Control, step), 0);
    }

    pub fn read(&mut self, most: u32) {
        let messages = if self.client.waiting() <= 1024 { self.client.read_some(most) } else { Vec::new() };
        for message in messages.iter().filter(|message| message.header.msg_type != M::WatchEvent as u32) {
            let Header { msg_type, req_id, .. } = message.header;
            let Some(asked) = &mut self.asked else { return };
            let place = asked.iter().position(|asked| asked.id == req_id || !asked.may_wait);
            let Asked { id, kind, .. } = place
                .and_then(|place| asked.remove(place))
                .unwrap_or_else(|| panic!("nobody has asked for {message}"));
            assert_eq!(id, req_id, "the answer to a request of type {kind} is {message}");
            assert!([kind, M::Error as u32].contains(&msg_type), "of type {kind} is {message}");
            if msg_type == M::TransactionStart as u32 {
                self.tx = message.to_string().trim_end_matches('|').parse().expect("a number");
            }
            if kind == M::Control as u32 {
                assert!(!message.to_string().contains(" but "), "the check says {message}");
            }
        }
    }
}
