//! A guest with a recorded life: all that a Linux guest with a disk and a network interface asks of its store from its
//! start to its end, and its host meanwhile. One life a round.
//!
//! The recording is that of `examples/scale`. Here one guest lives all parts of it, on a tree of its own: a path of the
//! recording is below [`TREE`]. So nobody else is needed, each answer is known, and so is the number of events.
//!
//! Transactions of the host are not the guest's: they touch up to 60 nodes, for which dom0 needs nobody's share, and an
//! ordinary guest's touch 12. What the host asks in them is asked outside of any. The guest's own are as recorded.

use super::guest::{Guest, Payload};
use super::text::{joined, text};
use crate::client::{Answer, Failure, Machine};
use crate::wire::{MessageType, TxId};

const RECORDED: &str = include_str!("../../examples/scale/guest.txt");

/// Where the recording's root is.
const TREE: &[u8] = b"data/life";

/// The domid of the guest in the recording, and the homes of both. Whatever this guest's own is, others are in the
/// recording, too.
const DOMID: &str = "3";
const DOM0: &str = "/local/domain/0/";
const HOME: &str = "/local/domain/3/";

/// What the recording found there.
const BEFORE: [&[u8]; 3] = [b"/vm", b"/libxl", b"/local/domain/2/name"];

/// Events of one life, as long as each is taken before the next request.
const EVENTS: u32 = 180;

/// Between two requests, nanoseconds.
const PACE: u64 = 1_000_000;

/// How long events may be under way, nanoseconds.
const PATIENCE: u64 = 10_000_000_000;

/// One line of the recording.
struct Step {
    /// Of whom paths are that begin at somebody's home.
    home: &'static str,
    kind: MessageType,
    /// The number of the guest's transaction in the recording, or 0.
    tx: usize,
    /// `ok` or an error's name.
    result: &'static str,
    payload: &'static str,
}

pub fn recorded<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    live(guest).or_else(|failure| {
        // The next life finds nothing of this one.
        guest.start_over()?;
        guest.client.tell(MessageType::Rm, &[TREE, b"\0"])?;
        Err(failure)
    })
}

fn live<M: Machine>(guest: &mut Guest<M>) -> Answer<()> {
    for path in BEFORE {
        guest.client.write(&joined(&[TREE, path]), b"")?;
    }
    let mut txs = [TxId::NONE; 32];
    for step in RECORDED.lines().filter_map(parse) {
        make(guest, &step, &mut txs)?;
        guest.client.listen(guest.client.now() + PACE);
    }
    guest.client.tell(MessageType::Rm, &[TREE, b"\0"])?;
    guest.events_due += EVENTS;
    guest.client.listen_for(guest.events_due, guest.client.now() + PATIENCE);
    guest.client.tell(MessageType::ResetWatches, &[b"\0"])?;
    guest.client.watch_shutdown()
}

/// None for what is no request, for one about domains and not about nodes, and for a transaction of the host's.
fn parse(line: &'static str) -> Option<Step> {
    let mut words = line.splitn(5, ' ');
    let (home, is_guest) = match words.next()? {
        "dom0" => (DOM0, false),
        "guest" => (HOME, true),
        _ => return None,
    };
    let name = words.next()?;
    let kind = *MessageType::ALL.iter().find(|kind| kind.name() == name)?;
    let tx = words.next()?.parse().unwrap_or(0);
    let (result, payload) = (words.next()?, words.next()?);
    let left_out = match kind {
        MessageType::Introduce | MessageType::ResetWatches => true,
        MessageType::TransactionStart | MessageType::TransactionEnd => !is_guest,
        _ => payload.starts_with('@'),
    };
    let tx = if is_guest { tx } else { 0 };
    (!left_out).then_some(Step { home, kind, tx, result, payload })
}

fn make<M: Machine>(guest: &mut Guest<M>, step: &Step, txs: &mut [TxId; 32]) -> Answer<()> {
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

/// The payload, on this guest's tree and with its own domid in permissions.
fn fill(step: &Step, own: u32) -> Payload {
    let sets = step.kind == MessageType::SetPerms;
    let mut payload = Payload::new();
    // The recording has nothing that is too long.
    let mut add = |part: &[u8]| drop(payload.extend_from_slice(part));
    if step.has_path() {
        add(TREE);
        add(if step.payload.starts_with('/') { b"" } else { step.home.as_bytes() });
    }
    for (n, string) in step.payload.split('|').enumerate() {
        add(if n == 0 { b"" } else { b"\0" });
        // Nobody can give a node away.
        let string = if sets && n == 1 { "n{domid}" } else { string };
        for (place, piece) in string.split(['{', '}']).enumerate() {
            match piece {
                "domid" if place == 1 && sets && n > 0 => add(text(own).as_bytes()),
                "domid" if place % 2 == 1 => add(DOMID.as_bytes()),
                piece => add(piece.as_bytes()),
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
