//! A guest with a recorded life: all that a Linux guest with a disk and a network interface asks of its store from its
//! start to its end, and its host meanwhile. One life a round.
//!
//! The recording is that of `examples/scale`. Here one guest lives all parts of it, on a tree of its own: a path of the
//! recording is below [`TREE`]. So nobody else is needed, each answer is known, and so is the number of events.

use core::str;

use super::guest::{Guest, Payload};
use super::text::{joined, text};
use crate::client::{Answer, Failure, Machine};
use crate::wire::{MessageType, TxId};

const RECORDED: &str = include_str!("../../examples/scale/guest.txt");

/// Where the recording's root is.
const TREE: &[u8] = b"data/life";

/// What the recording found there.
const BEFORE: [&[u8]; 3] = [b"/vm", b"/libxl", b"/local/domain/2/name"];

/// Events of one life, as long as each is taken before the next request.
const EVENTS: u32 = 169;

/// Between two requests, nanoseconds.
const PACE: u64 = 1_000_000;

/// How long events may be under way, nanoseconds.
const PATIENCE: u64 = 10_000_000_000;

/// One line of the recording.
struct Step {
    /// Of whom paths are that begin at somebody's home.
    home: Payload,
    kind: MessageType,
    /// The transaction's number in the recording.
    tx: usize,
    /// `ok` or an error's name.
    result: &'static str,
    payload: &'static str,
}

pub fn recorded<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    for path in BEFORE {
        guest.client.write(&joined(&[TREE, path]), b"")?;
    }
    let mut txs = [TxId::NONE; 32];
    let domid = u32::from(guest.domid.0);
    for step in RECORDED.lines().filter_map(|line| parse(line, domid)) {
        live(guest, &step, &mut txs)?;
        guest.client.listen(guest.client.now() + PACE);
    }
    guest.client.tell(MessageType::Rm, &[TREE, b"\0"])?;
    guest.events_due += EVENTS;
    guest.client.listen_for(guest.events_due, guest.client.now() + PATIENCE);
    guest.client.tell(MessageType::ResetWatches, &[b"\0"])?;
    guest.client.watch_shutdown()
}

/// None for what is no request, or one that is about domains and not about nodes.
fn parse(line: &'static str, domid: u32) -> Option<Step> {
    let mut words = line.splitn(5, ' ');
    let home = match words.next()? {
        "dom0" => 0,
        "guest" => domid,
        _ => return None,
    };
    let name = words.next()?;
    let kind = *MessageType::ALL.iter().find(|kind| kind.name() == name)?;
    let tx = words.next()?.parse().unwrap_or(0);
    let home = joined(&[b"/local/domain/", text(home).as_bytes(), b"/"]);
    let (result, payload) = (words.next()?, words.next()?);
    let of_domains = matches!(kind, MessageType::Introduce | MessageType::ResetWatches);
    (!of_domains && !payload.starts_with('@')).then_some(Step { home, kind, tx, result, payload })
}

fn live<M: Machine>(guest: &mut Guest<M>, step: &Step, txs: &mut [TxId; 32]) -> Answer<()> {
    let Some(id) = txs.get_mut(step.tx) else { return Ok(()) };
    let payload = fill(step, u32::from(guest.domid.0));
    let begun = guest.client.now();
    let result = if step.kind == MessageType::TransactionStart {
        guest.client.begin().map(|begun| *id = begun)
    } else {
        let id = if step.tx == 0 { TxId::NONE } else { *id };
        guest.client.ask(step.kind, id, &[&payload]).map(drop)
    };
    guest.longest = guest.longest.max(guest.client.now() - begun);
    match result {
        Ok(()) if step.result == "ok" => Ok(()),
        Err(Failure::Refused(error)) if step.result == error.name() => Ok(()),
        Ok(()) => {
            guest.counts.wrong += 1;
            Ok(())
        }
        Err(failure) => Err(failure),
    }
}

/// The payload, for this guest and its tree.
fn fill(step: &Step, domid: u32) -> Payload {
    let mut payload = Payload::new();
    let digits = text(domid);
    let tree = str::from_utf8(TREE).unwrap_or_default();
    let home = str::from_utf8(&step.home).unwrap_or_default();
    let mut add = |part: &str| {
        // The recording has nothing that is too long.
        let _ = payload.extend_from_slice(part.as_bytes());
    };
    if step.has_path() {
        add(tree);
        add(if step.payload.starts_with('/') { "" } else { home });
    }
    for (n, string) in step.payload.split('|').enumerate() {
        add(if n == 0 { "" } else { "\0" });
        // Nobody can give a node away.
        let string = if n == 1 && step.kind == MessageType::SetPerms { "n{domid}" } else { string };
        for (place, piece) in string.split(['{', '}']).enumerate() {
            match (place % 2, piece) {
                (0, piece) => add(piece),
                (_, "domid") => add(&digits),
                _ => add("uuid"),
            }
        }
    }
    payload
}

impl Step {
    fn has_path(&self) -> bool {
        use MessageType::{GetDomainPath, TransactionEnd, TransactionStart};
        !matches!(self.kind, GetDomainPath | TransactionEnd | TransactionStart)
    }
}
