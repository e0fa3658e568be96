//! The requests that are measured, about one ordinary device of one domain, or of many in turn.

use std::io::Result;

use xenstore::wire::TxId;

use measure::callgrind::Callgrind;
use measure::connection::Connection;

/// Seven components deep, as most that drivers use.
pub const DEVICE: &str = "/local/domain/5/device/vif/0";
const STATE: &str = "/local/domain/5/device/vif/0/state";
const NEW: &str = "/local/domain/5/device/vif/0/new";
/// A folder beside `state`, whose own list stays as it is whatever else the store holds.
const QUEUE: &str = "/local/domain/5/device/vif/0/queue-0";
const TOKEN: &str = "token";
/// Domains that are asked about in turn.
const OTHERS: std::ops::Range<usize> = 100..1100;

/// The state of that device of the domain whose turn it is.
fn state_in_turn(turn: usize) -> String {
    format!("/local/domain/{}/device/vif/0/state", OTHERS.start + turn % OTHERS.len())
}

const NODES: [(&str, &str); 11] = [
    ("backend", "/local/domain/0/backend/vif/5/0"),
    ("backend-id", "0"),
    ("handle", "0"),
    ("mac", "00:16:3e:01:02:03"),
    ("mtu", "1500"),
    ("state", "4"),
    ("trusted", "1"),
    ("queue-0/event-channel-rx", "12"),
    ("queue-0/event-channel-tx", "11"),
    ("queue-0/rx-ring-ref", "769"),
    ("queue-0/tx-ring-ref", "768"),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    Read,
    Write,
    Directory,
    /// WRITE of a node that is not there, and RM of it.
    Create,
    /// TRANSACTION_START, READ, WRITE, TRANSACTION_END.
    Transaction,
    /// WRITE of a node that the same client watches, and the event.
    Event,
    /// Other paths than those that were looked up lately.
    ReadInTurn,
    WriteInTurn,
}

impl Request {
    pub const ALL: [Request; 8] = [
        Request::Read,
        Request::Write,
        Request::Directory,
        Request::Create,
        Request::Transaction,
        Request::Event,
        Request::ReadInTurn,
        Request::WriteInTurn,
    ];

    /// Its name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Request::Read => "READ",
            Request::Write => "WRITE",
            Request::Directory => "DIRECTORY",
            Request::Create => "WRITE of a new node, RM",
            Request::Transaction => "transaction: start, READ, WRITE, end",
            Request::Event => "WRITE and its event",
            Request::ReadInTurn => "READ, of 1,000 domains in turn",
            Request::WriteInTurn => "WRITE, of 1,000 domains in turn",
        }
    }

    /// Makes the nodes that all requests are about.
    pub fn prepare(client: &mut Connection) -> Result<()> {
        for (name, value) in NODES {
            client.write(TxId::NONE, &format!("{DEVICE}/{name}"), value)?;
        }
        (0..OTHERS.len()).try_for_each(|turn| client.write(TxId::NONE, &state_in_turn(turn), "4"))
    }

    /// Looks once at the nodes that are looked at in turn, so that none of them was left alone for longer than
    /// what else the store holds.
    pub fn touch(client: &mut Connection) -> Result<()> {
        (0..OTHERS.len()).try_for_each(|turn| client.read(TxId::NONE, &state_in_turn(turn)).map(drop))
    }

    /// What the request needs to be there before it is made the first time.
    pub fn begin(self, client: &mut Connection) -> Result<()> {
        if self == Request::Event { client.watch(STATE, TOKEN) } else { Ok(()) }
    }

    /// Undoes [`Request::begin`].
    pub fn end(self, client: &mut Connection) -> Result<()> {
        if self == Request::Event { client.unwatch(STATE, TOKEN) } else { Ok(()) }
    }

    /// Makes the request; `turn` counts how often it was made.
    pub fn once(self, client: &mut Connection, turn: usize) -> Result<()> {
        match self {
            Request::Read => client.read(TxId::NONE, STATE).map(drop),
            Request::Write => client.write(TxId::NONE, STATE, "4"),
            Request::Directory => client.directory(QUEUE).map(drop),
            Request::Create => {
                client.write(TxId::NONE, NEW, "1")?;
                client.remove(NEW)
            }
            Request::Transaction => {
                let tx = client.start()?;
                client.read(tx, STATE)?;
                client.write(tx, STATE, "4")?;
                client.commit(tx)
            }
            Request::Event => {
                client.write(TxId::NONE, STATE, "4")?;
                client.event()
            }
            Request::ReadInTurn => client.read(TxId::NONE, &state_in_turn(turn)).map(drop),
            Request::WriteInTurn => client.write(TxId::NONE, &state_in_turn(turn), "4"),
        }
    }

    /// Instructions for one request: the difference of a long and a short run, so that what they have in
    /// common does not count.
    pub fn count(self, callgrind: &Callgrind<'_>, client: &mut Connection, times: usize) -> Result<f64> {
        self.begin(client)?;
        let mut run = |times| (0..times).try_for_each(|turn| self.once(client, turn));
        run(times / 4)?;
        let short = callgrind.count_while(|| run(times / 2))?;
        let long = callgrind.count_while(|| run(times / 2 + times))?;
        self.end(client)?;
        Ok((long as f64 - short as f64) / times as f64)
    }
}
